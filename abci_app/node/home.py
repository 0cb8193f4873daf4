"""A node's folder: config.toml, keys/attestation.json (0600), the lock that keeps a second node out.

``init_home`` never overwrites; ``load_home`` checks everything before anything is opened, so that a wrong home changes
nothing on disk.
"""

import secrets
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from abci_app.daemon.config import CONFIG_FILE
from abci_app.daemon.home import create_home, held
from abci_app.daemon.keys import KeyKind, load_key, render_key
from abci_app.machine.state.codec import Address
from abci_app.node.config import Config, check_config, load_config, render_config, resolve_abci_address
from abci_app.node.errors import HomeError
from abci_app.node.signer import KEY_BYTES, Signer

KEY_FILE = Path("keys") / "attestation.json"
KEY_KIND = KeyKind(
    Signer, ValueError, HomeError,
    missing=" is missing: the node has no attestation key",
    wrong="is not an attestation key file",
)


@dataclass(frozen=True, slots=True)
class Home:
    """A checked home: where things are, and the key."""

    path: Path
    config: Config
    signer: Signer

    @property
    def abci_address(self) -> str:
        """The socket's address, absolute."""
        return resolve_abci_address(self.config.abci_address, self.path)

    @property
    def store_path(self) -> Path:
        """The database's folder."""
        return self.path / self.config.store_path

    @property
    def log_path(self) -> Path | None:
        """The log file; None: standard output."""
        return self.path / self.config.log_file if self.config.log_file else None


def init_home(path: Path, config: Config) -> Address:
    """Make a home: a new attestation key and ``config``; return the key's address.

    A key that is there already (an earlier run was cut off before its config.toml) is kept. Raises HomeError, with
    nothing changed, where config.toml exists or ``config`` is wrong.
    """
    check_config(config)
    resolve_abci_address(config.abci_address, path)
    if (path / CONFIG_FILE).exists():
        raise HomeError(f"{path / CONFIG_FILE} exists: this home is initialized already")
    kept = load_signer(path / KEY_FILE) if (path / KEY_FILE).exists() else None

    signer = kept or Signer(new_private_key())
    key = {} if kept else {KEY_FILE: render_key(signer.export_private_key(), signer.address)}
    create_home(path, {**key, Path(CONFIG_FILE): render_config(config)}, HomeError)
    return signer.address


def load_home(path: Path) -> Home:
    """Read and check config.toml and the key; nothing is changed. Raises HomeError."""
    config = load_config(path / CONFIG_FILE, f": make a home with routerd init --home {path}")
    resolve_abci_address(config.abci_address, path)
    return Home(path, config, load_signer(path / KEY_FILE))


def load_signer(path: Path) -> Signer:
    """Read an attestation key that only its owner can read. Raises HomeError."""
    return load_key(path, KEY_KIND)


def locked(path: Path) -> AbstractContextManager[None]:
    """Hold the home for this process. Raises HomeError while another one holds it."""
    return held(path, "routerd", HomeError)


def new_private_key() -> bytes:
    """Return a fresh secp256k1 private key from the system's randomness."""
    while True:
        key = secrets.token_bytes(KEY_BYTES)
        try:
            Signer(key)
        except ValueError:  # zero or above the group's order: once in 2^128
            continue
        return key
