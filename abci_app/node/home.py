"""A node's folder: config.toml, keys/attestation.json (0600), the lock that keeps a second node out.

``init_home`` never overwrites; ``load_home`` checks everything before anything is opened, so that a wrong home changes
nothing on disk.
"""

import fcntl
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from abci_app.machine.state.codec import Address
from abci_app.node.config import Config, check_config, parse_config, render_config, resolve_abci_address
from abci_app.node.errors import HomeError
from abci_app.node.signer import KEY_BYTES, Signer

CONFIG_FILE = "config.toml"
KEY_FILE = Path("keys") / "attestation.json"
FILE_MODE, FOLDER_MODE = 0o600, 0o700
OTHERS = stat.S_IRWXG | stat.S_IRWXO


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
    try:
        (path / KEY_FILE).parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        (path / KEY_FILE).parent.chmod(FOLDER_MODE)
        if kept is None:
            create_file(path / KEY_FILE, render_key(signer))
        create_file(path / CONFIG_FILE, render_config(config))
    except OSError as error:
        raise HomeError(f"{error.filename or path}: {error.strerror or error}") from error
    return signer.address


def load_home(path: Path) -> Home:
    """Read and check config.toml and the key; nothing is changed. Raises HomeError."""
    try:
        text = (path / CONFIG_FILE).read_text()
    except FileNotFoundError as error:
        raise HomeError(f"{path / CONFIG_FILE} is missing: make a home with routerd init --home {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise HomeError(f"{path / CONFIG_FILE} cannot be read: {error}") from error
    config = parse_config(text)
    resolve_abci_address(config.abci_address, path)
    return Home(path, config, load_signer(path / KEY_FILE))


def load_signer(path: Path) -> Signer:
    """Read an attestation key that only its owner can read. Raises HomeError."""
    try:
        mode = path.stat().st_mode
        if mode & OTHERS:
            raise HomeError(f"{path} is readable by others (mode {mode & 0o777:04o}): run chmod 600 {path}")
        document = json.loads(path.read_text())
        private_key = bytes.fromhex(document["private_key"].removeprefix("0x"))
        address = bytes.fromhex(document["address"].removeprefix("0x"))
    except FileNotFoundError as error:
        raise HomeError(f"{path} is missing: the node has no attestation key") from error
    except OSError as error:
        raise HomeError(f"{path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HomeError(f"{path} is not an attestation key file") from error
    try:
        signer = Signer(private_key)
    except ValueError as error:
        raise HomeError(f"{path}: {error}") from error
    if signer.address != address:
        raise HomeError(f"{path}: the private key is not that of address 0x{address.hex()}")
    return signer


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the home for this process. Raises HomeError while another one holds it.

    The folder itself is locked: no file is made for it, and the kernel lets go when the process ends, however it does.
    """
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise HomeError(f"{path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise HomeError(f"{path} is in use by another routerd") from error
        yield
    finally:
        os.close(folder)


def new_private_key() -> bytes:
    """Return a fresh secp256k1 private key from the system's randomness."""
    while True:
        key = secrets.token_bytes(KEY_BYTES)
        try:
            Signer(key)
        except ValueError:  # zero or above the group's order: once in 2^128
            continue
        return key


def render_key(signer: Signer) -> str:
    """Return the text of a key file."""
    document = {"address": f"0x{signer.address.hex()}", "private_key": f"0x{signer.export_private_key().hex()}"}
    return json.dumps(document, indent=2) + "\n"


def create_file(path: Path, text: str) -> None:
    """Make a file of mode 0600, whole and durable, or not at all; never over another one (FileExistsError)."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(scratch, path)
    finally:
        scratch.unlink()
