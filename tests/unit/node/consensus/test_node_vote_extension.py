"""ExtendVote says what is new and no more (EXT-4); VerifyVoteExtension refuses form only (EXT-1, EXT-2, EXT-3)."""

from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from abci_app.abci import messages as pb
from abci_app.machine.connext import recover_address
from abci_app.machine.decisions.batches import compute_digest
from abci_app.machine.observation.extension import (
    INJECTED_SEGMENT,
    DomainReport,
    Extension,
    SignedBatch,
    VoteFlag,
    encode_extension,
    parse_extension,
)
from abci_app.machine.observation.stream import decode_segment, encode_segment
from abci_app.machine.params import EXTENSION_BYTES_MAX
from abci_app.machine.state import keys
from abci_app.machine.state.codec import DomainId, Hash, Signature, decode, encode
from abci_app.machine.state.records import DecisionBatch, Domain
from abci_app.machine.transactions.tx import encode_bundle
from abci_app.node.consensus.vote_extension import BUDGET_S, extend
from abci_app.node.signer import Signer
from abci_app.observer.snapshot import Observation, ObservedDomain
from tests.kit.machine.small_world import (
    ATTESTATION_KEYS,
    CHAIN_ID,
    DESTINATION,
    ORIGIN,
    first_state,
    key_address,
    put_record,
    valid_bid,
)
from tests.kit.node.small_chain import FakeChain, Network, make_info, make_xcalled

XCALLED = [make_xcalled(make_info(nonce)) for nonce in range(8)]


@pytest.fixture
def net(tmp_path: Path):
    made = Network(tmp_path)
    yield made
    made.close()


def reports(extension: bytes) -> dict[int, tuple[int, int]]:
    """Domain → (first number, digests) of an extension."""
    parsed = parse_extension(extension)
    return {each.domain: (each.first, len(each.digests)) for each in parsed.reports} if parsed else {}


def say(net: Network, node: int = 0, txs: list[bytes] | None = None, **more) -> bytes:
    """What a node would say at the next height for a block with ``txs``."""
    validator = net.validators[node]
    observation = validator.observer.observation()
    committed = net.committed.view
    return extend(committed, net.height + 1, txs or [], observation, validator.app.signer, **more)


def test_nothing_seen_is_nothing_given(net: Network) -> None:
    assert net.step().extensions == [b""] * 4


def test_each_digest_is_logged_once(net: Network) -> None:
    net.chains[ORIGIN].add([XCALLED[0]])
    net.see()
    assert [reports(extension) for extension in net.step().extensions] == [{ORIGIN: (1, 1)}] * 4
    net.chains[ORIGIN].add()
    net.chains[DESTINATION].add()
    net.see()
    assert reports(say(net, txs=net.prepare())) == {ORIGIN: (2, 1), DESTINATION: (1, 1)}
    step = net.step()
    assert [reports(extension) for extension in step.extensions] == [{ORIGIN: (2, 1), DESTINATION: (1, 1)}] * 4
    assert net.step().extensions == [b""] * 4


def test_a_digest_that_nobody_counted_is_logged_again(net: Network) -> None:
    net.chains[ORIGIN].add([XCALLED[0]])
    net.see()
    net.step(flags={2: VoteFlag.ABSENT})
    step = net.step(corrupt=lambda block: block[:1])  # this proposer leaves the segment out
    assert [reports(extension) for extension in step.extensions] == [{}, {}, {ORIGIN: (1, 1)}, {}]


def test_at_most_four_past_the_cursor(net: Network) -> None:
    for _ in range(7):
        net.chains[ORIGIN].add()
    net.see()
    assert reports(net.step().extensions[0]) == {ORIGIN: (1, 4)}
    step = net.step()  # carries all four
    assert len(step.txs) == 5
    assert reports(step.extensions[0]) == {ORIGIN: (5, 3)}


def test_the_block_s_own_segments_move_the_cursor(net: Network) -> None:
    for _ in range(6):
        net.chains[ORIGIN].add()
    net.see()
    net.step()
    block = net.prepare()
    assert reports(say(net, txs=block)) == {ORIGIN: (5, 2)}
    assert reports(say(net, txs=block[:3])) == {ORIGIN: (5, 2)}  # 1 to 4 are on record, up to 6 = 2 + 4
    assert reports(say(net, txs=block[:1])) == {}
    assert reports(say(net, txs=block[1:])) == {ORIGIN: (5, 2)}
    assert reports(say(net, txs=[])) == {ORIGIN: (1, 4)}  # the commit of this block counted for nothing
    assert reports(say(net, txs=[b"\0\1junk", b"\0\2junk"])) == {ORIGIN: (1, 4)}


