"""The state machine is a function: same input, same bytes. Calls, literals and iterations that would break that."""

import ast
from collections.abc import Iterator

BANNED_NAMES = (
    *("__import__", "breakpoint", "compile", "delattr", "eval", "exec", "globals", "locals", "setattr", "vars"),
    *("complex", "float", "hash", "id"),
    *("input", "open", "print"),
)
"""Builtins with an effect, or with an answer that differs between two runs or two machines."""

SET_TYPES = ("set", "frozenset", "Set", "FrozenSet", "AbstractSet", "MutableSet", "KeysView")
SET_METHODS = ("union", "intersection", "difference", "symmetric_difference")
SET_OPERATORS = (ast.BitOr, ast.BitAnd, ast.BitXor, ast.Sub)
ORDER_FREE = ("sorted", "set", "frozenset", "min", "max", "any", "all", "len", "sum")
"""Functions of an iterable whose answer does not depend on its order."""
ORDER_TAKING = ("list", "tuple", "enumerate", "iter", "next", "zip", "map", "filter", "join", "fromkeys", "reversed")

SPLITTING = (
    *("split", "rsplit", "partition", "rpartition", "removeprefix", "removesuffix", "find", "index", "strip", "lstrip"),
)
"""Methods of bytes that say what stands where."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def check_purity(path: str, source: str) -> list[str]:
    """Refuses effects, floats, asserts, wide excepts and asynchronous code."""
    problems = []
    for node in ast.walk(ast.parse(source)):
        what = None
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if name in BANNED_NAMES:
                what = f"{name} has an effect or an answer that is not the same everywhere"
            case ast.Constant(value=float() | complex()):
                what = "a float literal"
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                what = "/ makes a float: use //"
            case ast.ExceptHandler(type=None | ast.Name(id="Exception" | "BaseException")):
                what = "an except this wide hides bugs"
            case ast.AsyncFunctionDef() | ast.Await() | ast.Global() | ast.Nonlocal():
                what = "asynchronous code or hidden state"
        if what:
            problems.append(f"{path}:{node.lineno}: {what}")  # type: ignore[attr-defined]
    return problems


PARAMS_READERS = ("abci_app/machine/scope.py", "abci_app/machine/genesis/", "abci_app/machine/state/keys.py")
"""Who may name the parameters' key: the scope reads them, genesis makes them, and the key is defined."""


def check_scope(path: str, source: str) -> list[str]:
    """Refuses rules that read the parameters or make a block of their own instead of taking the Scope."""
    problems = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(attr="PARAMS") | ast.Name(id="PARAMS") | ast.alias(name="PARAMS"):
                if not path.startswith(PARAMS_READERS):
                    problems.append(f"{path}:{node.lineno}: parameters come from scope.params")
            case ast.Call(func=ast.Name(id="Block") | ast.Attribute(attr="Block")):
                problems.append(f"{path}:{node.lineno}: a block comes from the engine; who has none opens a Scope")
    return problems


def check_keys(path: str, source: str) -> list[str]:
    """Refuses to take a key apart: ``state/keys.py`` has a parser beside each function that makes one.

    A key is what is called so, and what a loop over ``scan`` calls the first of its two.
    """
    tree = ast.parse(source)
    names = {"key"}
    for node in ast.walk(tree):
        match node:
            case (
                ast.For(iter=source_of, target=ast.Tuple(elts=[ast.Name(id=name), *_]))
                | ast.comprehension(iter=source_of, target=ast.Tuple(elts=[ast.Name(id=name), *_]))
            ) if any(isinstance(call, ast.Attribute) and call.attr == "scan" for call in ast.walk(source_of)):
                names.add(name)
    problems = []
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=ast.Name(id=name)) if name in names:
                problems.append(f"{path}:{node.lineno}: {name}[…] takes a key apart: use a parser of state/keys.py")
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if (
                name in names and method in SPLITTING
            ):
                problems.append(f"{path}:{node.lineno}: {method} takes a key apart: use a parser of state/keys.py")
    return problems


def check_no_assert(path: str, source: str) -> list[str]:
    """Refuses `assert`, which vanishes under -O; bugs raise through invariant()."""
    return [
        f"{path}:{node.lineno}: assert vanishes under -O: raise, or use invariant()"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assert)
    ]


def check_no_preexec(path: str, source: str) -> list[str]:
    """Refuses Python between fork and exec: with threads about (gRPC has some) the child may hang or abort there."""
    return [
        f"{path}:{node.value.lineno}: preexec_fn runs in a copy of a process with threads: let the child do it"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.keyword) and node.arg == "preexec_fn"
    ]


