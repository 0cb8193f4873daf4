"""The operator's page names commands and nothing else: no file of the code, no command or option that is not there."""

import re
from pathlib import Path

import pytest
import typer

from abci_app.cli.main import COMMANDS, make_app

ROOT = Path(__file__).resolve().parents[3]
OPERATING = "docs/operating.md"
FENCED = re.compile(r"^routerd .*$", re.MULTILINE)


def list_commands(text: str) -> list[list[str]]:
    """All command lines of a page, as words; a comment behind one does not count."""
    found = [line.partition("  #")[0] for line in (*re.findall(r"`(routerd [^`]+)`", text), *FENCED.findall(text))]
    return [line.split() for line in found]


def find_faults(words: list[str]) -> list[str]:
    """What of a command line routerd does not have."""
    if words[1] not in COMMANDS:
        return [f"no command {words[1]}"]
    command = typer.main.get_command(make_app(words[1]))
    for word in words[1:]:
        children = getattr(command, "commands", {})
        if word in children:
            command = children[word]
    options = {name for parameter in command.params for name in parameter.opts}
    return [f"no option {word}" for word in words if word.startswith("--") and word not in options]


def test_the_page_names_no_file_of_the_code() -> None:
    assert ".py" not in (ROOT / OPERATING).read_text()


@pytest.mark.parametrize("page", [OPERATING, "README.md"])
def test_every_command_of_a_page_is_there(page: str) -> None:
    commands = list_commands((ROOT / page).read_text())
    assert len(commands) > 5 or page != OPERATING
    assert {" ".join(words): find_faults(words) for words in commands if find_faults(words)} == {}


@pytest.mark.parametrize(("line", "faults"), [
    ("routerd genesis check X --cometbft-genesis Y", []),
    ("routerd supervise --home X --engine-home Y", []),
    ("routerd genesis check X --nothing", ["no option --nothing"]),
    ("routerd start --engine-home X", ["no option --engine-home"]),
    ("routerd nothing", ["no command nothing"]),
])
def test_what_is_not_there_is_found(line: str, faults: list[str]) -> None:
    [words] = list_commands(f"text `{line}` text")
    assert find_faults(words) == faults
