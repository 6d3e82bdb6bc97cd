"""Expressions of a config file, evaluated over the AST: a function for each class of node, in one table."""

import ast
import builtins
import warnings
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

from fkit.config.language.access import attribute, get_item, is_globals, put_attribute, put_item, put_name
from fkit.config.language.budget import listed
from fkit.config.language.scope import Closure, Frame, State, refuse
from fkit.config.language.table import call, operate
from fkit.config.language.value import Draft
from fkit.config.origin import Mark
from fkit.tree.absent import ABSENT

__all__ = ["assign", "closure", "value_of"]

_NOTHING: frozenset[Any] = frozenset()
# a dict and a Mark without the calls of their constructors: there are thousands
_new_draft: Callable[..., Draft] = dict.__new__
_new_mark: Callable[..., Mark] = tuple.__new__


def value_of(state: State, node: ast.AST) -> Any:
    """The value of an expression."""
    return EXPRESSIONS[type(node)](state, node)


def _beyond(state: State, node: Any) -> Any:
    state.line = getattr(node, "lineno", state.line)
    refuse(f"{type(node).__name__} is not part of a config that is data.", state.place)


# names and access


def _name(state: State, node: ast.Name) -> Any:
    name = node.id
    frame: Frame | None = state.frame
    while frame is not None:
        value = frame.names.get(name, ABSENT)
        if value is not ABSENT:
            return value
        frame = frame.outer
    state.line = node.lineno
    if hasattr(builtins, name) or name == "__file__":
        refuse(f"{name} is not available to a config.", state.place)
    raise NameError(f"name {name!r} is not defined")


def _attribute(state: State, node: ast.Attribute) -> Any:
    value = value_of(state, node.value)
    state.line = node.lineno
    state.budget.spend(1)
    return attribute(state, value, node.attr)


def _subscript(state: State, node: ast.Subscript) -> Any:
    value, index = value_of(state, node.value), value_of(state, node.slice)
    state.line = node.lineno
    return get_item(state, value, index)


# containers


def _items(state: State, nodes: list[Any]) -> list[Any]:
    """The values of a list of expressions, starred ones unpacked."""
    state.budget.spend(len(nodes) + 1)
    values: list[Any] = []
    for node in nodes:
        kind = type(node)
        if kind is ast.Constant:
            values.append(node.value)
        elif kind is ast.Starred:
            values += listed(value_of(state, node.value), state.budget)
        else:
            values.append(EXPRESSIONS[kind](state, node))
    return values


def _mapping(state: State, node: ast.Dict) -> Draft:
    state.budget.spend(len(node.keys) + 1)
    draft = Draft()
    for name, below in zip(node.keys, node.values, strict=True):
        if name is None:
            _unpack(state, draft, value_of(state, below))
            continue
        key = state.budget.key(value_of(state, name))
        draft[key] = value_of(state, below)
        draft.marks[key] = state.mark(name.lineno)
    if len(draft) < len(node.keys):
        _warn_of_twins(state, node)
    return draft


def _warn_of_twins(state: State, node: ast.Dict) -> None:
    """Warn of a key that a dict display has twice: Python, and so a config, takes the last in silence."""
    seen: set[Any] = set()
    for key in node.keys:
        if isinstance(key, ast.Constant):
            if key.value in seen:
                message = f"The key {key.value!r} stands twice in one dict; the last of them holds."
                warnings.warn_explicit(message, UserWarning, state.file, key.lineno)
            seen.add(key.value)


def _unpack(state: State, draft: Draft, value: Any, positional: frozenset[Any] | None = None) -> None:
    """Put the items of ``**value``: into a dict, or as keywords beside ``positional``, no key of which may come twice."""
    if not isinstance(value, dict):
        raise TypeError(f"{type(value).__name__!r} object is not a mapping")
    state.budget.spend(1 + len(value))
    if positional is not None:
        for key in value:
            if not isinstance(key, str):
                raise TypeError("keywords must be strings")
            if key in draft and key not in positional:
                raise TypeError(f"dict() got multiple values for keyword argument {key!r}")
    draft.take(value, None)


