"""LeViT (Graham et al. 2021), with mmpretrain's arguments and parameter names; channels last."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.levit import LeStage, levit_stages, offsets
from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.drop import DropPath
from fkit.backend.jax.layers import BatchNorm, BatchNorm1d, Conv2d, Linear
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.backbone.token import attend
from fkit.zoo.flax.small import check_channels

__all__ = ["LeViT"]

Array = jax.Array

_SWISH = frozendict(type="HSwish")


class _Conv(nn.Module):
    """A 3x3 convolution with stride 2, and a batch norm."""

    width: int

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        x = Conv2d(self.width, (3, 3), strides=2, padding=1, use_bias=False, name="conv")(x)
        return BatchNorm(name="bn")(x, train)


class _Linear(nn.Module):
    """A linear layer of tokens (N, L, C), and a batch norm."""

    width: int

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        return BatchNorm1d(name="bn")(Linear(self.width, use_bias=False, name="linear")(x), train)


class _Embed(nn.Module):
    """Four convolutions with strides, from images to patches of 16x16 pixels."""

    width: int

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        act = act_layer(_SWISH)("act")
        for i, part in enumerate((8, 4, 2, 1)):
            x = _Conv(self.width // part, name=f"patch_embed_{2 * i}")(act(x) if i else x, train)
        return x


class _Residual(nn.Module):
    """A block, added to what came in."""

    block: Any
    rate: float

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        kind, *options = self.block
        return x + DropPath(self.rate, name="drop_path")(kind(*options, name="block")(x, train), train)


class _Attention(nn.Module):
    """Attention among tokens (N, L, C); or, ``shrinking``, of a quarter of the tokens to all of them."""

    stage: LeStage
    ratio: float
    act_cfg: Any
    shrinking: bool = False
    torch_order: ClassVar[tuple[str, ...]] = (
        "attention_biases", "attention_bias_idxs", "qkv", "kv", "q", "proj",
    )  # fmt: skip

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        stage, some = self.stage, self.shrinking
        key, heads, side = stage.key, *((stage.shrinking, stage.before) if some else (stage.heads, stage.side))
        index, places = offsets(side, 2 if some else 1)
        table = self.param("attention_biases", nn.initializers.zeros, (heads, places))
        found = self.variable("constants", "attention_bias_idxs", lambda: jnp.asarray(index))
        bias = jnp.take(table, found.value.reshape(-1), axis=1, mode="clip").reshape(heads, *index.shape)
        wide = int(self.ratio * key) * heads
        if some:
            few = x.reshape(x.shape[0], side, side, -1)[:, ::2, ::2].reshape(x.shape[0], -1, x.shape[-1])
            q = _split(_Linear(key * heads, name="q_1")(few, train), heads)
            k, v = jnp.split(_split(_Linear(wide + key * heads, name="kv")(x, train), heads), [key], -1)
        else:
            parts = _split(_Linear(wide + 2 * key * heads, name="qkv")(x, train), heads)
            q, k, v = jnp.split(parts, [key, 2 * key], -1)
        y = attend(q, k, v, None, train, bias).swapaxes(1, 2)
        y = act_layer(self.act_cfg)("act")(y.reshape(*y.shape[:2], wide))
        return _Linear(stage.width, name="proj_1")(y, train)


def _split(x: Array, heads: int) -> Array:
    """Tokens (N, L, C) by heads: (N, heads, L, C / heads)."""
    return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)


class _Mlp(nn.Module):
    """Two layers a token."""

    ratio: float
    act_cfg: Any

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        y = _Linear(int(x.shape[-1] * self.ratio), name="linear1")(x, train)
        return _Linear(x.shape[-1], name="linear2")(act_layer(self.act_cfg)("activation")(y), train)


class LeViT(nn.Module):
    """LeViT, a backbone: images (N, H, W, 3) of one size to a tuple of maps.

    Attributes:
        arch: "128s", "128", "192", "256" or "384", or a mapping with ``embed_dims``, ``num_heads``, ``depths`` and ``key_dims``.
        img_size, patch_size: of the images, and of the patches that the convolutions make (16).
        attn_ratio: channels of values over those of keys.
        mlp_ratio: hidden channels of the layers a token, over those outside; 0: there are none.
        out_indices: the stages whose maps are given; -1 is the last.
        deploy: False: norms stay layers of their own.
        drop_path_rate: of every block.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or images of another size.
    """

    arch: Any
    img_size: int = 224
    patch_size: int = 16
    attn_ratio: float = 2
    mlp_ratio: float = 2
    act_cfg: Any = _SWISH
    out_indices: Any = -1
    deploy: bool = False
    drop_path_rate: float = 0.0
    init_cfg: Any = None

    def __post_init__(self) -> None:
        if self.deploy:
            raise FkitValueError("LeViT: deploy=True: norms stay layers of their own.", repair="Leave deploy out.")
        _ = self.plan, act_layer(self.act_cfg)
        super().__post_init__()

    @property
    def plan(self) -> tuple[tuple[LeStage, ...], tuple[int, ...]]:
        """The stages, and those whose maps are given."""
        return levit_stages(self.arch, self.img_size, self.patch_size, self.out_indices)

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("LeViT", x, 3)
        stages, outputs = self.plan
        x, side = _Embed(stages[0].inner, name="patch_embed")(x, train), stages[0].side
        if tuple(x.shape[1:3]) != (side, side):
            raise FkitValueError(f"LeViT: {tuple(x.shape[1:3])} patches, but img_size says {(side, side)}.")
        x = x.reshape(x.shape[0], side * side, -1)
        maps: list[Array] = []
        for i, stage in enumerate(stages):
            blocks: list[Any] = []
            mlp = [(_Mlp, self.mlp_ratio, self.act_cfg)] if self.mlp_ratio > 0 else []
            if stage.shrinking:
                x = _Attention(stage, 4, self.act_cfg, True, name=f"stages_{i}_0")(x, train)
                blocks += mlp
            blocks += [(_Attention, stage, self.attn_ratio, self.act_cfg), *mlp] * stage.depth
            for j, block in enumerate(blocks, bool(stage.shrinking)):
                x = _Residual(block, self.drop_path_rate, name=f"stages_{i}_{j}")(x, train)
            if i in outputs:
                maps.append(x.reshape(x.shape[0], stage.side, stage.side, -1))
        return tuple(maps)
