"""Optimizers and parameter groups as values, with torch's semantics; a room turns them into updates."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.config.schema import ANYTHING, FLAG, TEXT, Key, Shape, check, either, listed, mapped, number, placed, table
from fkit.training.inventory import Inventory
from fkit.training.law import LAWS, Law
from fkit.tree.error import FkitError, FkitKeyError, FkitValueError, quoted
from fkit.tree.frozen import EMPTY, frozen
from fkit.tree.path import Path

__all__ = ["TWINS", "UNFIT", "Group", "Optimizer", "check_group", "check_options"]

# what torch.optim takes and with which defaults; numbers are hyperparameters, the rest is fixed for a run
TWINS: Mapping[str, Mapping[str, Any]] = frozendict(
    SGD=frozendict(lr=1e-3, momentum=0.0, weight_decay=0.0, nesterov=False),
    Adam=frozendict(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False),
    AdamW=frozendict(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False),
    **{name: law.options for name, law in LAWS.items() if name != "SGD"},
)
"""Optimizers that exist on both backends with equal numbers; any other is looked up on its own backend by name."""

UNFIT = ("LBFGS", "SparseAdam", "lbfgs", "polyak_sgd")
"""Optimizers that need more than a gradient a step (the loss, or sparse gradients), which a step does not give."""

_BETA = number(0, below=1)
_SHAPES: Mapping[str, Shape] = frozendict(
    lr=number(0), learning_rate=number(0), momentum=number(0, 1), weight_decay=number(0), eps=number(0), nesterov=FLAG, amsgrad=FLAG,
    betas=placed("a pair of numbers of at least 0, below 1", _BETA, _BETA), dampening=number(0, 1), eta=number(0), alpha=_BETA,
    lr_decay=number(0), initial_accumulator_value=number(0), max_grad_norm=number(above=0, infinite=True),
    lars_exclude=FLAG, bias_correction=FLAG, grad_averaging=FLAG, trust_clip=FLAG, always_adapt=FLAG, centered=FLAG,
)  # fmt: skip
_PATTERNS = either(TEXT, listed(TEXT, "", filled=True), words="a pattern over parameter names or a list of them")


_RATES = ("lr", "learning_rate")
_ORIGIN = "initial_lr"
"""What a group's learning rate was before any schedule, where ``lr`` is what is in force: of a group from a checkpoint."""

_NAMED = ("lr", "learning_rate", "momentum", "weight_decay")  # what other optimizers take in the same sense


def check_options(type: str, options: Mapping[str, Any], path: Path = (), cfg: Any = None, lead: str = "") -> None:
    """Refuse arguments that a twin does not take, and numbers outside their bounds; for an optimizer that is no twin,
    the numbers that all take: its own backend knows the rest.

    Args:
        path: where they stand in the config ``cfg``.
        lead: words before the path.

    Raises:
        FkitError: see `fkit.config.schema.check`.

    Example:
        >>> check_options("SGD", {"lr": -1})
        Traceback (most recent call last):
        fkit.tree.error.FkitValueError: lr = -1 is not a number of at least 0.
    """
    twin = TWINS.get(type)
    if twin is not None:
        known = LAWS["SGD"].options if type == "SGD" else twin
        check(options, table(*(Key(name, _SHAPES[name], known[name]) for name in known), none=False), path, cfg, lead)
    for name in _NAMED:
        if options.get(name) is not None:
            check(options[name], _SHAPES[name], (*path, name), cfg, lead)


def check_group(type: str, group: Any, path: Path = (), cfg: Any = None, lead: str = "") -> None:
    """Refuse a group of parameters without ``params``, or with options that `check_options` refuses."""
    check(group, mapped(ANYTHING, "a mapping with 'params'"), path, cfg, lead)
    check(group.get("params"), _PATTERNS, (*path, "params"), cfg, lead)
    if _ORIGIN in group:
        check(group[_ORIGIN], _SHAPES["lr"], (*path, _ORIGIN), cfg, lead)
    check_options(
        type, {name: value for name, value in group.items() if name not in ("params", _ORIGIN)}, path, cfg, lead
    )


