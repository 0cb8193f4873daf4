"""The first state: what the documented JSON becomes (GEN-1 … GEN-3), and everything in it that is refused."""

import copy
import json
from hashlib import sha256
from typing import Any

import pytest

from abci_app.machine.codes import Code, Rejected
from abci_app.machine.connext import hash_personal, keccak, sign_digest
from abci_app.machine.genesis.build import (
    FIRST_EPOCH,
    build_state,
    compute_consensus_address,
    compute_possession_digest,
    make_app_state,
    order_members,
)
from abci_app.machine.genesis.json_form import from_json, to_json
from abci_app.machine.observation.stream import compute_first_digest
from abci_app.machine.params import INDEX_WHOLE_BLOCK, FeeRow, Params
from abci_app.machine.state import keys
from abci_app.machine.state.codec import decode, encode
from abci_app.machine.state.records import (
    Asset,
    AssetLocal,
    ChainState,
    Domain,
    DomainStatus,
    Lane,
    Liquidity,
    Member,
    Router,
    ValidatorSet,
)
from abci_app.machine.state.tree import Tree
from tests.kit.machine.small_world import (
    ATTESTATION_KEYS,
    CANONICAL_ID,
    CHAIN_ID,
    CONSENSUS_KEYS,
    DESTINATION,
    LIQUIDITY,
    LOCALS,
    ORIGIN,
    POWERS,
    ROUTERS,
    first_state,
    init_chain_validators,
    valid_app_state,
    valid_domain,
    valid_validator,
)

Path = tuple[str | int, ...]


def build(app_state: dict[str, Any], chain_id: str = CHAIN_ID) -> dict[bytes, bytes]:
    return build_state(app_state, chain_id, init_chain_validators())


def refusal(app_state: dict[str, Any], **more: Any) -> str:
    """The reason with which a genesis is refused; its code is always the one of the rule."""
    with pytest.raises(Rejected) as refused:
        build(app_state, **more)
    assert refused.value.code is Code.GENESIS_INVALID
    return refused.value.reason


# --- what it becomes ------------------------------------------------------------------------------------------------


def test_gen_3_the_first_state_holds_every_record() -> None:
    """GEN-1, GEN-3: counters, epoch 1, domains with their cursor at G, lanes both ways, assets, routers, balances."""
    state = build(valid_app_state())
    assert list(state) == sorted(state)
    chain = decode(ChainState, state[keys.CHAIN])
    assert chain == ChainState(CHAIN_ID, 0, 0, 1, 1, (), FIRST_EPOCH, FIRST_EPOCH, FIRST_EPOCH, 1, 1)
    assert decode(Params, state[keys.PARAMS]) == Params()

    domain = decode(Domain, state[keys.domain(ORIGIN)])
    given = valid_domain(ORIGIN)
    assert (domain.chain_id, domain.connext, domain.gate) == (given.chain_id, given.connext, given.gate)
    assert (domain.status, domain.eligible, domain.max_routers) == (DomainStatus.OPEN, True, 5)
    cursor = domain.cursor
    assert (cursor.number, cursor.block, cursor.index) == (0, 100, INDEX_WHOLE_BLOCK)
    assert cursor.digest == compute_first_digest(domain)

    lanes = [decode(Lane, raw) for key, raw in state.items() if key.startswith(keys.lanes())]
    assert [(lane.origin, lane.destination) for lane in lanes] == [(ORIGIN, DESTINATION), (DESTINATION, ORIGIN)]
    assert all(lane == Lane(lane.origin, lane.destination, DomainStatus.OPEN, False, 1, False, 0, 0) for lane in lanes)

    asset = decode(Asset, state[keys.asset(ORIGIN, CANONICAL_ID)])
    assert asset == Asset(ORIGIN, CANONICAL_ID, 10, tuple(
        AssetLocal(each, LOCALS[each], 6, True) for each in (ORIGIN, DESTINATION)
    ))
    assert decode(Router, state[keys.router(DESTINATION, ROUTERS[0])]) == Router(
        ROUTERS[0], DESTINATION, True, True, 0, 0
    )
    key = keys.liquidity(DESTINATION, LOCALS[DESTINATION], ROUTERS[2])
    assert decode(Liquidity, state[key]) == Liquidity(LIQUIDITY, 0, False)
    assert len(state) == 3 + 2 + 2 + 1 + 6 + 6


