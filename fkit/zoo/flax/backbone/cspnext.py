"""CSPNeXt (Lyu et al. 2022) and CSPDarknet (Bochkovskiy et al. 2020), with mmdet's arguments and parameter names; channels
last."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.cspnext import CSP_INIT, CSPStage, csp_stages
from fkit.backend.jax.layers import max_pool
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.brick import ConvModule, DepthwiseSeparableConvModule
from fkit.zoo.flax.csp import CSPLayer
from fkit.zoo.flax.small import check_channels

__all__ = ["CSPDarknet", "CSPNeXt", "Focus", "SPPBottleneck"]

Array = jax.Array

_BN = frozendict(type="BN", momentum=0.03, eps=0.001)
_SILU = frozendict(type="SiLU")
_SWISH = frozendict(type="Swish")


class SPPBottleneck(nn.Module):
    """Maps beside themselves pooled over windows of several sizes (He et al. 2015), between two 1x1 convolutions."""

    width: int
    kernel_sizes: Sequence[int]
    cfgs: Any

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        inner = self.width // 2
        x = ConvModule(self.width, inner, 1, name="conv1", **self.cfgs)(x, train)
        x = jnp.concatenate((x, *(max_pool(x, size, 1, size // 2) for size in self.kernel_sizes)), -1)
        return ConvModule(x.shape[-1], self.width, 1, name="conv2", **self.cfgs)(x, train)


class Focus(nn.Module):
    """Each 2x2 pixels as channels, and a convolution of them."""

    width: int
    kernel_size: int
    cfgs: Any

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        x = jnp.concatenate([x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)], -1)
        size = self.kernel_size
        return ConvModule(x.shape[-1], self.width, size, padding=(size - 1) // 2, name="conv", **self.cfgs)(x, train)


class _CSPNet(nn.Module):
    """What the networks share: a stem and stages."""

    def stages(self) -> tuple[int, tuple[CSPStage, ...]]:
        """The stem's channels and the stages."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        self.stages()
        if getattr(self, "frozen_stages", -1) >= 0:
            who = type(self).__name__
            raise FkitValueError(f"{who}: frozen_stages is for backend 'torch'.", repair="Leave it out.")
        super().__post_init__()

    def later(self, x: Array, train: bool, sizes: Sequence[int], layer: dict[str, Any], cfgs: Any) -> tuple[Array, ...]:
        """The maps of the stem's map and the stages, those that are asked for."""
        me: Any = self
        conv: Any = DepthwiseSeparableConvModule if me.use_depthwise else ConvModule
        maps = [x]
        for i, stage in enumerate(self.stages()[1], 1):
            x = conv(stage.inner, stage.width, 3, stride=2, padding=1, name=f"stage{i}_0", **cfgs)(x, train)
            if stage.pools:
                x = SPPBottleneck(stage.width, tuple(sizes), cfgs, name=f"stage{i}_1")(x, train)
            x = CSPLayer(
                stage.width, stage.width, num_blocks=stage.blocks, add_identity=stage.identity,
                use_depthwise=me.use_depthwise, name=f"stage{i}_{2 if stage.pools else 1}", **layer, **cfgs,
            )(x, train)  # fmt: skip
            maps.append(x)
        return tuple(y for i, y in enumerate(maps) if i in me.out_indices)


class CSPNeXt(_CSPNet):
    """CSPNeXt, a backbone: images (N, H, W, 3) to maps at strides 8, 16, 32.

    Attributes:
        arch: "P5" or "P6".
        deepen_factor, widen_factor: of blocks and of channels.
        out_indices: the stages whose maps are given; 0 is the stem.
        frozen_stages: for backend "torch".
        use_depthwise: depthwise separable convolutions.
        expand_ratio: channels of a branch, as a share.
        arch_ovewrite: stages in place of ``arch``'s; the name is mmdet's.
        spp_kernel_sizes: of the last stage's pooling.
        channel_attention: whether layers weigh channels.
        conv_cfg, norm_cfg, act_cfg: layers.
        norm_eval: batch norms stay in evaluation mode.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    arch: str = "P5"
    deepen_factor: float = 1.0
    widen_factor: float = 1.0
    out_indices: Sequence[int] = (2, 3, 4)
    frozen_stages: int = -1
    use_depthwise: bool = False
    expand_ratio: float = 0.5
    arch_ovewrite: Any = None
    spp_kernel_sizes: Sequence[int] = (5, 9, 13)
    channel_attention: bool = True
    conv_cfg: Any = None
    norm_cfg: Any = _BN
    act_cfg: Any = _SILU
    norm_eval: bool = False
    init_cfg: Any = CSP_INIT

    def stages(self) -> tuple[int, tuple[CSPStage, ...]]:
        return csp_stages(
            "CSPNeXt", self.arch, self.arch_ovewrite, self.deepen_factor, self.widen_factor, self.out_indices,
            self.frozen_stages,
        )  # fmt: skip

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("CSPNeXt", x, 3)
        train = train and not self.norm_eval
        stem = self.stages()[0]
        plain: dict[str, Any] = {"norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        rows = ((3, stem // 2, 2), (stem // 2, stem // 2, 1), (stem // 2, stem, 1))
        for at, (inner, out, stride) in enumerate(rows):
            x = ConvModule(inner, out, 3, stride, 1, name=f"stem_{at}", **plain)(x, train)
        layer: dict[str, Any] = {
            "expand_ratio": self.expand_ratio, "use_cspnext_block": True, "channel_attention": self.channel_attention
        }  # fmt: skip
        return self.later(x, train, self.spp_kernel_sizes, layer, {"conv_cfg": self.conv_cfg, **plain})


class CSPDarknet(_CSPNet):
    """CSPDarknet, YOLOX's backbone: images (N, H, W, 3) to maps at strides 8, 16, 32.

    Attributes:
        arch, deepen_factor, widen_factor, out_indices, frozen_stages, use_depthwise, arch_ovewrite, spp_kernal_sizes,
        conv_cfg, norm_cfg, act_cfg, norm_eval, init_cfg: as of `CSPNeXt`; the spelling is mmdet's.
    """

    arch: str = "P5"
    deepen_factor: float = 1.0
    widen_factor: float = 1.0
    out_indices: Sequence[int] = (2, 3, 4)
    frozen_stages: int = -1
    use_depthwise: bool = False
    arch_ovewrite: Any = None
    spp_kernal_sizes: Sequence[int] = (5, 9, 13)
    conv_cfg: Any = None
    norm_cfg: Any = _BN
    act_cfg: Any = _SWISH
    norm_eval: bool = False
    init_cfg: Any = CSP_INIT

    def stages(self) -> tuple[int, tuple[CSPStage, ...]]:
        return csp_stages(
            "CSPDarknet", self.arch, self.arch_ovewrite, self.deepen_factor, self.widen_factor, self.out_indices,
            self.frozen_stages,
        )  # fmt: skip

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("CSPDarknet", x, 3)
        train = train and not self.norm_eval
        cfgs: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        x = Focus(self.stages()[0], 3, cfgs, name="stem")(x, train)
        return self.later(x, train, self.spp_kernal_sizes, {}, cfgs)
