"""Two programs on one output: whole lines, each with its name; nobody stands still where nobody reads."""

import io
import os
import sys
from pathlib import Path

from abci_app.daemon.prefixed import PrefixedOutput

TALK = "import sys\nfor i in range(200): print(sys.argv[1] * 40, i)\nprint('bad', sys.argv[1], file=sys.stderr)"


def test_each_line_begins_with_its_program_and_stays_whole() -> None:
    output, errors = io.BytesIO(), io.BytesIO()
    shared = PrefixedOutput(output, errors)
    children = [shared.start(name, [sys.executable, "-c", TALK, name]) for name in ("a", "b")]
    shared.write("own", "{}")
    assert [child.wait(30) for child in children] == [0, 0]
    shared.drain()
    lines = output.getvalue().decode().splitlines()
    assert lines.count("own | {}") == 1
    for name in ("a", "b"):
        mine = [line for line in lines if line.startswith(f"{name} | ")]
        assert mine == [f"{name} | {name * 40} {number}" for number in range(200)]
        assert shared.last_words(name) == f"bad {name}"
    assert len(lines) == 401
    assert sorted(errors.getvalue().decode().splitlines()) == ["a | bad a", "b | bad b"]


def test_last_words_are_those_on_standard_error_else_the_output_else_nothing() -> None:
    shared = PrefixedOutput(io.BytesIO(), io.BytesIO())
    for name, program, words in (
        ("a", "import sys; print('why', file=sys.stderr, end=''); print('x')", "why"),
        ("b", "print('x'); print()", "x"),
        ("c", "", "nothing"),
    ):
        shared.start(name, [sys.executable, "-c", program]).wait(30)
        shared.drain()
        assert shared.last_words(name) == words


def test_a_program_goes_on_when_nobody_reads(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = tmp_path / "done"
    program = f"import pathlib\nfor i in range(3000): print('x' * 100)\npathlib.Path({str(done)!r}).touch()"
    with os.fdopen(writer, "wb", buffering=0) as broken:
        shared = PrefixedOutput(broken, broken)
        assert shared.start("a", [sys.executable, "-c", program]).wait(30) == 0
        shared.drain()
    assert done.exists() and shared.last_words("a") == "x" * 100
