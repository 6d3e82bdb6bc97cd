"""Heads of coordinates, and the loss of residual log-likelihood with its flow."""

from typing import Any

import torch
from torch import Tensor, nn

from fkit.backend.torch.ops import Torch
from fkit.catalog.build import Builder
from fkit.pose.flow import FLOW_INIT, FLOW_MASK, REGRESSION_INIT, RLE, SMOOTH, expect_flow, likelihood, normal_log
from fkit.pose.head import Coordinates, Deviations
from fkit.pose.line import checked_channels

__all__ = ["RLEHead", "RLELoss", "RealNVP", "RegressionHead"]


class RealNVP(nn.Module):
    """A flow of two numbers to a normal law by six affine couplings (Dinh et al. 2017).

    ``forward(x)``: (N, 2) -> (N,), the logarithm of the density.
    """

    loc: Tensor
    cov: Tensor
    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.start_cfg = FLOW_INIT
        self.register_buffer("loc", torch.zeros(2))
        self.register_buffer("cov", torch.eye(2))
        self.register_buffer("mask", torch.tensor(FLOW_MASK))
        self.s = nn.ModuleList(_coupling(True) for _ in FLOW_MASK)
        self.t = nn.ModuleList(_coupling(False) for _ in FLOW_MASK)

    def forward(self, x: Tensor) -> Tensor:
        z, gain = x, x.new_zeros(x.shape[0])
        for i in reversed(range(len(FLOW_MASK))):
            mask = self.mask[i].to(x.dtype)
            kept, free = mask * z, 1 - mask
            s, t = self.s[i](kept) * free, self.t[i](kept) * free
            z = free * (z - t) * torch.exp(-s) + kept
            gain = gain - s.sum(1)
        return normal_log(Torch(x.device), z, self.loc.to(x.dtype), self.cov.to(x.dtype)) + gain


def _coupling(bounded: bool) -> nn.Sequential:
    layers = [nn.Linear(2, 64), nn.LeakyReLU(), nn.Linear(64, 64), nn.LeakyReLU(), nn.Linear(64, 2)]
    return nn.Sequential(*layers, nn.Tanh()) if bounded else nn.Sequential(*layers)


class RLELoss(nn.Module):
    """How unlikely errors are by a law that is learnt (Li et al. 2021); mmpose's RLELoss.

    Args:
        use_target_weight: weights count.
        size_average: by samples.
        residual: the flow learns what ``q_distribution`` leaves.
        q_distribution: "laplace" or "gaussian".

    ``forward(xp, pred, sigma, target, weight)``: (N, K, 2), deviations before a sigmoid, weights (N, K, 1).
    """

    takes_ops = True

    def __init__(
        self,
        use_target_weight: bool = False,
        size_average: bool = True,
        residual: bool = True,
        q_distribution: str = "laplace",
    ) -> None:
        super().__init__()
        self.use_target_weight, self.size_average = use_target_weight, size_average
        self.residual, self.q_distribution = residual, q_distribution
        expect_flow(self)
        self.flow_model = RealNVP()

    def forward(self, xp: Any, pred: Tensor, sigma: Tensor, target: Tensor, weight: Any = None) -> Tensor:
        return likelihood(xp, self, self.flow_model, pred, sigma, target, weight)


class RegressionHead(nn.Module):
    """Coordinates by a linear layer of pooled features (Toshev and Szegedy 2014); mmpose's RegressionHead.

    Args:
        in_channels: of the features.
        num_joints: keypoints.
        loss: config of the loss.
        decoder: config of a codec, without which there are no predictions.
        init_cfg: rules for initial weights.

    ``forward(features)``: (N, K, 2) in parts of the input's sides.
    """

    numbers = 2
    kind: Any = Coordinates

    def __init__(
        self,
        in_channels: int,
        num_joints: int,
        loss: Any = SMOOTH,
        decoder: Any = None,
        init_cfg: Any = None,
        *,
        build: Builder,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        self.init_cfg = REGRESSION_INIT if init_cfg is None else init_cfg
        self.logic = self.kind.of(build, who, loss, decoder)
        if isinstance(self.logic.loss_module, nn.Module):
            self.loss_module = self.logic.loss_module  # its parameters are the model's
        self.num_joints = num_joints
        self.fc = nn.Linear(in_channels, num_joints * self.numbers)

    def forward(self, features: Any) -> Tensor:
        x = features[-1].flatten(1)
        checked_channels(type(self).__name__, x.shape[1], self.fc.in_features)
        return self.fc(x).reshape(-1, self.num_joints, self.numbers)


class RLEHead(RegressionHead):
    """Coordinates and their deviations by a linear layer (Li et al. 2021); mmpose's RLEHead.

    Args:
        in_channels, num_joints, loss, decoder, init_cfg: see `RegressionHead`.

    ``forward(features)``: (N, K, 4), deviations before a sigmoid.
    """

    numbers = 4
    kind = Deviations

    def __init__(
        self,
        in_channels: int,
        num_joints: int,
        loss: Any = RLE,
        decoder: Any = None,
        init_cfg: Any = None,
        *,
        build: Builder,
    ) -> None:
        super().__init__(in_channels, num_joints, loss, decoder, init_cfg, build=build)
