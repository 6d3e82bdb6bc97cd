"""LeViT (Graham et al. 2021), with mmpretrain's arguments and parameter names."""

from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backbone.levit import LeStage, levit_stages, offsets
from fkit.backend.torch.activation import act_layer
from fkit.backend.torch.drop import DropPath
from fkit.tree.error import FkitValueError

__all__ = ["LeViT"]

_SWISH = frozendict(type="HSwish")


class _Conv(nn.Module):
    """A 3x3 convolution with stride 2, and a batch norm."""

    def __init__(self, inner: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inner, width, 3, 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class _Linear(nn.Module):
    """A linear layer of tokens (N, L, C), and a batch norm."""

    def __init__(self, inner: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inner, width, bias=False)
        self.bn = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x)
        return self.bn(x.flatten(0, 1)).view_as(x)


class _Embed(nn.Module):
    """Four convolutions with strides, from images to patches of 16x16 pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inner, part in ((3, 8), (width // 8, 4), (width // 4, 2), (width // 2, 1)):
            layers += [_Conv(inner, width // part), nn.Hardswish()]
        self.patch_embed = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.patch_embed(x)


class _Residual(nn.Module):
    """A block, added to what came in."""

    def __init__(self, block: nn.Module, rate: float) -> None:
        super().__init__()
        self.block = block
        self.drop_path = DropPath(rate)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop_path(self.block(x))


class _Biased(nn.Module):
    """An attention's biases, one a distance and head."""

    attention_bias_idxs: Tensor

    def __init__(self, heads: int, side: int, stride: int) -> None:
        super().__init__()
        index, count = offsets(side, stride)
        self.heads = heads
        self.attention_biases = nn.Parameter(torch.zeros(heads, count))
        self.register_buffer("attention_bias_idxs", torch.from_numpy(index))

    def attended(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of (N, heads, L, C), joined: (N, L, heads * C)."""
        x = F.scaled_dot_product_attention(q, k, v, self.attention_biases[:, self.attention_bias_idxs])
        return x.transpose(1, 2).flatten(2)

    def split(self, x: Tensor) -> Tensor:
        """Tokens (N, L, C) by heads: (N, heads, L, C / heads)."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class _Attention(_Biased):
    """Attention among tokens (N, L, C)."""

    def __init__(self, stage: LeStage, ratio: float, act_cfg: Any) -> None:
        super().__init__(stage.heads, stage.side, 1)
        self.key, wide = stage.key, int(ratio * stage.key) * stage.heads
        self.qkv = _Linear(stage.width, wide + 2 * stage.key * stage.heads)
        self.proj = nn.Sequential(act_layer(act_cfg), _Linear(wide, stage.width))

    def forward(self, x: Tensor) -> Tensor:
        parts = self.split(self.qkv(x))
        q, k, v = parts.split((self.key, self.key, parts.shape[-1] - 2 * self.key), -1)
        return self.proj(self.attended(q, k, v))


class _Thinned(nn.Module):
    """Every second row and column of a square of tokens."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], self.side, self.side, -1)[:, ::2, ::2].flatten(1, 2)


class _Shrinking(_Biased):
    """Attention of a quarter of the tokens to all of them."""

    def __init__(self, stage: LeStage, act_cfg: Any) -> None:
        super().__init__(stage.shrinking, stage.before, 2)
        self.key, keys, wide = stage.key, stage.key * stage.shrinking, 4 * stage.key * stage.shrinking
        self.kv = _Linear(stage.inner, wide + keys)
        self.q = nn.Sequential(_Thinned(stage.before), _Linear(stage.inner, keys))
        self.proj = nn.Sequential(act_layer(act_cfg), _Linear(wide, stage.width))

    def forward(self, x: Tensor) -> Tensor:
        parts = self.split(self.kv(x))
        k, v = parts.split((self.key, parts.shape[-1] - self.key), -1)
        return self.proj(self.attended(self.split(self.q(x)), k, v))


class _Mlp(nn.Module):
    """Two layers a token."""

    def __init__(self, width: int, ratio: float, act_cfg: Any) -> None:
        super().__init__()
        hidden = int(width * ratio)
        self.linear1 = _Linear(width, hidden)
        self.activation = act_layer(act_cfg)
        self.linear2 = _Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.activation(self.linear1(x)))


class LeViT(nn.Module):
    """LeViT, a backbone: images (N, 3, H, W) of one size to a tuple of maps.

    Args:
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

    def __init__(
        self,
        arch: Any,
        img_size: int = 224,
        patch_size: int = 16,
        attn_ratio: float = 2,
        mlp_ratio: float = 2,
        act_cfg: Any = _SWISH,
        out_indices: Any = -1,
        deploy: bool = False,
        drop_path_rate: float = 0.0,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        if deploy:
            raise FkitValueError("LeViT: deploy=True: norms stay layers of their own.", repair="Leave deploy out.")
        plan, self.out_indices = levit_stages(arch, img_size, patch_size, out_indices)
        self.init_cfg = init_cfg
        self.sides = tuple(stage.side for stage in plan)
        self.patch_embed = _Embed(plan[0].inner)
        self.stages = nn.ModuleList()
        for stage in plan:
            blocks: list[nn.Module] = [_Shrinking(stage, act_cfg)] if stage.shrinking else []
            for i in range(bool(stage.shrinking) + stage.depth):
                if i or not stage.shrinking:
                    blocks.append(_Residual(_Attention(stage, attn_ratio, act_cfg), drop_path_rate))
                if mlp_ratio > 0:
                    blocks.append(_Residual(_Mlp(stage.width, mlp_ratio, act_cfg), drop_path_rate))
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.patch_embed(x)
        if tuple(x.shape[2:]) != self.sides[:1] * 2:
            raise FkitValueError(f"LeViT: {tuple(x.shape[2:])} patches, but img_size says {self.sides[:1] * 2}.")
        x = x.flatten(2).transpose(1, 2)
        maps: list[Tensor] = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in self.out_indices:
                maps.append(x.transpose(1, 2).unflatten(2, (self.sides[i], self.sides[i])))
        return tuple(maps)
