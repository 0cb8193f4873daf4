"""scripts/setup, run on a copy with stub tools: what it does once, what it refuses, what an interruption leaves behind.

The stubs stand for python, npm and go; each logs its call and makes the artefact the real tool would make. The real
tools are exercised by every fresh clone, which runs the same script.
"""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INPUTS = ["scripts/setup", "setup.cfg", "pyproject.toml", "requirements.lock", "engine/go.mod", "engine/go.sum"]
INPUTS += ["contracts/package.json", "contracts/package-lock.json"]
DEADLINE_S = 60

PYTHON_STUB = """#!/bin/sh
echo "python $*" >>"$CALLS"
case "$*" in
*"-m venv"*)
    mkdir -p .venv/bin && cp "$0" .venv/bin/python && printf '#!%s/.venv/bin/python\\n' "$PWD" >.venv/bin/pip ;;
*--editable*) : >.venv/bin/routerd && chmod +x .venv/bin/routerd ;;
esac
"""
NODE_STUB = """#!/bin/sh
echo "${NODE_MAJOR:-20}"
"""
NPM_STUB = """#!/bin/sh
echo "npm $*" >>"$CALLS"
[ -z "${NPM_FAILS:-}" ] || { echo "npm went wrong" >&2; exit 1; }
cd build/npm && mkdir -p node_modules/.bin && : >node_modules/.bin/anvil && chmod +x node_modules/.bin/anvil
"""
GO_STUB = """#!/bin/sh
[ "$1" != env ] || { echo "${GO_VERSION:-go1.26.8}"; exit; }
echo "go $*" >>"$CALLS"
[ -z "${GO_HANGS:-}" ] || { echo $$ >"$GO_HANGS"; exec sleep 300; }
printf '#!/bin/sh\\n' >build/bin/cometbft.new && chmod +x build/bin/cometbft.new
"""
SYSTEM_TOOLS = ["bash", "cat", "chmod", "cp", "cut", "dirname", "env", "flock", "grep", "head", "mkdir", "mv", "rm"]
SYSTEM_TOOLS += ["sed", "sh", "sha256sum", "sleep", "tail", "tr", "uname", "wc"]


class Checkout:
    """A copy of the inputs of the set-up in a folder of its own, with a PATH that holds stubs and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        self.bin = folder / "bin"
        self.calls = folder / "calls"
        self.home = folder / "home"
        for path in INPUTS:
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, self.root / path)
        self.bin.mkdir()
        self.home.mkdir()
        for tool in SYSTEM_TOOLS:
            found = shutil.which(tool)
            assert found, f"these tests need {tool}"
            (self.bin / tool).symlink_to(found)
        for name, text in {"python3.11": PYTHON_STUB, "node": NODE_STUB, "npm": NPM_STUB, "go": GO_STUB}.items():
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)

    def environment(self, **extra: str) -> dict[str, str]:
        """The variables of a fresh machine: a PATH, an empty HOME, CI=true, and whatever the test adds."""
        return {"PATH": str(self.bin), "HOME": str(self.home), "CI": "true", "CALLS": str(self.calls), **extra}

    def setup(self, **extra: str) -> subprocess.CompletedProcess[str]:
        """Runs the script to its end."""
        return subprocess.run(
            [self.root / "scripts/setup"],
            env=self.environment(**extra),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def take_calls(self) -> set[str]:
        """Which tools did work since the last call (probes of a version are not work)."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        self.calls.unlink(missing_ok=True)
        return {line.split()[0] for line in lines if " -c " not in line}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_first_run_makes_all_parts_and_second_run_calls_no_tool(checkout: Checkout) -> None:
    first = checkout.setup()
    assert first.returncode == 0, first.stderr
    assert checkout.take_calls() == {"python", "npm", "go"}
    for artefact in (".venv/bin/routerd", "contracts/node_modules/.bin/anvil", "build/bin/cometbft"):
        assert (checkout.root / artefact).exists()
    for part in ("Python environment", "npm packages", "CometBFT engine"):
        assert f"[setup] {part} … " in first.stdout

    second = checkout.setup()
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert checkout.take_calls() == set()


def test_home_may_be_missing(checkout: Checkout) -> None:
    assert checkout.setup(HOME="").returncode == 0
    assert (checkout.root / "build/home").is_dir()


