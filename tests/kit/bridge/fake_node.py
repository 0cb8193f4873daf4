"""A node's gRPC without a node: serves batches that a test decided, signed by keys that the test made.

What is served is made by the machine's own code from records, so a relayer cannot tell it from a real one; ``corrupt``
makes it lie, ``hang_s`` makes it slow, ``stop`` takes it away.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import grpc

from abci_app.bridge.leaves import GateTarget
from abci_app.evm.connext import ExecuteArgs
from abci_app.gateway.core.builders import build_decision
from abci_app.gateway.messages import fill_message
from abci_app.machine.connext import compute_transfer_id, encode_transfer_info
from abci_app.machine.decisions import batches
from abci_app.machine.decisions.merkle import compute_root
from abci_app.machine.state.codec import Address, DomainId, Hash
from abci_app.machine.state.records import Decision, DecisionBatch, Leaf
from abci_app.pb import query_pb2 as pb
from abci_app.pb import query_pb2_grpc
from bench.quorum import Quorum, make_decision


@dataclass(frozen=True)
class Offer:
    """One decision to make: what is executed, until when, with how much gas."""

    args: ExecuteArgs
    valid_until_s: int
    gas_limit: int = 600_000


@dataclass
class Stored:
    """One batch with all that belongs to it."""

    batch: DecisionBatch
    decisions: dict[int, Decision]
    offers: dict[int, Offer]


class FakeNode(query_pb2_grpc.QueryServicer):
    """The Query service over batches in memory. ``start`` it, ``stop`` it; both any number of times."""

    def __init__(self, quorum: Quorum, port: int = 0) -> None:
        self.quorum = quorum
        self.port = port
        self.height = 10
        self.stored: dict[int, Stored] = {}
        self.calls: list[str] = []
        self.corrupt: Callable[[Any], Any] = lambda answer: answer
        """Changes every answer on its way out."""
        self.refuse: dict[str, tuple[str, str]] = {}
        """Method → (code, reason)."""
        self.hang_s = 0.0
        self._sequence = 1
        self._lock = threading.Lock()
        self._server: grpc.Server | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> "FakeNode":
        self._server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        query_pb2_grpc.add_QueryServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(self.address)
        self._server.start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(0).wait(5)
            self._server = None

    def __enter__(self) -> "FakeNode":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- what a test decides ----------------------------------------------------------------------------------------

    def decide(
        self, *leaves: tuple[GateTarget, Sequence[Offer]], signers: Sequence[int] = (1, 2, 3), attested: bool = True
    ) -> int:
        """Make the next height's batch of these leaves; return its height."""
        with self._lock:
            self.height += 1
            records, decisions, offers = [], {}, {}
            for place, listed in leaves:
                sequences = range(self._sequence, self._sequence + len(listed))
                self._sequence += len(listed)
                for sequence, offer in zip(sequences, listed, strict=True):
                    made = make_decision(sequence, offer.args, offer.valid_until_s, offer.gas_limit)
                    decisions[sequence] = replace(made, height=self.height)
                    offers[sequence] = offer
                records.append(Leaf(place.domain, place.chain_id, place.gate, 0, 0, tuple(sequences)))
            unsigned = DecisionBatch(self.height, self.quorum.epoch, Hash(bytes(32)), tuple(records), 0, ())
            batch = replace(unsigned, root=compute_root(batches.list_leaf_hashes(unsigned, decisions)))
            self.stored[self.height] = Stored(batch, decisions, offers)
        if attested:
            self.attest(batch.height, signers)
        return batch.height

    def attest(self, height: int, signers: Sequence[int] = (1, 2, 3)) -> None:
        """Have the quorum's validators of these indexes sign a batch, two heights later."""
        with self._lock:
            stored = self.stored[height]
            self.height = max(self.height, height + 2)
            signatures = self.quorum.sign(stored.batch, signers)
            stored.batch = replace(stored.batch, attested_height=height + 2, signatures=signatures)

    # -- the service ------------------------------------------------------------------------------------------------

    def _answer(self, name: str, context: Any, build: Callable[[], Any]) -> Any:
        self.calls.append(name)
        time.sleep(self.hang_s)
        if name in self.refuse:
            code, reason = self.refuse[name]
            context.set_trailing_metadata((("code", code),))
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{code}: {reason}")
        with self._lock:
            return self.corrupt(build())

    def Status(self, request: Any, context: Any) -> Any:
        return self._answer(
            "Status", context, lambda: pb.StatusResponse(chain_id=self.quorum.chain_id, height=self.height)
        )

    def Batches(self, request: Any, context: Any) -> Any:
        def build() -> pb.BatchesResponse:
            heights = [height for height in sorted(self.stored) if height >= request.from_height]
            listed = [self._batch(self.stored[height]) for height in heights[: request.limit]]
            return pb.BatchesResponse(height=self.height, batches=listed)

        return self._answer("Batches", context, build)

    def Batch(self, request: Any, context: Any) -> Any:
        if request.height not in self.stored:
            self._refuse(context, "NOT_FOUND")
        return self._answer(
            "Batch", context,
            lambda: pb.BatchResponse(height=self.height, batch=self._batch(self.stored[request.height])),
        )

    def Execution(self, request: Any, context: Any) -> Any:
        if request.height not in self.stored:
            self._refuse(context, "NOT_FOUND")
        if not self.stored[request.height].batch.attested_height:
            self._refuse(context, "NOT_ATTESTED")
        return self._answer("Execution", context, lambda: self._execution(self.stored[request.height], request.leaf))

    def _refuse(self, context: Any, code: str) -> None:
        context.set_trailing_metadata((("code", code),))
        context.abort(grpc.StatusCode.NOT_FOUND, code)

    def _batch(self, stored: Stored) -> pb.Batch:
        batch = stored.batch
        return pb.Batch(
            height=batch.height, epoch=batch.epoch, root=batch.root, attested_height=batch.attested_height,
            leaves=[self._leaf(leaf) for leaf in batch.leaves], attestations=self._attestations(batch),
        )

    def _leaf(self, leaf: Leaf) -> pb.Leaf:
        return pb.Leaf(
            destination=leaf.destination, chain_id=leaf.chain_id, gate=leaf.gate, lane=leaf.lane,
            lane_floor=leaf.lane_floor, sequences=leaf.sequences,
        )

    def _attestations(self, batch: DecisionBatch) -> list[pb.Attestation]:
        members = self.quorum.validator_set().members
        return [
            pb.Attestation(
                attestation=members[one.member].attestation, power=members[one.member].power, signature=one.signature
            )
            for one in batch.signatures
        ]

    def _execution(self, stored: Stored, index: int) -> pb.ExecutionResponse:
        batch, leaf = stored.batch, stored.batch.leaves[index]
        siblings, path_bits = batches.prove_leaf(batch, stored.decisions, index)
        return pb.ExecutionResponse(
            height=self.height, batch_height=batch.height, epoch=batch.epoch, root=batch.root, leaf=self._leaf(leaf),
            proof=siblings, path_bits=path_bits, attestations=self._attestations(batch),
            entries=[self._entry(stored, sequence) for sequence in leaf.sequences],
            total_power=sum(member.power for member in self.quorum.validator_set().members),
        )

    def _entry(self, stored: Stored, sequence: int) -> pb.ExecutionEntry:
        args = stored.offers[sequence].args
        return pb.ExecutionEntry(
            decision=fill_message(pb.Decision(), build_decision(stored.decisions[sequence])),
            transfer_info=encode_transfer_info(args.params),
            router_signatures=args.router_signatures, sequencer=args.sequencer if args.routers else b"",
            sequencer_signature=args.sequencer_signature,
        )


def transfer_id_of(offer: Offer) -> bytes:
    """Id of the transfer an offer is about."""
    return compute_transfer_id(offer.args.params)


def place_of(domain: int, chain_id: int, gate: bytes) -> GateTarget:
    """A place from plain values."""
    return GateTarget(DomainId(domain), chain_id, Address(gate))
