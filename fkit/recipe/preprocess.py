"""``data_preprocessor`` of a config, at its top or inside the model: built, and taken out of what the model is built of."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from fkit.catalog.build import build
from fkit.catalog.registry import Registry
from fkit.config.schema import with_value
from fkit.data.collate import Collate
from fkit.recipe.settings import Part, Settings, line_of
from fkit.training.preprocess import Preprocess, check_preprocess
from fkit.tree.error import FkitError

__all__ = ["Network", "joined_by", "network_of"]

_NAME = "data_preprocessor"
_PLAIN = "ClsDataPreprocessor"  # of mmpretrain's configs, which leave the type out


class Network(NamedTuple):
    """What a config says of the model.

    Attributes:
        model: without its preprocessor; None where there is no model.
        preprocess: what a batch passes first; None where there is none.
    """

    model: Part | None
    preprocess: Preprocess | None


def network_of(settings: Settings, registry: Registry) -> Network:
    """A config's model and what stands before it; the model's own ``data_preprocessor`` goes before the config's.

    mmpretrain's ``model.train_cfg=dict(augments=[...], probs=[...])`` are the preprocessor's ``batch_augments``.

    Raises:
        FkitError: the preprocessor cannot be built, or is none.
    """
    model, path, node = settings.model, _NAME, settings.tree.get(_NAME)
    augments: Any = None
    if model is not None and isinstance(model.node, Mapping):
        own, augments, inner = _taken(model.node)
        model = model._replace(node=inner)
        if own is not None:
            path, node = f"{model.path}.{_NAME}", own
    if node is None and augments is None:
        return Network(model, None)
    if node is None or isinstance(node, Mapping):
        table: Any = settings.tree.__class__({"type": _PLAIN}) if node is None else node
        if table.get("type") is None:
            table = with_value(table, "type", _PLAIN)
        if augments is not None and table.get("batch_augments") is None:
            table = with_value(table, "batch_augments", augments)
            classes = _classes(augments["augments"])
            if classes is not None and table.get("num_classes") is None:
                table = with_value(table, "num_classes", classes)
        node = build(table, registry, "models", scope=settings.default_scope, path=path)
    try:
        check_preprocess(node, path)
    except FkitError as error:
        error.path, error.origin = path, line_of(settings.tree, path)
        raise
    return Network(model, node)


def joined_by(join: Any, settings: Settings, registry: Registry, train: bool) -> Any:
    """How samples become a batch: as a dataloader's ``collate_fn`` says, and as the preprocessor asks for where that leaves
    it open.

    Args:
        join: of the dataloader, built; None where it has none.
        train: whether it is of training.
    """
    if join is not None and not (isinstance(join, Collate) and join.pad):
        return join
    preprocess = network_of(settings, registry).preprocess
    if preprocess is None:
        return join
    asked = preprocess.collate(train)
    return asked if join is None else replace(asked, pad=True, bucket=join.bucket)


def _classes(augments: Any) -> Any:
    """The number of classes that mmcls 0.x's augmentations have with them; None where they have none."""
    several: Any = augments if isinstance(augments, (list, tuple)) else [augments]
    known = [node.get("num_classes") for node in several if isinstance(node, Mapping)]
    return next((number for number in known if number is not None), None)


def _taken(node: Any) -> tuple[Any, Any, Any]:
    """A model's preprocessor, the augmentations of its ``train_cfg``, and the model without them."""
    own, augments = None, None
    if _NAME in node:
        node, own = node.pop(_NAME)
    train: Any = node.get("train_cfg")
    if isinstance(train, Mapping) and train.get("augments") is not None:
        node, augments = node.pop("train_cfg")
    return own, augments, node
