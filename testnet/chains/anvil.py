"""Local EVM chains: one anvil process each, on 127.0.0.1, ended by its own PID.

Of anvil's cheats only these are used: `anvil_setBalance`, automine and interval mining, state dump and load. Never a
time warp: after one, or after a reload of its state, timestamps stand far ahead or run backwards.
"""

import gzip
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from abci_app.evm.errors import EvmError, RpcUnavailable
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import Address, to_hex
from abci_app.evm.wallet import Wallet
from testnet.connext.deployment import dev_account
from testnet.processes.ports import is_port_free
from testnet.processes.spawn import uninterrupted

ANVIL_VERSION = "1.7.1"

READY_S = 30.0
"""A process that does not answer by then never will; 0.3 s on an idle machine."""

STOP_S = 10.0
"""Time between SIGTERM and SIGKILL."""

DUMP_S = 60.0
"""Limit of a state dump, whose answer grows with the chain."""

MINER_BALANCE_WEI = 10**20
EMPTY_GAS = 21_000

BLOCK_SECONDS = 1
"""Between two blocks of a chain in a running network."""

STATES_MAX = 200
"""States of this many recent blocks can be called; each takes memory. Blocks and logs are kept for ever."""

Step = Callable[[Rpc, int], None]
"""Returns once the chain's head is at least at this block; how blocks come about is its business."""


@dataclass(frozen=True)
class ChainConfig:
    """One chain. With `state_file`, written by `save_state`, it starts as it was then; without, empty."""

    chain_id: int
    port: int
    log_file: Path
    state_file: Path | None = None


class ChainFailed(Exception):
    """An anvil process that did not start, or ended by itself. One line, for people."""


class Anvil:
    """A running anvil process."""

    def __init__(self, config: ChainConfig, process: subprocess.Popen[bytes]) -> None:
        self.config = config
        self.process = process
        self.rpc = Rpc(rpc_url(config.port))

    def __enter__(self) -> "Anvil":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def url(self) -> str:
        return self.rpc.url

    def stop(self) -> None:
        """End the process; twice does no harm."""
        self.rpc.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(STOP_S)


def find_anvil(root: Path) -> Path:
    """Return the anvil binary: the pinned npm package's, else one on PATH. Raises ChainFailed."""
    packaged = root / "contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
    if packaged.exists():
        return packaged
    found = shutil.which("anvil")
    if found is None:
        raise ChainFailed(f"anvil is missing: run scripts/setup, or put anvil {ANVIL_VERSION} on PATH")
    return Path(found)


def rpc_url(port: int) -> str:
    """Return the URL of a local chain."""
    return f"http://127.0.0.1:{port}"


def anvil_command(anvil: Path, config: ChainConfig) -> list[str]:
    """Return the command line of a chain. With one slot an epoch, `finalized` is two blocks behind the head."""
    command = [str(anvil), "--host", "127.0.0.1", "--port", str(config.port), "--chain-id", str(config.chain_id)]
    command += ["--slots-in-an-epoch", "1", "--accounts", "0", "--silent"]
    command += ["--prune-history", str(STATES_MAX)]
    if config.state_file is not None:
        command += ["--load-state", str(config.state_file)]
    return command


def start_anvil(anvil: Path, config: ChainConfig, register: Callable[[int], None] = lambda pid: None) -> Anvil:
    """Start a chain and wait until it answers with its chain id. Raises ChainFailed; nothing is left running then.

    `register` gets the PID at once, before an interruption can come between.
    """
    if not is_port_free(config.port):  # whoever listens there would be taken for our process
        raise ChainFailed(f"port {config.port} of 127.0.0.1 is in use")
    config.log_file.parent.mkdir(parents=True, exist_ok=True)
    chain: Anvil | None = None
    try:
        with uninterrupted(), config.log_file.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal reaches whoever supervises the chain, and only them.
            process = subprocess.Popen(
                anvil_command(anvil, config), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
            chain = Anvil(config, process)
            register(process.pid)
        wait_ready(chain)
    except BaseException:
        if chain is not None:
            chain.stop()
        raise
    return chain


def wait_ready(chain: Anvil) -> None:
    """Wait until the process answers, and is the one we started. Raises ChainFailed."""
    deadline = time.monotonic() + READY_S
    with Rpc(chain.url, timeout_s=2.0, retry_delays_s=()) as rpc:
        while True:
            status = chain.process.poll()
            if status is not None:
                raise ChainFailed(f"anvil ended with status {status}: {_last_line(chain.config.log_file)}")
            try:
                rpc.require_chain(chain.config.chain_id)
                return
            except RpcUnavailable:
                if time.monotonic() > deadline:
                    raise ChainFailed(f"anvil on port {chain.config.port} does not answer after {READY_S} s") from None
                time.sleep(0.02)
            except EvmError as error:
                raise ChainFailed(f"port {chain.config.port}: {error}") from error


def use_interval_mining(rpc: Rpc, seconds: int) -> None:
    """Make a block every so many seconds, as real chains do."""
    rpc.request("evm_setAutomine", [False])
    rpc.request("evm_setIntervalMining", [seconds])


def set_balance(rpc: Rpc, account: Address, balance_wei: int) -> None:
    """Give an account native money."""
    rpc.request("anvil_setBalance", [to_hex(account), hex(balance_wei)])


def save_state(url: str, state_file: Path) -> None:
    """Write the whole chain behind `url`, blocks and logs included, to a file, atomically; start_anvil reads it.

    States of earlier blocks are not in it: after a reload, calls at blocks before it are refused.
    """
    with Rpc(url, timeout_s=DUMP_S, retry_delays_s=()) as rpc:
        dumped = rpc.request("anvil_dumpState", [False])
    if not isinstance(dumped, str):
        raise ChainFailed("anvil_dumpState gave no state")
    partial = state_file.with_name(state_file.name + ".partial")
    partial.write_bytes(gzip.decompress(bytes.fromhex(dumped.removeprefix("0x"))))
    partial.replace(state_file)


def mine_until(rpc: Rpc, block_number: int) -> None:
    """Make blocks up to a height, each by an empty transaction: the Step of a chain under automine."""
    missing = block_number - rpc.block_number()
    if missing <= 0:
        return
    wallet = Wallet(rpc, dev_account("miner"))
    set_balance(rpc, wallet.address, MINER_BALANCE_WEI)
    for _ in range(missing):
        wallet.confirm(wallet.send(wallet.address, b"", gas=EMPTY_GAS))


def wait_until(rpc: Rpc, block_number: int, deadline_s: float = 120.0) -> None:
    """Wait for a height: the Step of a chain with interval mining. Raises ChainFailed after the deadline."""
    deadline = time.monotonic() + deadline_s
    while rpc.block_number() < block_number:
        if time.monotonic() > deadline:
            raise ChainFailed(f"{rpc.url} did not reach block {block_number} in {deadline_s} s")
        time.sleep(0.1)


def _last_line(log_file: Path) -> str:
    lines = log_file.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"