@pytest.mark.parametrize("corrupt", [
    lambda segment: replace(segment, domain=DomainId(9)),
    lambda segment: replace(segment, number=2),
    lambda segment: replace(segment, number=0),
])
def test_segments_that_follow_nothing_move_no_cursor(net: Network, corrupt) -> None:
    """EXT-4: a block that nobody here has processed may hold anything; what is said is what is seen."""
    net.chains[ORIGIN].add([XCALLED[0]])
    net.see()
    segment = decode_segment(net.chains[ORIGIN].segments[0].raw)
    given = say(net, txs=[INJECTED_SEGMENT + encode_segment(corrupt(segment))])
    assert reports(given) == {ORIGIN: (1, 1)} == reports(say(net))


def test_a_stream_that_is_not_the_accepted_one_has_nothing_to_say(net: Network) -> None:
    """Node 3's RPC hid an event; once the others' segment is accepted, its digests fit nothing any more."""
    net.chains[ORIGIN].add([XCALLED[0]])
    net.see([0, 1, 2])
    liar = Network(net.validators[0].path.parent / "liar")
    liar.chains[ORIGIN].add([XCALLED[1]])
    liar.chains[ORIGIN].add([XCALLED[2]])
    net.validators[3].observer.see(liar.chains[ORIGIN])
    liar.close()
    assert reports(net.step().extensions[3]) == {ORIGIN: (1, 2)}
    net.step()
    assert net.step().extensions[3] == b""
    net.see([3])
    net.chains[ORIGIN].add()
    net.see([3])
    assert reports(net.step().extensions[3]) == {ORIGIN: (2, 1)}


def test_a_corrected_digest_is_logged_again_with_all_that_follow(net: Network) -> None:
    wrong = Network(net.validators[0].path.parent / "wrong")
    for index in range(3):
        wrong.chains[ORIGIN].add([XCALLED[index]])
    net.validators[0].observer.see(wrong.chains[ORIGIN])
    assert reports(net.step().extensions[0]) == {ORIGIN: (1, 3)}
    wrong.close()
    net.chains[ORIGIN].add([XCALLED[0]])
    net.chains[ORIGIN].add([XCALLED[5]])
    net.see([0])
    assert reports(net.step().extensions[0]) == {ORIGIN: (2, 1)}


@pytest.mark.parametrize("corrupt", [
    lambda segments: segments[1:],  # a gap
    lambda segments: (replace(segments[0], digest=Hash(bytes(32))), *segments[1:]),
    lambda segments: (replace(segments[0], raw=segments[0].raw + b"x"), *segments[1:]),
    lambda segments: (replace(segments[0], number=2), *segments[1:]),
    lambda segments: (),
])
def test_what_does_not_chain_is_not_reported(net: Network, corrupt) -> None:
    for _ in range(3):
        net.chains[ORIGIN].add()
    observed = net.chains[ORIGIN].observed()
    net.validators[0].observer.domains[ORIGIN] = ObservedDomain(ORIGIN, corrupt(observed.segments))
    assert say(net) == b""


def test_unknown_and_foreign_domains_are_passed_over(net: Network) -> None:
    net.chains[ORIGIN].add()
    observed = net.chains[ORIGIN].observed()
    net.validators[0].observer.domains[DomainId(3333)] = replace(observed, domain=DomainId(3333))
    assert say(net) == b""


def test_the_budget_of_time_cuts_short_and_never_fails(net: Network) -> None:
    for chain in net.chains.values():
        chain.add()
    net.see()
    ticks = count()
    assert len(reports(say(net))) == 2
    assert len(reports(say(net, clock=lambda: next(ticks) * BUDGET_S * 0.6))) == 1
    ticks = count()
    assert say(net, clock=lambda: next(ticks) * BUDGET_S * 2.0) == b""


def decide(net: Network, *nonces: int) -> None:
    """Has one transfer decided per height."""
    for nonce in nonces:
        net.chains[ORIGIN].add([XCALLED[nonce]])
        net.see()
        net.step()
        net.step([encode_bundle([valid_bid(XCALLED[nonce].transfer_id)])], proposer=nonce % 2)


