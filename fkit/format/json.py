"""JSON: the one reader and the one writer."""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from fkit.format.encoding import decode
from fkit.format.value import plain
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["finite", "pretty_json", "read_json", "write_json"]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]|:', re.DOTALL)


class _Repeated(Exception):
    """An object has a key twice."""


def read_json(source: str | bytes, origin: str | None = None) -> Any:
    """The value of a JSON text.

    NaN and Infinity are read, as Python writes them. A key twice in one object is an error, for one of the two values
    would be lost.

    Args:
        source: the text, or its bytes: UTF-8, or what a byte order mark says.
        origin: the file, for errors.

    Raises:
        FkitValueError: no JSON, a key twice, an integer of more than 4,300 digits, or nested too deeply.

    Example:
        >>> read_json('{"a": [1, null]}')
        {'a': [1, None]}
        >>> read_json('{"a": 1,\\n "a": 2}', "x.json")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitValueError: x.json:2: The key 'a' stands twice in one object.
    """
    text = decode(source, origin)
    try:
        return _DECODER.decode(text)
    except _Repeated:
        line, key = _repeated(text)
        raise FkitValueError(f"The key {key!r:.80} stands twice in one object.", origin=_place(origin, line)) from None
    except json.JSONDecodeError as cause:
        what = (
            f"This is no JSON: {cause.msg}, at column {cause.colno}."
            if text.strip()
            else "This is no JSON: it is empty."
        )
        raise FkitValueError(what, origin=_place(origin, cause.lineno)) from None
    except RecursionError:
        raise FkitValueError("The JSON is nested too deeply.", origin=origin) from None
    except ValueError:
        raise FkitValueError("The JSON has an integer of more than 4300 digits.", origin=origin) from None


def write_json(
    value: Any,
    *,
    indent: int | str | None = None,
    sort_keys: bool = False,
    ensure_ascii: bool = True,
    allow_nan: bool = True,
    separators: tuple[str, str] | None = None,
    default: Callable[[Any], Any] | None = None,
) -> str:
    """A value as JSON text: sets, ranges and arrays as lists, numpy's scalars as numbers, mappings as objects.

    Args:
        value: the value.
        indent: blanks a level, or the text to indent by; None writes one line.
        sort_keys: whether keys are sorted.
        ensure_ascii: whether other characters are written as escapes.
        allow_nan: whether nan and the infinities are written, as Python and OpenMMLab do (`NaN`), which `read_json`
            reads and other readers may refuse; False refuses them.
        separators: between items, and between a key and its value.
        default: gives a plain value for one that JSON has no form for; None is `fkit.format.value.plain`.

    Raises:
        FkitTypeError: a value or a key has no form in JSON.
        FkitValueError: a value holds itself, or is nested too deeply; nan where it is refused.

    Example:
        >>> write_json({"ids": range(3), "tags": ("a", "b")})
        '{"ids": [0, 1, 2], "tags": ["a", "b"]}'
    """
    try:
        if (indent, sort_keys, ensure_ascii, allow_nan, separators, default) == _USUAL:
            return _ENCODER.encode(value)
        return json.dumps(
            value,
            indent=indent,
            sort_keys=bool(sort_keys),
            ensure_ascii=bool(ensure_ascii),
            allow_nan=bool(allow_nan),
            separators=separators,
            default=plain if default is None else default,
        )
    except RecursionError:
        raise FkitValueError("The value is nested too deeply for JSON.") from None
    except (FkitTypeError, FkitValueError):
        raise
    except TypeError as cause:
        raise FkitTypeError(f"The value has no form in JSON: {cause}.") from cause
    except ValueError as cause:
        raise FkitValueError(f"The value has no form in JSON: {cause}.") from cause


def finite(value: Any) -> Any:
    """A tree of dicts and lists with None in place of nan and the infinities, which strict JSON has no form for.

    Example:
        >>> write_json(finite({"loss": float("nan"), "lr": [0.1, float("inf")]}), allow_nan=False)
        '{"loss": null, "lr": [0.1, null]}'
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def pretty_json(value: Any, indent: str = "") -> str:
    """Strict JSON for people: two blanks a level, and what fits into 80 characters in one line.

    Example:
        >>> print(pretty_json({"size": [2, 3], "empty": {}}))
        {
          "size": [2, 3],
          "empty": {}
        }
    """
    short = write_json(value, ensure_ascii=False, allow_nan=False)
    if not isinstance(value, (dict, list)) or not value or (indent and len(short) + len(indent) <= 80):
        return short
    deeper = indent + "  "
    if isinstance(value, list):
        parts = [f"{deeper}{pretty_json(item, deeper)}" for item in value]
        return "[\n" + ",\n".join(parts) + f"\n{indent}]"
    parts = [f"{deeper}{write_json(k, ensure_ascii=False)}: {pretty_json(v, deeper)}" for k, v in value.items()]
    return "{\n" + ",\n".join(parts) + f"\n{indent}}}"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    items = dict(pairs)
    if len(items) != len(pairs):
        raise _Repeated
    return items


_ENCODER = json.JSONEncoder(default=plain)
_USUAL = (None, False, True, True, None, None)
_DECODER = json.JSONDecoder(object_pairs_hook=_once)


def _repeated(text: str) -> tuple[int, str]:
    """The line and the name of the first key that its object has already; the text is known to be JSON up to there."""
    keys: list[set[str]] = []
    word, at = "", 0
    for token in _TOKEN.finditer(text):
        match token[0]:
            case "{" | "[":
                keys.append(set())
            case "}" | "]":
                keys.pop()
            case ":":
                key: str = json.loads(word)
                if key in keys[-1]:
                    return text.count("\n", 0, at) + 1, key
                keys[-1].add(key)
            case string:
                word, at = string, token.start()
    return 1, word


def _place(origin: str | None, line: int) -> str:
    return f"{origin}:{line}" if origin is not None else f"line {line}"
