"""Heads of coordinates, and the loss of residual log-likelihood with its flow."""

from dataclasses import replace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.layers import Linear
from fkit.backend.jax.ops import JaxOps
from fkit.catalog.build import Builder
from fkit.pose.flow import FLOW_INIT, FLOW_MASK, REGRESSION_INIT, RLE, SMOOTH, expect_flow, likelihood, normal_log
from fkit.pose.head import Coordinates, Deviations
from fkit.pose.line import checked_channels

__all__ = ["RLELoss", "RealNVP", "RegressionHead", "regression_head", "rle_head"]

Array = jax.Array


class RealNVP(nn.Module):
    """A flow of two numbers to a normal law by six affine couplings (Dinh et al. 2017).

    ``(x)``: (N, 2) -> (N,), the logarithm of the density.
    """

    torch_order: ClassVar[tuple[str, ...]] = ("loc", "cov", "mask", "s", "t")

    @property
    def start_cfg(self) -> Any:
        """How layers start."""
        return FLOW_INIT

    def setup(self) -> None:
        kinds = (("loc", jnp.zeros(2)), ("cov", jnp.eye(2)), ("mask", jnp.array(FLOW_MASK)))
        self.tables = [self.variable("constants", name, lambda start=start: start) for name, start in kinds]
        for name in self._names():
            for at, width in ((0, 64), (2, 64), (4, 2)):
                setattr(self, f"{name}_{at}", Linear(width))

    def _names(self) -> list[str]:
        return [f"{kind}_{i}" for kind in ("s", "t") for i in range(len(FLOW_MASK))]

    def __call__(self, x: Array) -> Array:
        if self.is_initializing():
            for name in self._names():  # layers are listed in the order of their first call
                self._coupling(name, x)
        loc, cov, masks = (table.value.astype(x.dtype) for table in self.tables)
        z, gain = x, jnp.zeros(x.shape[0], x.dtype)
        for i in reversed(range(len(FLOW_MASK))):
            mask = masks[i]
            kept, free = mask * z, 1 - mask
            s, t = jnp.tanh(self._coupling(f"s_{i}", kept)) * free, self._coupling(f"t_{i}", kept) * free
            z = free * (z - t) * jnp.exp(-s) + kept
            gain = gain - s.sum(1)
        return normal_log(JaxOps(), z, loc, cov) + gain

    def _coupling(self, name: str, x: Array) -> Array:
        for at in (0, 2):
            x = nn.leaky_relu(getattr(self, f"{name}_{at}")(x), 0.01)
        return getattr(self, f"{name}_4")(x)


class RLELoss(nn.Module):
    """How unlikely errors are by a law that is learnt (Li et al. 2021); mmpose's RLELoss.

    Attributes:
        use_target_weight: weights count.
        size_average: by samples.
        residual: the flow learns what ``q_distribution`` leaves.
        q_distribution: "laplace" or "gaussian".

    ``(xp, pred, sigma, target, weight)``: (N, K, 2), deviations before a sigmoid, weights (N, K, 1).
    """

    use_target_weight: bool = False
    size_average: bool = True
    residual: bool = True
    q_distribution: str = "laplace"
    takes_ops = True

    def __post_init__(self) -> None:
        expect_flow(self)
        super().__post_init__()

    def setup(self) -> None:
        self.flow_model = RealNVP()

    def __call__(self, xp: Any, pred: Array, sigma: Array, target: Array, weight: Any = None) -> Array:
        return likelihood(xp, self, self.flow_model, pred, sigma, target, weight)


class RegressionHead(nn.Module):
    """Coordinates by a linear layer of pooled features; see `regression_head`.

    Attributes:
        numbers: of a keypoint.
        logic: what is made of them.
        loss_module: the loss, where it is a module.
    """

    in_channels: int
    num_joints: int
    numbers: int
    logic: Coordinates
    loss_module: Any = None
    init_cfg: Any = REGRESSION_INIT

    @property
    def init_rules(self) -> Any:
        """``init_cfg``."""
        return self.init_cfg

    @property
    def torch_order(self) -> tuple[str, ...]:
        """torch's order of the parts."""
        return ("loss_module", "fc")

    def bound(self) -> Coordinates:
        """What is made of coordinates."""
        return self.logic if self.loss_module is None else replace(self.logic, loss_module=self.loss_module)

    @nn.compact
    def __call__(self, features: Any, train: bool = False) -> Array:
        x = features[-1].reshape(features[-1].shape[0], -1)
        checked_channels(self.logic.name, x.shape[1], self.in_channels)
        if self.loss_module is not None and self.is_initializing():
            start = jnp.zeros((1, 1, 2), x.dtype)
            self.loss_module(JaxOps(), start, start, start, start[..., :1])
        out = Linear(self.num_joints * self.numbers, name="fc")(x)
        return out.reshape(-1, self.num_joints, self.numbers)


def _made(
    who: str, kind: Any, numbers: int, in_channels: int, joints: int, loss: Any, decoder: Any, init_cfg: Any, build: Any
) -> RegressionHead:
    logic = kind.of(build, who, loss, decoder)
    module = logic.loss_module if isinstance(logic.loss_module, nn.Module) else None
    if module is not None:
        logic = replace(logic, loss_module=None)
    rules = REGRESSION_INIT if init_cfg is None else init_cfg
    return RegressionHead(in_channels, joints, numbers, logic, module, rules)


def regression_head(
    in_channels: int, num_joints: int, loss: Any = SMOOTH, decoder: Any = None, init_cfg: Any = None, *, build: Builder
) -> RegressionHead:
    """Coordinates by a linear layer of pooled features (Toshev and Szegedy 2014); mmpose's RegressionHead.

    Args:
        in_channels: of the features.
        num_joints: keypoints.
        loss: config of the loss.
        decoder: config of a codec, without which there are no predictions.
        init_cfg: rules for initial weights.

    Returns:
        ``(features, train)`` -> (N, K, 2) in parts of the input's sides.
    """
    return _made("RegressionHead", Coordinates, 2, in_channels, num_joints, loss, decoder, init_cfg, build)


def rle_head(
    in_channels: int, num_joints: int, loss: Any = RLE, decoder: Any = None, init_cfg: Any = None, *, build: Builder
) -> RegressionHead:
    """Coordinates and their deviations by a linear layer (Li et al. 2021); mmpose's RLEHead.

    Args:
        in_channels, num_joints, loss, decoder, init_cfg: see `regression_head`.

    Returns:
        ``(features, train)`` -> (N, K, 4), deviations before a sigmoid.
    """
    return _made("RLEHead", Deviations, 4, in_channels, num_joints, loss, decoder, init_cfg, build)
