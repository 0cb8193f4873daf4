"""``routerd tx`` and ``routerd router init``: signed by a router's key, answered by code; a failure is one line."""

import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from abci_app.cli import main as cli
from abci_app.evm.account import Account
from abci_app.machine.codes import Code
from abci_app.machine.connext import compute_transfer_id, encode_transfer_info, keccak
from abci_app.machine.state.codec import TransferId
from abci_app.machine.state.records import TransferInfo
from abci_app.router.config import RouterConfig, WatchedChain, load_home, save_home
from tests.kit.gateway.gateway_kit import FakeNode, Served, find_free_port, serve
from tests.kit.machine.driver import KEYS, ROUTERS, A, xcalled

ROUTER = ROUTERS[0]
UNKNOWN = "0x" + "0f" * 32
CHAIN = WatchedChain(1111, 31111, "http://127.0.0.1:1")


@pytest.fixture
def served() -> Iterator[Served]:
    node = FakeNode()
    node.publish()
    with serve(node) as running:
        yield running


@pytest.fixture
def home(served: Served, tmp_path: Path) -> Path:
    """A router's home that knows the node."""
    save_home(tmp_path / "router", RouterConfig((served.address,), (CHAIN,)), Account(KEYS[0]))
    return tmp_path / "router"


@contextmanager
def committing(node: FakeNode) -> Iterator[None]:
    """A block as soon as the mempool holds something."""
    stopping = threading.Event()

    def make_blocks() -> None:
        while not stopping.wait(0.02):
            if node.mempool:
                node.commit()
    thread = threading.Thread(target=make_blocks)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(5)


