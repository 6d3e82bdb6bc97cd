"""Random layers whose draws are the run's own, equal on every backend: dropout and stochastic depth."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.array.random import Key, call_key, host_fold, keep, keep_elements, keep_samples
from fkit.backbone.brick import dropout_of
from fkit.backend.torch.ops import Torch
from fkit.tree.check import expect_number
from fkit.tree.error import FkitRuntimeError, FkitValueError

__all__ = ["Draws", "DropPath", "Dropout", "Dropout2d", "RandomLayer", "drop_layer"]

_BLOCK = 1 << 15  # elements
_HALVES = (torch.bfloat16, torch.float16)


class RandomLayer(nn.Module):
    """A layer that draws random numbers: from its key, the number of its call in a step, and its samples' places.

    The key is an argument of the step: a program gives the layer its own, ``fold(phase key, tag(path))``. Outside of a
    program it is (0, 0), and calls are counted from the layer's making.

    Attributes:
        masks: "counter", or "backend" for torch's own generator (a program sets what its spec says).
        words: the key as two ints; None takes the buffer ``key``, which is no part of the state (compiled steps).
        calls: how often the layer drew in this step.
        rank: which of the equal parts of the whole batch this process has: places are counted from its first row on.
        given: the key of the first call, as two 0-d tensors, where somebody has folded it already.
    """

    key: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.masks = "counter"
        self.words: tuple[int, int] | None = None
        self.calls = 0
        self.rank = 0
        self.given: Key | None = None
        self.register_buffer("key", torch.zeros(2, dtype=torch.int32), persistent=False)

    @property
    def draws(self) -> bool:
        """Whether it draws at all in training."""
        return True

    def draw(self, device: torch.device) -> Key:
        """The key of this call, which is counted.

        Raises:
            FkitRuntimeError: the backward pass computes a layer again that was called several times: which of its calls
                that is cannot be told.
        """
        # torch's checkpoint asks the same question
        again = not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
        if again and self.calls > 1:
            raise FkitRuntimeError(
                f"a {type(self).__name__} that a step calls {self.calls} times is computed again in the backward pass "
                "(activation checkpointing).",
                repair="Give each call a layer of its own.",
            )
        call = 0 if again else self.calls
        self.calls = call + 1
        if self.words is not None:
            return host_fold(self.words, call)
        if self.given is not None and call == 0:
            return self.given
        return call_key(Torch(device), (self.key[0], self.key[1]), call)


class _Rated(RandomLayer):
    """A layer that draws with a rate, if it is above 0."""

    def __init__(self, rate: float, what: str) -> None:
        super().__init__()
        self.rate = _rate(rate, what)

    @property
    def draws(self) -> bool:
        return self.rate > 0

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


class Dropout(_Rated):
    """Element-wise dropout: an element is decided by the call's key and its place in the whole batch.

    Args:
        rate: the share of elements that become 0; what is kept is scaled by ``1 / (1 - rate)``.

    Example:
        >>> Dropout(0.5).eval()(torch.ones(3)).tolist()
        [1.0, 1.0, 1.0]
    """

    def __init__(self, rate: float = 0.5) -> None:
        super().__init__(rate, "dropout")

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and self.draws):
            return x
        if self.masks == "backend":
            return F.dropout(x, self.rate, True)
        return _scaled(x, self._kept(x), self.rate)

    def _kept(self, x: Tensor) -> Tensor:
        xp, of, shape, count = Torch(x.device), self.draw(x.device), tuple(x.shape), x.numel()
        if count <= _BLOCK or x.device.type != "cpu" or self.words is None:  # compiled or vmapped, a key is a tensor
            return keep_elements(xp, of, self.rate, shape, self.rank and self.rank * shape[0])
        # a block at a time: the mixer's many passes then stay in the processor's cache, which takes half the time
        mask = torch.empty(count, dtype=torch.bool)
        place = self.rank * count
        for start in range(0, count, _BLOCK):
            size = min(_BLOCK, count - start)
            mask[start : start + size] = keep(xp, xp.words(place + start, (size,)), of, self.rate)
        return mask.view(shape)


class Dropout2d(_Rated):
    """Dropout of whole channels of maps (N, C, H, W) (Tompson et al. 2015): a channel is decided by the call's key and its
    place in the whole batch.

    Args:
        rate: the share of channels that become 0; what is kept is scaled by ``1 / (1 - rate)``.

    Example:
        >>> Dropout2d(0.5).eval()(torch.ones(1, 1, 1, 2))[0, 0, 0].tolist()
        [1.0, 1.0]
    """

    def __init__(self, rate: float = 0.5) -> None:
        super().__init__(rate, "dropout")

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and self.draws):
            return x
        shape = (x.shape[0], x.shape[1])
        if self.masks == "backend":
            return x * F.dropout(x.new_ones((*shape, 1, 1)), self.rate, True)
        kept = keep_elements(Torch(x.device), self.draw(x.device), self.rate, shape, self.rank and self.rank * shape[0])
        return _scaled(x, kept.view(*shape, 1, 1), self.rate)


class DropPath(_Rated):
    """Stochastic depth (Huang et al. 2016): whole samples of a residual branch become 0, what is kept is scaled by
    ``1 / (1 - rate)``. A sample is decided by the call's key and its place in the whole batch.

    Args:
        rate: the share of samples.

    Example:
        >>> DropPath(0.5).eval()(torch.ones(3, 2))[0].tolist()
        [1.0, 1.0]
    """

    def __init__(self, rate: float = 0.1) -> None:
        super().__init__(rate, "stochastic depth")

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and self.draws):
            return x
        shape = (x.shape[0], *(1 for _ in x.shape[1:]))
        if self.masks == "backend":
            return x * F.dropout(x.new_ones(shape), self.rate, True)
        kept = keep_samples(Torch(x.device), self.draw(x.device), self.rate, x.shape[0], self.rank * x.shape[0])
        return _scaled(x, kept.view(shape), self.rate)


class Draws(RandomLayer):
    """No arithmetic, but a key: what a sampler inside of a model draws by. Outside of training it is (0, 0).

    ``forward(x)`` gives the key of this call, and the place of each sample of ``x`` (N, ...) in the whole batch, (N,) words.

    Example:
        >>> key, places = Draws().eval()(torch.zeros(2, 3))
        >>> key, places.tolist()
        ((0, 0), [0, 1])
    """

    def forward(self, x: Tensor) -> tuple[Key, Tensor]:
        places = Torch(x.device).words(self.rank * x.shape[0], (x.shape[0],))
        if not self.training:
            return (0, 0), places
        if self.masks == "backend":
            words = torch.randint(-(1 << 31), 1 << 31, (2,), dtype=torch.int32, device=x.device)
            return (words[0], words[1]), places
        return self.draw(x.device), places


def drop_layer(cfg: Mapping[str, Any] | None) -> nn.Module:
    """A dropout, as mmcv's ``build_dropout``: ``type`` "Dropout" or "DropPath", ``drop_prob``; None is none.

    Raises:
        FkitError: the type is unknown, or an argument.

    Example:
        >>> drop_layer({"type": "DropPath", "drop_prob": 0.2}), drop_layer(None)
        (DropPath(rate=0.2), Identity())
    """
    if not cfg:
        return nn.Identity()
    kind, rate = dropout_of(cfg)
    return DropPath(*rate) if kind == "DropPath" else Dropout(*rate)


def _rate(rate: Any, what: str) -> float:
    expect_number(rate, f"a {what} rate")
    if not 0 <= rate < 1:
        raise FkitValueError(f"a {what} rate lies in [0, 1), found {rate}.")
    return rate


def _scaled(x: Tensor, kept: Tensor, rate: float) -> Tensor:
    """``x`` where it is kept, times ``1 / (1 - rate)``, rounded once: a factor in half precision would be off."""
    wide = torch.float32 if x.dtype in _HALVES else x.dtype
    if kept.shape == x.shape:  # in the layout of x, whatever its order of axes
        factor = torch.empty_like(x, dtype=wide, requires_grad=False).copy_(kept)
    else:
        factor = kept.to(wide)
    factor = factor * (1.0 / (1.0 - rate))
    return x * factor if wide == x.dtype else (x * factor).to(x.dtype)
