"""What a model holds, by torch's names: the one list that both backends' rooms give."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from fkit.training.label import LabelRange
from fkit.tree.frozen import EMPTY

__all__ = ["Entry", "Inventory"]


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
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layer: str
    buffer: bool = False
    trainable: bool = True


class Inventory(NamedTuple):
    """All entries, the init rules of the modules, and the aliases of tied weights.

    Attributes:
        entries: one an array; a tied weight once, under its first name.
        rules: (module path, its ``init_cfg``), parents before children; "" is the model itself.
        aliases: (other name, first name) of tied weights.
        labels: what the model says of its targets' class numbers (`fkit.training.label.label_ranges`).
    """

    entries: tuple[Entry, ...]
    rules: tuple[tuple[str, Any], ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    labels: Mapping[str, LabelRange] = EMPTY
