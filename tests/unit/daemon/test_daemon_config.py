"""Configuration: names and types are those of the form; a refusal names file, line, key and what is allowed."""

from pathlib import Path

import pytest

from abci_app.daemon.config import (
    Field,
    Invalid,
    LogTable,
    Table,
    find_line,
    is_endpoint,
    is_http_url,
    load_toml,
    read_toml,
    refused_as,
    require,
)


class Place(Table):
    port: int
    urls: list[str] = Field(default_factory=list)


class Form(Table):
    name: str
    size: int = 7
    log: LogTable = LogTable()
    places: list[Place] = Field(default_factory=list)


class RefusedError(Exception):
    """What these tests have refusals raised as."""


GOOD = """# a comment with size = 1
name = "x"

[log]
level = "debug"

[[places]]
port = 1

[[places]]
port = 2
urls = ["https://host/SECRET"]
"""


def read(text: str) -> Form:
    def make(form: Form) -> Form:
        for index, place in enumerate(form.places):
            require(place.port > 0, f"places[{index}].port must be 1 or more")
        require(form.size > 0, "size must be 1 or more")
        return form
    return read_toml(text, Form, make, RefusedError, "/home/config.toml")


def test_values_and_defaults_are_read() -> None:
    form = read(GOOD)
    assert (form.name, form.size, form.log.level, form.log.file) == ("x", 7, "debug", "")
    assert [(place.port, place.urls) for place in form.places] == [(1, []), (2, ["https://host/SECRET"])]
    assert read('name = "y"').places == []


@pytest.mark.parametrize(("old", "new", "refusal"), [
    ('name = "x"', "", "1: name is missing, must be str"),
    ("port = 2\n", "", "10: places[1].port is missing, must be int"),
    ('name = "x"', "name = 7", "2: name must be str, is int"),
    ('name = "x"', 'name = "x"\nsize = true', "3: size must be int, is bool"),
    ('name = "x"', 'name = "x"\nsize = "7"', "3: size must be int, is str"),
    ('name = "x"', 'name = "x"\nsize = 7.0', "3: size must be int, is float"),
    ('name = "x"', 'name = "x"\nsizes = 7', "3: unknown name sizes; allowed are log, name, places, size"),
    ('level = "debug"', "levels = 1", "5: unknown name log.levels; allowed are file, level"),
    ("port = 2", "port = 2\nprot = 3", "12: unknown name places[1].prot; allowed are port, urls"),
    ('["https://host/SECRET"]', '["https://host/SECRET", 7]', "12: places[1].urls must be a list of strings, entry 1"),
    ('["https://host/SECRET"]', '"https://host/SECRET"', "12: places[1].urls must be list, is str"),
    ("[log]", "[[log]]", "4: log must be a table, is list"),
    ('name = "x"', 'size = "7"', "1: name is missing"),
    ("port = 2", "port = 0", "11: places[1].port must be 1 or more"),
    ('name = "x"', 'name = "x"\nsize = 0', "3: size must be 1 or more"),
    ("[log]", "[log", " Expected ']' at the end of a table declaration (at line 4, column 5)"),
])
def test_a_mistake_is_one_line_that_names_its_place(old: str, new: str, refusal: str) -> None:
    assert old in GOOD
    with pytest.raises(RefusedError) as caught:
        read(GOOD.replace(old, new, 1))
    assert str(caught.value).startswith(f"/home/config.toml:{refusal}")
    assert "\n" not in str(caught.value) and "SECRET" not in str(caught.value)
    assert "SECRET" not in str(caught.value.__cause__)


@pytest.mark.parametrize(("text", "location", "line"), [
    ("a = 1\nb = 2", ("b",), 2),
    ("a = 1\nb = 2", ("c",), 1),
    ("a = 1\nlog.level = 2", ("log", "level"), 2),
    ("\n[ log ]\n  'level' = 2", ("log", "level"), 3),
    ("a = 1\nplaces = [{port = 1}, 7]", ("places", 1), 2),
    ("[a.b]\nc = 1\n[a]\nc = 2", ("a", "c"), 4),
    ("[[p]]\nx = 1\n[p.q]\ny = 1\n[[p]]\nx = 2", ("p", 1, "x"), 6),
    ("", ("a",), 1),
])
def test_the_line_of_a_key_is_found(text: str, location: tuple[str | int, ...], line: int) -> None:
    assert find_line(text, location) == line


def test_a_value_that_stands_in_no_file_is_refused_without_a_line() -> None:
    with pytest.raises(RefusedError, match=r"^config\.toml: size must be 1$"), refused_as(RefusedError):
        require(False, "size must be 1")
    with refused_as(RefusedError):
        require(True, "size must be 1")
    with pytest.raises(Invalid):
        require((), "size must be 1")


@pytest.mark.parametrize(("text", "fits"), [
    ("a:1", True), ("[::1]:65535", True), ("a:0", False), ("a", False), ("a:65536", False), ("a:x", False),
    (":1", False), ("user@a:1", False), ("a:1/path", False), ("http://a:1", False),
])
def test_an_endpoint_is_host_and_port(text: str, fits: bool) -> None:
    assert is_endpoint(text) is fits


def test_a_port_to_listen_on_may_be_zero() -> None:
    assert is_endpoint("a:0", port_min=0) and not is_endpoint("a", port_min=0)


@pytest.mark.parametrize(("text", "fits"), [
    ("http://a", True), ("https://a:1/key?x", True), ("ws://a", False), ("http://", False), ("http://a:x", False),
    ("http://a:0", False), ("a:1", False),
])
def test_a_url_is_one_of_a_host_over_http(text: str, fits: bool) -> None:
    assert is_http_url(text) is fits


# -- files ------------------------------------------------------------------------------------------------------------


def load(path: Path) -> Form:
    return load_toml(path, Form, lambda form: form, RefusedError, hint=": make one")


def test_a_file_is_read_as_its_text_is(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(GOOD)
    assert load(path) == read(GOOD)
    path.write_text("size = 7")
    with pytest.raises(RefusedError, match=rf"^{path}:1: name is missing, must be str$"):
        load(path)


def test_a_file_that_is_missing_or_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    with pytest.raises(RefusedError, match=rf"^{path} is missing: make one$"):
        load(path)
    path.write_bytes(b"\xff")
    with pytest.raises(RefusedError, match=rf"^{path} cannot be read: "):
        load(path)
    with pytest.raises(RefusedError, match=rf"^{tmp_path} cannot be read: "):
        load(tmp_path)
