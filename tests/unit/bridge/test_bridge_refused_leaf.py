"""An endpoint that does not simulate one leaf: that leaf waits and says why, the others are delivered."""

from pathlib import Path

import pytest

from abci_app.evm.connext import ExecuteArgs
from abci_app.evm.errors import RpcUnavailable
from abci_app.evm.refusals import map_refusal
from abci_app.machine.connext import compute_transfer_id
from tests.kit.bridge.fake_node import transfer_id_of
from tests.kit.bridge.relay_kit import Bench, make_offer

REFUSALS = [
    (-32000, "execution aborted (timeout = 5s)"), (-32000, "out of gas"), (-32602, "gas limit is too high"),
    (-32600, "request entity too large"), (-32015, "VM execution error."),
]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize(("code", "message"), REFUSALS)
def test_one_leaf_that_is_not_simulated_holds_up_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, code: int, message: str
) -> None:
    heavy, others = make_offer(), [make_offer() for _ in range(3)]
    key = bench.decide(heavy)
    for other in others:
        bench.decide(other)
    simulate = bench.chain.simulate_entry

    def refuse_heavy(args: ExecuteArgs, gas: int) -> None:
        if compute_transfer_id(args.params) == transfer_id_of(heavy):
            raise map_refusal({"code": code, "message": message})
        simulate(args, gas)

    monkeypatch.setattr(bench.chain, "simulate_entry", refuse_heavy)
    for _ in range(20):
        bench.step()
        bench.chain.mine()
    assert sorted(bench.chain.ledger.executed) == sorted(transfer_id_of(other) for other in others)
    assert bench.notices.is_standing(f"leaf {key}")


def test_an_endpoint_that_is_away_is_no_matter_of_one_leaf(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.decide(make_offer())

    def away(args: ExecuteArgs, gas: int) -> None:
        raise RpcUnavailable("connection reset")

    monkeypatch.setattr(bench.chain, "simulate_entry", away)
    with pytest.raises(RpcUnavailable):
        bench.step()
