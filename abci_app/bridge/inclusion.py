"""Inclusion of transactions: confirmation to a depth, resending, fee increase, replacement and cancellation.

The confirmed nonce (transactions mined for our account) rules. Blocks, not seconds, trigger a replacement: while no
block comes nothing is stuck. Whatever an endpoint says about sending is a hint; a receipt deep enough is the fact.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from abci_app.bridge.chain import Chain
from abci_app.bridge.journal import Journal, OpenNonce, SignedVariant
from abci_app.bridge.leaves import LeafKey
from abci_app.bridge.submitter import Sender, Submitter, sign_variant
from abci_app.daemon.notices import Notices
from abci_app.evm.errors import TransactionUnderpriced
from abci_app.evm.gate import BatchOutcome, parse_outcome
from abci_app.evm.types import EvmBlock, Fees, Receipt

log = logging.getLogger(__name__)

CANCEL_GAS = 100_000
"""A transfer to ourselves takes 21,000; some rollups charge their data as gas on top."""
BUMP_NUMERATOR, BUMP_DENOMINATOR = 9, 8
"""Each replacement offers 12.5 % more: pools ask for 10 %."""
RESEND_PAUSE_S = 1.0
"""Before a transaction that was refused is offered again."""
GAP_MAX = 64
"""No nonce of ours is further above the confirmed one: eight are open at once, and reorganisations are short."""
TAKEN_AFTER_S = 5.0
"""A confirmed nonce without a receipt of ours this long was somebody else's; endpoints' parts lag less."""
FORGOTTEN_AFTER_S = 30.0
"""A confirmed nonce below our own this long means that the chain took blocks back; endpoints lag less."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait, and how much to offer."""

    confirm_blocks: int
    replace_blocks: int
    max_fee_wei: int


