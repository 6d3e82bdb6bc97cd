"""Steps of the package albumentations in a pipeline: mmdet's and mmsegmentation's Albu, mmpose's Albumentation."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from fkit.data.ambient import repeatable, reseed
from fkit.data.transform.content import clip_boxes, image_of
from fkit.data.transform.draw import needed
from fkit.data.transform.pixel import PIXEL_STEPS, OneOf, PixelStep
from fkit.data.transform.placing import PLACING_STEPS, PlacingStep
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.image.refuse import optional
from fkit.structures.mask import BitmapMasks
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["Albu", "Albumentation", "SegAlbu"]

_NAMES = frozen({"img": "image", "gt_masks": "masks", "gt_bboxes": "bboxes"})


@dataclass(frozen=True)
class Albu(Transform):
    """Steps of albumentations; mmdet's Albu.

    Steps that released configs name (see `fkit.data.transform.pixel` and `fkit.data.transform.placing`) are the kit's own,
    with albumentations 1.3's arguments, and need no package. Where a list names any other, the whole of it is the package's.

    Args:
        transforms: configs of the steps: ``type`` and arguments, ``OneOf`` with ``transforms``.
        bbox_params: the config of a ``BboxParams``; with ``filter_lost_elements`` labels, flags and masks go with boxes that
            are lost.
        keymap: the sample's names to albumentations': ``dict(img="image", gt_masks="masks", gt_bboxes="bboxes")``.
        skip_img_without_anno: with ``filter_lost_elements``: drop a sample that has no box left.

    Params: what each step drew; the seed of the package's.

    Raises:
        FkitImportError: the steps need albumentations, which is not installed.
        FkitValueError: albumentations has no such step, or no such argument.

    Example:
        >>> steps = Albu([{"type": "RGBShift", "p": 1.0}])
        >>> steps.apply({"img": np.zeros((1, 1, 3), np.uint8)}, ((1.0, 2.0, 3.0),))["img"].tolist()
        [[[1, 2, 3]]]
    """

    transforms: Sequence[Mapping[str, Any]]
    bbox_params: Mapping[str, Any] | None = None
    keymap: Mapping[str, str] | None = None
    skip_img_without_anno: bool = False
    steps: tuple[PixelStep, ...] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        name = type(self).__name__
        expect(self.transforms, (list, tuple), f"{name}: transforms is a list of configs")
        for cfg in self.transforms:
            _checked(cfg, name)
        expect(self.bbox_params, (Mapping, type(None)), f"{name}: bbox_params is the config of a BboxParams")
        expect(self.keymap, (Mapping, type(None)), f"{name}: keymap is a mapping of names")
        expect(self.skip_img_without_anno, bool, f"{name}: skip_img_without_anno is True or False")
        steps = tuple(_step(cfg) for cfg in self.transforms)
        whole = all(step is not None for step in steps)
        object.__setattr__(self, "transforms", tuple(_frozen(cfg) for cfg in self.transforms))
        object.__setattr__(self, "bbox_params", None if self.bbox_params is None else _frozen(self.bbox_params))
        object.__setattr__(self, "keymap", frozen(self.keymap) if self.keymap else self.names)
        object.__setattr__(self, "steps", cast("tuple[PixelStep, ...]", steps) if whole else None)
        if not whole:
            self.package()  # what it says against the steps is said now

    @property
    def names(self) -> Mapping[str, str]:
        """The sample's names to albumentations' where no keymap is given."""
        return _NAMES

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Any:
        source = needed(rng, self)
        if self.steps is None:
            return int(source.integers(2**32))
        img, drawn = image_of(self._renamed(sample)), []
        for step in self.steps:
            drawn.append(step.decide(img, source))
        return tuple(drawn)

    def apply(self, sample: Sample, params: Any) -> Any:
        if self.steps is None:
            return self._by_package(sample, params)
        key = self._key("image")
        done = sample
        for step, drawn in zip(self.steps, params, strict=True):
            if drawn is None:
                continue
            if isinstance(step, PlacingStep):
                done = self._placed(done, step, drawn)
            done = replaced(done, **{key: step.changed(done[key], drawn)})
        if self.lost and self.skip_img_without_anno and not len(done.get(self._key("bboxes"), (0,))):
            return None
        return replaced(done, img_shape=done[key].shape[:2]) if "img_shape" in sample else done

    def package(self) -> Any:
        """albumentations' Compose of the steps.

        Raises:
            FkitImportError: it is not installed.
            FkitValueError: it has no such step, or refuses an argument.
        """
        others = [cfg["type"] for cfg in self.transforms if _step(cfg) is None]
        albumentations = optional("albumentations", f"{type(self).__name__}, for {', '.join(others) or 'its steps'},")
        boxes = None
        if self.bbox_params is not None:
            given = {key: value for key, value in self.bbox_params.items() if key != "filter_lost_elements"}
            if self.lost:
                given["label_fields"] = ["idx_mapper"]
            boxes = _made(albumentations, given)
        return albumentations.Compose([_made(albumentations, cfg) for cfg in self.transforms], bbox_params=boxes)

    @property
    def lost(self) -> bool:
        """Whether labels, flags and masks go with boxes that are lost."""
        return self.bbox_params is not None and "filter_lost_elements" in self.bbox_params

    def _placed(self, sample: Sample, step: PlacingStep, drawn: Any) -> Sample:
        """The sample's boxes, masks and map moved as its image will be; without boxes of which nothing is left."""
        shape = sample[self._key("image")].shape[:2]
        changes: dict[str, Any] = {}
        masks: Any = sample.get(self._key("masks"))
        if masks is not None:
            moved = [step.labels(mask, drawn) for mask in _bitmaps(masks)]
            masks = changes[self._key("masks")] = BitmapMasks(cast(Any, moved), *shape)
        if sample.get(self._key("mask")) is not None:
            changes[self._key("mask")] = step.labels(sample[self._key("mask")], drawn)
        if sample.get(self._key("bboxes")) is None:
            return replaced(sample, **changes)
        known = self._boxes_known()
        whole = step.boxes(sample[self._key("bboxes")], drawn, shape)
        boxes = clip_boxes(whole, shape)
        area, left = ((one[:, 2] - one[:, 0]) * (one[:, 3] - one[:, 1]) for one in (whole, boxes))
        stays = (left > known.get("min_visibility", 0) * area) & (left >= known.get("min_area", 0))
        changes[self._key("bboxes")] = boxes[stays]
        if masks is not None and self.lost:
            changes[self._key("masks")] = masks[stays]
        labels = {label: sample[label][stays] for label in known.get("label_fields", ())}
        return replaced(sample, **changes, **labels)

    def _boxes_known(self) -> Mapping[str, Any]:
        if self.bbox_params is None:
            raise FkitValueError(
                "Albu: the sample has boxes, and no bbox_params says how they go along.",
                repair="bbox_params=dict(type='BboxParams', format='pascal_voc', label_fields=['gt_bboxes_labels', 'gt_ignore_flags']).",
            )
        return self.bbox_params

    def _key(self, name: str) -> str:
        keymap = cast("Mapping[str, str]", self.keymap)
        return next((key for key, other in keymap.items() if other == name), name)

    def _renamed(self, sample: Sample) -> Sample:
        return replaced(sample, img=sample[self._key("image")])

    def _by_package(self, sample: Sample, seed: int) -> Any:
        keys = {
            name: self._key(name)
            for name in ("image", "bboxes", "masks", "mask")
            if sample.get(self._key(name)) is not None
        }
        given: dict[str, Any] = {name: sample[key] for name, key in keys.items()}
        masks: Any = given.get("masks")
        if masks is not None:
            given["masks"] = [mask.copy() for mask in _bitmaps(masks)]
        if "bboxes" in given:
            given["idx_mapper"] = np.arange(len(given["bboxes"]))
            for label in () if self.lost else self._boxes_known().get("label_fields", ()):
                given[label] = sample[label]

        def call() -> Any:
            steps = self.package()
            reseed(seed)
            if hasattr(steps, "set_random_seed"):
                steps.set_random_seed(seed)
            return steps(**given)

        return self._back(sample, keys, repeatable(call))

    def _back(self, sample: Sample, keys: Mapping[str, str], done: Mapping[str, Any]) -> Any:
        """The sample with what came back."""
        changes: dict[str, Any] = {keys["image"]: done["image"], "img_shape": done["image"].shape[:2]}
        if "mask" in done:
            changes[keys["mask"]] = done["mask"]
        masks: Any = list(done["masks"]) if "masks" in done else None
        if "bboxes" in done:
            changes[keys["bboxes"]] = np.array(done["bboxes"], np.float32).reshape(-1, 4)
        if self.lost and "bboxes" in done:
            left = np.array(done["idx_mapper"], np.int64)
            if not len(left) and self.skip_img_without_anno:
                return None
            for label in cast("Mapping[str, Any]", self.bbox_params).get("label_fields", ()):
                changes[label] = sample[label][left]
            masks = None if masks is None else [masks[row] for row in left.tolist()]
        elif "bboxes" in done and self.bbox_params is not None:
            changes.update({label: np.array(done[label]) for label in self.bbox_params.get("label_fields", ())})
        if masks is not None:
            changes[keys["masks"]] = BitmapMasks(masks, *done["image"].shape[:2])
        return replaced(sample, **changes)


