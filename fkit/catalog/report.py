"""What a failed lookup or build says: the config path, the file and line, what was given, the nearest name."""

import inspect
import sys
from collections.abc import Iterator, Mapping
from typing import Any, cast

from fkit.catalog.entry import PART_KIND
from fkit.catalog.scope import chain, places
from fkit.catalog.table import Table
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, FkitValueError, like, nearest, quoted, slip_of
from fkit.tree.path import follow, show
from fkit.tree.trace import blamed

__all__ = [
    "bad_config",
    "bad_type",
    "broken",
    "failed",
    "is_reported",
    "locate",
    "no_type",
    "not_found",
    "of_class",
    "origin_of",
    "parts_in",
    "place",
    "placed",
    "reported",
    "undone_delete",
]


def reported(error: FkitError) -> FkitError:
    """Mark an error as one that says where in the config it is: builds further out pass it on as it is."""
    error.__dict__["reported"] = True
    return error


def is_reported(error: BaseException) -> bool:
    """Does the error say already where in the config it is?"""
    return bool(error.__dict__.get("reported"))


def place(path: str, key: str) -> str:
    """Two parts of a path, joined.

    Example:
        >>> place("model", "backbone"), place("", "type"), place("hooks", "[1]")
        ('model.backbone', 'type', 'hooks[1]')
    """
    return f"{path}{key}" if not path or not key or key.startswith("[") else f"{path}.{key}"


def placed(error: FkitError, lead: str, path: str, origin: str | None) -> FkitError:
    """The error with the place to which it belongs: words before its own, the config path, the file and line."""
    return type(error)(
        lead + error.what, path=path, origin=origin, value=error.value, choices=error.choices, label=error.label,
        more=error.more, repair=error.repair,
    )  # fmt: skip


def locate(outer: Any, node: Any) -> str:
    """The path from ``outer`` to ``node`` in it: the very object, else the one part with the same ``type``.

    A maker may hand on a changed copy of a part's config; where two parts could be meant, the path stays that of the
    whole.

    Example:
        >>> part = {"type": "A"}
        >>> locate({"x": [{"type": "A"}, part]}, part)
        'x[1]'
    """
    parts = list(_inside(outer, ""))
    for path, value in parts:
        if value is node:
            return path
    kind = cast("Mapping[str, Any]", node).get("type") if isinstance(node, Mapping) else None
    same = [path for path, value in parts if _type_of(value) is not None and _type_of(value) == kind]
    return same[0] if len(same) == 1 else ""


