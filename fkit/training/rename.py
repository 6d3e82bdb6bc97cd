"""Names that weights had in older versions of OpenMMLab's packages, and those that they have in a detector of another kind."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from fkit.tree.check import expect

__all__ = ["renamed"]

Arrays = Mapping[str, NDArray[Any]]

# a predicting convolution of an anchor-free head had the name of its method: fcos_cls for conv_cls
_PREDICTS = re.compile(r"^(?P<head>(?:.*\.)?\w*_head)\.conv_(?P<what>cls|reg|centerness)\.(?P<leaf>\w+)$")
# a proposing network alone has the head under one name, a detector of two stages under another
_HEADS = (("bbox_head.", "rpn_head."), ("rpn_head.", "bbox_head."))


def renamed(wanted: Iterable[str], weights: Arrays) -> dict[str, NDArray[Any]]:
    """Weights under the names that a model wants, where they have an older one.

    Args:
        wanted: the model's names.
        weights: by name; what the model wants by their own name keeps it.

    Example:
        >>> import numpy as np
        >>> list(renamed(["bbox_head.conv_cls.weight"], {"bbox_head.fcos_cls.weight": np.zeros(1)}))
        ['bbox_head.conv_cls.weight']
    """
    expect(weights, Mapping, "`weights` are a mapping of names to arrays")
    names = set(wanted)
    news: dict[str, str] = {}
    for name in names - weights.keys():
        for old in _older(name, weights):
            if old in weights and old not in names and old not in news:
                news[old] = name
                break
    return {news.get(name, name): array for name, array in weights.items()}


def _older(name: str, weights: Arrays) -> Iterator[str]:
    match = _PREDICTS.match(name)
    if match:
        form = re.compile(rf"{re.escape(match['head'])}\.\w*{match['what']}\.{match['leaf']}")
        yield from (old for old in weights if form.fullmatch(old))
    for mine, other in _HEADS:
        if name.startswith(mine) and not any(old.startswith(mine) for old in weights):
            yield other + name.removeprefix(mine)
