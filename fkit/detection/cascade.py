"""Heads of regions, in one stage or in several that refine one another: losses and predictions, over a head's own layers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol, cast

from fkit.array.ops import Ops
from fkit.array.random import Key
from fkit.array.suppress import Detections
from fkit.catalog.build import Builder
from fkit.detection.balanced import asks_losses
from fkit.detection.mask import MaskLogic
from fkit.detection.part import part
from fkit.detection.roi import BoxLogic, Regions, Rows, regions, rows_of, scaled
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = ["Layers", "Scene", "Stage", "Stages", "each_stage", "spread", "stages_of"]


_RAW_MASKS = 100  # as many as mmdet's own raw outputs have: a mask of each class of each region is much


class Layers(Protocol):
    """What a twin gives its logic: its layers, by stage. Maps are channels last, (N, H, W, C)."""

    def boxes(self, stage: int, maps: Sequence[Any], rows: Rows) -> tuple[Any, Any]:
        """(R, K + 1) and (R, 4 or 4 * K) of the rows' boxes; None where there is no such branch."""
        ...

    def masks(self, stage: int, maps: Sequence[Any], rows: Rows) -> Any:
        """(R, C, h, w), before the sigmoid."""
        ...

    def draw(self, maps: Sequence[Any]) -> tuple[Key, Any]:
        """The key of the next draw, and (N,) words: each image's place in the whole batch."""
        ...


