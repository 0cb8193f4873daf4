"""One home, one base port: where things are, and what is refused in one line."""

from pathlib import Path

import pytest

from testnet.network.layout import Layout, Manifest, NetworkError, load_layout, make_manifest, save_manifest


def test_ports_do_not_overlap():
    layout = Layout(Path("/tmp/x"), Manifest(27600, 16))
    ports = layout.ports()
    assert len(ports) == len(set(ports)) == 2 + 16 * 4


def test_a_long_home_falls_back_to_tcp():
    """A unix socket's path has at most 107 bytes."""
    short, long_ = Layout(Path("/tmp/x"), Manifest(27600, 1)), Layout(Path("/tmp/" + "y" * 90), Manifest(27600, 1))
    assert next(iter(short.nodes())).abci.startswith("unix:///tmp/x/")
    node = next(iter(long_.nodes()))
    assert node.abci == f"tcp://127.0.0.1:{node.rpc_port + 4}"
    assert node.rpc_port + 4 in long_.ports()


def test_a_manifest_is_read_back(tmp_path):
    save_manifest(tmp_path, Manifest(28000, 7))
    assert load_layout(tmp_path).manifest == Manifest(28000, 7)


@pytest.mark.parametrize("content", [None, "", "{", '{"base_port": 1}', '{"unknown": 1}'])
def test_no_or_a_damaged_network_is_refused_in_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(NetworkError) as refused:
        load_layout(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("base_port, validators", [(80, 4), (65_000, 4), (27_600, 0), (27_600, 17), (27_600, -1)])
def test_senseless_numbers_are_refused(base_port, validators):
    with pytest.raises(NetworkError):
        make_manifest(base_port, validators)


def test_defaults():
    assert make_manifest(None, None) == Manifest(27600, 4)
