"""Writes the tables of docs/protocol.md from the code's own definitions: types, order, numbers, defaults, meanings.

Run it after a deliberate change of records, keys, events, codes or parameters:
``python -m tests.kit.docs.protocol_tables``.
A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``; ``test_protocol_tables.py`` fails if it is stale.
"""

import ast
import inspect
import re
from dataclasses import fields, is_dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from types import ModuleType, NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from abci_app.gateway.codes import AnswerCode
from abci_app.machine import block_events, params
from abci_app.machine.codes import Code
from abci_app.machine.observation import projections
from abci_app.machine.state import keys, records
from abci_app.machine.state.codec import Address, DomainId, Hash, Signature, TransferId, Uint
from tests.kit.docs.protocol_logs import list_logs

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "protocol.md"
PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(?=<!-- end -->)", re.DOTALL)
TYPES = {
    Address: "address", Hash: "hash", TransferId: "hash", Signature: "signature", DomainId: "u32", int: "int",
    bool: "bool", bytes: "bytes", str: "text",
}
UNITS = {"gas": "gas", "bytes|call_data": "bytes", "_blocks$": "blocks", "_s$": "seconds"}
"""Of a limit or parameter, by its name; the first that fits."""
MEANINGS = {
    "transfer_id": "The transfer.", "router": "The router.", "nonce": "Connext's own.", "domain": "Domain id.",
    "origin": "Domain of the `xcall`.", "destination": "Domain where it is paid out.", "chain_id": "EVM chain id.",
    "amount": "In the token's units.", "asset": "The token.", "local": "Connext's local asset there.",
    "canonical_domain": "Domain where the asset is canonical.", "canonical_id": "Connext's canonical id of the asset.",
    "origin_domain": "Domain of the `xcall`.", "destination_domain": "Domain where it is paid out.",
    "bridged_amt": "What arrives, in the destination's local asset.", "power": "Consensus power.",
    "gate": "The gate there.", "kind": "FAST or SLOW.", "valid_until_s": "Last second of its lease (LSE-1).",
    "end": "Whether and why it ended.", "tx_hash": "The log's.", "attempt": "Number of the attempt.",
    "count": "How many.", "weight": "Its weight_r.", "cool_down_until": "Its own.", "sequencer": "Its address.",
    "balance": "Before the auction.", "reserved": "Before the auction.",
}
"""Fields that mean the same wherever they stand, and need no words of their own in the code."""


KEY_DOC = "Return the key of the "
"""Begins the docstring of a function that makes a key."""


def name_type(kind: Any) -> str:
    """Return how the page calls a type (COD-1)."""
    if get_origin(kind) is Annotated and isinstance(get_args(kind)[1], Uint):
        return f"u{8 * get_args(kind)[1].width}"
    if get_origin(kind) is tuple:
        return f"list of {name_type(get_args(kind)[0])}"
    if NoneType in get_args(kind):
        return f"optional {name_type(get_args(kind)[0])}"
    return TYPES.get(kind) or str(kind.__name__)


@cache
def read_docs(module: ModuleType) -> dict[str, str]:
    """Return the docstrings below a module's constants (NAME) and below its classes' fields (Class.name)."""
    tree, found = ast.parse(inspect.getsource(module)), {}
    bodies = {"": tree.body, **{f"{node.name}.": node.body for node in tree.body if isinstance(node, ast.ClassDef)}}
    for prefix, body in bodies.items():
        for node, after in zip(body, body[1:], strict=False):
            target = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]
            if isinstance(target, ast.Name) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                found[prefix + target.id] = flatten(str(after.value.value))
    return found


def list_fields(cls: type) -> list[tuple[str, str, str]]:
    """Return (name, type, meaning) of each field of a record, in order; KeyError where nothing says what one means."""
    docs, hints = read_docs(inspect.getmodule(cls) or records), get_type_hints(cls, include_extras=True)
    return [
        (field.name, name_type(hints[field.name]), docs.get(f"{cls.__name__}.{field.name}") or MEANINGS[field.name])
        for field in fields(cls)
    ]


def list_classes(module: ModuleType) -> list[type]:
    """Return a module's own classes in the order of the file."""
    return [cls for cls in vars(module).values() if isinstance(cls, type) and cls.__module__ == module.__name__]


