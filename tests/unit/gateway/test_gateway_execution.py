"""Which of a router's signatures goes into an execution payload: the one for the number of routers decided."""

from dataclasses import replace

import pytest

from abci_app.gateway.core.execution import find_signature
from abci_app.gateway.core.reads import QueryError
from abci_app.machine.connext import compute_bid_digest, recover_address
from abci_app.machine.state import keys
from abci_app.machine.state.records import Bid, Decision
from tests.kit.machine.driver import ROUTERS, Network

FIRST, SECOND, THIRD = ROUTERS[:3]


@pytest.fixture
def network() -> Network:
    """A decided transfer for which two routers signed path lengths 1 and 2."""
    made = Network()
    made.assign(FIRST, SECOND, lengths=(1, 2))
    return made


@pytest.mark.parametrize("routers", [(FIRST,), (SECOND,), (FIRST, SECOND), (SECOND, FIRST)])
def test_each_router_s_signature_is_for_the_decided_length(network: Network, routers: tuple[bytes, ...]) -> None:
    """Connext checks it over (transfer, number of routers): another one reverts the whole execution."""
    decision = replace(network.must(keys.decision(1), Decision), routers=routers)
    digest = compute_bid_digest(decision.transfer_id, len(routers))
    found = [find_signature(network.delta, decision, router) for router in routers]
    assert [recover_address(digest, signature) for signature in found] == list(routers)


@pytest.mark.parametrize("routers", [(THIRD,), (FIRST, SECOND, THIRD)])
def test_a_signature_that_nobody_gave_is_not_made_up(network: Network, routers: tuple[bytes, ...]) -> None:
    decision = replace(network.must(keys.decision(1), Decision), routers=routers)
    with pytest.raises(QueryError, match=f"for {len(routers)} routers"):
        find_signature(network.delta, decision, routers[0])


def test_a_signature_for_more_routers_does_not_stand_in(network: Network) -> None:
    decision = replace(network.must(keys.decision(1), Decision), routers=(FIRST,))
    key = keys.bid(decision.transfer_id, FIRST)
    network.change(key, Bid, signatures=network.must(key, Bid).signatures[1:])
    with pytest.raises(QueryError, match="for 1 routers"):
        find_signature(network.delta, decision, FIRST)
