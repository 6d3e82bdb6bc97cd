"""DeiT with its teacher's token and DeiT III (Touvron et al. 2021, 2022), with mmpretrain's arguments and parameter names."""

from typing import Any, ClassVar

import jax
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.arch import DEIT3
from fkit.backbone.brick import path_drop
from fkit.backbone.vit import FFN_INIT, VitPlan, vit_plan, vit_rules
from fkit.backend.jax.layers import norm_layer
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.backbone.token import SelfAttention
from fkit.zoo.flax.backbone.vit import EncoderLayer, Tokens
from fkit.zoo.flax.ffn import FFN

__all__ = ["DeiT3", "DistilledVisionTransformer"]

Array = jax.Array

_GELU = frozendict(type="GELU")
_LN = frozendict(type="LN")
_NORM = frozendict(type="LN", eps=1e-6)
_NONE = frozendict[str, Any]()


class DistilledVisionTransformer(Tokens):
    """A vision transformer with a second token, which a teacher taught, ``dist_token``; its "cls_token" are both tokens.

    Attributes:
        arch: as of `VisionTransformer`; so are all others.
    """

    arch: Any = "deit-base"
    img_size: Any = 224
    patch_size: Any = 16
    in_channels: int = 3
    out_indices: Any = -1
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    qkv_bias: bool = True
    norm_cfg: Any = _NORM
    final_norm: bool = True
    out_type: str = "cls_token"
    frozen_stages: int = -1
    interpolate_mode: str = "bicubic"
    layer_scale_init_value: float = 0.0
    patch_cfg: Any = _NONE
    layer_cfgs: Any = _NONE
    init_cfg: Any = None
    tokens: ClassVar[tuple[str, ...]] = ("cls_token", "dist_token")
    with_cls_token: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _ = self.plan
        super().__post_init__()

    @property
    def plan(self) -> VitPlan:
        """What the arguments come to."""
        return vit_plan(
            "DistilledVisionTransformer", arch=self.arch, img_size=self.img_size, patch_size=self.patch_size,
            in_channels=self.in_channels, out_indices=self.out_indices, drop_rate=self.drop_rate,
            drop_path_rate=self.drop_path_rate, qkv_bias=self.qkv_bias, norm_cfg=self.norm_cfg, out_type=self.out_type,
            with_cls_token=True, layer_scale_init_value=self.layer_scale_init_value, patch_cfg=self.patch_cfg,
            layer_cfgs=self.layer_cfgs, pre_norm=False,
        )  # fmt: skip

    @property
    def init_rules(self) -> Any:
        """``init_cfg``, and the rules of the positions and the token."""
        return vit_rules(vit_rules(self.init_cfg, "pos_embed"), "dist_token")

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Any, ...]:
        plan, frozen = self.plan, self.frozen_stages
        x, size = self.embedded(x, plan, train)
        layers = [(EncoderLayer(**one, frozen=i < frozen, name=f"layers_{i}"), ()) for i, one in enumerate(plan.layers)]
        return self.encoded(x, size, plan, layers, train)

    def formed(self, outs: list[Array], size: tuple[int, int], norm: Any, still: bool) -> tuple[Any, ...]:
        if self.out_type == "cls_token":
            return tuple((x[:, 0], x[:, 1]) for x in outs)
        return super().formed(outs, size, norm, still)


class _DeiT3Layer(nn.Module):
    """Attention and a feed-forward network, both after the same norm, ``ln1``, added to tokens; ``ln2`` is idle."""

    embed_dims: int
    num_heads: int
    feedforward_channels: int
    drop_rate: float = 0.0
    attn_drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    num_fcs: int = 2
    qkv_bias: bool = True
    use_layer_scale: bool = True
    act_cfg: Any = _GELU
    norm_cfg: Any = _LN

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        norm, scale, path = norm_layer(self.norm_cfg)[1], 1e-5 if self.use_layer_scale else 0.0, self.drop_path_rate
        one: Any = norm("ln1")
        attention = SelfAttention(
            self.num_heads, self.attn_drop_rate, self.drop_rate, path, self.qkv_bias, True, scale, name="attn"
        )
        x = x + attention(one(x, train), train)
        idle: Any = norm("ln2")
        idle(x, train)
        ffn = FFN(
            self.embed_dims, self.feedforward_channels, self.num_fcs, self.act_cfg, self.drop_rate, path_drop(path),
            True, FFN_INIT, scale, name="ffn",
        )  # fmt: skip
        return ffn(one(x, train), x, train)


class DeiT3(Tokens):
    """DeiT III, a backbone: a vision transformer whose token of the class has no position.

    Attributes:
        arch: "small", "medium", "base", "large", "huge", or a mapping as of `VisionTransformer`.
        use_layer_scale: whether branches have a learnt factor a channel.
        img_size, patch_size, ...: as of `VisionTransformer`.
    """

    arch: Any = "base"
    img_size: Any = 224
    patch_size: Any = 16
    in_channels: int = 3
    out_indices: Any = -1
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    qkv_bias: bool = True
    norm_cfg: Any = _NORM
    final_norm: bool = True
    out_type: str = "cls_token"
    with_cls_token: bool = True
    use_layer_scale: bool = True
    interpolate_mode: str = "bicubic"
    patch_cfg: Any = _NONE
    layer_cfgs: Any = _NONE
    init_cfg: Any = None
    placed: ClassVar[int | None] = 0

    def __post_init__(self) -> None:
        if self.out_type == "avg_featmap":
            raise FkitValueError("DeiT3: out_type='avg_featmap' has no norm here.", repair="out_type='featmap'")
        _ = self.plan
        super().__post_init__()

    @property
    def plan(self) -> VitPlan:
        """What the arguments come to."""
        shared = {"drop_rate": self.drop_rate, "attn_drop_rate": 0.0, "num_fcs": 2, "qkv_bias": self.qkv_bias,
                  "use_layer_scale": self.use_layer_scale, "act_cfg": _GELU, "norm_cfg": self.norm_cfg}  # fmt: skip
        return vit_plan(
            "DeiT3", arch=self.arch, img_size=self.img_size, patch_size=self.patch_size, in_channels=self.in_channels,
            out_indices=self.out_indices, drop_rate=self.drop_rate, drop_path_rate=self.drop_path_rate,
            qkv_bias=self.qkv_bias, norm_cfg=self.norm_cfg, out_type=self.out_type, with_cls_token=self.with_cls_token,
            layer_scale_init_value=0.0, patch_cfg=self.patch_cfg, layer_cfgs=self.layer_cfgs, pre_norm=False,
            table=DEIT3, shared=shared,
        )  # fmt: skip

    @property
    def init_rules(self) -> Any:
        """``init_cfg``, and the rule of the positions."""
        return vit_rules(self.init_cfg, "pos_embed")

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Any, ...]:
        plan = self.plan
        x, size = self.embedded(x, plan, train)
        layers = [(_DeiT3Layer(**options, name=f"layers_{i}"), ()) for i, options in enumerate(plan.layers)]
        return self.encoded(x, size, plan, layers, train)
