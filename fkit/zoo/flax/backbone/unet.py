"""U-Net (Ronneberger et al. 2015), with mmseg's arguments and parameter names; channels last."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.brick import RELU
from fkit.backbone.unet import INIT, Rise, UNetPlan, rise_of
from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.conv import ConvTranspose2d
from fkit.backend.jax.layers import norm_layer
from fkit.backend.jax.resize import interpolate
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.small import check_channels

__all__ = ["UNet"]

Array = jax.Array


class _Convs(nn.Module):
    """3x3 convolutions, the first one with the stride, the others dilated."""

    out: int
    count: int
    stride: int
    dilation: int
    cfgs: Any

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        for at in range(self.count):
            step, dilation = (self.stride, 1) if at == 0 else (1, self.dilation)
            x = ConvModule(
                x.shape[-1], self.out, 3, stride=step, padding=dilation, dilation=dilation, name=f"convs_{at}",
                **self.cfgs,
            )(x, train)  # fmt: skip
        return x


class _Up(nn.Module):
    """What enlarges maps: ``interp_upsample`` or ``deconv_upsamping``, as mmseg spells them."""

    rise: Rise
    out: int
    cfgs: Any

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        options = self.rise.options
        if self.rise.kind == "DeconvModule":
            size, stride = options["kernel_size"], options["scale_factor"]
            deconv = ConvTranspose2d(
                self.out, (size, size), strides=(stride, stride), padding=(size - stride) // 2,
                name="deconv_upsamping_0",
            )  # fmt: skip
            norm: Any = norm_layer(self.cfgs["norm_cfg"])[1]("deconv_upsamping_1")
            return act_layer(self.cfgs["act_cfg"])("deconv_upsamping_2")(norm(deconv(x), train))
        first = options["conv_first"]
        x = x if first else self._larger(x)
        cfgs = {**self.cfgs, "conv_cfg": options["conv_cfg"]}
        x = ConvModule(
            x.shape[-1], self.out, options["kernel_size"], options["stride"], options["padding"],
            name=f"interp_upsample_{0 if first else 1}", **cfgs,
        )(x, train)  # fmt: skip
        return self._larger(x) if first else x

    def _larger(self, x: Array) -> Array:
        cfg: dict[str, Any] = {"scale_factor": 2, "mode": "bilinear", "align_corners": None}
        cfg |= self.rise.options["upsample_cfg"]
        factor = cfg["scale_factor"]
        size = (int(x.shape[1] * factor), int(x.shape[2] * factor))
        return interpolate(x, size, mode=cfg["mode"], align_corners=cfg["align_corners"])


class _Back(nn.Module):
    """A stage of the decoder: a map enlarged, that of the encoder beside it, and convolutions."""

    width: int
    convs: int
    dilation: int
    rise: Rise | None
    cfgs: Any
    torch_order: ClassVar[tuple[str, ...]] = ("conv_block", "upsample")

    @nn.compact
    def __call__(self, skip: Array, x: Array, train: bool = False) -> Array:
        if self.rise is None:
            x = ConvModule(x.shape[-1], self.width, 1, name="upsample", **self.cfgs)(x, train)
        else:
            x = _Up(self.rise, self.width, self.cfgs, name="upsample")(x, train)
        block = _Convs(self.width, self.convs, 1, self.dilation, self.cfgs, name="conv_block")
        return block(jnp.concatenate([skip, x], -1), train)


class UNet(nn.Module):
    """An encoder and a decoder that comes back to its maps: images (N, H, W, C) to a list of maps, the smallest first.

    Attributes:
        in_channels, base_channels, num_stages, strides, enc_num_convs, dec_num_convs, downsamples, enc_dilations,
            dec_dilations, with_cp, conv_cfg, norm_cfg, act_cfg, upsample_cfg, norm_eval, dcn, plugins, pretrained, init_cfg:
            as of torch's twin (`fkit.zoo.torch.backbone.unet.UNet`).
    """

    in_channels: int = 3
    base_channels: int = 64
    num_stages: int = 5
    strides: Sequence[int] = (1, 1, 1, 1, 1)
    enc_num_convs: Sequence[int] = (2, 2, 2, 2, 2)
    dec_num_convs: Sequence[int] = (2, 2, 2, 2)
    downsamples: Sequence[bool] = (True, True, True, True)
    enc_dilations: Sequence[int] = (1, 1, 1, 1, 1)
    dec_dilations: Sequence[int] = (1, 1, 1, 1)
    with_cp: bool = False
    conv_cfg: Any = None
    norm_cfg: Any = frozendict(type="BN")
    act_cfg: Any = RELU
    upsample_cfg: Any = frozendict(type="InterpConv")
    norm_eval: bool = False
    dcn: Any = None
    plugins: Any = None
    pretrained: Any = None
    init_cfg: Any = None
    torch_order: ClassVar[tuple[str, ...]] = ("encoder", "decoder")

    def __post_init__(self) -> None:
        if self.dcn is not None or self.plugins is not None:
            raise FkitValueError("UNet has no dcn and no plugins.", repair="Leave them out.")
        _ = self.plan, rise_of(self.upsample_cfg)
        super().__post_init__()

    @property
    def plan(self) -> UNetPlan:
        """The stages."""
        return UNetPlan.of(
            self.base_channels, self.num_stages, self.strides, self.enc_num_convs, self.dec_num_convs,
            self.downsamples, self.enc_dilations, self.dec_dilations,
        )  # fmt: skip

    @property
    def init_rules(self) -> Any:
        """``init_cfg``, or its default."""
        rules = init_cfg_of(self.pretrained, self.init_cfg, "UNet")
        return INIT if rules is None else rules

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> list[Array]:
        check_channels("UNet", x, self.in_channels)
        plan, moving = self.plan, train and not self.norm_eval
        plan.expect_size(x.shape[1], x.shape[2])
        cfgs = frozendict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        convs: Any = nn.remat(_Convs, static_argnums=(2,)) if self.with_cp else _Convs
        sides: list[Array] = []
        for at, stage in enumerate(plan.stages):
            x = nn.max_pool(x, (2, 2), (2, 2)) if stage.pools else x
            name = f"encoder_{at}_{int(stage.pools)}"
            x = convs(stage.width, stage.convs, stage.stride, stage.dilation, cfgs, name=name)(x, moving)
            sides.append(x)
        outs = [x]
        rise = rise_of(self.upsample_cfg)
        backs = [
            _Back(
                stage.width // 2, stage.back_convs, stage.back_dilation, rise if stage.rises else None, cfgs, name=name
            )
            for stage, name in zip(plan.stages[1:], (f"decoder_{at}" for at in range(len(sides) - 1)), strict=True)
        ]
        for at in reversed(range(len(backs))):
            x = backs[at](sides[at], x, moving)
            outs.append(x)
        return outs