def test_committed_batches_are_signed_once_by_each(net: Network) -> None:
    decide(net, 0)
    step = net.step(proposer=3)
    assert [kind for kind, _ in step.events] == ["assigned", "batch"]
    assert step.extensions == [b""] * 4  # not committed when the vote was cast
    step = net.step()
    digest = bytes.fromhex(find_batch_digest(net))
    for validator, extension in zip(net.validators, step.extensions, strict=True):
        parsed = parse_extension(extension)
        assert parsed is not None
        (signed,) = parsed.signatures
        assert recover_address(digest, signed.signature) == key_address(validator.attestation_key)
    assert net.step().extensions == [b""] * 4  # this block's commit carries them


def find_batch_digest(net: Network) -> str:
    raw = net.committed.view.get(keys.batch(net.height - 1))
    assert raw is not None
    return compute_digest(CHAIN_ID, decode(DecisionBatch, raw)).hex()


def test_until_attested_the_missing_signatures_are_sent_again(net: Network) -> None:
    """EXT-4, BAT-5."""
    decide(net, 0)
    net.step(proposer=3)
    absent = {0: VoteFlag.ABSENT, 3: VoteFlag.NIL}  # 4 and 1 of 10
    assert all(net.step(flags=absent).extensions)
    extensions = net.step(flags=absent).extensions
    assert [bool(extension) for extension in extensions] == [True, False, False, True]
    net.step()
    assert net.step().extensions == [b""] * 4


def test_a_stranger_says_nothing(net: Network) -> None:
    net.chains[ORIGIN].add()
    net.see()
    observation = net.validators[0].observer.observation()
    assert extend(net.committed.view, 1, [], observation, Signer(b"\x55" * 32)) == b""
    assert extend(net.committed.view, 1, [], observation, net.validators[0].app.signer) != b""


DIGEST = Hash(b"\x01" * 32)
SIGNED = SignedBatch(1, 1, Signature(b"\x02" * 65))


def report(domain: int, digests: int = 1) -> DomainReport:
    return DomainReport(DomainId(domain), 1, (DIGEST,) * digests)


@pytest.mark.parametrize(("extension", "accepted"), [
    (b"", True),
    (encode_extension((SIGNED,), ()), True),
    (encode_extension((SIGNED, replace(SIGNED, height=2), replace(SIGNED, height=3)), (report(1, 4), report(2))), True),
    (b"\x00", False),
    (b"junk", False),
    (encode_extension((SIGNED,), ())[:-1], False),
    (encode_extension((SIGNED,), ()) + b"\x00", False),
    (encode(Extension(1, (), ())), False),
    (encode(Extension(2, (SIGNED,), ())), False),
    (encode(Extension(1, (SIGNED, SIGNED), ())), False),
    (encode(Extension(1, (replace(SIGNED, height=2), SIGNED), ())), False),
    (encode(Extension(1, tuple(replace(SIGNED, height=height) for height in range(4)), ())), False),
    (encode(Extension(1, (), (report(2), report(1)))), False),
    (encode(Extension(1, (), (report(1), report(1)))), False),
    (encode(Extension(1, (), (report(1, 0),))), False),
    (encode(Extension(1, (), (report(1, 5),))), False),
    (encode(Extension(1, (), tuple(report(domain, 4) for domain in range(1, 15)))), True),
    (encode(Extension(1, (), tuple(report(domain, 4) for domain in range(1, 16)))), False),  # 2,137 bytes
])
def test_only_form_is_verified(net: Network, extension: bytes, accepted: bool) -> None:
    """EXT-1, EXT-2, EXT-3."""
    app = net.validators[0].app
    request = pb.RequestVerifyVoteExtension(
        hash=bytes(32), validator_address=net.validators[1].address, height=1, vote_extension=extension
    )
    assert app.verify_vote_extension(request).status == (1 if accepted else 2)
    assert app.metrics.counters()["extensions_refused"] == (0 if accepted else 1)


def test_domains_take_turns_where_not_all_fit() -> None:
    """Seventeen domains with four digests each: fourteen fit, and each height begins with another one."""
    state, chains = first_state(), {}
    origin = decode(Domain, state.values[keys.domain(ORIGIN)])
    for number in range(1, 16):
        put_record(state, keys.domain(DomainId(number)), replace(origin, domain=DomainId(number)))
    for _, raw in list(state.scan(keys.domains())):
        chain = FakeChain(decode(Domain, raw))
        for _ in range(4):
            chain.add()
        chains[chain.domain.domain] = chain.observed()
    order = sorted(chains)
    for height in (1, 2, 16, 17, 40):
        extension = extend(state, height, [], Observation(chains, {}), Signer(ATTESTATION_KEYS[0]))
        assert len(extension) <= EXTENSION_BYTES_MAX
        begin = height % len(order)
        assert sorted(reports(extension)) == sorted((order[begin:] + order[:begin])[:14])
