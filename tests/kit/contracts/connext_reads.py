"""Reads of a Connext diamond that only tests need, and the storage behind a state override."""

from dataclasses import dataclass

from eth_utils.crypto import keccak

from abci_app.evm.connext import Connext, sequencer_override
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import Address, to_hex

SLOT_APPROVED_RELAYERS = 11
"""Slot of the mapping of approved relayers in Connext's storage layout."""


@dataclass(frozen=True, slots=True)
class Facet:
    """One facet of the diamond."""

    address: Address
    selectors: tuple[bytes, ...]


def read_facets(connext: Connext) -> tuple[Facet, ...]:
    """Return all facets with their selectors."""
    return tuple(
        Facet(Address(facet["facetAddress"]), tuple(facet["functionSelectors"])) for facet in connext.read("facets")
    )


def read_token_id(connext: Connext, asset: Address) -> tuple[bytes, int]:
    """Return (canonical id, canonical domain) of an asset on this chain."""
    token = connext.read("getTokenId", asset)
    return token["id"], token["domain"]


def read_routed_transfers(connext: Connext, transfer_id: bytes) -> tuple[Address, ...]:
    """Return the routers that fronted a transfer, in order; empty when not executed fast."""
    routers: tuple[Address, ...] = connext.read("routedTransfers", transfer_id)
    return routers


def read_storage(rpc: Rpc, address: Address, slot: int) -> bytes:
    """Return one storage word, 32 bytes."""
    word = rpc.request("eth_getStorageAt", [to_hex(address), hex(slot), "latest"])
    return bytes.fromhex(word[2:]).rjust(32, b"\x00")


def compute_canonical_key(canonical_id: bytes, canonical_domain: int) -> bytes:
    """Return the key of an asset inside Connext: keccak of its ABI-encoded canonical id and domain."""
    return keccak(canonical_id + canonical_domain.to_bytes(32, "big"))


def relayer_override(connext: Address, relayer: Address) -> dict[str, dict[str, object]]:
    """Return the state override under which `relayer` is an approved relayer."""
    key = keccak(relayer.rjust(32, b"\x00") + SLOT_APPROVED_RELAYERS.to_bytes(32, "big"))
    [state] = sequencer_override(connext, relayer).values()
    [value] = state["stateDiff"].values()
    return {to_hex(connext): {"stateDiff": {to_hex(key): value}}}
