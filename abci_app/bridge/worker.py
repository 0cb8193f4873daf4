"""Relayer of one destination chain as two bounded steps: follow, and plan, submit, confirm.

``follow`` asks the node, ``relay`` talks to the chain; either may fail without holding up the other.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from abci_app.bridge.chain import Chain
from abci_app.bridge.follow import LeafFollower
from abci_app.bridge.inclusion import Inclusion, Limits
from abci_app.bridge.journal import Journal
from abci_app.bridge.leaves import AttestedLeaf, LeafKey
from abci_app.bridge.plan import BatchSubmission, ChainView, Plan, Turn, find_settled, plan
from abci_app.bridge.submitter import Sender, SubmitOutcome, Submitter
from abci_app.daemon.notices import Notices
from abci_app.daemon.runner import Next
from abci_app.evm.connext import DestinationStatus
from abci_app.evm.types import EvmBlock, Fees
from abci_app.machine.state.codec import TransferId

LEAVES_PER_STEP = 16
"""Leaves whose statuses are read in one step: at most 512 reads."""
OPEN_NONCES_MAX = 8
"""Transactions in flight: several blocks of a fast chain, and little to replace when fees rise."""
PAID_FAILURES_MAX = 3
"""Transactions paid for one leaf that leave something undone."""
DENIED_AFTER_FAILURES = 2
"""Mined failures of one transfer, over all its attempts, after which it is denied: a receiver may pass every simulation
and revert every transaction, and each attempt doubles its gas limit."""
PAUSED_MAX = 10_000
"""Leaves whose tries are remembered; a node may invent any number that nobody has signed."""
PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Before a leaf that cannot be executed now is tried again; the last one repeats until its lease is over."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Configuration of one chain's relayer."""

    limits: Limits
    poll_s: float
    turn: Turn
    is_dry: bool = False