@pytest.mark.parametrize(
    ("changed", "redone"),
    [
        ("requirements.lock", {"python"}),
        ("setup.cfg", {"python"}),
        ("contracts/package-lock.json", {"npm"}),
        ("engine/go.sum", {"go"}),
        ("scripts/setup", set()),
    ],
)
def test_a_changed_input_redoes_its_own_part_only(checkout: Checkout, changed: str, redone: set[str]) -> None:
    assert checkout.setup().returncode == 0
    checkout.take_calls()

    with (checkout.root / changed).open("a") as file:
        file.write("\n")

    assert checkout.setup().returncode == 0
    assert checkout.take_calls() == redone


@pytest.mark.parametrize("artefact", [".venv", "contracts/node_modules", "build"])
def test_a_removed_part_is_made_again(checkout: Checkout, artefact: str) -> None:
    assert checkout.setup().returncode == 0
    shutil.rmtree(checkout.root / artefact)
    assert checkout.setup().returncode == 0
    assert (checkout.root / artefact).exists()


def test_a_moved_checkout_gets_a_new_environment(checkout: Checkout) -> None:
    assert checkout.setup().returncode == 0
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    checkout.take_calls()

    assert checkout.setup().returncode == 0
    assert checkout.take_calls() == {"python"}
    assert str(checkout.root) in (checkout.root / ".venv/bin/pip").read_text()


@pytest.mark.parametrize(
    ("removed", "extra", "words"),
    [
        ("python3.11", {}, ["python is missing", "3.11 or 3.12"]),
        ("node", {}, ["node is missing", "Node.js 20"]),
        ("npm", {}, ["npm is missing", "Node.js 20"]),
        ("go", {}, ["go is missing", "Go 1.24"]),
        (None, {"NODE_MAJOR": "18"}, ["node is too old (18)", "Node.js 20"]),
        (None, {"GO_VERSION": "go1.22.4"}, ["go is too old (go1.22.4)", "Go 1.24"]),
    ],
)
def test_a_missing_tool_gets_one_line_and_nothing_is_changed(
    checkout: Checkout, removed: str | None, extra: dict[str, str], words: list[str]
) -> None:
    if removed:
        (checkout.bin / removed).unlink()
    before = sorted(checkout.root.rglob("*"))

    run = checkout.setup(**extra)

    assert run.returncode != 0
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1
    assert all(word in run.stderr for word in words), run.stderr
    assert sorted(checkout.root.rglob("*")) == before
    assert checkout.take_calls() == set()


def test_an_interpreter_that_does_not_fit_is_passed_over(checkout: Checkout) -> None:
    """A shim of a version manager exists on the PATH and fails when it is run."""
    (checkout.bin / "python3.11").rename(checkout.bin / "python3")
    (checkout.bin / "python3.12").write_text("#!/bin/sh\nexit 127\n")
    (checkout.bin / "python3.12").chmod(0o755)
    assert checkout.setup().returncode == 0


def test_a_part_that_fails_shows_its_log_and_is_resumed(checkout: Checkout) -> None:
    failed = checkout.setup(NPM_FAILS="1")
    assert failed.returncode != 0
    assert "npm went wrong" in failed.stderr
    assert "[setup] npm packages: failed" in failed.stderr
    assert not (checkout.root / "contracts/node_modules").exists()
    checkout.take_calls()

    resumed = checkout.setup()
    assert resumed.returncode == 0, resumed.stderr
    assert "npm" in checkout.take_calls()


@pytest.fixture
def heeded_signals() -> Iterator[None]:
    """A test run in the background or under nohup ignores signals, and so would what it starts: not for this test."""
    before = {sent: signal.signal(sent, lambda *_: None) for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for sent, handler in before.items():
        signal.signal(sent, handler)


@pytest.mark.usefixtures("heeded_signals")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_leaves_no_process_and_no_stamp(checkout: Checkout, sent: signal.Signals) -> None:
    pid_file = checkout.home / "go.pid"
    with subprocess.Popen(
        [checkout.root / "scripts/setup"],
        env=checkout.environment(GO_HANGS=str(pid_file)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as script:
        wait_until(lambda: pid_file.exists() and pid_file.read_text().strip() != "")
        script.send_signal(sent)
        assert script.wait(timeout=DEADLINE_S) == 128 + sent
    wait_until(lambda: not is_running(int(pid_file.read_text())))
    assert not (checkout.root / "build/bin/.stamp-cometbft").exists()

    assert checkout.setup().returncode == 0
    assert (checkout.root / "build/bin/cometbft").exists()


def is_running(pid: int) -> bool:
    """Whether a process with this id exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    """Polls until the condition holds, at most the deadline."""
    ends = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < ends, "waited too long"
        time.sleep(0.02)
