"""The Swin transformer (Liu et al. 2021), with OpenMMLab's arguments and parameter names, or the original repository's arguments."""

from collections.abc import Callable
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

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
from fkit.backend.torch.drop import Dropout, DropPath
from fkit.backend.torch.layers import norm_layer
from fkit.backend.torch.ops import Torch
from fkit.training.pretrained import init_cfg_of
from fkit.zoo.torch.ffn import FFN
from fkit.zoo.torch.patch import PatchEmbed, PatchMerging

__all__ = ["ShiftWindowMSA", "SwinBlock", "SwinTransformer", "WindowMSA"]

_GELU = frozendict(type="GELU")
_LAYER = frozendict(type="LN")


class WindowMSA(nn.Module):
    """Attention inside of windows with a bias a displacement: (N, windows, window**2, C) to the same."""

    relative_position_index: Tensor

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: int,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        attn_drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.scale = qk_scale or (embed_dims // num_heads) ** -0.5
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window_size - 1) ** 2, num_heads))
        index = torch.from_numpy(relative_index(window_size, window_size))
        self.register_buffer("relative_position_index", index)
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims, bias=qkv_bias)
        self.attn_drop = Dropout(attn_drop_rate)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.proj_drop = Dropout(proj_drop_rate)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        count, windows, pixels, width = x.shape
        parts = self.qkv(x).view(count, windows, pixels, 3, self.num_heads, -1).permute(3, 0, 1, 4, 2, 5)
        q, k, v = parts.unbind(0)
        bias = self.relative_position_bias_table[self.relative_position_index.view(-1)]
        bias = bias.view(pixels, pixels, -1).permute(2, 0, 1)
        attention = (q * self.scale) @ k.transpose(-2, -1) + (bias if mask is None else bias + mask)
        attention = attention.softmax(-1)
        if self.attn_drop.draws and self.training:  # an element's place is counted sample by sample
            attention = self.attn_drop(attention.view(count, -1, pixels * pixels)).view_as(attention)
        x = (attention @ v).transpose(2, 3).reshape(count, windows * pixels, width)
        return self.proj_drop(self.proj(x)).view(count, windows, pixels, width)


class ShiftWindowMSA(nn.Module):
    """`WindowMSA` of maps (N, H, W, C), padded to whole windows and rolled by ``shift`` pixels first."""

    def __init__(self, attention: WindowMSA, window: int, shift: int, drop_path: float) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.w_msa = attention
        self.drop = DropPath(drop_path)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        count, height, width, channels = x.shape
        side, shift = self.window, self.shift
        down, right = -height % side, -width % side
        if down or right:
            x = F.pad(x, (0, 0, 0, right, 0, down))
        if shift:
            x = torch.roll(x, (-shift, -shift), (1, 2))
        rows, columns = (height + down) // side, (width + right) // side
        x = x.view(count, rows, side, columns, side, channels).transpose(2, 3)
        x = self.w_msa(x.reshape(count, rows * columns, side * side, channels), mask if shift else None)
        x = x.view(count, rows, columns, side, side, channels).transpose(2, 3)
        x = x.reshape(count, height + down, width + right, channels)
        if shift:
            x = torch.roll(x, (shift, shift), (1, 2))
        return self.drop(x[:, :height, :width])


