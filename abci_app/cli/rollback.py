"""``routerd rollback``: undo a stopped node's last block, beside ``cometbft rollback``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from abci_app.node.rollback import roll_back_home


def register(app: typer.Typer, summary: str) -> None:
    """Add the command."""
    app.command("rollback", help=summary)(rollback)


def rollback(
    home: Annotated[Path, typer.Option(help="The node's home; the node must not run.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Undo the application's last block; CometBFT's own state is rolled back by ``cometbft rollback``."""
    before, after = roll_back_home(home)
    if as_json:
        print(json.dumps({"from_height": before.height, "height": after.height, "app_hash": after.app_hash.hex()}))
        return
    print(f"rolled back from height {before.height} to {after.height}, app hash {after.app_hash.hex()}")
    print(f"CometBFT must be at height {after.height} too before the next start: cometbft rollback")
