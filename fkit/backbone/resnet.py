"""The plan of a ResNet (He et al. 2016) or ResNeXt (Xie et al. 2017): what each block is made of."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from frozendict import frozendict

from fkit.backbone.swin import spread
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["INIT", "NORM", "BlockPlan", "Convolution", "Plugin", "one_stage", "stages"]

INIT = (
    frozendict(type="Kaiming", layer="Conv2d"),
    frozendict(type="Constant", val=1, layer=("_BatchNorm", "GroupNorm")),
)
NORM = frozendict(type="BN", requires_grad=True)
_FALLBACK = "fallback_on_stride"
_STYLES = ("pytorch", "caffe")
_POSITIONS = ("after_conv1", "after_conv2", "after_conv3")
# depth, whether blocks are bottlenecks, blocks a stage
_DEPTHS = (
    (18, False, (2, 2, 2, 2)),
    (34, False, (3, 4, 6, 3)),
    (50, True, (3, 4, 6, 3)),
    (101, True, (3, 4, 23, 3)),
    (152, True, (3, 8, 36, 3)),
)


class Convolution(NamedTuple):
    """One convolution of a block. ``cfg`` is a deformable layer's, or None for the network's ``conv_cfg``."""

    inner: int
    width: int
    size: int
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    cfg: Any = None

    @property
    def padding(self) -> int:
        """On both sides: a stride of 1 keeps the size."""
        return self.size // 2 * self.dilation


class Plugin(NamedTuple):
    """A layer after the convolution of this number (from 1), its config, and what its name ends in."""

    after: int
    cfg: Any
    postfix: Any = ""


class BlockPlan(NamedTuple):
    """A residual block: ``shortcut`` is the stride of the shortcut's convolution, 0 where there is none;
    ``rate`` is its stochastic depth's."""

    convs: tuple[Convolution, ...]
    shortcut: int
    plugins: tuple[Plugin, ...] = ()
    rate: float = 0.0

    @property
    def inner(self) -> int:
        """Channels of what comes in."""
        return self.convs[0].inner

    @property
    def width(self) -> int:
        """Channels of what goes out."""
        return self.convs[-1].width


def stages(
    name: str,
    *,
    depth: int,
    stem: int,
    base: int,
    count: int,
    strides: Any,
    dilations: Any,
    outputs: Any,
    style: str,
    conv_cfg: Any = None,
    dcn: Any = None,
    stage_with_dcn: Any = (False,) * 4,
    plugins: Any = None,
    multi_grid: Any = None,
    contract_dilation: bool = False,
    groups: int = 1,
    base_width: int = 4,
    expansion: int | None = None,
    drop_path_rate: float = 0.0,
    falls_back: bool = False,
    known: Mapping[int, tuple[int, ...]] | None = None,
) -> tuple[tuple[BlockPlan, ...], ...]:
    """The blocks of each stage.

    Args:
        name: of the network, for messages.
        stem: channels of what the first stage gets.
        base: channels of the first stage's inner convolutions.
        count: of stages.
        known: of a network of bottlenecks with depths of its own, how many blocks a stage has by depth.
        falls_back: whether ``dcn``'s ``fallback_on_stride`` says anything; else it is taken and changes nothing.

    Raises:
        FkitError: arguments outside what is allowed, or that do not fit together.
    """
    if known is None:
        bottleneck, counts = _blocks(name, depth, groups)
    elif depth in known:
        bottleneck, counts = True, known[depth]
    else:
        raise FkitValueError(f"{name}: depth={depth}.", choices=[str(number) for number in known], label="Depths")
    _check(name, count, strides, dilations, outputs, style)
    _check_dcn(name, dcn, stage_with_dcn, count, conv_cfg, bottleneck)
    if plugins is not None and not bottleneck:
        raise FkitValueError(f"{name}: plugins stand in bottlenecks, and depth={depth} has none.")
    factor = (4 if bottleneck else 1) if expansion is None else expansion
    rates = iter(spread(drop_path_rate, sum(counts[:count])))
    layers = _deformed(dcn, stage_with_dcn, counts[:count], falls_back)
    inner, plans = stem, list[tuple[BlockPlan, ...]]()
    for i in range(count):
        planes = base * 2**i
        wide, blocks = planes * factor, list[BlockPlan]()
        more = _plugins(name, plugins, i, count)
        gaps = _dilations(name, dilations[i], counts[i], multi_grid if i == count - 1 else None, contract_dilation)
        for j, (gap, layer) in enumerate(zip(gaps, layers[i], strict=True)):
            stride = strides[i] if j == 0 else 1
            shortcut = stride if j == 0 and (stride != 1 or inner != wide) else 0
            if bottleneck:
                mid = planes if groups == 1 else int(planes * (base_width / base)) * groups
                convs = _bottleneck((inner, mid, wide), stride, gap, style, groups, layer)
            else:
                convs = (Convolution(inner, planes, 3, stride, gap), Convolution(planes, wide, 3))
            blocks.append(BlockPlan(convs, shortcut, more, next(rates)))
            inner = wide
        plans.append(tuple(blocks))
    return tuple(plans)


