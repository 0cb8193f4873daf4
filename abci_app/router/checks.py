"""Checks of whether to bid, and for which path lengths; each refusal is a ``Refused`` with a stable cause."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from abci_app.client.submissions import sign_bid
from abci_app.evm.account import Account
from abci_app.evm.connext import (
    Connext,
    DestinationStatus,
    ExecuteArgs,
    encode_admin,
    encode_execute,
    router_balance_override,
    router_override,
    sequencer_override,
)
from abci_app.evm.errors import CallReverted, RpcRefused
from abci_app.evm.optional_methods import OptionalMethod
from abci_app.machine.connext import compute_sequencer_digest, compute_share, compute_transfer_id, sign_digest
from abci_app.machine.state.codec import Address, TransferId
from abci_app.machine.state.records import TransferInfo
from abci_app.router.errors import Refused

THROWAWAY = Account(bytes(31) + b"\x01")
"""Signs as sequencer and as router inside simulations only, where overrides approve it: the router's own signature must
not reach an endpoint before it is meant to be given."""
SIMULATION_GAS = 13_000_000
"""The most that a decision ever allows."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a transfer would be paid out: the diamond, its gate, and the tokens by canonical identity."""

    domain: int
    connext: Connext
    gate: bytes
    locals: Mapping[tuple[int, bytes], bytes]
    """(canonical domain, canonical id) → local asset."""
    max_routers: int


@dataclass(frozen=True, slots=True)
class Offer:
    """What the router can offer for a transfer."""

    local: bytes
    path_lengths: tuple[int, ...]
    share: int
    """Largest share, in the local asset's units."""


class Checker:
    """The checks of one router on one destination. One thread."""

    def __init__(
        self, account: Account, path_lengths: tuple[int, ...], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._account = account
        self._path_lengths = path_lengths
        self._overrides = OptionalMethod(clock)
        self._has_overrides = False

    def compute_offer(
        self, info: TransferInfo, transfer_id: TransferId, destination: Destination, sum_open: Callable[[bytes], int]
    ) -> Offer:
        """Return what to bid. Raises Refused; EvmError where the chain could not be asked.

        ``sum_open`` tells what earlier bids may still cost in a local asset.
        """
        connext, router = destination.connext, self._account.address
        if compute_transfer_id(info) != transfer_id:
            raise Refused("wrong_id", "the terms do not hash to the transferId")
        if info.destination_domain != destination.domain:
            raise Refused("wrong_destination", f"domain {info.destination_domain}")
        if info.bridged_amt == 0:
            raise Refused("zero_amount")
        local = destination.locals.get((info.canonical_domain, info.canonical_id))
        if local is None:
            raise Refused("asset_unknown", f"0x{info.canonical_id.hex()} of domain {info.canonical_domain}")
        paid_in = connext.local_asset(info.canonical_id, info.canonical_domain)
        if paid_in != local:
            raise Refused("asset_differs", f"nodes say 0x{local.hex()}, Connext pays in 0x{paid_in.hex()}")
        status = connext.transfer_status(transfer_id)
        if status is not DestinationStatus.NONE:
            raise Refused("not_pending", status.name.lower())
        if not connext.is_router_approved(router) and not connext.is_router_allowlist_removed():
            raise Refused("not_approved", f"0x{router.hex()} on domain {destination.domain}")
        free = connext.router_balance(router, local) - sum_open(local)
        shares = {length: compute_share(info.bridged_amt, length) for length in self._path_lengths}
        lengths = tuple(
            length for length, share in shares.items() if length <= destination.max_routers and share <= free
        )
        if not lengths:
            raise Refused("liquidity_short", f"{free} free of {info.bridged_amt} asked for")
        if info.call_data and not connext.rpc.code(info.to):
            raise Refused("no_contract", f"callData for 0x{info.to.hex()}, which has no code")
        self._simulate(info, transfer_id, destination, local)
        return Offer(local, lengths, max(shares[length] for length in lengths))

    def _simulate(self, info: TransferInfo, transfer_id: TransferId, destination: Destination, local: bytes) -> None:
        """Run ``execute`` as the gate would, with throw-away keys that stand for a sequencer and a liquid router."""
        connext = destination.connext
        if not self._can_simulate(destination):
            return
        router = Address(THROWAWAY.address)
        routers = (router,)
        args = ExecuteArgs(
            info, routers, sign_bid(THROWAWAY.private_key, transfer_id, (1,)), THROWAWAY.address,
            sign_digest(THROWAWAY.private_key, compute_sequencer_digest(transfer_id, routers)),
        )
        overrides = merge_overrides(
            sequencer_override(connext.address, THROWAWAY.address),
            router_override(connext.address, router),
            router_balance_override(connext.address, router, local, info.bridged_amt),
        )
        try:
            connext.rpc.call(
                connext.address, encode_execute(args), sender=destination.gate, gas=SIMULATION_GAS, overrides=overrides
            )
        except CallReverted as reverted:
            raise Refused("would_revert", str(reverted)[:300]) from reverted

    def _can_simulate(self, destination: Destination) -> bool:
        """Tell whether the endpoint obeys state overrides. Raises EvmError where it refuses for another reason."""
        if self._has_overrides or self._overrides.is_missing:
            return self._has_overrides
        try:
            self._has_overrides = has_overrides(destination.connext)
        except RpcRefused as refused:
            if not self._overrides.is_refused_for_good(refused):
                raise
        if not self._has_overrides and self._overrides.note_missing():
            fields = {"domain": destination.domain, "reason": "the RPC has no state overrides"}
            log.warning("cannot_simulate", extra=fields)
        return self._has_overrides


def has_overrides(connext: Connext) -> bool:
    """Tell whether an endpoint obeys state overrides: some ignore them and answer all the same. Raises EvmError."""
    calldata = encode_admin("approvedSequencers", THROWAWAY.address)
    overrides = sequencer_override(connext.address, THROWAWAY.address)
    return int.from_bytes(connext.rpc.call(connext.address, calldata, overrides=overrides), "big") == 1


def merge_overrides(*overrides: Mapping[str, Mapping[str, Mapping[str, str]]]) -> dict[str, dict[str, dict[str, str]]]:
    """Return one state override out of several, slot by slot."""
    merged: dict[str, dict[str, dict[str, str]]] = {}
    for override in overrides:
        for address, parts in override.items():
            merged.setdefault(address, {}).setdefault("stateDiff", {}).update(parts["stateDiff"])
    return merged
