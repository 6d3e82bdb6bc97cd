"""The head of dense prediction transformers, with mmseg's arguments and parameter names."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn

from fkit.backbone.brick import RELU
from fkit.backend.torch.activation import act_layer
from fkit.catalog.build import Builder
from fkit.segmentation.neck import expect_four, halves_of, readout_of
from fkit.zoo.torch.brick import ConvModule
from fkit.zoo.torch.segment.head import DecodeHead, Maps, resized

__all__ = ["DPTHead"]

_BN = frozendict(type="BN")
_GELU = frozendict(type="GELU")
_FIRST = ("act", "conv", "norm")


class _Reassemble(nn.Module):
    """Maps of a transformer as a pyramid: of four times the size, of twice, of the same and of half; the token is read before."""

    def __init__(self, wide: int, widths: Sequence[int], readout: str) -> None:
        super().__init__()
        self.readout = readout
        self.projects = nn.ModuleList(ConvModule(wide, width, 1, act_cfg=None) for width in widths)
        one, two, _, four = widths
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(one, one, 4, 4),
                nn.ConvTranspose2d(two, two, 2, 2),
                nn.Identity(),
                nn.Conv2d(four, four, 3, 2, 1),
            ]
        )
        if readout == "project":
            self.readout_projects = nn.ModuleList(
                nn.Sequential(nn.Linear(2 * wide, wide), act_layer(_GELU)) for _ in widths
            )

    def forward(self, pairs: Iterable[Any]) -> list[Tensor]:
        return [self._made(at, *pair) for at, pair in enumerate(pairs)]

    def _made(self, at: int, x: Tensor, token: Tensor) -> Tensor:
        if self.readout == "add":
            x = x + token[..., None, None]
        if self.readout == "project":
            rows = x.movedim(1, -1)
            both = torch.cat([rows, token[:, None, None].expand_as(rows)], -1)
            x = self.readout_projects[at](both).movedim(-1, 1)
        return self.resize_layers[at](self.projects[at](x))


class _Unit(nn.Module):
    """Two convolutions, each with its activation first, added to what came in."""

    def __init__(self, width: int, act_cfg: Any, norm_cfg: Any) -> None:
        super().__init__()
        cfgs: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg, "bias": False, "order": _FIRST}
        self.conv1 = ConvModule(width, width, 3, padding=1, **cfgs)
        self.conv2 = ConvModule(width, width, 3, padding=1, **cfgs)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x)) + x


class _Fusion(nn.Module):
    """A map and a finer one, together and enlarged twice."""

    def __init__(self, width: int, act_cfg: Any, norm_cfg: Any, first: bool) -> None:
        super().__init__()
        self.project = ConvModule(width, width, 1, act_cfg=None, bias=True)
        self.res_conv_unit1 = None if first else _Unit(width, act_cfg, norm_cfg)
        self.res_conv_unit2 = _Unit(width, act_cfg, norm_cfg)

    def forward(self, x: Tensor, finer: Tensor | None = None) -> Tensor:
        if finer is not None and self.res_conv_unit1 is not None:
            finer = resized(finer, x.shape[2:]) if finer.shape != x.shape else finer
            x = x + self.res_conv_unit1(finer)
        x = self.res_conv_unit2(x)
        return self.project(resized(x, [2 * side for side in x.shape[2:]], True))


class DPTHead(DecodeHead):
    """A pyramid of a transformer's four maps, put together from the coarsest on (Ranftl et al. 2021).

    Args:
        embed_dims: channels of the transformer.
        post_process_channels: of the pyramid's maps.
        readout_type: what becomes of the class's token: "ignore", "add" or "project".
        patch_size: taken for mmseg's configs.
        expand_channels: whether the pyramid's channels are twice as many from map to map; False.
        act_cfg, norm_cfg: layers.
        more: see `DecodeHead`; it takes four pairs of a map and a token.
    """

    def __init__(
        self,
        embed_dims: int = 768,
        post_process_channels: Sequence[int] = (96, 192, 384, 768),
        readout_type: str = "ignore",
        patch_size: int = 16,
        expand_channels: bool = False,
        act_cfg: Any = RELU,
        norm_cfg: Any = _BN,
        *,
        build: Builder,
        **more: Any,
    ) -> None:
        super().__init__(build=build, **more)
        del patch_size
        expect_four(post_process_channels, expand_channels)
        out = self.channels
        self.reassemble_blocks = _Reassemble(embed_dims, post_process_channels, readout_of(readout_type))
        self.convs = nn.ModuleList(
            ConvModule(width, out, 3, padding=1, act_cfg=None, bias=False) for width in post_process_channels
        )
        self.fusion_blocks = nn.ModuleList(_Fusion(out, act_cfg, norm_cfg, at == 0) for at in range(4))
        self.project = ConvModule(out, out, 3, padding=1, norm_cfg=norm_cfg)

    def features(self, maps: Maps) -> Tensor:
        whole, tokens = halves_of(maps)
        made = self.reassemble_blocks(zip(self.taken(whole), [tokens[at] for at in self.in_index], strict=True))
        *finer, last = [conv(x) for conv, x in zip(self.convs, made, strict=True)]
        first, *others = self.fusion_blocks
        x = first(last)
        for block, one in zip(others, reversed(finer), strict=True):
            x = block(x, one)
        return self.project(x)
