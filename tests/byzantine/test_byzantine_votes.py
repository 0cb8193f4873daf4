"""A faulty voter among four real validators: wrong extensions, refusals for no reason, a state of its own."""

from functools import partial

import pytest

from tests.kit.byzantine.extension_faults import LARGE_EXTENSION, REFUSED_EXTENSIONS
from tests.kit.byzantine.faulty_network import FAULTY, HEIGHTS, FaultyNetwork, Watch
from tests.kit.byzantine.faulty_node import Orders
from tests.kit.process.local_network import Validator, wait_all

TIMEOUT_S = 60.0


@pytest.mark.slow
def test_an_extension_that_is_not_canonical_costs_its_own_vote_only(network: FaultyNetwork) -> None:
    watch = network.order(Orders(extensions=list(REFUSED_EXTENSIONS)))
    transfer = network.network.send("USDC", 11)
    # A vote of half a megabyte reaches the slower peers after the block is committed, when none of them looks at it.
    small = [fault for fault in REFUSED_EXTENSIONS if fault != LARGE_EXTENSION]
    wait_all(
        {
            **{f"{fault} at {node.name}": partial(is_refused, watch, fault, node)
               for fault in small for node in network.honest},
            LARGE_EXTENSION: lambda: any(is_refused(watch, LARGE_EXTENSION, node) for node in network.honest),
        },
        TIMEOUT_S, network.network.tails,
    )
    network.network.wait_step(transfer, "executed")
    watch.check_agreement()
    for node in network.honest:
        assert node.counters()["extensions_refused"] >= len(small)
        refused = {line["validator"] for line in watch.mark.since(node, "extension refused")}
        assert refused == {f"0x{network.faulty.address}"}
    assert network.faulty.status().attestation not in network.network.attestations(transfer.decided_height)


def test_absurd_content_and_silence_are_taken_and_count_for_nothing(network: FaultyNetwork) -> None:
    silence = ["everything withheld"]
    watch = network.order(Orders(silence, extensions=["absurd content", "absurd content", "nothing"]))
    transfer = network.network.send("DAI", 12)
    network.network.wait_step(transfer, "executed")
    watch.check_agreement()
    assert len(watch.heights("absurd content")) + len(watch.heights("nothing")) >= HEIGHTS
    for node in network.honest:
        assert watch.mark.since(node, "extension refused") == []
    assert network.faulty.status().attestation not in network.network.attestations(transfer.decided_height)


def test_a_wrong_signature_under_a_batch_counts_as_none(network: FaultyNetwork) -> None:
    """Three of four are enough, and the faulty fourth never appears among the signers."""
    own = network.faulty.status().attestation
    watch = network.order(Orders(extensions=["batches signed by a stranger", "another digest signed"]))
    for units in (13, 14):
        transfer = network.network.send("USDC", units)
        network.network.wait_step(transfer, "executed")
        signers = network.network.attestations(transfer.decided_height)
        assert len(signers) == 3 and own not in signers
    watch.check_agreement()
    for node in network.honest:
        assert watch.mark.since(node, "extension refused") == []


@pytest.mark.slow
def test_a_voter_that_refuses_everything_is_outvoted(network: FaultyNetwork) -> None:
    watch = network.order(Orders(refuses_proposals=True))
    transfer = network.network.send("USDC", 15)
    network.network.wait_step(transfer, "executed")
    watch.check_agreement()
    assert len(watch.heights("proposal refused")) >= HEIGHTS

    watch = network.order(Orders(refuses_extensions=True))
    transfer = network.network.send("USDC", 16)
    network.network.wait_step(transfer, "executed")
    watch.check_agreement()
    assert watch.was_done("extension refused")
    network.recover()


@pytest.mark.slow
def test_a_node_with_another_state_stops_and_comes_back_from_its_peers(network: FaultyNetwork) -> None:
    watch = network.order(Orders(lies_about_state=True))
    transfer = network.network.send("DAI", 17)
    network.network.wait_step(transfer, "executed")
    watch.check_agreement()
    assert watch.was_done("app hash forged")
    assert network.faulty.height() < network.network.height()

    # Nothing of its own is worth anything any more: it starts from genesis, and has what all others have.
    network.network.wipe(FAULTY)
    network.recover()
    assert network.faulty.status().next_sequence == network.honest[0].status().next_sequence


def is_refused(watch: Watch, fault: str, node: Validator) -> bool:
    """Whether a node refused an extension of this kind."""
    heights = {line["height"] for line in watch.mark.since(node, "extension refused")}
    return any(height in heights for height in watch.heights(fault))