def one_stage(
    name: str, depth: int, stage: int, stride: int, dilation: int, style: str, dcn: Any
) -> tuple[BlockPlan, ...]:
    """The blocks of one stage of a ResNet, from 1 (its second) to 3, as mmdet's shared heads have it.

    Raises:
        FkitError: arguments outside what is allowed.

    Example:
        >>> [block.width for block in one_stage("ResLayer", 50, 3, 2, 1, "caffe", None)]
        [2048, 2048, 2048]
    """
    if stage not in (1, 2, 3):
        raise FkitValueError(f"{name}: stage={stage}.", choices=("1", "2", "3"), label="Stages")
    before = (1,) * stage
    return stages(
        name, depth=depth, stem=64, base=64, count=stage + 1, strides=(*before, stride), dilations=(*before, dilation),
        outputs=(stage,), style=style, dcn=dcn, stage_with_dcn=(*(False,) * stage, dcn is not None), falls_back=True,
    )[-1]  # fmt: skip


class StageOptions(NamedTuple):
    """What stages of bottlenecks are told beside their widths, by arguments of the network's names."""

    name: str
    strides: Any
    dilations: Any
    outputs: Any
    style: str
    conv_cfg: Any = None
    dcn: Any = None
    stage_with_dcn: Any = (False,) * 4
    plugins: Any = None

    def check(self, count: int) -> None:
        """Raise an FkitError if the options are not those of ``count`` stages."""
        _check(self.name, count, self.strides, self.dilations, self.outputs, self.style)
        _check_dcn(self.name, self.dcn, self.stage_with_dcn, count, self.conv_cfg, True)

    def stage(self, place: int, widths: tuple[int, int, int], count: int, groups: int) -> tuple[BlockPlan, ...]:
        """A stage's blocks; widths are channels of what comes in, inside of a block, and of what goes out."""
        inner, mid, wide = widths
        more = _plugins(self.name, self.plugins, place, len(self.strides))
        layer, blocks = self.dcn if self.stage_with_dcn[place] else None, list[BlockPlan]()
        for j in range(count):
            stride = self.strides[place] if j == 0 else 1
            convs = _bottleneck((inner, mid, wide), stride, self.dilations[place], self.style, groups, layer)
            blocks.append(BlockPlan(convs, stride if j == 0 and (stride != 1 or inner != wide) else 0, more))
            inner = wide
        return tuple(blocks)


def _bottleneck(
    widths: tuple[int, int, int], stride: int, gap: int, style: str, groups: int, dcn: Any
) -> tuple[Convolution, ...]:
    inner, mid, wide = widths
    one, three = (1, stride) if style == "pytorch" else (stride, 1)
    cfg = None
    if dcn is not None:
        cfg = frozendict[str, Any]({key: value for key, value in dcn.items() if key != _FALLBACK})
    second = Convolution(mid, mid, 3, three, gap, groups, cfg)
    return Convolution(inner, mid, 1, one), second, Convolution(mid, wide, 1)


