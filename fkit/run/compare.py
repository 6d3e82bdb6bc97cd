"""What differs between two states of a run, name by name, and between two rows of its metrics."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkit.fileio.checkpoint import canonical
from fkit.run.start import Saved, exact
from fkit.tree.check import expect

__all__ = ["Change", "Difference", "differing", "parted", "row_changes"]

_KINDS = ("params", "buffers", "opt", "slots", "updates", "key", "iteration", "hyperparams", "memory", "metrics")
_OBSERVED = frozenset(("step", "epoch", "mode", "wall_time", "time", "data_time", "eta", "memory"))
_MODEL = ("params/", "buffers/")


class Difference(NamedTuple):
    """An array, or another part of a state, that two runs do not share.

    Attributes:
        name: its path, in torch's names: ``params/head.fc.weight``, ``opt/default/exp_avg/...``, ``hyperparams/lr``,
            ``memory/HOOK``, ``position``.
        largest: the largest absolute difference of its numbers; inf where it is no matter of numbers.
        words: how many differ, or what else it is.
    """

    name: str
    largest: float
    words: str


class Change(NamedTuple):
    """A number of a row of metrics that differs; None where one of the rows lacks it."""

    name: str
    first: Any
    second: Any


def differing(first: Saved, second: Saved) -> tuple[Difference, ...]:
    """What of the exact state differs, bit by bit: nothing where the fingerprints are equal.

    Returns:
        parameters first, then buffers, optimizer state and the rest; of each kind the largest difference first.

    Example:
        >>> a, b = (Saved({"params/w": np.float32([1, x])}, {"position": {}}) for x in (2, 2.5))
        >>> differing(a, b), differing(a, a)
        ((Difference(name='params/w', largest=0.5, words='1 of 2 numbers'),), ())
    """
    for saved in (first, second):
        expect(saved, Saved, "what is compared is what a run is saved as (fkit.run.start.save)")
    rows = [*_arrays(first.arrays, second.arrays), *_parts(_flat(first.record), _flat(second.record))]
    return tuple(sorted(rows, key=_order))


def parted(first: Saved, second: Saved) -> tuple[Difference, ...]:
    """What differs between the states of two runs, of what decides the next step and both have: the arrays, and the
    hyperparameters in force. Of parameters and buffers, one that a run lacks is a difference too; the optimizer's state, what
    hooks keep beside the weights, and what they remember are as different as the configs are.

    Returns:
        as `differing`.

    Example:
        >>> a = Saved({"params/w": np.ones(2)}, {"hyperparams": {"lr": [0.1]}, "exact": {"mine": 1}})
        >>> parted(a, a._replace(record={"hyperparams": {"lr": [0.1]}, "exact": {}}))
        ()
    """
    for saved in (first, second):
        expect(saved, Saved, "what is compared is what a run is saved as (fkit.run.start.save)")
    both = {*first.arrays} & {*second.arrays}
    one, other = (
        {name: array for name, array in saved.arrays.items() if name in both or name.startswith(_MODEL)}
        for saved in (first, second)
    )
    lrs, others = (_flat({"hyperparams": saved.record.get("hyperparams", {})}) for saved in (first, second))
    shared = {*lrs} & {*others}
    rates = _parts({name: lrs[name] for name in shared}, {name: others[name] for name in shared})
    return tuple(sorted((*_arrays(one, other), *rates), key=_order))


def row_changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[Change, ...]:
    """The numbers that differ between two rows of metrics of one step; times do not count, and nan equals nan.

    Example:
        >>> row_changes({"step": 1, "loss": 0.5, "wall_time": 3.0}, {"step": 1, "loss": 0.25, "wall_time": 9.0})
        (Change(name='loss', first=0.5, second=0.25),)
    """
    for row in (first, second):
        expect(row, Mapping, "a row of metrics is a mapping, as a line of metrics.jsonl is")
    names = [name for name in dict.fromkeys((*first, *second)) if name not in _OBSERVED]
    rows = (Change(name, _number(first.get(name)), _number(second.get(name))) for name in names)
    return tuple(row for row in rows if not _same(row.first, row.second))


def _number(value: Any) -> Any:
    """A number as a line of JSON holds it: what is not finite is nan."""
    value = value.item() if hasattr(value, "item") else value
    return math.nan if isinstance(value, float) and not math.isfinite(value) else value


def _same(one: Any, other: Any) -> bool:
    return one == other or (
        isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other)
    )


def _order(row: Difference) -> tuple[int, float, str]:
    kind = row.name.partition("/")[0]
    return _KINDS.index(kind) if kind in _KINDS else len(_KINDS), -row.largest, row.name


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """The exact part of a record as named entries."""
    entries: dict[str, Any] = {}
    words = {"hyperparams": "hyperparams", "metrics": "metrics", "exact": "memory"}
    for key, value in exact(record).items():
        if key in words:
            entries |= {f"{words[key]}/{name}": item for name, item in value.items()}
        else:
            entries[key] = value
    return entries


def _arrays(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterable[Difference]:
    for name in dict.fromkeys((*first, *second)):
        if name not in first or name not in second:
            yield Difference(name, math.inf, f"only the {'first' if name in first else 'second'} has it")
            continue
        one, other = np.asarray(first[name], order="C"), np.asarray(second[name], order="C")
        if (one.shape, one.dtype) != (other.shape, other.dtype):
            words = f"{one.dtype.name}{one.shape} and {other.dtype.name}{other.shape}"
            yield Difference(name, math.inf, words)
        elif one.tobytes() != other.tobytes():
            yield _numbers(name, one, other)


def _numbers(name: str, one: NDArray[Any], other: NDArray[Any]) -> Difference:
    """How two arrays of one type and shape differ."""
    width = one.dtype.itemsize
    bits = [array.reshape(-1).view(np.uint8).reshape(-1, width) for array in (one, other)]
    places = (bits[0] != bits[1]).any(axis=1)
    values = [array.reshape(-1)[places].astype(np.float64) for array in (one, other)]
    apart = np.abs(values[0] - values[1])
    real = apart[np.isfinite(apart)]
    largest = float(real.max()) if len(real) == len(apart) else math.inf
    return Difference(name, largest, f"{int(places.sum())} of {one.size} numbers")


def _parts(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterable[Difference]:
    for name in dict.fromkeys((*first, *second)):
        if name not in first or name not in second:
            yield Difference(name, math.inf, f"only the {'first' if name in first else 'second'} has it")
        elif canonical(first[name]) != canonical(second[name]):
            yield Difference(
                name, _apart(first[name], second[name]), f"{_brief(first[name])} and {_brief(second[name])}"
            )


def _apart(one: Any, other: Any) -> float:
    """The largest difference of numbers, or of lists of as many; inf of anything else."""
    try:
        apart = np.abs(np.asarray(one, np.float64) - np.asarray(other, np.float64))
    except (TypeError, ValueError):
        return math.inf
    return float(apart.max()) if apart.size and np.isfinite(apart).all() else math.inf


def _brief(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_brief(item)}" for name, item in value.items())  # pyright: ignore[reportUnknownVariableType]
    text = repr(value[0] if isinstance(value, list) and len(value) == 1 else value)  # pyright: ignore[reportUnknownArgumentType]
    return text if len(text) <= 60 else f"{text[:57]}..."
