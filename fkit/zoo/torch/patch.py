"""Images to patches and back: padding, embedding and merging, with OpenMMLab's arguments and names."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backbone.patch import out_size, pad_of, pair
from fkit.backend.torch.layers import conv_layer, norm_layer
from fkit.tree.error import FkitValueError

__all__ = ["AdaptivePadding", "PatchEmbed", "PatchMerging"]


class AdaptivePadding(nn.Module):
    """Zeros around images (N, C, H, W), so that windows cover them all.

    Args:
        padding: "corner" puts them at the right and the bottom, "same" on all sides.
    """

    def __init__(self, kernel_size: Any = 1, stride: Any = 1, dilation: Any = 1, padding: str = "corner") -> None:
        super().__init__()
        if padding not in ("same", "corner"):
            raise FkitValueError(
                f"AdaptivePadding: padding={padding!r}.", value=padding, choices=("same", "corner"), label="Ways"
            )
        self.padding = padding
        self.kernel_size, self.stride, self.dilation = pair(kernel_size), pair(stride), pair(dilation)

    def get_pad_shape(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of zeros for images of a (height, width)."""
        return pad_of(size, self.kernel_size, self.stride, self.dilation)

    def forward(self, x: Tensor) -> Tensor:
        down, right = self.get_pad_shape((x.shape[-2], x.shape[-1]))
        if not (down or right):
            return x
        top, left = (down // 2, right // 2) if self.padding == "same" else (0, 0)
        return F.pad(x, (left, right - left, top, down - top))


class PatchEmbed(nn.Module):
    """Images (N, C, H, W) to patches (N, L, ``embed_dims``) and their (rows, columns), by a convolution ``projection``.

    Args:
        padding: of the convolution, or a way of `AdaptivePadding`.
        norm_cfg: of the norm after it; None is none.
        input_size: of images; ``init_out_size`` then tells their rows and columns of patches.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: int = 768,
        conv_type: str = "Conv2d",
        kernel_size: Any = 16,
        stride: Any = 16,
        padding: Any = "corner",
        dilation: Any = 1,
        bias: bool = True,
        norm_cfg: Any = None,
        input_size: Any = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        self.embed_dims = embed_dims
        kernel, step, dilation = pair(kernel_size), pair(kernel_size if stride is None else stride), pair(dilation)
        adaptive = isinstance(padding, str)
        self.adap_padding = AdaptivePadding(kernel, step, dilation, padding) if adaptive else None
        inner = (0, 0) if adaptive else pair(padding)
        self.projection = conv_layer(
            {"type": conv_type or "Conv2d"}, in_channels, embed_dims, kernel, stride=step, padding=inner,
            dilation=dilation, bias=bias,
        )  # fmt: skip
        self.norm = None if norm_cfg is None else norm_layer(norm_cfg, embed_dims)[1]
        self.init_input_size = None if not input_size else pair(input_size)
        self.init_out_size = out_size(self.init_input_size, kernel, step, inner, dilation, adaptive)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        if self.adap_padding is not None:
            x = self.adap_padding(x)
        x = self.projection(x)
        size = (x.shape[2], x.shape[3])
        x = x.flatten(2).transpose(1, 2)
        return x if self.norm is None else self.norm(x), size


class PatchMerging(nn.Module):
    """Patches (N, L, C) of a (rows, columns), windows of them merged into one: norm, then ``reduction``.

    A merged patch has its window's pixels of the first channel first, row by row.

    Args:
        stride: of windows; None is ``kernel_size``.
        padding: as `PatchEmbed`'s.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any = 2,
        stride: Any = None,
        padding: Any = "corner",
        dilation: Any = 1,
        bias: bool = False,
        norm_cfg: Any = {"type": "LN"},  # noqa: B006
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel, self.stride, self.dilation = pair(kernel_size), pair(stride or kernel_size), pair(dilation)
        adaptive = isinstance(padding, str)
        self.adap_padding = AdaptivePadding(self.kernel, self.stride, self.dilation, padding) if adaptive else None
        self.inner = (0, 0) if adaptive else pair(padding)
        width = self.kernel[0] * self.kernel[1] * in_channels
        self.norm = None if norm_cfg is None else norm_layer(norm_cfg, width)[1]
        self.reduction = nn.Linear(width, out_channels, bias=bias)

    def forward(self, x: Tensor, size: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
        count, _, width = x.shape
        x = x.view(count, size[0], size[1], width).permute(0, 3, 1, 2)
        if self.adap_padding is not None:
            x = self.adap_padding(x)
        rows, columns = after = out_size((x.shape[2], x.shape[3]), self.kernel, self.stride, self.inner, self.dilation)
        if self.kernel == self.stride and self.inner == (0, 0) and self.dilation == (1, 1):
            high, wide = self.kernel
            x = x[:, :, : rows * high, : columns * wide].reshape(count, width, rows, high, columns, wide)
            x = x.permute(0, 2, 4, 1, 3, 5).reshape(count, rows * columns, -1)
        else:
            x = F.unfold(x, self.kernel, self.dilation, self.inner, self.stride).transpose(1, 2)
        x = x if self.norm is None else self.norm(x)
        return self.reduction(x), after