def test_gen_2_the_first_epoch_has_cometbfts_order() -> None:
    """GEN-2: power descending, then consensus address; the genesis lists validators in any order."""
    app_state = valid_app_state()
    app_state["validators"].reverse()
    validators = decode(ValidatorSet, build(app_state)[keys.epoch(FIRST_EPOCH)])
    assert validators.epoch == FIRST_EPOCH
    assert [member.power for member in validators.members] == sorted(POWERS, reverse=True)
    equal = [Member(key, 5, valid_validator(0).attestation) for key in CONSENSUS_KEYS]
    addresses = [compute_consensus_address(member.consensus_key) for member in order_members(equal)]
    assert addresses == sorted(sha256(key).digest()[:20] for key in CONSENSUS_KEYS)


def test_gen_1_lists_may_stand_in_any_order_and_the_json_may_travel() -> None:
    """GEN-1: the first app hash depends on what is said, not on how; the file survives JSON."""
    app_state = json.loads(json.dumps(valid_app_state(), sort_keys=True))
    expected = Tree.build(build(valid_app_state())).root
    for name in ("domains", "routers", "validators", "assets"):
        app_state[name].reverse()
    assert Tree.build(build(app_state)).root == expected


def test_gen_1_defaults_and_both_forms_of_integers() -> None:
    """GEN-1: parameters may be left out, integers may be decimal strings; large ones are written as such."""
    app_state = valid_app_state(Params(lease_s=30))
    app_state["params"] = {"lease_s": "30"}
    app_state["domains"][0]["chain_id"] = str(app_state["domains"][0]["chain_id"])
    del app_state["domains"][0]["connext_paused"]
    assert build(app_state) == build(valid_app_state(Params(lease_s=30)))
    del app_state["params"]
    assert decode(Params, build(app_state)[keys.PARAMS]) == Params()
    app_state["routers"][0]["balances"][0]["amount"] = 10**30
    assert to_json(10**30) == "1000000000000000000000000000000"
    assert to_json(2**53 - 1) == 2**53 - 1
    assert 10**30 in [decode(Liquidity, raw).balance for key, raw in build(app_state).items() if b"liquidity" in key]


def test_gen_1_a_fee_table_and_a_single_domain() -> None:
    """GEN-1, GEN-3: rows for existing lanes; one domain alone has no lane."""
    table = (FeeRow(ORIGIN, DESTINATION, LOCALS[ORIGIN], 5),)
    assert decode(Params, build(valid_app_state(Params(fee_table=table)))[keys.PARAMS]).fee_table == table
    alone = make_app_state(Params(), [valid_domain(ORIGIN)], [], [], [valid_validator(i) for i in range(4)])
    assert not any(key.startswith(keys.lanes()) for key in build(alone))


def test_the_first_app_hash_is_pinned() -> None:
    """GEN-1, TRE-1: golden: the same file gives the same first app hash for ever."""
    root = "69e17d067dd1445349574a65022c08d35859362f43f7b83efb917fb045a55369"
    assert Tree.build(first_state().values).root.hex() == root


def test_gen_2_the_possession_digest_is_pinned() -> None:
    """GEN-2: what an attestation key signs, bound to chain and consensus key."""
    expected = hash_personal(keccak(
        b"consensus-routing/attestation-key" + keccak(CHAIN_ID.encode()) + CONSENSUS_KEYS[0]
    ))
    assert compute_possession_digest(CHAIN_ID, CONSENSUS_KEYS[0]) == expected


