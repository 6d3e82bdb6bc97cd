"""What a model predicts of several views of each image, merged to one prediction: test-time augmentation's values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from frozendict import frozendict

from fkit.array.box import flipped
from fkit.array.ops import Ops
from fkit.array.suppress import Kept, batched, parse_rule
from fkit.array.view import map_labels, map_scores, mean
from fkit.structures.batch import Batch
from fkit.structures.content import host, is_array, namespace
from fkit.tree.check import check_fields, expect
from fkit.tree.contract import Contract, expect_contract
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted

__all__ = ["AverageClsScoreTTA", "BaseTTAModel", "DetTTAModel", "Merged", "SegTTAModel", "check_merger", "merged"]

Predictions = Sequence[Any]

_MERGER = Contract(
    "tta_model",
    (("merge", "xp, predictions, views"),),
    """
that gives one prediction of those of all views, an item a view. For example:
    @fkit.component("models", name="MeanTTA")
    @dataclass(frozen=True)
    class MeanTTA(BaseTTAModel):  # of fkit.training.merge
        def merge(self, xp, predictions, views):
            scores = [one["pred_score"] for one in predictions]
            return {"pred_score": sum(scores) / len(scores)}""",
)
_OBJECT = ("bboxes", "scores", "labels")
_SUPPRESSION = frozendict(nms=frozendict(type="nms", iou_threshold=0.5), max_per_img=100)
_KEYS = "Let the pipeline's last step keep it: meta_keys=('img_path', 'ori_shape', 'img_shape', 'flip', 'flip_direction', ...)."


class BaseTTAModel:
    """What merges predictions, as a value; mmengine's BaseTTAModel, whose ``merge_preds`` is `merge` here.

    Derive a frozen dataclass, register it among the models, and name it in ``tta_model``::

        @fkit.component("models", name="MeanTTA")
        @dataclass(frozen=True)
        class MeanTTA(BaseTTAModel):
            def merge(self, xp, predictions, views):
                return {"pred_score": sum(one["pred_score"] for one in predictions) / len(predictions)}

    ``merge(xp, predictions, views)`` is pure. ``xp`` are the operations of the arrays' library (`fkit.array.ops.Ops`);
    ``predictions`` what the model says of each view, arrays on its device; ``views`` the batches of the views, whose ``meta``
    say for each image how it was changed (``flip``, ``flip_direction``, ``img_shape``, ``ori_shape``, ``scale_factor``). It
    gives what the model would have predicted of the images as they are.
    """

    __fkit_kind__ = "models"


def check_merger(value: Any) -> None:
    """Refuse what merges no predictions.

    Raises:
        FkitTypeError: with what does.

    Example:
        >>> check_merger(AverageClsScoreTTA())
    """
    expect_contract(value, _MERGER)


def merged(xp: Ops, merge: Callable[..., Any], predictions: Predictions, views: Sequence[Batch]) -> Any:
    """What ``merge`` makes of the predictions of all views, in their precision.

    Raises:
        FkitTypeError: it gives nothing.
    """
    arrays = [value for one in predictions if isinstance(one, Mapping) for value in one.values() if is_array(value)]
    with xp.width(arrays):
        outputs = merge(xp, predictions, views)
    if outputs is None:
        raise FkitTypeError(
            "what merges the predictions of all views gave None.", path="tta_model", repair=_MERGER.text
        )
    return outputs


@dataclass(frozen=True)
class AverageClsScoreTTA(BaseTTAModel):
    """The mean of the views' class scores; mmpretrain's AverageClsScoreTTA.

    Of predictions with ``pred_score`` (N, K) it gives ``pred_score``, and ``pred_label``, the greatest, where the model's
    predictions have (N,) of these.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> scores = [{"pred_score": np.array([row])} for row in ([0.75, 0.25], [0.25, 0.75])]
        >>> AverageClsScoreTTA().merge(Numpy(), scores, [Batch(np.zeros((1, 1)))] * 2)["pred_score"].tolist()
        [[0.5, 0.5]]
    """

    def merge(self, xp: Ops, predictions: Predictions, views: Sequence[Batch]) -> Mapping[str, Any]:
        """The prediction of all views; see `BaseTTAModel`."""
        score = mean(_field(predictions, views, "pred_score", type(self).__name__))
        label: Any = predictions[0].get("pred_label")
        plain = is_array(label) and tuple(label.shape) == tuple(score.shape[:1])
        return {"pred_score": score, "pred_label": xp.argmax(score, 1)} if plain else {"pred_score": score}


@dataclass(frozen=True)
class SegTTAModel(BaseTTAModel):
    """The mean of the views' class probabilities at each pixel of the original image; mmseg's SegTTAModel.

    Of predictions with ``seg_logits`` (N, K, H, W), of the view as the model is given it, padding included, it gives
    ``pred_sem_seg`` (N, H', W'): padded at the bottom and on the right to the batch's greatest original image, or as its
    ``gt_sem_seg`` are. Where logits are smaller than the view they are resized to it first.

    Args:
        threshold: of a model with one class: the probability above which a pixel is of class 1.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> image = {"ori_shape": (1, 2), "img_shape": (1, 2)}
        >>> views = [Batch(np.zeros((1, 3, 1, 2)), meta=({**image, "flip": flip, "flip_direction": "horizontal"},)) for flip in (0, 1)]
        >>> logits = [{"seg_logits": np.array([[[a], [b]]])} for a, b in (((0.0, 0.0), (1.0, 1.0)), ((3.0, 0.0), (0.0, 0.0)))]
        >>> SegTTAModel().merge(Numpy(), logits, views)["pred_sem_seg"].tolist()
        [[[1, 0]]]
    """

    threshold: float = 0.3

    def __post_init__(self) -> None:
        check_fields(self)

    def merge(self, xp: Ops, predictions: Predictions, views: Sequence[Batch]) -> Mapping[str, Any]:
        """The prediction of all views; see `BaseTTAModel`."""
        logits = _field(predictions, views, "seg_logits", type(self).__name__)
        changes = [_changes(view) for view in views]
        _expect_told(changes, views)
        several = [_whole(xp, one, view) for one, view in zip(logits, views, strict=True)]
        shapes = [row.shape for row in changes[0]]
        if all(len(set(rows)) == 1 for rows in changes):  # the images are changed alike
            rows, labels = [slice(None)], list[Any]()
        else:
            rows, labels = [slice(at, at + 1) for at in range(len(shapes))], list[Any]()
        for number, row in enumerate(rows):
            scores = [
                map_scores(xp, one[row], change[number].size, change[number].direction, shapes[number])
                for one, change in zip(several, changes, strict=True)
            ]
            labels.append(map_labels(xp, mean(scores), self.threshold))
        return {"pred_sem_seg": _together(labels, _canvas(shapes, views))}


@dataclass(frozen=True)
class DetTTAModel(BaseTTAModel):
    """The detections of all views, each flipped back, and of those about the same object the best; mmdet's DetTTAModel.

    Of predictions with ``pred_instances`` (``bboxes`` (N, K, 4) in coordinates of the original images, ``scores`` and
    ``labels`` (N, K), ``mask_scores`` (N, K, S, S) of each box) it gives the same of ``max_per_img`` each.

    Args:
        tta_cfg: ``nms``, a table as `fkit.array.suppress.batched` takes, and ``max_per_img``; None: as in the example.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> one = {"bboxes": np.array([[[1.0, 0, 4, 5]]]), "scores": np.array([[0.5]]), "labels": np.array([[2]])}
        >>> views = [Batch(np.zeros((1, 3, 8, 10)), meta=({"ori_shape": (8, 10), "flip": flip},)) for flip in (False, False)]
        >>> tta = DetTTAModel(dict(nms=dict(type="nms", iou_threshold=0.5), max_per_img=100))
        >>> tta.merge(Numpy(), [{"pred_instances": one}] * 2, views)["valid"]["pred_instances"].sum()
        np.int64(1)
    """

    tta_cfg: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        expect(
            self.tta_cfg, (Mapping, type(None)), "DetTTAModel: tta_cfg is a table, dict(nms=dict(...), max_per_img=100)"
        )
        given = dict(_SUPPRESSION if self.tta_cfg is None else self.tta_cfg)
        for name in given:
            if name not in _SUPPRESSION:
                what = f"DetTTAModel: tta_cfg has no key {quoted(name)}."
                raise FkitValueError(what, value=str(name), choices=tuple(_SUPPRESSION), label="Keys")
        if given.get("nms") is not None:
            parse_rule(given["nms"])
        expect(given.get("max_per_img", 1), int, "DetTTAModel: max_per_img is a whole number")
        object.__setattr__(self, "tta_cfg", frozendict(_SUPPRESSION | given))

    def merge(self, xp: Ops, predictions: Predictions, views: Sequence[Batch]) -> Mapping[str, Any]:
        """The prediction of all views; see `BaseTTAModel`."""
        groups = _field(predictions, views, "pred_instances", type(self).__name__)
        several = [_unflipped(xp, *one) for one in zip(groups, predictions, views, strict=True)]
        rows = {name: xp.lib.concat([one[name] for one in several], axis=1) for name in several[0]}
        cfg = cast("Mapping[str, Any]", self.tta_cfg)
        count = cfg["max_per_img"] if cfg["max_per_img"] > 0 else None

        def best(image: Mapping[str, Any]) -> Any:
            boxes, scores, labels = (image[name] for name in _OBJECT)
            kept = batched(xp, boxes, scores, labels, cfg["nms"], valid=image["valid"], count=count)
            of = {name: _picked(xp, array, kept) for name, array in image.items() if name != "valid"}
            return {**of, "scores": kept.scores}, kept.valid

        fields, valid = xp.each(best, rows)
        more = {name: predictions[0][name] for name in ("mask_threshold",) if name in predictions[0]}
        return {"pred_instances": fields, "valid": {"pred_instances": valid}, **more}


@dataclass(frozen=True)
class Merged(BaseTTAModel):
    """Merges as what is predicted asks for: `SegTTAModel` where there are ``seg_logits``, `AverageClsScoreTTA` where there is
    ``pred_score``, `DetTTAModel` where there are ``pred_instances`` with boxes. It is what merges where a test pipeline has several views and no ``tta_model`` is named.

    Raises:
        FkitValueError: none is there.
    """

    def merge(self, xp: Ops, predictions: Predictions, views: Sequence[Batch]) -> Mapping[str, Any]:
        """The prediction of all views; see `BaseTTAModel`."""
        first: Any = predictions[0]
        expect(first, Mapping, "what is predicted of a view is a mapping")
        names = tuple(cast("Mapping[str, Any]", first))
        if "seg_logits" in names:
            return SegTTAModel().merge(xp, predictions, views)
        if "pred_score" in names:
            return AverageClsScoreTTA().merge(xp, predictions, views)
        if "pred_instances" in names and set(_OBJECT) <= set(first["pred_instances"]):
            return DetTTAModel().merge(xp, predictions, views)
        raise FkitValueError(
            f"a batch is {len(views)} views of each image, and the model predicts {', '.join(names)}, which nothing merges.",
            repair="Give the pipeline one size and no flip; let the model predict 'seg_logits' or 'pred_score' too; or "
            "name a tta_model of your own. " + _MERGER.text,
        )


class _Change(NamedTuple):
    """How an image was changed: ``size`` of the view, its flip, and ``shape`` of the image itself."""

    size: tuple[int, int]
    direction: str | None
    shape: tuple[int, int]


def _field(predictions: Predictions, views: Sequence[Batch], name: str, who: str) -> list[Any]:
    """One of the fields of each view's prediction."""
    if len(predictions) != len(views) or not views:
        raise FkitValueError(f"{who}: {len(predictions)} predictions of {len(views)} views.")
    for one in predictions:
        expect(one, Mapping, f"{who} merges predictions that are mappings of arrays")
        if name not in one:
            raise FkitKeyError(
                f"{who} merges {name!r}, and the model does not predict it.", value=name, choices=tuple(one), label="It predicts",
                repair=f'In mode="predict" return {{{name!r}: ...}} too.',
            )  # fmt: skip
    return [one[name] for one in predictions]


