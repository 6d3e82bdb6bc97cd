"""mmpretrain's Swin transformers (Liu et al. 2021, 2022), with its arguments and parameter names."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.utils.checkpoint import checkpoint

from fkit.backbone.brick import path_drop
from fkit.backbone.swin import relative_index, shift_mask
from fkit.backbone.vit import TABLE, vit_rules
from fkit.backbone.window import Windowed, WindowPlan, coordinates, shift_of, window_plan
from fkit.backend.torch.drop import Dropout, DropPath
from fkit.backend.torch.layers import norm_layer
from fkit.backend.torch.ops import Torch
from fkit.zoo.torch.backbone.token import resized_places
from fkit.zoo.torch.ffn import FFN
from fkit.zoo.torch.patch import PatchEmbed
from fkit.zoo.torch.swin import WindowMSA

__all__ = ["SwinTransformer", "SwinTransformerV2", "WindowMSAV2"]

_LN = frozendict(type="LN")
_GELU = frozendict(type="GELU")
_NONE = frozendict[str, Any]()
Size = tuple[int, int]


class WindowMSAV2(nn.Module):
    """Attention inside of windows by cosines, with a bias that a network gives of displacements: (N, windows, window**2, C).

    Args:
        trained: the window it was trained with; 0 is its own.
    """

    relative_coords_table: Tensor
    relative_position_index: Tensor

    def __init__(self, width: int, heads: int, window: int, trained: int = 0) -> None:
        super().__init__()
        self.heads = heads
        self.cpb_mlp = nn.Sequential(nn.Linear(2, 512), nn.ReLU(), nn.Linear(512, heads, bias=False))
        self.logit_scale = nn.Parameter(torch.log(10 * torch.ones(heads, 1, 1)))
        self.register_buffer("relative_coords_table", torch.from_numpy(coordinates(window, trained)))
        self.register_buffer("relative_position_index", torch.from_numpy(relative_index(window, window)))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        count, windows, pixels, width = x.shape
        more = torch.cat((self.q_bias, torch.zeros_like(self.v_bias), self.v_bias))
        parts = F.linear(x, self.qkv.weight, more).view(count, windows, pixels, 3, self.heads, -1)
        q, k, v = parts.permute(3, 0, 1, 4, 2, 5).unbind(0)
        scores = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
        scores = scores * self.logit_scale.clamp(max=math.log(100.0)).exp()
        table = self.cpb_mlp(self.relative_coords_table).view(-1, self.heads)
        bias = table[self.relative_position_index.view(-1)].view(pixels, pixels, -1).permute(2, 0, 1)
        scores = scores + 16 * torch.sigmoid(bias)
        scores = (scores if mask is None else scores + mask).softmax(-1)
        return self.proj((scores @ v).transpose(2, 3).reshape(count, windows, pixels, width))


class _Attention(nn.Module):
    """Attention inside of windows of maps (N, H, W, C), padded to whole windows and rolled first."""

    def __init__(self, plan: Windowed, second: bool) -> None:
        super().__init__()
        self.plan = plan
        if second:
            self.w_msa: nn.Module = WindowMSAV2(plan.width, plan.heads, plan.window, plan.trained)
        else:
            self.w_msa = WindowMSA(plan.width, plan.heads, plan.window)
            self.w_msa.init_cfg = TABLE  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
        self.drop = DropPath(plan.rate)

    def forward(self, x: Tensor) -> Tensor:
        count, height, width, channels = x.shape
        side, shift = self.plan.window, shift_of(self.plan, height, width)
        down, right = -height % side, -width % side
        x = F.pad(x, (0, 0, 0, right, 0, down)) if down or right else x
        whole, mask = (height + down, width + right), None
        if shift:
            x = torch.roll(x, (-shift, -shift), (1, 2))
            mask = shift_mask(Torch(x.device), *whole, side, shift, x)
        rows, columns = whole[0] // side, whole[1] // side
        x = x.view(count, rows, side, columns, side, channels).transpose(2, 3)
        x = self.w_msa(x.reshape(count, rows * columns, side * side, channels), mask)
        x = x.view(count, rows, columns, side, side, channels).transpose(2, 3).reshape(count, *whole, channels)
        x = torch.roll(x, (shift, shift), (1, 2)) if shift else x
        return self.drop(x[:, :height, :width])


class _Block(nn.Module):
    """Attention and a feed-forward network with norms, before them in the first version and after them in the second."""

    def __init__(self, plan: Windowed, norm_cfg: Any, second: bool, with_cp: bool) -> None:
        super().__init__()
        self.second, self.with_cp = second, with_cp
        width = plan.width
        attention, norm1 = _Attention(plan, second), norm_layer(norm_cfg, width)[1]
        ffn = FFN(width, int(4.0 * width), 2, _GELU, 0.0, path_drop(plan.rate), not second)
        norm2 = norm_layer(norm_cfg, width)[1]
        names = (("attn", attention), ("norm1", norm1), ("ffn", ffn), ("norm2", norm2))
        order = names if second else (names[1], names[0], names[3], names[2])
        for name, part in order:
            self.add_module(name, part)
        self.norm3 = norm_layer(norm_cfg, width)[1] if plan.third else None

    def forward(self, x: Tensor) -> Tensor:
        if self.with_cp and x.requires_grad:
            again: Tensor = checkpoint(self._branches, x, use_reentrant=False)  # type: ignore[assignment]
            return again
        return self._branches(x)

    def _branches(self, x: Tensor) -> Tensor:
        part: Any = self
        if not self.second:
            x = x + part.attn(part.norm1(x))
            return part.ffn(part.norm2(x), x)
        x = x + part.norm1(part.attn(x))
        x = x + part.norm2(part.ffn(x))
        return x if self.norm3 is None else self.norm3(x)


class _Merging(nn.Module):
    """Four pixels of maps (N, H, W, C) to one of twice the channels; its norm stands before or after ``reduction``."""

    def __init__(self, inner: int, after: bool) -> None:
        super().__init__()
        self.after = after
        norm = norm_layer(_LN, 2 * inner if after else 4 * inner)[1]
        if not after:
            self.norm = norm
        self.reduction = nn.Linear(4 * inner, 2 * inner, bias=False)
        if after:
            self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        count, height, width, channels = x.shape
        x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2)) if width % 2 or height % 2 else x
        rows, columns = x.shape[1] // 2, x.shape[2] // 2
        x = x.view(count, rows, 2, columns, 2, channels).permute(0, 1, 3, 5, 2, 4).flatten(3)
        return self.norm(self.reduction(x)) if self.after else self.reduction(self.norm(x))


class _Stage(nn.Module):
    """Blocks, and a merging after them in the first version, before them in the second."""

    def __init__(
        self, blocks: tuple[Windowed, ...], merging: _Merging | None, norm_cfg: Any, second: bool, with_cp: bool
    ) -> None:
        super().__init__()
        if second:
            self.downsample = merging
        self.blocks = nn.ModuleList(_Block(plan, norm_cfg, second, with_cp) for plan in blocks)
        if not second:
            self.downsample = merging

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class _Windows(nn.Module):
    """What both versions share."""

    absolute_pos_embed: Tensor | None

    def assemble(
        self, plan: WindowPlan, init_cfg: Any, second: bool, options: dict[str, Any], after: bool = False
    ) -> None:
        """Register the parts; ``after``: maps of the first version are those after the merging."""
        self.plan, self.second, self.after = plan, second, after
        self.frozen_stages, self.norm_eval = options["frozen_stages"], options["norm_eval"]
        self.mode, tabled = options["interpolate_mode"], options["use_abs_pos_embed"]
        self.init_cfg = vit_rules(init_cfg, *(["absolute_pos_embed"] if tabled else []))
        first = plan.stages[0][0].width
        self.patch_embed = PatchEmbed(**plan.patch)
        table = torch.zeros(1, plan.grid[0] * plan.grid[1], first)
        self.absolute_pos_embed = nn.Parameter(table) if tabled else None
        self.drop_after_pos = Dropout(options["drop_rate"])
        self.stages = nn.ModuleList()
        last, norm_cfg = len(plan.stages) - 1, options["norm_cfg"]
        for i, blocks in enumerate(plan.stages):
            width = blocks[0].width
            if second:
                merging = _Merging(width // 2, True) if i else None
            else:
                merging = _Merging(width, False) if i < last else None
            self.stages.append(_Stage(blocks, merging, options["block_norm"], second, options["with_cp"]))
        for i in plan.outputs:
            width = plan.stages[i][0].width * (2 if after and i < last else 1)
            self.add_module(f"norm{i}", nn.Identity() if norm_cfg is None else norm_layer(norm_cfg, width)[1])
        for part in self._frozen():
            part.requires_grad_(False)

    def _frozen(self) -> list[nn.Module]:
        if self.frozen_stages < 0:
            return []
        norms = [getattr(self, f"norm{i}") for i in self.plan.outputs if i <= self.frozen_stages]
        return [self.patch_embed, *self.stages[: self.frozen_stages + 1], *norms]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x, size = self.patch_embed(x)
        if self.absolute_pos_embed is not None:
            x = x + resized_places(self.absolute_pos_embed, self.plan.grid, size, 0, self.mode)
        x = self.drop_after_pos(x).view(x.shape[0], *size, -1)
        maps: list[Tensor] = []
        for i, stage in enumerate(self.stages):
            merging: Any = stage.downsample
            x = merging(x) if self.second and merging is not None else x
            x = y = stage(x)
            x = merging(x) if not self.second and merging is not None else x
            if i in self.plan.outputs:
                y = x if self.after else y
                maps.append(getattr(self, f"norm{i}")(y).permute(0, 3, 1, 2).contiguous())
        return tuple(maps)

    def train(self, mode: bool = True) -> "_Windows":
        """Training mode, but for frozen stages, and for batch norms where ``norm_eval``."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        if mode and self.norm_eval:
            for part in self.modules():
                if isinstance(part, _BatchNorm):
                    part.eval()
        return self


