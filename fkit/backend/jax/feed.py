"""Batches to a device ahead of the step that takes them, beside the one before."""

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fkit.backend.jax.mesh import Devices
from fkit.data.ahead import ahead
from fkit.data.label import LabelRange, check_targets
from fkit.structures.batch import Batch
from fkit.structures.views import Views
from fkit.tree.frozen import EMPTY

__all__ = ["sent"]


def sent(
    batches: Iterator[Batch],
    device: Any,
    wide: bool = False,
    labels: Mapping[str, LabelRange] = EMPTY,
    devices: Devices | None = None,
) -> Generator[Batch]:
    """The batches with their arrays on a device: what a step then takes is there, or on its way.

    A thread begins the copies. Three batches are on the device at most: that of the step which was issued last, the next,
    and the one after it. A step donates its state alone, so that a batch may be taken again.

    Args:
        batches: of host arrays; read one early, and closed with what this gives.
        device: where the program is; None: JAX's default, to which the arrays are not bound, as a state is not.
        wide: whether float64 and int64 stay so, as in a float64 program; else they become 32 bits wide.
        labels: what the labels may be; they are looked at while they are on the host.
        devices: in the device's place: the devices that share each batch.

    Example:
        >>> from fkit.array.room import open
        >>> _ = open("jax")
        >>> one = next(sent(iter([Batch(np.ones((1, 2)), meta=[{"img_id": 7}])]), None))
        >>> one.inputs.dtype, one.meta[0]["img_id"]
        (dtype('float32'), 7)
    """
    (default,) = jnp.zeros(()).devices()  # the caller's, not the thread's

    def put(batch: Batch) -> Batch:
        if type(batch) is Views:
            return Views.of(map(put, batch.views))
        check_targets(labels, batch.targets, batch.valid)
        leaves, structure = jax.tree.flatten((batch.inputs, batch.targets, batch.valid))
        places = [place for place, leaf in enumerate(leaves) if _travels(leaf)]
        with jax.enable_x64(wide), jax.default_device(default):
            mine = [leaves[place] for place in places]
            arrays = jax.device_put(mine, device) if devices is None else devices.sent(mine)
        for place, array in zip(places, arrays, strict=True):
            leaves[place] = array
        inputs, targets, valid = structure.unflatten(leaves)
        return Batch(inputs, targets, valid, batch.meta)

    return ahead(batches, put)


def _travels(leaf: Any) -> bool:
    """Whether a leaf is an array of the host that JAX takes; numbers of Python keep their weak type."""
    return isinstance(leaf, np.ndarray) and leaf.dtype.kind not in "OSUMm"
