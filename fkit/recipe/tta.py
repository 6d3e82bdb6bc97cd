"""``tta_model`` and ``tta_pipeline`` of a config: its held-out data in several views, and what merges their predictions."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from frozendict import frozendict

from fkit.catalog.registry import Registry
from fkit.config.schema import with_value
from fkit.recipe.settings import Part, Settings, line_of
from fkit.recipe.source import build_part, said_at
from fkit.training.merge import check_merger
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, quoted

__all__ = ["augmented", "merge_of"]

_MODEL = (
    "tta_model=dict(type='AverageClsScoreTTA') averages a classifier's scores, dict(type='SegTTAModel') a segmenter's maps, "
    "dict(type='DetTTAModel') merges a detector's boxes. Where the test pipeline itself has several views (MultiScaleFlipAug), they are "
    "merged without --tta."
)
_PIPELINE = (
    "tta_pipeline is the test pipeline with its last steps in views: [dict(type='LoadImageFromFile'), dict(type='TestTimeAug', "
    "transforms=[[dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)], [dict(type='PackInputs')]])]."
)


def augmented(settings: Settings, part: str) -> Settings:
    """The settings whose dataloader of ``part`` reads by ``tta_pipeline``: the first dataset that has a pipeline, from the
    outermost on, gets it.

    Args:
        part: "test" or "val", of a dataloader that is there.

    Raises:
        FkitError: the config has no ``tta_model`` or no ``tta_pipeline``, or the dataset is built already.
    """
    for key, repair in (("tta_model", _MODEL), ("tta_pipeline", _PIPELINE)):
        if settings.tree.get(key) is None:
            origin = line_of(settings.tree, key) if key in settings.tree else None
            what = f"test-time augmentation needs {key}, which the config does not set."
            raise FkitKeyError(what, path=key, origin=origin, repair=repair)
    loader = settings.loaders[part]
    dataset = _read_by(settings.tree["tta_pipeline"], loader.node.get("dataset"), f"{loader.path}.dataset")
    node = with_value(loader.node, "dataset", dataset)
    loaders = frozendict({**settings.loaders, part: loader._replace(node=node)})
    return replace(settings, loaders=loaders, tree=with_value(settings.tree, loader.path, node))


def _read_by(pipeline: Any, node: Any, path: str) -> Any:
    if not isinstance(node, Mapping):
        raise FkitTypeError(
            f"{path} = {quoted(node)} is built already, and test-time augmentation changes its pipeline.", path=path,
            repair="Give a mapping with 'type'; or build the dataset with the pipeline of the views.",
        )  # fmt: skip
    table = cast(Any, node)
    if table.get("pipeline") is None:
        if isinstance(table.get("dataset"), Mapping):
            return with_value(table, "dataset", _read_by(pipeline, table["dataset"], f"{path}.dataset"))
        several = table.get("datasets")
        if isinstance(several, (list, tuple)):
            each = [_read_by(pipeline, one, f"{path}.datasets[{at}]") for at, one in enumerate(cast(Any, several))]
            return with_value(table, "datasets", each)
    return with_value(table, "pipeline", pipeline)


def merge_of(settings: Settings, registry: Registry, backend: str) -> Callable[..., Any]:
    """How what ``tta_model`` describes merges: ``(xp, predictions, views) -> outputs``.

    Raises:
        FkitError: it cannot be built, or merges nothing.
    """
    merger: Any = build_part(
        Part("tta_model", settings.tree["tta_model"]), settings, registry, "models", backend=backend
    )
    try:
        check_merger(merger)
    except FkitError as error:
        raise said_at(error, "tta_model", settings) from error.__cause__
    return merger.merge
