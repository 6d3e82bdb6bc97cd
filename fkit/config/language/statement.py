"""Python config files as data: their statements, evaluated over the AST, never executed."""

import ast
import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from fkit.config.language.access import attribute, drop_item, get_item, put_attribute, put_item
from fkit.config.language.budget import Budget
from fkit.config.language.expression import assign, closure, value_of
from fkit.config.language.imported import Imported, Module, is_standard
from fkit.config.language.scope import TRUST, Frame, State, refuse
from fkit.config.language.table import BUILTINS, call, member, operate
from fkit.config.language.value import Draft, Linked
from fkit.tree.absent import ABSENT
from fkit.tree.error import FkitError, FkitValueError, like

__all__ = ["evaluate"]

_BREAK, _CONTINUE = "break", "continue"  # what a statement answers when it leaves its loop; a return answers a tuple
# the evaluator's classes in Python's messages, and what a user calls them
_SPOKEN = MappingProxyType(
    {
        "Draft": "dict",
        "Linked": "dict",
        "Closure": "function",
        "Bound": "method",
        "Module": "module",
    }
)
_CLASS = re.compile(rf"(?:(?<=['\"])|(?<=not )|(?<=type ))({'|'.join(_SPOKEN)})\b")


def evaluate(
    body: list[ast.stmt],
    names: Draft,
    file: str,
    budget: Budget,
    environment: dict[str, str] | None = None,
) -> Draft:
    """The names that the statements of a file leave.

    Args:
        body: the statements.
        names: the names at the start, as ``_base_``; it is changed and returned.
        file: the file's name, for origins and errors.
        budget: what the evaluation may cost.
        environment: the environment variables that the file reads are put here.

    Raises:
        FkitError: an error of the file, with its line; or something that is beyond a config that is data.

    Example:
        >>> dict(evaluate(ast.parse("a = [i * i for i in range(3)]").body, Draft(), "x.py", Budget()))
        {'a': [0, 1, 4]}
    """
    state = State(file, budget, Frame(names, Frame(dict(BUILTINS))), call, {} if environment is None else environment)
    try:
        if _block(state, body) is not None:
            raise SyntaxError("'return', 'break' or 'continue' outside of a function or a loop")
    except FkitError as error:
        if error.origin is None:
            error.origin = state.place
        raise
    except RecursionError:
        raise FkitValueError("The config is nested too deeply.", origin=state.place) from None
    except MemoryError:
        raise FkitValueError("The config needs too much memory.", origin=state.place) from None
    except Exception as error:
        detail = repr(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        repair = ""
        if isinstance(error, (TypeError, AttributeError)):
            repair = TRUST if "'Module'" in detail else ""  # Python might do more with it
            detail = _CLASS.sub(lambda match: _SPOKEN[match[0]], detail)
        what = f"{type(error).__name__}: {detail[:400]}."
        raise like(error)(what, origin=state.place, repair=repair) from error
    return names


def _block(state: State, body: list[ast.stmt]) -> Any:
    """Execute statements until one leaves; None, or how: "break", "continue", or ("return", value)."""
    for node in body:
        state.budget.spend(1)
        state.line = node.lineno
        leaving = STATEMENTS[type(node)](state, node)
        if leaving is not None:
            return leaving
    return None


def _beyond(state: State, node: ast.stmt) -> Any:
    refuse(f"The statement {type(node).__name__} is not part of a config that is data.", state.place)


# assignment


def _assign(state: State, node: ast.Assign) -> None:
    value = value_of(state, node.value)
    state.line = node.lineno
    state.budget.spend(len(node.targets))
    for target in node.targets:
        assign(state, target, value)


def _annotated(state: State, node: ast.AnnAssign) -> None:
    if node.value is not None:
        assign(state, node.target, value_of(state, node.value))


def _augmented(state: State, node: ast.AugAssign) -> None:
    target = node.target
    if isinstance(target, ast.Name):
        old = value_of(state, ast.copy_location(ast.Name(target.id, ast.Load()), target))
        if target.id not in state.frame.names:
            raise UnboundLocalError(
                f"cannot access local variable {target.id!r} where it is not associated with a value"
            )
        state.frame.put(target.id, _in_place(state, node, old), state.mark(node.lineno))
        return
    holder = value_of(state, target.value)
    if isinstance(target, ast.Subscript):
        index = value_of(state, target.slice)
        put_item(state, holder, index, _in_place(state, node, get_item(state, holder, index)))
    else:
        put_attribute(state, holder, target.attr, _in_place(state, node, attribute(state, holder, target.attr)))


def _in_place(state: State, node: ast.AugAssign, old: Any) -> Any:
    """``old OP= value``: lists, sets and dicts change in place, as in Python."""
    value, kind = value_of(state, node.value), type(node.op)
    state.line = node.lineno
    if isinstance(old, list) and kind is ast.Add:
        state.call(list.extend, old, value)
        return old
    if isinstance(old, Draft) and kind is ast.BitOr:
        state.call(dict.update, old, value)
        return old
    result = operate(state, kind, old, value)
    if isinstance(old, list):
        old[:] = result
        return old
    if isinstance(old, set):
        old.clear()
        old.update(result)
        return old
    return result


def _delete(state: State, node: ast.Delete) -> None:
    for target in node.targets:
        _drop(state, target)


def _drop(state: State, target: ast.expr) -> None:
    state.budget.spend(1)
    if isinstance(target, ast.Name):
        state.frame.drop(target.id)
    elif isinstance(target, (ast.Tuple, ast.List)):
        for below in target.elts:
            _drop(state, below)
    elif isinstance(target, (ast.Subscript, ast.Attribute)):
        holder = value_of(state, target.value)
        index = target.attr if isinstance(target, ast.Attribute) else value_of(state, target.slice)
        if isinstance(target, ast.Attribute) and (not isinstance(holder, Linked) or index not in holder):
            raise AttributeError(f"{type(holder).__name__!r} object has no attribute {index!r}")
        drop_item(state, holder, index)


# control


def _discarded(state: State, node: ast.Expr) -> None:
    value_of(state, node.value)


def _return(state: State, node: ast.Return) -> tuple[str, Any]:
    return "return", None if node.value is None else value_of(state, node.value)


def _for(state: State, node: ast.For) -> Any:
    for value in value_of(state, node.iter):
        state.budget.spend(1)
        assign(state, node.target, value)
        leaving = _block(state, node.body)
        if leaving == _BREAK:
            return None
        if isinstance(leaving, tuple):
            return leaving
    return _block(state, node.orelse)


def _function(state: State, node: ast.FunctionDef) -> None:
    if node.decorator_list:
        refuse("A decorator is not part of a config that is data.", state.place)
    nodes = list(ast.walk(node))
    state.budget.spend(len(nodes))
    if any(isinstance(below, (ast.Yield, ast.YieldFrom)) for below in nodes):
        refuse("A generator function is not part of a config that is data.", state.place)
    state.frame.put(node.name, closure(state, node.name, node.args, node.body, _body), None)


def _body(state: State, body: list[ast.stmt]) -> Any:
    """What the body of a function returns."""
    leaving = _block(state, body)
    return leaving[1] if isinstance(leaving, tuple) else None


def _assert(state: State, node: ast.Assert) -> None:
    if not value_of(state, node.test):
        raise AssertionError("" if node.msg is None else state.call(str, value_of(state, node.msg)))


# imports


def _with(state: State, node: ast.With) -> Any:
    marker = node.items[0].context_expr
    is_marker = isinstance(marker, ast.Call) and isinstance(marker.func, ast.Name) and marker.func.id == "read_base"
    if not is_marker or len(node.items) > 1:
        refuse("Only `with read_base():` is part of a config that is data.", state.place)
    return _block(state, node.body)


def _import(state: State, node: ast.Import) -> None:
    state.budget.spend(len(node.names))
    for alias in node.names:
        # `import a.b` binds `a`; `import a.b as c` binds what it names
        name = alias.name if alias.asname else alias.name.split(".")[0]
        value = Module(name) if is_standard(alias.name) else Imported(name, state.place)
        state.frame.put(alias.asname or name, value, None)


def _import_from(state: State, node: ast.ImportFrom) -> None:
    module = "." * node.level + (node.module or "")
    state.budget.spend(len(node.names))
    for alias in node.names:
        if alias.name == "*":
            refuse("`from ... import *` is only for bases, inside of `with read_base():`.", state.place)
        name = f"{module}.{alias.name}"
        value = member(module, alias.name) if is_standard(module) else Imported(name, state.place)
        # what a config may not use can be imported all the same; the use is what is refused
        state.frame.put(alias.asname or alias.name, Module(name) if value is ABSENT else value, None)


STATEMENTS: MappingProxyType[type[ast.AST], Callable[[State, Any], Any]] = MappingProxyType(
    {
        **dict.fromkeys(ast.stmt.__subclasses__(), _beyond),
        ast.AnnAssign: _annotated,
        ast.Assert: _assert,
        ast.Assign: _assign,
        ast.AugAssign: _augmented,
        ast.Break: lambda state, node: _BREAK,
        ast.Continue: lambda state, node: _CONTINUE,
        ast.Delete: _delete,
        ast.Expr: _discarded,
        ast.For: _for,
        ast.FunctionDef: _function,
        ast.If: lambda state, node: _block(state, node.body if value_of(state, node.test) else node.orelse),
        ast.Import: _import,
        ast.ImportFrom: _import_from,
        ast.Pass: lambda state, node: None,
        ast.Return: _return,
        ast.With: _with,
    }
)
"""Class of a statement -> the function that executes it."""
