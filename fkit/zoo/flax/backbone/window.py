"""mmpretrain's Swin transformers (Liu et al. 2021, 2022), with its arguments and parameter names; channels last."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.brick import path_drop
from fkit.backbone.swin import relative_index, shift_mask
from fkit.backbone.vit import TABLE, vit_rules
from fkit.backbone.window import Windowed, WindowPlan, coordinates, shift_of, window_plan
from fkit.backend.jax.drop import Dropout, DropPath
from fkit.backend.jax.layers import Linear, norm_layer
from fkit.backend.jax.ops import JaxOps
from fkit.zoo.flax.backbone.token import normalised, resized_places
from fkit.zoo.flax.backbone.vit import patches
from fkit.zoo.flax.ffn import FFN
from fkit.zoo.flax.small import check_channels
from fkit.zoo.flax.swin import WindowMSA

__all__ = ["SwinTransformer", "SwinTransformerV2", "WindowMSAV2"]

Array = jax.Array

_LN = frozendict(type="LN")
_GELU = frozendict(type="GELU")
_NONE = frozendict[str, Any]()


class _First(WindowMSA):
    """`WindowMSA` whose biases start by a law."""

    init_cfg: Any = TABLE


class WindowMSAV2(nn.Module):
    """Attention inside of windows by cosines, with a bias that a network gives of displacements: (N, windows, window**2, C).

    Attributes:
        trained: the window it was trained with; 0 is its own.
    """

    heads: int
    window: int
    trained: int = 0
    trainable: bool = True
    torch_order: ClassVar[tuple[str, ...]] = (
        "logit_scale", "q_bias", "v_bias", "relative_coords_table", "relative_position_index", "cpb_mlp", "qkv", "proj",
    )  # fmt: skip

    @nn.compact
    def __call__(self, x: Array, mask: Array | None = None, train: bool = False) -> Array:
        del train
        count, windows, pixels, width = x.shape
        kept: dict[str, Any] = {"trainable": self.trainable}
        side, heads = self.window, self.heads
        scale = self.param("logit_scale", nn.initializers.constant(math.log(10.0)), (heads, 1, 1))
        query, value = (self.param(name, nn.initializers.zeros, (width,)) for name in ("q_bias", "v_bias"))
        table = self.variable(
            "constants", "relative_coords_table", lambda: jnp.asarray(coordinates(side, self.trained))
        )
        index = self.variable("constants", "relative_position_index", lambda: jnp.asarray(relative_index(side, side)))
        hidden = nn.relu(Linear(512, name="cpb_mlp_0", **kept)(table.value.astype(x.dtype)))
        biases = Linear(heads, use_bias=False, name="cpb_mlp_2", **kept)(hidden).reshape(-1, heads)
        bias = jnp.take(biases, index.value.reshape(-1), axis=0, mode="clip").reshape(pixels, pixels, heads)
        parts = Linear(3 * width, use_bias=False, name="qkv", **kept)(x)
        parts = parts + jnp.concatenate((query, jnp.zeros_like(query), value))
        q, k, v = parts.reshape(count, windows, pixels, 3, heads, -1).transpose(3, 0, 1, 4, 2, 5)
        scores = normalised(q) @ normalised(k).swapaxes(-2, -1) * jnp.exp(jnp.minimum(scale, math.log(100.0)))
        scores = scores + 16 * nn.sigmoid(bias.transpose(2, 0, 1))
        scores = nn.softmax(scores if mask is None else scores + mask, -1).astype(v.dtype)
        x = (scores @ v).swapaxes(2, 3).reshape(count, windows, pixels, width)
        return Linear(width, name="proj", **kept)(x)


class _Attention(nn.Module):
    """Attention inside of windows of maps (N, H, W, C), padded to whole windows and rolled first."""

    plan: Windowed
    second: bool
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        count, height, width, channels = x.shape
        plan, side, kept = self.plan, self.plan.window, not self.frozen
        shift = shift_of(plan, height, width)
        whole, mask = (height + -height % side, width + -width % side), None
        x = jnp.pad(x, ((0, 0), (0, whole[0] - height), (0, whole[1] - width), (0, 0)))
        if shift:
            x = jnp.roll(x, (-shift, -shift), (1, 2))
            mask = shift_mask(JaxOps(), *whole, side, shift, x)
        rows, columns = whole[0] // side, whole[1] // side
        x = x.reshape(count, rows, side, columns, side, channels).swapaxes(2, 3)
        x = x.reshape(count, rows * columns, side * side, channels)
        if self.second:
            x = WindowMSAV2(plan.heads, side, plan.trained, kept, name="w_msa")(x, mask, train)
        else:
            x = _First(plan.heads, side, trainable=kept, name="w_msa")(x, mask, train)
        x = x.reshape(count, rows, columns, side, side, channels).swapaxes(2, 3).reshape(count, *whole, channels)
        x = jnp.roll(x, (shift, shift), (1, 2)) if shift else x
        return DropPath(plan.rate, name="drop")(x[:, :height, :width], train)


class _Block(nn.Module):
    """Attention and a feed-forward network with norms, before them in the first version and after them in the second."""

    plan: Windowed
    norm_cfg: Any
    second: bool
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        plan, make = self.plan, norm_layer(self.norm_cfg)[1]
        attention = _Attention(plan, self.second, self.frozen, name="attn")
        hidden, path = int(4.0 * plan.width), path_drop(plan.rate)
        ffn = FFN(plan.width, hidden, 2, _GELU, 0.0, path, not self.second, frozen=self.frozen, name="ffn")

        def norm(name: str, y: Array) -> Array:
            layer: Any = make(name, self.frozen)
            return layer(y, train)

        if not self.second:
            x = x + attention(norm("norm1", x), train)
            return ffn(norm("norm2", x), x, train)
        x = x + norm("norm1", attention(x, train))
        x = x + norm("norm2", ffn(x, None, train))
        return norm("norm3", x) if plan.third else x


class _Merging(nn.Module):
    """Four pixels of maps (N, H, W, C) to one of twice the channels; its norm stands before or after ``reduction``."""

    after: bool
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        count, height, width, channels = x.shape
        x = jnp.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
        rows, columns = x.shape[1] // 2, x.shape[2] // 2
        x = x.reshape(count, rows, 2, columns, 2, channels).transpose(0, 1, 3, 5, 2, 4)
        x = x.reshape(count, rows, columns, 4 * channels)
        norm: Any = norm_layer(_LN)[1]("norm", self.frozen)
        linear = Linear(2 * channels, use_bias=False, trainable=not self.frozen, name="reduction")
        return norm(linear(x), train) if self.after else linear(norm(x, train))


class _Stage(nn.Module):
    """Blocks, and a merging after them in the first version, before them in the second: maps to those of this stage and to
    those for the next."""

    blocks: tuple[Windowed, ...]
    merges: bool
    norm_cfg: Any
    second: bool
    with_cp: bool
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, Array]:
        if self.merges and self.second:
            x = _Merging(True, self.frozen, name="downsample")(x, train)
        block: Any = nn.remat(_Block, static_argnums=(2,)) if self.with_cp else _Block
        for j, plan in enumerate(self.blocks):
            x = block(plan, self.norm_cfg, self.second, self.frozen, name=f"blocks_{j}")(x, train)
        if self.merges and not self.second:
            return x, _Merging(False, self.frozen, name="downsample")(x, train)
        return x, x


class _Windows(nn.Module):
    """What both versions share."""

    second: ClassVar[bool] = False

    @property
    def plan(self) -> WindowPlan:
        """What the arguments come to."""
        raise NotImplementedError

    @property
    def trainable(self) -> bool:
        """Gradients always reach the table of positions, as mmpretrain has it."""
        return True

    def rules(self) -> Any:
        """``init_cfg``, and the rule of the positions."""
        me: Any = self
        return vit_rules(me.init_cfg, *(["absolute_pos_embed"] if me.use_abs_pos_embed else []))

    def maps(self, x: Array, train: bool, after: bool = False) -> tuple[Array, ...]:
        """The maps that are asked for; ``after``: those of the first version after the merging."""
        me: Any = self
        plan, frozen = self.plan, me.frozen_stages
        check_channels(type(self).__name__, x, me.in_channels)
        last, moving = len(plan.stages) - 1, train and frozen < 0
        table: Any = None
        if me.use_abs_pos_embed:
            shape = (1, plan.grid[0] * plan.grid[1], plan.stages[0][0].width)
            table = self.param("absolute_pos_embed", nn.initializers.zeros, shape)
        x, size = patches(plan.patch, frozen >= 0)(x, moving)
        if table is not None:
            x = x + resized_places(table, plan.grid, size, 0, me.interpolate_mode)
        x = Dropout(me.drop_rate, name="drop_after_pos")(x, train).reshape(x.shape[0], *size, -1)
        kept: dict[int, Array] = {}
        for i, blocks in enumerate(plan.stages):
            still, merges = i <= frozen, i > 0 if self.second else i < last
            stage = _Stage(blocks, merges, _LN, self.second, me.with_cp, still, name=f"stages_{i}")
            y, x = stage(x, train and not still)
            kept[i] = x if after else y
        if me.norm_cfg is None:
            return tuple(kept[i] for i in plan.outputs)
        norm = norm_layer(me.norm_cfg)[1]
        layers: list[Any] = [norm(f"norm{i}", i <= frozen) for i in plan.outputs]
        return tuple(layer(kept[i], train) for i, layer in zip(plan.outputs, layers, strict=True))


class SwinTransformer(_Windows):
    """mmpretrain's Swin transformer, a backbone: images (N, H, W, C) to a tuple of maps.

    Attributes:
        arch: "tiny", "small", "base", "large", or a mapping with ``embed_dims``, ``depths`` and ``num_heads``.
        img_size: of the images that ``absolute_pos_embed`` is of; others take it resampled.
        window_size: side of the windows.
        drop_path_rate: of the last block; the others' rise linearly from 0.
        out_indices: the stages whose maps are given.
        out_after_downsample: whether these are the maps after a stage's merging.
        frozen_stages: from 0: no gradient for the embedding and the stages up to this one.
        pad_small_map: whether maps that are smaller than a window are padded.
        stage_cfgs: ``dict(block_cfgs=dict(window_size=..., pad_small_map=...))``, of all stages or of each.
        patch_cfg: arguments of the embedding.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: arguments that do not fit together.
    """

    arch: Any = "tiny"
    img_size: Any = 224
    patch_size: Any = 4
    in_channels: int = 3
    window_size: int = 7
    drop_rate: float = 0.0
    drop_path_rate: float = 0.1
    out_indices: Any = (3,)
    out_after_downsample: bool = False
    use_abs_pos_embed: bool = False
    interpolate_mode: str = "bicubic"
    with_cp: bool = False
    frozen_stages: int = -1
    norm_eval: bool = False
    pad_small_map: bool = False
    norm_cfg: Any = _LN
    stage_cfgs: Any = _NONE
    patch_cfg: Any = _NONE
    init_cfg: Any = None

    def __post_init__(self) -> None:
        _ = self.plan
        super().__post_init__()

    @property
    def plan(self) -> WindowPlan:
        """What the arguments come to."""
        return window_plan(
            "SwinTransformer", arch=self.arch, img_size=self.img_size, patch_size=self.patch_size,
            in_channels=self.in_channels, window_size=self.window_size, drop_path_rate=self.drop_path_rate,
            out_indices=self.out_indices, pad_small_map=self.pad_small_map, stage_cfgs=self.stage_cfgs,
            patch_cfg=self.patch_cfg,
        )  # fmt: skip

    @property
    def init_rules(self) -> Any:
        """``init_cfg``, and the rule of the positions."""
        return self.rules()

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        return self.maps(x, train, self.out_after_downsample)


class SwinTransformerV2(_Windows):
    """mmpretrain's second Swin transformer, a backbone: images (N, H, W, C) to a tuple of maps.

    Attributes:
        arch: "tiny" to "giant", or a mapping with ``embed_dims``, ``depths``, ``num_heads`` and ``extra_norm_every_n_blocks``.
        window_size: side of the windows, one or one a stage.
        pretrained_window_sizes: those it was trained with, one a stage; 0 are its own.
        img_size, patch_size, ...: as of `SwinTransformer`.

    Raises:
        FkitError: arguments that do not fit together.
    """

    arch: Any = "tiny"
    img_size: Any = 256
    patch_size: Any = 4
    in_channels: int = 3
    window_size: Any = 8
    drop_rate: float = 0.0
    drop_path_rate: float = 0.1
    out_indices: Any = (3,)
    use_abs_pos_embed: bool = False
    interpolate_mode: str = "bicubic"
    with_cp: bool = False
    frozen_stages: int = -1
    norm_eval: bool = False
    pad_small_map: bool = False
    norm_cfg: Any = _LN
    stage_cfgs: Any = _NONE
    patch_cfg: Any = _NONE
    pretrained_window_sizes: Sequence[int] = (0, 0, 0, 0)
    init_cfg: Any = None
    second: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _ = self.plan
        super().__post_init__()

    @property
    def plan(self) -> WindowPlan:
        """What the arguments come to."""
        return window_plan(
            "SwinTransformerV2", arch=self.arch, img_size=self.img_size, patch_size=self.patch_size,
            in_channels=self.in_channels, window_size=self.window_size, drop_path_rate=self.drop_path_rate,
            out_indices=self.out_indices, pad_small_map=self.pad_small_map, stage_cfgs=self.stage_cfgs,
            patch_cfg=self.patch_cfg, trained=self.pretrained_window_sizes,
        )  # fmt: skip

    @property
    def init_rules(self) -> Any:
        """``init_cfg``, and the rule of the positions."""
        return self.rules()

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        return self.maps(x, train)