class Worker:
    """Relayer of one destination chain, for one thread."""

    def __init__(
        self,
        follower: LeafFollower,
        chain: Chain,
        journal: Journal,
        sender: Sender,
        settings: Settings,
        notices: Notices,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._follower, self._chain, self._journal, self._sender = follower, chain, journal, sender
        self._settings, self._notices, self._clock = settings, notices, clock
        self._submitter = Submitter(chain, journal, sender, is_dry=settings.is_dry)
        self._inclusion = Inclusion(chain, journal, sender, self._submitter, settings.limits, notices, clock)
        self._pauses: dict[LeafKey, tuple[int, float]] = {}
        """Tries so far, and when the next one may be."""
        self._looked_s = float("-inf")
        self._saved_cursor = journal.cursor()

    # -- steps --------------------------------------------------------------------------------------------------------

    def follow(self) -> Next:
        """Ask the node what is new. Raises Retryable."""
        found = self._follower.poll()
        self._notices.clear("node-unavailable", "node-of-another-network", "node-stalled")
        if self._follower.is_current:
            self._notices.clear("node-untrustworthy")
        if self._follower.cursor > self._saved_cursor + 1000:
            self._save_cursor()
        return Next.AGAIN if found else Next.PAUSE

    def relay(self) -> Next:
        """Confirm what is open, submit what is due. Raises Retryable, EvmError."""
        is_time = self._clock() - self._looked_s >= self._settings.poll_s
        if not self._list_due() and not (is_time and self._journal.open_nonces()):
            return Next.PAUSE
        self._looked_s = self._clock()
        head, confirmed = self._chain.head(), self._chain.next_nonce(self._sender.address)
        self._confirm(head, confirmed)
        due = self._list_due()
        if not due or self._inclusion.is_behind:
            return Next.PAUSE
        chosen = self._plan(due, head)
        return Next.AGAIN if self._carry_out(chosen, due, head, confirmed) else Next.PAUSE

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to do: the node has nothing newer, no leaf and no nonce is open."""
        is_open = self._follower.leaves or not self._follower.is_current
        return not is_open and (self._settings.is_dry or not self._journal.open_nonces())

    # -- confirm ------------------------------------------------------------------------------------------------------

    def _confirm(self, head: EvmBlock, confirmed: int) -> None:
        if self._settings.is_dry:
            return
        for key in self._inclusion.step(head, confirmed, lambda key: self._is_useful(key, head)):
            if self._journal.is_settled(key):
                self._drop(key)
            elif self._journal.failures(key) >= PAID_FAILURES_MAX:
                self._settle(key, "given up: paid for too often")
            else:
                self._pause(key)

    def _is_useful(self, key: LeafKey, head: EvmBlock) -> bool:
        leaf = self._follower.leaves.get(key)
        return leaf is None or find_settled(leaf, head.timestamp_s, self._statuses([leaf])) is None

    # -- plan ---------------------------------------------------------------------------------------------------------

    def _plan(self, due: list[AttestedLeaf], head: EvmBlock) -> Plan:
        opened = self._journal.open_nonces()
        fees = self._offer(head)
        reserved_wei = sum(one.newest.gas * one.newest.fees.max_fee_wei for one in opened)
        view = ChainView(
            head_number=head.number,
            timestamp_s=head.timestamp_s,
            now_s=self._clock(),
            statuses=self._statuses(due),
            installed=self._chain.validator_set(),
            fees=fees or Fees(0, 0),
            spendable_wei=self._chain.balance_wei(self._sender.address) - reserved_wei,
            capacity=OPEN_NONCES_MAX - len(opened) if fees else 0,
            denied_transfers=self._journal.list_failed(DENIED_AFTER_FAILURES),
        )
        return plan(due, view, self._settings.turn)

    def _offer(self, head: EvmBlock) -> Fees | None:
        """Return what to offer for gas: the market's fees, or the cap; None where even that is too little."""
        fees, cap_wei = self._chain.fees(), self._settings.limits.max_fee_wei
        if head.base_fee_wei + fees.priority_fee_wei > cap_wei:
            self._notices.say("gas-price", f"{head.base_fee_wei + fees.priority_fee_wei} wei a gas, {cap_wei} allowed")
            return None
        self._notices.clear("gas-price")
        return Fees(min(fees.max_fee_wei, cap_wei), fees.priority_fee_wei)

    def _statuses(self, leaves: list[AttestedLeaf]) -> Mapping[TransferId, DestinationStatus]:
        wanted = dict.fromkeys(transfer_id for leaf in leaves for transfer_id in leaf.transfer_ids)
        return {transfer_id: self._chain.status(transfer_id) for transfer_id in wanted}

    # -- carry out ----------------------------------------------------------------------------------------------------

    def _carry_out(self, chosen: Plan, due: list[AttestedLeaf], head: EvmBlock, confirmed: int) -> bool:
        """Settle, submit, say why the rest waits; tell whether a transaction was opened."""
        for key, reason in chosen.settled:
            self._settle(key, reason)
        if chosen.missing_wei:
            self._notices.say("gas-money", f"0x{self._sender.address.hex()} lacks {chosen.missing_wei} wei")
            self._hold(due, chosen)
        else:
            self._notices.clear("gas-money")
            self._wait_for_poll(due, chosen)
        fees = self._offer(head) if chosen.submissions else None
        refused: list[tuple[LeafKey, str]] = list(chosen.below_quorum)
        opened = False
        for submission in chosen.submissions if fees else ():
            opened |= self._submit(submission, fees or Fees(0, 0), head, confirmed, refused)
        for key, _ in refused:
            self._pause(key)
        if refused:
            self._follower.refuse(*refused[0])
        return opened

    def _submit(
        self, submission: BatchSubmission, fees: Fees, head: EvmBlock, confirmed: int,
        refused: list[tuple[LeafKey, str]],
    ) -> bool:
        nonce = max(confirmed, self._journal.next_nonce())
        done = self._submitter.submit(submission, nonce, fees, head.number)
        if done.step is SubmitOutcome.SENT:
            self._pauses.pop(submission.key, None)
            self._notices.clear(f"leaf {submission.key}", "payload-refused")
            if self._settings.is_dry:
                self._drop(submission.key)
            return True
        self._notices.say(f"leaf {submission.key}", done.reason)
        if done.step is SubmitOutcome.REFUSED:
            refused.append((submission.key, done.reason))
        else:
            self._pause(submission.key)
        return False

    def _hold(self, due: list[AttestedLeaf], chosen: Plan) -> None:
        """Pause what cannot be paid for: look again later, not ten times a second."""
        doing = {submission.key for submission in chosen.submissions} | {key for key, _ in chosen.settled}
        for leaf in due:
            if leaf.key not in doing:
                self._pause(leaf.key)

    def _wait_for_poll(self, due: list[AttestedLeaf], chosen: Plan) -> None:
        """Put off what waits for its turn, for the message layer or for capacity until the next poll."""
        doing = {submission.key for submission in chosen.submissions} | {key for key, _ in chosen.settled}
        again_s = self._clock() + self._settings.poll_s
        if chosen.next_turn_s is not None:
            again_s = min(again_s, chosen.next_turn_s)
        for leaf in due:
            if leaf.key not in doing:
                self._pauses[leaf.key] = (self._pauses.get(leaf.key, (0, 0.0))[0], again_s)

    def _list_due(self) -> list[AttestedLeaf]:
        """Return leaves that are neither in flight nor paused, oldest first, as many as one step looks at."""
        now_s, flying = self._clock(), {one.key for one in self._journal.open_nonces()}
        leaves = self._follower.leaves.values()
        due = [leaf for leaf in leaves if leaf.key not in flying and now_s >= self._pauses.get(leaf.key, (0, 0.0))[1]]
        return sorted(due, key=lambda leaf: leaf.key)[:LEAVES_PER_STEP]

    # -- leaves -------------------------------------------------------------------------------------------------------

    def _pause(self, key: LeafKey) -> None:
        tries = self._pauses.get(key, (0, 0.0))[0]
        if len(self._pauses) >= PAUSED_MAX:
            self._pauses = {each: self._pauses[each] for each in self._follower.leaves if each in self._pauses}
        self._pauses[key] = (tries + 1, self._clock() + PAUSES_S[min(tries, len(PAUSES_S) - 1)])

    def _settle(self, key: LeafKey, reason: str) -> None:
        self._journal.settle(key, reason)
        self._drop(key)

    def _drop(self, key: LeafKey) -> None:
        self._follower.drop(key)
        self._pauses.pop(key, None)
        self._notices.clear(f"leaf {key}")
        self._save_cursor()

    def _save_cursor(self) -> None:
        """Save the cursor as far as the chain has shown batches to be settled; it saves questions, no more."""
        cursor = self._follower.cursor
        if cursor > self._saved_cursor:
            self._journal.move_cursor(cursor)
            self._saved_cursor = cursor