def _changes(view: Batch) -> list[_Change]:
    rows: list[_Change] = []
    sizes: Any = host(view.targets.get("input_shape"))
    whole = tuple(getattr(view.inputs, "shape", ()))[-2:]
    if len(whole) < 2:
        raise FkitTypeError(f"SegTTAModel: inputs of a view are images (N, C, H, W), not {quoted(view.inputs)}.")
    if len(view.meta) != len(view):
        raise FkitValueError("SegTTAModel: the images of a view have no meta.", repair=_KEYS)
    for at, meta in enumerate(view.meta):
        size = whole if sizes is None else (int(sizes[at][0]), int(sizes[at][1]))
        shape: Any = meta.get("ori_shape")
        if shape is None:
            raise FkitKeyError("SegTTAModel: the meta of an image has no 'ori_shape'.", value="ori_shape", choices=tuple(meta), label="It has", repair=_KEYS)  # fmt: skip
        direction = str(meta.get("flip_direction")) if meta.get("flip") else None
        rows.append(_Change((size[0], size[1]), direction, (int(shape[0]), int(shape[1]))))
    return rows


def _unflipped(xp: Ops, group: Any, prediction: Any, view: Batch) -> dict[str, Any]:
    """A view's objects where they are in the original images: arrays by name, and which are there in ``valid``."""
    expect(group, Mapping, "DetTTAModel merges pred_instances that are mappings of arrays")
    for name in _OBJECT:
        if name not in group:
            what = f"DetTTAModel merges {name!r} of pred_instances, and the model does not predict them."
            raise FkitKeyError(what, value=name, choices=tuple(group), label="It predicts")
    if len(view.meta) != len(group["bboxes"]):
        raise FkitValueError("DetTTAModel: the images of a view have no meta.", repair=_KEYS)
    boxes, masks = list[Any](), list[Any]()
    for at, meta in enumerate(view.meta):
        shape: Any = meta.get("ori_shape")
        if shape is None:
            raise FkitKeyError("DetTTAModel: the meta of an image has no 'ori_shape'.", value="ori_shape", choices=tuple(meta), label="It has", repair=_KEYS)  # fmt: skip
        direction = str(meta.get("flip_direction")) if meta.get("flip") else None
        one = group["bboxes"][at]
        boxes.append(one if direction is None else flipped(xp, one, (int(shape[0]), int(shape[1])), direction))
        if "mask_scores" in group:
            axes = tuple(axis for axis, word in ((1, "vertical"), (2, "horizontal")) if direction in (word, "diagonal"))
            masks.append(xp.flipped(group["mask_scores"][at], axes) if axes else group["mask_scores"][at])
    valid: Any = cast("Mapping[str, Any]", prediction.get("valid") or {}).get("pred_instances")
    rows = {name: group[name] for name in _OBJECT}
    rows["bboxes"] = xp.lib.stack(boxes)
    rows["valid"] = xp.lib.isfinite(rows["scores"]) if valid is None else valid
    return rows | ({"mask_scores": xp.lib.stack(masks)} if masks else {})