# --- what is refused ------------------------------------------------------------------------------------------------


def corrupt(path: Path, value: Any) -> dict[str, Any]:
    """A valid app_state with the value at `path` replaced, or removed where the value is REMOVED."""
    app_state = copy.deepcopy(valid_app_state())
    holder: Any = app_state
    for step in path[:-1]:
        holder = holder[step]
    if value is REMOVED:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return app_state


REMOVED = object()
ZERO_20, ZERO_32 = "0x" + "00" * 20, "0x" + "00" * 32
OTHER_20 = "0x" + "f1" * 20
DOMAIN_0: Path = ("domains", 0)


@pytest.mark.parametrize("path, value", [
    (("surprise",), 1), (("params", "lease"), 1), ((*DOMAIN_0, "name"), "x"), ((*DOMAIN_0, "cursor", "index"), 0),
    ((*DOMAIN_0, "status"), 1), (("assets", 0, "locals", 0, "listed"), True), (("routers", 0, "faults"), 0),
    (("domains",), REMOVED), (("validators",), REMOVED), ((*DOMAIN_0, "gate"), REMOVED),
    ((*DOMAIN_0, "cursor", "block_hash"), REMOVED), (("validators", 0, "proof"), REMOVED),
    (("routers", 0, "approved"), REMOVED),
])
def test_gen_1_refuses_unknown_and_missing_names(path: Path, value: Any) -> None:
    """GEN-1: exactly the documented names; the reason says where."""
    reason = refusal(corrupt(path, value))
    assert str(path[-1]) in reason
    assert ("missing" if value is REMOVED else "unknown name") in reason


@pytest.mark.parametrize("path, value", [
    (("domains",), {}), (("domains", 0), []), (("domains", 0), None), (("params",), []), (("routers",), None),
    ((*DOMAIN_0, "chain_id"), -1), ((*DOMAIN_0, "chain_id"), 2**64), ((*DOMAIN_0, "chain_id"), 1.0),
    ((*DOMAIN_0, "chain_id"), True), ((*DOMAIN_0, "chain_id"), None), ((*DOMAIN_0, "chain_id"), ""),
    ((*DOMAIN_0, "chain_id"), "0x1"), ((*DOMAIN_0, "chain_id"), "007"), ((*DOMAIN_0, "chain_id"), "+7"),
    ((*DOMAIN_0, "chain_id"), "٧"), ((*DOMAIN_0, "chain_id"), "9" * 5000), ((*DOMAIN_0, "domain"), 2**32),
    ((*DOMAIN_0, "max_routers"), 2**16), (("routers", 0, "balances", 0, "amount"), str(2**256)),
    ((*DOMAIN_0, "connext"), "0x" + "11" * 19), ((*DOMAIN_0, "connext"), "11" * 21),
    ((*DOMAIN_0, "connext"), "0x" + "AA" * 20), ((*DOMAIN_0, "connext"), "0x" + "1g" * 20),
    ((*DOMAIN_0, "connext"), 5), ((*DOMAIN_0, "connext_paused"), 0), ((*DOMAIN_0, "connext_paused"), "false"),
    (("validators", 0, "proof"), "0x"),
])
def test_gen_1_refuses_values_of_another_form(path: Path, value: Any) -> None:
    """GEN-1: types, widths, full-length lower-case hex, plain decimal strings."""
    assert ".".join(str(step) for step in path if isinstance(step, str)).split(".")[0] in refusal(corrupt(path, value))