def accept(served: Served) -> TransferId:
    transfer_id = served.node.network.accept()
    served.node.publish()
    return transfer_id


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = cli.run(arguments)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_bid_and_a_withdraw_are_committed(served: Served, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    transfer_id = accept(served)
    with committing(served.node):
        bid = run(capsys, "tx", "bid", "0x" + transfer_id.hex(), "--home", str(home))
        assert bid == (0, "code          OK\nheight        2\n", "")
        stored = served.node.network.bid(transfer_id, ROUTER)
        assert stored is not None and [signed.path_length for signed in stored.signatures] == [1, 2, 4]
        status, out, _ = run(capsys, "tx", "withdraw", transfer_id.hex(), "--home", str(home), "--json")
    assert (status, json.loads(out)) == (0, {"code": 0, "code_name": "OK", "reason": "", "height": 3})
    stored = served.node.network.bid(transfer_id, ROUTER)
    assert stored is not None and stored.withdrawn


def test_a_bid_of_chosen_path_lengths_that_nobody_waits_for(
    served: Served, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transfer_id = accept(served)
    arguments = ("--home", str(home), "--path-length", "4", "--path-length", "2", "--wait", "checked")
    assert run(capsys, "tx", "bid", transfer_id.hex(), *arguments) == (0, "code          OK\nheight        -\n", "")
    served.node.commit()
    stored = served.node.network.bid(transfer_id, ROUTER)
    assert stored is not None and [signed.path_length for signed in stored.signatures] == [2, 4]


def test_a_refusal_is_one_line_for_people_and_an_object_for_programs(
    served: Served, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("tx", "bid", "11" * 32, "--home", str(home), "--wait", "checked")
    status, out, error = run(capsys, *arguments)
    assert (status, out) == (1, "") and error.startswith("routerd: TRANSFER_UNKNOWN: ") and error.count("\n") == 1
    status, out, again = run(capsys, *arguments, "--json")
    answer = json.loads(out)
    assert (status, again) == (1, error)
    assert (answer["code"], answer["code_name"], answer["height"]) == (Code.TRANSFER_UNKNOWN, "TRANSFER_UNKNOWN", 0)


def test_a_node_may_be_named_beside_the_homes(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_home(tmp_path / "r", RouterConfig((f"127.0.0.1:{find_free_port()}",), (CHAIN,)), Account(KEYS[0]))
    arguments = ("tx", "bid", accept(served).hex(), "--home", str(tmp_path / "r"), "--wait", "checked")
    assert run(capsys, *arguments)[0] == 1
    assert run(capsys, *arguments, "--node", served.address)[0] == 0


def hash_only(served: Served) -> TransferInfo:
    """The terms of a transfer that the network knows by hash only."""
    network = served.node.network
    call_data = b"\x07" * 9000
    short = network.info()
    info = replace(short, call_data=call_data)
    event = replace(
        xcalled(short), transfer_id=compute_transfer_id(info), call_data_hash=keccak(call_data), call_data_length=9000
    )
    network.block({A: [event]})
    served.node.publish()
    return info


@pytest.mark.parametrize("how", ["hex", "file", "stdin"])
def test_terms_are_submitted(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    info = hash_only(served)
    text = "0x" + encode_transfer_info(info).hex()
    (tmp_path / "info").write_text(text + "\n")
    arguments = ({"hex": text, "file": str(tmp_path / "info"), "stdin": "-"}[how], "--node", served.address)
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    with committing(served.node):
        assert run(capsys, "tx", "transfer-info", *arguments) == (0, "code          OK\nheight        2\n", "")
    assert served.node.network.transfer(compute_transfer_id(info)).info_known
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    status, out, err = run(capsys, "tx", "transfer-info", *arguments)
    assert (status, out) == (1, "") and err.startswith("routerd: TRANSFER_INFO_KNOWN")


@pytest.mark.parametrize(("arguments", "status", "message"), [
    (("bid", "0x12", "--home", "{home}"), 1, "has 1 bytes, must be 32"),
    (("bid", "zz", "--home", "{home}"), 1, "is not hex"),
    (("bid", UNKNOWN), 2, "Missing option '--home'"),
    (("bid", UNKNOWN, "--home", "{home}/none"), 1, "config.toml is missing"),
    (("bid", UNKNOWN, "--home", "{home}", "--path-length", "3"), 1, "must be one of 1, 2, 4"),
    (("bid", UNKNOWN, "--home", "{home}", "--wait", "forever"), 2, "--wait"),
    (("bid", UNKNOWN, "--home", "{home}", "--node", "x"), 1, "is not host:port"),
    (("bid", UNKNOWN, "--home", "{home}"), 1, "TRANSFER_UNKNOWN: 0f0f"),
    (("withdraw", UNKNOWN, "--home", "{home}"), 1, "TRANSFER_UNKNOWN: 0f0f"),
    (("withdraw", UNKNOWN, "--home", "{home}", "--fast"), 2, "No such option"),
    (("transfer-info", "0x"), 1, "has 0 bytes"), (("transfer-info", "0xzz"), 1, "is not hex"),
    (("transfer-info", "0x00"), 1, "TX_MALFORMED"), (("transfer-info", "{home}"), 1, "Is a directory"),
    (("transfer-info", "0x" + "00" * (96 * 1024 + 1)), 1, "must be 1 to 98304"),
    ((), 2, "Missing command"), (("pay",), 2, "No such command"),
])
def test_a_failure_is_one_line(
    served: Served, home: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int,
    message: str,
) -> None:
    got, out, err = run(capsys, "tx", *(argument.format(home=home) for argument in arguments))
    assert (got, out) == (status, "") and message in err
    assert err.startswith("routerd: ") and err.count("\n") == 1
    assert served.node.mempool == []


def test_a_refusal_by_the_block_is_a_failure(served: Served, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    transfer_id = accept(served)
    withdraw = ("tx", "withdraw", transfer_id.hex(), "--home", str(home))
    assert run(capsys, *withdraw, "--wait", "checked")[0] == 0
    done: list[tuple[int, str, str]] = []
    with committing(served.node):
        time.sleep(0.2)
        done.append(run(capsys, "tx", "bid", transfer_id.hex(), "--home", str(home)))
    [(status, out, err)] = done
    assert (status, out) == (1, "") and err == "routerd: ROUTER_WITHDRAWN: a withdraw is final\n"


# --- router init ----------------------------------------------------------------------------------------------------


def test_a_routers_home_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "key"
    key.write_text("0x" + KEYS[0].hex())
    key.chmod(0o600)
    made = run(
        capsys, "router", "init", "--home", str(tmp_path / "r"), "--node", "a:1", "--node", "b:2",
        "--chain", "1111,31337,http://x:8545", "--chain", "2222,31338,http://y,12",
        "--chain", f"3333,31339,http://z,0,0x{'c0' * 20}", "--key-file", str(key),
    )
    assert made == (0, f"0x{ROUTER.hex()}\n", "")
    home = load_home(tmp_path / "r")
    assert home.config == RouterConfig(("a:1", "b:2"), (
        WatchedChain(1111, 31337, "http://x:8545"), WatchedChain(2222, 31338, "http://y", 12),
        WatchedChain(3333, 31339, "http://z", 0, b"\xc0" * 20),
    ))
    assert home.account.address == ROUTER


def test_a_generated_key_is_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rest = ("--node", "a:1", "--chain", "1,1,http://x", "--generate")
    addresses = [run(capsys, "router", "init", "--home", str(tmp_path / name), *rest)[1] for name in "ab"]
    assert len(set(addresses)) == 2
    assert "0x" + load_home(tmp_path / "a").account.address.hex() == addresses[0].strip()


@pytest.mark.parametrize(("arguments", "status", "message"), [
    (("--home", "{}/r"), 2, "Missing option"),
    (("--home", "{}/r", "--node", "a:1", "--chain", "1,1,http://x"), 1, "either --key-file or --generate"),
    (("--home", "{}/r", "--node", "a:1", "--chain", "1,1,http://x", "--generate", "--key-file", "k"), 1, "either"),
    (("--home", "{}/r", "--node", "a:1", "--chain", "1,1", "--generate"), 1, "use DOMAIN,CHAIN_ID,URL"),
    (("--home", "{}/r", "--node", "a:1", "--chain", "x,1,http://x", "--generate"), 1, "use DOMAIN,CHAIN_ID,URL"),
    (("--home", "{}/r", "--node", "a:1", "--chain", "1,1,http://x,y", "--generate"), 1, "use DOMAIN,CHAIN_ID,URL"),
    (("--home", "{}/r", "--node", "a:1", "--chain", "1,1,http://x,0,0xc0", "--generate"), 1, "use DOMAIN,CHAIN_ID"),
    (("--home", "{}/r", "--node", "a:1", "--chain", "1,1,http://x,0,,", "--generate"), 1, "use DOMAIN,CHAIN_ID"),
    (("--home", "{}/r", "--node", "a", "--chain", "1,1,http://x", "--generate"), 1, "is not host:port"),
    (("--home", "{}/r", "--node", "a:1", "--chain", "0,1,http://x", "--generate"), 1, "domain must be 1"),
    (("--home", "{}/r", "--node", "a:1", "--chain", "1,1,ftp://x", "--generate"), 1, "rpc_url must be"),
    (("--home", "{}/r", "--node", "a:1", "--chain", "1,1,http://x", "--key-file", "{}/none"), 1, "No such file"),
])
def test_a_home_is_refused_in_one_line_and_nothing_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int, message: str
) -> None:
    got, out, err = run(capsys, "router", "init", *(argument.format(tmp_path) for argument in arguments))
    assert (got, out) == (status, "") and message in err
    assert err.startswith("routerd: ") and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
