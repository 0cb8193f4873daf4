"""No submitter can make a transfer fail by the gas they give, and no transfer can take more than its own share."""


import pytest

from abci_app.evm.codec import encode_arguments
from abci_app.evm.connext import DestinationStatus, ExecuteArgs, encode_add_router_liquidity_for
from abci_app.evm.gate import TRANSACTION_GAS_MAX, GateBatch, compute_gas_limit, encode_execute_batch, parse_outcome
from abci_app.evm.types import ZERO_ADDRESS, Address, Receipt, to_hex
from bench.quorum import make_transfer, sign_execution
from testnet.connext.connext_contracts import load_connext_artifact
from testnet.connext.deployment import Token, dev_account
from testnet.connext.supply import user_address
from tests.kit.contracts.gate_kit import ROOT, Scene, refusal_of, untouched

GAS_WANTED = 1_000_000
"""What the receiver uses; Connext keeps 10,000 and takes some 160,000 besides."""
GAS_GIVEN = 1_400_000

def hungry(scene: Scene, receiver: Address, gas: int = GAS_WANTED) -> ExecuteArgs:
    """A transfer whose receiver needs that much gas, and fails with less."""
    return scene.execution(to=receiver, call_data=encode_arguments(["uint256"], [gas]))


def try_with(scene: Scene, batch: GateBatch, gas: int) -> tuple[int, list[DestinationStatus]]:
    """(receipt status, status of each transfer) with this gas limit; undone afterwards."""
    with untouched(scene):
        receipt = scene.send(batch, gas=gas)
        return receipt.status, [scene.status(entry.args) for entry in batch.entries]


def test_every_gas_limit_executes_all_or_nothing(scene: Scene) -> None:
    """Some 120 limits from far too little to plenty; densest where the outcome changes."""
    receiver = scene.create("GasUser")
    batch = scene.decide(
        scene.execution(), hungry(scene, receiver), scene.execution(), gas_limits=[350_000, GAS_GIVEN, 350_000]
    )
    enough = find_enough(scene, batch)
    limits = {*range(200_000, 2_400_000, 40_000), *range(enough - 30_000, enough + 30_000, 1_000)}
    seen = set()
    for gas in sorted(limits):
        status, transfers = try_with(scene, batch, gas)
        seen.add(status)
        expected = DestinationStatus.EXECUTED if status else DestinationStatus.NONE
        assert transfers == [expected] * 3, gas
        assert status == (gas >= enough), gas
    assert seen == {0, 1}


def find_enough(scene: Scene, batch: GateBatch) -> int:
    """The least gas limit with which the batch goes through."""
    low, high = 200_000, 4_000_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if try_with(scene, batch, middle)[0] else (middle, high)
    return high


