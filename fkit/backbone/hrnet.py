"""The plan of a high-resolution network (Sun et al. 2019): branches of several strides, and how they are mixed."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from fkit.backbone.resnet import BlockPlan, Convolution
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["HRStage", "fused_blocks", "hr_extra", "hr_stages", "transition"]

_BLOCKS = ("BASIC", "BOTTLENECK")
_KEYS = ("num_modules", "num_branches", "block", "num_blocks", "num_channels")
_WIDTHS = (18, 30, 32, 40, 44, 48, 64)  # of the finest branch of those with a name


class HRStage(NamedTuple):
    """A stage: ``modules`` times its branches and their mixing.

    Attributes:
        bottleneck: of which kind blocks are.
        blocks, planes: of each branch.
    """

    modules: int
    bottleneck: bool
    blocks: tuple[int, ...]
    planes: tuple[int, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each branch's maps."""
        return tuple(planes * (4 if self.bottleneck else 1) for planes in self.planes)

    def branch(self, place: int, inner: int | None = None) -> tuple[BlockPlan, ...]:
        """The blocks of a branch; ``inner`` are channels of what comes in, if others than go out."""
        planes, wide = self.planes[place], self.widths[place]
        first = wide if inner is None else inner
        plans: list[BlockPlan] = []
        for number in range(self.blocks[place]):
            start = first if number == 0 else wide
            if self.bottleneck:
                convs = (Convolution(start, planes, 1), Convolution(planes, planes, 3), Convolution(planes, wide, 1))
            else:
                convs = (Convolution(start, planes, 3), Convolution(planes, planes, 3))
            plans.append(BlockPlan(convs, 1 if start != wide else 0))
        return tuple(plans)

    def path(self, source: int, target: int) -> tuple[Convolution, ...]:
        """The convolutions from one branch's maps to another's: one of 1x1 to a finer, 3x3 with stride 2 to a coarser."""
        inner, wide = self.widths[source], self.widths[target]
        if source > target:
            return (Convolution(inner, wide, 1),)
        steps = target - source
        return tuple(Convolution(inner, wide if k == steps - 1 else inner, 3, 2) for k in range(steps))


def hr_extra(arch: str) -> dict[str, Any]:
    """HRNet's ``extra`` of an architecture with a name: "w18" to "w64", by the channels of its finest branch.

    Raises:
        FkitValueError: another name.

    Example:
        >>> hr_extra("w18")["stage3"]["num_channels"]
        (18, 36, 72)
    """
    names = [f"w{width}" for width in _WIDTHS]
    if arch not in names:
        raise FkitValueError(f"HRNet: arch={arch!r}.", value=str(arch), choices=names, label="Architectures")
    width = int(arch[1:])
    extra: dict[str, Any] = {"stage1": dict(zip(_KEYS, (1, 1, "BOTTLENECK", (4,), (64,)), strict=True))}
    for count, modules in ((2, 1), (3, 4), (4, 3)):
        planes = tuple(width * 2**i for i in range(count))
        extra[f"stage{count}"] = dict(zip(_KEYS, (modules, count, "BASIC", (4,) * count, planes), strict=True))
    return extra


def hr_stages(extra: Any) -> tuple[HRStage, ...]:
    """The four stages of HRNet's ``extra``.

    Raises:
        FkitError: a stage or one of its words is missing, or its numbers do not fit together.
    """
    return tuple(_stage(extra, f"stage{number}") for number in range(1, 5))


def _stage(extra: Any, name: str) -> HRStage:
    whole = dict(cast("Mapping[str, Any]", extra)) if isinstance(extra, Mapping) else {}
    cfg: Any = whole.get(name)
    if not isinstance(cfg, Mapping):
        raise FkitTypeError(f"HRNet: extra needs the dicts stage1 to stage4; {name} is {cfg!r:.60}.")
    options: dict[str, Any] = dict(cast("Mapping[str, Any]", cfg))
    for key in _KEYS:
        if key not in options:
            raise FkitTypeError(f"HRNet: extra.{name} needs {key!r}.", choices=_KEYS, label="Keys")
    count, block = options["num_branches"], options["block"]
    blocks, planes = tuple(options["num_blocks"]), tuple(options["num_channels"])
    if len(blocks) != count or len(planes) != count:
        raise FkitValueError(
            f"HRNet: extra.{name} has {count} branches, {len(blocks)} num_blocks and {len(planes)} num_channels.",
            repair="Give one of each a branch.",
        )
    if block not in _BLOCKS:
        raise FkitValueError(f"HRNet: extra.{name}.block={block!r}.", value=str(block), choices=_BLOCKS, label="Blocks")
    return HRStage(options["num_modules"], block == "BOTTLENECK", blocks, planes)


def transition(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[tuple[Convolution, ...], ...]:
    """What each branch of the next stage begins with: nothing (an empty row), one convolution that keeps the size, or, for a
    new branch, convolutions with stride 2."""
    rows: list[tuple[Convolution, ...]] = []
    for i, width in enumerate(after):
        if i < len(before):
            rows.append(() if before[i] == width else (Convolution(before[i], width, 3),))
        else:
            steps = i + 1 - len(before)
            rows.append(
                tuple(Convolution(before[-1], width if k == steps - 1 else before[-1], 3, 2) for k in range(steps))
            )
    return tuple(rows)


def fused_blocks(widths: Any) -> tuple[BlockPlan, ...]:
    """The bottlenecks that widen the maps of a classifier's HRNet, to 128, 256, 512 and 1024 channels.

    Raises:
        FkitValueError: there are no maps, or more than four.

    Example:
        >>> [plan.width for plan in fused_blocks((18, 36))]
        [128, 256]
    """
    if not isinstance(widths, (list, tuple)) or not 1 <= len(widths) <= 4:  # pyright: ignore[reportUnknownArgumentType]
        raise FkitValueError(f"HRFuseScales: in_channels={widths!r:.80}: those of 1 to 4 maps.")
    plans: list[BlockPlan] = []
    for i, inner in enumerate(cast("tuple[int, ...]", widths)):
        width = 128 * 2**i
        convs = (
            Convolution(inner, width // 4, 1),
            Convolution(width // 4, width // 4, 3),
            Convolution(width // 4, width, 1),
        )
        plans.append(BlockPlan(convs, int(inner != width)))
    return tuple(plans)