def _dict(state: State, node: ast.Call) -> Draft:
    """``dict(a=1, **other)``, most of what a config is."""
    state.budget.spend(len(node.keywords) + 1)
    if node.args:
        draft = call(state, dict, tuple(_items(state, node.args)), {})
        marks, positional = draft.marks, frozenset(draft)
    else:
        draft = _new_draft(Draft)
        draft.marks = marks = {}
        positional = _NOTHING
    file = state.file
    line = mark = None
    for word in node.keywords:
        below, name = word.value, word.arg
        kind = type(below)
        value = below.value if kind is ast.Constant else EXPRESSIONS[kind](state, below)  # type: ignore[attr-defined]
        if name is None:
            _unpack(state, draft, value, positional)
            continue
        if name in draft and name not in positional:
            state.line = word.lineno
            raise TypeError(f"dict() got multiple values for keyword argument {name!r}")
        draft[name] = value
        if word.lineno != line:
            line = word.lineno
            mark = _new_mark(Mark, (file, line, ()))
        marks[name] = mark
    return draft


# calls


def _call(state: State, node: ast.Call) -> Any:
    function = _name(state, node.func) if type(node.func) is ast.Name else value_of(state, node.func)
    if function is dict:
        return _dict(state, node)
    args = _items(state, node.args)
    state.budget.spend(len(node.keywords))
    keywords: dict[str, Any] = {}
    for word in node.keywords:
        value = value_of(state, word.value)
        for key, item in {word.arg: value}.items() if word.arg is not None else _keywords(state, value):
            if key in keywords:
                raise TypeError(f"got multiple values for keyword argument {key!r}")
            keywords[key] = item
    state.line = node.lineno
    return call(state, function, tuple(args), keywords)


def _keywords(state: State, value: Any) -> Any:
    draft = Draft()
    _unpack(state, draft, value, _NOTHING)
    return draft.items()


def closure(state: State, name: str, spec: ast.arguments, body: Any, run: Callable[[State, Any], Any]) -> Closure:
    """A function of the file, with its defaults evaluated."""
    state.budget.spend(len(spec.defaults) + len(spec.kw_defaults))
    defaults = [value_of(state, node) for node in spec.defaults]
    named = [ABSENT if node is None else value_of(state, node) for node in spec.kw_defaults]
    return Closure(name, spec, body, run, state.frame, state.file, defaults, named)


# operators


def _binary(state: State, node: ast.BinOp) -> Any:
    left, right = value_of(state, node.left), value_of(state, node.right)
    state.line = node.lineno
    return operate(state, type(node.op), left, right)


def _unary(state: State, node: ast.UnaryOp) -> Any:
    value = value_of(state, node.operand)
    state.line = node.lineno
    return operate(state, type(node.op), value)


def _boolean(state: State, node: ast.BoolOp) -> Any:
    state.budget.spend(len(node.values))
    wanted = isinstance(node.op, ast.Or)
    value: Any = None
    for part in node.values:
        value = value_of(state, part)
        if bool(value) is wanted:
            break
    return value


def _compare(state: State, node: ast.Compare) -> Any:
    left = value_of(state, node.left)
    answer: Any = True
    for op, below in zip(node.ops, node.comparators, strict=True):
        right = value_of(state, below)
        state.line = node.lineno
        answer = operate(state, type(op), left, right)
        if not answer:
            break
        left = right
    return answer


def _condition(state: State, node: ast.IfExp) -> Any:
    state.budget.spend(1)
    return value_of(state, node.body if value_of(state, node.test) else node.orelse)


def _walrus(state: State, node: ast.NamedExpr) -> Any:
    value = value_of(state, node.value)
    frame = state.frame
    while frame.passing and frame.outer is not None:
        frame = frame.outer
    frame.put(node.target.id, value, state.mark(node.lineno))
    return value


def _joined(state: State, node: ast.JoinedStr) -> str:
    state.budget.spend(len(node.values))
    return "".join([value_of(state, part) for part in node.values])


def _formatted(state: State, node: ast.FormattedValue) -> str:
    value = value_of(state, node.value)
    if node.conversion >= 0:
        value = state.call({"s": str, "r": repr, "a": ascii}[chr(node.conversion)], value)
    return state.call(format, value, "" if node.format_spec is None else value_of(state, node.format_spec))


# comprehensions


def _comprehended(state: State, node: Any) -> list[Any]:
    return [value_of(state, node.elt) for _ in _loops(state, node.generators)]


