"""BEiT (Bao et al. 2022), with mmpretrain's arguments and parameter names."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.brick import path_drop
from fkit.backbone.swin import class_index
from fkit.backbone.vit import FFN_INIT, TABLE, VitPlan, vit_plan, vit_rules
from fkit.backend.jax.drop import Dropout, DropPath
from fkit.backend.jax.layers import Linear, norm_layer
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.backbone.token import attend
from fkit.zoo.flax.backbone.vit import Tokens
from fkit.zoo.flax.ffn import FFN

__all__ = ["BEiTViT"]

Array = jax.Array

_GELU = frozendict(type="GELU")
_LN = frozendict(type="LN")
_NORM = frozendict(type="LN", eps=1e-6)
_NONE = frozendict[str, Any]()


class _Displacements(nn.Module):
    """A bias a displacement of patches, and of pairs with the token of the class: (heads, L, L)."""

    grid: tuple[int, int]
    heads: int

    @nn.compact
    def __call__(self) -> Array:
        return _biases(self, self.grid, self.heads)


def _biases(module: Any, grid: tuple[int, int], heads: int) -> Array:
    count = (2 * grid[0] - 1) * (2 * grid[1] - 1) + 3
    table = module.param("relative_position_bias_table", nn.initializers.zeros, (count, heads))
    index = module.variable("constants", "relative_position_index", lambda: jnp.asarray(class_index(*grid)))
    flat = jnp.take(table, index.value.reshape(-1), axis=0, mode="clip")
    return flat.reshape(*index.value.shape, heads).transpose(2, 0, 1)


class _BEiTAttention(nn.Module):
    """Attention with a bias a displacement, of its own or the network's, and none of keys if ``bias`` is "qv_bias"."""

    heads: int
    grid: tuple[int, int]
    own: bool
    bias: Any
    drop: float
    trainable: bool = True
    torch_order: ClassVar[tuple[str, ...]] = (
        "q_bias", "v_bias", "relative_position_bias_table", "relative_position_index", "qkv", "proj",
    )  # fmt: skip

    @property
    def init_cfg(self) -> Any:
        """The rule of the biases."""
        return TABLE if self.own else None

    @nn.compact
    def __call__(self, x: Array, shared: Array | None = None, train: bool = False) -> Array:
        count, length, width = x.shape
        split = self.bias == "qv_bias"
        more: Any = None
        if split:
            query, value = (self.param(name, nn.initializers.zeros, (width,)) for name in ("q_bias", "v_bias"))
            more = jnp.concatenate((query, jnp.zeros_like(query), value))
        added = shared
        if self.own:
            mine = _biases(self, self.grid, self.heads)
            added = mine if shared is None else mine + shared
        parts = Linear(3 * width, use_bias=self.bias is True, trainable=self.trainable, name="qkv")(x)
        parts = parts + more if split else parts
        q, k, v = parts.reshape(count, length, 3, self.heads, -1).transpose(2, 0, 3, 1, 4)
        x = attend(q, k, v, None, train, added).transpose(0, 2, 1, 3).reshape(count, length, width)
        return Dropout(self.drop, name="proj_drop")(Linear(width, trainable=self.trainable, name="proj")(x), train)


class _BEiTLayer(nn.Module):
    """Attention and a feed-forward network, each with its norm first and a factor a channel, added to tokens."""

    embed_dims: int
    num_heads: int
    feedforward_channels: int
    layer_scale_init_value: float
    window_size: tuple[int, int]
    use_rel_pos_bias: bool
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    num_fcs: int = 2
    bias: Any = "qv_bias"
    act_cfg: Any = _GELU
    norm_cfg: Any = _LN
    frozen: bool = False

    @property
    def trainable(self) -> bool:
        """Whether gradients reach the factors."""
        return not self.frozen

    @nn.compact
    def __call__(self, x: Array, shared: Array | None = None, train: bool = False) -> Array:
        norm, scale, width, path = (
            norm_layer(self.norm_cfg)[1],
            self.layer_scale_init_value,
            self.embed_dims,
            self.drop_path_rate,
        )
        scales: list[Any] = [1.0, 1.0]
        if scale > 0:
            start = nn.initializers.constant(scale)
            scales = [self.param(f"gamma_{i}", start, (width,)) for i in (1, 2)]
        one: Any = norm("ln1", self.frozen)
        attention = _BEiTAttention(
            self.num_heads, self.window_size, self.use_rel_pos_bias, self.bias, self.drop_rate, not self.frozen,
            name="attn",
        )  # fmt: skip
        y = attention(one(x, train), shared, train)
        x = x + DropPath(path, name="drop_path1")(scales[0] * y, train)
        two: Any = norm("ln2", self.frozen)
        ffn = FFN(
            width, self.feedforward_channels, self.num_fcs, self.act_cfg, self.drop_rate, path_drop(path), False,
            FFN_INIT, frozen=self.frozen, name="ffn",
        )  # fmt: skip
        y = ffn(two(x, train), None, train)
        return x + DropPath(path, name="drop_path2")(scales[1] * y, train)