def parts_in(outer: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The parts inside a config, mappings with ``type``, with their paths in it.

    Example:
        >>> list(parts_in({"x": [{"type": "A"}, 3]}))
        [('x[0]', {'type': 'A'})]
    """
    for path, value in _inside(outer, ""):
        if isinstance(value, Mapping) and "type" in value:
            yield path, cast("Mapping[str, Any]", value)


def _inside(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in cast("Mapping[Any, Any]", value).items():
            at = place(path, show((key,)))
            yield at, item
            yield from _inside(item, at)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(cast("list[Any]", value)):
            yield f"{path}[{index}]", item
            yield from _inside(item, f"{path}[{index}]")


def _type_of(value: Any) -> Any:
    return cast("Mapping[str, Any]", value).get("type") if isinstance(value, Mapping) else None


def origin_of(cfg: Any, key: str = "") -> str | None:
    """``file:line`` of a key of a config node, where it keeps that; for a key it lacks, that of its type."""
    ask = getattr(cast(Any, type(cfg)), "origin", None)
    if not callable(ask):
        return None
    # a node has no line of its own: its type's, else its first key's, stands for it
    for known in (key, "type", *tuple(cfg)[:1]):
        if known in cfg:
            return cast("str | None", ask(cfg, (known,)))
    return None


def not_found(
    reg: Table,
    kind: str,
    name: str,
    scope: str | None = None,
    backend: str | None = None,
    path: str = "",
    origin: str | None = None,
    in_config: bool = False,
) -> FkitError:
    """No entry for a name: it is unknown, or there for other backends only, or for several and none was said."""
    kind = reg.kind(kind)
    at = f"{place(path, 'type')} = {name!r}" if in_config or path else repr(name)
    start = reg.start(scope)
    rows = reg.table(kind)
    entries = next((rows[key] for key in places(reg.scopes, reg.scope, start, name) if key in rows), ())
    if entries:
        backends = sorted(e.backend for e in entries if e.backend is not None)
        if backend is None:
            what = f"{at} is in the registry {kind!r} for several backends, and none was said."
        else:
            what = f"{at} is in the registry {kind!r}, but not for the backend {backend!r}."
        return FkitKeyError(what, path=path, origin=origin, value=backend, choices=backends, label="Backends")
    choices = _reachable(reg, kind, start, backend)
    from_scope = f" from the scope {start!r}" if start != reg.scope else ""
    elsewhere = ", and no module that can be imported has it" if in_config and name.count(".") > 0 else ""
    keys = places(reg.scopes, reg.scope, start, name)
    others = [other for other in sorted(reg.kinds) if other != kind and any(key in reg.table(other) for key in keys)]
    but = f", but in {' and '.join(map(repr, others))}" if others else ""
    first = name.partition(".")[0]
    mine = f"If {first!r} is a module of yours: --allow {first}." if elsewhere and first not in reg.scopes else ""
    word = name if name in choices or nearest(name, choices) or "." not in name else name.rpartition(".")[2]
    mine = mine or _unmarked(reg, kind, name, backend)
    return FkitKeyError(
        f"{at} is not in the registry {kind!r}{from_scope}{elsewhere}{but}.",
        path=path,
        origin=origin,
        value=word,
        choices=choices,
        label="Registered",
        more=f"fkit registry {kind}",
        repair=mine or ("" if choices else f"Nothing is registered there: `reg.register({kind!r}, maker)`."),
    )


def _unmarked(reg: Table, kind: str, name: str, backend: str | None) -> str:
    """How to offer what an included module defines under a name that nothing registers; "" where none does."""
    for module in sorted(reg.included):
        maker = getattr(sys.modules.get(module), name, None)
        if callable(maker) and f"{getattr(maker, '__module__', '')}.".startswith(f"{module}."):
            mark = f"@fkit.component({kind!r}" + (f", backend={backend!r})" if backend else ")")
            return f"The module {module} defines {name!r}, and does not offer it: write {mark} above it."
    return ""


def _reachable(reg: Table, kind: str, start: str, backend: str | None) -> tuple[str, ...]:
    """The names that a lookup from ``start`` can give, bare where they need no scope."""
    bare = {name for place in chain(reg.scopes, start) for name in reg.names(kind, place, backend)}
    return tuple(sorted(bare | {name for name in reg.names(kind, None, backend) if "." in name}))


def no_type(reg: Table, kind: str, cfg: Any, path: str) -> FkitError:
    """A config without ``type``."""
    return FkitKeyError(
        f"{path or 'The config'} has no key 'type', so nothing says which of {kind!r} it is: {quoted(cfg)}.",
        path=path,
        origin=origin_of(cfg),
        repair=slip_of("type", cfg) or f"Name one: type={_some(reg, kind)}.",
    )


def _some(reg: Table, kind: str) -> str:
    names = reg.names(kind)
    return repr(names[0]) if names else "..."


def bad_type(kind: str, name: Any, cfg: Any, path: str) -> FkitError:
    """``type`` is neither a name nor something to call."""
    return FkitTypeError(
        f"{place(path, 'type')} = {quoted(name)}: a type is a name in {kind!r}, a class or a function.",
        path=path,
        origin=origin_of(cfg, "type"),
    )


def bad_config(kind: str, cfg: Any, path: str, origin: str | None = None) -> FkitError:
    """What was given is no config node."""
    many = isinstance(cfg, (list, tuple))
    return FkitTypeError(
        f"{path + ': a' if path else 'A'} config of {kind!r} is a mapping with 'type', not {type(cfg).__name__}: "
        f"{quoted(cfg)}.",
        path=path,
        origin=origin,
        repair="Build its items one by one: only a list of models has a meaning of its own." if many else "",
    )


def failed(error: Exception, call: Any, name: Any, args: Mapping[str, Any], cfg: Any, path: str) -> FkitError:
    """A maker that raised: an argument it does not take, one it lacks, or its own error."""
    label = name if isinstance(name, str) else getattr(name, "__name__", repr(name))
    shown = repr(label) if isinstance(name, str) and " " not in name else label
    arguments = {key: value for key, value in args.items() if key != "build"}
    signature = _signature(call)
    written = f"Signature: {_call_text(label, signature)}" if signature is not None else ""
    wrong = _misfit(signature, args) if isinstance(error, TypeError) and signature is not None else None
    if wrong is not None and signature is not None:
        argument, what = wrong
        if argument not in arguments:
            where = f"{path}: " if path else ""
            return FkitTypeError(
                f"{where}{shown} {what}.", path=path, origin=origin_of(cfg, argument), label="Arguments", repair=written
            )
        # in a table that was merged into one with a type; a dtype is no slip
        slip = slip_of("type", (argument,)) if len(argument) <= len("type") else ""
        return FkitTypeError(
            f"{place(path, argument)} = {quoted(arguments[argument])}: {shown} {what}.",
            path=place(path, argument),
            origin=origin_of(cfg, argument),
            value=argument,
            choices=_takes(signature),
            label="Arguments",
            repair="\n  ".join(part for part in (slip, _bare(call, argument), written) if part),
        )
    text = str(error).strip() or "no message"
    lead = text if isinstance(error, FkitError) else blamed(f"{type(error).__name__}: {text}", error)
    listed = ", ".join(f"{key}={quoted(value)}" for key, value in arguments.items()) or "nothing"
    inner, key = _culprit(error, signature, arguments)
    at = place(path, inner)
    plain = like(error)(
        f"{at + ': ' if at else ''}{shown} could not be built: {lead}",
        path=at,
        origin=_line(cfg, inner) or origin_of(cfg, key or "type"),
        repair="\n  ".join(part for part in (f"Given: {listed}", written) if part),
    )
    return of_class(plain, error)


def _culprit(error: Exception, signature: inspect.Signature | None, arguments: Mapping[str, Any]) -> tuple[str, str]:
    """Where below a part a maker's error is of, and the argument that it is of; "" each where that is not known.

    An error of the kit's own may say it; of any other, an argument that is None, and may not be, is the cause.
    """
    if isinstance(error, FkitError) and error.path:
        key = error.path.partition("[")[0].partition(".")[0]
        return (error.path if error.path != key else "", key) if key in arguments else ("", "")
    for key, value in arguments.items() if signature is not None else ():
        known = signature.parameters.get(key) if signature is not None else None
        if value is None and known is not None and known.default is not None and not _takes_none(known.annotation):
            return key, key
    return "", ""


def _takes_none(annotation: Any) -> bool:
    text = annotation if isinstance(annotation, str) else str(annotation)
    return annotation is inspect.Parameter.empty or any(word in text for word in ("None", "Any", "Optional", "object"))


def _line(cfg: Any, path: str) -> str | None:
    """``file:line`` of the part, or the value, at a path below a config node."""
    try:
        node = follow(cfg, path) if path else None
    except FkitError:
        return None
    return origin_of(node) if isinstance(node, Mapping) else None


def broken(what: str, cause: Exception, path: str = "") -> FkitError:
    """The error of code of others that raised, of the class of its own, with the user's line.

    Example:
        >>> print(broken("Net.forward", KeyError("a")))
        Net.forward raised KeyError: 'a'
    """
    text = f"{what} raised {type(cause).__name__}: {cause}"
    return of_class(like(cause)(blamed(text, cause), path=path), cause)


def of_class(plain: FkitError, cause: Exception) -> FkitError:
    """``plain``, in a class that ``except`` clauses for the class of ``cause`` catch too, with the attributes of both.

    Where Python lets no class be of both (their layouts conflict, the cause makes its own instances) it is ``plain``.

    Example:
        >>> class OutOfRange(Exception): ...
        >>> try: raise of_class(FkitError("net: 3 is out of range."), OutOfRange(3))
        ... except OutOfRange as error: print(error)
        net: 3 is out of range.
    """
    if isinstance(plain, type(cause)) or isinstance(cause, (StopIteration, StopAsyncIteration)):
        return plain  # that of an iterator's end means its end, wherever it comes by
    try:
        error = _blank(type(plain), type(cause), plain.what)
        error.__dict__.update({**cause.__dict__, **plain.__dict__})
    except Exception:  # a class of the user's may refuse in any way
        return plain
    return error


def _blank(first: type[FkitError], second: type[Exception], what: str) -> FkitError:
    """An error of both classes, of which neither constructor has run: theirs may want any arguments."""

    def reduce(error: Any) -> Any:  # a class made here has no name to be pickled by; what it is made of has
        return _blank, (first, second, what), error.__dict__

    members = {"__reduce__": reduce, "__module__": second.__module__}
    both: Any = second if issubclass(second, FkitError) else type(second.__name__, (first, second), members)
    try:
        error = both.__new__(both)
    except TypeError:  # the second's layout is the wider one, and its own maker is wanted
        error = second.__new__(both)
    error.args = (what,)
    return error


def undone_delete(cfg: Any, path: str) -> FkitError:
    """``_delete_`` in what is to be built: a word of merging that nothing merged."""
    return FkitValueError(
        f"{place(path, '_delete_')} reached a build: it says that this dict takes the place of a base's, and here "
        "nothing was merged over a base.",
        path=place(path, "_delete_"),
        origin=origin_of(cfg, "_delete_"),
        repair="Take it out; or merge first: load the file with fkit.load_config, or use cfg.merge(...).",
    )


def _signature(call: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(call)
    except (ValueError, TypeError):
        return None


def _takes(signature: inspect.Signature) -> tuple[str, ...]:
    """The names of the arguments a config may give."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(name for name, p in signature.parameters.items() if p.kind in kinds and name != "build")


def _misfit(signature: inspect.Signature, args: Mapping[str, Any]) -> tuple[str, str] | None:
    """The argument that the signature does not take, or lacks, with what to say of it."""
    parameters = signature.parameters.values()
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        takes = (*_takes(signature), "build")
        for key in args:
            if key not in takes:
                return key, f"takes no argument {key!r}"
    for p in parameters:
        variadic = p.kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        if not variadic and p.name != "build" and p.default is inspect.Parameter.empty and p.name not in args:
            return p.name, f"needs the argument {p.name!r}"
    return None


def _bare(call: Any, argument: str) -> str:
    """What to do where a part of one's own declares an argument as a field, and is no dataclass."""
    if not isinstance(call, type) or not hasattr(call, PART_KIND) or "__dataclass_fields__" in vars(call):
        return ""
    try:
        declared = argument in inspect.get_annotations(call)
    except NameError:  # Python 3.14 evaluates them here
        return ""
    return f"Put @dataclass(frozen=True) above the class {call.__name__}, which declares it." if declared else ""


def _call_text(label: str, signature: inspect.Signature) -> str:
    # `Built` in an annotation is between the kit and the maker
    shown = [
        p.replace(annotation=p.empty) if hasattr(p.annotation, "__metadata__") else p
        for p in signature.parameters.values()
    ]
    ends = (
        signature.empty if signature.return_annotation is None else signature.return_annotation
    )  # a class's constructor
    text = f"{label}{signature.replace(parameters=shown, return_annotation=ends)}"
    return text if len(text) <= 300 else text[:297] + "..."
