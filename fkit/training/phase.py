"""The phases of a spec against what a model holds: what each trains, with which numbers; checked once for both rooms."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from frozendict import frozendict
from numpy.typing import NDArray

from fkit.training.inventory import Inventory
from fkit.training.optimizer import Optimizer
from fkit.training.spec import Phase, Spec
from fkit.training.state import Arrays, Hyperparams
from fkit.training.transform import Param, Transform
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitValueError, quoted

__all__ = [
    "Part",
    "check_numbers",
    "check_slots",
    "check_transforms",
    "first_slots",
    "origins",
    "parts_of",
    "unreached",
]

_SHOWN = 8


class Part(NamedTuple):
    """A phase, ready to run.

    Attributes:
        phase: as the spec has it.
        place: its number among the phases, which its random numbers are drawn from.
        prefix: of its logs: "" where a step has one phase, else ``name/``.
        optimizer: the value that its optimizer is, with its groups of the model.
        names: the parameters it trains, in the inventory's order.
        others: those that it leaves alone.
        numbers: ((hyperparameter of the step, of the optimizer), ...).
        transforms: ((the name of its slots in the state, transform), ...).
        total: how often it runs in the whole run; None where nobody knows.
        scale: ``(slots of the state) -> 0-d array`` that its loss is multiplied by; None where no transform scales it.
    """

    phase: Phase
    place: int
    prefix: str
    optimizer: Optimizer
    names: tuple[str, ...]
    others: tuple[str, ...]
    numbers: tuple[tuple[str, str], ...]
    transforms: tuple[tuple[str, Transform], ...]
    total: int | None = None
    scale: Callable[[Mapping[str, Any]], Any] | None = None

    @property
    def gated(self) -> bool:
        """Whether the number of a turn says if the optimizer is due."""
        return any(each.due is not None for _, each in self.transforms)

    @property
    def sums(self) -> tuple[str, Transform] | None:
        """The transform that adds gradients up before any other sees them, and the name of its slots."""
        return next((row for row in self.transforms[:1] if row[1].share and row[1].due), None)

    def moves(self, turn: int) -> bool:
        """Whether the optimizer is due at a turn, as far as its number tells."""
        return all(each.due(turn, self.total) for _, each in self.transforms if each.due is not None)


def parts_of(spec: Spec, inventory: Inventory) -> tuple[Part, ...]:
    """The phases of a spec on a model.

    Raises:
        FkitError: a phase names no optimizer, trains nothing, or shares an optimizer with one that trains other
            parameters; two phases have one name.
    """
    trainable = [entry.name for entry in inventory.entries if entry.trainable and not entry.buffer]
    params = [entry.name for entry in inventory.entries if not entry.buffer]
    titles = [phase.name or phase.optimizer for phase in spec.phases]
    parts: list[Part] = []
    taken: dict[str, tuple[str, ...]] = {}
    for index, (phase, title) in enumerate(zip(spec.phases, titles, strict=True)):
        if phase.optimizer not in spec.optimizers:
            raise FkitKeyError(
                f"a phase asks for optimizer {phase.optimizer!r}.",
                value=phase.optimizer,
                choices=spec.optimizers,
                label="Optimizers",
            )
        names = tuple(name for name in trainable if re.search(phase.params, name))
        if not names:
            raise FkitValueError(
                f"a phase with params={phase.params!r} has no trainable parameter.",
                path=f"phases.{phase.optimizer}.params",
                choices=trainable,
                label="Trainable",
            )
        if taken.setdefault(phase.optimizer, names) != names:
            raise FkitValueError(
                f"optimizer {phase.optimizer!r} is to train different parameters in two phases.",
                repair="Give each phase an optimizer of its own.",
            )
        several = len(spec.phases) > 1
        if titles.count(title) > 1:
            raise FkitValueError(f"two phases are called {title!r}.", repair="Give each phase a name of its own.")
        optimizer = spec.optimizers[phase.optimizer].on(inventory, names)
        prefix = f"{phase.optimizer}." if len(spec.optimizers) > 1 else ""
        parts.append(
            Part(
                phase, index, f"{title}/" if several else "", optimizer, names,
                tuple(name for name in params if name not in set(names)),
                tuple((prefix + key, key) for key in optimizer.hyperparams()),
                tuple((f"{title}.{each.name}" if several else each.name, each) for each in phase.transforms),
                None if spec.total is None else -(-spec.total // phase.every), _scale(phase, f"{title}." if several else ""),
            )
        )  # fmt: skip
    return tuple(parts)


def origins(parts: Iterable[Part]) -> Hyperparams:
    """What hyperparameters were before any schedule, where groups say it: ``initial_lr``, as the hyperparameters are named."""
    rows = ((name, part.optimizer.origins()) for part in parts for name, key in part.numbers if key == "lr")
    return frozendict({f"{name.removesuffix('lr')}{key}": value for name, one in rows for key, value in one.items()})


def _scale(phase: Phase, prefix: str) -> Callable[[Mapping[str, Any]], Any] | None:
    """What the loss of a phase is multiplied by, of the state's slots."""
    scales = [(prefix + each.name, each.scale) for each in phase.transforms if each.scale is not None]
    if len(scales) > 1:
        raise FkitValueError(f"two transforms scale the loss of a phase: {scales[0][0]} and {scales[1][0]}.")
    if not scales:
        return None
    name, scale = scales[0]
    return lambda slots: scale(slots[name])


