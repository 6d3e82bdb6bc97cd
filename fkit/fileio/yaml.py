"""YAML: plain data and tuples, nothing that constructs an object."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, cast

import yaml
from frozendict import frozendict

from fkit.fileio.handler import FileHandler, plain
from fkit.tree.error import FkitValueError

__all__ = ["yaml_handler"]

_DEPTH = 400  # levels; below what the interpreter's own limit leaves for building them
_TUPLE = "tag:yaml.org,2002:python/tuple"
# libyaml's twins are some ten times as fast; they are missing where PyYAML was built without it
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def yaml_handler() -> FileHandler:
    """YAML with PyYAML's safe types and ``!!python/tuple``; any other ``!!python`` tag is refused.

    Mappings keep their order; numpy's scalars and arrays are written as numbers and lists.

    Example:
        >>> handler = yaml_handler()
        >>> print(handler.encode({"size": (2, 3)}).decode(), end="")
        size: !!python/tuple
        - 2
        - 3
        >>> handler.decode(b"size: !!python/tuple [2, 3]")
        {'size': (2, 3)}
    """
    return FileHandler(_from_yaml, _to_yaml, text=True)


def _tuple(loader: Any, node: Any) -> tuple[Any, ...]:
    return tuple(loader.construct_sequence(node, deep=True))


class _Reader(_Loader):
    yaml_constructors: Any = frozendict[Any, Any]({**_Loader.yaml_constructors, _TUPLE: _tuple})


class _Writer(_Dumper):
    def represent_data(self, data: Any) -> Any:
        if type(data) is tuple:
            return self.represent_sequence(_TUPLE, data)
        return super().represent_data(_basic(data))  # pyright: ignore


def _basic(data: Any) -> Any:
    """A value of a type that PyYAML's safe dumper knows; subclasses (a Config, an enum's str) by what they are."""
    if data is None or type(data) in (bool, int, float, str, bytes, list, dict, set):
        return data
    for kind in (int, float, str, bytes):
        if isinstance(data, kind):
            return cast(Any, kind)(data)
    if isinstance(data, tuple):
        return tuple(cast("tuple[Any, ...]", data))
    if isinstance(data, AbstractSet):
        return set(cast("AbstractSet[Any]", data))
    if isinstance(data, (Mapping, Sequence)) or type(data).__module__ == "numpy":
        return plain(data)
    return data  # dates; what it does not know, PyYAML refuses by itself


def _from_yaml(data: bytes) -> Any:
    _check_depth(data)
    try:
        return yaml.load(data, Loader=_Reader)
    except yaml.constructor.ConstructorError as cause:
        if "could not determine a constructor" not in str(cause.problem):
            raise
        at = f" at line {cause.problem_mark.line + 1}" if cause.problem_mark else ""
        raise FkitValueError(
            f"cannot be read as yaml{at}: {cause.problem}; only plain data and !!python/tuple are read."
        ) from cause


def _check_depth(data: bytes) -> None:
    """Refuse what is nested too deeply: libyaml's loader ends the process where the stack does."""
    # no level comes without a bracket, or a column of indentation; so most files need no second look
    indented = max((len(line) - len(line.lstrip(b" \t-?:")) for line in data.splitlines()), default=0)
    if data.count(b"[") + data.count(b"{") + 2 * indented < _DEPTH:
        return
    depth = 0
    module: Any = yaml
    for event in module.parse(data, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEPTH:
                raise RecursionError
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _to_yaml(
    value: Any,
    *,
    sort_keys: bool = False,
    indent: int | None = None,
    width: int | None = None,
    default_flow_style: bool = False,
    allow_unicode: bool = True,
) -> bytes:
    text: str = yaml.dump(
        value,
        Dumper=cast(Any, _Writer),
        sort_keys=sort_keys,
        indent=indent,
        width=cast(Any, width),
        default_flow_style=default_flow_style,
        allow_unicode=allow_unicode,
    )
    return text.encode("utf-8")
