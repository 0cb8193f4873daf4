"""What a node says is an attested leaf for this place, or the node is not believed."""

from collections.abc import Callable
from typing import Any

import pytest

from abci_app.bridge.leaves import AttestedLeaf, LeafKey
from abci_app.bridge.payload import PayloadInvalid, parse_execution
from abci_app.machine.connext import encode_transfer_info
from abci_app.pb import query_pb2 as pb
from tests.kit.bridge.fake_node import FakeNode, Offer
from tests.kit.bridge.relay_kit import CHAIN_ID, OTHER, PLACE, Refusing, make_offer, make_test_quorum

OFFERS = (make_offer(), make_offer(2), make_offer(0))


def make_answer(*offers: Offer) -> tuple[LeafKey, pb.ExecutionResponse]:
    node = FakeNode(make_test_quorum())
    height = node.decide((OTHER, [offers[0]]), (PLACE, offers), (OTHER, [offers[0]]))
    return LeafKey(height, 1), node.Execution(pb.ExecutionRequest(height=height, leaf=1), Refusing())


def parse(key: LeafKey, answer: pb.ExecutionResponse, chain_id: str = CHAIN_ID) -> AttestedLeaf:
    return parse_execution(answer, key, PLACE, chain_id, 5.0)


def test_an_honest_answer_is_taken_as_it_is() -> None:
    key, answer = make_answer(*OFFERS)
    leaf = parse(key, answer)
    assert (leaf.key, leaf.epoch, leaf.seen_s) == (key, 1, 5.0)
    assert [entry.entry.args for entry in leaf.entries] == [offer.args for offer in OFFERS]
    assert [entry.entry.gas_limit for entry in leaf.entries] == [600_000] * 3
    assert len(leaf.siblings) == 2
    assert len(leaf.attestations) == 3


def test_an_expired_entry_comes_without_a_sequencer() -> None:
    key, answer = make_answer(*OFFERS)
    answer.entries[0].sequencer = answer.entries[0].sequencer_signature = b""
    assert parse(key, answer).entries[0].entry.args.sequencer_signature == b""


def flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def change(path: str, make: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Change the field at a dotted path, indexes included."""
    def apply(answer: Any) -> None:
        target = answer
        *parts, last = path.split(".")
        for part in parts:
            target = target[int(part)] if part.isdigit() else getattr(target, part)
        if last.isdigit():
            target[int(last)] = make(target[int(last)])
        else:
            setattr(target, last, make(getattr(target, last)))

    return apply


def drop(path: str) -> Callable[[Any], None]:
    def apply(answer: Any) -> None:
        target = answer
        for part in path.split("."):
            target = target[int(part)] if part.isdigit() else getattr(target, part)
        del target[-1]

    return apply


LIES: list[tuple[str, Callable[[Any], None], str]] = [
    ("another batch", change("batch_height", lambda value: value + 1), "was asked for"),
    ("another domain", change("leaf.destination", lambda _: 1111), "for domain 1111"),
    ("another chain", change("leaf.chain_id", lambda _: 1), "for chain id 1"),
    ("another gate", change("leaf.gate", flip), "for gate 0x"),
    ("a lease without end", change("entries.0.decision.valid_until_s", lambda _: 2**63), "valid until"),
    ("an ordered lane", change("leaf.lane", lambda _: 7), "lane 7"),
    ("a lane floor", change("leaf.lane_floor", lambda _: 7), "lane"),
    ("an entry less", drop("entries"), "not those of the leaf"),
    ("a sequence less", drop("leaf.sequences"), "not those of the leaf"),
    ("another sequence", change("entries.0.decision.sequence", lambda value: value + 9), "not those of the leaf"),
    ("another transfer", change("entries.0.decision.transfer_id", flip), "attestation"),
    ("half a transfer", change("entries.0.decision.transfer_id", lambda value: value[:16]), "transferId"),
    ("another router", change("entries.0.decision.routers.0", flip), "signature"),
    ("half a router", change("entries.0.decision.routers.0", lambda value: value[:10]), "router"),
    ("other terms", change("entries.0.transfer_info", lambda _: encode_transfer_info(OFFERS[1].args.params)),
        "other terms"),
    ("no terms", change("entries.0.transfer_info", lambda _: b""), "TransferInfo"),
    ("trailing terms", change("entries.0.transfer_info", lambda value: value + bytes(32)), "TransferInfo"),
    ("a bad bid", change("entries.0.router_signatures.0", flip), "router"),
    ("a short bid", change("entries.0.router_signatures.0", lambda value: value[:64]), "SIGNATURE_LENGTH"),
    ("a bid less", drop("entries.1.router_signatures"), "1 router signatures"),
    ("a bad sequencer", change("entries.0.sequencer_signature", flip), "sequencer"),
    ("another sequencer", change("entries.0.sequencer", flip), "sequencer"),
    ("a longer lease", change("entries.0.decision.valid_until_s", lambda value: value + 1), "attestation"),
    ("more gas", change("entries.0.decision.gas_limit", lambda value: value + 1), "attestation"),
    ("another epoch", change("epoch", lambda value: value + 1), "attestation"),
    ("another path", change("path_bits", lambda value: value ^ 1), "attestation"),
    ("path bits beyond it", change("path_bits", lambda value: value | 4), "path bits"),
    ("another sibling", change("proof.0", flip), "attestation"),
    ("half a sibling", change("proof.0", lambda value: value[:16]), "no hash"),
    ("a bad attestation", change("attestations.0.signature", flip), "attestation"),
    ("another signer", change("attestations.0.attestation", flip), "attestation"),
]


@pytest.mark.parametrize(("lie", "reason"), [case[1:] for case in LIES], ids=[case[0] for case in LIES])
def test_a_lie_is_found_out(lie: Callable[[Any], None], reason: str) -> None:
    key, answer = make_answer(*OFFERS)
    lie(answer)
    with pytest.raises(PayloadInvalid, match=reason):
        parse(key, answer)


def test_an_answer_of_another_network_is_a_lie() -> None:
    key, answer = make_answer(*OFFERS)
    with pytest.raises(PayloadInvalid, match="attestation"):
        parse(key, answer, "another-network")


def test_what_is_too_much_is_not_looked_at() -> None:
    key, answer = make_answer(OFFERS[0])
    answer.proof.extend([bytes(32)] * 20)
    with pytest.raises(PayloadInvalid, match="too long"):
        parse(key, answer)
    key, answer = make_answer(OFFERS[0])
    answer.entries.extend([answer.entries[0]] * 32)
    with pytest.raises(PayloadInvalid, match="33 entries"):
        parse(key, answer)
    key, answer = make_answer(OFFERS[0])
    answer.entries[0].decision.routers.extend([answer.entries[0].decision.routers[0]] * 100_000)
    with pytest.raises(PayloadInvalid, match="a path of 100001 routers"):
        parse(key, answer)
    with pytest.raises(PayloadInvalid, match="batch 0"):
        parse(key, pb.ExecutionResponse())