def check_numbers(parts: tuple[Part, ...], hyperparams: Hyperparams) -> None:
    """Refuse hyperparameters that lack one, or have another number of groups than the optimizers.

    Raises:
        FkitError: with what is missing.
    """
    if type(hyperparams) not in (dict, frozendict):
        expect(
            hyperparams, Mapping, "`hyperparams` are a mapping of names to arrays", "program.hyperparams() gives them."
        )
    for part in parts:
        count = part.optimizer.count
        for name, _ in part.numbers:
            if name not in hyperparams:
                raise FkitKeyError(
                    f"hyperparams lack {name!r}.",
                    value=name,
                    choices=[name for name, _ in part.numbers],
                    label="Wanted",
                )
            shape = getattr(hyperparams[name], "shape", None)
            if shape != (count,):
                found = f"is {quoted(hyperparams[name])}" if shape is None else f"has shape {tuple(shape)}"
                raise FkitValueError(
                    f"hyperparams[{name!r}] {found}: it is an array with one number a parameter group, ({count},)."
                )


def unreached(part: Part) -> FkitValueError:
    """The error of a phase whose loss reaches none of the parameters that it trains."""
    return FkitValueError(
        f"the loss of phase {part.prefix.rstrip('/') or part.phase.optimizer!r} reaches none of its parameters: "
        "nothing would move.",
        path="model",
        repair="A loss is computed from parameters, with nothing between that holds gradients back (detach(), .item(), "
        "stop_gradient).",
    )


def _trained(part: Part, inventory: Inventory) -> dict[str, Param]:
    """What a phase trains, as its transforms see it."""
    names = set(part.names)
    return {entry.name: Param(tuple(entry.shape), entry.dtype) for entry in inventory.entries if entry.name in names}


def first_slots(parts: tuple[Part, ...], inventory: Inventory) -> dict[str, NDArray[Any]]:
    """The slots of all transforms before the first step, by path ``slots/NAME/PATH``."""
    arrays: dict[str, NDArray[Any]] = {}
    for part in parts:
        params = _trained(part, inventory)
        for name, transform in part.transforms:
            arrays.update({f"slots/{name}/{path}": array for path, array in transform.init(params).items()})
    return arrays


def check_transforms(parts: tuple[Part, ...], inventory: Inventory, arrays: Arrays) -> None:
    """Refuse a saved state that lacks a transform's slots, or has them of another shape. Slots that no transform of the
    spec owns are a wrapper's, and pass.

    Raises:
        FkitValueError: with what is missing.
    """
    want = {path: array.shape for path, array in first_slots(parts, inventory).items()}
    missing = [path for path in want if path not in arrays]
    if missing:
        raise FkitValueError(
            f"the saved state lacks slots of this run's gradient transforms ({len(missing)}): {_cut(missing)}.",
            repair="Resume with the optim_wrapper that the run had, or take its weights alone with load_from.",
        )
    for path, shape in want.items():
        if tuple(arrays[path].shape) != tuple(shape):
            raise FkitValueError(f"{path} has shape {tuple(arrays[path].shape)}, this run's {tuple(shape)}.")


def check_slots(want: Mapping[str, tuple[int, ...]], saved: Arrays, lazy: frozenset[str] = frozenset()) -> None:
    """Refuse a saved optimizer state that is not that of this run's optimizers.

    Args:
        want: ``OPTIMIZER/SLOT/NAME`` -> shape, in torch's layout.
        saved: {the same path: array}.
        lazy: paths that may be there or not: slots that appear at an optimizer's first step.

    Raises:
        FkitValueError: with what is missing, unknown, or of another shape.
    """
    unknown = [path for path in saved if path not in want and path not in lazy]
    missing = [path for path in want if path not in saved]
    if missing or unknown:
        rows = (("missing", missing), ("unknown", unknown))
        raise FkitValueError(
            "the saved optimizer state is not that of this run's optimizers.\n  "
            + "\n  ".join(f"{title} ({len(paths)}): {_cut(paths)}" for title, paths in rows if paths),
            repair="Resume with the optimizer that the run had, or take its weights alone with load_from.",
        )
    for path, shape in want.items():
        if tuple(saved[path].shape) != tuple(shape):
            raise FkitValueError(f"opt/{path} has shape {tuple(saved[path].shape)}, its parameter {tuple(shape)}.")


def _cut(paths: list[str]) -> str:
    more = f", ... ({len(paths) - _SHOWN} more)" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more
