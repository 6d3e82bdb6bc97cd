"""HorNet (Rao et al. 2022), with mmpretrain's arguments and parameter names; channels last."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.hornet import HorStage, hor_stages
from fkit.backend.jax.drop import DropPath
from fkit.backend.jax.layers import Conv2d, LayerNorm, Linear
from fkit.backend.jax.resize import interpolate
from fkit.zoo.flax.plugin import LayerScale
from fkit.zoo.flax.small import check_channels

__all__ = ["HorNet"]

Array = jax.Array

_WAVES = frozendict(type="Normal", std=0.02, override=frozendict(name="complex_weight"))


class _Frequencies(nn.Module):
    """Half of the channels through a 3x3 filter, half through one of all frequencies, which has a weight for each."""

    grid: tuple[int, int]
    trainable: bool
    init_cfg: Any = _WAVES
    torch_order: ClassVar[tuple[str, ...]] = ("complex_weight", "dw", "pre_norm", "post_norm")

    @nn.compact
    def __call__(self, x: Array) -> Array:
        half = x.shape[-1] // 2
        kept: dict[str, Any] = {"trainable": self.trainable}
        weight = self.param("complex_weight", nn.initializers.zeros, (half, *self.grid, 2))
        one, two = jnp.split(LayerNorm(1e-6, name="pre_norm", **kept)(x), 2, -1)
        waves = jnp.fft.rfft2(two.astype(weight.dtype), axes=(1, 2), norm="ortho")
        maps = weight.transpose(3, 1, 2, 0)
        if self.grid != waves.shape[1:3]:
            maps = interpolate(maps, waves.shape[1:3], mode="bilinear", align_corners=True)
        two = jnp.fft.irfft2(waves * (maps[0] + 1j * maps[1]), s=two.shape[1:3], axes=(1, 2), norm="ortho")
        conv = Conv2d(half, (3, 3), padding=1, use_bias=False, feature_group_count=half, name="dw", **kept)
        mixed = jnp.stack((conv(one), two.astype(x.dtype)), -1).reshape(x.shape)
        return LayerNorm(1e-6, name="post_norm", **kept)(mixed)


class _Gated(nn.Module):
    """Convolutions of ever more channels, each times what the ones before made."""

    stage: HorStage
    scale: float
    trainable: bool
    torch_order: ClassVar[tuple[str, ...]] = ("proj_in", "dwconv", "proj_out", "projs")

    @nn.compact
    def __call__(self, x: Array) -> Array:
        stage, parts = self.stage, self.stage.parts
        kept: dict[str, Any] = {"trainable": self.trainable}
        whole = sum(parts)
        y, x = jnp.split(Conv2d(2 * stage.width, (1, 1), name="proj_in", **kept)(x), [parts[0]], -1)
        if stage.side:
            side = (stage.side, stage.side)
            x = Conv2d(
                whole, side, padding=(stage.side - 1) // 2, feature_group_count=whole, name="dwconv", **kept
            )(x)  # fmt: skip
        else:
            x = _Frequencies(stage.grid, self.trainable, name="dwconv")(x)
        first, *others = jnp.split(x * self.scale, [int(at) for at in np.cumsum(parts)[:-1]], -1)
        y = y * first
        for i, other in enumerate(others):
            y = Conv2d(parts[i + 1], (1, 1), name=f"projs_{i}", **kept)(y) * other
        return Conv2d(stage.width, (1, 1), name="proj_out", **kept)(y)


class _Block(nn.Module):
    """Gated convolutions, and two layers a pixel, each with its norm first, added to maps (N, H, W, C)."""

    stage: HorStage
    scale: float
    rate: float
    scaled: bool
    trainable: bool
    torch_order: ClassVar[tuple[str, ...]] = (
        "norm1", "gnconv", "norm2", "pwconv1", "pwconv2", "gamma1", "gamma2",
    )  # fmt: skip

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        width = self.stage.width
        kept: dict[str, Any] = {"trainable": self.trainable}
        drop = DropPath(self.rate, name="drop_path")
        y = _Gated(self.stage, self.scale, self.trainable, name="gnconv")(LayerNorm(1e-6, name="norm1", **kept)(x))
        x = x + drop(self._factors("gamma1", y), train)
        y = Linear(4 * width, name="pwconv1", **kept)(LayerNorm(1e-6, name="norm2", **kept)(x))
        y = Linear(width, name="pwconv2", **kept)(nn.gelu(y, approximate=False))
        return x + drop(self._factors("gamma2", y), train)

    def _factors(self, name: str, y: Array) -> Array:
        return LayerScale(self.stage.width, trainable=self.trainable, name=name)(y) if self.scaled else y


class HorNet(nn.Module):
    """HorNet, a backbone: images (N, H, W, C) to a tuple of maps, or of features.

    Attributes:
        arch: "tiny", "small", "base" or "large", with "-gf" (or "-gf384") for filters of all frequencies, or a mapping with
            ``base_dim``, ``depths``, ``orders`` and ``dw_cfg``.
        drop_path_rate: of the last block; the others' rise linearly from 0.
        scale: of the filters' outputs.
        use_layer_scale: whether branches have factors a channel.
        out_indices: the stages whose outputs are given.
        frozen_stages: no gradient for the stages up to this one.
        with_cp: recompute blocks in the backward pass to save memory.
        gap_before_final_norm: outputs are features (N, C), means of maps before their norm.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed.
    """

    arch: Any = "tiny"
    in_channels: int = 3
    drop_path_rate: float = 0.0
    scale: float = 1 / 3
    use_layer_scale: bool = True
    out_indices: Any = (3,)
    frozen_stages: int = -1
    with_cp: bool = False
    gap_before_final_norm: bool = True
    init_cfg: Any = None
    torch_order: ClassVar[tuple[str, ...]] = ("downsample_layers", "stages", "norm0", "norm1", "norm2", "norm3")

    def __post_init__(self) -> None:
        _ = self.plan
        super().__post_init__()

    @property
    def plan(self) -> tuple[tuple[HorStage, ...], tuple[int, ...]]:
        """The stages, and those whose outputs are given."""
        return hor_stages(self.arch, self.drop_path_rate, self.out_indices)

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("HorNet", x, self.in_channels)
        stages, outputs = self.plan
        block: Any = nn.remat(_Block, static_argnums=(2,)) if self.with_cp else _Block
        outs: list[Array] = []
        for i, stage in enumerate(stages):
            moves, name, side = i > self.frozen_stages, f"downsample_layers_{i}", 2 if i else 4
            conv = Conv2d(stage.width, (side, side), strides=side, trainable=moves, name=f"{name}_{int(i > 0)}")
            norm = LayerNorm(1e-6, trainable=moves, name=f"{name}_{int(i == 0)}")
            x = conv(norm(x)) if i else norm(conv(x))
            for j, rate in enumerate(stage.rates):
                x = block(stage, self.scale, rate, self.use_layer_scale, moves, name=f"stages_{i}_{j}")(
                    x, train and moves
                )
            if i in outputs:
                final = LayerNorm(1e-6, name=f"norm{i}")
                outs.append(final(x.mean((1, 2)) if self.gap_before_final_norm else x))
        return tuple(outs)
