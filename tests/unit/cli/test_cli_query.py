"""``routerd query``: tables of at most 80 columns for people, every field for programs, one line for every failure."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from abci_app.cli import main as cli
from abci_app.cli.tables import show_amount, show_short, show_time, to_json
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.state import keys
from abci_app.machine.state.records import Liquidity
from abci_app.node.signer import Signer
from abci_app.pb import query_pb2 as pb
from tests.kit.gateway.gateway_kit import FakeNode, Served, find_free_port, serve
from tests.kit.machine.driver import ROUTERS, A, B, Network, bundle, executed, local_of, withdraw, xcalled

FIRST, SECOND, THIRD, FOURTH = ROUTERS
UNKNOWN = "0x" + "0f" * 32
BIG = 20_000 * 10**18


@dataclass
class Case:
    """A node with a transfer of every kind."""

    served: Served
    transfer_id: str
    open_id: str

    def ask(self, *arguments: str) -> int:
        filled = [argument.format(self=self) for argument in arguments]
        return cli.run(["query", *filled, "--node", self.served.address])


@pytest.fixture(scope="module")
def case() -> Iterator[Case]:
    network = Network()
    for router in (FIRST, SECOND):
        network.change(keys.liquidity(B, local_of(B), router), Liquidity, balance=BIG)
    info = network.info(amount=BIG)
    transfer_id = compute_transfer_id(info)
    network.block({A: [xcalled(info)]}, [
        bundle(transfer_id, FIRST, SECOND, lengths=(1, 2, 4)), bundle(transfer_id, THIRD),
        withdraw(transfer_id, SECOND),
    ])
    network.wait(3)
    shared = network.assign(THIRD, FOURTH, lengths=(2,), amount=1_500_000)
    network.wait(2)
    network.block({B: [executed(shared, THIRD, FOURTH, amount=1_500_000)]})
    open_id = network.accept()
    node = FakeNode(network, Signer(network.validators[0].attestation_key))
    node.publish()
    with serve(node) as served:
        yield Case(served, "0x" + transfer_id.hex(), "0x" + open_id.hex())


QUESTIONS = [
    (("status",), ["driver-1", "validators", "proposals_refused_SEGMENT_NOT_AGREED"], "chain_id"),
    (("domains",), ["1111", "OPEN", "lanes", "assets"], "domains"),
    (("transfer", "{self.transfer_id}"), ["ASSIGNED", "FAST", "withdrawn", "20000000000000000000000"], "transfer"),
    (("transfers",), ["EXECUTED", "ACCEPTED", "2.000000e+22"], "transfers"),
    (("transfers", "--status", "accepted", "--from", "2", "--limit", "3"), ["ACCEPTED"], "transfers"),
    (("transfers", "--status", "SLOW"), ["transfers: none"], "transfers"),
    (("auction", "{self.transfer_id}"), ["decided in block 2", "won, place 1", "liquidity_short"], "winners"),
    (("auction", "{self.open_id}"), ["open at block", "nobody bids", "bidders: none"], "reason"),
    (("router", "0x" + FIRST.hex()), ["liquidity", "2.000000e+22"], "domains"),
    (("decisions",), ["1111→2222", "FAST"], "decisions"),
    (("batch", "2"), ["leaves", "signatures", "in block 3"], "batch"),
    (("execution", "2"), ["4 of 4", "sequencer"], "entries"),
]


@pytest.mark.parametrize(("arguments", "words", "_key"), QUESTIONS)
def test_people_get_tables_of_80_columns(
    case: Case, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: list[str], _key: str
) -> None:
    assert case.ask(*arguments) == 0
    out, err = capsys.readouterr()
    assert err == "" and "\x1b" not in out
    assert all(word in out for word in words), out
    assert max(map(len, out.splitlines())) <= 80, out


@pytest.mark.parametrize(("arguments", "_words", "key"), QUESTIONS)
def test_programs_get_one_object_with_every_field(
    case: Case, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], _words: list[str], key: str
) -> None:
    assert case.ask(*arguments, "--json") == 0
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert err == "" and key in answer and out.count("\n") == 1


def test_json_is_the_answer_bytes_in_hex(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert case.ask("auction", "{self.transfer_id}", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    request = pb.AuctionRequest(transfer_id=bytes.fromhex(case.transfer_id[2:]))
    answer = case.served.query.Auction(request, timeout=20)
    assert shown == to_json(answer) and shown["transfer_id"] == case.transfer_id
    assert [one["router"] for one in shown["winners"]] == ["0x" + FIRST.hex()]
    assert set(shown) == {field.name for field in answer.DESCRIPTOR.fields}


def test_unset_fields_are_there_too() -> None:
    assert to_json(pb.StatusResponse()) == {
        "chain_id": "", "height": 0, "time_s": 0, "app_hash": "", "epoch": 0, "validators": [], "attestation": "",
        "next_sequence": 0, "next_acceptance": 0, "unattested_batches": 0, "counters": [],
    }
    shown: dict[str, Any] = to_json(pb.BatchResponse())
    assert shown["batch"]["leaves"] == [] and shown["batch"]["root"] == ""


@pytest.mark.parametrize(("arguments", "status", "message"), [
    ((), 2, "Missing command"), (("lies",), 2, "No such command"), (("status", "--nod", "x"), 2, "No such option"),
    (("transfer",), 2, "Missing argument"), (("transfer", "0x12"), 1, "has 1 bytes, must be 32"),
    (("transfer", "xyz"), 1, "is not hex"), (("transfer", "0x" + "1" * 63), 1, "is not hex"),
    (("router", "0x" + "11" * 32), 1, "has 32 bytes, must be 20"), (("batch", "x"), 2, "height"),
    (("transfers", "--limit", "0"), 2, "--limit"), (("transfers", "--limit", "501"), 2, "--limit"),
    (("transfers", "--from", "-1"), 2, "--from"), (("auction", UNKNOWN, "--attempt", "256"), 2, "--attempt"),
    (("status", "--node", "nowhere"), 1, "is not host:port"), (("status", "--node", "a:0"), 1, "is not host:port"),
    (("status", "--node", f"127.0.0.1:{find_free_port()}"), 1, "no node answers"),
])
def test_a_wrong_question_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int, message: str
) -> None:
    assert cli.run(["query", *arguments]) == status
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.startswith("routerd: ") and err.count("\n") == 1


@pytest.mark.parametrize(("arguments", "message"), [
    (("transfer", UNKNOWN), "routerd: NOT_FOUND: no transfer"), (("auction", UNKNOWN), "routerd: NOT_FOUND: "),
    (("auction", "{self.transfer_id}", "--attempt", "9"), "routerd: NOT_FOUND: "),
    (("router", "0x" + "11" * 20), "routerd: NOT_FOUND: "), (("batch", "3"), "routerd: NOT_FOUND: "),
    (("execution", "2", "9"), "routerd: NOT_FOUND: "),
    (("transfers", "--status", "lost"), "routerd: ARGUMENT_INVALID: no status"),
])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_refusal_is_one_line_with_its_code(
    case: Case, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str, as_json: bool
) -> None:
    assert case.ask(*arguments, *(["--json"] if as_json else [])) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(message) and err.count("\n") == 1


def test_the_second_node_is_asked_where_the_first_is_away(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert case.ask("status", "--node", f"127.0.0.1:{find_free_port()}") == 0
    assert "driver-1" in capsys.readouterr().out


def test_a_question_loads_neither_web3_nor_the_database(case: Case) -> None:
    script = (
        "import sys; from abci_app.cli.main import run\n"
        f"status = run(['query', 'status', '--node', {case.served.address!r}])\n"
        "print(status, [name for name in ('web3', 'plyvel', 'abci_app.router.agent') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "0 []"


@pytest.mark.parametrize(("digits", "shown"), [
    ("0", "0"), ("99999999999999", "99999999999999"), ("100000000000000", "1.000000e+14"), (BIG, "2.000000e+22"),
])
def test_amounts_fit_a_column(digits: str | int, shown: str) -> None:
    assert show_amount(digits) == shown


def test_short_forms() -> None:
    assert show_short(b"\xab" * 32) == "0xababab…abab" and show_short(b"") == "-"
    assert show_time(1_700_000_000) == "2023-11-14 22:13:20" and show_time(0) == "-"
    assert show_time(2**63) == str(2**63)