def draw(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """Return a table."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |\n" for row in lines)


def flatten(docstring: str | None) -> str:
    """Return a docstring on one line, in the page's marks."""
    return " ".join((docstring or "").split()).replace("``", "`")


# --- the tables -----------------------------------------------------------------------------------------------------


def draw_keys() -> str:
    """Every key with the record under it: the first word after KEY_DOC in its docstring."""
    rows = [(vars(keys)[name].decode(), doc) for name, doc in read_docs(keys).items()]
    for node in ast.parse(inspect.getsource(keys)).body:
        doc = flatten(ast.get_docstring(node)) if isinstance(node, ast.FunctionDef) else ""
        if doc.startswith(KEY_DOC):
            returned: Any = node.body[-1]  # type: ignore[attr-defined]
            rows.append((_fill_in(returned.value.left.value.decode(), returned.value.right), doc[len(KEY_DOC):]))
    known = {cls.__name__ for cls in (*list_classes(records), *list_classes(params))}
    parted = [(form, *doc.strip(".").partition(" ")[::2]) for form, doc in rows]
    assert all(record in known for _, record, _ in parted), f"a key's docstring begins with its record: {parted}"
    return draw(("key", "record", ""), [(f"`{form}`", record, which) for form, record, which in parted])


def _fill_in(form: str, arguments: ast.expr) -> str:
    """Return a key's format with its arguments' names, and their digits."""
    parts = re.split(r"%(?:0(\d+)d|s)", form)
    names = [ast.unparse(argument).split(".")[0] for argument in getattr(arguments, "elts", [arguments])]
    sized = zip(names, parts[1::2], strict=True)
    places = [f"{{{name}:{digits}}}" if digits else f"{{{name}}}" for name, digits in sized]
    return "".join(text + place for text, place in zip(parts[::2], [*places, ""], strict=True))


def draw_events() -> str:
    """Every projection: its kind and its fields."""
    rows: list[tuple[Any, ...]] = []
    for kind, cls in [("", projections.RouterList), *projections.EVENT_KINDS.items()]:
        own = list_fields(cls) or [("", "", "")]
        rows.append((kind, f"**{cls.__name__}**", "", flatten(cls.__doc__)))
        rows += [("", f"`{name}`", kind_name, meaning) for name, kind_name, meaning in own if name]
    return draw(("kind", "projection", "type", ""), rows)


def draw_codes() -> str:
    """Every code, the machine's and the gateway's, by family; families stand by their first number."""
    families: list[list[tuple[str, str, str]]] = []
    for enumeration in (Code, AnswerCode):
        for line in inspect.getsource(enumeration).splitlines():
            if line.startswith("    # "):
                families.append([("", f"**{line.strip(' #.')}**", "")])
            elif found := re.fullmatch(r"    ([A-Z_]+) = (\d+)  # (.+)", line):
                families[-1].append((found[2], found[1], found[3]))
    rows = [row for family in sorted(families, key=lambda family: int(family[1][0])) for row in family]
    assert sum(bool(number) for number, _, _ in rows) == len(Code) + len(AnswerCode), "a code lacks its meaning"
    return draw(("number", "code", "meaning"), rows)


def draw_block_events() -> str:
    """Every kind of event that a block emits, with its attributes."""
    return draw(("kind", "attributes", "means"), [
        (f"`{kind.value}`", _quote(block_events.ATTRIBUTES[kind]), meaning)
        for kind, meaning in _read_members(block_events.EventKind)
    ])


def draw_alarms() -> str:
    """Every reason of an alarm, with the attributes beside it."""
    return draw(("name", "`reason`", "attributes", "means"), [
        (kind.name, kind.value, _quote(block_events.ALARM_ATTRIBUTES[kind]), meaning)
        for kind, meaning in _read_members(block_events.Alarm)
    ])


def _read_members(cls: Any) -> list[tuple[Any, str]]:
    """Return the members of an enumeration of texts, each with the comment behind it."""
    found = re.findall(r'^    ([A-Z_]+) = ".+"  # (.+)$', inspect.getsource(cls), re.MULTILINE)
    assert [name for name, _ in found] == [member.name for member in cls], f"a member of {cls} lacks its meaning"
    return [(cls[name], meaning) for name, meaning in found]


def _quote(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def draw_limits() -> str:
    """Every fixed limit."""
    values = {name: value for name, value in vars(params).items() if name.isupper() and isinstance(value, int | tuple)}
    docs = read_docs(params)
    rows = [(f"`{name}`", _show(value), _name_unit(name.lower()), docs[name]) for name, value in values.items()]
    return draw(("limit", "value", "unit", "what for"), rows)


def draw_params() -> str:
    """The record Params with its defaults."""
    defaults = {field.name: field.default for field in fields(params.Params)}
    return draw(("field", "type", "default", "unit", "what for"), [
        (f"`{name}`", kind, _show(defaults[name]), _name_unit(name), meaning)
        for name, kind, meaning in list_fields(params.Params)
    ])


def _name_unit(name: str) -> str:
    return next((unit for form, unit in UNITS.items() if re.search(form, name)), "")


def _show(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else ", ".join(map(str, value)) or "none"


def draw_records() -> str:
    """Every record of the state but Params, and the enums they use."""
    parts = [""]
    for cls in (*list_classes(records), params.FeeRow):
        if issubclass(cls, IntEnum):
            members = ", ".join(f"{member.value} {member.name}" for member in cls)
            parts.append(f"**{cls.__name__}** ({members}). {flatten(cls.__doc__)}\n")
        elif is_dataclass(cls):
            rows = [(f"`{name}`", kind, meaning) for name, kind, meaning in list_fields(cls)]
            parts.append(f"**{cls.__name__}.** {flatten(cls.__doc__)}\n\n" + draw(("field", "type", ""), rows))
    return "\n".join([*parts, ""])


def draw_transactions() -> str:
    """The messages of user transactions."""
    source = (ROOT / "proto" / "routing" / "v1" / "tx.proto").read_text()
    return "```proto\n" + source[source.index("syntax"):].rstrip() + "\n```\n"


DRAWN = {
    "keys": draw_keys, "transactions": draw_transactions, "events": draw_events, "codes": draw_codes,
    "block_events": draw_block_events, "alarms": draw_alarms,
    "limits": draw_limits, "params": draw_params, "records": draw_records,
    "logs": lambda: draw(("log", "topic0", "projection", "its fields, from"), list_logs()),
}


def fill(page: str) -> str:
    """Return the page with every table as it should be."""
    return PLACE.sub(lambda found: found[1] + DRAWN[found[2]](), page)


if __name__ == "__main__":
    PAGE.write_text(fill(PAGE.read_text()))
