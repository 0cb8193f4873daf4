"""An in-memory chain with a Connext diamond on it, as far as a router looks: over HTTP, with faults, or without."""

from dataclasses import replace
from typing import Any

from eth_abi.abi import encode as abi_encode

from abci_app.evm.connext import CONNEXT, DestinationStatus, sequencer_override, transfer_info_from_args
from abci_app.evm.types import to_hex
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.state.codec import Address, DomainId, TransferId
from abci_app.machine.state.records import TransferInfo
from abci_app.router.checks import THROWAWAY
from tests.kit.evm.rpc_proxy import JsonRpcError, RpcProxy
from tests.kit.machine.driver import LIQUIDITY, ROUTERS, local_of
from tests.kit.observer.fake_chain import FakeChain, FakeRpc, word

READS = (
    "transferStatus", "getRouterApproval", "routerAllowlistRemoved", "routerBalances", "approvedSequencers",
    "getLocalAndAdoptedToken",
)
SELECTORS = {CONNEXT.function(name).selector: name for name in (*READS, "execute")}


class FakeEvm(FakeChain):
    """One domain of the driver's network: every block is final, routers have the driver's liquidity."""

    def __init__(self, domain: DomainId) -> None:
        super().__init__()
        self.domain_id = domain
        self.chain_id = domain + 30_000
        self.connext = Address(domain.to_bytes(2, "big") * 10)
        self.local = local_of(domain)
        """What Connext pays every asset in."""
        self.statuses: dict[bytes, DestinationStatus] = {}
        self.approved = set(ROUTERS)
        self.is_allowlist_removed = False
        self.balances = {(bytes(router), bytes(local_of(domain))): LIQUIDITY for router in ROUTERS}
        self.codes: dict[bytes, bytes] = {}
        self.reverting: set[bytes] = set()
        """Receivers whose transfers revert."""
        self.overrides = "obeyed"
        """Or: refused, ignored."""
        self.simulated: list[TransferId] = []

    def xcall(self, *infos: TransferInfo) -> None:
        """A new final block with these orders."""
        self.add(*(("XCalled", {
            "transferId": compute_transfer_id(info), "nonce": info.nonce, "messageHash": word(info.nonce),
            "params": info, "asset": local_of(self.domain_id), "amount": info.bridged_amt,
            "local": local_of(self.domain_id), "messageBody": b"body",
        }) for info in infos))
        block = self.blocks[-1]
        block.logs = [replace(log, address=self.connext) for log in block.logs]

    def answer(self, method: str, params: list[Any]) -> Any:
        if method == "eth_chainId":
            return hex(self.chain_id)
        if method == "eth_getCode":
            return to_hex(self.codes.get(bytes.fromhex(params[0][2:]), b""))
        if method == "eth_call":
            return to_hex(self._call(params[0], params[2] if len(params) > 2 else {}))
        return super().answer(method, params)

    def _call(self, call: dict[str, str], overrides: dict[str, Any]) -> bytes:
        if overrides and self.overrides == "refused":
            raise JsonRpcError(-32602, "too many arguments, want at most 2")
        data = bytes.fromhex(call["data"][2:])
        assert call["to"] == to_hex(self.connext)
        name = SELECTORS[data[:4]]
        if name == "execute":
            return self._execute(data, overrides, call)
        values = list(CONNEXT.function(name).decode_input(data).values())
        if name == "transferStatus":
            return abi_encode(["uint8"], [int(self.statuses.get(values[0], DestinationStatus.NONE))])
        if name == "getRouterApproval":
            return abi_encode(["bool"], [values[0] in self.approved])
        if name == "getLocalAndAdoptedToken":
            return abi_encode(["address", "address"], [self.local, self.local])
        if name == "routerAllowlistRemoved":
            return abi_encode(["bool"], [self.is_allowlist_removed])
        if name == "approvedSequencers":
            asked = sequencer_override(self.connext, Address(values[0]))
            obeyed = self.overrides == "obeyed" and overrides == asked
            return abi_encode(["bool"], [obeyed])
        return abi_encode(["uint256"], [self.balances.get((values[0], values[1]), 0)])

    def _execute(self, data: bytes, overrides: dict[str, Any], call: dict[str, str]) -> bytes:
        slots = overrides[to_hex(self.connext)]["stateDiff"]
        wanted = sequencer_override(self.connext, THROWAWAY.address)[to_hex(self.connext)]["stateDiff"]
        assert wanted.items() <= slots.items() and len(slots) == 3 and int(call["gas"], 16) == 13_000_000
        args = CONNEXT.function("execute").decode_input(data)["args"]
        assert not set(args["routers"]) & set(ROUTERS), "an endpoint must not get a real router's signature"
        info = transfer_info_from_args(args["params"])
        if info.to in self.reverting:
            raise JsonRpcError(3, "execution reverted")
        self.simulated.append(compute_transfer_id(info))
        return bytes(32)


class EvmServer(RpcProxy):
    """The chain behind an HTTP endpoint whose faults a test switches."""

    def __init__(self, chain: FakeEvm) -> None:
        super().__init__("http://127.0.0.1:1")
        self.chain = chain

    def _forward(self, method: str, params: list[Any]) -> Any:
        return self.chain.answer(method, params)


class DirectRpc(FakeRpc):
    """The real client without HTTP."""
