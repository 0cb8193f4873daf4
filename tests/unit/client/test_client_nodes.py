"""The client library against a real gateway: every question, fail-over, refusals with their codes."""

from collections.abc import Iterator

import pytest

from abci_app.client.errors import NodeRefused, NodeUnavailable
from abci_app.client.nodes import NodeClient
from abci_app.client.submissions import Wait, make_withdraw, sign_bid
from abci_app.machine.connext import compute_bid_digest, compute_transfer_id, recover_address
from abci_app.machine.state.codec import TransferId
from abci_app.machine.transactions.tx import decode_tx
from abci_app.node.signer import Signer
from tests.kit.gateway.gateway_kit import FakeNode, Served, find_free_port, serve
from tests.kit.machine.driver import CHAIN_ID, KEYS, ROUTERS, A, B, Network, xcalled

ROUTER = ROUTERS[0]
UNKNOWN = TransferId(b"\x0f" * 32)


@pytest.fixture
def served() -> Iterator[Served]:
    network = Network()
    node = FakeNode(network, Signer(network.validators[0].attestation_key))
    node.publish()
    with serve(node) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[NodeClient]:
    client = NodeClient([served.address])
    yield client
    client.close()


def away() -> str:
    return f"127.0.0.1:{find_free_port()}"


def test_every_question(served: Served, client: NodeClient) -> None:
    transfer_id = served.node.network.assign(ROUTER)
    served.node.network.wait(2)
    served.node.publish()
    assert client.status().chain_id == CHAIN_ID
    assert [one.domain for one in client.domains().domains] == [A, B]
    found = client.transfer(transfer_id)
    assert found is not None and found.transfer.status == "ASSIGNED"
    assert [one.transfer_id for one in client.transfers("ASSIGNED", 1, 5).transfers] == [transfer_id]
    assert client.auction(transfer_id).winners[0].router == ROUTER
    assert client.router(ROUTER).domains[0].approved
    assert client.decisions(1, 1).decisions[0].transfer_id == transfer_id
    height = client.decisions().decisions[0].height
    assert client.batch(height).batch.attested_height
    assert client.execution(height, 0).entries[0].sequencer_signature


def test_an_unknown_transfer_is_none(client: NodeClient) -> None:
    assert client.transfer(UNKNOWN) is None


@pytest.mark.parametrize(("ask", "code"), [
    (lambda client: client.transfer(b"\1"), "ARGUMENT_INVALID"), (lambda client: client.auction(UNKNOWN), "NOT_FOUND"),
    (lambda client: client.router(b"\1" * 20), "NOT_FOUND"), (lambda client: client.batch(99), "NOT_FOUND"),
    (lambda client: client.execution(99, 0), "NOT_FOUND"),
    (lambda client: client.transfers("LOST"), "ARGUMENT_INVALID"),
    (lambda client: client.submit(b""), "ARGUMENT_INVALID"),
])
def test_a_refusal_has_its_code(client: NodeClient, ask: object, code: str) -> None:
    with pytest.raises(NodeRefused) as caught:
        ask(client)  # type: ignore[operator]
    assert caught.value.code == code and str(caught.value).startswith(f"{code}: ")


def test_submissions_give_code_and_height(served: Served, client: NodeClient) -> None:
    info = served.node.network.info()
    transfer_id = compute_transfer_id(info)
    served.node.network.block({A: [xcalled(info)]})
    served.node.publish()
    signatures = sign_bid(KEYS[0], transfer_id, (1, 2))
    digests = [compute_bid_digest(transfer_id, length) for length in (1, 2)]
    assert [recover_address(*pair) for pair in zip(digests, signatures, strict=True)] == [ROUTER, ROUTER]
    signed = list(zip((1, 2), signatures, strict=True))
    assert client.submit_bid(transfer_id, ROUTER, signed).code_name == "OK"
    served.node.commit()
    again = client.submit_bid(transfer_id, ROUTER, signed, Wait.COMMITTED)
    assert (again.code_name, again.height) == ("BID_DUPLICATE", 0)
    raw = make_withdraw(KEYS[0], ROUTER, CHAIN_ID, transfer_id)
    assert decode_tx(raw).router == ROUTER  # type: ignore[union-attr]
    assert client.submit(raw, Wait.CHECKED).code == 0
    served.node.commit()
    late = client.submit(raw, Wait.CHECKED)
    assert late.code_name == "WITHDRAW_DUPLICATE"
    foreign = make_withdraw(KEYS[0], ROUTER, "another-chain", transfer_id)
    assert client.submit(foreign, Wait.NONE).code == 0
    assert client.submit(foreign, Wait.CHECKED).code_name == "SIGNATURE_WRONG_SIGNER"


def test_the_next_node_is_asked_and_remembered(served: Served) -> None:
    client = NodeClient([away(), served.address])
    for _ in range(2):
        assert client.status().height == 0
    assert client._preferred == 1
    client.close()


@pytest.mark.parametrize("fault", ["full", "down", "not ready"])
def test_a_node_that_cannot_submit_is_passed_over(served: Served, fault: str) -> None:
    transfer_id = served.node.network.accept()
    served.node.publish()
    signed = list(zip((1,), sign_bid(KEYS[0], transfer_id, (1,)), strict=True))
    raw = make_withdraw(KEYS[1], ROUTERS[1], CHAIN_ID, transfer_id)
    bad = FakeNode(served.node.network)
    if fault != "not ready":
        bad.publish()
    with serve(bad, f"http://{away()}" if fault == "down" else None) as broken:
        if fault == "full":
            broken.engine.error = {"code": -32603, "data": "mempool is full"}
        client = NodeClient([broken.address, served.address])
        client._preferred = 0
        assert client.submit_bid(transfer_id, ROUTER, signed).code == 0
        client._preferred = 0
        assert client.submit(raw, Wait.CHECKED).code == 0
        client._preferred = 0
        assert client.status().height == 1
        client.close()
    assert len(served.node.mempool) == 2


def test_no_node_is_one_line_that_names_all() -> None:
    nodes = [away(), away()]
    client = NodeClient(nodes)
    with pytest.raises(NodeUnavailable) as caught:
        client.status()
    assert all(node in str(caught.value) for node in nodes) and "\n" not in str(caught.value)
    client.close()