@dataclass(frozen=True)
class Albumentation(Albu):
    """Steps of albumentations that change pixels; mmpose's Albumentation. See `Albu`; the keymap is ``dict(img="image")``."""

    @property
    def names(self) -> Mapping[str, str]:
        return frozen({"img": "image"})


@dataclass(frozen=True)
class SegAlbu(Albu):
    """Steps of albumentations; mmsegmentation's Albu: they see the image as RGB, ``gt_seg_map`` goes along.

    Args:
        transforms: configs of the steps, as of `Albu`.
        keymap: ``dict(img="image", gt_seg_map="mask")``.
        update_pad_shape: note the image's shape as ``pad_shape``.

    Example:
        >>> steps = SegAlbu([{"type": "RGBShift", "p": 1.0}])
        >>> steps.apply({"img": np.zeros((1, 1, 3), np.uint8)}, ((1.0, 2.0, 3.0),))["img"].tolist()
        [[[3, 2, 1]]]
    """

    bbox_params: None = field(init=False, default=None, repr=False)
    skip_img_without_anno: bool = field(init=False, default=False, repr=False)
    update_pad_shape: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        expect(self.update_pad_shape, bool, "Albu: update_pad_shape is True or False")

    @property
    def names(self) -> Mapping[str, str]:
        return frozen({"img": "image", "gt_seg_map": "mask"})

    def apply(self, sample: Sample, params: Any) -> Any:
        key = self._key("image")
        turned = replaced(sample, **{key: np.ascontiguousarray(sample[key][..., ::-1])})
        done = super().apply(turned, params)
        img = np.ascontiguousarray(done[key][..., ::-1])
        return replaced(done, **{key: img, **({"pad_shape": img.shape} if self.update_pad_shape else {})})


