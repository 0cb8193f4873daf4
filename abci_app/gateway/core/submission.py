"""Submission of a transaction or of bids through the node's own engine; the answer is a code, never a guess."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256

from abci_app.gateway.codes import AnswerCode
from abci_app.gateway.core.bundler import Bundler, Sent
from abci_app.gateway.core.engine import Engine
from abci_app.gateway.core.reads import NodeReads, QueryError
from abci_app.gateway.core.slots import Slots
from abci_app.gateway.core.waiters import CommitWaiters
from abci_app.machine.codes import Code
from abci_app.machine.params import TX_BYTES_MAX
from abci_app.machine.transactions.admission import check_tx
from abci_app.machine.transactions.tx import BidBundle, SubmittedBid, decode_tx, encode_bundle

WAIT_DEFAULT_S = 10.0
WAIT_MAX_S = 60.0
CHECK_MAX_S = 12.0
"""Twice the engine's deadline: a bundle, and a part of it after that."""
BIDS_PER_CALL_MAX = 1024
SUBMITTING_MAX = 24
"""Calls that submit at once: each waits for the engine's CheckTx."""
WAITING_MAX = 128
"""Calls that wait for a commit at once: each holds a thread of the server, half of which stay free for other calls."""

IsWanted = Callable[[], bool]
"""Tells whether somebody still waits for the answer."""


class Wait(IntEnum):
    """Event that a submission waits for."""

    NONE = 0
    CHECKED = 1
    COMMITTED = 2


@dataclass(frozen=True, slots=True)
class SubmissionOutcome:
    """Result of a submitted transaction or bid, as far as the call waited for it."""

    code: int
    reason: str
    tx_hash: bytes
    """Of the transaction, or of the bundle that carried the bid; empty where none was made."""
    height: int = 0
    """Of the block that holds it; 0 where that was not waited for, or did not happen in time."""
    data: bytes = b""

    @property
    def code_name(self) -> str:
        """Name of the code."""
        return name_code(self.code)


