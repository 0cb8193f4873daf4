"""Keeps a local network for a test run: brings it up, and down again when its standard input ends, however that ends.

    python -m tests.kit.process.keeper HOME BASE_PORT

Says one line of JSON when the network is up or cannot be. A test run that is killed leaves no process behind.
"""

import json
import shutil
import sys
from pathlib import Path

from testnet.errors import FAILURES
from testnet.network import lifecycle


def main(home: Path, base_port: int) -> int:
    """Up, wait, down, and the folder that holds the home is removed."""
    try:
        lifecycle.up(home, base_port, None, lambda line: None)
    except FAILURES as error:
        print(json.dumps({"failure": str(error)}), flush=True)
        return 1
    try:
        print(json.dumps({"failure": ""}), flush=True)
        sys.stdin.read()
    finally:
        lifecycle.down(home)
        shutil.rmtree(home.parent, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