def test_too_little_gas_is_named(scene: Scene) -> None:
    batch = scene.decide(scene.execution(), scene.execution(), gas_limits=[350_000, 3_000_000])
    required = 3_000_000 * 64 // 63 + 5_000
    assert scene.refusal(batch, gas=3_000_000) == ("InsufficientGas", 1, required)
    assert scene.refusal(batch, gas=400_000) == ("InsufficientGas", 0, 350_000 * 64 // 63 + 5_000)


def test_exactly_the_decided_gas_is_forwarded(scene: Scene) -> None:
    """Plenty in the transaction does not help a transfer that was decided with too little."""
    receiver = scene.create("GasUser")
    starved = scene.decide(hungry(scene, receiver), gas_limits=[GAS_WANTED])
    outcome = scene.submit(starved)
    assert (outcome.executed, len(outcome.failed)) == (0, 1)
    assert scene.submit(scene.decide(hungry(scene, receiver), gas_limits=[GAS_GIVEN])).executed == 1


def test_the_gas_limit_that_relayers_compute_is_enough_for_the_hungriest_leaf(scene: Scene) -> None:
    receiver = scene.create("GasUser")
    wanted = [12_000_000, 600_000]
    batch = scene.decide(
        *(hungry(scene, receiver, gas) for gas in wanted), gas_limits=[13_000_000, 1_000_000]
    )
    limit = compute_gas_limit(batch, encode_execute_batch(batch, skip_executed=False))
    assert limit < TRANSACTION_GAS_MAX
    assert scene.submit(batch, gas=limit).executed == 2


@pytest.mark.parametrize("routers", [1, 4])
@pytest.mark.parametrize("size", [0, 3_000])
@pytest.mark.parametrize("count", [1, 3])
def test_a_relayers_gas_limit_covers_callData_and_routers(scene: Scene, routers: int, size: int, count: int) -> None:
    receiver = scene.create("GasUser")
    call_data = encode_arguments(["uint256"], [900_000]) + b"\x5a" * size
    executions = [scene.execution(routers, to=receiver, call_data=call_data) for _ in range(count)]
    batch = scene.decide(*executions, gas_limits=[1_500_000] * count)
    limit = compute_gas_limit(batch, encode_execute_batch(batch, skip_executed=True))
    outcome = scene.submit(batch, skip_executed=True, gas=limit)
    assert (outcome.executed, outcome.failed) == (count, ())


def test_a_gas_burner_costs_at_most_its_limit(scene: Scene) -> None:
    burner = scene.create("GasBurner")
    good = scene.execution()
    batch = scene.decide(scene.execution(to=burner, call_data=b"\x01"), good, gas_limits=[400_000, 350_000])
    receipt = scene.send(batch)
    assert receipt.status == 1
    assert scene.status(good) is DestinationStatus.EXECUTED
    assert receipt.gas_used < 400_000 + 350_000


# -- a token that answers with bombs ----------------------------------------------------------------------------------


def list_hostile_token(scene: Scene) -> tuple[Address, Token]:
    """A hostile token as the representation of some asset of the hub, with a router's liquidity in it."""
    hostile, owner, holder = scene.create("HostileToken"), scene.wallet("owner"), scene.wallet("user-4")
    token = Token("HOST", hostile, 18, 1111, b"\x55" * 32)
    canonical = (token.canonical_domain, token.canonical_id)
    connext = scene.connext.address
    facet = load_connext_artifact(ROOT, "core/connext/facets/TokenFacet").interface
    name = "setupAssetWithDeployedRepresentation"
    owner.transact(connext, facet.encode(name, canonical, hostile, ZERO_ADDRESS, ZERO_ADDRESS))
    holder.transact(hostile, scene.interface("HostileToken").encode("mint", holder.address, 10**24))
    holder.transact(connext, encode_add_router_liquidity_for(10**23, hostile, dev_account("router-0").address))
    return hostile, token



def poison(scene: Scene, hostile: Address, length: int, selector: bytes = bytes(4)) -> None:
    scene.wallet("user-4").transact(hostile, scene.interface("HostileToken").encode("poison", length, selector))


def hostile_execution(scene: Scene, token: Token) -> ExecuteArgs:
    info = make_transfer(
        token, origin=1111, destination=2222, to=user_address(1), amount=10**18, nonce=next(scene.nonces)
    )
    return sign_execution(info, [dev_account("router-0")], scene.quorum.validators[0].account)


def test_a_return_bomb_is_cut(scene: Scene) -> None:
    """The diamond bubbles what a token reverts with, up to half a megabyte here; the gate keeps 256 bytes of it."""
    hostile, token = list_hostile_token(scene)
    assert scene.submit(scene.decide(hostile_execution(scene, token))).executed == 1
    poison(scene, hostile, 500_000)
    good = scene.execution()
    batch = scene.decide(hostile_execution(scene, token), good, gas_limits=[5_000_000, 350_000])
    receipt = scene.send(batch)
    outcome = parse_outcome(receipt, scene.gate)
    assert outcome is not None
    assert (outcome.executed, [len(one.reason) for one in outcome.failed]) == (1, [256])
    assert scene.status(good) is DestinationStatus.EXECUTED
    assert gas_of_the_gate_alone(scene, receipt) < 150_000, "half a megabyte would take 500,000, its event 4,000,000"


def gas_of_the_gate_alone(scene: Scene, receipt: Receipt) -> int:
    """What a transaction took besides the calls that the gate made."""
    top = scene.rpc.request("debug_traceTransaction", [to_hex(receipt.tx_hash), {"tracer": "callTracer"}])
    return receipt.gas_used - sum(int(call["gasUsed"], 16) for call in top["calls"])


def test_a_token_that_forges_a_systemic_reason_holds_up_its_leaf_only(scene: Scene) -> None:
    """Why only plain tokens are listed: nothing is lost, but a leaf with such a transfer waits."""
    hostile, token = list_hostile_token(scene)
    selector = bytes.fromhex("7c32a2b3")
    poison(scene, hostile, 0, selector)
    good = scene.execution()
    assert scene.refusal(scene.decide(hostile_execution(scene, token), good)) == ("Systemic", selector)
    assert scene.submit(scene.decide(good)).executed == 1


def test_the_gate_has_no_other_door(scene: Scene) -> None:
    assert refusal_of(scene.rpc, scene.gate, b"\x63\xe3\xe7\xd2") == (None,)
