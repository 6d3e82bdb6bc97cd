"""The names of the classes that a model tells apart."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from fkit.catalog.build import maker_of
from fkit.catalog.registry import Registry
from fkit.data.dataset.keypoints import is_parsed, pose_metainfo
from fkit.data.identity import classes_of
from fkit.recipe.settings import Part, Settings
from fkit.recipe.source import build_part
from fkit.tree.check import expect
from fkit.tree.error import FkitError

__all__ = ["Names", "class_names", "datasets_of", "part_classes", "skeleton_of"]

_PARTS = ("test", "val", "train")
_LEARNED = ("train", "val", "test")


class Names(NamedTuple):
    """The names of classes.

    Attributes:
        classes: in the order of their labels; none where nothing says them.
        source: what says them: a key of the config, the checkpoint, a dataset; "" where nothing does.
        learned: those of the data that the checkpoint was trained on, where they are others; none else.
    """

    classes: tuple[str, ...]
    source: str = ""
    learned: tuple[str, ...] = ()

    def of(self, label: int) -> str:
        """The name of a label, or its number."""
        return self.classes[label] if label < len(self.classes) else str(label)


def class_names(settings: Settings, registry: Registry, record: Mapping[str, Any] | None = None) -> Names:
    """The names of the classes that a model tells apart. The first of these that knows any says all of them:

    1. the config's words on a dataset, test's before val's before train's: ``classes=[...]``, then ``metainfo.classes``;
    2. the record of the data that the checkpoint was trained on (its meta.json, and run.json, hold it);
    3. the dataset itself, built if it can be (test's, val's, train's), else what its class says of all of them.

    Args:
        settings: of the run.
        registry: of the datasets.
        record: ``meta["data"]`` of a checkpoint, as `fkit.data.identity.describe` makes it for each part; None without.

    Example:
        >>> from fkit.catalog.builtin import registry
        >>> from fkit.config.config import Config
        >>> from fkit.recipe.settings import read
        >>> folder = {"type": "ImageFolder", "data_root": "photos", "classes": ["cat", "dog"]}
        >>> names = class_names(read(Config({"test_dataloader": {"dataset": folder}})), registry())
        >>> names.of(1), names.of(2), names.source
        ('dog', '2', 'test_dataloader.dataset.classes')
    """
    expect(settings, Settings, "`settings` are a run's (fkit.recipe.settings.read(cfg) gives them)")
    learned = _learned(record)
    for part in datasets_of(settings):
        for key in ("classes", "metainfo.classes"):
            classes = _listed(part.node.get(key))
            if classes:
                return Names(classes, f"{part.path}.{key}", learned if learned != classes else ())
    if learned:
        return Names(learned, "the checkpoint")
    for part in datasets_of(settings):
        classes = _said(part, settings, registry)
        if classes:
            return Names(classes, part.path)
    return Names(())


def part_classes(settings: Settings, registry: Registry, part: str) -> tuple[str, ...]:
    """The names of the classes of "train", "val" or "test" alone: what the config says of its dataset, or the dataset
    itself; none where nothing says any."""
    for one in datasets_of(settings, (part,)):
        classes = _listed(one.node.get("classes")) or _listed(one.node.get("metainfo.classes"))
        classes = classes or _said(one, settings, registry)
        if classes:
            return classes
    return ()


def skeleton_of(settings: Settings, registry: Registry) -> Mapping[str, Any]:
    """What is known of keypoints, as `fkit.data.dataset.keypoints.pose_metainfo` has it: by the ``metainfo`` of the config's
    datasets, or by that of their classes; nothing where none says any. No data set is read.
    """
    for part in datasets_of(settings):
        said: Any = part.node.get("metainfo")
        if not isinstance(said, Mapping):
            try:
                said = getattr(_class_of(part, settings, registry, "datasets"), "METAINFO", None)
            except FkitError:
                continue
        known = cast("Mapping[str, Any]", said) if isinstance(said, Mapping) else {}
        if is_parsed(known) or {"keypoint_info", "from_file"} & known.keys():
            return pose_metainfo(known)
    return {}


def datasets_of(settings: Settings, parts: Sequence[str] = _PARTS) -> tuple[Part, ...]:
    """The configs of the datasets, in the order of ``parts``; one that wraps another comes before it."""
    expect(settings, Settings, "`settings` are a run's (fkit.recipe.settings.read(cfg) gives them)")
    expect(parts, (list, tuple), "`parts` are 'test', 'val' and 'train', in a list")
    loaders = [settings.loaders[part] for part in parts if part in settings.loaders]
    return tuple(inner for loader in loaders for inner in _chain(f"{loader.path}.dataset", loader.node.get("dataset")))


def _chain(path: str, node: Any) -> Iterator[Part]:
    while isinstance(node, Mapping):
        mapping = cast("Mapping[str, Any]", node)
        yield Part(path, mapping)
        path, node = f"{path}.dataset", mapping.get("dataset")


def _listed(classes: Any) -> tuple[str, ...]:
    """Names that stand in the config; a path to a file of them is for the dataset to read."""
    if isinstance(classes, str) or not isinstance(classes, Sequence):
        return ()
    return tuple(str(name) for name in cast("Sequence[Any]", classes))


def _learned(record: Any) -> tuple[str, ...]:
    data = cast("Mapping[str, Any]", record) if isinstance(record, Mapping) else {}
    for part in _LEARNED:
        row: Any = data.get(part)
        classes = _listed(cast("Mapping[str, Any]", row).get("classes")) if isinstance(row, Mapping) else ()
        if classes:
            return classes
    return ()


def _said(part: Part, settings: Settings, registry: Registry) -> tuple[str, ...]:
    """What a dataset says of itself; its files may not be there, where only the checkpoint was brought along."""
    for make in (build_part, _class_of):
        try:
            classes = classes_of(make(part, settings, registry, "datasets"))
        except FkitError:
            continue
        if classes:
            return tuple(classes)
    return ()


def _class_of(part: Part, settings: Settings, registry: Registry, kind: str) -> Any:
    return maker_of(part.node, registry, kind, scope=settings.default_scope, path=part.path)