def _picked(xp: Ops, array: Any, kept: Kept) -> Any:
    """The rows of an array that are kept, and zeros."""
    valid = kept.valid.reshape((-1, *(1 for _ in array.shape[1:])))
    return xp.lib.where(valid, xp.take(array, kept.index), 0)


def _expect_told(changes: Sequence[Sequence[_Change]], views: Sequence[Batch]) -> None:
    """Views that differ in nothing that is told are flipped in secret, most likely: they would be averaged the wrong way
    round."""
    told = any("flip" in meta for view in views for meta in view.meta)
    if not told and len({tuple(rows) for rows in changes}) < len(changes):
        raise FkitKeyError(
            "SegTTAModel: views of one size, and no meta says whether they are flipped.", value="flip",
            choices=tuple(views[0].meta[0]), label="The meta has",
            repair=f"{_KEYS} Where there is no flip, a step dict(type='RandomFlip', prob=0.0) says so.",
        )  # fmt: skip


def _whole(xp: Ops, logits: Any, view: Batch) -> Any:
    """A view's logits, one a pixel of its padded images."""
    if not is_array(logits) or logits.ndim != 4:
        raise FkitTypeError(
            f"SegTTAModel: seg_logits are (N, K, H, W), not {quoted(getattr(logits, 'shape', logits))}."
        )
    whole = (int(view.inputs.shape[-2]), int(view.inputs.shape[-1]))
    height, width = logits.shape[2:]
    if height > whole[0] or width > whole[1]:
        raise FkitValueError(
            f"SegTTAModel: seg_logits of {height} x {width} pixels for views of {whole[0]} x {whole[1]}: a model predicts of the "
            "view that it is given, and what merges brings that back to the image.",
            repair="Do not resize the logits to ori_shape in the model.",
        )
    return logits if (height, width) == whole else xp.resized(logits, whole)


def _canvas(shapes: Sequence[tuple[int, int]], views: Sequence[Batch]) -> tuple[int, int]:
    """The (height, width) of the maps of a batch: that of the truth's, which pads likewise, where there is one."""
    height, width = max(shape[0] for shape in shapes), max(shape[1] for shape in shapes)
    for view in views:
        truth = tuple(getattr(view.targets.get("gt_sem_seg"), "shape", ()))[-2:]
        if len(truth) == 2 and truth[0] >= height and truth[1] >= width:
            return truth
    return height, width


def _together(labels: list[Any], canvas: tuple[int, int]) -> Any:
    lib = namespace(labels[0])
    several: list[Any] = []
    for one in labels:
        for axis in (1, 2):
            more = canvas[axis - 1] - one.shape[axis]
            if more:
                blank = lib.zeros_like(one[:, :1] if axis == 1 else one[:, :, :1])
                one = lib.concat([one, *([blank] * more)], axis=axis)
        several.append(one)
    return several[0] if len(several) == 1 else lib.concat(several, axis=0)