class SwinTransformer(_Windows):
    """mmpretrain's Swin transformer, a backbone: images (N, C, H, W) to a tuple of maps.

    Args:
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

    def __init__(
        self,
        arch: Any = "tiny",
        img_size: Any = 224,
        patch_size: Any = 4,
        in_channels: int = 3,
        window_size: int = 7,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        out_indices: Any = (3,),
        out_after_downsample: bool = False,
        use_abs_pos_embed: bool = False,
        interpolate_mode: str = "bicubic",
        with_cp: bool = False,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        pad_small_map: bool = False,
        norm_cfg: Any = _LN,
        stage_cfgs: Any = _NONE,
        patch_cfg: Any = _NONE,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        plan = window_plan(
            "SwinTransformer", arch=arch, img_size=img_size, patch_size=patch_size, in_channels=in_channels,
            window_size=window_size, drop_path_rate=drop_path_rate, out_indices=out_indices,
            pad_small_map=pad_small_map, stage_cfgs=stage_cfgs, patch_cfg=patch_cfg,
        )  # fmt: skip
        options = {"frozen_stages": frozen_stages, "norm_eval": norm_eval, "interpolate_mode": interpolate_mode,
                   "use_abs_pos_embed": use_abs_pos_embed, "drop_rate": drop_rate, "norm_cfg": norm_cfg,
                   "block_norm": _LN, "with_cp": with_cp}  # fmt: skip
        self.assemble(plan, init_cfg, False, options, out_after_downsample)


class SwinTransformerV2(_Windows):
    """mmpretrain's second Swin transformer, a backbone: images (N, C, H, W) to a tuple of maps.

    Args:
        arch: "tiny" to "giant", or a mapping with ``embed_dims``, ``depths``, ``num_heads`` and ``extra_norm_every_n_blocks``.
        window_size: side of the windows, one or one a stage.
        pretrained_window_sizes: those it was trained with, one a stage; 0 are its own.
        img_size, patch_size, ...: as of `SwinTransformer`.

    Raises:
        FkitError: arguments that do not fit together.
    """

    def __init__(
        self,
        arch: Any = "tiny",
        img_size: Any = 256,
        patch_size: Any = 4,
        in_channels: int = 3,
        window_size: Any = 8,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        out_indices: Any = (3,),
        use_abs_pos_embed: bool = False,
        interpolate_mode: str = "bicubic",
        with_cp: bool = False,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        pad_small_map: bool = False,
        norm_cfg: Any = _LN,
        stage_cfgs: Any = _NONE,
        patch_cfg: Any = _NONE,
        pretrained_window_sizes: Sequence[int] = (0, 0, 0, 0),
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        plan = window_plan(
            "SwinTransformerV2", arch=arch, img_size=img_size, patch_size=patch_size, in_channels=in_channels,
            window_size=window_size, drop_path_rate=drop_path_rate, out_indices=out_indices,
            pad_small_map=pad_small_map, stage_cfgs=stage_cfgs, patch_cfg=patch_cfg, trained=pretrained_window_sizes,
        )  # fmt: skip
        options = {"frozen_stages": frozen_stages, "norm_eval": norm_eval, "interpolate_mode": interpolate_mode,
                   "use_abs_pos_embed": use_abs_pos_embed, "drop_rate": drop_rate, "norm_cfg": norm_cfg,
                   "block_norm": _LN, "with_cp": with_cp}  # fmt: skip
        self.assemble(plan, init_cfg, True, options)
