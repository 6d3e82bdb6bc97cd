"""MLP-Mixer (Tolstikhin et al. 2021) and ConvMixer (Trockman and Kolter 2022), with mmpretrain's arguments and parameter names; channels last."""

from typing import Any, ClassVar

import jax
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.brick import path_drop
from fkit.backbone.mixer import MixerPlan, conv_mixer, mlp_mixer
from fkit.backbone.vit import FFN_INIT
from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.layers import Conv2d, norm_layer
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.backbone.vit import patches
from fkit.zoo.flax.ffn import FFN
from fkit.zoo.flax.small import check_channels

__all__ = ["ConvMixer", "MlpMixer"]

Array = jax.Array

_LN = frozendict(type="LN")
_GELU = frozendict(type="GELU")
_NONE = frozendict[str, Any]()


class _Mixing(nn.Module):
    """Layers over the tokens of a channel, then over the channels of a token, each with its norm first."""

    tokens: int
    width: int
    hidden: tuple[int, int]
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    num_fcs: int = 2
    act_cfg: Any = _GELU
    norm_cfg: Any = _LN

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        short, norm = norm_layer(self.norm_cfg)
        options = (self.num_fcs, self.act_cfg, self.drop_rate, path_drop(self.drop_path_rate))
        one: Any = norm(f"{short}1")
        mix = FFN(self.tokens, self.hidden[0], *options, add_identity=False, init_cfg=FFN_INIT, name="token_mix")
        x = x + mix(one(x, train).swapaxes(1, 2), train=train).swapaxes(1, 2)
        two: Any = norm(f"{short}2")
        return FFN(self.width, self.hidden[1], *options, init_cfg=FFN_INIT, name="channel_mix")(two(x, train), x, train)


class MlpMixer(nn.Module):
    """MLP-Mixer, a backbone: images (N, H, W, 3) of one size to a tuple of tokens (N, L, C).

    Attributes:
        arch: "small", "base" or "large", or a mapping with ``embed_dims``, ``num_layers``, ``tokens_mlp_dims`` and
            ``channels_mlp_dims``.
        img_size: of the images.
        patch_size: side of the patches.
        out_indices: the layers whose outputs are given; -1 is the last.
        drop_path_rate: of every layer.
        patch_cfg, layer_cfgs: arguments of the embedding, and of all layers or of each.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or images of another size.
    """

    arch: Any = "base"
    img_size: Any = 224
    patch_size: Any = 16
    out_indices: Any = -1
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    norm_cfg: Any = _LN
    act_cfg: Any = _GELU
    patch_cfg: Any = _NONE
    layer_cfgs: Any = _NONE
    init_cfg: Any = None

    def __post_init__(self) -> None:
        _ = self.plan, act_layer(self.act_cfg), norm_layer(self.norm_cfg)
        super().__post_init__()

    @property
    def plan(self) -> MixerPlan:
        """What the arguments come to."""
        shared = {key: getattr(self, key) for key in ("drop_rate", "drop_path_rate", "act_cfg", "norm_cfg")}
        return mlp_mixer(
            self.arch, self.img_size, self.patch_size, self.out_indices, self.patch_cfg, self.layer_cfgs, shared
        )

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        plan = self.plan
        check_channels("MlpMixer", x, plan.patch.get("in_channels", 3))
        if tuple(x.shape[1:3]) != plan.size:
            raise FkitValueError(f"MlpMixer: images of {tuple(x.shape[1:3])}, but img_size={plan.size}.")
        x, _ = patches(plan.patch)(x, train)
        short, norm = norm_layer(self.norm_cfg)
        outs: list[Array] = []
        for i, one in enumerate(plan.layers):
            x = _Mixing(**one, name=f"layers_{i}")(x, train)
            if i == plan.depth - 1:
                last: Any = norm(f"{short}1")
                x = last(x, train)
            if i in plan.outputs:
                outs.append(x)
        return tuple(outs)


class _Residual(nn.Module):
    """A filter a channel, an activation and a norm, added to what came in: ``fn``."""

    kernel: int
    norm_cfg: Any
    act_cfg: Any
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        width, side = x.shape[-1], self.kernel
        edge: Any = (((side - 1) // 2, side // 2),) * 2
        y = Conv2d(
            width, (side, side), padding=edge, feature_group_count=width, trainable=not self.frozen, name="fn_0"
        )(x)  # fmt: skip
        norm: Any = norm_layer(self.norm_cfg)[1]("fn_2", self.frozen)
        return norm(act_layer(self.act_cfg)("act")(y), train) + x


class ConvMixer(nn.Module):
    """ConvMixer, a backbone: images (N, H, W, C) to a tuple of maps of one size.

    Attributes:
        arch: "768/32", "1024/20" or "1536/20", or a mapping with ``embed_dims``, ``depth``, ``patch_size`` and ``kernel_size``.
        out_indices: the stages whose maps are given; -1 is the last.
        frozen_stages: how many stages, from the first, have no gradient.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    arch: Any = "768/32"
    in_channels: int = 3
    norm_cfg: Any = frozendict(type="BN")
    act_cfg: Any = _GELU
    out_indices: Any = -1
    frozen_stages: int = 0
    init_cfg: Any = None
    torch_order: ClassVar[tuple[str, ...]] = ("stem", "stages")

    def __post_init__(self) -> None:
        _ = conv_mixer(self.arch, self.out_indices), act_layer(self.act_cfg), norm_layer(self.norm_cfg)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("ConvMixer", x, self.in_channels)
        (width, depth, patch, kernel), outputs = conv_mixer(self.arch, self.out_indices)
        first = Conv2d(width, (patch, patch), strides=patch, padding=0, name="stem_0")
        x = self._after(first(x), "stem_2", False, train)
        maps: list[Array] = []
        for i in range(depth):
            still = i < self.frozen_stages
            moving, name = train and not still, f"stages_{i}"
            y = _Residual(kernel, self.norm_cfg, self.act_cfg, still, name=f"{name}_0")(x, moving)
            y = Conv2d(width, (1, 1), trainable=not still, name=f"{name}_1")(y)
            x = self._after(y, f"{name}_3", still, moving)
            if i in outputs:
                maps.append(x)
        return tuple(maps)

    def _after(self, x: Array, name: str, still: bool, train: bool) -> Array:
        norm: Any = norm_layer(self.norm_cfg)[1](name, still)
        return norm(act_layer(self.act_cfg)("act")(x), train)