class Submission:
    """Submission of transactions and bids; safe to use from any thread."""

    def __init__(self, node: NodeReads, engine: Engine) -> None:
        """Subscribe to the node's commits; to be called before the node starts."""
        self._node, self._engine = node, engine
        self._waiters = CommitWaiters()
        self._bundler = Bundler(engine, self._judge)
        self._submitting = Slots(SUBMITTING_MAX, "submit")
        self._waiting = Slots(WAITING_MAX, "wait for a commit")
        node.subscribe("submissions", self._waiters.hand_over)

    def close(self) -> None:
        """End all waits and refuse later bids."""
        self._waiters.close()
        self._bundler.close()

    def submit(
        self, tx: bytes, wait: Wait, timeout_s: float = 0.0, is_wanted: IsWanted = lambda: True
    ) -> SubmissionOutcome:
        """Submit one transaction; ``timeout_s`` bounds the wait for its block, 0 is WAIT_DEFAULT_S.

        Raises QueryError: ARGUMENT_INVALID, MEMPOOL_FULL (then nothing was submitted), ENGINE_UNAVAILABLE.
        """
        deadline = compute_deadline(timeout_s)
        if not 0 < len(tx) <= TX_BYTES_MAX:
            raise QueryError(AnswerCode.ARGUMENT_INVALID, f"tx has {len(tx)} bytes, 1 to {TX_BYTES_MAX} allowed")
        with self._reserve(wait):
            with self._submitting.hold():
                checked = self._engine.broadcast(tx, wait_checked=wait is not Wait.NONE)
            sent = Sent(tx, 0, checked.code, checked.log)
            if sent.code != Code.OK or wait is not Wait.COMMITTED:
                return _conclude(sent)
            committed = self._waiters.wait(tx, deadline - time.monotonic(), is_wanted)
        if committed is None:
            return _time_out(sent)
        height, result = committed
        return SubmissionOutcome(result.code, result.log, sha256(tx).digest(), height, result.data)

    def submit_bids(
        self, bids: Sequence[bytes], wait: Wait, timeout_s: float = 0.0, is_wanted: IsWanted = lambda: True
    ) -> list[SubmissionOutcome]:
        """Submit bids, each the bytes of a bundle that holds it alone; one outcome each, in their order.

        Raises QueryError: ARGUMENT_INVALID, MEMPOOL_FULL (then nothing was submitted).
        """
        deadline = compute_deadline(timeout_s)
        if not 0 < len(bids) <= BIDS_PER_CALL_MAX:
            reason = f"{len(bids)} bids, 1 to {BIDS_PER_CALL_MAX} allowed"
            raise QueryError(AnswerCode.ARGUMENT_INVALID, reason)
        with self._reserve(wait):
            with self._submitting.hold():
                refused = [self._refuse(raw) for raw in bids]
                passed = [_parse_bid(raw) for raw, refusal in zip(bids, refused, strict=True) if refusal is None]
                futures = iter(self._bundler.add(passed))
                sent = [refusal or _await_check(next(futures), wait) for refusal in refused]
            return [self._await_commit(each, wait, deadline, is_wanted) for each in sent]

    def _reserve(self, wait: Wait) -> AbstractContextManager[None]:
        """Return a slot to wait for a commit, taken before anything is sent: nothing is refused afterwards."""
        return self._waiting.hold() if wait is Wait.COMMITTED else nullcontext()

    def _refuse(self, raw: bytes) -> Sent | None:
        """Return the refusal of a bid that this node's CheckTx would not pass; None for any other."""
        committed = self._node.committed()
        if committed is None:
            return Sent(b"", 0, AnswerCode.NOT_READY, "the node has not committed anything yet")
        checked = check_tx(committed.view, raw, self._node.has_seen)
        return None if checked.code is Code.OK else Sent(raw, 0, checked.code, checked.log)

    def _judge(self, bid: SubmittedBid) -> Sent | None:
        return self._refuse(encode_bundle([bid]))

    def _await_commit(self, sent: Sent, wait: Wait, deadline: float, is_wanted: IsWanted) -> SubmissionOutcome:
        """Return a bid's result in the block that holds its bundle, where the call waits for a commit."""
        if sent.code != Code.OK or wait is not Wait.COMMITTED:
            return _conclude(sent)
        committed = self._waiters.wait(sent.raw, deadline - time.monotonic(), is_wanted)
        if committed is None:
            return _time_out(sent)
        height, result = committed
        code = result.data[sent.position] if sent.position < len(result.data) else result.code
        # A bundle's log tells of its first refusal only.
        reason = result.log if result.log.startswith(name_code(code)) else ""
        return SubmissionOutcome(code, reason, sha256(sent.raw).digest(), height)


def name_code(code: int) -> str:
    """Return a code's name, or its number where a newer node made it."""
    return next((codes(code).name for codes in (Code, AnswerCode) if code in codes._value2member_map_), str(code))


def compute_deadline(timeout_s: float) -> float:
    """Return the moment, on the monotonic clock, until which a call waits for a commit."""
    return time.monotonic() + min(timeout_s or WAIT_DEFAULT_S, WAIT_MAX_S)


def _parse_bid(raw: bytes) -> SubmittedBid:
    """Return the bid of a bundle of one that was checked."""
    bundle = decode_tx(raw)
    if not isinstance(bundle, BidBundle) or len(bundle.bids) != 1:
        raise QueryError(AnswerCode.ARGUMENT_INVALID, "not a bundle of one bid")
    return bundle.bids[0]


def _await_check(future: "Future[Sent]", wait: Wait) -> Sent:
    if wait is Wait.NONE:
        return Sent(b"", 0, Code.OK, "")
    try:
        return future.result(CHECK_MAX_S)
    except TimeoutError:
        return Sent(b"", 0, AnswerCode.ENGINE_UNAVAILABLE, "CometBFT did not answer")


def _conclude(sent: Sent) -> SubmissionOutcome:
    return SubmissionOutcome(sent.code, sent.reason, sha256(sent.raw).digest() if sent.raw else b"")


def _time_out(sent: Sent) -> SubmissionOutcome:
    return SubmissionOutcome(AnswerCode.TIMED_OUT, "not seen in a block in time", sha256(sent.raw).digest())