def check_sorted_sets(path: str, source: str) -> list[str]:
    """Refuses to take elements out of a set in its own order: a set has no order worth agreeing on."""
    tree = ast.parse(source)
    attributes = {
        node.target.id
        for owner in ast.walk(tree)
        if isinstance(owner, ast.ClassDef)
        for node in owner.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and is_set_type(node.annotation)
    }
    functions = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, Function) and node.returns and is_set_type(node.returns)
    }
    shared = Sets(set(), attributes, functions)
    shared.learn(tree.body)
    problems = set()
    for scope in [tree, *(node for node in ast.walk(tree) if isinstance(node, Function))]:
        known = Sets(set(shared.names), attributes, functions)
        if isinstance(scope, Function):
            known.learn_parameters(scope)
        known.learn(scope.body)
        problems |= {f"{path}:{line}: a set is read in its own order: use sorted()" for line in known.misused(scope)}
    return sorted(problems)


class Sets:
    """What is known to be a set in one scope: names, attributes and the functions that return one."""

    def __init__(self, names: set[str], attributes: set[str], functions: set[str]) -> None:
        self.names = names
        self._attributes = attributes
        self._functions = functions

    def learn_parameters(self, function: Function) -> None:
        """Adds the parameters that are annotated as sets."""
        arguments = function.args
        for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
            if argument.annotation and is_set_type(argument.annotation):
                self.names.add(argument.arg)

    def learn(self, body: list[ast.stmt]) -> None:
        """Adds the names that are assigned or annotated as sets, in the order of the text."""
        for node in walk_scope(body):
            match node:
                case ast.Assign(targets=targets, value=value) if self.is_set(value):
                    self.names |= {target.id for target in targets if isinstance(target, ast.Name)}
                case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if is_set_type(annotation):
                    self.names.add(name)

    def is_set(self, node: ast.expr) -> bool:
        """Whether an expression is known to be a set or a view of keys."""
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Name(id=name):
                return name in self.names
            case ast.Attribute(attr=name):
                return name in self._attributes
            case ast.Call(func=ast.Name(id=name)):
                return name in ("set", "frozenset") or name in self._functions
            case ast.Call(func=ast.Attribute(value=value, attr=method)) if method in SET_METHODS:
                return self.is_set(value)
            case ast.BinOp(left=left, op=op, right=right) if isinstance(op, SET_OPERATORS):
                return any(self.is_set(side) or is_keys(side) for side in (left, right))
            case ast.IfExp(body=body, orelse=orelse):
                return self.is_set(body) or self.is_set(orelse)
        return False

    def misused(self, scope: ast.AST) -> Iterator[int]:
        """The lines where a set's own order would show."""
        order_free: set[ast.AST] = set()
        for node in ast.walk(scope):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[ast.GeneratorExp() | ast.ListComp() as inner, *_]):
                    if name in ORDER_FREE:
                        order_free.add(inner)
        for node in ast.walk(scope):
            match node:
                case ast.For(iter=source) if self.is_set(source):
                    yield node.lineno
                case ast.ListComp() | ast.GeneratorExp() | ast.DictComp() if node not in order_free:
                    if any(self.is_set(part.iter) for part in node.generators):
                        yield node.lineno
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=arguments):
                    if name in ORDER_TAKING and any(self.is_set(argument) for argument in arguments):
                        yield node.lineno
                    if name == "pop" and isinstance(node.func, ast.Attribute) and self.is_set(node.func.value):
                        yield node.lineno
                case ast.Starred(value=value) if self.is_set(value):
                    yield node.lineno


def is_set_type(annotation: ast.expr) -> bool:
    """Whether an annotation says set[…], frozenset[…] or one of their abstract kinds."""
    head = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    name = head.attr if isinstance(head, ast.Attribute) else getattr(head, "id", "")
    return name in SET_TYPES


def is_keys(node: ast.expr) -> bool:
    """Whether an expression is a call of .keys() or .items(): combining two of them makes a set."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("keys", "items")


def walk_scope(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """All nodes of a body in the order of the text, without those of inner functions and classes."""
    for statement in body:
        if isinstance(statement, Function | ast.ClassDef):
            continue
        yield statement
        for name, value in ast.iter_fields(statement):
            if name in ("body", "orelse", "finalbody") and isinstance(value, list):
                yield from walk_scope(value)
            elif name in ("handlers", "cases"):
                for inner in value:
                    yield from walk_scope(inner.body)