@pytest.mark.parametrize("path, value", [
    ((*DOMAIN_0, "domain"), 0), ((*DOMAIN_0, "chain_id"), 0), ((*DOMAIN_0, "connext"), ZERO_20),
    ((*DOMAIN_0, "gate"), ZERO_20), ((*DOMAIN_0, "gate"), valid_app_state()["domains"][0]["connext"]),
    ((*DOMAIN_0, "stream_version"), 2), ((*DOMAIN_0, "segment_blocks"), 0), ((*DOMAIN_0, "idle_blocks"), 0),
    ((*DOMAIN_0, "segment_blocks"), 4), ((*DOMAIN_0, "cursor", "block_hash"), ZERO_32),
    ((*DOMAIN_0, "cursor", "timestamp_s"), 0), ((*DOMAIN_0, "max_routers"), 0), ((*DOMAIN_0, "fee_numerator"), 10_001),
    (("assets", 0, "canonical_id"), ZERO_32), (("assets", 0, "locals", 0, "address"), ZERO_20),
    (("assets", 0, "locals", 0, "domain"), 3333), (("assets", 0, "locals", 1, "domain"), ORIGIN),
    (("routers", 0, "router"), ZERO_20), (("routers", 0, "domain"), 3333),
    (("routers", 0, "balances", 0, "local"), OTHER_20),
    (("routers", 0, "balances", 0, "local"), "0x" + LOCALS[DESTINATION].hex()),
    (("params", "fee_table"), [{"origin": ORIGIN, "destination": 3333, "asset": OTHER_20, "amount": 1}]),
    (("params", "fee_table"), [{"origin": ORIGIN, "destination": ORIGIN, "asset": OTHER_20, "amount": 1}]),
    (("params", "fee_table"), [{"origin": 3333, "destination": ORIGIN, "asset": OTHER_20, "amount": 1}]),
    (("params", "lease_s"), 0), (("params", "attempts_max"), 0), (("params", "attempts_max"), 17),
    (("params", "slow_attempts"), 17), (("params", "auction_window_blocks"), 0), (("params", "gas_base"), 0),
    (("params", "gas_base"), 13_000_001), (("params", "gas_per_router"), 13_000_001),
    (("params", "segments_bytes"), 128 * 1024), (("params", "bids_per_transfer"), 0),
    (("params", "retention_blocks"), 0), (("params", "stale_after_s"), 0),
])
def test_gen_1_refuses_values_out_of_range(path: Path, value: Any) -> None:
    """GEN-1: zero where something must stand, unknown references, parameters under which a rule would stand still."""
    refusal(corrupt(path, value))


def test_gen_1_takes_the_bounds() -> None:
    """GEN-1: the last values that are allowed, so that the table above refuses no more than it says."""
    for path, value in [
        ((*DOMAIN_0, "fee_numerator"), 10_000), ((*DOMAIN_0, "fee_numerator"), 0), ((*DOMAIN_0, "idle_blocks"), 1),
        ((*DOMAIN_0, "chain_id"), 2**64 - 1), ((*DOMAIN_0, "chain_id"), 1), ((*DOMAIN_0, "cursor", "timestamp_s"), 1),
        (("params", "gas_base"), 13_000_000), (("params", "attempts_max"), 16), (("params", "cool_down_blocks"), 0),
        (("params", "auction_extra_blocks"), 0), (("params", "segments_bytes"), 129 * 1024),
        (("routers", 0, "balances", 0, "amount"), str(2**256 - 1)),
    ]:
        assert build(corrupt(path, value))


def test_gen_1_refuses_a_domain_id_that_is_zero_or_stands_twice() -> None:
    """GEN-1: also where nothing else about the genesis is wrong."""
    for domain, reason in ((0, "must not be 0"), (DESTINATION, "a domain id stands there twice")):
        app_state = valid_app_state()
        app_state["assets"], app_state["routers"] = [], []
        assert build(app_state)
        app_state["domains"][0]["domain"] = domain
        assert reason in refusal(app_state)


@pytest.mark.parametrize("name", ["domains", "assets", "routers", "validators"])
def test_gen_1_refuses_an_entry_that_stands_twice(name: str) -> None:
    """GEN-1: duplicates of whole entries; for validators also against CometBFT's list (GEN-2)."""
    app_state = valid_app_state()
    app_state[name].append(copy.deepcopy(app_state[name][0]))
    assert "twice" in refusal(app_state)


