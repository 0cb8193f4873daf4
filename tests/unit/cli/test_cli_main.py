"""The command line: one line and a status for every failure, only the asked command's module loaded."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from abci_app.bridge.home import load_account
from abci_app.cli import main as cli
from abci_app.machine.connext import recover_address
from abci_app.machine.genesis.build import compute_possession_digest
from abci_app.machine.state.codec import Hash


def routerd(*arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "abci_app.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)


def test_init_show_and_refusals_through_processes(tmp_path: Path) -> None:
    home = str(tmp_path / "n")
    made = routerd("init", "--home", home, "--chain-id", "routing-1", "--chain", "1111=http://127.0.0.1:1,http://127.0.0.1:2")
    assert (made.returncode, made.stderr) == (0, "")
    shown = routerd("keys", "show", "--home", home, "--json")
    assert json.loads(shown.stdout) == {"attestation": made.stdout.strip()}

    again = routerd("init", "--home", home, "--chain-id", "routing-1")
    assert again.returncode == 1 and again.stdout == ""
    assert again.stderr.startswith("routerd: ") and again.stderr.count("\n") == 1


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = cli.run(arguments)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_keys_show_proves_possession(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = str(tmp_path / "n")
    assert run(capsys, "init", "--home", home, "--chain-id", "routing-1")[0] == 0
    key = Hash(b"\x07" * 32)
    status, out, _ = run(capsys, "keys", "show", "--home", home, "--consensus-key", key.hex(), "--json")
    shown = json.loads(out)
    assert status == 0 and shown["consensus_key"] == f"0x{key.hex()}"
    signer = recover_address(compute_possession_digest("routing-1", key), bytes.fromhex(shown["proof"][2:]))
    assert f"0x{signer.hex()}" == shown["attestation"]
    plain = run(capsys, "keys", "show", "--home", home)[1]
    assert plain.split() == ["attestation", shown["attestation"]]
    encoded = base64.b64encode(key).decode()
    as_cometbft_prints_it = json.dumps({"type": "tendermint/PubKeyEd25519", "value": encoded})
    for form in (f"0x{key.hex()}", encoded, as_cometbft_prints_it):
        assert run(capsys, "keys", "show", "--home", home, "--consensus-key", form, "--json")[1] == out


def test_keys_new_makes_a_key_file_that_only_its_owner_can_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys" / "relayer.json"
    status, out, error = run(capsys, "keys", "new", "--out", str(path))
    assert (status, error) == (0, "")
    assert out == f"0x{load_account(path).address.hex()}\n"
    before = path.read_text()
    status, out, error = run(capsys, "keys", "new", "--out", str(path))
    assert (status, out, error) == (1, "", f"routerd: {path} exists already\n") and path.read_text() == before
    status, out, error = run(capsys, "keys", "new", "--out", str(path / "below"))
    assert (status, out) == (1, "") and "Not a directory" in error and error.count("\n") == 1
    assert run(capsys, "keys", "new", "--out", str(tmp_path / "other.json"))[1] not in ("", out)


@pytest.mark.parametrize(("arguments", "status", "message"), [
    (("fly",), 2, "No such command"),
    (("init",), 2, "Missing option"),
    (("init", "--home"), 2, "requires an argument"),
    (("keys",), 2, "Missing command"), (("testnet",), 2, "Missing command"),
    (("keys", "show", "--home", "{}/none"), 1, "config.toml is missing"),
    (("rollback", "--home", "{}/none"), 1, "config.toml is missing"),
    (("rollback",), 2, "Missing option"),
    (("init", "--home", "{}/n", "--chain-id", "a b"), 1, "chain_id"),
    (("init", "--home", "{}/n", "--chain-id", "c", "--chain", "1111"), 1, "use DOMAIN=URL"),
    (("init", "--home", "{}/n", "--chain-id", "c", "--chain", "x=http://a"), 1, "use DOMAIN=URL"),
    (("init", "--home", "{}/n", "--chain-id", "c", "--chain", "0=http://a"), 1, "domain must be 1 to"),
    (("init", "--home", "{}/n", "--chain-id", "c", "--grpc", "nowhere"), 1, "grpc.address"),
    (("status",), 1, "name the node"),
    (("status", "--node", "a:1", "--home", "{}/n"), 1, "name the node"),
    (("status", "--node", "127.0.0.1:1"), 1, "no node answers: 127.0.0.1:1: UNAVAILABLE"),
    (("status", "--home", "{}/n"), 1, "config.toml is missing"),
])
def test_a_failure_is_one_line_and_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int, message: str
) -> None:
    got, out, error = run(capsys, *(argument.format(tmp_path) for argument in arguments))
    assert (got, out) == (status, "")
    assert message in error and error.startswith("routerd: ") and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", [
    "zz", "00" * 31, "00" * 33, "rRaFkf=", "AAAA====", "rRaFkfXegw42g2kEqYKJsA==", "{", "{}", '{"value": 1}', "[]",
])
def test_keys_show_refuses_what_is_no_key(tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str) -> None:
    home = str(tmp_path / "n")
    assert run(capsys, "init", "--home", home, "--chain-id", "routing-1")[0] == 0
    status, _, error = run(capsys, "keys", "show", "--home", home, "--consensus-key", key)
    assert status == 1 and "--consensus-key" in error and error.count("\n") == 1


def test_an_output_that_takes_nothing_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "abci_app.cli.main", "version"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "routerd: No space left on device\n")


def test_help_lists_every_command_and_loads_none(capsys: pytest.CaptureFixture[str]) -> None:
    script = (
        "import sys; from abci_app.cli.main import run; run(['--help']); "
        "print(sorted(name for name in sys.modules if name.startswith(('abci_app.cli.', 'web3', 'plyvel'))))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "['abci_app.cli.failure', 'abci_app.cli.main']"
    for name in cli.COMMANDS:
        assert name in done.stdout


def test_every_command_registers_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for name in cli.COMMANDS:
        status, out, error = run(capsys, name, "--help")
        assert (status, error) == (0, "") and "Usage" in out, name


def test_init_does_not_load_web3_or_the_database(tmp_path: Path) -> None:
    script = (
        "import sys; from abci_app.cli.main import run\n"
        f"status = run(['init', '--home', {str(tmp_path / 'n')!r}, '--chain-id', 'c'])\n"
        "print(status, [name for name in ('web3', 'plyvel', 'grpc', 'abci_app.cli.start') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "0 []"
