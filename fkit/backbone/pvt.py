"""The plan of a pyramid vision transformer (Wang et al. 2021 and 2022): widths, heads and reductions of its stages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from frozendict import frozendict

from fkit.backbone.patch import pair
from fkit.backbone.swin import spread
from fkit.tree.error import FkitValueError

__all__ = ["DEPTHWISE_INIT", "INIT", "PLACES_INIT", "PVTPlan", "PVTStage", "typed"]

# what init_weights of the reference does where there is no checkpoint
INIT = (
    frozendict(type="TruncNormal", layer="Linear", std=0.02),
    frozendict(type="Constant", layer="LayerNorm", val=1),
    frozendict(type="Kaiming", layer="Conv2d"),
)
PLACES_INIT = frozendict(type="TruncNormal", std=0.02, override=frozendict(name="pos_embed"))
# the fan of a filter a channel is that of the one filter
DEPTHWISE_INIT = frozendict(type="Kaiming", mode="fan_in", override=frozendict(name="layers.1"))

_EACH = ("num_layers", "num_heads", "patch_sizes", "strides", "paddings", "sr_ratios", "mlp_ratios")


class PVTStage(NamedTuple):
    """One stage: its patches' ``side``, ``stride`` and ``padding``, the ``grid`` that its positions are of, and its layers:
    ``rates`` of stochastic depth, one a layer, keys and values ``reduction`` times smaller down and across."""

    width: int
    heads: int
    hidden: int
    rates: tuple[float, ...]
    side: int
    stride: int
    padding: int
    reduction: int
    grid: tuple[int, int]


@dataclass(frozen=True)
class PVTPlan:
    """What a pyramid vision transformer's arguments come to.

    Attributes:
        stages: from the finest to the coarsest.
        outputs: the stages whose maps are given, in ascending order.

    Raises:
        FkitError: numbers of stages, heads or outputs that do not fit together.
    """

    stages: tuple[PVTStage, ...]
    outputs: tuple[int, ...]

    @classmethod
    def of(cls, name: str, image: Any, width: int, count: int, rate: float, outputs: Any, **each: Any) -> "PVTPlan":
        """The plan of a config's words; ``each`` has what there is one of a stage: num_layers, num_heads, patch_sizes,
        strides, paddings, sr_ratios, mlp_ratios."""
        rows: dict[str, tuple[int, ...]] = {}
        for word in _EACH:
            value = each[word]
            if not isinstance(value, (list, tuple)) or len(cast("Sequence[Any]", value)) != count:
                raise FkitValueError(f"{name}: {word}={value!r:.80}: one of each of the {count} stages (num_stages).")
            rows[word] = tuple(cast("Sequence[int]", value))
        if any(heads < 1 for heads in rows["num_heads"]):
            raise FkitValueError(f"{name}: num_heads={list(rows['num_heads'])}: at least 1.")
        chosen = (outputs,) if isinstance(outputs, int) else tuple(outputs)
        if not chosen or any(not 0 <= i < count for i in chosen):
            raise FkitValueError(f"{name}: out_indices={chosen}, but there are {count} stages.")
        sides = pair(tuple(image) * (3 - len(image)) if isinstance(image, (list, tuple)) else image)  # pyright: ignore[reportUnknownArgumentType]
        rates, start, shrunk = spread(rate, sum(rows["num_layers"])), 0, 1
        stages: list[PVTStage] = []
        for depth, heads, side, stride, padding, reduction, ratio in zip(*(rows[word] for word in _EACH), strict=True):
            wide, shrunk = width * heads, shrunk * side
            grid = (sides[0] // shrunk, sides[1] // shrunk)
            part = rates[start : start + depth]
            stages.append(PVTStage(wide, heads, int(ratio * wide), part, side, stride, padding, reduction, grid))
            start += depth
        return cls(tuple(stages), tuple(sorted(set(chosen))))


def typed(init_cfg: Any) -> Any:
    """An ``init_cfg`` in which a mapping that has ``checkpoint`` and no ``type`` is of type Pretrained.

    Example:
        >>> dict(typed({"checkpoint": "pvt_tiny.pth"}))
        {'type': 'Pretrained', 'checkpoint': 'pvt_tiny.pth'}
    """
    if isinstance(init_cfg, Mapping) and "type" not in init_cfg and "checkpoint" in init_cfg:
        return frozendict({"type": "Pretrained", **cast("Mapping[str, Any]", init_cfg)})
    return init_cfg