class Scene(NamedTuple):
    """What a head is told beside the maps.

    Attributes:
        boxes, valid: (N, K, 4) and (N, K) proposals, in pixels of the padded images.
        shapes: (N, 2) height and width of the images.
        scales: (N, 2) by how much width and height of the original images were multiplied.
        truth, ignored: of the batch, or None.
        semantic: (N, H, W) the class of each pixel, or None.
    """

    boxes: Any
    valid: Any
    shapes: Any
    scales: Any
    truth: Any = None
    ignored: Any = None
    semantic: Any = None


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        box: of its box head.
        mask: of its mask head, or None.
        assigner, sampler: built; None where there are no settings of training.
        settings: its ``train_cfg``.
        weight: what its losses are multiplied with.
    """

    box: BoxLogic
    mask: MaskLogic | None
    assigner: Any
    sampler: Any
    settings: Mapping[str, Any] | None
    weight: float = 1.0


@dataclass(frozen=True)
class Stages:
    """The stages of a head of regions.

    Attributes:
        stages: one or more.
        test_cfg: ``score_thr``, ``nms``, ``max_per_img`` and ``mask_thr_binary``.
        named: whether losses say their stage: ``s0.loss_cls``.
        interleaved: a stage's masks learn from boxes as that stage moved them, not as it began with.
        last_masks: masks are what the last stage says, not the mean of all stages.
    """

    stages: tuple[Stage, ...]
    test_cfg: Mapping[str, Any] | None
    named: bool = False
    interleaved: bool = False
    last_masks: bool = False

    @property
    def num_classes(self) -> int:
        """Classes of objects."""
        return self.stages[0].box.num_classes

    @property
    def _masking(self) -> Sequence[int]:
        """The stages whose masks are predicted."""
        return range(len(self.stages) - 1 if self.last_masks else 0, len(self.stages))

    def losses(self, xp: Ops, layers: Layers, maps: Sequence[Any], scene: Scene) -> dict[str, Any]:
        """All losses of all stages, and accuracies.

        Raises:
            FkitKeyError: there are no settings of training, or no objects to learn from.
        """
        if scene.truth is None:
            raise FkitKeyError("a loss needs objects: the batch has no targets['gt_instances'].")
        said: dict[str, Any] = {}
        boxes, valid = scene.boxes, scene.valid
        for at, stage in enumerate(self.stages):
            if stage.settings is None:
                raise FkitKeyError("a loss needs settings of training.", repair="model.train_cfg.rcnn = dict(...)")
            picks = self._picks(xp, layers, maps, scene, at, boxes, valid)
            rows = rows_of(xp, picks.boxes, picks.valid)
            cls, reg = layers.boxes(at, maps, rows)
            targets = stage.box.targets(xp, picks, rows, float(stage.settings.get("pos_weight", -1)))
            mine = stage.box.losses(xp, cls, reg, rows, targets)
            if stage.mask is not None and not self.interleaved:
                mine |= self.mask_losses(xp, layers, maps, scene, at, picks)
            if stage.mask is not None if self.interleaved else at + 1 < len(self.stages):
                labels = xp.lib.where(targets[0] == stage.box.num_classes, _likely(xp, stage.box, cls), targets[0])
                boxes = _moved(xp, stage.box, picks.boxes, rows, labels, xp.detached(reg), scene.shapes)
                valid = xp.lib.logical_and(picks.valid, xp.lib.logical_not(picks.real))
            if stage.mask is not None and self.interleaved:
                seen = self._picks(xp, layers, maps, scene, at, boxes, valid)
                mine |= self.mask_losses(xp, layers, maps, scene, at, seen)
            for name, value in mine.items():
                weighed = value * stage.weight if self.named and "loss" in name else value
                said[f"s{at}.{name}" if self.named else name] = weighed
        return said

    def _picks(
        self, xp: Ops, layers: Layers, maps: Sequence[Any], scene: Scene, at: int, boxes: Any, valid: Any
    ) -> Regions:
        """What a stage learns from, of proposals (N, K, 4)."""
        stage, (key, places) = self.stages[at], layers.draw(maps)
        hard = partial(self._hardness, xp, layers, maps, at, scene.truth) if asks_losses(stage.sampler) else None
        pair = stage.assigner, stage.sampler
        return regions(xp, key, places, xp.detached(boxes), valid, scene.truth, scene.ignored, *pair, hard)

    def mask_losses(
        self, xp: Ops, layers: Any, maps: Sequence[Any], scene: Scene, at: int, picks: Regions
    ) -> dict[str, Any]:
        """The losses of a stage's masks.

        Raises:
            FkitKeyError: the settings have no size of masks.
        """
        logic = cast("MaskLogic", self.stages[at].mask)
        picks, rows = self.positives(xp, at, picks)
        targets = self.mask_targets(xp, at, picks, rows, scene)
        return logic.losses(xp, layers.masks(at, maps, rows), picks, rows, targets)

    def mask_targets(self, xp: Ops, at: int, picks: Regions, rows: Rows, scene: Scene) -> Any:
        """(R, h, w): what a stage's masks of rows of regions should come to.

        Raises:
            FkitKeyError: the settings have no size of masks.
        """
        logic, size = cast("MaskLogic", self.stages[at].mask), self.setting(at, "mask_size")
        settings = cast("Mapping[str, Any]", self.stages[at].settings)
        return logic.targets(xp, picks, rows, scene.truth, size, bool(settings.get("soft_mask_target", False)))

    def positives(self, xp: Ops, at: int, picks: Regions) -> tuple[Regions, Rows]:
        """A stage's regions, as far as positive ones reach, and the rows of these."""
        most = _most(self.stages[at].sampler, picks.positive.shape[1])
        picks = Regions(*(value[:, :most] for value in picks))  # positives come first
        return picks, rows_of(xp, picks.boxes, picks.positive)

    def setting(self, at: int, name: str) -> Any:
        """A stage's setting of training that a loss cannot do without.

        Raises:
            FkitKeyError: it has none of this name.
        """
        settings = cast("Mapping[str, Any]", self.stages[at].settings)
        if name not in settings:
            raise FkitKeyError(
                f"a loss of masks needs train_cfg.rcnn.{name}.", repair=f"model.train_cfg.rcnn.{name} = ..."
            )
        return settings[name]

    def _hardness(
        self, xp: Ops, layers: Layers, maps: Sequence[Any], at: int, truth: Any, boxes: Any, valid: Any, gt: Any
    ) -> Any:
        """The loss of classes (N, M) of candidates (N, M, 4), which are assigned to ``gt`` (N, M)."""
        box, rows = self.stages[at].box, rows_of(xp, boxes, valid)
        cls, _ = layers.boxes(at, [xp.detached(one) for one in maps], rows)
        labels = xp.take_along(truth.labels, xp.lib.clip(gt - 1, 0, None), 1)
        labels = xp.take(xp.lib.where(gt > 0, labels, box.num_classes).reshape(-1), rows.index)
        nothing = xp.full((gt.shape[0] * gt.shape[1],), 0.0, cls)
        return xp.put(nothing, rows.index, box.hardness(xp, cls, labels)).reshape(gt.shape)

    def said(self, xp: Ops, layers: Layers, maps: Sequence[Any], scene: Scene) -> tuple[Any, Any, Any]:
        """Of all proposals: boxes (N, K, 4) as the last stage had them, what the stages say of their classes (N, K, C + 1),
        on average, and what the last one says of their boxes (N, K, ...)."""
        boxes = scene.boxes
        total: Any = None
        reg: Any = None
        for at, stage in enumerate(self.stages):
            rows = rows_of(xp, boxes, scene.valid)
            cls, reg = layers.boxes(at, maps, rows)
            whole = spread(xp, cls, rows, scene.valid)
            total = whole if total is None else total + whole
            if at + 1 < len(self.stages):
                boxes = _moved(xp, stage.box, boxes, rows, _likely(xp, stage.box, cls), reg, scene.shapes)
            reg = None if reg is None else spread(xp, reg, rows, scene.valid)
        return boxes, total / len(self.stages) if len(self.stages) > 1 else total, reg

    def raw(self, xp: Ops, layers: Layers, maps: Sequence[Any], scene: Scene) -> dict[str, Any]:
        """What the layers say of all proposals: ``roi.cls_score`` and ``roi.bbox_pred`` (N * K, ...); of the first 100 of them
        ``roi.mask_pred`` (100, C, h, w), of several stages the mean of the probabilities."""
        boxes, cls, reg = self.said(xp, layers, maps, scene)
        count, slots = scene.valid.shape
        said = {"roi.cls_score": cls.reshape(count * slots, cls.shape[-1])}
        if reg is not None:
            said["roi.bbox_pred"] = reg.reshape(count * slots, reg.shape[-1])
        if self.stages[-1].mask is not None:
            rows = self.first(xp, boxes, scene.valid)
            masks = [layers.masks(at, maps, rows) for at in self._masking]
            said["roi.mask_pred"] = masks[0] if len(self.stages) == 1 else sum(map(xp.sigmoid, masks)) / len(masks)
        return said

    def first(self, xp: Ops, boxes: Any, valid: Any) -> Rows:
        """The first 100 slots of boxes (N, K, 4), be they valid or not."""
        count, slots = valid.shape
        index = xp.arange(min(count * slots, _RAW_MASKS))
        return Rows(index, xp.take(boxes.reshape(-1, 4), index), index // slots, xp.take(valid.reshape(-1), index))

    def predictions(self, xp: Ops, layers: Layers, maps: Sequence[Any], scene: Scene) -> dict[str, Any]:
        """Objects in pixels of the original images, as models predict them: ``pred_instances``, which of them are real, and
        with ``mask_scores`` the ``mask_threshold``.

        Raises:
            FkitKeyError: there are no settings of testing.
        """
        if self.test_cfg is None:
            raise FkitKeyError("a prediction needs settings of testing.", repair="model.test_cfg.rcnn = dict(...)")
        last = self.stages[-1]
        boxes, cls, reg = self.said(xp, layers, maps, scene)
        scale = scene.scales if last.mask is None else None  # with masks, boxes go with them at the end
        seen = last.box.detections(
            xp, boxes, scene.valid, last.box.scores(xp, cls), reg, scene.shapes, scale, self.test_cfg
        )
        objects: dict[str, Any] = {"bboxes": seen.bboxes, "scores": seen.scores, "labels": seen.labels}
        said: dict[str, Any] = {"pred_instances": objects, "valid": {"pred_instances": seen.valid}}
        if last.mask is not None:
            objects |= self.masked(xp, layers, maps, seen)
            objects["bboxes"] = xp.each(lambda a, b: scaled(xp, a, b), seen.bboxes, scene.scales)
            said["mask_threshold"] = xp.full((seen.valid.shape[0],), self.test_cfg["mask_thr_binary"], seen.bboxes)
        return said

    def masked(self, xp: Ops, layers: Any, maps: Sequence[Any], seen: Detections) -> dict[str, Any]:
        """What a mask head adds to detections of the images that the maps are of: ``mask_scores`` (N, K, h, w)."""
        return {"mask_scores": self.masks(xp, layers, maps, seen.bboxes, seen.labels, seen.valid)}

    def masks(self, xp: Ops, layers: Layers, maps: Sequence[Any], boxes: Any, labels: Any, valid: Any) -> Any:
        """(N, K, h, w) probabilities, on average over the stages, of objects (N, K, 4) of the images the maps are of."""
        rows = rows_of(xp, boxes, valid)
        total: Any = None
        for at in self._masking:
            masks = xp.sigmoid(layers.masks(at, maps, rows))
            total = masks if total is None else total + masks
        logic = cast("MaskLogic", self.stages[-1].mask)
        mine = logic.chosen(xp, total / len(self._masking), xp.take(labels.reshape(-1), rows.index))
        return spread(xp, mine, rows, valid)


def _most(sampler: Any, slots: int) -> int:
    """How many of an image's slots positives may take."""
    number, share = getattr(sampler, "num", None), getattr(sampler, "pos_fraction", None)
    return slots if not number or number < 0 or share is None else min(slots, int(number * share))


def _likely(xp: Ops, box: BoxLogic, cls: Any) -> Any:
    """(R,) the likeliest class that is not the background."""
    if getattr(box.loss_cls, "custom_activation", False):
        cls = box.loss_cls.get_activation(xp, cls)
    return xp.argmax(cls[:, : box.num_classes], -1)


def spread(xp: Ops, values: Any, rows: Rows, valid: Any) -> Any:
    """(N, S, ...) of the rows' (R, ...); zeros where no row is."""
    count = valid.shape[0] * valid.shape[1]
    whole = xp.put(xp.full((count, *values.shape[1:]), 0.0, values), rows.index, values)
    return whole.reshape(*valid.shape, *values.shape[1:])


def _moved(xp: Ops, box: BoxLogic, boxes: Any, rows: Rows, labels: Any, reg: Any, shapes: Any) -> Any:
    """(N, S, 4): the slots' boxes, moved as the rows say."""
    if reg is None:
        return boxes
    said = box.of_class(xp, reg, labels)
    count = boxes.shape[0] * boxes.shape[1]
    whole = xp.put(xp.full((count, said.shape[-1]), 0.0, said), rows.index, said)
    apart = whole.reshape(boxes.shape[0], boxes.shape[1], said.shape[-1])
    return xp.each(lambda a, b, c: box.bbox_coder.decode(xp, a, b, max_shape=c), boxes, apart, shapes)


def stages_of(
    build: Builder,
    boxes: Sequence[BoxLogic],
    masks: Sequence[MaskLogic],
    train_cfg: Any,
    test_cfg: Any,
    weights: Sequence[float] | None = None,
) -> Stages:
    """The stages of a head, assigners and samplers built.

    Args:
        train_cfg: one a stage, or one for a head of a single stage; None: it only predicts.
        weights: of the stages; None: it is a head of one, whose losses do not say their stage.

    Raises:
        FkitError: an argument outside of what is allowed.
    """
    count = len(boxes)
    several = train_cfg if isinstance(train_cfg, (list, tuple)) else [train_cfg] * count
    settings = cast("Sequence[Any]", several)
    if len(settings) != count or (weights is not None and len(weights) < count):
        raise FkitValueError(
            f"{count} stages, {len(settings)} train_cfg.rcnn and {count if weights is None else len(weights)} weights.",
            repair="Give one of each a stage.",
        )
    stages: list[Stage] = []
    for at in range(count):
        mine = settings[at]
        assigner = sampler = None
        if mine is not None:
            assigner, sampler = part(build, "task_utils", mine["assigner"]), part(build, "task_utils", mine["sampler"])
        mask = masks[at] if masks else None
        stages.append(Stage(boxes[at], mask, assigner, sampler, mine, 1.0 if weights is None else float(weights[at])))
    return Stages(tuple(stages), test_cfg, weights is not None)


def each_stage(cfg: Any, count: int, what: str) -> tuple[Any, ...]:
    """A config for each of ``count`` stages, where one is for all.

    Raises:
        FkitError: there is none, or another number of them.

    Example:
        >>> each_stage({"type": "Head"}, 2, "bbox_head")
        ({'type': 'Head'}, {'type': 'Head'})
    """
    if cfg is None:
        raise FkitKeyError(f"a head of regions needs {what}.", repair=f"roi_head.{what} = dict(type=...)")
    several = tuple(cast("Sequence[Any]", cfg)) if isinstance(cfg, (list, tuple)) else (cfg,) * count
    if len(several) != count:
        raise FkitValueError(f"{what}: {len(several)} for {count} stages.", repair="Give one a stage, or one for all.")
    return several
