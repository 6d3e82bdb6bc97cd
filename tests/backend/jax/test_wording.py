"""Convolutions in other words for the CPU: the same numbers and gradients as XLA's own."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fkit.backend.jax.conv import Conv2d, ConvTranspose2d
from fkit.backend.jax.wording import grouped, transposed

NUMBERS = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}


def _random(seed: int, *shape: int) -> Any:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def _agree(one: Callable[..., Any], other: Callable[..., Any], x: Any, kernel: Any) -> None:
    """Outputs and both gradients, in float64."""
    weights = _random(9, *jax.eval_shape(other, x, kernel).shape)
    assert jax.eval_shape(one, x, kernel).shape == weights.shape

    def all_of(call: Callable[..., Any]) -> Any:
        return jax.jit(lambda x, kernel: (call(x, kernel), *jax.vjp(call, x, kernel)[1](weights)))(x, kernel)

    for mine, theirs in zip(all_of(one), all_of(other), strict=True):
        scale = float(jnp.abs(theirs).max())
        assert scale > 0
        assert float(jnp.abs(mine - theirs).max()) <= 1e-12 * scale


@pytest.mark.parametrize(
    ("size", "kernel", "groups", "features", "options"),
    [
        ((9, 8), (3, 3), 32, 128, {"window_strides": (1, 1), "padding": [(1, 1), (1, 1)]}),
        ((9, 8), (3, 3), 3, 12, {"window_strides": (2, 1), "padding": [(1, 0), (0, 2)]}),
        ((9, 8), (7, 7), 64, 64, {"window_strides": (1, 1), "padding": "SAME"}),  # depthwise
        ((9, 8), (3, 3), 16, 32, {"window_strides": (1, 1), "padding": "VALID", "rhs_dilation": (2, 3)}),
        ((11,), (5,), 4, 8, {"window_strides": (2,), "padding": [(2, 2)]}),
        ((4, 5, 6), (3, 1, 2), 2, 4, {"window_strides": (1, 2, 1), "padding": [(1, 1), (0, 0), (0, 1)]}),
    ],
)
def test_groups(
    size: tuple[int, ...], kernel: tuple[int, ...], groups: int, features: int, options: dict[str, Any]
) -> None:
    more = {**options, "feature_group_count": groups, "dimension_numbers": NUMBERS[len(size)]}
    with jax.enable_x64(True):
        channels = 128 if features == 128 else features // 2 if features == 8 else features
        x, weights = _random(0, 2, *size, channels), _random(1, *kernel, channels // groups, features)
        _agree(lambda x, k: grouped(x, k, **more), lambda x, k: lax.conv_general_dilated(x, k, **more), x, weights)


@pytest.mark.parametrize(
    ("kernel", "strides", "padding", "dilation"),
    [
        ((2, 2), (2, 2), [(1, 1), (1, 1)], (1, 1)),  # of a mask head
        ((4, 4), (2, 2), [(2, 2), (2, 2)], (1, 1)),  # of a pose head
        ((3, 5), (2, 3), [(1, 2), (4, 3)], (1, 1)),
        ((3, 3), (2, 2), [(1, 3), (0, 0)], (1, 1)),
        ((1, 2), (3, 1), [(0, 2), (1, 1)], (1, 1)),  # a stride greater than the kernel
        ((3, 2), (2, 2), [(4, 4), (3, 5)], (2, 3)),
        ((3, 2, 2), (2, 2, 1), [(2, 2), (1, 1), (1, 0)], (1, 1, 1)),
    ],
)
def test_transposed(
    kernel: tuple[int, ...], strides: tuple[int, ...], padding: list[tuple[int, int]], dilation: tuple[int, ...]
) -> None:
    with jax.enable_x64(True):
        x, weights = _random(0, 2, *(4, 5, 3)[: len(kernel)], 3), _random(1, *kernel, 3, 2)
        _agree(
            lambda x, k: transposed(x, k, strides, padding, dilation),
            lambda x, k: lax.conv_transpose(x, k, strides, padding, rhs_dilation=dilation),
            x,
            weights,
        )


def _slow(module: Any, x: Any) -> list[str]:
    """The convolutions of a gradient, as XLA was given them for the CPU, that it has a slow loop for."""
    variables = module.init(jax.random.key(0), x)

    def loss(variables: Any, x: Any) -> Any:
        return jnp.square(module.apply(variables, x)).sum()

    text = jax.jit(jax.grad(loss, argnums=(0, 1))).lower(variables, x).as_text()
    lines = [line for line in text.splitlines() if "stablehlo.convolution" in line]
    assert lines
    quick = ("feature_group_count = 1 ", "batch_group_count = 1 ", "lhs_dilate = [1, 1]")
    return [line for line in lines if not all(mark in line for mark in quick)]


def test_layers_on_the_cpu_have_no_slow_convolutions() -> None:
    x = jnp.ones((1, 6, 6, 64))
    assert _slow(Conv2d(64, (3, 3), padding=1, feature_group_count=16), x) == []
    assert _slow(ConvTranspose2d(8, (2, 2), strides=(2, 2)), x) == []
