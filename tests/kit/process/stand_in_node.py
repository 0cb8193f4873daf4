"""A whole node as a process, but for its eyes: it sees what a test writes into a file.

    python -m tests.kit.process.stand_in_node HOME OBSERVED.json

The file: {"domains": {"1111": [[number, "raw hex", "digest hex"], …]}, "transfers": ["id hex", …]}, replaced at once.
"""

import json
import sys
from pathlib import Path

from abci_app.cli.start import make_gateway
from abci_app.machine.state.codec import DomainId, Hash, TransferId
from abci_app.node.app import RoutingApplication
from abci_app.node.errors import NodeError
from abci_app.node.home import Home
from abci_app.node.run import NullObserver, run_node
from abci_app.node.view import Published
from abci_app.observer.snapshot import (
    EMPTY_OBSERVATION,
    Observation,
    ObservedDomain,
    ObservedSegment,
    SeenTransfer,
)


class FileObserver(NullObserver):
    """Publishes what the file says now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at = -1
        self._observation = EMPTY_OBSERVATION

    def observation(self) -> Observation:
        try:
            changed_at = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return self._observation
        if changed_at != self._read_at:
            self._observation, self._read_at = read_observation(self._path), changed_at
        return self._observation


def write_observation(path: Path, domains: list[ObservedDomain], transfers: list[TransferId]) -> None:
    """What read_observation reads."""
    document = {
        "domains": {
            str(domain.domain): [[each.number, each.raw.hex(), each.digest.hex()] for each in domain.segments]
            for domain in domains
        },
        "transfers": [transfer.hex() for transfer in transfers],
    }
    path.with_suffix(".new").write_text(json.dumps(document))
    path.with_suffix(".new").replace(path)


def read_observation(path: Path) -> Observation:
    """What write_observation wrote."""
    document = json.loads(path.read_text())
    domains = {}
    for name, segments in document["domains"].items():
        observed = tuple(
            ObservedSegment(number, bytes.fromhex(raw), Hash(bytes.fromhex(digest))) for number, raw, digest in segments
        )
        domains[DomainId(int(name))] = ObservedDomain(DomainId(int(name)), observed)
    seen = SeenTransfer(DomainId(0), DomainId(0))
    return Observation(domains, {TransferId(bytes.fromhex(each)): seen for each in document["transfers"]})


def main(application: type[RoutingApplication] = RoutingApplication) -> None:
    """Runs the node of the command line with this application."""
    home, observed = Path(sys.argv[1]), Path(sys.argv[2])

    def make_observer(_home: Home, _published: Published) -> FileObserver:
        return FileObserver(observed)

    try:
        run_node(home, [make_gateway], make_observer, application)
    except NodeError as error:
        sys.exit(f"node: {error}")


if __name__ == "__main__":
    main()
