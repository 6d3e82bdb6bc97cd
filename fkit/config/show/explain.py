"""``explain`` and ``diff`` as text: where a value came from, and what two configs do not share."""

from typing import Any

from fkit.config.origin import chain, of
from fkit.tree import tree
from fkit.tree.check import expect
from fkit.tree.error import quoted
from fkit.tree.node import Node
from fkit.tree.path import Path, exact, show, step

__all__ = ["difference", "explain"]

_RED, _GREEN, _DIM, _END = "\x1b[31m", "\x1b[32m", "\x1b[2m", "\x1b[0m"


def explain(cfg: Node, path: str) -> str:
    """Who set the value at a path, newest first; for a mapping, who set each of its leaves.

    Raises:
        FkitAttributeError, FkitIndexError: nothing is there.

    Example:
        >>> from fkit import Config
        >>> print(explain(Config({"a": {"b": 1}}).merge({"a.b": 2}), "a.b"))
        a.b = 2
          merge()  2
    """
    expect(cfg, Node, "`cfg` is a config")
    keys = exact(cfg, path)
    value = tree.get(cfg, keys)
    if not isinstance(value, dict):
        return _chain(cfg, keys, value)
    leaves = list(_leaves(value, keys))
    if not leaves:
        return _chain(cfg, keys, value)
    return "\n".join(_chain(cfg, leaf, tree.get(cfg, leaf)) for leaf in leaves)


def _leaves(value: Any, path: Path) -> Any:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, (list, tuple)) and any(isinstance(item, dict) for item in value):
        for at, item in enumerate(value):
            yield from _leaves(item, (*path, at))
    else:
        yield path


def _chain(cfg: Node, keys: Path, value: Any) -> str:
    here = show(keys)
    lines = [f"{here} = {quoted(tree.thaw(value), 200)}"]
    settings = chain(cfg, keys)
    width = max((len(setting.place) for setting in settings), default=0)
    for setting in settings:
        if setting.skipped:
            lines.append(f"  ... {setting.skipped} more")
        # an item of a list was set with the list, and what stood there before may have had another path
        what = quoted(tree.thaw(setting.value)) + ("" if setting.path == here else f"  (as {setting.path})")
        lines.append(f"  {setting.place:<{width}}  {what}")
    if not settings:
        lines.append("  (set by no file)")
    return "\n".join(lines)


def difference(old: Node, new: Node, colour: bool = False) -> str:
    """What changed from one config to the other, a line for each path and side, with origins.

    Example:
        >>> from fkit import Config
        >>> print(difference(Config({"a": 1, "b": [1, 2]}), Config({"a": 2, "b": [1]})))
        - a = 1
        + a = 2
        - b[1] = 2
    """
    expect(old, Node, "`old` is a config")
    expect(new, Node, "`new` is a config")
    lines: list[str] = []
    for change in tree.diff(old, new):
        if change.kind != "added":
            lines.append(_line("-", _RED, old, change.path, change.old, colour))
        if change.kind != "removed":
            lines.append(_line("+", _GREEN, new, change.path, change.new, colour))
    return "\n".join(lines)


def _line(sign: str, tint: str, cfg: Node, path: Path, value: Any, colour: bool) -> str:
    place = _place(cfg, path)
    head = f"{sign} {show(path)} = {quoted(tree.thaw(value), 200)}"
    if not colour:
        return f"{head}  [{place}]" if place else head
    return f"{tint}{head}{_END}" + (f"  {_DIM}[{place}]{_END}" if place else "")


def _place(cfg: Node, path: Path) -> str | None:
    """The place that set the nearest of the path's keys that has one."""
    node: Any = cfg
    place: str | None = None
    for key in path:
        place = of(node, key) or place
        try:
            node = step(node, key)
        except (KeyError, IndexError):
            break
    return place
