"""A state of host arrays, and back."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from frozendict import frozendict
from numpy.typing import NDArray
from torch import Tensor

from fkit.backend.torch.interop import to_numpy
from fkit.backend.torch.optimizer import Slots, Update
from fkit.training.inventory import Inventory
from fkit.training.phase import check_slots
from fkit.training.state import Arrays, TrainState

__all__ = ["collect", "place"]

_IMAGES = 4  # axes


Put = Callable[..., Tensor]


def place(
    inventory: Inventory,
    updates: Mapping[str, Update],
    arrays: Arrays,
    device: torch.device,
    channels_last: bool = False,
) -> TrainState:
    """A state of arrays, which are copied.

    Args:
        updates: the optimizers, by name.
        arrays: by path, whole; without ``opt/`` the optimizers start fresh.
        channels_last: lay arrays of four axes out that way.

    Raises:
        FkitValueError: slots of an optimizer that are missing, unknown, or of another shape.
    """

    def put(array: Any, dtype: str | None = None, host: bool = False) -> Tensor:
        # a copy: a step may write into it
        tensor = torch.from_numpy(np.array(array, dtype, order="C", copy=True))
        if channels_last and tensor.dim() == _IMAGES:
            tensor = tensor.to(memory_format=torch.channels_last)
        return tensor if host else tensor.to(device)

    def named(kind: str, buffer: bool) -> Mapping[str, Tensor]:
        mine = [entry for entry in inventory.entries if entry.buffer is buffer]
        return frozendict({entry.name: put(arrays[f"{kind}/{entry.name}"], entry.dtype) for entry in mine})

    params, buffers = named("params", False), named("buffers", True)
    saved = {path.removeprefix("opt/"): array for path, array in arrays.items() if path.startswith("opt/")}
    opt: dict[str, Slots] = {name: update.init(params) for name, update in updates.items()}
    if saved:
        opt = _resumed(updates, opt, saved, params, put)
    slots: dict[str, dict[str, Tensor]] = {}
    for path, array in arrays.items():
        if path.startswith("slots/"):
            _, name, tail = path.split("/", 2)
            slots.setdefault(name, {})[tail] = put(array)
    return TrainState(
        params,
        buffers,
        frozendict(opt),
        frozendict({name: frozendict(states) for name, states in slots.items()}),
        np.int64(arrays["iteration"]),
        # on the host too, until a step does not know there whether something moved
        np.int64(arrays["updates"]),
        # on the host, where the keys of a step are made; torch has next to no uint32: int32 of the same bits
        torch.from_numpy(np.array(arrays["key"], np.uint32).view(np.int32)),
    )


def collect(state: TrainState) -> dict[str, NDArray[Any]]:
    """The arrays of a state by path, on the host; a copy."""
    params, buffers, opt, slots, iteration, updates, key = state.parts
    arrays = {f"params/{name}": to_numpy(array) for name, array in params.items()}
    arrays.update({f"buffers/{name}": to_numpy(array) for name, array in buffers.items()})
    for optimizer, states in opt.items():
        for slot, tensors in states.items():
            arrays.update({f"opt/{optimizer}/{slot}/{name}": to_numpy(array) for name, array in tensors.items()})
    for name, tree in slots.items():
        arrays.update({f"slots/{name}/{path}": to_numpy(array) for path, array in tree.items()})
    arrays["iteration"] = to_numpy(iteration).astype(np.int64)
    arrays["updates"] = to_numpy(updates).astype(np.int64)
    arrays["key"] = to_numpy(key).view(np.uint32)
    return arrays


def _resumed(
    updates: Mapping[str, Update],
    fresh: Mapping[str, Slots],
    saved: Mapping[str, NDArray[Any]],
    params: Mapping[str, Tensor],
    put: Put,
) -> dict[str, Slots]:
    want = {
        f"{name}/{slot}/{key}": tensor
        for name, states in fresh.items()
        for slot, tensors in states.items()
        for key, tensor in tensors.items()
    }
    due = {path: tuple(tensor.shape) for path, tensor in want.items() if not _may(updates, path)}
    check_slots(due, saved, frozenset(path for path in saved if _may(updates, path)))
    opt = {name: {slot: dict(tensors) for slot, tensors in states.items()} for name, states in fresh.items()}
    for path, array in saved.items():
        name, slot, key = path.split("/", 2)
        dtype = str(want[path].dtype).removeprefix("torch.") if path in want else _like(array, params[key])
        host = updates[name].scalars_on_host and array.ndim == 0
        opt[name].setdefault(slot, {})[key] = put(array, dtype, host)
    return {
        name: frozendict({slot: frozendict(tensors) for slot, tensors in states.items()})
        for name, states in opt.items()
    }


def _may(updates: Mapping[str, Update], path: str) -> bool:
    """Whether a slot may be there or not."""
    name, slot, key = (*path.split("/", 2), "", "")[:3]
    return name in updates and updates[name].lazy(slot) and key in updates[name].names


def _like(array: NDArray[Any], param: Tensor) -> str | None:
    """A slot of a parameter's shape has its type; a counter keeps its own."""
    same = tuple(array.shape) == tuple(param.shape) and np.issubdtype(array.dtype, np.floating) and array.ndim > 0
    return str(param.dtype).removeprefix("torch.") if same else None
