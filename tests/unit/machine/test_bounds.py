"""Bounds that keep an absurd genesis, a fidgety router or a lost approval from doing harm."""

from typing import Any

import pytest

from abci_app.machine.codes import Code, Rejected
from abci_app.machine.connext import sign_digest
from abci_app.machine.genesis.build import build_state, compute_possession_digest
from abci_app.machine.ledger import liquidity
from abci_app.machine.observation.stream import RouterAdded, RouterLiquidityAdded, RouterLiquidityRemoved, RouterRemoved
from abci_app.machine.params import RECENT_PROPOSERS_MAX, Params
from tests.kit.machine.driver import LIQUIDITY, ROUTERS, B, Network, bundle, local_of, withdraw
from tests.kit.machine.small_world import CHAIN_ID as SMALL_CHAIN_ID
from tests.kit.machine.small_world import init_chain_validators, key_address, valid_app_state

R1, R2 = ROUTERS[:2]
LOCAL = local_of(B)


# --- genesis --------------------------------------------------------------------------------------------------------


def many_validators(count: int) -> tuple[dict[str, Any], list[tuple[bytes, int]]]:
    """A genesis with this many validators, and what InitChain says of them."""
    state = valid_app_state()
    state["validators"] = []
    for number in range(count):
        secret, consensus = (1000 + number).to_bytes(32, "big"), (5000 + number).to_bytes(32, "big")
        proof = sign_digest(secret, compute_possession_digest(SMALL_CHAIN_ID, consensus))
        state["validators"].append({
            "consensus_key": f"0x{consensus.hex()}", "power": 1, "attestation": f"0x{key_address(secret).hex()}",
            "proof": f"0x{proof.hex()}",
        })
    return state, [((5000 + number).to_bytes(32, "big"), 1) for number in range(count)]


@pytest.mark.parametrize("count, code", [(256, Code.OK), (257, Code.GENESIS_INVALID)])
def test_no_more_validators_than_a_gate_holds(count: int, code: Code) -> None:
    """GEN-2, BAT-6: signers are a bitmap of 256 bits."""
    state, validators = many_validators(count)
    assert code_of_genesis(state, validators) is code


@pytest.mark.parametrize("window, extra, code", [
    (1, RECENT_PROPOSERS_MAX - 1, Code.OK),
    (RECENT_PROPOSERS_MAX + 1, 0, Code.OK),
    (1, RECENT_PROPOSERS_MAX, Code.GENESIS_INVALID),
    (RECENT_PROPOSERS_MAX, 1, Code.GENESIS_INVALID),
])
def test_an_auction_waits_no_longer_than_proposers_are_known(window: int, extra: int, code: Code) -> None:
    """GEN-1, ASN-1: whether the blocks since acceptance had two proposers must be in the state."""
    state = valid_app_state(Params(auction_window_blocks=window, auction_extra_blocks=extra))
    assert code_of_genesis(state, init_chain_validators()) is code


def code_of_genesis(state: dict[str, Any], validators: list[tuple[bytes, int]]) -> Code:
    """OK, or why the genesis is refused."""
    try:
        build_state(state, SMALL_CHAIN_ID, validators)
    except Rejected as rejection:
        return rejection.code
    return Code.OK


# --- withdraws ------------------------------------------------------------------------------------------------------


def test_a_router_without_approval_takes_back_what_it_signed() -> None:
    """BID-5: approval may come again, and with it an assignment that the router no longer wants."""
    net = Network()
    transfer_id = net.accept()
    net.block(txs=[bundle(transfer_id, R2)])
    net.block({B: [RouterRemoved(R1), RouterRemoved(R2)]})
    assert net.run([withdraw(transfer_id, R1)]).results[0].code is Code.ROUTER_NOT_APPROVED
    assert net.run([withdraw(transfer_id, R2)]).results[0].code is Code.OK


def test_what_was_taken_back_without_approval_stays_so() -> None:
    """BID-5, ASN-2: the router is approved again, and its bid does not stand."""
    net = Network(Params(auction_window_blocks=5, auction_extra_blocks=0))
    transfer_id = net.accept()
    net.block({B: []}, [bundle(transfer_id, R1)])
    net.block({B: [RouterRemoved(R1)]}, [withdraw(transfer_id, R1)])
    assert net.result is not None and not any(each.code for each in net.result.results)
    net.block({B: [RouterAdded(R1)]})
    net.wait(4)
    assert net.status(transfer_id) == "ACCEPTED"
    assert net.auction(transfer_id).candidates[0].code == Code.INFEASIBLE_WITHDRAWN


# --- faults ---------------------------------------------------------------------------------------------------------


def fidget(count: int) -> list[RouterLiquidityRemoved | RouterLiquidityAdded]:
    """A router takes its liquidity out and puts it back, ``count`` times, and takes it out."""
    out, back = RouterLiquidityRemoved(R1, LOCAL, LIQUIDITY), RouterLiquidityAdded(R1, LOCAL, LIQUIDITY)
    return [out, *(event for _ in range(count) for event in (back, out))]


def test_faults_one_after_the_other_scan_the_leases_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """FLT-1: each counts, all charges are kept, and the work does not grow with their number."""
    net = Network()
    first, second = net.assign(R1), net.assign(R1, R2, lengths=(2,))
    tag = net.tag_of(R1)
    scans: list[Any] = []
    scan = liquidity.list_attempts_of

    def count(*given: Any) -> Any:
        scans.append(given)
        return scan(*given)

    monkeypatch.setattr(liquidity, "list_attempts_of", count)
    net.block({B: fidget(6)})
    assert len(scans) == 1
    assert (net.router(R1).faults, net.router(R1).cool_down_until) == (7, net.height + (100 << 6))
    for transfer_id in (first, second):
        assert R1 not in {charge.router for charge in net.transfer(transfer_id).attempts[-1].charges}
    net.let_lease_end()
    net.wait(2)
    assert net.tag_of(R1) == tag


def test_a_fault_after_the_cool_down_keeps_what_was_charged_since() -> None:
    """FLT-1: also at the very block in which the cool-down ends, and with no cool-down at all."""
    for blocks in (2, 0):
        net = Network(Params(cool_down_blocks=blocks))
        net.assign(R1)
        net.block({B: fidget(0)})
        net.block({B: [RouterLiquidityAdded(R1, LOCAL, 2 * LIQUIDITY)]})
        later = net.assign(R1)
        assert net.transfer(later).attempts[-1].charges
        net.block({B: [RouterLiquidityRemoved(R1, LOCAL, 2 * LIQUIDITY)]})
        assert net.router(R1).faults == 2
        assert not net.transfer(later).attempts[-1].charges
