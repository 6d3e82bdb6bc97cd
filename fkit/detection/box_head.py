"""What the box heads of both backends have in common beside their logic: defaults, initial weights, and what is refused."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from frozendict import frozendict

from fkit.backbone.resnet import BlockPlan, Convolution
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = [
    "BOX_CODER",
    "BOX_LOSS",
    "CLASS_LOSS",
    "DOUBLE_INIT",
    "LINEAR",
    "bottleneck",
    "box_init",
    "check_box_type",
    "check_counts",
    "pair_of_size",
    "predictor",
]

BOX_CODER = frozendict(
    type="DeltaXYWHBBoxCoder",
    clip_border=True,
    target_means=(0.0, 0.0, 0.0, 0.0),
    target_stds=(0.1, 0.1, 0.2, 0.2),
)
CLASS_LOSS = frozendict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0)
BOX_LOSS = frozendict(type="SmoothL1Loss", beta=1.0, loss_weight=1.0)
LINEAR = frozendict(type="Linear")
DOUBLE_INIT = frozendict(
    type="Normal",
    override=(
        frozendict(type="Normal", name="fc_cls", std=0.01),
        frozendict(type="Normal", name="fc_reg", std=0.001),
        frozendict(type="Xavier", name="fc_branch", distribution="uniform"),
    ),
)

_LINEARS = ("Linear", "NormedLinear")


def predictor(cfg: Any) -> tuple[str, dict[str, Any]]:
    """The type of a linear layer and its own arguments.

    Raises:
        FkitError: it is another type, or no config.

    Example:
        >>> predictor({"type": "NormedLinear", "tempearture": 20})
        ('NormedLinear', {'tempearture': 20})
    """
    if not isinstance(cfg, Mapping):
        raise FkitTypeError(f"a predictor is a config such as dict(type='Linear'), not {cfg!r}.")
    options = dict(cast("Mapping[str, Any]", cfg))
    kind = str(options.pop("type", "Linear"))
    if kind not in _LINEARS:
        raise FkitValueError(f"a predictor of type {kind!r}.", value=kind, choices=_LINEARS, label="Layers")
    return kind, options


def pair_of_size(size: Any) -> tuple[int, int]:
    """(h, w) of one number or two.

    Raises:
        FkitValueError: it is neither.

    Example:
        >>> pair_of_size(7), pair_of_size([14, 7])
        ((7, 7), (14, 7))
    """
    both = cast("Sequence[Any]", size) if isinstance(size, (tuple, list)) else (size, size)
    if len(both) != 2 or not all(isinstance(side, int) and side > 0 for side in both):
        raise FkitValueError(f"roi_feat_size={size!r}, but it is one or two whole numbers from 1.")
    return int(both[0]), int(both[1])


def box_init(with_cls: bool, with_reg: bool, layers: Sequence[str] = ()) -> tuple[Any, ...]:
    """MMDetection's rules for the initial weights of a box head.

    Args:
        layers: children that hold linear layers beside the predictors.

    Example:
        >>> len(box_init(True, True, ("shared_fcs",)))
        3
    """
    rules: list[Any] = []
    for there, name, std in ((with_cls, "fc_cls", 0.01), (with_reg, "fc_reg", 0.001)):
        if there:
            rules.append(frozendict(type="Normal", std=std, override=frozendict(name=name)))
    if layers:
        override = tuple(frozendict(name=name) for name in layers)
        rules.append(frozendict(type="Xavier", distribution="uniform", override=override))
    return tuple(rules)


def check_counts(counts: Sequence[int], with_cls: bool, with_reg: bool) -> None:
    """Refuse numbers of layers that do not go together.

    Args:
        counts: of shared convolutions and linear layers, of those for classes, of those for boxes.

    Raises:
        FkitValueError: with what does not go.
    """
    if sum(counts) == 0:
        raise FkitValueError("ConvFCBBoxHead has no layers.", repair="Give num_shared_fcs, num_shared_convs, ...")
    if counts[1] and (counts[2] or counts[4]):
        raise FkitValueError(
            "ConvFCBBoxHead: convolutions for classes or boxes alone come after linear layers for both.",
            repair="Set num_shared_fcs=0.",
        )
    for there, name, mine in ((with_cls, "cls", counts[2:4]), (with_reg, "reg", counts[4:6])):
        if not there and sum(mine):
            raise FkitValueError(f"ConvFCBBoxHead: with_{name}=False, but there are layers for that branch.")


def check_box_type(kind: str) -> None:
    """Refuse boxes that are not upright.

    Raises:
        FkitValueError: they are of another type than "hbox".
    """
    if kind != "hbox":
        raise FkitValueError(f"predict_box_type={kind!r}, but boxes are of type 'hbox'.")


def bottleneck(width: int) -> BlockPlan:
    """A residual block of 1x1, 3x3 and 1x1 that keeps its channels.

    Example:
        >>> [conv.size for conv in bottleneck(64).convs]
        [1, 3, 1]
    """
    inner = width // 4
    return BlockPlan((Convolution(width, inner, 1), Convolution(inner, inner, 3), Convolution(inner, width, 1)), 0)
