"""What no honest node says: each answer that makes no sense is refused, and the next node is asked."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from abci_app.client.answers import check_bids, check_domains, check_transfer, check_transfers
from abci_app.client.errors import NodeUnavailable
from abci_app.client.nodes import NodeClient
from abci_app.pb import query_pb2 as pb
from abci_app.pb import query_pb2_grpc, tx_service_pb2, tx_service_pb2_grpc
from tests.kit.gateway.gateway_kit import FakeNode, serve
from tests.kit.machine.driver import A, B

ID = b"\x01" * 32


def transfer(**changes: Any) -> pb.Transfer:
    fields: dict[str, Any] = {
        "transfer_id": ID, "status": "ACCEPTED", "acceptance": 5, "amount": str(2**256 - 1), "local": b"\x02" * 20,
        "origin_tx": b"\x03" * 32,
    }
    return pb.Transfer(**{**fields, **changes})


def answer(bids: list[pb.StandingBid] | None = None, **changes: Any) -> pb.TransferResponse:
    return pb.TransferResponse(transfer=transfer(**changes), bids=bids or [])


def domains(connext: bytes = b"\1" * 20, gate: bytes = b"\2" * 20, token: bytes = b"\3" * 20, name: bytes = ID) -> Any:
    return pb.DomainsResponse(
        domains=[pb.Domain(domain=A, connext=connext, gate=gate)],
        assets=[pb.Asset(canonical_id=name, locals=[pb.AssetLocal(domain=A, address=token)])],
    )


def test_what_honest_nodes_say_passes() -> None:
    check_domains(domains())
    check_transfer(answer(), ID)
    check_transfer(answer(local=b"", origin_tx=b"", amount="0"), ID)
    check_transfer(answer(status="ASSIGNED", attempts=[pb.Attempt()]), ID)
    check_transfer(answer([pb.StandingBid(path_lengths=[1, 2, 4]), pb.StandingBid(withdrawn=True)]), ID)
    check_transfers(pb.TransfersResponse(transfers=[transfer(), transfer(acceptance=6)]), 5, 2)
    check_transfers(pb.TransfersResponse(), 5, 0)
    check_transfers(pb.TransfersResponse(transfers=[transfer()], next_acceptance=6), 5, 1)
    check_transfers(pb.TransfersResponse(next_acceptance=6), 5, 0)
    check_bids(tx_service_pb2.SubmitBidsResponse(answers=[{}]))  # type: ignore[list-item]


@pytest.mark.parametrize("check", [
    lambda: check_domains(domains(connext=b"\1" * 19)),
    lambda: check_domains(domains(gate=b"")),
    lambda: check_domains(domains(token=b"\1" * 32)),
    lambda: check_domains(domains(name=b"")),
    lambda: check_transfer(answer(transfer_id=b"\x09" * 32), ID),
    lambda: check_transfer(answer(status="LOST"), ID),
    lambda: check_transfer(answer(status="ASSIGNED"), ID),
    lambda: check_transfer(answer(amount=""), ID),
    lambda: check_transfer(answer(amount="-1"), ID),
    lambda: check_transfer(answer(amount="1e9"), ID),
    lambda: check_transfer(answer(amount="²"), ID),
    lambda: check_transfer(answer(amount="1" * 5000), ID),
    lambda: check_transfer(answer(local=b"\1"), ID),
    lambda: check_transfer(answer(origin_tx=b"\1" * 31), ID),
    lambda: check_transfer(answer([pb.StandingBid(path_lengths=[0])]), ID),
    lambda: check_transfer(answer([pb.StandingBid(path_lengths=[3])]), ID),
    lambda: check_transfer(answer([pb.StandingBid(path_lengths=[2, 1])]), ID),
    lambda: check_transfer(answer([pb.StandingBid(path_lengths=[1, 1])]), ID),
    lambda: check_transfers(pb.TransfersResponse(transfers=[transfer()]), 6, 0),
    lambda: check_transfers(pb.TransfersResponse(transfers=[transfer(), transfer(acceptance=6)]), 5, 1),
    lambda: check_transfers(pb.TransfersResponse(transfers=[transfer(), transfer()]), 5, 0),
    lambda: check_transfers(pb.TransfersResponse(transfers=[transfer(acceptance=2**64 - 1)]), 5, 0),
    lambda: check_transfers(pb.TransfersResponse(transfers=[transfer(transfer_id=b"")]), 5, 0),
    lambda: check_transfers(pb.TransfersResponse(transfers=[transfer()], next_acceptance=5), 4, 1),
    lambda: check_transfers(pb.TransfersResponse(next_acceptance=5), 5, 0),
    lambda: check_transfers(pb.TransfersResponse(next_acceptance=4), 5, 0),
    lambda: check_bids(tx_service_pb2.SubmitBidsResponse()),
])
def test_what_makes_no_sense_is_refused(check: Callable[[], None]) -> None:
    with pytest.raises(ValueError):
        check()


class Liar(query_pb2_grpc.QueryServicer, tx_service_pb2_grpc.TxServicer):
    """Says what no node says."""

    def Domains(self, request: Any, context: Any) -> pb.DomainsResponse:
        return domains(connext=b"")  # type: ignore[no-any-return]

    def Transfer(self, request: Any, context: Any) -> pb.TransferResponse:
        return answer(status="ASSIGNED")

    def Transfers(self, request: Any, context: Any) -> pb.TransfersResponse:
        return pb.TransfersResponse(transfers=[transfer(acceptance=2**64 - 1)])

    def SubmitBids(self, request: Any, context: Any) -> tx_service_pb2.SubmitBidsResponse:
        return tx_service_pb2.SubmitBidsResponse()


@contextmanager
def lying() -> Iterator[str]:
    """The address of a node that lies."""
    server = grpc.server(ThreadPoolExecutor(2))
    query_pb2_grpc.add_QueryServicer_to_server(Liar(), server)
    tx_service_pb2_grpc.add_TxServicer_to_server(Liar(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait(10)


def test_the_next_node_is_asked() -> None:
    node = FakeNode()
    transfer_id = node.network.accept()
    node.publish()
    with lying() as liar, serve(node) as served:
        client = NodeClient([liar, served.address])
        assert {domain.domain for domain in client.domains().domains} == {A, B}
        client.pass_over()
        found = client.transfer(transfer_id)
        assert found is not None and found.transfer.transfer_id == transfer_id
        client.pass_over()
        assert [one.transfer_id for one in client.transfers("ACCEPTED", 0, 10).transfers] == [transfer_id]
        client.pass_over()
        assert client.submit_bid(transfer_id, b"\x09" * 20, [(1, b"\x07" * 65)]).code_name.startswith("SIGNATURE")
        client.close()


@pytest.mark.parametrize("ask", [
    lambda client: client.domains(), lambda client: client.transfer(ID),
    lambda client: client.transfers("ACCEPTED", 0, 10), lambda client: client.submit_bid(ID, b"\x09" * 20, []),
])
def test_where_all_lie_nobody_answers(ask: Callable[[NodeClient], object]) -> None:
    with lying() as liar:
        client = NodeClient([liar])
        with pytest.raises(NodeUnavailable, match="makes no sense"):
            ask(client)
        client.close()
