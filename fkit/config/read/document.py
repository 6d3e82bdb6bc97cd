"""YAML and JSON configs: safe, bounded, with the tags that fkit's own dumps have."""

import json
from typing import Any

from fkit.config.language.budget import Budget
from fkit.config.language.imported import Imported
from fkit.config.language.value import Draft
from fkit.config.origin import Mark
from fkit.tree.error import FkitValueError
from fkit.tree.tree import thaw

__all__ = ["parse_json", "parse_yaml", "plain_yaml"]

_DEPTH = 100
_WEIGHT = 200_000


def parse_json(text: str, file: str, budget: Budget) -> Any:
    """The value of a JSON text; NaN and Infinity are read, as Python does.

    Raises:
        FkitValueError: no JSON, an integer of thousands of digits, or nested too deeply.
    """
    try:
        return _decode(json.loads(text), file, None, budget)
    except RecursionError:
        raise FkitValueError("The JSON is nested too deeply.", origin=file) from None
    except json.JSONDecodeError as error:
        raise FkitValueError(f"This is no JSON: {error.msg}.", origin=f"{file}:{error.lineno}") from None
    except ValueError as error:
        raise FkitValueError(f"This is no JSON that fkit reads: {error}.", origin=file) from None


def _decode(value: Any, file: str, lines: Any, budget: Budget) -> Any:
    """Mappings as drafts with their marks; tagged values as what they stand for."""
    if isinstance(value, dict):
        if len(value) == 1:
            found = _untag(value, file, lines, budget)
            if found is not _NO_TAG:
                return found
        made = Draft()
        mark = Mark(file, 0)
        for key, item in value.items():
            made.put(key, _decode(item, file, lines, budget), lines(value, key) if lines else mark)
        return made
    if isinstance(value, list):
        return [_decode(item, file, lines, budget) for item in value]
    if isinstance(value, tuple):
        return tuple(_decode(item, file, lines, budget) for item in value)
    return value


_NO_TAG: Any = object()


def _untag(value: dict[Any, Any], file: str, lines: Any, budget: Budget) -> Any:
    ((tag, held),) = value.items()
    if tag == "__float__" and held in ("nan", "inf", "-inf"):
        return float(held)
    if tag == "__lazy__" and isinstance(held, str):
        return Imported(held, file)
    if tag in ("__tuple__", "__set__", "__dict__") and isinstance(held, list):
        items = [_decode(item, file, lines, budget) for item in held]
        if tag == "__tuple__":
            return tuple(items)
        try:
            if tag == "__set__":
                return {_hashable(item, budget) for item in items}
            made = Draft()
            for pair in items:
                key, item = pair
                made.put(_hashable(key, budget), item, Mark(file, 0))
            return made
        except (TypeError, ValueError):
            return _NO_TAG
    return _NO_TAG


def _hashable(value: Any, budget: Budget) -> Any:
    return frozenset(value) if isinstance(value, set) else budget.key(value)


def parse_yaml(text: str, file: str, budget: Budget) -> Any:
    """The value of a YAML text; ``!!python/tuple`` is the one tag of Python's that is read.

    Raises:
        FkitValueError: no YAML, another tag, nested too deeply, or aliases that make it huge.
    """
    import yaml

    try:
        node = _compose(text, yaml)
        if node is None:
            return None
        _weigh(node, file, {})
        return _construct(node, file, _loader(yaml), {})
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 0
        raise FkitValueError(f"This is no YAML that fkit reads: {error.problem}.", origin=f"{file}:{line}") from None
    except yaml.YAMLError as error:
        raise FkitValueError(f"This is no YAML: {str(error)[:200]}.", origin=file) from None
    except RecursionError:
        raise FkitValueError("The YAML is nested too deeply.", origin=file) from None
    except (ValueError, TypeError, OverflowError, KeyError, AttributeError) as error:
        if isinstance(error, FkitValueError):
            raise
        raise FkitValueError(f"This is no YAML that fkit reads: {error}.", origin=file) from None


def plain_yaml(text: str, file: str) -> Any:
    """The value of a YAML text of a package's own (an index of models), as plain dicts and lists."""
    return thaw(parse_yaml(text, file, Budget()))


def _compose(text: str, yaml: Any) -> Any:
    """The node graph; events are counted first, for the composer calls itself for each level."""
    kind = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    for event in yaml.parse(text, Loader=kind):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            if depth > _DEPTH:
                raise FkitValueError(f"The YAML is nested more than {_DEPTH} levels deep.")
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
    return yaml.compose(text, Loader=kind)


def _loader(yaml: Any) -> Any:
    return yaml.SafeLoader("")


def _weigh(node: Any, file: str, known: dict[int, int]) -> int:
    """The nodes below a node, aliases counted as often as they stand."""
    found = known.get(id(node))
    if found is not None:
        if found < 0:
            raise FkitValueError("The YAML holds itself by an alias.", origin=f"{file}:{node.start_mark.line + 1}")
        return found
    known[id(node)] = -1
    weight = 1
    if isinstance(node.value, list):
        for item in node.value:
            for below in item if isinstance(item, tuple) else (item,):
                weight += _weigh(below, file, known)
    if weight > _WEIGHT:
        raise FkitValueError(f"The YAML has more than {_WEIGHT} values, aliases written out.", origin=file)
    known[id(node)] = weight
    return weight


_PREFIX = "tag:yaml.org,2002:"


def _construct(node: Any, file: str, loader: Any, known: dict[int, Any]) -> Any:
    """The value of a node. An alias gives the value itself again, as YAML has it."""
    if id(node) in known:
        return known[id(node)]
    tag = node.tag.removeprefix(_PREFIX)
    if tag == "map":
        loader.flatten_mapping(node)
        made: Any = _mapping(node, file, loader, known)
    elif tag in ("seq", "python/tuple"):
        if not isinstance(node.value, list):
            raise FkitValueError(f"The tag !!{tag} wants a sequence.", origin=f"{file}:{node.start_mark.line + 1}")
        items = [_construct(item, file, loader, known) for item in node.value]
        made = items if tag == "seq" else tuple(items)
    elif tag == "set":
        made = {_construct(key, file, loader, known) for key, _ in node.value}
    elif tag in ("str", "timestamp"):
        made = str(node.value)
    elif tag in ("null", "bool", "int", "float", "binary"):
        made = loader.construct_object(node)
    else:
        raise FkitValueError(
            f"The YAML tag {node.tag!r} is not read.",
            origin=f"{file}:{node.start_mark.line + 1}",
            repair="!!python/tuple is the only tag of Python's that a config may have.",
        )
    known[id(node)] = made
    return made


def _mapping(node: Any, file: str, loader: Any, known: dict[int, Any]) -> Any:
    made = Draft()
    for name, below in node.value:
        key = _construct(name, file, loader, known)
        if isinstance(key, (list, dict, set)):
            raise FkitValueError(
                "A key of the YAML is a list or a mapping.", origin=f"{file}:{name.start_mark.line + 1}"
            )
        if isinstance(key, (int, float)) and not -(2**60) < key < 2**60:
            known[-1] = known.get(-1, 0) + 1  # such numbers can be chosen to have one hash, and then a dict is slow
            if known[-1] > 1000:
                raise FkitValueError(
                    "The YAML has more than 1000 keys of 60 bits.", origin=f"{file}:{name.start_mark.line + 1}"
                )
        made.put(key, _construct(below, file, loader, known), Mark(file, name.start_mark.line + 1))
    if len(made) == 1:
        found = _untag(made, file, None, Budget())
        if found is not _NO_TAG:
            return found
    return made