class BEiTViT(Tokens):
    """BEiT, a backbone: a vision transformer with a bias a displacement in its attention.

    Attributes:
        bias: "qv_bias" (none of keys), or whether attention's projection has one.
        use_abs_pos_emb: whether tokens have positions.
        use_rel_pos_bias, use_shared_rel_pos_bias: biases a displacement, of each layer, or of all (``rel_pos_bias``).
        arch, img_size, ...: as of `VisionTransformer`.

    Raises:
        FkitError: arguments that do not fit together.
    """

    arch: Any = "base"
    img_size: Any = 224
    patch_size: Any = 16
    in_channels: int = 3
    out_indices: Any = -1
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    bias: Any = "qv_bias"
    norm_cfg: Any = _NORM
    final_norm: bool = False
    out_type: str = "avg_featmap"
    with_cls_token: bool = True
    frozen_stages: int = -1
    use_abs_pos_emb: bool = False
    use_rel_pos_bias: bool = True
    use_shared_rel_pos_bias: bool = False
    interpolate_mode: str = "bicubic"
    layer_scale_init_value: float = 0.1
    patch_cfg: Any = _NONE
    layer_cfgs: Any = _NONE
    init_cfg: Any = None

    def __post_init__(self) -> None:
        if self.use_rel_pos_bias and self.use_shared_rel_pos_bias:
            raise FkitValueError("BEiTViT: use_rel_pos_bias and use_shared_rel_pos_bias exclude each other.")
        _ = self.plan
        super().__post_init__()

    @property
    def plan(self) -> VitPlan:
        """What the arguments come to."""
        shared = {"layer_scale_init_value": self.layer_scale_init_value, "use_rel_pos_bias": self.use_rel_pos_bias,
                  "drop_rate": self.drop_rate, "num_fcs": 2, "bias": self.bias, "act_cfg": _GELU,
                  "norm_cfg": self.norm_cfg}  # fmt: skip
        return vit_plan(
            "BEiTViT", arch=self.arch, img_size=self.img_size, patch_size=self.patch_size, in_channels=self.in_channels,
            out_indices=self.out_indices, drop_rate=self.drop_rate, drop_path_rate=self.drop_path_rate, qkv_bias=True,
            norm_cfg=self.norm_cfg, out_type=self.out_type, with_cls_token=self.with_cls_token,
            layer_scale_init_value=0.0, patch_cfg=self.patch_cfg, layer_cfgs=self.layer_cfgs, pre_norm=False,
            shared=shared,
        )  # fmt: skip

    @property
    def init_rules(self) -> Any:
        """``init_cfg``, and the rule of the positions."""
        return vit_rules(self.init_cfg, *(["pos_embed"] if self.use_abs_pos_emb else []))

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Any, ...]:
        plan, frozen, shared = self.plan, self.frozen_stages, None
        x, size = self.embedded(x, plan, train, self.use_abs_pos_emb)
        if self.use_shared_rel_pos_bias:
            shared = _Displacements(plan.grid, plan.layers[0]["num_heads"], name="rel_pos_bias")()
        layers = [
            (_BEiTLayer(**one, window_size=plan.grid, frozen=i < frozen, name=f"layers_{i}"), (shared,))
            for i, one in enumerate(plan.layers)
        ]
        return self.encoded(x, size, plan, layers, train)
