"""A config in the vocabulary of a run: translated, checked against the description of its keys, with their defaults."""

from collections.abc import Mapping
from typing import Any, cast

from fkit.catalog.report import undone_delete
from fkit.config.config import Config
from fkit.config.dialect import translate
from fkit.config.origin import mark_of
from fkit.config.schema import PART, check, filled, table, with_value
from fkit.data.key import check_loader
from fkit.recipe.key import HOOKS, KEYS, LOOPS, NAMES
from fkit.recipe.word import judge
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, slips
from fkit.tree.node import marks_of
from fkit.tree.path import Path, show

__all__ = ["is_own_loop", "name_of", "settle"]

_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


def settle(cfg: Config) -> tuple[Config, tuple[str, ...]]:
    """The config in mmengine's keys with every default that is not None, and what a reader should know of it.

    Returns:
        (config, notes): a sentence for each key that was translated in part.

    Raises:
        FkitError: a known key with a letter added, dropped, changed or swapped; a key that its table does not take, or
            one that it lacks; a value of another shape than `fkit.recipe.key` says.
    """
    expect(cfg, Config, "`cfg` is a Config", "fkit.load_config(path) reads one, fkit.Config(mapping) makes one.")
    known, notes = translate(cfg)
    _check(known)
    judge(cfg, known)
    tree = filled(_with_hooks(known), KEYS)
    return tree, notes


def name_of(kind: Any) -> str:
    """The name of a class that a config gives by name, by path, or as itself.

    Example:
        >>> name_of("mmengine.OptimWrapper"), name_of(dict)
        ('OptimWrapper', 'dict')
    """
    dotted = kind.__lazy__() if hasattr(type(kind), "__lazy__") else getattr(kind, "__name__", None) or str(kind)
    return str(dotted).rpartition(".")[2]


def is_own_loop(node: Any, name: str) -> bool:
    """Whether a table names a loop that is not one of mmengine's.

    Args:
        name: of the table: "train_cfg", "val_cfg" or "test_cfg".

    Example:
        >>> is_own_loop({"type": "MyLoop"}, "val_cfg"), is_own_loop({"type": "ValLoop"}, "val_cfg"), is_own_loop({}, "val_cfg")
        (True, False, False)
    """
    kind = cast("Mapping[str, Any]", node).get("type") if isinstance(node, Mapping) else None
    return kind is not None and name_of(kind) not in LOOPS[name]


def _check(cfg: Config) -> None:
    for name in cfg:
        own = isinstance(name, str) and name not in NAMES
        meant = next((known for known in NAMES if slips(name, known) == 1), None) if own else None
        if meant is not None:
            raise FkitKeyError(
                f"{name!r} is no key of a run.",
                path=name,
                origin=cfg.origin(name),
                value=name,
                choices=(meant,),
                label="Meant",
                repair="Rename it, or take a name that is not a letter away from a known one.",
            )
    run = {name: value for name, value in cfg.items() if name in NAMES}
    for name in LOOPS:
        if is_own_loop(run.get(name), name):
            check(run.pop(name), PART, (name,), cfg)  # it knows its arguments
    _check_deletions({**run, **{name: cfg[name] for name in ("_delete_",) if name in cfg}}, ())
    check(run, table(*KEYS), (), cfg)
    for name in _LOADERS:
        if run.get(name) is not None:
            check_loader(run[name], name, cfg)


def _check_deletions(node: Any, path: Path) -> None:
    """``_delete_`` is a word of merging; where nothing was merged, no part knows what to do with it."""
    if isinstance(node, Mapping):
        if "_delete_" in node:
            raise undone_delete(node, show(path) if path else "")
        for key, value in cast("Mapping[str, Any]", node).items():
            _check_deletions(value, (*path, key))
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(cast("list[Any]", node)):
            _check_deletions(value, (*path, i))


def _with_hooks(cfg: Config) -> Config:
    """The config with the default hooks among its own; one that is given without its type changes the default one."""
    hooks: Mapping[str, Any] | None = cfg.get("default_hooks")
    if hooks is None:
        return cfg
    nodes: dict[str, Any] = {**{name: Config(hook) for name, hook in HOOKS.items()}, **hooks}
    for name, hook in nodes.items():
        if name in HOOKS and hook is not None and "type" not in hook:
            known = dict(marks_of(hook) or {})
            marks = {"type": mark_of(hooks, name) or next(iter(known.values()), None), **known}
            nodes[name] = Config.of({**HOOKS[name], **hook}, marks)
    return with_value(cfg, "default_hooks", Config.of(nodes, marks_of(hooks)))
