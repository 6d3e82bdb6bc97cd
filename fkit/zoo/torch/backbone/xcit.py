"""XCiT (El-Nouby et al. 2021), whose attention is among channels, with mmpretrain's arguments and parameter names."""

from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backbone.vit import vit_rules
from fkit.backbone.xcit import INIT, check_xcit, places, steps
from fkit.backend.torch.drop import Dropout, DropPath
from fkit.backend.torch.layers import norm_layer
from fkit.zoo.torch.backbone.token import attend
from fkit.zoo.torch.brick import ConvModule
from fkit.zoo.torch.ffn import FFN

__all__ = ["XCiT"]

_BN = frozendict(type="BN")
_NORM = frozendict(type="LN", eps=1e-6)
_GELU = frozendict(type="GELU")
Size = tuple[int, int]


class _ClassAttention(nn.Module):
    """What the token of the class sees of all tokens: (N, L, C) to (N, 1, C)."""

    def __init__(self, width: int, heads: int, qkv_bias: bool, attn_drop: float, drop: float) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(width, width, bias=qkv_bias) for _ in range(3))
        self.attn_drop = Dropout(attn_drop)
        self.proj = nn.Linear(width, width)
        self.proj_drop = Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        parts = (self.q(x[:, :1]), self.k(x), self.v(x))
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        return self.proj_drop(self.proj(attend(q, k, v, self.attn_drop).transpose(1, 2).flatten(2)))


class _Positions(nn.Module):
    """Sines and cosines of a grid's rows and columns, as wide as tokens by a 1x1 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.token_projection = ConvModule(64, width, 1, act_cfg=None)

    def forward(self, x: Tensor, size: Size) -> Tensor:
        waves = torch.from_numpy(places(*size)).to(x).permute(2, 0, 1)[None]
        return self.token_projection(waves).flatten(2).transpose(1, 2)


class _Patches(nn.Module):
    """3x3 convolutions with a stride, to patches."""

    def __init__(self, channels: int, patch_size: int, width: int, norm_cfg: Any, act_cfg: Any) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for wide in steps(patch_size, width):
            act = None if wide == width else act_cfg
            layers.append(ConvModule(channels, wide, 3, 2, 1, norm_cfg=norm_cfg, act_cfg=act))
            channels = wide
        self.proj = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)


class _ClassBlock(nn.Module):
    """`_ClassAttention` and a feed-forward network of the token of the class."""

    gamma1: Tensor | None
    gamma2: Tensor | None

    def __init__(self, width: int, attention: nn.Module, ffn: nn.Module, options: dict[str, Any]) -> None:
        super().__init__()
        norm_cfg, scale = options["norm_cfg"], options["scale"]
        self.norm1 = norm_layer(norm_cfg, width)[1]
        self.attn = attention
        self.norm2 = norm_layer(norm_cfg, width)[1]
        self.ffn = ffn
        self.gamma1 = nn.Parameter(scale * torch.ones(width)) if scale > 0 else None
        self.gamma2 = nn.Parameter(scale * torch.ones(width)) if scale > 0 else None
        self.tokens_norm = options["tokens_norm"]
        self.drop_path1, self.drop_path2 = DropPath(options["path"]), DropPath(options["path"])

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        y = torch.cat((self.attn(y), y[:, 1:]), 1)
        x = x + self.drop_path1(y if self.gamma1 is None else self.gamma1 * y)
        x = self.norm2(x) if self.tokens_norm else torch.cat((self.norm2(x[:, :1]), x[:, 1:]), 1)
        y = self.ffn(x[:, :1])
        y = torch.cat((y if self.gamma2 is None else self.gamma2 * y, x[:, 1:]), 1)
        return x + self.drop_path2(y)


class _Local(nn.Module):
    """Two filters a channel among patches."""

    def __init__(self, width: int, norm_cfg: Any, act_cfg: Any) -> None:
        super().__init__()
        self.conv1 = ConvModule(
            width, width, 3, padding=1, groups=width, bias=True, norm_cfg=norm_cfg, act_cfg=act_cfg,
            order=("conv", "act", "norm"),
        )  # fmt: skip
        self.conv2 = ConvModule(width, width, 3, padding=1, groups=width, act_cfg=None)

    def forward(self, x: Tensor, size: Size) -> Tensor:
        maps = x.transpose(1, 2).unflatten(2, size)
        return self.conv2(self.conv1(maps)).flatten(2).transpose(1, 2)


class _ChannelAttention(nn.Module):
    """Attention among channels: each head's channels by the products of their normalised rows."""

    def __init__(self, width: int, heads: int, qkv_bias: bool, attn_drop: float, drop: float) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.attn_drop = Dropout(attn_drop)
        self.proj = nn.Linear(width, width)
        self.proj_drop = Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        count, length, width = x.shape
        q, k, v = self.qkv(x).view(count, length, 3, self.heads, -1).permute(2, 0, 3, 4, 1).unbind(0)
        scores = (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * self.temperature).softmax(-1)
        scores = self.attn_drop(scores.flatten(2)).view_as(scores)
        return self.proj_drop(self.proj((scores @ v).permute(0, 3, 1, 2).reshape(count, length, width)))


