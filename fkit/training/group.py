"""The parameter groups of a program: what makes them, what they are, and what a reader should know of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from frozendict import frozendict

from fkit.catalog.report import broken
from fkit.training.inventory import Inventory
from fkit.training.paramwise import places
from fkit.training.phase import parts_of
from fkit.training.program import Program
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitTypeError, quoted

__all__ = ["Construction", "Setting", "groups", "remarks", "table"]

_ALL = ("norm_decay_mult", "bias_decay_mult", "bias_lr_mult", "dwconv_decay_mult", "flat_decay_mult", "dcn_offset_lr_mult", "bypass_duplicate", "custom_keys")  # fmt: skip
# keys that a constructor takes, as its original does, and that change nothing under it
_INERT: Mapping[str, tuple[str, ...]] = frozendict(
    DefaultOptimizerConstructor=("flat_decay_mult",),
    LayerDecayOptimWrapperConstructor=_ALL,
    LayerDecayOptimizerConstructor=_ALL,
    LearningRateDecayOptimizerConstructor=_ALL,
    LearningRateDecayOptimWrapperConstructor=("bias_lr_mult", "dwconv_decay_mult", "dcn_offset_lr_mult"),
)
_LAYERED = "LearningRateDecayOptimWrapperConstructor"


@dataclass(frozen=True)
class Construction:
    """A constructor with what the config gives it; called with what a model holds, it gives the groups.

    Attributes:
        name: of the constructor.
        make: ``(inventory, options, paramwise_cfg) -> rows``, see `fkit.training.paramwise`.
        options: of the optimizer, as the config gives them.
        paramwise: ``paramwise_cfg``.
    """

    name: str
    make: Callable[[Inventory, Mapping[str, Any], Mapping[str, Any]], Iterable[Mapping[str, Any]]]
    options: Mapping[str, Any]
    paramwise: Mapping[str, Any]

    def __call__(self, inventory: Inventory) -> list[Mapping[str, Any]]:
        """The rows of a model.

        Raises:
            FkitError: the constructor refuses the model, or raises what is none, or gives no list.
        """
        try:
            rows = self.make(inventory, self.options, self.paramwise)
        except FkitError:
            raise
        except Exception as cause:
            raise broken(f"constructor {self.name}", cause, "constructor") from cause
        if not isinstance(rows, Iterable) or isinstance(rows, (str, Mapping)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise FkitTypeError(
                f"constructor {self.name} gives a list of groups, dict(params=[names], lr=...) each, found {quoted(rows)}.",
                path="constructor",
            )
        return list(rows)

    def remarks(self, inventory: Inventory) -> tuple[str, ...]:
        """A sentence for each key that changes nothing of this model."""
        where = "optim_wrapper.paramwise_cfg"
        inert = [name for name in _INERT.get(self.name, ()) if self.paramwise.get(name) not in (None, False)]
        notes = [f"{where}.{name} changes nothing under {self.name}." for name in inert]
        names = [f"{place.path}.{place.leaf}" for place in places(inventory)]
        custom: Mapping[str, Any] = {} if "custom_keys" in inert else self.paramwise.get("custom_keys") or {}
        for key, settings in custom.items():
            if not any(key in name for name in names):
                notes.append(f"{where}.custom_keys: no parameter's name contains {key!r}; it changes nothing.")
            notes += [
                f"{where}.custom_keys[{key!r}].{word} changes nothing under {self.name}."
                for word in settings
                if self._is_unread(word)
            ]
        return tuple(notes)

    def _is_unread(self, word: str) -> bool:
        """Whether a setting of one of ``custom_keys`` is not read by the constructor, as by its original."""
        if self.name == _LAYERED:
            return word in ("lr", "lr_mult")
        return self.name == "DefaultOptimizerConstructor" and word not in ("lr_mult", "decay_mult")


def remarks(program: Program) -> tuple[str, ...]:
    """What a reader should know of the constructors of a program's optimizers."""
    made = (optimizer.constructor for optimizer in program.spec.optimizers.values())
    return tuple(note for one in made if isinstance(one, Construction) for note in one.remarks(program.inventory))


class Setting(NamedTuple):
    """Parameters that share their settings: one place of a program's hyperparameters.

    Attributes:
        optimizer: its name; "main" where there is one.
        place: its place in every array of hyperparameters.
        numbers: {hyperparameter: what it starts with}.
        names: of the parameters.
    """

    optimizer: str
    place: int
    numbers: Mapping[str, float]
    names: tuple[str, ...]


def groups(program: Program) -> tuple[Setting, ...]:
    """The parameter groups of a program, those with equal settings as one: whom each learning rate and decay is for.

    Raises:
        FkitTypeError: it is no program.
    """
    expect(program, Program, "`program` is a program (fkit.program makes one of a config)")
    rows: list[Setting] = []
    seen: set[str] = set()
    for part in parts_of(program.spec, program.inventory):
        if part.phase.optimizer in seen:
            continue
        seen.add(part.phase.optimizer)
        numbers = part.optimizer.hyperparams()
        rows += [
            Setting(part.phase.optimizer, i, frozendict({key: float(one[i]) for key, one in numbers.items()}), names)
            for i, names in enumerate(part.optimizer.assign(part.names))
        ]
    return tuple(rows)


def table(program: Program) -> str:
    """The groups as text: a line of numbers each, and under it the names, where a ``*`` stands for every number there.

    Raises:
        FkitTypeError: it is no program.
    """
    rows = groups(program)
    sizes = {entry.name: int(np.prod(entry.shape)) for entry in program.inventory.entries if not entry.buffer}
    trained = {name for row in rows for name in row.names}
    still = tuple(name for name in sizes if name not in trained)
    several = len({row.optimizer for row in rows}) > 1
    blocks = [
        (
            f"group {row.place}"
            + (f" of {row.optimizer}" if several else "")
            + ": "
            + ", ".join(f"{name} {value:g}" for name, value in row.numbers.items()),
            row.names,
        )
        for row in rows
    ]
    blocks += [("not trained", still)] if still else []
    homes: dict[str, set[int]] = {}
    for i, (_, names) in enumerate(blocks):
        for name in names:
            homes.setdefault(_starred(name), set()).add(i)
    lines: list[str] = []
    for title, names in blocks:
        lines.append(f"{title}; {len(names)} parameters, {sum(sizes[name] for name in names):,} numbers")
        shown = (_starred(name) if len(homes[_starred(name)]) == 1 else name for name in names)
        lines += [f"    {name}" for name in dict.fromkeys(shown)]
    return "\n".join(lines) + "\n"


def _starred(name: str) -> str:
    return ".".join("*" if word.isdigit() else word for word in name.split("."))
