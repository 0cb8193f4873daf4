"""Two anvil chains with the real Connext on them, for tests: started once, taken back to where they were after each."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from abci_app.evm.account import Account
from abci_app.evm.connext import Connext, ExecuteArgs, encode_admin, encode_execute, encode_xcall
from abci_app.evm.connext_events import ConnextEvent, decode_event
from abci_app.evm.errors import DecodeFailed
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import ZERO_ADDRESS, Address, Receipt
from abci_app.evm.wallet import Wallet
from abci_app.machine.connext import compute_bid_digest, compute_sequencer_digest, compute_transfer_id
from abci_app.machine.state.records import TransferInfo
from testnet.chains.anvil import Anvil
from testnet.chains.state_cache import start_deployed
from testnet.connext.deploy import default_params
from testnet.connext.deployment import Deployment, Token, dev_account
from testnet.connext.supply import TOKEN, UNLIMITED
from testnet.processes.ports import find_free_port

ROOT = Path(__file__).resolve().parents[3]
HUB, SPOKE = 1111, 2222


@dataclass(frozen=True)
class Bridge:
    """The running chains, by domain, and what stands on them."""

    chains: Mapping[int, Anvil]
    deployment: Deployment

    @property
    def rpcs(self) -> dict[int, Rpc]:
        return {domain: chain.rpc for domain, chain in self.chains.items()}

    def rpc(self, domain: int) -> Rpc:
        """Client of one chain."""
        return self.chains[domain].rpc

    def connext(self, domain: int) -> Connext:
        """The diamond of one domain."""
        return Connext(self.rpc(domain), self.deployment.domain(domain).connext)

    def token(self, domain: int, symbol: str) -> Token:
        """A token as it is on one domain."""
        return self.deployment.domain(domain).tokens[symbol]

    def token_balance(self, domain: int, symbol: str, account: Address) -> int:
        """Balance in the token's smallest units."""
        calldata = TOKEN.encode("balanceOf", account)
        returned = self.rpc(domain).call(self.token(domain, symbol).address, calldata)
        return int(TOKEN.function("balanceOf").decode(returned)[0])

    def wallet(self, domain: int, role: str) -> Wallet:
        """A dev key on one chain."""
        return Wallet(self.rpc(domain), dev_account(role))

    def admin(self, domain: int, name: str, *arguments: object) -> Receipt:
        """Have the owner call a function of a diamond."""
        calldata = encode_admin(name, *arguments)
        return self.wallet(domain, "owner").transact(self.connext(domain).address, calldata)

    def xcall(
        self,
        origin: int,
        destination: int,
        symbol: str,
        amount: int,
        *,
        role: str = "user-0",
        to: Address | None = None,
        call_data: bytes = b"",
    ) -> TransferInfo:
        """Send a transfer; without `to` the sender itself receives."""
        wallet, connext, token = self.wallet(origin, role), self.connext(origin), self.token(origin, symbol)
        wallet.transact(token.address, TOKEN.encode("approve", connext.address, UNLIMITED))
        calldata = encode_xcall(
            destination_domain=destination,
            to=to or wallet.address,
            asset=token.address,
            delegate=wallet.address,
            amount=amount,
            slippage_bps=100,
            call_data=call_data,
        )
        receipt = wallet.transact(connext.address, calldata)
        [event] = events_of(receipt, connext.address, "XCalled")
        info: TransferInfo = event.arguments["params"]
        return info

    def execute(self, info: TransferInfo, args: ExecuteArgs, role: str = "relayer") -> Receipt:
        """Have a dev key send `execute` to the transfer's destination."""
        connext = self.connext(info.destination_domain)
        return self.wallet(info.destination_domain, role).transact(connext.address, encode_execute(args))


def sign_execute(info: TransferInfo, routers: Sequence[Account], sequencer: Account) -> ExecuteArgs:
    """ExecuteArgs of the fast path, with every signature that Connext wants."""
    transfer_id = compute_transfer_id(info)
    addresses = tuple(router.address for router in routers)
    bid = compute_bid_digest(transfer_id, len(routers))
    return ExecuteArgs(
        params=info,
        routers=addresses,
        router_signatures=tuple(router.sign_digest(bid) for router in routers),
        sequencer=sequencer.address,
        sequencer_signature=sequencer.sign_digest(compute_sequencer_digest(transfer_id, addresses)),
    )


def slow_execute(info: TransferInfo) -> ExecuteArgs:
    """ExecuteArgs of the slow path."""
    return ExecuteArgs(info, (), (), ZERO_ADDRESS, b"")


def events_of(receipt: Receipt, contract: Address, name: str) -> list[ConnextEvent]:
    """Events of one name that a contract emitted in a transaction."""
    events = []
    for log in receipt.logs:
        if log.address == contract:
            try:
                event = decode_event(log)
            except DecodeFailed:
                continue
            if event.name == name:
                events.append(event)
    return events


@contextmanager
def running_bridge(routers: int = 3) -> Iterator[Bridge]:
    """Both chains under automine, from the cached state where there is one."""
    with tempfile.TemporaryDirectory(prefix="chains-") as logs:
        ports = {domain: find_free_port() for domain in (HUB, SPOKE)}
        chains, deployment = start_deployed(ROOT, default_params(routers), ports, Path(logs))
        try:
            yield Bridge(chains, deployment)
        finally:
            for chain in chains.values():
                chain.stop()


@contextmanager
def taken_back(bridge: Bridge) -> Iterator[Bridge]:
    """Undo on leaving whatever a test did to the chains."""
    snapshots = {domain: rpc.request("evm_snapshot", []) for domain, rpc in bridge.rpcs.items()}
    try:
        yield bridge
    finally:
        for domain, rpc in bridge.rpcs.items():
            assert rpc.request("evm_revert", [snapshots[domain]]) is True
            rpc.request("evm_setTime", [int(time.time())])  # anvil's clock goes back too, as far as the state is old


def use_automine(rpc: Rpc) -> None:
    """A block for each transaction, none otherwise: time stands still without transactions."""
    rpc.request("evm_setIntervalMining", [0])
    rpc.request("evm_setAutomine", [True])
