"""What a model holds, by torch's names: the one list that both backends' rooms give."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from fkit.data.label import LabelRange
from fkit.tree.frozen import EMPTY

__all__ = ["Entry", "Inventory", "asks_epoch", "is_deformable", "kind_of", "rules_of"]

_DEFORMABLE = ("DeformConv2d", "ModulatedDeformConv2d")


class Entry(NamedTuple):
    """One parameter or buffer.

    Attributes:
        name: torch's ``state_dict`` name.
        shape: in torch's layout.
        dtype: "float32", "int64", ...; parameters bear the parameter dtype of the run.
        layer: the owning layer's class in torch's vocabulary ("Conv2d", "Linear", "BatchNorm2d", "GroupNorm", ...),
            or "" for a layer the kit does not know.
        buffer: a buffer (batch statistics), not a parameter.
        trainable: whether gradients reach it.
        kind: what ``paramwise_cfg`` tells apart, see `kind_of`.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layer: str
    buffer: bool = False
    trainable: bool = True
    kind: str = ""


class Inventory(NamedTuple):
    """All entries, the init rules of the modules, and the aliases of tied weights.

    Attributes:
        entries: one an array; a tied weight once, under its first name.
        rules: (module path, its ``init_cfg``), see `rules_of`; "" is the model itself.
        aliases: (other name, first name) of tied weights.
        labels: what the model says of its targets' class numbers (`fkit.data.label.label_ranges`).
        repeats: paths of layers that their parent has under an earlier name too: a list with one layer twice.
        epoch: whether the model asks which epoch a batch is of (`asks_epoch`).
    """

    entries: tuple[Entry, ...]
    rules: tuple[tuple[str, Any], ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    labels: Mapping[str, LabelRange] = EMPTY
    repeats: tuple[str, ...] = ()
    epoch: bool = False


def asks_epoch(model: Any) -> bool:
    """Whether a model asks, by its attribute ``wants_epoch``, which epoch a batch is of: a run then puts the number, from 0,
    into the batch's ``targets["epoch"]``, (N,).

    Args:
        model: a module of either framework.

    Example:
        >>> asks_epoch(object())
        False
    """
    return getattr(model, "wants_epoch", False) is True


def kind_of(path: str, *, norm: bool, conv: bool, depthwise: bool, deformed: bool) -> str:
    """What ``paramwise_cfg`` tells apart among layers: "norm" (batch, instance, group and layer normalisation), "offset" (the
    2-D convolution that gives a deformable one its offsets), "dcn" (another layer inside a deformable convolution), "dwconv" (a
    2-D convolution with a filter a channel), or "".

    Args:
        path: of the layer.
        norm, conv: whether it is one of these norms, or a 2-D convolution.
        depthwise: of a convolution, whether it has as many groups as input channels.
        deformed: whether the layer around it is a deformable convolution.

    Example:
        >>> kind_of("backbone.conv2.conv_offset", norm=False, conv=True, depthwise=False, deformed=True)
        'offset'
    """
    if norm:
        return "norm"
    if deformed:
        return "offset" if conv and "conv_offset" in path else "dcn"
    return "dwconv" if conv and depthwise else ""


def rules_of(modules: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """The init rules of a model's modules in the order they are applied.

    First come those of their making, a module's ``start_cfg``, children before parents, as layers that draw their weights
    when they are made (mmcv's ConvModule). Then each module's ``init_cfg``, or what its ``init_rules`` makes of it (a default
    that depends on other arguments), parents before children. A module that ``starts_anew`` and stands directly in one that
    has an ``init_cfg`` starts a second time after its parent (mmengine calls its ``init_weights``); one in a list does not.

    Args:
        modules: by torch's path, parents before children.

    Example:
        >>> class Conv(NamedTuple):
        ...     start_cfg: Any = "kaiming"
        ...     starts_anew: bool = True
        >>> class Neck(NamedTuple):
        ...     init_cfg: Any = "xavier"
        >>> rules_of({"": Neck(), "first": Conv(), "convs.0": Conv()})
        (('convs.0', 'kaiming'), ('first', 'kaiming'), ('', 'xavier'), ('first', 'kaiming'))
    """
    starts = {path: part.start_cfg for path, part in modules.items() if getattr(part, "start_cfg", None) is not None}
    rules = list(reversed(starts.items()))
    for path, part in modules.items():
        rule = getattr(part, "init_rules", getattr(part, "init_cfg", None))
        if rule is not None:
            rules.append((path, rule))
        elif (
            path in starts
            and getattr(part, "starts_anew", False)
            and hasattr(modules.get(path.rpartition(".")[0]), "init_cfg")
        ):
            rules.append((path, starts[path]))
    return tuple(rules)


def is_deformable(layer: type) -> bool:
    """Whether a layer's class is a deformable convolution: mmcv's, by name, or one derived from it."""
    return any(base.__name__ in _DEFORMABLE for base in layer.__mro__)
