"""mmcv's generalised attention, with its arguments and parameter names."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.detection.general_attention import attention_start, attention_terms, check_square, distance_waves

__all__ = ["GeneralizedAttention"]


class GeneralizedAttention(nn.Module):
    """Each position of maps (N, C, H, W) sees others by what is there and how far it is (Zhu et al. 2019).

    Args:
        in_channels: C.
        spatial_range: below 0: positions see everything.
        num_heads: heads.
        position_embedding_dim: width of the waves of distances; C if it is below 1.
        position_magnitude: what distances are multiplied with.
        kv_stride, q_stride: every how manieth position is seen, and sees.
        attention_type: four bits: by content of both, by content here and distance, by content there, by distance alone.
    """

    appr_bias: Tensor
    geom_bias: Tensor

    def __init__(
        self,
        in_channels: int,
        spatial_range: int = -1,
        num_heads: int = 9,
        position_embedding_dim: int = -1,
        position_magnitude: int = 1,
        kv_stride: int = 2,
        q_stride: int = 1,
        attention_type: str = "1111",
    ) -> None:
        super().__init__()
        self.waves = position_embedding_dim if position_embedding_dim > 0 else in_channels
        self.terms = attention_terms(attention_type, spatial_range, self.waves)
        self.num_heads, self.magnitude = num_heads, position_magnitude
        self.kv_stride, self.q_stride = kv_stride, q_stride
        self.dim = in_channels // num_heads
        width = self.dim * num_heads
        if self.terms.queries:
            self.query_conv = nn.Conv2d(in_channels, width, 1, bias=False)
        if self.terms.keys:
            self.key_conv = nn.Conv2d(in_channels, width, 1, bias=False)
        self.value_conv = nn.Conv2d(in_channels, width, 1, bias=False)
        if self.terms.distances:
            self.appr_geom_fc_x = nn.Linear(self.waves // 2, width, bias=False)
            self.appr_geom_fc_y = nn.Linear(self.waves // 2, width, bias=False)
        for some, name in ((self.terms.key, "appr_bias"), (self.terms.distance, "geom_bias")):
            if some:
                reach = (2 * self.dim) ** -0.5
                self.register_parameter(name, nn.Parameter(torch.empty(width).uniform_(-reach, reach)))
        self.proj_conv = nn.Conv2d(width, in_channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))
        self.start_cfg = attention_start(self.terms)

    def forward(self, x: Tensor) -> Tensor:
        step = self.q_stride
        queries, keys = x[:, :, ::step, ::step], x[:, :, :: self.kv_stride, :: self.kv_stride]
        count, _, high, wide = queries.shape
        value = self.value_conv(keys).view(count, self.num_heads, self.dim, -1)
        share = self._energy(queries, keys).softmax(-1)
        if self.terms.alike:
            high = wide = 1
        out = (share @ value.transpose(2, 3)).transpose(2, 3).reshape(count, -1, high, wide)
        out = self.proj_conv(out)
        if step > 1:
            out = F.interpolate(out, size=(x.shape[2], x.shape[3]), mode="bilinear", align_corners=False)
        return self.gamma * out + x

    def _energy(self, queries: Tensor, keys: Tensor) -> Tensor:
        """How much each of the queries sees each of the keys, (N, heads, H W, h w); of one query where all see the same."""
        heads, dim, terms = self.num_heads, self.dim, self.terms
        count, (high, wide), (h, w) = queries.shape[0], queries.shape[2:], keys.shape[2:]
        asked: Any = self.query_conv(queries).view(count, heads, dim, -1).transpose(2, 3) if terms.queries else 0
        energy: Any = 0
        if terms.keys:
            near = (asked if terms.content else 0) + (self.appr_bias.view(1, heads, 1, dim) if terms.key else 0)
            energy = near @ self.key_conv(keys).view(count, heads, dim, h * w)
        if terms.distances:
            check_square(terms, high, wide)
            far: Any = (asked if terms.place else 0) + (self.geom_bias.view(1, heads, 1, dim) if terms.distance else 0)
            far = far.expand(-1, -1, high * wide, -1).view(-1, heads, high, wide, dim)
            along = torch.einsum("nhyxd,xuhd->nhyxu", far, self._places(wide, w, self.appr_geom_fc_x, queries))
            far = far.transpose(2, 3) if terms.turned else far
            down = torch.einsum("nhyxd,yvhd->nhyxv", far, self._places(high, h, self.appr_geom_fc_y, queries))
            energy = energy + (down[..., None] + along[..., None, :]).reshape(-1, heads, high * wide, h * w)
        return energy.expand(count, -1, -1, -1)

    def _places(self, count: int, seen: int, layer: nn.Module, like: Tensor) -> Tensor:
        """(count, seen, heads, dim): what distances say."""
        waves = distance_waves(count, seen, self.q_stride, self.kv_stride, self.magnitude, self.waves // 2)
        known = torch.from_numpy(waves).to(like)
        return layer(known).view(count, seen, self.num_heads, self.dim) / 2**0.5