class SwinBlock(nn.Module):
    """Attention and a feed-forward network, each with its norm first, added to maps (N, H, W, C)."""

    def __init__(
        self, norms: Callable[[], nn.Module], attention: ShiftWindowMSA, ffn: FFN, with_cp: bool = False
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.norm1 = norms()
        self.attn = attention
        self.norm2 = norms()
        self.ffn = ffn

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.with_cp and x.requires_grad:
            again: Tensor = checkpoint(self._branches, x, mask, use_reentrant=False)  # type: ignore[assignment]
            return again
        return self._branches(x, mask)

    def _branches(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.attn(self.norm1(x), mask)
        return self.ffn(self.norm2(x), x)


class _Stage(nn.Module):
    """Blocks, and the merging after them: maps (N, H, W, C) to those of this stage and to those for the next."""

    def __init__(self, blocks: list[SwinBlock], merging: PatchMerging | None, window: int) -> None:
        super().__init__()
        self.window = window
        self.blocks = nn.ModuleList(blocks)
        self.downsample = merging

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        count, height, width, channels = x.shape
        side, mask = self.window, None
        if len(self.blocks) > 1 and side > 1:
            whole = (height + -height % side, width + -width % side)
            mask = shift_mask(Torch(x.device), *whole, side, side // 2, x)
        for block in self.blocks:
            x = block(x, mask)
        if self.downsample is None:
            return x, x
        after, size = self.downsample(x.reshape(count, height * width, channels), (height, width))
        return x, after.view(count, *size, -1)


class SwinTransformer(nn.Module):
    """Swin transformer, a backbone: images (N, C, H, W) to a tuple of maps at strides 4, 8, 16, 32.

    Args:
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

    def __init__(
        self,
        pretrain_img_size: Any = 224,
        in_channels: int | None = None,
        embed_dims: int | None = None,
        patch_size: Any = 4,
        window_size: int = 7,
        mlp_ratio: float = 4,
        depths: Any = (2, 2, 6, 2),
        num_heads: Any = (3, 6, 12, 24),
        strides: Any = (4, 2, 2, 2),
        out_indices: Any = (0, 1, 2, 3),
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        patch_norm: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        use_abs_pos_embed: bool | None = None,
        act_cfg: Any = _GELU,
        norm_cfg: Any = _LAYER,
        with_cp: bool | None = None,
        pretrained: Any = None,
        convert_weights: bool = False,
        frozen_stages: int = -1,
        init_cfg: Any = None,
        embed_dim: int | None = None,
        ape: bool | None = None,
        use_checkpoint: bool | None = None,
        in_chans: int | None = None,
    ) -> None:
        super().__init__()
        mine = {"in_channels": in_channels, "embed_dims": embed_dims, "use_abs_pos_embed": use_abs_pos_embed,
                "with_cp": with_cp}  # fmt: skip
        old = {"embed_dim": embed_dim, "ape": ape, "use_checkpoint": use_checkpoint, "in_chans": in_chans}
        words = old_words("SwinTransformer", mine, old)
        width = words["embed_dims"] or 96
        plan = SwinPlan.of(
            pretrain_img_size, patch_size, width, mlp_ratio, depths, num_heads, strides, out_indices, drop_path_rate,
            window_size,
        )  # fmt: skip
        self.out_indices, self.frozen_stages = tuple(sorted(out_indices)), frozen_stages
        init_cfg = init_cfg_of(pretrained, init_cfg, "SwinTransformer")
        self.init_cfg = INIT if init_cfg is None else init_cfg
        merging = norm_cfg if patch_norm else None
        if words["use_abs_pos_embed"]:
            self.grid = (plan.image[0] // plan.patch, plan.image[1] // plan.patch)
            self.absolute_pos_embed = nn.Parameter(torch.zeros(1, plan.places, width))
            self.init_cfg = place_rules(INIT, "absolute_pos_embed") if init_cfg is None else init_cfg
        else:
            self.absolute_pos_embed = None
        self.patch_embed = PatchEmbed(
            words["in_channels"] or 3, width, kernel_size=plan.patch, stride=plan.patch, norm_cfg=merging
        )
        self.drop_after_pos = Dropout(drop_rate)

        def block(stage: Stage, rate: float, shift: int) -> SwinBlock:
            inner = WindowMSA(stage.width, stage.heads, window_size, qkv_bias, qk_scale, attn_drop_rate, drop_rate)
            return SwinBlock(
                lambda: norm_layer(norm_cfg, stage.width)[1],
                ShiftWindowMSA(inner, window_size, shift, rate),
                FFN(stage.width, stage.hidden, 2, act_cfg, drop_rate, path_drop(rate)),
                bool(words["with_cp"]),
            )

        self.stages = nn.ModuleList()
        for stage in plan.stages:
            blocks = [block(stage, rate, (window_size // 2) * (i % 2)) for i, rate in enumerate(stage.rates)]
            after = (
                PatchMerging(stage.width, 2 * stage.width, stride=stage.merging, norm_cfg=merging)
                if stage.merging
                else None
            )
            self.stages.append(_Stage(blocks, after, window_size))
        for i in out_indices:
            self.add_module(f"norm{i}", norm_layer(norm_cfg, plan.stages[i].width)[1])
        for part in self._frozen():
            part.requires_grad_(False)
        if self.absolute_pos_embed is not None and frozen_stages >= 0:
            self.absolute_pos_embed.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x, size = self.patch_embed(x)
        if self.absolute_pos_embed is not None:
            x = x + self._places(self.absolute_pos_embed, size)
        x = self.drop_after_pos(x)
        x = x.view(x.shape[0], *size, -1)
        maps: list[Tensor] = []
        for i, stage in enumerate(self.stages):
            y, x = stage(x)
            if i in self.out_indices:
                maps.append(getattr(self, f"norm{i}")(y).permute(0, 3, 1, 2).contiguous())
        return tuple(maps)

    def _places(self, table: Tensor, size: tuple[int, int]) -> Tensor:
        """The table of positions for a grid of patches."""
        if size == self.grid:
            return table
        maps = table.view(1, *self.grid, -1).permute(0, 3, 1, 2)
        return F.interpolate(maps, size, mode="bicubic", align_corners=False).flatten(2).transpose(1, 2)

    def train(self, mode: bool = True) -> "SwinTransformer":
        """Training mode, but for frozen stages."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self

    def _frozen(self) -> list[nn.Module]:
        if self.frozen_stages < 0:
            return []
        count = min(self.frozen_stages, len(self.stages))
        norms = [getattr(self, f"norm{i}") for i in range(count) if i in self.out_indices]
        return [self.patch_embed, self.drop_after_pos, *norms, *list(self.stages)[:count]]