def test_gen_1_refuses_a_chain_id_a_local_asset_a_balance_or_a_fee_row_twice() -> None:
    """GEN-1: what must be unique inside and across entries."""
    app_state = valid_app_state()
    app_state["domains"][1]["chain_id"] = app_state["domains"][0]["chain_id"]
    assert "a chain id stands there twice" in refusal(app_state)

    app_state = valid_app_state()
    other = copy.deepcopy(app_state["assets"][0])
    other["canonical_id"] = "0x" + "c2" * 32
    app_state["assets"].append(other)
    assert "a local asset stands there twice" in refusal(app_state)

    app_state = valid_app_state()
    app_state["routers"][0]["balances"] *= 2
    assert "twice" in refusal(app_state)

    row = FeeRow(ORIGIN, DESTINATION, LOCALS[ORIGIN], 5)
    assert "twice" in refusal(valid_app_state(Params(fee_table=(row, row))))


@pytest.mark.parametrize("change", [
    lambda validators: validators.pop(),
    lambda validators: validators[0].update(power=9),
    lambda validators: validators[0].update(consensus_key="0x" + "aa" * 32),
    lambda validators: validators[1].update(attestation=validators[0]["attestation"]),
    lambda validators: validators[0].update(attestation=OTHER_20),
    lambda validators: validators[0].update(proof=validators[1]["proof"]),
    lambda validators: validators[0].update(proof="0x" + "00" * 65),
    lambda validators: validators[0].update(proof="0x" + bytes(valid_validator(0, "other-chain").proof).hex()),
    lambda validators: validators[0].update(
        proof="0x" + sign_digest(ATTESTATION_KEYS[0], compute_possession_digest(CHAIN_ID, CONSENSUS_KEYS[1])).hex()
    ),
    lambda validators: validators.clear(),
])
def test_gen_2_refuses_other_validators_and_unproven_keys(change: Any) -> None:
    """GEN-2: CometBFT's own keys and powers; unique attestation addresses, each proven for this chain and key."""
    app_state = valid_app_state()
    change(app_state["validators"])
    assert "app_state.validators" in refusal(app_state)


@pytest.mark.parametrize("validators", [
    [], init_chain_validators()[1:], [*init_chain_validators(), (bytes(32), 1)],
    [(key, power + 1) for key, power in init_chain_validators()],
])
def test_gen_2_refuses_what_init_chain_does_not_bring(validators: list[tuple[bytes, int]]) -> None:
    """GEN-2: both lists must say the same."""
    with pytest.raises(Rejected) as refused:
        build_state(valid_app_state(), CHAIN_ID, validators)
    assert refused.value.code is Code.GENESIS_INVALID


@pytest.mark.parametrize("chain_id", ["", "x" * 51])
def test_gen_1_refuses_chain_ids_cometbft_refuses(chain_id: str) -> None:
    """GEN-1: 1 to 50 characters."""
    assert "chain_id" in refusal(valid_app_state(), chain_id=chain_id)


def test_gen_2_refuses_powers_cometbft_cannot_sum() -> None:
    """GEN-2: the total is at most 2^63 / 8, and nobody has power 0."""
    for power in (2**60, 0):
        app_state = valid_app_state()
        app_state["validators"][0]["power"] = str(power)
        validators = [(key, power if key == CONSENSUS_KEYS[0] else old) for key, old in init_chain_validators()]
        with pytest.raises(Rejected) as refused:
            build_state(app_state, CHAIN_ID, validators)
        assert "power" in refused.value.reason


def test_json_form_names_the_place() -> None:
    """GEN-1: the reason leads to the value, so that a file of a thousand lines can be mended."""
    app_state = corrupt(("routers", 3, "balances", 0, "amount"), -1)
    assert refusal(app_state).startswith("app_state.routers[3].balances[0].amount: must be an integer")
    assert from_json(Params, to_json(Params()), "params") == Params()
    assert encode(from_json(Params, {}, "params")) == encode(Params())
