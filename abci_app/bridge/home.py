"""A relayer's folder: config.toml, its key (0600), one journal a chain, and the lock that keeps a second relayer out.

Everything is checked before anything is opened, so that a wrong home changes nothing on disk.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from abci_app.bridge.config import RelayConfig, check_config, load_config, render_config
from abci_app.bridge.errors import Fatal
from abci_app.daemon.config import CONFIG_FILE
from abci_app.daemon.home import create_home, held
from abci_app.daemon.keys import KeyKind, load_key, render_key
from abci_app.evm.account import Account
from abci_app.evm.errors import KeyInvalid
from abci_app.machine.state.codec import DomainId

KEY_KIND = KeyKind(
    Account, KeyInvalid, Fatal, missing=" is missing: the relayer has no key", wrong="is not a key file"
)


@dataclass(frozen=True)
class RelayHome:
    """A checked home."""

    path: Path
    config: RelayConfig
    account: Account

    def journal_path(self, domain: DomainId) -> Path:
        """Return the file of one chain's journal."""
        return self.path / "journal" / f"{domain}.sqlite"

    @property
    def log_path(self) -> Path | None:
        """Return the log file; None: standard output."""
        return self.path / self.config.log_file if self.config.log_file else None


def init_home(path: Path, config: RelayConfig, account: Account) -> None:
    """Make a home with this configuration and key. Raises Fatal where there is one already, or ``config`` is wrong."""
    check_config(config)
    key = render_key(account.private_key, account.address)
    create_home(path, {Path(config.key_file): key, Path(CONFIG_FILE): render_config(config)}, Fatal)


def load_home(path: Path) -> RelayHome:
    """Read and check a home. Raises Fatal."""
    config = load_config(path / CONFIG_FILE)
    return RelayHome(path, config, load_account(path / config.key_file))


def load_account(path: Path) -> Account:
    """Read a key that only its owner can read. Raises Fatal."""
    return load_key(path, KEY_KIND)


def locked(path: Path) -> AbstractContextManager[None]:
    """Hold the home, and with it the nonces of its key, for this process. Raises Fatal while another one holds it."""
    return held(path, "relayer", Fatal)
