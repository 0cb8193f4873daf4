"""``app_state`` of a new network, read from its chains at one block each: what the protocol calls G."""

from collections.abc import Mapping, Sequence
from typing import Any

from abci_app.evm.codec import load_interface
from abci_app.evm.connext import Connext
from abci_app.evm.errors import EvmError
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import ZERO_ADDRESS, EvmBlock
from abci_app.machine.genesis.build import make_app_state
from abci_app.machine.genesis.form import (
    GenesisAsset,
    GenesisBalance,
    GenesisCursor,
    GenesisDomain,
    GenesisLocal,
    GenesisRouter,
)
from abci_app.machine.state.codec import Address, Hash
from abci_app.operator.chain_checks import require_connext, require_described_gate, require_gate
from abci_app.operator.description import HEAD, DescribedAsset, DescribedChain, Description
from abci_app.operator.errors import Cause, OperatorError

TOKEN = load_interface("erc20")


def find_block(chain: DescribedChain, rpc: Rpc) -> EvmBlock:
    """Return block G of a chain: the one described, or the last final one. Raises OperatorError."""
    try:
        if chain.finality_depth == 0:
            final = rpc.finalized()
        else:
            final = rpc.block(max(0, rpc.block_number() - chain.finality_depth))
        if chain.block == HEAD:
            return final
        if chain.block > final.number:
            reason = f"domain {chain.domain}: block {chain.block} is above {final.number}, the last final one"
            raise OperatorError(Cause.BLOCK_NOT_FINAL, reason)
        return rpc.block(chain.block)
    except EvmError as error:
        raise OperatorError(Cause.CHAIN_UNREADABLE, f"domain {chain.domain}: {error}") from error


def read_app_state(
    chain_id: str, described: Description, rpcs: Mapping[int, Rpc], blocks: Mapping[int, EvmBlock]
) -> dict[str, Any]:
    """Return ``app_state`` as each chain has it at the end of its block.

    ``rpcs`` and ``blocks`` are by domain. Raises OperatorError.
    """
    domains: list[GenesisDomain] = []
    locals_: dict[DescribedAsset, list[GenesisLocal]] = {asset: [] for asset in described.assets}
    routers: list[GenesisRouter] = []
    for chain in described.chains:
        require_described_gate(chain)
    for chain in described.chains:
        block = blocks[chain.domain]
        connext = Connext(rpcs[chain.domain], chain.connext)
        try:
            require_connext(chain, connext, block)
            require_gate(chain_id, described, chain, connext, block)
            domains.append(_read_domain(chain, connext, block))
            found = _read_locals(described, chain, connext, block)
            listed = list(found.values())
            routers += [_read_router(chain, connext, block, router, listed) for router in described.routers]
            replaced = rpcs[chain.domain].block(block.number).hash != block.hash
        except EvmError as error:
            raise OperatorError(Cause.CHAIN_UNREADABLE, f"domain {chain.domain}: {error}") from error
        if replaced:
            raise OperatorError(Cause.BLOCK_REPLACED, f"domain {chain.domain}: block {block.number} is another one now")
        for asset, local in found.items():
            locals_[asset].append(local)
    for asset, known in locals_.items():
        if not known:
            reason = f"asset 0x{asset.canonical_id.hex()} of domain {asset.canonical_domain}: no chain knows it"
            raise OperatorError(Cause.ASSET_UNKNOWN, reason)
    assets = [
        GenesisAsset(asset.canonical_domain, asset.canonical_id, tuple(locals_[asset]), asset.min_fast)
        for asset in described.assets
    ]
    return make_app_state(described.params, domains, assets, routers, described.validators)


def _read_domain(chain: DescribedChain, connext: Connext, block: EvmBlock) -> GenesisDomain:
    tag = block.number
    return GenesisDomain(
        domain=chain.domain, chain_id=chain.chain_id, connext=chain.connext, gate=chain.gate,
        finality_depth=chain.finality_depth, segment_blocks=chain.segment_blocks, idle_blocks=chain.idle_blocks,
        cursor=GenesisCursor(block.number, Hash(block.hash), block.timestamp_s), next_nonce=connext.nonce(tag),
        max_routers=connext.max_routers(tag), fee_numerator=connext.fee_numerator(tag),
        connext_paused=connext.is_paused(tag),
        allowlist_removed=connext.is_router_allowlist_removed(tag) or not any(connext.owner(tag)),
    )


def _read_locals(
    described: Description, chain: DescribedChain, connext: Connext, block: EvmBlock
) -> dict[DescribedAsset, GenesisLocal]:
    """Return the local token of each described asset that Connext knows here."""
    found = {}
    for asset in described.assets:
        address = Address(connext.local_asset(asset.canonical_id, asset.canonical_domain, block.number))
        if address != ZERO_ADDRESS:
            [decimals] = TOKEN.function("decimals").decode(
                connext.rpc.call(address, TOKEN.encode("decimals"), tag=block.number)
            )
            found[asset] = GenesisLocal(chain.domain, address, decimals)
    return found


def _read_router(
    chain: DescribedChain, connext: Connext, block: EvmBlock, router: Address, locals_: Sequence[GenesisLocal]
) -> GenesisRouter:
    tag = block.number
    balances = tuple(
        GenesisBalance(local.address, connext.router_balance(router, local.address, tag)) for local in locals_
    )
    return GenesisRouter(router, chain.domain, connext.is_router_approved(router, tag), balances)