def _bitmaps(masks: Any) -> BitmapMasks:
    if not isinstance(masks, BitmapMasks):
        raise FkitTypeError("Albu takes bitmaps, and no polygons.", repair="Load them with poly2mask=True.")
    return masks


def _checked(cfg: Any, name: str) -> None:
    if not isinstance(cfg, Mapping) or not isinstance(cast("Mapping[str, Any]", cfg).get("type"), str):
        raise FkitTypeError(f"{name}: a step is a config with 'type', a name of albumentations, not {quoted(cfg)}.")
    inner: Any = cast("Mapping[str, Any]", cfg).get("transforms", ())
    expect(inner, (list, tuple), f"{name}: {cfg['type']}.transforms is a list of configs")
    for one in inner:
        _checked(one, name)


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return frozen({key: _frozen(one) for key, one in cast("Mapping[str, Any]", value).items()})
    return tuple(_frozen(one) for one in cast("list[Any]", value)) if isinstance(value, (list, tuple)) else value


def _step(cfg: Mapping[str, Any]) -> PixelStep | None:
    """The kit's step of a config; None where it has none of that name or of those arguments."""
    kind: Any = PIXEL_STEPS.get(cfg["type"]) or PLACING_STEPS.get(cfg["type"])
    arguments = {key: value for key, value in cfg.items() if key != "type"}
    if kind is None or not set(arguments) <= set(kind.__dataclass_fields__):
        return None
    if kind is OneOf:
        inner = tuple(_step(one) for one in arguments.get("transforms", ()))
        if any(step is None or isinstance(step, PlacingStep) for step in inner):
            return None
        arguments["transforms"] = inner
    return kind(**arguments)


def _made(albumentations: Any, cfg: Mapping[str, Any]) -> Any:
    """An object of albumentations, of its config. What it says of an argument that it ignores is an error."""
    kind: Any = getattr(albumentations, cfg.get("type", "BboxParams"), None)
    if kind is None:
        raise FkitValueError(f"albumentations {albumentations.__version__} has no {cfg['type']!r}.", value=cfg["type"])
    arguments = {key: value for key, value in cfg.items() if key not in ("type", "transforms")}
    if "transforms" in cfg:
        arguments["transforms"] = [_made(albumentations, one) for one in cfg["transforms"]]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*not valid")  # how 2.x says that it ignores an argument
            warnings.filterwarnings("ignore", message=".*special case")
            return kind(**arguments)
    except Exception as cause:
        raise FkitValueError(
            f"albumentations {albumentations.__version__}: {cfg.get('type', 'BboxParams')}: {cause}",
            repair="Its arguments are other ones from version to version: see the one that is installed.",
        ) from cause