class Inclusion:
    """The open nonces of one signer on one chain. Used by one thread."""

    def __init__(
        self,
        chain: Chain,
        journal: Journal,
        sender: Sender,
        submitter: Submitter,
        limits: Limits,
        notices: Notices,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chain, self._journal, self._sender, self._submitter = chain, journal, sender, submitter
        self._limits, self._notices, self._clock = limits, notices, clock
        self._missing_since_s: dict[int, float] = {}
        self._behind_since_s: float | None = None
        self._offered_block: dict[int, int] = {}
        """Head from which on blocks pass a nonce's newest variant over; its signing where nothing else is known."""
        self._refused_s: dict[bytes, float] = {}

    def step(self, head: EvmBlock, confirmed: int, is_useful: Callable[[LeafKey], bool]) -> tuple[LeafKey, ...]:
        """Look after every open nonce once; return the leaves that are settled or planned again.

        ``is_useful`` tells whether anything in a leaf can still be executed. Raises EvmError.
        """
        self._require_no_rollback(confirmed)
        ended = []
        opened = self._journal.open_nonces()
        lowest = next((one.nonce for one in opened if one.nonce >= confirmed), None)
        for one in opened:
            receipt = self._find_receipt(one)
            if receipt is not None:
                self._missing_since_s.pop(one.nonce, None)
                if head.number - receipt.block_number + 1 >= self._limits.confirm_blocks:
                    ended += self._close(one, receipt)
            elif one.nonce < confirmed:
                ended += self._close_if_taken(one)
            else:
                self._push(one, head, one.nonce == lowest, is_useful)
        ended += self._fill_gap(head, confirmed)
        return tuple(ended)

    # -- mined ------------------------------------------------------------------------------------------------------

    def _find_receipt(self, one: OpenNonce) -> Receipt | None:
        for variant in reversed(one.variants):
            receipt = self._chain.receipt(variant.hash)
            if receipt is not None:
                return receipt
        return None

    def _close(self, one: OpenNonce, receipt: Receipt) -> list[LeafKey]:
        variant = next(each for each in one.variants if each.hash == receipt.tx_hash)
        fields: dict[str, object] = {
            "domain": self._sender.place.domain, "nonce": one.nonce, "tx": receipt.tx_hash,
            "block": receipt.block_number, "gas_used": receipt.gas_used,
        }
        if variant.key is None:
            self._journal.mined(one.nonce, receipt.tx_hash, one.key, "cancelled", True)
            log.info("cancelled", extra=fields)
        else:
            fields |= {"batch_height": variant.key.height, "leaf": variant.key.index}
            outcome = parse_outcome(receipt, self._sender.place.gate) if receipt.status == 1 else None
            is_done = outcome is not None and not outcome.failed
            failed = [each.transfer_id for each in outcome.failed] if outcome else ()
            self._journal.mined(one.nonce, receipt.tx_hash, variant.key, _summary(outcome), is_done, failed)
            log.info("confirmed" if outcome else "reverted", extra={**fields, **_fields(outcome)})
        self._notices.clear("transaction-refused", "fee-cap")
        self._forget(one)
        return [] if one.key is None else [one.key]

    def _close_if_taken(self, one: OpenNonce) -> list[LeafKey]:
        """Close a nonce that is used up, and not by any variant that we find: ours may only be late to show."""
        since_s = self._missing_since_s.setdefault(one.nonce, self._clock())
        if self._clock() - since_s < TAKEN_AFTER_S:
            return []
        del self._missing_since_s[one.nonce]
        self._journal.lost(one.nonce, one.key)
        self._forget(one)
        log.warning("nonce-taken", extra={"domain": self._sender.place.domain, "nonce": one.nonce})
        return [] if one.key is None else [one.key]

    def _forget(self, one: OpenNonce) -> None:
        """Drop what this process remembers of a nonce that has ended: should it open again, all is offered again."""
        self._offered_block.pop(one.nonce, None)
        for variant in one.variants:
            self._submitter.handed.discard(variant.hash)
            self._refused_s.pop(variant.hash, None)

    # -- not mined --------------------------------------------------------------------------------------------------

    def _push(self, one: OpenNonce, head: EvmBlock, is_lowest: bool, is_useful: Callable[[LeafKey], bool]) -> None:
        """Hand over what was not, or was forgotten; replace the lowest nonce when blocks pass it over."""
        newest = one.newest
        if newest.hash not in self._submitter.handed and self._hand_over(newest, head):
            return
        # A head below the block where the wait began went back, or an endpoint had invented that block.
        since = min(self._offered_block.get(one.nonce, newest.signed_block), head.number)
        self._offered_block[one.nonce] = since
        if head.number - since < self._limits.replace_blocks:
            return
        self._offered_block[one.nonce] = head.number
        replacement = self._make_replacement(newest, head, is_useful) if is_lowest else None
        if replacement is not None:
            self._journal.sign(replacement)
            fields = {"nonce": one.nonce, "tx": replacement.hash, "max_fee_wei": replacement.fees.max_fee_wei}
            word = "cancelling" if replacement.key is None else "replacing"
            log.info(word, extra={"domain": self._sender.place.domain, **fields})
        self._hand_over(replacement or newest, head)

    def _hand_over(self, variant: SignedVariant, head: EvmBlock) -> bool:
        """Tell whether the endpoint took it. A refusal is no end: one that holds another variant, or sees no money, may
        take it later."""
        if self._clock() - self._refused_s.get(variant.hash, -RESEND_PAUSE_S) < RESEND_PAUSE_S:
            return False
        refusal = self._submitter.hand_over(variant)
        if refusal is None:
            self._offered_block[variant.nonce] = head.number
            self._refused_s.pop(variant.hash, None)
            return True
        self._refused_s[variant.hash] = self._clock()
        self._notices.say("transaction-refused", f"nonce {variant.nonce}: {refusal.message}")
        if isinstance(refusal, TransactionUnderpriced):
            self._submitter.handed.add(variant.hash)  # there is another one of this nonce: outbid it when due
        return False

    def _make_replacement(
        self, newest: SignedVariant, head: EvmBlock, is_useful: Callable[[LeafKey], bool]
    ) -> SignedVariant | None:
        """The same, or a cancellation where it is of no use any more, for more money; None at the cap, and where more
        money is not what it lacks."""
        is_alive = newest.key is not None and newest.valid_until_s > head.timestamp_s and is_useful(newest.key)
        is_refused = newest.hash not in self._submitter.handed
        is_priced_out = newest.fees.max_fee_wei < head.base_fee_wei
        if is_refused and not is_priced_out and (is_alive or newest.key is None):
            return None
        market = self._chain.fees()
        fees = Fees(
            max(_bump(newest.fees.max_fee_wei), min(market.max_fee_wei, self._limits.max_fee_wei)),
            max(_bump(newest.fees.priority_fee_wei), min(market.priority_fee_wei, self._limits.max_fee_wei)),
        )
        if fees.max_fee_wei > self._limits.max_fee_wei:
            self._notices.say("fee-cap", f"nonce {newest.nonce} needs {fees.max_fee_wei} wei a gas, more than allowed")
            return None
        cancellation = {"recipient": self._sender.address, "calldata": b"", "gas": CANCEL_GAS, "key": None}
        same = {"recipient": newest.recipient, "calldata": newest.calldata, "gas": newest.gas, "key": newest.key}
        return sign_variant(
            self._sender, nonce=newest.nonce, fees=fees, head_number=head.number,
            valid_until_s=newest.valid_until_s if is_alive else 0,
            **(same if is_alive else cancellation),  # type: ignore[arg-type]
        )

    # -- gaps and rollbacks -------------------------------------------------------------------------------------------

    def _fill_gap(self, head: EvmBlock, confirmed: int) -> list[LeafKey]:
        """Cancel a nonce that is neither mined nor ours to re-send: it would block all after it.

        One that is far out of reach was bound while an endpoint lied about the confirmed one: it is void.
        """
        opened, ended = self._journal.open_nonces(), []
        for one in opened:
            if one.nonce > confirmed + GAP_MAX:
                self._journal.void(one.nonce, one.key)
                ended += [] if one.key is None else [one.key]
                log.warning("void", extra={"domain": self._sender.place.domain, "nonce": one.nonce})
        highest = max((one.nonce for one in opened if one.nonce <= confirmed + GAP_MAX), default=confirmed)
        for nonce in self._journal.unknown_nonces(confirmed, highest):
            market = self._chain.fees()
            fees = Fees(*(min(fee, self._limits.max_fee_wei) for fee in (market.max_fee_wei, market.priority_fee_wei)))
            filler = sign_variant(
                self._sender, nonce=nonce, recipient=self._sender.address, calldata=b"", gas=CANCEL_GAS,
                fees=fees, key=None, valid_until_s=0, head_number=head.number,
            )
            self._journal.sign(filler)
            self._hand_over(filler, head)
            log.warning("gap", extra={"domain": self._sender.place.domain, "nonce": nonce, "tx": filler.hash})
        return ended

    def _require_no_rollback(self, confirmed: int) -> None:
        """Open again what we saw mined where the chain counts fewer transactions for long."""
        if not self._journal.has_ended(confirmed):
            self._behind_since_s = None
            return
        if self._behind_since_s is None:
            self._behind_since_s = self._clock()
        if self._clock() - self._behind_since_s >= FORGOTTEN_AFTER_S:
            self._journal.reopen(confirmed)
            self._submitter.handed.clear()
            self._behind_since_s = None
            log.warning("rollback", extra={"domain": self._sender.place.domain, "confirmed_nonce": confirmed})

    @property
    def is_behind(self) -> bool:
        """Whether the endpoint counts fewer of our transactions than were mined: then nothing new may be sent."""
        return self._behind_since_s is not None


def _bump(fee_wei: int) -> int:
    return -(-fee_wei * BUMP_NUMERATOR // BUMP_DENOMINATOR) + 1


def _summary(outcome: BatchOutcome | None) -> str:
    if outcome is None:
        return "reverted"
    failed = "".join(f", {one.name or 'unknown error'}" for one in outcome.failed[:4])
    return f"executed {outcome.executed} of {outcome.entries}{failed}"


def _fields(outcome: BatchOutcome | None) -> dict[str, object]:
    if outcome is None:
        return {}
    return {
        "executed": outcome.executed,
        "entries": outcome.entries,
        "failed": [
            {"transfer_id": one.transfer_id, "sequence": one.sequence, "reason": one.name or one.reason}
            for one in outcome.failed
        ],
        "expired": list(outcome.expired),
        "skipped": list(outcome.skipped),
    }
