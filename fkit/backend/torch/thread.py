"""Threads of torch's arithmetic on the CPU, and how much arithmetic a prediction is."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.module import register_module_forward_hook

from fkit.structures.batch import Batch, first_array
from fkit.training.program import Program
from fkit.training.state import TrainState

__all__ = ["threads", "work"]


def threads(count: int | None) -> int:
    """Compute on so many threads from now on, in this process; None leaves it.

    Returns:
        how many are in force.

    Example:
        >>> threads(None) >= 1
        True
    """
    if count is not None:
        torch.set_num_threads(count)
    return torch.get_num_threads()


def work(program: Program, state: TrainState, batch: Batch) -> float | None:
    """About how many multiply-adds it takes to predict a batch; None where no thread of the CPU computes it.

    A convolution's weights count once for each of its positions, a linear layer's once for each of its vectors; those of
    anything else once for each pixel of the inputs, which is rather too much.
    """
    if not all(tensor.is_cpu for tensor in state.params.values()):
        return None
    counts: dict[int, int] = {}

    def count(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(module, nn.Embedding):
            counts.setdefault(module.weight.data_ptr(), 0)
        elif isinstance(module, (_ConvNd, nn.Linear)) and isinstance(output, Tensor):
            weight = module.weight
            across = inputs[0] if isinstance(module, _ConvTransposeNd) else output
            positions = across.numel() // (module.out_features if isinstance(module, nn.Linear) else weight.shape[0])
            counts[weight.data_ptr()] = counts.get(weight.data_ptr(), 0) + positions * weight.numel()

    handle = register_module_forward_hook(count)
    try:
        program.predict(state, batch)
    finally:
        handle.remove()
    first = first_array(batch.inputs)
    pixels = first.size // (first.shape[1] if first.ndim > 1 else 1)
    others = [w.numel() for w in state.params.values() if w.ndim > 1 and w.data_ptr() not in counts]
    return float(sum(counts.values()) + sum(others) * pixels)
