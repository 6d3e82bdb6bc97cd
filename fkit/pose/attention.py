"""What attention of keypoints shares: rotary positions, biases of relative places."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["GAU", "LINE_INIT", "activation_of", "drawn", "gau_options", "relative_places", "rotated"]

GAU: Final = frozendict(
    hidden_dims=256, s=128, expansion_factor=2, dropout_rate=0.0, drop_path=0.0, act_fn="ReLU", use_rel_bias=False,
    pos_enc=False,
)  # fmt: skip

LINE_INIT: Final = (
    frozendict(type="Normal", layer=("Conv2d",), std=0.001),
    frozendict(type="Constant", layer="BatchNorm2d", val=1),
    frozendict(type="Normal", layer=("Linear",), std=0.01, bias=0),
)


def drawn(*names: str) -> Any:
    """The rule of parameters that start between 0 and 1."""
    return frozendict(type="Uniform", a=0.0, b=1.0, override=tuple(frozendict(name=name) for name in names))


def gau_options(who: str, given: Any) -> dict[str, Any]:
    """A head's ``gau_cfg`` without ``hidden_dims``, which is its own.

    Raises:
        FkitTypeError: a word is missing, or unknown.

    Example:
        >>> gau_options("RTMCCHead", GAU)["s"]
        128
    """
    words: Mapping[str, Any] = given
    for name in words:
        if name not in GAU:
            raise FkitTypeError(f"{who}: gau_cfg takes no {name!r}.", value=name, choices=GAU, label="It takes")
    for name in GAU:
        if name not in words:
            raise FkitTypeError(f"{who}: gau_cfg needs {name!r}.", repair=f"{name}={GAU[name]!r}")
    return {name: value for name, value in words.items() if name != "hidden_dims"}


def activation_of(act_fn: Any) -> str:
    """ "ReLU" or "SiLU".

    Raises:
        FkitValueError: another one.
    """
    name = getattr(act_fn, "__name__", act_fn)
    if name not in ("ReLU", "SiLU"):
        raise FkitValueError(f"act_fn={act_fn!r}.", value=str(name), choices=("ReLU", "SiLU"), label="Activations")
    return name


def rotated(xp: Ops, x: Any, axis: int = 1) -> Any:
    """Features (..., C) turned by the place along an axis (Su et al. 2021), the first half of channels with the second.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> rotated(Numpy(), np.array([[[1.0, 0.0], [1.0, 0.0]]])).round(3).tolist()
        [[[1.0, 0.0], [0.54, 0.841]]]
    """
    half = x.shape[-1] // 2
    places = np.arange(x.shape[axis], dtype=np.float64)
    angles = places[:, None] * 10000.0 ** (np.arange(half) / half)
    shape = [1] * x.ndim
    shape[axis], shape[-1] = len(places), half
    sin, cos = (xp.asarray(turn(angles).reshape(shape), x) for turn in (np.sin, np.cos))
    first, second = x[..., :half], x[..., half:]
    return xp.lib.concat([first * cos - second * sin, second * cos + first * sin], axis=x.ndim - 1)


def relative_places(count: int) -> Any:
    """(count, count) whole numbers: which of ``2 * count - 1`` biases two keypoints have.

    Example:
        >>> relative_places(2).tolist()
        [[1, 2], [0, 1]]
    """
    row = np.arange(count)
    return row[None, :] - row[:, None] + count - 1
