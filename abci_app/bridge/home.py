"""A relayer's folder: config.toml, its key (0600), one journal a chain, and the lock that keeps a second relayer out.

Everything is checked before anything is opened, so that a wrong home changes nothing on disk.
"""

import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from abci_app.bridge.config import RelayConfig, check_config, load_config, render_config
from abci_app.bridge.errors import Fatal
from abci_app.evm.account import Account
from abci_app.evm.errors import KeyInvalid
from abci_app.machine.state.codec import DomainId

CONFIG_FILE = "config.toml"
FILE_MODE, FOLDER_MODE = 0o600, 0o700
OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class RelayHome:
    """A checked home."""

    path: Path
    config: RelayConfig
    account: Account

    def journal_path(self, domain: DomainId) -> Path:
        """File of one chain's journal."""
        return self.path / "journal" / f"{domain}.sqlite"

    @property
    def log_path(self) -> Path | None:
        """The log file; None: standard output."""
        return self.path / self.config.log_file if self.config.log_file else None


def init_home(path: Path, config: RelayConfig, account: Account) -> None:
    """Make a home with this configuration and key. Raises Fatal where there is one already, or ``config`` is wrong."""
    check_config(config)
    key_path = path / config.key_file
    try:
        path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        key_path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        key = {"address": f"0x{account.address.hex()}", "private_key": f"0x{account.private_key.hex()}"}
        _create_file(key_path, json.dumps(key, indent=2) + "\n")
        _create_file(path / CONFIG_FILE, render_config(config))
    except FileExistsError as error:
        raise Fatal(f"{error.filename} exists already") from error
    except OSError as error:
        raise Fatal(f"{path}: {error.strerror or error}") from error


def load_home(path: Path) -> RelayHome:
    """Read and check a home. Raises Fatal."""
    config = load_config(path / CONFIG_FILE)
    return RelayHome(path, config, load_account(path / config.key_file))


def load_account(path: Path) -> Account:
    """Read a key that only its owner can read. Raises Fatal."""
    try:
        mode = path.stat().st_mode
        if mode & OTHERS:
            raise Fatal(f"{path} is readable by others (mode {mode & 0o777:04o}): run chmod 600 {path}")
        fields = json.loads(path.read_text())
        private_key = bytes.fromhex(fields["private_key"].removeprefix("0x"))
        address = bytes.fromhex(fields["address"].removeprefix("0x"))
        account = Account(private_key)
    except FileNotFoundError as error:
        raise Fatal(f"{path} is missing: the relayer has no key") from error
    except OSError as error:
        raise Fatal(f"{path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, KeyInvalid) as error:
        raise Fatal(f"{path} is not a key file") from error
    if account.address != address:
        raise Fatal(f"{path}: the private key is not that of address 0x{address.hex()}")
    return account


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the home, and with it the nonces of its key, for this process. Raises Fatal while another one holds it.

    The folder itself is locked: no file is made for it, and the kernel lets go when the process ends, however it does.
    """
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Fatal(f"{path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Fatal(f"{path} is in use by another relayer") from error
        yield
    finally:
        os.close(folder)


def _create_file(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
