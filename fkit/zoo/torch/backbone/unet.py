"""U-Net (Ronneberger et al. 2015), with mmseg's arguments and parameter names."""

from collections.abc import Sequence
from typing import Any

from frozendict import frozendict
from torch import Tensor, cat, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from fkit.backbone.brick import RELU
from fkit.backbone.unet import INIT, Rise, UNetPlan, rise_of
from fkit.backend.torch.activation import act_layer
from fkit.backend.torch.layers import norm_layer
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.brick import ConvModule

__all__ = ["UNet"]

_BN = frozendict(type="BN")
_RISE = frozendict(type="InterpConv")


class _Convs(nn.Module):
    """3x3 convolutions, the first one with the stride, the others dilated."""

    def __init__(
        self, wide: int, out: int, count: int, stride: int, dilation: int, with_cp: bool, cfgs: dict[str, Any]
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        first = ConvModule(wide, out, 3, stride=stride, padding=1, **cfgs)
        rest = [ConvModule(out, out, 3, padding=dilation, dilation=dilation, **cfgs) for _ in range(count - 1)]
        self.convs = nn.Sequential(first, *rest)

    def forward(self, x: Tensor) -> Tensor:
        if self.with_cp and x.requires_grad:
            return checkpoint(self.convs, x, use_reentrant=False)  # type: ignore[return-value]
        return self.convs(x)


class _Larger(nn.Module):
    """Maps resized by a factor."""

    def __init__(self, scale_factor: float = 2, mode: str = "bilinear", align_corners: bool | None = None) -> None:
        super().__init__()
        self.scale_factor, self.mode, self.align_corners = scale_factor, mode, align_corners

    def forward(self, x: Tensor) -> Tensor:
        size = [int(side * self.scale_factor) for side in x.shape[2:]]
        return F.interpolate(x, size, mode=self.mode, align_corners=self.align_corners)


class _Up(nn.Module):
    """What enlarges maps: ``interp_upsample`` or ``deconv_upsamping``, as mmseg spells them."""

    def __init__(self, rise: Rise, wide: int, out: int, cfgs: dict[str, Any]) -> None:
        super().__init__()
        options = rise.options
        norm_cfg, act_cfg = cfgs["norm_cfg"], cfgs["act_cfg"]
        if rise.kind == "DeconvModule":
            size, stride = options["kernel_size"], options["scale_factor"]
            deconv = nn.ConvTranspose2d(wide, out, size, stride, (size - stride) // 2)
            self.deconv_upsamping = nn.Sequential(deconv, norm_layer(norm_cfg, out)[1], act_layer(act_cfg))
            return
        conv = ConvModule(
            wide, out, options["kernel_size"], options["stride"], options["padding"], conv_cfg=options["conv_cfg"],
            norm_cfg=norm_cfg, act_cfg=act_cfg,
        )  # fmt: skip
        larger = _Larger(**options["upsample_cfg"])
        self.interp_upsample = nn.Sequential(*((conv, larger) if options["conv_first"] else (larger, conv)))

    def forward(self, x: Tensor) -> Tensor:
        (layers,) = self.children()
        return layers(x)


class _Back(nn.Module):
    """A stage of the decoder: a map enlarged, that of the encoder beside it, and convolutions."""

    def __init__(self, convs: _Convs, upsample: nn.Module) -> None:
        super().__init__()
        self.conv_block = convs
        self.upsample = upsample

    def forward(self, skip: Tensor, x: Tensor) -> Tensor:
        return self.conv_block(cat([skip, self.upsample(x)], 1))


class UNet(nn.Module):
    """An encoder and a decoder that comes back to its maps: images (N, C, H, W) to a list of maps, the smallest first.

    Args:
        in_channels, base_channels: of the images, and of the first stage; each next one has twice as many.
        num_stages, strides, enc_num_convs, enc_dilations: stages of the encoder, and their convolutions.
        dec_num_convs, dec_dilations: those of the decoder.
        downsamples: whether each stage but the first is of half the size.
        with_cp: recompute convolutions in the backward pass to save memory.
        conv_cfg, norm_cfg, act_cfg: layers.
        upsample_cfg: ``type`` "InterpConv" or "DeconvModule", and its arguments.
        norm_eval: batch norms stay in evaluation mode.
        dcn, plugins: None.
        pretrained: OpenMMLab's older form of ``init_cfg=dict(type="Pretrained", checkpoint=...)``.
        init_cfg: rules for initial weights; None is Kaiming for convolutions and 1 for norms.

    Raises:
        FkitError: lists that do not fit the number of stages.
    """

    def __init__(
        self,
        in_channels: int = 3,
        base_channels: int = 64,
        num_stages: int = 5,
        strides: Sequence[int] = (1, 1, 1, 1, 1),
        enc_num_convs: Sequence[int] = (2, 2, 2, 2, 2),
        dec_num_convs: Sequence[int] = (2, 2, 2, 2),
        downsamples: Sequence[bool] = (True, True, True, True),
        enc_dilations: Sequence[int] = (1, 1, 1, 1, 1),
        dec_dilations: Sequence[int] = (1, 1, 1, 1),
        with_cp: bool = False,
        conv_cfg: Any = None,
        norm_cfg: Any = _BN,
        act_cfg: Any = RELU,
        upsample_cfg: Any = _RISE,
        norm_eval: bool = False,
        dcn: Any = None,
        plugins: Any = None,
        pretrained: Any = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        if dcn is not None or plugins is not None:
            raise FkitValueError("UNet has no dcn and no plugins.", repair="Leave them out.")
        rules = init_cfg_of(pretrained, init_cfg, "UNet")
        self.init_cfg = INIT if rules is None else rules
        self.norm_eval = norm_eval
        self.plan = UNetPlan.of(
            base_channels, num_stages, strides, enc_num_convs, dec_num_convs, downsamples, enc_dilations, dec_dilations
        )
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        rise = rise_of(upsample_cfg)
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        for at, stage in enumerate(self.plan.stages):
            convs = _Convs(in_channels, stage.width, stage.convs, stage.stride, stage.dilation, with_cp, cfgs)
            self.encoder.append(nn.Sequential(*([nn.MaxPool2d(2)] if stage.pools else []), convs))
            if at:
                below = stage.width // 2
                up = _Up(rise, stage.width, below, cfgs) if stage.rises else ConvModule(stage.width, below, 1, **cfgs)
                back = _Convs(2 * below, below, stage.back_convs, 1, stage.back_dilation, with_cp, cfgs)
                self.decoder.append(_Back(back, up))
            in_channels = stage.width

    def forward(self, x: Tensor) -> list[Tensor]:
        self.plan.expect_size(x.shape[2], x.shape[3])
        sides: list[Tensor] = []
        for stage in self.encoder:
            x = stage(x)
            sides.append(x)
        outs = [x]
        for at in reversed(range(len(self.decoder))):
            x = self.decoder[at](sides[at], x)
            outs.append(x)
        return outs

    def train(self, mode: bool = True) -> "UNet":
        """Training mode, but for batch norms where ``norm_eval``."""
        super().train(mode)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):  # pyright: ignore[reportPrivateUsage]
                    module.eval()
        return self
