"""A batch of samples, and what of it a model sees beside the inputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from fkit.tree.frozen import EMPTY

__all__ = ["Batch", "Samples"]


class Samples(NamedTuple):
    """A batch's targets and valid masks as one frozen structure: the ``samples`` that a model is given.

    Attributes:
        targets: {name: array}, the first axis counting samples; ``targets["gt_label"]`` is (N,) int64.
        valid: {name: (N, ...) bool}, what of a padded target is real.
    """

    targets: Mapping[str, Any] = EMPTY
    valid: Mapping[str, Any] = EMPTY


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Arrays for one step. As a pytree it is (inputs, targets, valid): ``meta`` stays on the host.

    Attributes:
        inputs: (N, C, H, W) images, or any array or mapping of arrays that the model takes.
        targets: {name: array}; numbers that arithmetic needs (image shape, scale factor) are arrays here.
        valid: {name: (N, ...) bool}, where objects are padded to a declared bucket.
        meta: one mapping a sample (``sample_idx``, ``img_path``, ...), neither leaf nor auxiliary data.

    Example:
        >>> import numpy as np
        >>> batch = Batch(np.zeros((2, 1, 8, 8), np.float32), {"gt_label": np.array([3, 1])})
        >>> len(batch), batch.samples.targets["gt_label"].tolist()
        (2, [3, 1])
    """

    inputs: Any
    targets: Mapping[str, Any] = field(default=EMPTY)
    valid: Mapping[str, Any] = field(default=EMPTY)
    meta: tuple[Mapping[str, Any], ...] = ()

    @property
    def samples(self) -> Samples:
        """What the model is given beside the inputs."""
        return Samples(self.targets, self.valid)

    def __len__(self) -> int:
        return _count(self.inputs)


def _count(inputs: Any) -> int:
    if isinstance(inputs, Mapping):
        return _count(next(iter(cast("Mapping[str, Any]", inputs).values())))
    return int(inputs.shape[0])
