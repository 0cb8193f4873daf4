"""``routerd``: looks the command up in one table, imports its module only, ends every failure in one line.

A command's module has ``register(app, summary)``, which adds the command to the application; the command raises
``typer.Exit``, ``Failure`` or an exception listed in FAILURES to end with a non-zero status.
"""

import io
import sys
from collections.abc import Sequence
from importlib import import_module

import typer

from abci_app.cli.failure import Failure
from abci_app.node.errors import NodeError

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("abci_app.cli.init", "Make a node's home: config.toml and a new attestation key. Never overwrites."),
    "start": ("abci_app.cli.start", "Run a node beside its CometBFT, until SIGTERM."),
    "supervise": ("abci_app.cli.operator.supervise", "Run a node and its CometBFT as a pair, until SIGTERM."),
    "rollback": ("abci_app.cli.rollback", "Undo a stopped node's last block, beside cometbft rollback."),
    "status": ("abci_app.cli.status", "What a running node says of itself: height, validators, counters."),
    "keys": ("abci_app.cli.operator.keys", "A node's attestation address and proof for the genesis; a new key file."),
    "relay": ("abci_app.cli.relay", "Run a relayer: attested batches to the gates, until SIGTERM."),
    "router": ("abci_app.cli.router", "Run a router: watch, check, bid, until SIGTERM; or make its home."),
    "query": ("abci_app.cli.query", "Ask a node what it committed: tables, or --json for programs."),
    "tx": ("abci_app.cli.tx", "Submit a bid, a withdraw or a TransferInfo."),
    "genesis": ("abci_app.cli.operator.genesis", "Read a network's app_state from its chains; check a genesis."),
    "gate": ("abci_app.cli.operator.gate", "Deploy a chain's ConsensusGate; check code, arguments and approvals."),
    "testnet": ("abci_app.cli.testnet", "A local network of real processes, from a checkout."),
    "version": ("abci_app.cli.version", "Print the version."),
}
"""Command → (module, one line of help). Only the module of the command that is asked for is imported."""

FAILURES = (Failure, NodeError)
INTERRUPTED_STATUS = 130


def make_app(command: str | None) -> typer.Typer:
    """Return the application with the one command; without, or with an unknown one, all of them by their help."""
    app = typer.Typer(name="routerd", help="Consensus routing for cross-chain bridges.", add_completion=False)
    app.callback()(lambda: None)
    if command in COMMANDS:
        module, summary = COMMANDS[command]
        import_module(module).register(app, summary)
        return app
    for name, (_, summary) in COMMANDS.items():
        app.command(name, help=summary)(lambda: None)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command line; return the exit status. A failure prints exactly one line to standard error."""
    command = next((argument for argument in arguments if not argument.startswith("-")), None)
    app = make_app(command)
    try:
        status = app(list(arguments) or ["--help"], standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        return fail(error.format_message(), error.exit_code)
    except FAILURES as error:
        return fail(str(error), 1)
    except OSError as error:  # a full disk, a pipe that nobody reads: what commands expect is a Failure already
        sys.stdout = io.StringIO()  # what is left in it must not fail once more when the interpreter ends
        return fail(f"{error.strerror or error}", 1)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED_STATUS
    return status if isinstance(status, int) else 0


def fail(message: str, status: int) -> int:
    """Print ``message`` as one line; return ``status``."""
    print("routerd:", " ".join(message.split()), file=sys.stderr)
    return status


def main() -> None:
    """Run the console script."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