def _deformed(dcn: Any, which: Any, counts: tuple[int, ...], falls_back: bool) -> tuple[tuple[Any, ...], ...]:
    """The deformable layer of each block of each stage, or None. mmdet takes ``fallback_on_stride`` out of the config that all
    blocks share, so that it counts for the first of them alone, whatever its stride; checkpoints are of that form."""
    if dcn is None:
        return tuple((None,) * count for count in counts)
    plain, rows = falls_back and bool(dcn.get(_FALLBACK, False)), list[tuple[Any, ...]]()
    for there, count in zip(which, counts, strict=True):
        rows.append((dcn if there and not plain else None, *(dcn if there else None,) * (count - 1)))
        plain = plain and not there
    return tuple(rows)


def _blocks(name: str, depth: int, groups: int) -> tuple[bool, tuple[int, ...]]:
    known = [row for row in _DEPTHS if row[1] or groups == 1]
    for number, bottleneck, counts in known:
        if number == depth:
            return bottleneck, counts
    raise FkitValueError(f"{name}: depth={depth}.", choices=[str(row[0]) for row in known], label="Depths")


def _check(name: str, count: int, strides: Any, dilations: Any, outputs: Any, style: str) -> None:
    if not 1 <= count <= 4:
        raise FkitValueError(f"{name}: num_stages={count}, but it is 1 to 4.")
    if len(strides) != count or len(dilations) != count:
        raise FkitValueError(
            f"{name}: {len(strides)} strides and {len(dilations)} dilations for {count} stages.",
            repair="Give one of each a stage.",
        )
    if not all(0 <= i < count for i in outputs):
        raise FkitValueError(f"{name}: out_indices={tuple(outputs)}, but there are {count} stages.")
    if style not in _STYLES:
        raise FkitValueError(f"{name}: style={style!r}.", value=style, choices=_STYLES, label="Styles")


def _check_dcn(name: str, dcn: Any, which: Any, count: int, conv_cfg: Any, bottleneck: bool) -> None:
    if dcn is None:
        return
    if not isinstance(dcn, Mapping):
        raise FkitTypeError(f"{name}: dcn={dcn!r:.80}: a config, as dict(type='DCN', deform_groups=1).")
    if len(which) != count:
        raise FkitValueError(f"{name}: stage_with_dcn has {len(which)} entries for {count} stages.")
    if conv_cfg is not None:
        raise FkitValueError(f"{name}: dcn and conv_cfg are both given.", repair="Leave conv_cfg out.")
    if not bottleneck:
        raise FkitValueError(f"{name}: dcn stands in bottlenecks, of depths 50 and more.")


def _dilations(name: str, dilation: int, count: int, grid: Any, contract: bool) -> tuple[int, ...]:
    if grid is None:
        return (dilation // 2 if contract and dilation > 1 else dilation, *(dilation,) * (count - 1))
    if len(grid) < count:
        raise FkitValueError(f"{name}: multi_grid={tuple(grid)} for a last stage of {count} blocks.")
    return tuple(grid[:count])


def _plugins(name: str, plugins: Any, stage: int, count: int) -> tuple[Plugin, ...]:
    entries: list[Plugin] = []
    for plugin in plugins or ():
        if not isinstance(plugin, Mapping) or not isinstance(cast("Any", plugin).get("cfg"), Mapping):
            raise FkitTypeError(
                f"{name}: plugins are configs, as dict(cfg=dict(type='ContextBlock', ratio=1/16), position='after_conv3')."
            )
        options: dict[str, Any] = dict(cast("Mapping[str, Any]", plugin))
        which, position = options.get("stages"), options.get("position")
        if which is not None and len(which) != count:
            raise FkitValueError(f"{name}: a plugin's stages has {len(which)} entries for {count} stages.")
        if position not in _POSITIONS:
            raise FkitValueError(
                f"{name}: a plugin's position={position!r}.", value=str(position), choices=_POSITIONS, label="Positions"
            )
        if which is None or which[stage]:
            cfg = dict(options["cfg"])
            postfix = cfg.pop("postfix", "")
            entries.append(Plugin(_POSITIONS.index(position) + 1, frozendict[str, Any](cfg), postfix))
    return tuple(entries)
