"""Initial weights: each array drawn from a key of its own name, by its layer's documented scheme or by ``init_cfg``.

No order of layers and no framework enters, so both backends start from the same bits.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkit.array.random import generator, key
from fkit.training.inventory import Entry, Inventory
from fkit.training.pretrained import Read, pretrained, taken
from fkit.training.rule import Rule, fans, rules
from fkit.tree.error import FkitValueError

__all__ = ["initial", "is_known"]

Array = NDArray[Any]

# weight and bias from U(+-1/sqrt(fan_in)), the bias with its weight's fan
_DENSE = ("Linear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d",
          "ConvWS2d", "ConvAWS2d", "Conv2dAdaptivePadding")  # fmt: skip
_BATCH = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm")
_NORM = (*_BATCH, "GroupNorm", "LayerNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d")
_STATISTIC = (("running_mean", 0.0), ("running_var", 1.0), ("num_batches_tracked", 0.0))
_STANDARD = (("weight_gamma", 1.0), ("weight_beta", 0.0))  # buffers of ConvAWS2d


class _Place(NamedTuple):
    entry: Entry
    path: str  # of the owning module
    leaf: str  # "weight", "bias", "running_mean", ...


def initial(
    inventory: Inventory,
    own: Callable[[int], Mapping[str, Array]],
    seed: int,
    read: Read | None = None,
    from_files: bool = True,
) -> dict[str, Array]:
    """The arrays a run starts from, by path as in `fkit.training.state.Arrays`; no optimizer slots.

    Args:
        inventory: what the model holds. A known layer follows torch's documented scheme: weights and biases of
            convolutions and linear layers U(-b, b), b = 1/sqrt(fan_in) (``kaiming_uniform_`` with a = sqrt(5)), norms
            1 and 0, running statistics 0 and 1, embeddings N(0, 1); ``init_cfg`` rules go over that, parents first.
        own: the modules' own values, asked for once if some layer is unknown.
        seed: of the run; array NAME draws from ``key(seed, "init", NAME)``.
        read: gives the checkpoints that ``init_cfg``s of type Pretrained name; they go over everything else.
        from_files: whether these are read at all: a checkpoint of the whole model needs none of them.

    Returns:
        ``params/NAME`` and ``buffers/NAME`` (drawn in float64, rounded to float32, then given the entry's dtype),
        ``iteration`` and ``updates`` (0-d int64), ``key`` ((2,) uint32, ``key(seed, "train")``).

    Raises:
        FkitError: a rule names an initialiser, argument or module that is not there, or a checkpoint that does not fit.

    Example:
        >>> entries = (Entry("fc.weight", (2, 4), "float32", "Linear"), Entry("fc.bias", (2,), "float32", "Linear"))
        >>> arrays = initial(Inventory(entries), lambda seed: {}, 0)
        >>> sorted(arrays), bool(abs(arrays["params/fc.weight"]).max() <= 0.5)
        (['iteration', 'key', 'params/fc.bias', 'params/fc.weight', 'updates'], True)
    """
    places = [_Place(entry, *_split(entry.name)) for entry in inventory.entries]
    shapes = {place.entry.name: place.entry.shape for place in places}
    laws = rules(inventory)
    arrays: dict[str, Array] = {}
    unknown: list[Entry] = []
    for place in places:
        entry = place.entry
        rng = generator(key(seed, "init", entry.name))
        rule = _last(laws, place)
        values = rule.draw(place.leaf, entry.shape, rng) if rule is not None else _documented(place, shapes, rng)
        if values is None:
            unknown.append(entry)
        else:
            arrays[_where(entry)] = values.astype(np.float32).astype(entry.dtype)
    if unknown:
        _take(arrays, unknown, own(seed))
    for part in pretrained(inventory) if from_files else ():
        arrays |= taken(part, inventory, read).arrays
    arrays = {_where(entry): arrays[_where(entry)].astype(entry.dtype, copy=False) for entry in inventory.entries}
    arrays["iteration"] = np.zeros((), np.int64)
    arrays["updates"] = np.zeros((), np.int64)
    arrays["key"] = np.array(key(seed, "train"), np.uint32)
    return arrays


def is_known(layer: str) -> bool:
    """Whether layers of a class begin by its documented scheme, not by values that the module itself gives.

    Example:
        >>> is_known("Conv2d"), is_known("PReLU")
        (True, False)
    """
    return layer in _DENSE or layer in _NORM or layer == "Embedding"


def _split(name: str) -> tuple[str, str]:
    path, _, leaf = name.rpartition(".")
    return path, leaf


def _where(entry: Entry) -> str:
    return ("buffers/" if entry.buffer else "params/") + entry.name


def _last(laws: tuple[Rule, ...], place: _Place) -> Rule | None:
    if place.entry.buffer:
        return None
    if place.leaf not in ("weight", "bias"):  # a parameter of another name has the rule that names itself
        return next((rule for rule in reversed(laws) if rule.path == place.entry.name), None)
    mine = (rule for rule in reversed(laws) if rule.matches(place.path, place.entry.layer))
    return next((rule for rule in mine if place.leaf != "bias" or rule.bias is not None), None)


def _documented(place: _Place, shapes: Mapping[str, tuple[int, ...]], rng: np.random.Generator) -> Array | None:
    entry, leaf = place.entry, place.leaf
    if entry.layer in _DENSE and leaf in ("weight", "bias"):
        weight = shapes.get(f"{place.path}.weight" if place.path else "weight")
        if weight is None:  # a bias beside a weight that goes by another name (weight norm)
            return None
        bound = 1.0 / math.sqrt(fans(weight)[0]) if fans(weight)[0] else 0.0
        return rng.uniform(-bound, bound, entry.shape)
    if entry.layer in _NORM and leaf in ("weight", "bias"):
        return np.full(entry.shape, 1.0 if leaf == "weight" else 0.0)
    if entry.layer in _NORM or entry.layer in _DENSE:
        return next((np.full(entry.shape, value) for name, value in (*_STATISTIC, *_STANDARD) if name == leaf), None)
    if entry.layer == "Embedding" and leaf == "weight":
        return rng.standard_normal(entry.shape)
    return None


def _take(arrays: dict[str, Array], unknown: list[Entry], given: Mapping[str, Array]) -> None:
    for entry in unknown:
        path = _where(entry)
        if path not in given:
            raise FkitValueError(
                f"{entry.name!r} has no initial value: its layer is unknown to the kit, and the module gives none."
            )
        if tuple(given[path].shape) != tuple(entry.shape):
            raise FkitValueError(f"{entry.name!r}: the module's own value is {given[path].shape}, not {entry.shape}.")
        arrays[path] = given[path].astype(entry.dtype, copy=False)
