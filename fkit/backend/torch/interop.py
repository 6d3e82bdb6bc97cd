"""Between numpy on the host and torch on a device, and the kit's structures as torch pytrees."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from frozendict import frozendict
from numpy.typing import NDArray
from torch import Tensor
from torch.utils import _pytree as pytree

from fkit.structures import PYTREES, DataElement, from_parts, tree_parts
from fkit.structures.batch import Batch, batch_of
from fkit.training.state import TrainState
from fkit.tree.error import FkitValueError

__all__ = ["device_of", "register", "tensor_of", "to_host", "to_numpy", "walk"]


def device_of(name: str | None) -> torch.device:
    """The device of "cpu", "cuda", "cuda:1", "mps"; None is CUDA where there is one, else the CPU.

    Raises:
        FkitValueError: there is no such device.

    Example:
        >>> device_of("cpu")
        device(type='cpu')
    """
    if name is None:
        return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
    here = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    try:
        device = torch.device(name)
    except RuntimeError as cause:
        raise FkitValueError(
            f"device={name!r} is no device.", value=name, choices=here, label="Devices here", path="device"
        ) from cause
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise FkitValueError(
                f"device={name!r}, but torch sees no CUDA device.",
                choices=here,
                label="Devices here",
                path="device",
                repair="Take --device cpu, or install a build of torch for your driver (`fkit env` shows both).",
            )
        index = torch.cuda.current_device() if device.index is None else device.index  # pyright: ignore[reportUnnecessaryComparison]
        if index >= torch.cuda.device_count():
            raise FkitValueError(f"device={name!r} is not there.", choices=here, label="Devices here", path="device")
        return torch.device("cuda", index)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise FkitValueError(f"device={name!r} is not there.", choices=here, label="Devices here", path="device")
    return device


def to_numpy(array: Any) -> NDArray[Any]:
    """A copy on the host, C order; bfloat16, which numpy lacks, as float32."""
    if not isinstance(array, Tensor):
        return np.array(array, order="C")
    array = array.detach()
    if array.dtype == torch.bfloat16:
        array = array.float()
    return np.array((array if array.is_cpu else array.cpu()).numpy(), order="C")


def to_host(tree: Any) -> Any:
    """A model's outputs, arrays at any depth of mappings, sequences and structures, on the host: in one wait, copies."""
    devices: set[torch.device] = set()

    def begin(array: Any) -> Any:
        if not isinstance(array, Tensor) or array.is_cpu:
            return to_numpy(array)
        devices.add(array.device)
        return array.detach().to("cpu", non_blocking=True)

    tree = walk(tree, begin)
    if not devices:
        return tree
    for device in devices:
        if device.type == "cuda":
            torch.cuda.current_stream(device).synchronize()
    return walk(tree, to_numpy)


def tensor_of(array: Any) -> Tensor:
    """A CPU tensor of a numpy (or JAX) array; shares memory where the array may be written to."""
    if isinstance(array, Tensor):
        return array
    host = array if type(array) is np.ndarray else np.asarray(array)
    # torch warns of memory that it must not write to, and refuses negative strides
    if not host.flags.writeable or (host.strides and min(host.strides) < 0):
        host = host.copy()
    return torch.from_numpy(host)


def walk(tree: Any, change: Callable[[Any], Any]) -> Any:
    """``change`` on every array of nested mappings, sequences and structures; the rest stays as it is."""
    if isinstance(tree, (Tensor, np.ndarray)):
        return change(tree)
    if type(tree) is dict:  # what models return
        return frozendict({key: walk(value, change) for key, value in tree.items()})
    if isinstance(tree, Mapping):
        return frozendict({key: walk(value, change) for key, value in tree.items()})
    if isinstance(tree, tuple):
        values = [walk(value, change) for value in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else tuple(values)
    if isinstance(tree, list):
        return [walk(value, change) for value in tree]
    if isinstance(tree, DataElement):
        leaves, auxiliary = tree_parts(tree)
        return from_parts(auxiliary, [walk(leaf, change) for leaf in leaves])
    return change(tree) if hasattr(tree, "__array__") and hasattr(tree, "shape") else tree


def register() -> None:
    """Register frozendict, TrainState, Batch and the structures of ``fkit.structures.PYTREES``; done once, by the room."""
    pytree.register_pytree_node(
        frozendict,
        lambda tree: (list(tree.values()), tuple(tree)),
        lambda values, keys: frozendict(zip(keys, values, strict=True)),
        serialized_type_name="frozendict.frozendict",
    )
    pytree.register_pytree_node(
        TrainState,
        lambda state: (list(state.parts), None),
        lambda parts, _: TrainState(*parts),
        serialized_type_name="fkit.TrainState",
    )
    pytree.register_pytree_node(
        Batch,
        lambda batch: ([batch.inputs, batch.targets, batch.valid], None),
        lambda parts, _: batch_of(parts),
        serialized_type_name="fkit.Batch",
    )
    for cls in PYTREES:
        pytree.register_pytree_node(
            cls,
            _leaves,
            lambda leaves, auxiliary: from_parts(auxiliary, leaves),
            serialized_type_name=f"fkit.{cls.__name__}",
        )


def _leaves(value: Any) -> tuple[list[Any], Any]:
    leaves, auxiliary = tree_parts(value)
    return list(leaves), auxiliary
