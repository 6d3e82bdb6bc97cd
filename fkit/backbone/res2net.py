"""The plan of a Res2Net (Gao et al. 2019): bottlenecks whose 3x3 convolution is several, one after the other, of a part of the
channels each."""

from typing import Any

from fkit.backbone.resnet import BlockPlan, stages
from fkit.tree.error import FkitValueError

__all__ = ["res2_stages"]

_DEPTHS = (50, 101, 152)


def res2_stages(
    name: str, scales: int, base_width: int, *, depth: int, base: int, **more: Any
) -> tuple[tuple[BlockPlan, ...], ...]:
    """The blocks of each stage: of three convolutions the second is of one of ``scales`` parts of the channels.

    Args:
        base_width: channels of a part, a 64 of width (of ``base``).
        more: as `fkit.backbone.resnet.stages` has it.

    Raises:
        FkitError: arguments outside what is allowed, or that do not fit together.
    """
    if scales < 2:
        raise FkitValueError(f"{name}: scales={scales}: at least 2.")
    if depth not in _DEPTHS:
        raise FkitValueError(f"{name}: depth={depth}.", choices=[str(one) for one in _DEPTHS], label="Depths")
    plans = stages(name, depth=depth, base=base, **more)
    return tuple(
        tuple(_split(plan, int(base * 2**i * (base_width / base)), scales) for plan in stage)
        for i, stage in enumerate(plans)
    )


def _split(plan: BlockPlan, width: int, scales: int) -> BlockPlan:
    one, two, three = plan.convs
    inside = width * scales
    convs = (one._replace(width=inside), two._replace(inner=width, width=width), three._replace(inner=inside))
    return plan._replace(convs=convs)
