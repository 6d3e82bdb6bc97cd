"""YAML and JSON configs: safe, bounded, with the tags that fkit's own dumps have."""

from typing import Any

from fkit.config.language.budget import Budget
from fkit.config.language.imported import Imported
from fkit.config.language.value import Draft
from fkit.config.origin import Mark
from fkit.format.json import read_json
from fkit.format.yaml import read_yaml
from fkit.tree.absent import ABSENT
from fkit.tree.error import FkitValueError

__all__ = ["parse_json", "parse_yaml", "plain_yaml"]

_DEPTH = 100
_WEIGHT = 200_000


def parse_json(text: str, file: str, budget: Budget) -> Any:
    """The value of a JSON text; NaN and Infinity are read, as Python does.

    Raises:
        FkitValueError: no JSON, a key twice, an integer of thousands of digits, or nested too deeply.
    """
    try:
        return _decode(read_json(text, file), file, budget)
    except RecursionError:
        raise FkitValueError("The JSON is nested too deeply.", origin=file) from None


def _decode(value: Any, file: str, budget: Budget) -> Any:
    """Mappings as drafts with their marks; tagged values as what they stand for."""
    if isinstance(value, dict):
        items = {key: _decode(item, file, budget) for key, item in value.items()}
        if len(items) == 1:
            meant = _untag(items, file, budget)
            if meant is not ABSENT:
                return meant
        return Draft(items, dict.fromkeys(items, Mark(file, 0)))
    if isinstance(value, list):
        return [_decode(item, file, budget) for item in value]
    return value


def _untag(items: dict[Any, Any], file: str, budget: Budget) -> Any:
    """What a mapping of one key stands for, its value read already; ABSENT where it is a mapping like any other."""
    ((tag, content),) = items.items()
    if tag == "__float__" and content in ("nan", "inf", "-inf"):
        return float(content)
    if tag == "__lazy__" and isinstance(content, str):
        return Imported(content, file)
    if tag in ("__bytes__", "__str__"):
        try:
            return bytes.fromhex(content) if tag == "__bytes__" else "".join(map(chr, content))
        except (TypeError, ValueError, OverflowError):
            return ABSENT
    if tag in ("__tuple__", "__set__", "__dict__") and isinstance(content, list):
        if tag == "__tuple__":
            return tuple(content)
        try:
            if tag == "__set__":
                return frozenset(budget.key(item) for item in content)
            pairs = {budget.key(key): item for key, item in content}
        except (TypeError, ValueError):
            return ABSENT
        return Draft(pairs, dict.fromkeys(pairs, Mark(file, 0)))
    return ABSENT


def parse_yaml(text: str, file: str, budget: Budget) -> Any:
    """The value of a YAML text; ``!!python/tuple`` is the one tag of Python's that is read.

    Raises:
        FkitValueError: no YAML, another tag, a key twice, nested too deeply, or aliases that make it huge.
    """
    count = 0

    def charge(values: int) -> None:
        nonlocal count
        count += values
        if count > _WEIGHT:
            raise FkitValueError(f"The YAML has more than {_WEIGHT} values, aliases written out.", origin=file)

    def mapping(items: dict[Any, Any], lines: dict[Any, int]) -> Any:
        if len(items) == 1:
            value = _untag(items, file, budget)
            if value is not ABSENT:
                return value
        return Draft(items, {key: Mark(file, lines[key]) for key in items})

    return read_yaml(text, file, mapping=mapping, charge=charge, depth=_DEPTH)


def plain_yaml(text: str, file: str) -> Any:
    """The value of a YAML text of a package's own (an index of models), as plain dicts and lists."""
    return read_yaml(text, file)
