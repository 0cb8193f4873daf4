"""A chain with its committed domain and the follower that reads it through one endpoint."""

from dataclasses import replace
from typing import Any

from abci_app.machine.observation.stream import XCalled, decode_segment
from abci_app.observer.endpoint_follower import EndpointFollower, StepOutcome
from abci_app.observer.observation_errors import ErrorCause, ObservationError, ObservationErrorLog
from tests.kit.evm.rpc_proxy import Faults
from tests.kit.observer.fake_chain import DOMAIN, FakeChain, FakeRpc, address, xcalled


class Recorder(ObservationErrorLog):
    """Keeps every error."""

    def __init__(self) -> None:
        super().__init__()
        self.causes: list[ErrorCause] = []
        self.details: list[str] = []

    def record(self, domain: int, source: str, error: ObservationError) -> None:
        self.causes.append(error.cause)
        self.details.append(str(error))


class Setting:
    """A chain, its committed domain and a follower."""

    def __init__(self, chain: FakeChain, **changes: Any) -> None:
        self.chain = chain
        self.domain = chain.domain(**changes)
        self.faults = Faults()
        self.errors = Recorder()
        self.now_s = 0.0
        self.follower = self.make_follower()

    def make_follower(self) -> EndpointFollower:
        rpc = FakeRpc(self.chain, self.faults)
        return EndpointFollower(DOMAIN, "rpc0", rpc, lambda: {DOMAIN: self.domain}, self.errors, lambda: self.now_s)

    def settle(self) -> StepOutcome:
        """Step until there is nothing more to do at once."""
        for _ in range(100):
            outcome = self.follower.step()
            if outcome is not StepOutcome.AGAIN:
                return outcome
        raise AssertionError("the follower never rests")

    def numbers(self) -> list[int]:
        return [segment.number for segment in self.follower.view.segments]

    def accept(self, count: int) -> None:
        """Commit the next segments, as the machine does."""
        for observed in self.follower.view.segments[:count]:
            segment = decode_segment(observed.raw)
            calls = sum(isinstance(event.event, XCalled) for event in segment.events)
            cursor = replace(
                self.domain.cursor, number=segment.number, block=segment.end_block, index=segment.end_index,
                block_hash=segment.end_block_hash, timestamp_s=segment.end_timestamp_s, digest=observed.digest,
            )
            self.domain = replace(self.domain, cursor=cursor, next_nonce=self.domain.next_nonce + calls)


def routine_chain() -> FakeChain:
    """Blocks 2 … 9: events in 3, 4 and 8."""
    chain = FakeChain()
    chain.add()
    chain.add(xcalled(0))
    chain.add(xcalled(1), ("RouterAdded", {"router": address(1), "caller": address(2)}))
    chain.grow(3)
    chain.add(("Paused", {}))
    chain.grow(1)
    return chain