class Group(NamedTuple):
    """Parameters that share settings.

    Attributes:
        patterns: regular expressions over parameter names (``re.search``).
        options: what differs from the optimizer's own options.
        names: parameters by their whole names; a group with neither takes every one left over.
    """

    patterns: tuple[str, ...] = ()
    options: Mapping[str, Any] = EMPTY
    names: frozenset[str] = frozenset()

    def takes(self, name: str) -> bool:
        """Whether a parameter is of the group, where none before took it."""
        if name in self.names or not (self.patterns or self.names):
            return True
        return any(re.search(pattern, name) for pattern in self.patterns)


Constructor = Callable[[Inventory], Iterable[Mapping[str, Any]]]
"""What makes the groups of a model: ``inventory -> rows``, each a mapping with ``params`` (a name, or a list of them) and
options, as a torch parameter group has it."""


@dataclass(frozen=True)
class Optimizer:
    """An optimizer by name, its options and its parameter groups.

    Attributes:
        type: "SGD", "Adam", "AdamW" (twins), or a name in torch.optim or optax.
        options: its arguments; for a twin, with torch's defaults filled in.
        groups: in order; the last one takes what no other matched. Those with equal options are one setting.
        constructor: what makes the groups once the model is known, by `on`; None where they are known.
        lr_scale: what every group's learning rate is multiplied by before schedules act on it (``auto_scale_lr``).

    Example:
        >>> sgd = Optimizer.of("SGD", {"lr": 0.1, "weight_decay": 1e-4}, [{"params": "bias$", "weight_decay": 0.0}])
        >>> sgd.hyperparams()["lr"].tolist(), sgd.assign(["fc.weight", "fc.bias"])
        ([0.1, 0.1], (('fc.bias',), ('fc.weight',)))
    """

    type: str
    options: Mapping[str, Any]
    groups: tuple[Group, ...] = (Group(),)
    constructor: Constructor | None = None
    lr_scale: float = 1.0

    @staticmethod
    def of(
        type: str,
        options: Mapping[str, Any],
        groups: Any = (),
        constructor: Constructor | None = None,
        lr_scale: float = 1.0,
    ) -> "Optimizer":
        """An optimizer of its config.

        Args:
            options: the config's arguments.
            groups: a list of dicts, each ``params`` (a pattern or a list of them) and options of its own.
            constructor: what makes the groups instead, of what the model holds.
            lr_scale: see `Optimizer`.

        Raises:
            FkitError: an argument that a twin does not take, or outside its bounds; a group without ``params``.
        """
        check_options(type, options, lead=f"optimizer {type}: ")
        parsed = tuple(_group(group, type) for group in groups)
        if not parsed or parsed[-1].patterns:
            parsed = (*parsed, Group())
        chosen = _filled(type, {**TWINS.get(type, EMPTY), **options}, parsed)
        _check_together(type, chosen, parsed)
        return Optimizer(type, frozen(chosen), parsed, constructor, lr_scale)

    def on(self, inventory: Inventory, names: Iterable[str]) -> "Optimizer":
        """The optimizer with the groups of a model.

        Args:
            names: what it trains of it; a row of the constructor may name others, which nothing moves.

        Raises:
            FkitError: the constructor refuses the model; a row that is no mapping, names no parameter, has no ``params``, or an
                option that the optimizer does not take; a parameter in two rows.
        """
        if self.constructor is None:
            return self
        known = {entry.name: entry.name for entry in inventory.entries if not entry.buffer} | dict(inventory.aliases)
        chosen: dict[str, Mapping[str, Any]] = {}
        for row in self.constructor(inventory):
            self._check_row(row)
            options = {key: value for key, value in row.items() if key != "params" and self.options.get(key) != value}
            for name in _named(row["params"], known, chosen):
                chosen[name] = frozen(options)
        members: dict[Mapping[str, Any], list[str]] = {}
        for name in names:
            members.setdefault(chosen.get(name, EMPTY), []).append(name)
        groups = tuple(Group((), options, frozenset(group)) for options, group in members.items())
        options = _filled(self.type, self.options, groups)
        _check_together(self.type, options, groups)
        return replace(self, options=frozen(options), groups=groups, constructor=None)

    def _check_row(self, row: Any) -> None:
        try:
            check_group(self.type, row, lead=f"optimizer {self.type}: a parameter group: ")
        except FkitError as error:
            error.path = "paramwise_cfg"  # which is where a constructor has its settings from
            raise

    @property
    def twin(self) -> bool:
        """Whether both backends know it, with equal numbers."""
        return self.type in TWINS

    @property
    def law(self) -> Law | None:
        """Its update, where that is written once for both backends; torch's kernels have the others of the twins."""
        return LAWS.get(self.type) if self.type != "SGD" or "dampening" in self.options else None

    @property
    def count(self) -> int:
        """How many different settings the groups have: G."""
        return len(self._rows)

    def assign(self, names: list[str] | tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """The parameter names of each of the G settings, every name in the first group that matches it.

        Raises:
            FkitValueError: a group matches no parameter.
        """
        taken: list[list[str]] = [[] for _ in self.groups]
        for name in names:
            for members, group in zip(taken, self.groups, strict=True):
                if group.takes(name):
                    members.append(name)
                    break
        for members, group in zip(taken, self.groups, strict=True):
            if group.patterns and not members:
                raise FkitValueError(
                    f"param_groups: params={list(group.patterns)} matches no trainable parameter that is left.",
                    choices=names,
                    label="Parameters",
                )
        order = {name: place for place, name in enumerate(names)}
        merged = [[name for i in row for name in taken[i]] for _, row in self._rows]
        return tuple(tuple(sorted(members, key=order.__getitem__)) for members in merged)

    @cached_property
    def _rows(self) -> tuple[tuple[Mapping[str, Any], tuple[int, ...]], ...]:
        """Each setting and its groups: groups with equal options are one, so that a hundred cost what one does."""
        rows: dict[Mapping[str, Any], list[int]] = {}
        for index, group in enumerate(self.groups):
            rows.setdefault(frozendict({**self.options, **group.options}), []).append(index)
        return tuple((options, tuple(row)) for options, row in rows.items())

    def settings(self, index: int) -> Mapping[str, Any]:
        """The options of setting ``index``, of G."""
        return frozendict({name: value for name, value in self._rows[index][0].items() if name != _ORIGIN})

    def hyperparams(self) -> dict[str, NDArray[np.float64]]:
        """The numbers a step takes as arguments, (G,) float64 each: ``lr``, ``weight_decay``, ``momentum``, ``eps``;
        ``betas`` are ``beta1`` and ``beta2``."""
        rows = [dict(_numbers(options)) for options, _ in self._rows]
        common = [name for name in rows[0] if all(name in row for row in rows)]
        numbers = {name: np.array([row[name] for row in rows], np.float64) for name in common if name != _ORIGIN}
        if self.lr_scale == 1.0:
            return numbers
        return {name: values * self.lr_scale if name in _RATES else values for name, values in numbers.items()}

    def origins(self) -> dict[str, NDArray[np.float64]]:
        """``initial_lr``, (G,), where a group says it: schedules count from that, and it is no argument of a step.

        Example:
            >>> group = {"params": "bias$", "initial_lr": 0.2}
            >>> Optimizer.of("SGD", {"lr": 0.1}, [group]).origins()["initial_lr"].tolist()
            [0.2, 0.1]
        """
        if not any(_ORIGIN in options for options, _ in self._rows):
            return {}
        rates = self.hyperparams()["lr"]
        rows = zip(self._rows, rates, strict=True)
        return {_ORIGIN: np.array([options.get(_ORIGIN, rate) for (options, _), rate in rows], np.float64)}

    def fixed(self) -> Mapping[str, Any]:
        """The options that are no number: part of the program, not of the hyperparameters."""
        return {name: value for name, value in self.options.items() if name not in dict(_covered(self.options))}

    def slots(self) -> tuple[str, ...]:
        """The names of a twin's state arrays, torch's own; each is shaped like its parameter but ``step``, 0-d."""
        if self.law is not None:
            return self.law.held({"centered": any(self.settings(i).get("centered") for i in range(self.count))})
        if self.type == "SGD":
            momentum = any(self.settings(index)["momentum"] for index in range(self.count))
            return ("momentum_buffer",) if momentum else ()
        extra = ("max_exp_avg_sq",) if self.options.get("amsgrad") else ()
        return ("step", "exp_avg", "exp_avg_sq", *extra)


def _filled(type: str, options: Mapping[str, Any], groups: tuple[Group, ...]) -> Mapping[str, Any]:
    """The options with SGD's dampening, where a group has one: its update is another then, with another state."""
    if type == "SGD" and any("dampening" in group.options for group in groups):
        return {"dampening": 0.0, **options}
    return options


def _check_together(type: str, options: Mapping[str, Any], groups: tuple[Group, ...]) -> None:
    """Refuse settings of a group that do not go together."""
    for group in groups:
        both = {**options, **group.options}
        if both.get("nesterov") and type in ("SGD", "LARS") and (not both["momentum"] or both.get("dampening")):
            raise FkitValueError(
                f"optimizer {type}: nesterov=True needs a momentum above 0, and no dampening.", path="nesterov"
            )


def _named(params: Any, known: Mapping[str, str], taken: Iterable[str]) -> list[str]:
    """The parameters that a constructor's row names, by their first names.

    Args:
        known: {every name: the first name of that parameter}.
        taken: those of the rows before.

    Raises:
        FkitError: there is none of that name, or another row has it.
    """
    names: list[str] = []
    for name in [params] if isinstance(params, str) else params:
        if name not in known:
            raise FkitKeyError(
                f"a parameter group names {quoted(name)}, which is no parameter of the model.",
                value=name,
                choices=tuple(known),
                label="Parameters",
                path="constructor",
            )
        if known[name] in taken or known[name] in names:
            raise FkitValueError(f"parameter {name!r} is in two groups.", path="constructor")
        names.append(known[name])
    return names


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _covered(options: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    pairs: list[tuple[str, tuple[str, ...]]] = []
    for name, value in options.items():
        if _number(value):
            pairs.append((name, (name,)))
        elif name == "betas" and isinstance(value, (tuple, list)):
            pairs.append((name, tuple(f"beta{i + 1}" for i in range(len(value)))))  # pyright: ignore[reportUnknownArgumentType]
    return pairs


def _numbers(options: Mapping[str, Any]) -> list[tuple[str, float]]:
    pairs: list[tuple[str, float]] = []
    for name, keys in _covered(options):
        values = (options[name],) if len(keys) == 1 and keys[0] == name else tuple(options[name])
        pairs += [(key, float(value)) for key, value in zip(keys, values, strict=True)]
    return pairs


def _group(group: Mapping[str, Any], type: str) -> Group:
    lead = f"optimizer {type}: a parameter group: "
    check_group(type, group, lead=lead)
    params = group["params"]
    patterns: tuple[str, ...] = (params,) if isinstance(params, str) else tuple(params)
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as cause:
            raise FkitValueError(f"{lead}params = {quoted(pattern)} is no regular expression: {cause}.") from cause
    return Group(patterns, frozen({name: value for name, value in group.items() if name != "params"}))
