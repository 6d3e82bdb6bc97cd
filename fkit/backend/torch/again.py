"""Layers that the backward pass computes again, in place of keeping what they computed: activation checkpointing."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.utils.checkpoint import checkpoint

from fkit.tree.error import FkitKeyError

__all__ = ["recomputing", "without_statistics"]


@contextmanager
def without_statistics(block: nn.Module) -> Generator[None]:
    """While a block is computed again in the backward pass: its running statistics have seen this batch already."""
    # the dicts themselves stay: whoever put the tensors in will look for them there
    saved = [(part._buffers, dict(part._buffers)) for part in block.modules() if isinstance(part, _BatchNorm)]  # pyright: ignore[reportPrivateUsage]
    for tensors, before in saved:
        tensors.update({name: None if value is None else value.clone() for name, value in before.items()})
    try:
        yield
    finally:
        for tensors, before in saved:
            tensors.update(before)


class _Again:
    """The forward of a module, computed again in the backward pass; copied with the module it is of."""

    def __init__(self, part: nn.Module) -> None:
        self.part = part

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        forward = type(self.part).forward.__get__(self.part)  # the class's own, not this
        if not torch.is_grad_enabled():
            return forward(*arguments, **options)
        return checkpoint(
            forward, *arguments, use_reentrant=False,
            context_fn=lambda: (nullcontext(), without_statistics(self.part)), **options,
        )  # fmt: skip


def recomputing(module: nn.Module, paths: Iterable[str]) -> nn.Module:
    """The module, of which the parts at these paths are computed again in the backward pass.

    Args:
        paths: as ``named_modules`` has them: "backbone.layer1".

    Raises:
        FkitKeyError: it has no part there.
    """
    parts = dict(module.named_modules())
    for path in paths:
        if path not in parts or not path:
            raise FkitKeyError(
                f"activation_checkpointing: the model has no part {path!r}.", path="activation_checkpointing", value=path,
                choices=tuple(name for name in parts if name), label="Parts",
            )  # fmt: skip
        parts[path].forward = _Again(parts[path])
    return module
