"""U-Net's stages, and how its decoder enlarges maps."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from frozendict import frozendict

from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["INIT", "Rise", "UNetPlan", "UNetStage", "rise_of"]

INIT = (
    frozendict(type="Kaiming", layer="Conv2d"),
    frozendict(type="Constant", val=1, layer=("_BatchNorm", "GroupNorm")),
)
_INTERP = frozendict(
    conv_cfg=None,
    conv_first=False,
    kernel_size=1,
    stride=1,
    padding=0,
    upsample_cfg=frozendict(scale_factor=2, mode="bilinear", align_corners=False),
)
_DECONV = frozendict(kernel_size=4, scale_factor=2)


class UNetStage(NamedTuple):
    """A stage of the encoder, and of the decoder that comes back from it.

    Attributes:
        width: its channels.
        stride, convs, dilation: of the encoder's convolutions.
        pools: whether pooling comes before them.
        rises: whether the decoder enlarges what it gives.
        back_convs, back_dilation: of the decoder's convolutions.
    """

    width: int
    stride: int
    convs: int
    dilation: int
    pools: bool
    rises: bool
    back_convs: int
    back_dilation: int


class UNetPlan(NamedTuple):
    """All stages, and what the sides of an image are multiples of."""

    stages: tuple[UNetStage, ...]
    divisor: int

    @staticmethod
    def of(
        base: int,
        count: int,
        strides: Sequence[int],
        convs: Sequence[int],
        back_convs: Sequence[int],
        downsamples: Sequence[bool],
        dilations: Sequence[int],
        back_dilations: Sequence[int],
    ) -> "UNetPlan":
        """The plan.

        Raises:
            FkitTypeError: a list is not of a number a stage, or a stage but the first.

        Example:
            >>> UNetPlan.of(4, 2, (1, 1), (2, 2), (2,), (True,), (1, 1), (1,)).divisor
            2
        """
        lists = (
            ("strides", strides, count), ("enc_num_convs", convs, count), ("dec_num_convs", back_convs, count - 1),
            ("downsamples", downsamples, count - 1), ("enc_dilations", dilations, count),
            ("dec_dilations", back_dilations, count - 1),
        )  # fmt: skip
        for name, values, length in lists:
            if len(values) != length:
                raise FkitTypeError(f"UNet: {name} has {len(values)} items, and num_stages={count} takes {length}.")
        stages: list[UNetStage] = []
        divisor = 1
        for at in range(count):
            down = at > 0 and bool(downsamples[at - 1])
            rises = at > 0 and (strides[at] != 1 or down)
            pools = down and strides[at] == 1
            divisor *= 2 if at > 0 and (strides[at] == 2 or down) else 1
            back = (back_convs[at - 1], back_dilations[at - 1]) if at else (0, 1)
            stages.append(UNetStage(base * 2**at, strides[at], convs[at], dilations[at], pools, rises, *back))
        return UNetPlan(tuple(stages), divisor)

    def expect_size(self, height: int, width: int) -> None:
        """Refuses an image that the stages do not divide.

        Raises:
            FkitValueError: a side is no multiple.
        """
        if height % self.divisor or width % self.divisor:
            raise FkitValueError(
                f"UNet: an image of {height} x {width}, but its stages halve it down to 1 / {self.divisor}.",
                repair=f"Pad it: data_preprocessor.test_cfg=dict(size_divisor={self.divisor}).",
            )


class Rise(NamedTuple):
    """How maps are enlarged.

    Attributes:
        kind: "InterpConv" or "DeconvModule".
        options: its arguments, with those it has by default.
    """

    kind: str
    options: Mapping[str, Any]


def rise_of(cfg: Any) -> Rise:
    """What ``upsample_cfg`` says.

    Raises:
        FkitError: an unknown type or argument.

    Example:
        >>> rise_of({"type": "DeconvModule"}).options["kernel_size"]
        4
    """
    options = dict(cfg)
    kind = str(options.pop("type", "")).rpartition(".")[2]
    known: dict[str, Mapping[str, Any]] = {"InterpConv": _INTERP, "DeconvModule": _DECONV}
    if kind not in known:
        raise FkitValueError(f"UNet: upsample_cfg.type={kind!r} is unknown.", value=kind, choices=tuple(known))
    for name in options:
        if name not in known[kind]:
            raise FkitTypeError(f"upsample_cfg: {kind} takes no argument {name!r}.", value=name, choices=known[kind])
    whole: dict[str, Any] = {**known[kind], **options}
    if kind == "DeconvModule":
        more = whole["kernel_size"] - whole["scale_factor"]
        if more < 0 or more % 2:
            raise FkitValueError(
                f"DeconvModule: kernel_size={whole['kernel_size']} is scale_factor={whole['scale_factor']} and an even "
                "number more."
            )
    return Rise(kind, frozendict(whole))
