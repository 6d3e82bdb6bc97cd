"""The Swin transformer (Liu et al. 2021), with OpenMMLab's arguments and parameter names, or the original repository's
arguments; channels last."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.array.resample import cubic
from fkit.backbone.brick import path_drop
from fkit.backbone.swin import (
    INIT,
    Stage,
    SwinPlan,
    old_words,
    place_rules,
    relative_index,
    shift_mask,
)
from fkit.backend.jax.drop import Dropout, DropPath
from fkit.backend.jax.layers import Linear, norm_layer
from fkit.backend.jax.ops import JaxOps
from fkit.training.pretrained import init_cfg_of
from fkit.zoo.flax.ffn import FFN
from fkit.zoo.flax.patch import PatchEmbed, PatchMerging
from fkit.zoo.flax.small import check_channels

__all__ = ["ShiftWindowMSA", "SwinBlock", "SwinTransformer", "WindowMSA"]

Array = jax.Array


class WindowMSA(nn.Module):
    """Attention inside of windows with a bias a displacement: (N, windows, window**2, C) to the same.

    Attributes:
        trainable: False is no gradient.
    """

    num_heads: int
    window_size: int
    qkv_bias: bool = True
    qk_scale: float | None = None
    attn_drop_rate: float = 0.0
    proj_drop_rate: float = 0.0
    trainable: bool = True

    @nn.compact
    def __call__(self, x: Array, mask: Array | None = None, train: bool = False) -> Array:
        count, windows, pixels, width = x.shape
        side, heads = self.window_size, self.num_heads
        table = self.param("relative_position_bias_table", nn.initializers.zeros, ((2 * side - 1) ** 2, heads))
        index = self.variable("constants", "relative_position_index", lambda: jnp.asarray(relative_index(side, side)))
        parts = Linear(3 * width, use_bias=self.qkv_bias, trainable=self.trainable, name="qkv")(x)
        parts = parts.reshape(count, windows, pixels, 3, heads, -1).transpose(3, 0, 1, 4, 2, 5)
        q, k, v = parts[0], parts[1], parts[2]
        bias = jnp.take(table, index.value.reshape(-1), axis=0, mode="clip")
        bias = bias.reshape(pixels, pixels, heads).transpose(2, 0, 1)
        scale = self.qk_scale or (width // heads) ** -0.5
        attention = (q * scale) @ k.swapaxes(-2, -1) + (bias if mask is None else bias + mask)
        attention = nn.softmax(attention, -1).astype(v.dtype)
        flat = attention.reshape(
            count, windows * heads, pixels * pixels
        )  # an element's place is counted so on torch too
        attention = Dropout(self.attn_drop_rate, name="attn_drop")(flat, train).reshape(attention.shape)
        x = (attention @ v).swapaxes(2, 3).reshape(count, windows * pixels, width)
        x = Linear(width, trainable=self.trainable, name="proj")(x)
        return Dropout(self.proj_drop_rate, name="proj_drop")(x, train).reshape(count, windows, pixels, width)


class ShiftWindowMSA(nn.Module):
    """`WindowMSA` of maps (N, H, W, C), padded to whole windows and rolled by ``shift`` pixels first.

    Attributes:
        options: of the attention.
    """

    window: int
    shift: int
    drop_path: float
    options: Any

    @nn.compact
    def __call__(self, x: Array, mask: Array | None = None, train: bool = False) -> Array:
        count, height, width, channels = x.shape
        side, shift = self.window, self.shift
        down, right = -height % side, -width % side
        x = jnp.pad(x, ((0, 0), (0, down), (0, right), (0, 0)))
        if shift:
            x = jnp.roll(x, (-shift, -shift), (1, 2))
        rows, columns = (height + down) // side, (width + right) // side
        x = x.reshape(count, rows, side, columns, side, channels).swapaxes(2, 3)
        x = x.reshape(count, rows * columns, side * side, channels)
        x = WindowMSA(**self.options, window_size=side, name="w_msa")(x, mask if shift else None, train)
        x = x.reshape(count, rows, columns, side, side, channels).swapaxes(2, 3)
        x = x.reshape(count, height + down, width + right, channels)
        if shift:
            x = jnp.roll(x, (shift, shift), (1, 2))
        return DropPath(self.drop_path, name="drop")(x[:, :height, :width], train)


class SwinBlock(nn.Module):
    """Attention and a feed-forward network, each with its norm first, added to maps (N, H, W, C).

    Attributes:
        options: of the attention.
        hidden: width of the feed-forward network.
        frozen: no gradient.
    """

    window: int
    shift: int
    drop_path: float
    hidden: int
    drop_rate: float
    act_cfg: Any
    norm_cfg: Any
    options: Any
    frozen: bool = False

    @nn.compact
    def __call__(self, x: Array, mask: Array | None = None, train: bool = False) -> Array:
        norm = norm_layer(self.norm_cfg)[1]
        attention = ShiftWindowMSA(self.window, self.shift, self.drop_path, self.options, name="attn")
        x = x + attention(norm("norm1", self.frozen)(x, train), mask, train)
        ffn = FFN(
            x.shape[-1], self.hidden, 2, self.act_cfg, self.drop_rate, path_drop(self.drop_path), frozen=self.frozen,
            name="ffn",
        )  # fmt: skip
        return ffn(norm("norm2", self.frozen)(x, train), x, train)


class _Stage(nn.Module):
    """Blocks, and the merging after them: maps (N, H, W, C) to those of this stage and to those for the next."""

    stage: Stage
    window: int
    drop_rate: float
    act_cfg: Any
    norm_cfg: Any
    merging_cfg: Any
    options: Any
    with_cp: bool
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, Array]:
        count, height, width, channels = x.shape
        side, mask = self.window, None
        if len(self.stage.rates) > 1 and side > 1:
            mask = shift_mask(JaxOps(), height + -height % side, width + -width % side, side, side // 2, x)
        block: Any = nn.remat(SwinBlock, static_argnums=(3,)) if self.with_cp else SwinBlock
        for j, rate in enumerate(self.stage.rates):
            x = block(
                side, side // 2 * (j % 2), rate, self.stage.hidden, self.drop_rate, self.act_cfg, self.norm_cfg,
                self.options, self.frozen, name=f"blocks_{j}",
            )(x, mask, train)  # fmt: skip
        if not self.stage.merging:
            return x, x
        merge = PatchMerging(
            2 * channels, stride=self.stage.merging, norm_cfg=self.merging_cfg, frozen=self.frozen, name="downsample"
        )
        after, size = merge(x.reshape(count, height * width, channels), (height, width), train)
        return x, after.reshape(count, *size, 2 * channels)


class SwinTransformer(nn.Module):
    """Swin transformer, a backbone: images (N, H, W, C) to a tuple of maps at strides 4, 8, 16, 32.

    Attributes:
        pretrain_img_size: of the images that ``absolute_pos_embed`` is of; others take it resampled (bicubic).
        embed_dims: channels of the first stage; each later one has twice its forerunner's.
        depths, num_heads: of the stages.
        window_size: side of the windows.
        drop_path_rate: of the last block; the others' rise linearly from 0.
        patch_norm: norms after the patches' embedding and before each merging.
        frozen_stages: no gradient for the embedding (0) and the stages up to this one.
        with_cp: recompute blocks in the backward pass to save memory.
        convert_weights: accepted; weights of the original repository are known by their names.
        pretrained: OpenMMLab's older form of ``init_cfg=dict(type="Pretrained", checkpoint=...)``.
        init_cfg: rules for initial weights; None is the paper's.
        embed_dim, ape, use_checkpoint, in_chans: the original repository's names of ``embed_dims``,
            ``use_abs_pos_embed``, ``with_cp`` and ``in_channels``.

    Raises:
        FkitError: arguments that do not fit together.
    """

    pretrain_img_size: Any = 224
    in_channels: int | None = None
    embed_dims: int | None = None
    patch_size: Any = 4
    window_size: int = 7
    mlp_ratio: float = 4
    depths: Any = (2, 2, 6, 2)
    num_heads: Any = (3, 6, 12, 24)
    strides: Any = (4, 2, 2, 2)
    out_indices: Any = (0, 1, 2, 3)
    qkv_bias: bool = True
    qk_scale: float | None = None
    patch_norm: bool = True
    drop_rate: float = 0.0
    attn_drop_rate: float = 0.0
    drop_path_rate: float = 0.1
    use_abs_pos_embed: bool | None = None
    act_cfg: Any = frozendict(type="GELU")
    norm_cfg: Any = frozendict(type="LN")
    with_cp: bool | None = None
    pretrained: Any = None
    convert_weights: bool = False
    frozen_stages: int = -1
    init_cfg: Any = None
    embed_dim: int | None = None
    ape: bool | None = None
    use_checkpoint: bool | None = None
    in_chans: int | None = None

    def __post_init__(self) -> None:
        _ = self.plan, self.init_rules
        super().__post_init__()

    @property
    def words(self) -> dict[str, Any]:
        """The arguments that go by two names."""
        names = ("in_channels", "embed_dims", "use_abs_pos_embed", "with_cp")
        old = ("embed_dim", "ape", "use_checkpoint", "in_chans")
        mine = {name: getattr(self, name) for name in names}
        return old_words("SwinTransformer", mine, {name: getattr(self, name) for name in old})

    @property
    def plan(self) -> SwinPlan:
        """What the arguments come to."""
        return SwinPlan.of(
            self.pretrain_img_size, self.patch_size, self.words["embed_dims"] or 96, self.mlp_ratio, self.depths,
            self.num_heads, self.strides, self.out_indices, self.drop_path_rate, self.window_size,
        )  # fmt: skip

    @property
    def init_rules(self) -> Any:
        """``init_cfg``, or its default."""
        rules = init_cfg_of(self.pretrained, self.init_cfg, "SwinTransformer")
        if rules is not None:
            return rules
        return place_rules(INIT, "absolute_pos_embed") if self.words["use_abs_pos_embed"] else INIT

    @property
    def trainable(self) -> bool:
        """Whether gradients reach the table of positions."""
        return self.frozen_stages < 0

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        plan, words = self.plan, self.words
        check_channels("SwinTransformer", x, words["in_channels"] or 3)
        merging = self.norm_cfg if self.patch_norm else None
        first = plan.stages[0].width
        moving, frozen = train and self.frozen_stages < 0, self.frozen_stages >= 0
        table: Any = None
        if words["use_abs_pos_embed"]:
            table = self.param("absolute_pos_embed", nn.initializers.zeros, (1, plan.places, first))
        embed = PatchEmbed(
            first, kernel_size=plan.patch, stride=plan.patch, norm_cfg=merging, frozen=frozen, name="patch_embed"
        )
        x, size = embed(x, moving)
        if table is not None:
            x = x + _places(table, (plan.image[0] // plan.patch, plan.image[1] // plan.patch), size)
        x = Dropout(self.drop_rate, name="drop_after_pos")(x, moving)
        x = x.reshape(x.shape[0], *size, first)
        maps: list[Array] = []
        for i, stage in enumerate(plan.stages):
            still = i + 1 <= self.frozen_stages
            options = frozendict(
                num_heads=stage.heads, qkv_bias=self.qkv_bias, qk_scale=self.qk_scale,
                attn_drop_rate=self.attn_drop_rate, proj_drop_rate=self.drop_rate, trainable=not still,
            )  # fmt: skip
            y, x = _Stage(
                stage, self.window_size, self.drop_rate, self.act_cfg, self.norm_cfg, merging, options,
                bool(words["with_cp"]), still, name=f"stages_{i}",
            )(x, train and not still)  # fmt: skip
            maps.append(y)
        norm = norm_layer(self.norm_cfg)[1]
        normed = {i: norm(f"norm{i}", i + 1 <= self.frozen_stages)(maps[i]) for i in self.out_indices}
        return tuple(normed[i] for i in sorted(normed))


def _places(table: Array, grid: tuple[int, int], size: tuple[int, int]) -> Array:
    """The table of positions for a grid of patches."""
    if size == grid:
        return table
    down, right = (jnp.asarray(cubic(*pair), table.dtype) for pair in zip(grid, size, strict=True))
    maps = jnp.einsum("ia,jb,nabc->nijc", down, right, table.reshape(1, *grid, -1))
    return maps.reshape(1, size[0] * size[1], -1)
