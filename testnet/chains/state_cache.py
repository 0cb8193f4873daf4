"""The finished deployment as anvil states on disk, so that a network starts from it instead of deploying again.

An entry's name is the hash of everything that the states depend on: parameters, artifacts, pinned packages and the code
that deploys. An entry that is damaged is made again.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from testnet.chains.anvil import Anvil, ChainConfig, ChainFailed, find_anvil, save_state, start_anvil
from testnet.connext.connext_contracts import ARTIFACTS, CHAIN_IDS
from testnet.connext.deploy import DeployParams, deploy
from testnet.connext.deployment import Deployment, from_json, to_json

CACHE = Path("build/cache/connext")
"""Below the repository's root."""

ENTRIES_MAX = 8
"""The newest are kept; one takes about 5 MB."""

CODE = ("testnet/**/*.py", "abci_app/evm/**/*.py", "abci_app/evm/abi/*.json", "contracts/package-lock.json")


def start_deployed(
    root: Path,
    params: DeployParams,
    ports: Mapping[int, int],
    log_dir: Path,
    cache_dir: Path | None = None,
    register: Callable[[int, int], None] = lambda domain, pid: None,
) -> tuple[dict[int, Anvil], Deployment]:
    """Start both chains under automine with Connext deployed, from the cache where it has them; return them by domain.

    `root` is the repository; the caller stops the chains; `register` gets domain and PID of each as it starts.
    Raises ChainFailed, EvmError, MessageLayerFailed, and leaves nothing running then.
    """
    entry = (cache_dir or root / CACHE) / compute_cache_key(root, params)
    cached = _read_entry(entry)
    chains: dict[int, Anvil] = {}
    try:
        for domain, chain_id in CHAIN_IDS.items():
            state = entry / f"{domain}.json" if cached else None
            config = ChainConfig(chain_id, ports[domain], log_dir / f"chain-{domain}.log", state)
            chains[domain] = start_anvil(find_anvil(root), config, partial(register, domain))
        if cached is None:
            cached = deploy(root, {domain: chain.rpc for domain, chain in chains.items()}, params)
            _write_entry(entry, chains, cached)
    except BaseException:
        for chain in chains.values():
            chain.stop()
        raise
    return chains, cached.at_ports(dict(ports))


def compute_cache_key(root: Path, params: DeployParams) -> str:
    """Name of the entry for these parameters and this checkout, 32 hex digits."""
    digest = hashlib.sha256(json.dumps(asdict(params), default=bytes.hex, sort_keys=True).encode())
    for path in _inputs(root):
        digest.update(b"\x00" + str(path.relative_to(root)).encode() + b"\x00")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]


def _inputs(root: Path) -> Iterator[Path]:
    for pattern in CODE:
        yield from sorted(root.glob(pattern))
    artifacts = [path for path in sorted((root / ARTIFACTS).rglob("*.json")) if not path.name.endswith(".dbg.json")]
    if not artifacts:
        raise ChainFailed("the Connext contracts are missing: run scripts/setup, or `npm ci` in contracts/")
    yield from artifacts


def _read_entry(entry: Path) -> Deployment | None:
    """Return the deployment of an entry whose states are as they were written; None, and the entry gone, otherwise."""
    if not entry.is_dir():
        return None
    try:
        for name, expected in json.loads((entry / "sha256.json").read_text()).items():
            if hashlib.sha256((entry / name).read_bytes()).hexdigest() != expected:
                raise ValueError(f"{name} has changed")
        os.utime(entry)
        return from_json((entry / "deployment.json").read_text())
    except (OSError, ValueError, KeyError, TypeError):
        shutil.rmtree(entry, ignore_errors=True)
        return None


def _write_entry(entry: Path, chains: Mapping[int, Anvil], deployment: Deployment) -> None:
    """Write beside, then rename: another process sees all of an entry or none."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=entry.parent))
    try:
        for domain, chain in chains.items():
            save_state(chain.url, partial / f"{domain}.json")
        (partial / "deployment.json").write_text(to_json(deployment))
        hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(partial.iterdir())}
        (partial / "sha256.json").write_text(json.dumps(hashes))
        partial.rename(entry)
    except OSError:
        if not entry.is_dir():  # else another process was faster, and its entry is as good
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    entries = sorted(
        (path for path in entry.parent.iterdir() if path.is_dir() and not path.name.startswith(".")),
        key=lambda path: path.stat().st_mtime,
    )
    for old in entries[:-ENTRIES_MAX]:
        shutil.rmtree(old, ignore_errors=True)
