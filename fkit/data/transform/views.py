"""Several views of one image, for test-time augmentation."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, cast

import numpy as np

from fkit.catalog.entry import Built
from fkit.data.transform.compose import Compose
from fkit.data.transform.transform import Fetch, Holder, Sample, Transform, replaced
from fkit.tree.check import expect, expect_call
from fkit.tree.error import FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["TestTimeAug", "Unflipped", "multi_scale_flip_aug"]


@dataclass(frozen=True)
class TestTimeAug(Holder):
    """Every combination of steps, a view each; mmcv 2.x's TestTimeAug.

    Args:
        transforms: a list of lists of transforms: a view takes one of the first list, then one of the second, and so on;
            the last list varies fastest.

    Returns ``{"views": (sample, sample, ...)}``, each as its own steps make it: packed, where the last list packs.

    Raises:
        FkitTypeError: ``transforms`` is no list of lists.
        FkitValueError: a list is empty, or a step drops the sample.

    Example:
        >>> from fkit.data.transform.flip import RandomFlip
        >>> from fkit.data.transform.resize import Resize
        >>> several = TestTimeAug([[Resize(4), Resize(8)], [RandomFlip(0.0), RandomFlip(1.0)]])
        >>> views = several({"img": np.zeros((6, 6, 3), np.uint8)}, np.random.default_rng(0))["views"]
        >>> [(view["img_shape"], view["flip"]) for view in views]
        [((4, 4), False), ((4, 4), True), ((8, 8), False), ((8, 8), True)]
    """

    __test__ = False  # no test of pytest's

    transforms: Annotated[Iterable[Any], Built("transforms")]
    branches: tuple[Compose, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        several: Any = self.transforms
        what = "TestTimeAug: transforms is a list of lists of transforms"
        expect(several, (list, tuple), what)
        for steps in several:
            expect(steps, (list, tuple), what)
            if not steps:
                raise FkitValueError(f"{what}, of which one is empty: there would be no view.")
        rows = tuple(Compose(steps).steps for steps in cast("Sequence[Sequence[Any]]", several))
        object.__setattr__(self, "transforms", rows)
        object.__setattr__(self, "branches", tuple(Compose(steps) for steps in itertools.product(*rows)))

    @property
    def parts(self) -> tuple[Transform, ...]:
        return self.branches

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> tuple[Any, ...]:
        """What the steps of each view draw."""
        return tuple(branch.draw(sample, rng, fetch) for branch in self.branches)

    def apply(self, sample: Sample, params: tuple[Any, ...]) -> Sample:
        pairs = zip(self.branches, params, strict=True)
        return _views(branch.apply(sample, drawn) for branch, drawn in pairs)

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None, fetch: Fetch | None = None) -> Sample:
        return _views(branch(sample, rng, fetch) for branch in self.branches)


@dataclass(frozen=True)
class Unflipped(Transform):
    """Say of a sample that it is not flipped: ``flip`` False, ``flip_direction`` None; the image stays.

    Example:
        >>> Unflipped()({})["flip"]
        False
    """

    def apply(self, sample: Sample, params: Any) -> Sample:
        return replaced(sample, flip=False, flip_direction=None)


_RESIZE: Mapping[str, Any] = frozen({"type": "Resize", "keep_ratio": True})
_FLIP: Mapping[str, Any] = frozen({"type": "RandomFlip"})


def multi_scale_flip_aug(
    transforms: Sequence[Any],
    scales: Any = None,
    scale_factor: Any = None,
    allow_flip: bool = False,
    flip_direction: str | Sequence[str] = "horizontal",
    resize_cfg: Mapping[str, Any] = _RESIZE,
    flip_cfg: Mapping[str, Any] = _FLIP,
    *,
    build: Callable[..., Any],
) -> TestTimeAug:
    """Views at several sizes, each as it is and flipped; mmcv 2.x's MultiScaleFlipAug, as a `TestTimeAug`.

    Args:
        transforms: the steps of each view after resizing and flipping, as configs.
        scales: (width, height) in pixels, or a list of them.
        scale_factor: in place of ``scales``: a factor, or a list of them.
        allow_flip: whether there are flipped views beside those that are not.
        flip_direction: "horizontal", "vertical" or "diagonal"; or a list of them, a view each.
        resize_cfg: the config of the transform that resizes, without its size.
        flip_cfg: the config of the transform that flips.
        build: makes a transform of its config; the registry passes it.

    Raises:
        FkitTypeError: an argument of another kind.

    Example:
        >>> import fkit
        >>> cfg = {"type": "MultiScaleFlipAug", "scales": [(4, 4), (8, 8)], "allow_flip": True, "transforms": []}
        >>> len(fkit.build(cfg, fkit.registry(), "transforms").branches)
        4
    """
    expect(transforms, (list, tuple), "MultiScaleFlipAug: transforms is a list of transforms")
    expect(allow_flip, bool, "MultiScaleFlipAug: allow_flip is True or False")
    for word, cfg in (("resize_cfg", resize_cfg), ("flip_cfg", flip_cfg)):
        expect(cfg, Mapping, f"MultiScaleFlipAug: {word} is the config of a transform")
    expect_call(build, "MultiScaleFlipAug: build makes a transform of its config")
    directions = (flip_direction,) if isinstance(flip_direction, str) else flip_direction
    expect(directions, (list, tuple), "MultiScaleFlipAug: flip_direction is a word or a list of words")
    key, sizes = ("scale_factor", scale_factor or 1.0) if scales is None else ("scale", scales)
    several = sizes if isinstance(sizes, list) else [sizes]
    resized = [build("transforms", {**resize_cfg, key: size}) for size in cast("list[Any]", several)]
    flipped: list[Any] = [Unflipped()]
    if allow_flip:
        for direction in directions:
            flipped.append(build("transforms", {**flip_cfg, "prob": 1.0, "direction": direction}))
    steps = Compose([step if callable(step) else build("transforms", step) for step in transforms])
    return TestTimeAug([resized, flipped, [steps]])


def _views(samples: Iterable[Any]) -> Sample:
    views: tuple[Any, ...] = tuple(samples)
    for view in views:
        if view is None:
            raise FkitValueError("a step of a view drops the sample; a test image keeps all of its views.")
        if not isinstance(view, Mapping):
            raise FkitTypeError(f"a step of a view gave {quoted(view)}, not a sample.")
    return frozen({"views": views})
