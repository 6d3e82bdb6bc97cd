"""Hooks that train on other data from some epoch on: augmentations closed in the last epochs, a recipe in stages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self, cast

from fkit.recipe.settings import Settings
from fkit.recipe.vocabulary import name_of
from fkit.run.effect import Effect, SwitchData, WriteText
from fkit.run.event import Event
from fkit.run.hook.hook import Answer, Hook, Offer
from fkit.run.state import Memory, RunState
from fkit.tree.check import check_fields
from fkit.tree.error import FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import EMPTY

__all__ = [
    "PipelineSwitchHook",
    "RTMOModeSwitchHook",
    "SwitchRecipeHook",
    "YOLOXModeSwitchHook",
    "YOLOXPoseModeSwitchHook",
    "with_pipeline",
    "without_types",
]


def with_pipeline(dataset: Any, pipeline: Any) -> Any:
    """A dataset's config with another pipeline: its own, or that of the datasets that it wraps.

    Raises:
        FkitValueError: there is none to replace.

    Example:
        >>> wrapped = {"type": "Repeat", "dataset": {"type": "A", "pipeline": [1]}}
        >>> with_pipeline(wrapped, [2])
        {'type': 'Repeat', 'dataset': {'type': 'A', 'pipeline': [2]}}
    """
    node = cast("Mapping[str, Any]", dataset) if isinstance(dataset, Mapping) else {}
    if "pipeline" in node:
        return {**node, "pipeline": pipeline}
    if isinstance(node.get("datasets"), (list, tuple)):
        return {**node, "datasets": [with_pipeline(one, pipeline) for one in node["datasets"]]}
    if "dataset" in node:
        return {**node, "dataset": with_pipeline(node["dataset"], pipeline)}
    raise FkitValueError(f"the dataset {quoted(node.get('type'))} has no pipeline that could be replaced.")


def without_types(dataset: Any, names: Sequence[str]) -> Any:
    """A dataset's config whose pipeline leaves out the transforms of some types.

    Example:
        >>> dataset = {"type": "A", "pipeline": [{"type": "Mosaic"}, {"type": "mmdet.Resize"}]}
        >>> without_types(dataset, ("Mosaic", "MixUp"))
        {'type': 'A', 'pipeline': [{'type': 'mmdet.Resize'}]}
    """
    pipeline: Any = cast("Any", dataset).get("pipeline") if isinstance(dataset, Mapping) else None
    if not isinstance(pipeline, (list, tuple)):
        raise FkitValueError("the dataset has no pipeline of its own, whose transforms could be left out.")
    rows = cast("Sequence[Mapping[str, Any]]", pipeline)
    return {**cast("Any", dataset), "pipeline": [row for row in rows if name_of(row.get("type")) not in names]}


@dataclass(frozen=True)
class _Switch(Hook):
    """From some epochs on the run trains on other sources of data; what a subclass says in ``stages``.

    The sources are made with the others, before the run begins. Batch k of epoch e stays a function of (seed, e, k): a run
    that goes on in the middle of an epoch says so again at its start.
    """

    priority: ClassVar[str | int] = "NORMAL"
    planned: tuple[tuple[int, str], ...] = field(init=False, default=())
    made: Mapping[str, Mapping[str, Any]] = field(init=False, default=EMPTY, compare=False)

    def stages(self, dataset: Any, epochs: int) -> Iterator[tuple[int, Any]]:
        """(epochs that are done before it, the dataset's config from then on).

        Args:
            dataset: the config of the run's.
            epochs: of the whole run.
        """
        raise NotImplementedError

    def refused(self, settings: Settings) -> str:
        """What it asks for and the run cannot do; "" where there is nothing."""
        return ""

    def bind(self, offer: Offer) -> Self:
        """With the data that it switches to.

        Raises:
            FkitValueError: the run counts iterations; the dataset has no pipeline; it asks for what is not there.
        """
        settings, name = offer.settings, type(self).__name__
        if settings is None or "train" not in settings.loaders:
            return self
        if settings.train is None or not settings.train.by_epoch or settings.train.limit is None:
            raise FkitValueError(f"{name} counts epochs, and this run counts iterations.")
        if refused := self.refused(settings):
            raise FkitValueError(f"{name}: {refused}")
        dataset = settings.loaders["train"].node.get("dataset")
        rows = [(max(epoch, 0), data) for epoch, data in self.stages(dataset, settings.train.limit)]
        names = [f"train:{epoch}" for epoch, _ in rows]
        bound = replace(self)
        object.__setattr__(bound, "planned", tuple((epoch, name) for (epoch, _), name in zip(rows, names, strict=True)))
        object.__setattr__(
            bound, "made", {name: {"dataset": data} for (_, data), name in zip(rows, names, strict=True)}
        )
        return bound

    def sources(self) -> Mapping[str, Mapping[str, Any]]:
        return self.made

    def before_train(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """What a process that goes on trains on."""
        begun = [name for epoch, name in self.planned if epoch <= run.position.epoch]
        return memory, (SwitchData(begun[-1]),) if begun else ()

    def before_train_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        asked: tuple[Effect, ...] = ()
        for epoch, name in self.planned:
            if epoch == event.epoch:
                asked = (
                    SwitchData(name),
                    WriteText(f"{type(self).__name__}: other training data from epoch {epoch + 1} on."),
                )
        return memory, asked


@dataclass(frozen=True)
class PipelineSwitchHook(_Switch):
    """mmdet's: another pipeline from an epoch on.

    Args:
        switch_epoch: epochs that are done before.
        switch_pipeline: the pipeline's config.

    Example:
        >>> hook = PipelineSwitchHook(280, [{"type": "Resize"}])
        >>> list(hook.stages({"type": "A", "pipeline": []}, 300))
        [(280, {'type': 'A', 'pipeline': [{'type': 'Resize'}]})]
    """

    switch_epoch: int
    switch_pipeline: Any

    def __post_init__(self) -> None:
        check_fields(self)
        _expect_steps(self.switch_pipeline, "PipelineSwitchHook: switch_pipeline")

    def stages(self, dataset: Any, epochs: int) -> Iterator[tuple[int, Any]]:
        yield self.switch_epoch, with_pipeline(dataset, self.switch_pipeline)


@dataclass(frozen=True)
class YOLOXModeSwitchHook(_Switch):
    """mmdet's: close some augmentations in the last epochs. What it does to YOLOX's head besides (an L1 loss) comes with that
    head: a model that has a ``bbox_head`` is an error until then.

    Args:
        num_last_epochs: how many; as in mmdet the epoch before them is closed too.
        skip_type_keys: the types of the transforms that are left out.

    Example:
        >>> dataset = {"type": "MultiImageMixDataset", "pipeline": [{"type": "Mosaic"}, {"type": "RandomFlip"}]}
        >>> list(YOLOXModeSwitchHook(15).stages(dataset, 300))
        [(284, {'type': 'MultiImageMixDataset', 'pipeline': [{'type': 'RandomFlip'}]})]
    """

    num_last_epochs: int = 15
    skip_type_keys: Any = ("Mosaic", "RandomAffine", "MixUp")

    def __post_init__(self) -> None:
        check_fields(self)

    def stages(self, dataset: Any, epochs: int) -> Iterator[tuple[int, Any]]:
        yield epochs - self.num_last_epochs - 1, without_types(dataset, tuple(self.skip_type_keys))

    def refused(self, settings: Settings) -> str:
        head = settings.model is not None and "bbox_head" in settings.model.node
        return "the L1 loss of the last epochs comes with YOLOX's head, which is not there yet." if head else ""


@dataclass(frozen=True)
class YOLOXPoseModeSwitchHook(_Switch):
    """mmpose's: another dataset, or another pipeline, in the last epochs. What it does to YOLOX-Pose's head besides (an
    auxiliary loss) comes with that head: a model of type YOLOXPose or with its head is an error until then.

    Args:
        num_last_epochs: how many; as in mmpose the epoch before them has them too.
        new_train_dataset: the dataset's config; None keeps it.
        new_train_pipeline: the pipeline's; None keeps it.
    """

    num_last_epochs: int = 20
    new_train_dataset: Any = None
    new_train_pipeline: Any = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.new_train_pipeline is not None:
            _expect_steps(self.new_train_pipeline, "YOLOXPoseModeSwitchHook: new_train_pipeline")

    def stages(self, dataset: Any, epochs: int) -> Iterator[tuple[int, Any]]:
        data = self.new_train_dataset or dataset
        data = with_pipeline(data, self.new_train_pipeline) if self.new_train_pipeline else data
        yield epochs - self.num_last_epochs - 1, data

    def refused(self, settings: Settings) -> str:
        head: Any = None if settings.model is None else settings.model.node.get("head")
        known = isinstance(head, Mapping) and name_of(cast("Any", head).get("type")) in ("YOLOXPoseHead", "RTMOHead")
        return (
            "the auxiliary loss of the last epochs comes with YOLOX-Pose's head, which is not there yet."
            if known
            else ""
        )


@dataclass(frozen=True)
class RTMOModeSwitchHook(_Switch):
    """mmpose's: other attributes of RTMO's head from some epochs on. They come with that head, and are an error until then.

    Args:
        epoch_attributes: {epoch: {attribute: value}}.
    """

    epoch_attributes: Any

    def __post_init__(self) -> None:
        if not isinstance(self.epoch_attributes, Mapping):
            raise FkitTypeError(
                f"RTMOModeSwitchHook: epoch_attributes = {quoted(self.epoch_attributes)}: a mapping of epochs."
            )

    def stages(self, dataset: Any, epochs: int) -> Iterator[tuple[int, Any]]:
        return iter(())

    def refused(self, settings: Settings) -> str:
        return (
            "attributes of a head that change while it trains come with RTMO, which is not there yet."
            if self.epoch_attributes
            else ""
        )


@dataclass(frozen=True)
class SwitchRecipeHook(_Switch):
    """mmpretrain's: a recipe in stages.

    Args:
        schedule: ``dict(action_epoch=N, train_pipeline=[...])`` each: the pipeline from the N-th epoch on. A stage's
            ``batch_augments`` or ``loss`` is an error: they are the model's, which is made once.

    Example:
        >>> hook = SwitchRecipeHook([{"action_epoch": 3, "train_pipeline": [{"type": "Resize"}]}])
        >>> list(hook.stages({"type": "A", "pipeline": []}, 5))
        [(2, {'type': 'A', 'pipeline': [{'type': 'Resize'}]})]
    """

    schedule: Any

    def __post_init__(self) -> None:
        rows: Any = self.schedule
        whole = isinstance(rows, (list, tuple)) and all(
            isinstance(row, Mapping) and type(row.get("action_epoch")) is int for row in cast("Sequence[Any]", rows)
        )
        if not whole:
            raise FkitTypeError(
                f"SwitchRecipeHook: schedule = {quoted(rows)}: a list of mappings, each with 'action_epoch', a whole number."
            )
        epochs = [row["action_epoch"] for row in rows]
        twice = next((epoch for epoch in epochs if epochs.count(epoch) > 1), None)
        if twice is not None:
            raise FkitValueError(f"SwitchRecipeHook: action_epoch {twice} stands in the schedule twice.")

    def stages(self, dataset: Any, epochs: int) -> Iterator[tuple[int, Any]]:
        for row in sorted(self.schedule, key=lambda row: row["action_epoch"]):
            if "train_pipeline" in row:
                yield row["action_epoch"] - 1, with_pipeline(dataset, row["train_pipeline"])

    def refused(self, settings: Settings) -> str:
        keys = [key for row in self.schedule for key in row if key not in ("action_epoch", "train_pipeline")]
        return f"{keys[0]} of a stage is not supported yet: train_pipeline is." if keys else ""


def _expect_steps(pipeline: Any, what: str) -> None:
    if not isinstance(pipeline, (list, tuple)):
        raise FkitTypeError(f"{what} = {quoted(pipeline)}: a list of transforms.")
