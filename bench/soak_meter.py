"""What the processes of a local network use while a soak runs: memory, CPU, logs, databases; and whether they agree."""

import calendar
import os
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from abci_app.client.errors import ClientError
from abci_app.client.nodes import NodeClient
from bench.report import Row, make_row
from testnet.network.layout import Layout
from testnet.processes import cometbft
from testnet.processes.spawn import is_running, load_identities

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
CALL_S = 2.0
HEADERS_PER_CALL = 20
TRACEBACK = b"Traceback (most recent"


@dataclass(frozen=True)
class Sample:
    """One moment: by process resident bytes and CPU seconds, by log file bytes, by node the database's bytes."""

    at_s: float
    height: int
    rss: dict[str, int]
    cpu_s: dict[str, float]
    logs: dict[str, int]
    stores: dict[str, int]


class Meter:
    """Samples in a thread; ``mark`` ends a phase of that name."""

    def __init__(self, layout: Layout, every_s: float) -> None:
        self._layout, self._every_s = layout, every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._hashes: dict[int, set[bytes]] = defaultdict(set)
        self._compared = 0
        self.phases: dict[str, tuple[Sample, Sample]] = {}
        self.problems: list[str] = []
        self._last: Sample

    def start(self) -> None:
        """Begin the first phase."""
        self._last = self.sample()
        self._thread.start()

    def stop(self) -> None:
        """End the samples; twice does no harm."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def mark(self, phase: str) -> None:
        """End a phase and begin the next one."""
        now = self.sample()
        self.phases[phase] = (self._last, now)
        self._last = now

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            self.compare()

    def compare(self) -> None:
        """Note every node's app hash at its height; two for one height are a problem."""
        for node in self._layout.nodes():
            try:
                with NodeClient([node.grpc]) as client:
                    status = client.status()
            except ClientError:
                continue  # paused
            known = self._hashes[status.height]
            self._compared += bool(known)
            known.add(status.app_hash)
            if len(known) > 1:
                self.problems.append(f"app hashes differ at height {status.height}")

    def sample(self) -> Sample:
        """Look at every process and file once."""
        rss, cpu_s = {}, {}
        for name, identity in load_identities(self._layout.pids).items():
            if is_running(identity):
                rss[name], cpu_s[name] = read_process(identity.pid)
        stores = {node.name: sum_sizes(node.app_home) for node in self._layout.nodes()}
        stores |= {f"{node.name}-cometbft": sum_sizes(node.engine_home / "data") for node in self._layout.nodes()}
        logs = {path.name: path.stat().st_size for path in self._layout.logs.iterdir()}
        return Sample(time.monotonic(), self.read_height(), rss, cpu_s, logs, stores)

    def read_height(self) -> int:
        """Return the greatest height that a node tells; one that pauses, or is just starting, tells none or less."""
        heights = [0]
        for node in self._layout.nodes():
            try:
                status = cometbft.call_rpc(node.rpc_url, "status", CALL_S)
            except OSError:
                continue
            heights.append(int(status["sync_info"]["latest_block_height"]))
        return max(heights)

    def summarize(self) -> list[Row]:
        """Return the rows on the phases; differing app hashes are among ``problems``."""
        rows = [make_row("app hashes compared", self._compared, "", target=1, more_is_better=True)]
        for phase, (first, last) in self.phases.items():
            blocks = max(1, last.height - first.height)
            for part in ("node1", "node1-cometbft"):
                grown = last.stores[part] - first.stores[part]
                rows.append(make_row(f"{phase}: {part} database, 1,000 blocks", round(grown / blocks), "kB"))
        return rows

    def print_table(self) -> None:
        """Print one line a process: memory and CPU at the end of each phase, and its log."""
        names = sorted({name for _, last in self.phases.values() for name in last.rss})
        print(f"{'process':<16}" + "".join(f" {phase + ': RSS MB':>20} {'CPU %':>6}" for phase in self.phases))
        for name in names:
            cells = ""
            for first, last in self.phases.values():
                used = last.cpu_s.get(name, 0.0) - first.cpu_s.get(name, 0.0)
                percent = f"{100 * used / (last.at_s - first.at_s):.1f}" if used >= 0 else "-"
                cells += f" {last.rss.get(name, 0) / 1e6:>20.1f} {percent:>6}"
            print(f"{name:<16}{cells}")
        print(f"{'log':<24}" + "".join(f" {phase + ': kB/min':>20}" for phase in self.phases))
        for log in sorted({log for _, last in self.phases.values() for log in last.logs}):
            rates = (
                (last.logs.get(log, 0) - first.logs.get(log, 0)) / (last.at_s - first.at_s) * 60 / 1e3
                for first, last in self.phases.values()
            )
            print(f"{log:<24}" + "".join(f" {rate:>20.1f}" for rate in rates))


def read_process(pid: int) -> tuple[int, float]:
    """Return the resident bytes and CPU seconds of a process; zeros where it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0, 0.0
    return pages * PAGE_BYTES, (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def sum_sizes(folder: Path) -> int:
    """Return the bytes of the files in a folder; those that vanish meanwhile count as none."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except OSError:
                continue
    return total


def count_tracebacks(folder: Path) -> dict[str, int]:
    """Return the tracebacks by log file, none left out; files without are not in it."""
    counts = {path.name: path.read_bytes().count(TRACEBACK) for path in sorted(folder.iterdir())}
    return {name: count for name, count in counts.items() if count}


def block_seconds(url: str) -> list[float]:
    """Return seconds from block to block, by the headers' times, from height 2 on. Raises OSError, CometBFTError."""
    head = int(cometbft.call_rpc(url, "status")["sync_info"]["latest_block_height"])
    times: dict[int, float] = {}
    for first in range(1, head + 1, HEADERS_PER_CALL):
        last = min(head, first + HEADERS_PER_CALL - 1)
        answer = cometbft.call_rpc(url, "blockchain", minHeight=str(first), maxHeight=str(last))
        for meta in answer["block_metas"]:
            times[int(meta["header"]["height"])] = parse_time(meta["header"]["time"])
    return [times[height] - times[height - 1] for height in sorted(times) if height > 2 and height - 1 in times]


def parse_time(text: str) -> float:
    """Return Unix seconds of an RFC 3339 time in UTC."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")
