"""RTMPose's head (Jiang et al. 2023): lines of keypoints that attend to each other."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backend.torch.drop import Dropout, DropPath
from fkit.backend.torch.ops import Torch
from fkit.catalog.build import Builder
from fkit.pose.attention import GAU, LINE_INIT, activation_of, drawn, gau_options, relative_places, rotated
from fkit.pose.deconv import expect_map
from fkit.pose.head import Lines
from fkit.pose.line import KL, WHOLE_BN, expect_pixels, line_sizes
from fkit.zoo.torch.brick import ConvModule

__all__ = ["ElementScale", "RTMCCBlock", "RTMCCHead", "RTMWHead", "ScaleNorm"]


class ScaleNorm(nn.Module):
    """Features by their root mean square, times ``g`` (Nguyen and Salazar 2019)."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.scale, self.eps = dim**-0.5, eps
        self.g = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True) * self.scale
        return x / norm.clamp(min=self.eps) * self.g


class ElementScale(nn.Module):
    """Features times ``scale``, a number each."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class RTMCCBlock(nn.Module):
    """A gated attention unit (Hua et al. 2022) over keypoints (N, K, C).

    Args:
        num_token: K, for relative places.
        in_token_dims, out_token_dims: C before and after; the input is added, times ``res_scale``, where they are equal.
        expansion_factor: channels inside over ``in_token_dims``.
        s: of queries and keys.
        eps: of `ScaleNorm`.
        dropout_rate, drop_path: of attention, and of the branch.
        attn_type: "self-attn"; or "cross-attn" on (queries, keys, values).
        act_fn: "ReLU" or "SiLU".
        bias: whether linear layers have one.
        use_rel_bias: a learned number a relative place.
        pos_enc: rotary positions.
    """

    w: Tensor
    a: Tensor
    b: Tensor

    def __init__(
        self,
        num_token: int,
        in_token_dims: int,
        out_token_dims: int,
        expansion_factor: float = 2,
        s: int = 128,
        eps: float = 1e-5,
        dropout_rate: float = 0.0,
        drop_path: float = 0.0,
        attn_type: str = "self-attn",
        act_fn: str = "SiLU",
        bias: bool = False,
        use_rel_bias: bool = True,
        pos_enc: bool = False,
    ) -> None:
        super().__init__()
        self.alone = attn_type == "self-attn"
        self.s, self.inner, self.pos_enc, self.use_rel_bias = (
            s,
            int(in_token_dims * expansion_factor),
            pos_enc,
            use_rel_bias,
        )
        names: list[str] = []
        if use_rel_bias:
            names += ["w"] if self.alone else ["a", "b"]
            for name in names:
                self.register_parameter(
                    name, nn.Parameter(torch.zeros(2 * num_token - 1) if self.alone else torch.zeros(1, s))
                )
        if self.alone:
            self.gamma, self.beta = nn.Parameter(torch.zeros(2, s)), nn.Parameter(torch.zeros(2, s))
            names += ["gamma", "beta"]
        self.start_cfg = drawn(*names) if names else None
        self.drop_path = DropPath(drop_path) if drop_path > 0 else None
        self.o = nn.Linear(self.inner, out_token_dims, bias=bias)
        self.uv = nn.Linear(in_token_dims, (2 if self.alone else 1) * self.inner + s, bias=bias)
        if not self.alone:
            self.k_fc = nn.Linear(in_token_dims, s, bias=bias)
            self.v_fc = nn.Linear(in_token_dims, self.inner, bias=bias)
        self.ln = ScaleNorm(in_token_dims, eps)
        self.act = F.silu if activation_of(act_fn) == "SiLU" else F.relu
        self.res_scale = ElementScale(in_token_dims) if in_token_dims == out_token_dims else None
        self.dropout = Dropout(dropout_rate) if dropout_rate > 0 else None

    def forward(self, inputs: Any) -> Tensor:
        x = inputs if self.alone else inputs[0]
        y = self._attended(x, inputs)
        y = y if self.drop_path is None else self.drop_path(y)
        return y if self.res_scale is None else self.res_scale(x) + y

    def _attended(self, x: Tensor, inputs: Any) -> Tensor:
        xp = Torch(x.device)
        uv = self.act(self.uv(self.ln(x)))
        if self.alone:
            u, v, base = torch.split(uv, [self.inner, self.inner, self.s], 2)
            both = base[:, :, None] * self.gamma + self.beta
            both = rotated(xp, both) if self.pos_enc else both
            q, k = both[:, :, 0], both[:, :, 1]
        else:
            u, q = torch.split(uv, [self.inner, self.s], 2)
            k, v = self.k_fc(inputs[1]), self.v_fc(inputs[2])
            q, k = (rotated(xp, one) if self.pos_enc else one for one in (q, k))
        scores = q @ k.transpose(1, 2)
        if self.use_rel_bias:
            scores = scores + self._bias(q.shape[1], k.shape[1], scores)
        kernel = F.relu(scores / math.sqrt(self.s)).square()
        kernel = kernel if self.dropout is None else self.dropout(kernel)
        return self.o(u * (kernel @ v))

    def _bias(self, queries: int, keys: int, like: Tensor) -> Tensor:
        if self.alone:
            places = torch.from_numpy(relative_places(queries)).to(like.device)
            return self.w[: 2 * queries - 1][places][None]
        xp = Torch(like.device)
        a, b = (
            rotated(xp, one.expand(1, count, self.s)) for one, count in ((self.a[None], queries), (self.b[None], keys))
        )
        return a @ b.transpose(1, 2)


def lined(who: str, layers: nn.Sequential, maps: Tensor) -> Tensor:
    """Maps (N, K, H, W), each as a row, by layers of so many numbers."""
    x, last = maps.flatten(2), layers[1]
    assert isinstance(last, nn.Linear)
    expect_pixels(who, x.shape[2], last.in_features)
    return layers(x)


class RTMCCHead(nn.Module):
    """Lines of keypoints by a convolution, linear layers and a gated attention unit; mmpose's RTMCCHead.

    Args:
        in_channels: of the last map.
        out_channels: keypoints.
        input_size: (width, height) of the model's input.
        in_featuremap_size: (width, height) of the map.
        simcc_split_ratio: bins to a pixel of the input.
        final_layer_kernel_size: of the convolution.
        gau_cfg: ``hidden_dims``, ``s``, ``expansion_factor``, ``dropout_rate``, ``drop_path``, ``act_fn``, ``use_rel_bias``,
            ``pos_enc``.
        loss: config of the loss.
        decoder: config of a codec, without which there are no predictions.
        init_cfg: rules for initial weights.

    ``forward(maps)``: (N, K, width * ratio) and (N, K, height * ratio).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        input_size: tuple[int, int],
        in_featuremap_size: tuple[int, int],
        simcc_split_ratio: float = 2.0,
        final_layer_kernel_size: int = 1,
        gau_cfg: Any = GAU,
        loss: Any = KL,
        decoder: Any = None,
        init_cfg: Any = None,
        *,
        build: Builder,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        self.init_cfg = LINE_INIT if init_cfg is None else init_cfg
        self.logic = Lines.of(build, who, loss, decoder, ratio=simcc_split_ratio)
        flat, across, down = line_sizes(who, in_channels, input_size, in_featuremap_size, simcc_split_ratio)
        options = gau_options(who, gau_cfg)
        hidden = gau_cfg["hidden_dims"]
        size = final_layer_kernel_size
        self.in_channels = in_channels
        self.final_layer = nn.Conv2d(in_channels, out_channels, size, padding=size // 2)
        self.mlp = nn.Sequential(ScaleNorm(flat), nn.Linear(flat, hidden, bias=False))
        self.gau = RTMCCBlock(out_channels, hidden, hidden, **options)
        self.cls_x = nn.Linear(hidden, across, bias=False)
        self.cls_y = nn.Linear(hidden, down, bias=False)

    def forward(self, maps: Any) -> tuple[Tensor, Tensor]:
        expect_map("RTMCCHead", maps[-1].shape[1], self.in_channels)
        x = self.gau(lined("RTMCCHead", self.mlp, self.final_layer(maps[-1])))
        return self.cls_x(x), self.cls_y(x)


class RTMWHead(nn.Module):
    """`RTMCCHead` of two maps, the coarser one enlarged beside the finer one (Jiang et al. 2024); mmpose's RTMWHead.

    Args:
        in_channels: of the coarser map; the finer one has half as many, and is twice as large.
        in_featuremap_size: (width, height) of the coarser map.
        out_channels, input_size, simcc_split_ratio, final_layer_kernel_size, gau_cfg, loss, decoder, init_cfg: see
            `RTMCCHead`.

    ``forward(maps)``: (N, K, width * ratio) and (N, K, height * ratio).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        input_size: tuple[int, int],
        in_featuremap_size: tuple[int, int],
        simcc_split_ratio: float = 2.0,
        final_layer_kernel_size: int = 1,
        gau_cfg: Any = GAU,
        loss: Any = KL,
        decoder: Any = None,
        init_cfg: Any = None,
        *,
        build: Builder,
    ) -> None:
        super().__init__()
        who, size = type(self).__name__, final_layer_kernel_size
        self.init_cfg = LINE_INIT if init_cfg is None else init_cfg
        self.logic = Lines.of(build, who, loss, decoder, ratio=simcc_split_ratio)
        flat, across, down = line_sizes(who, in_channels, input_size, in_featuremap_size, simcc_split_ratio)
        options, hidden = gau_options(who, gau_cfg), gau_cfg["hidden_dims"]
        more: dict[str, Any] = {"padding": size // 2, "norm_cfg": WHOLE_BN}
        quarter = in_channels // 4
        self.conv_dec = ConvModule(quarter, quarter, size, **more)
        self.in_channels = in_channels
        self.final_layer = ConvModule(in_channels, out_channels, size, **more)
        self.final_layer2 = ConvModule(in_channels // 2 + quarter, out_channels, size, **more)
        self.mlp = nn.Sequential(ScaleNorm(flat), nn.Linear(flat, hidden // 2, bias=False))
        self.mlp2 = nn.Sequential(ScaleNorm(flat * 4), nn.Linear(flat * 4, hidden // 2, bias=False))
        self.gau = RTMCCBlock(out_channels, hidden, hidden, **options)
        self.cls_x = nn.Linear(hidden, across, bias=False)
        self.cls_y = nn.Linear(hidden, down, bias=False)

    def forward(self, maps: Any) -> tuple[Tensor, Tensor]:
        fine, coarse = maps
        expect_map("RTMWHead", coarse.shape[1], self.in_channels)
        first = lined("RTMWHead", self.mlp, self.final_layer(coarse))
        whole = torch.cat([self.conv_dec(F.pixel_shuffle(coarse, 2)), fine], 1)
        second = lined("RTMWHead", self.mlp2, self.final_layer2(whole))
        x = self.gau(torch.cat([first, second], 2))
        return self.cls_x(x), self.cls_y(x)