def _mapped(state: State, node: ast.DictComp) -> Draft:
    draft = Draft()
    for _ in _loops(state, node.generators):
        key = state.budget.key(value_of(state, node.key))
        draft.put(key, value_of(state, node.value), state.mark(node.lineno))
    return draft


def _loops(state: State, generators: list[ast.comprehension]) -> Iterator[None]:
    """Step through the loops of a comprehension, with its names in a frame of their own."""
    outer = state.frame
    first = _each(state, generators[0])
    state.frame = Frame({}, outer, passing=True)
    try:
        yield from _loop(state, generators, 0, first)
    finally:
        state.frame = outer


def _each(state: State, generator: ast.comprehension) -> Iterator[Any]:
    """The items that a loop of a comprehension goes over."""
    if generator.is_async:
        refuse("An async comprehension is not part of a config that is data.", state.place)
    return iter(value_of(state, generator.iter))


def _loop(state: State, generators: list[ast.comprehension], at: int, items: Iterator[Any]) -> Iterator[None]:
    loop = generators[at]
    for item in items:
        state.budget.spend(2 + len(loop.ifs))
        assign(state, loop.target, item)
        if not all(value_of(state, test) for test in loop.ifs):
            continue
        if at + 1 == len(generators):
            yield None
        else:
            yield from _loop(state, generators, at + 1, _each(state, generators[at + 1]))


# targets


def assign(state: State, target: ast.AST, value: Any) -> None:
    """Assign to a name, an item, an attribute of a base, or several of them."""
    if isinstance(target, ast.Name):
        state.frame.put(target.id, value, state.mark(state.line))
    elif isinstance(target, (ast.Tuple, ast.List)):
        _spread(state, target.elts, value)
    elif isinstance(target, ast.Subscript) and is_globals(target.value):
        put_name(state, value_of(state, target.slice), value)
    elif isinstance(target, ast.Subscript):
        put_item(state, value_of(state, target.value), value_of(state, target.slice), value)
    elif isinstance(target, ast.Attribute):
        put_attribute(state, value_of(state, target.value), target.attr, value)
    else:
        _beyond(state, target)


def _spread(state: State, targets: list[ast.expr], value: Any) -> None:
    values = listed(value, state.budget)
    stars = [at for at, target in enumerate(targets) if isinstance(target, ast.Starred)]
    if len(stars) > 1:
        raise SyntaxError("multiple starred expressions in assignment")
    if stars and len(values) >= len(targets) - 1:
        at = stars[0]
        end = len(values) - (len(targets) - at - 1)
        values = [*values[:at], values[at:end], *values[end:]]
    if len(values) != len(targets):
        raise ValueError(f"cannot unpack {len(values)} values into {len(targets)} names")
    for target, item in zip(targets, values, strict=True):
        assign(state, target.value if isinstance(target, ast.Starred) else target, item)


EXPRESSIONS: MappingProxyType[type[ast.AST], Callable[[State, Any], Any]] = MappingProxyType(
    {
        **dict.fromkeys(ast.expr.__subclasses__(), _beyond),
        ast.Attribute: _attribute,
        ast.BinOp: _binary,
        ast.BoolOp: _boolean,
        ast.Call: _call,
        ast.Compare: _compare,
        ast.Constant: lambda state, node: node.value,
        ast.Dict: _mapping,
        ast.DictComp: _mapped,
        ast.FormattedValue: _formatted,
        ast.GeneratorExp: lambda state, node: iter(_comprehended(state, node)),
        ast.IfExp: _condition,
        ast.JoinedStr: _joined,
        ast.Lambda: lambda state, node: closure(state, "<lambda>", node.args, node.body, value_of),
        ast.List: lambda state, node: _items(state, node.elts),
        ast.ListComp: _comprehended,
        ast.Name: _name,
        ast.NamedExpr: _walrus,
        ast.Set: lambda state, node: set(map(state.budget.key, _items(state, node.elts))),
        ast.SetComp: lambda state, node: set(map(state.budget.key, _comprehended(state, node))),
        ast.Slice: lambda state, node: slice(
            *(part and value_of(state, part) for part in (node.lower, node.upper, node.step))
        ),
        ast.Subscript: _subscript,
        ast.Tuple: lambda state, node: tuple(_items(state, node.elts)),
        ast.UnaryOp: _unary,
    }
)
"""Class of an expression -> the function that evaluates it."""
