"""``routerd start`` of a home whose disk is almost full: no file of this process may grow beyond FILE_BYTES_MAX.

    python -m tests.kit.process.full_disk_node HOME
"""

import resource
import sys
from pathlib import Path

from abci_app.cli.start import make_gateway
from abci_app.node.errors import NodeError
from abci_app.node.run import run_node

FILE_BYTES_MAX = 24 * 1024


def main(home: Path) -> None:
    """Run the node until its store cannot write any more."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES_MAX, FILE_BYTES_MAX))
    try:
        run_node(home, [make_gateway])
    except NodeError as error:
        (home / ENDED).write_text(f"{error}\n")
        sys.exit(1)


ENDED = "ended.txt"
"""In the home: the one line with which it ended."""

if __name__ == "__main__":
    main(Path(sys.argv[1]))