class _Block(nn.Module):
    """Attention among channels, filters among patches, and a feed-forward network, each with its norm first and a factor a
    channel, added to tokens."""

    def __init__(
        self, width: int, attention: nn.Module, local: nn.Module, ffn: nn.Module, options: dict[str, Any]
    ) -> None:
        super().__init__()
        norm_cfg, scale = options["norm_cfg"], options["scale"]
        self.norm1 = norm_layer(norm_cfg, width)[1]
        self.attn = attention
        self.norm3 = norm_layer(norm_cfg, width)[1]
        self.local_mp = local
        self.norm2 = norm_layer(norm_cfg, width)[1]
        self.ffn = ffn
        self.gamma1 = nn.Parameter(scale * torch.ones(width))
        self.gamma3 = nn.Parameter(scale * torch.ones(width))
        self.gamma2 = nn.Parameter(scale * torch.ones(width))
        self.drop_path1, self.drop_path2, self.drop_path3 = (DropPath(options["path"]) for _ in range(3))

    def forward(self, x: Tensor, size: Size) -> Tensor:
        x = x + self.drop_path1(self.gamma1 * self.attn(self.norm1(x)))
        x = x + self.drop_path2(self.gamma3 * self.local_mp(self.norm3(x), size))
        return x + self.drop_path3(self.gamma2 * self.ffn(self.norm2(x)))


class XCiT(nn.Module):
    """XCiT, a backbone: images (N, C, H, W) to a tuple of features.

    Args:
        img_size: of images; a multiple of ``patch_size``.
        patch_size: 8 or 16.
        depth, cls_attn_layers: layers among patches, and those of the token of the class after them.
        use_pos_embed: whether patches have positions.
        layer_scale_init_value: what the branches' factors a channel begin with.
        tokens_norm: whether the layers of the class norm all tokens.
        out_type: "cls_token" (N, C), "raw" (N, L, C), "featmap" (N, C, h, w) or "avg_featmap" (N, C).
        out_indices: the layers whose outputs are given.
        final_norm: a norm, ``norm``, after the last layer.
        frozen_stages: from 0: no gradient for the embedding; from 2 for the layers before this one.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: arguments that do not fit together.
    """

    def __init__(
        self,
        img_size: Any = 224,
        patch_size: int = 16,
        in_channels: int = 3,
        embed_dims: int = 768,
        depth: int = 12,
        cls_attn_layers: int = 2,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        use_pos_embed: bool = True,
        layer_scale_init_value: float = 1.0,
        tokens_norm: bool = False,
        out_type: str = "cls_token",
        out_indices: Any = (-1,),
        final_norm: bool = True,
        frozen_stages: int = -1,
        bn_norm_cfg: Any = _BN,
        norm_cfg: Any = _NORM,
        act_cfg: Any = _GELU,
        init_cfg: Any = INIT,
    ) -> None:
        super().__init__()
        outputs = check_xcit(img_size, patch_size, out_type, out_indices, depth, cls_attn_layers, frozen_stages)
        self.out_indices, self.out_type, self.frozen_stages = outputs, out_type, frozen_stages
        self.init_cfg = vit_rules(init_cfg, "cls_token")
        width = embed_dims
        self.patch_embed = _Patches(in_channels, patch_size, width, bn_norm_cfg, act_cfg)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = _Positions(width) if use_pos_embed else None
        self.pos_drop = Dropout(drop_rate)
        attention = (width, num_heads, qkv_bias, attn_drop_rate, drop_rate)
        options = {"norm_cfg": norm_cfg, "scale": layer_scale_init_value, "tokens_norm": tokens_norm,
                   "path": drop_path_rate}  # fmt: skip

        def ffn() -> FFN:
            return FFN(width, int(width * mlp_ratio), 2, act_cfg, drop_rate, None, False)

        self.xca_layers = nn.ModuleList(
            _Block(width, _ChannelAttention(*attention), _Local(width, bn_norm_cfg, act_cfg), ffn(), options)
            for _ in range(depth)
        )
        self.ca_layers = nn.ModuleList(
            _ClassBlock(width, _ClassAttention(*attention), ffn(), options) for _ in range(cls_attn_layers)
        )
        self.norm = norm_layer(norm_cfg, width)[1] if final_norm else nn.Identity()
        for part in self._frozen():
            part.requires_grad_(False)
        self.cls_token.requires_grad_(frozen_stages <= depth)

    def _frozen(self) -> list[nn.Module]:
        if self.frozen_stages < 0:
            return []
        layers = [*self.xca_layers, *self.ca_layers]
        parts = [self.patch_embed, self.pos_drop, *layers[: max(self.frozen_stages - 1, 0)]]
        parts += [self.pos_embed] if self.pos_embed is not None else []
        return [*parts, self.norm] if self.frozen_stages == len(layers) else parts

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.patch_embed(x)
        size, outs = (x.shape[2], x.shape[3]), list[Tensor]()
        x = x.flatten(2).transpose(1, 2)
        if self.pos_embed is not None:
            x = x + self.pos_embed(x, size)
        x = self.pos_drop(x)
        for i, layer in enumerate(self.xca_layers):
            x = layer(x, size)
            if i in self.out_indices:
                outs.append(self._formed(x, size, 0))
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), 1)
        for i, layer in enumerate(self.ca_layers):
            x = layer(x)
            x = self.norm(x) if i == len(self.ca_layers) - 1 else x
            if i + len(self.xca_layers) in self.out_indices:
                outs.append(self._formed(x, size, 1))
        return tuple(outs)

    def _formed(self, x: Tensor, size: Size, extra: int) -> Tensor:
        if self.out_type in ("raw", "cls_token"):
            return x if self.out_type == "raw" else x[:, 0]
        x = x[:, extra:]
        return x.transpose(1, 2).unflatten(2, size) if self.out_type == "featmap" else x.mean(1)

    def train(self, mode: bool = True) -> "XCiT":
        """Training mode, but for frozen parts."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self
