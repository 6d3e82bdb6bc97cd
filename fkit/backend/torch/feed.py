"""Batches to a device: types, layouts, and on CUDA ahead of the step, beside the one before."""

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from frozendict import frozendict
from torch import Tensor

from fkit.backend.torch.interop import tensor_of, walk
from fkit.data.ahead import ahead
from fkit.data.label import LabelRange, check_targets
from fkit.structures.batch import Batch, Samples
from fkit.structures.views import Views
from fkit.tree.frozen import EMPTY

__all__ = ["Feed", "fed"]

_IMAGES = 4  # axes of a batch of images


class Feed:
    """Batches to a device: floats in the run's type; bytes (images) too where they are inputs; other integers as is.

    Args:
        device: where the model is.
        dtype: of floats, and of uint8 inputs where ``bytes_as`` does not say otherwise.
        bytes_as: the type of uint8 inputs.
        channels_last: lay images out that way.
    """

    __slots__ = ("bytes_as", "channels_last", "device", "dtype")

    def __init__(
        self,
        device: torch.device,
        dtype: torch.dtype,
        bytes_as: torch.dtype | None = None,
        channels_last: bool = False,
    ) -> None:
        self.device = device
        self.dtype = dtype
        self.bytes_as = dtype if bytes_as is None else bytes_as
        self.channels_last = channels_last

    def __call__(self, batch: Batch) -> tuple[Any, Samples]:
        """The inputs and the samples, on the device."""
        inputs = batch.inputs
        inputs = self._input(inputs) if isinstance(inputs, (np.ndarray, Tensor)) else walk(inputs, self._input)
        return inputs, Samples(self._samples(batch.targets), self._samples(batch.valid))

    def _samples(self, targets: Mapping[str, Any]) -> Mapping[str, Any]:
        if not targets:
            return targets
        return frozendict(
            {
                name: self._target(value) if isinstance(value, (np.ndarray, Tensor)) else walk(value, self._target)
                for name, value in targets.items()
            }
        )

    def _move(self, array: Any) -> Tensor:
        tensor = tensor_of(array)
        if tensor.device == self.device:
            return tensor
        if self.device.type != "cuda" or tensor.device.type != "cpu":
            return tensor.to(self.device, non_blocking=tensor.is_cuda)
        # from pinned memory the copy does not hold up the host
        return (tensor if tensor.is_pinned() else tensor.pin_memory()).to(self.device, non_blocking=True)

    def _input(self, array: Any) -> Tensor:
        tensor = self._move(array)
        dtype = self.bytes_as if tensor.dtype == torch.uint8 else self.dtype if tensor.is_floating_point() else None
        if self.channels_last and dtype is not None and tensor.dim() == _IMAGES:
            return tensor.to(dtype, memory_format=torch.channels_last)
        return tensor if dtype is None or tensor.dtype == dtype else tensor.to(dtype)

    def _target(self, array: Any) -> Tensor:
        tensor = self._move(array)
        if tensor.dtype != self.dtype and tensor.is_floating_point():
            return tensor.to(self.dtype)
        return tensor


def fed(batches: Iterator[Batch], feed: Feed, labels: Mapping[str, LabelRange] = EMPTY) -> Generator[Batch]:
    """The batches with their arrays on the feed's CUDA device, copied while the step before them runs.

    A thread fills pinned memory and starts the copies, on a stream of their own; the step's stream waits for a batch's
    copy on the device, the host for none.

    Args:
        labels: what the labels may be; they are looked at while they are on the host.
    """
    device = feed.device
    stream = torch.cuda.Stream(device)

    def put(batch: Batch) -> tuple[Batch, Any]:
        if type(batch) is Views:
            views = [put(view) for view in batch.views]  # the last event comes after the others, on one stream
            return Views.of(view for view, _ in views), views[-1][1]
        check_targets(labels, batch.targets, batch.valid)
        with torch.cuda.device(device), torch.cuda.stream(stream):
            inputs, samples = feed(batch)
            return Batch(inputs, samples.targets, samples.valid, batch.meta), stream.record_event()

    for batch, event in ahead(batches, put):
        current = torch.cuda.current_stream(device)
        current.wait_event(event)
        _lend(batch, current)
        yield batch


def _lend(batch: Batch, stream: torch.cuda.Stream) -> None:
    """Let the memory of a batch be taken for another one only when what ``stream`` does with it is done."""

    def record(tensor: Tensor) -> Tensor:
        tensor.record_stream(stream)
        return tensor

    for view in batch.views if type(batch) is Views else (batch,):
        for tree in (view.inputs, view.targets, view.valid):
            walk(tree, record)
