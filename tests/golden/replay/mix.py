"""Of transforms of transforms, policies and mixtures: recorded draws -> params, by the name of fkit's class."""

from collections.abc import Callable, Mapping
from typing import Any

from frozendict import frozendict

from fkit.data.transform.composition import Chosen
from fkit.data.transform.distortion import Distortion
from fkit.data.transform.mixup import Mixture
from fkit.data.transform.mosaic import Tiles
from fkit.data.transform.paste import Pasted
from fkit.data.transform.policy import Several


def random_choice(recorded: Any, transform: Any, sample: Any) -> Any:
    which = int(recorded.param("random_pipeline_index"))
    return Chosen(which, recorded.params_of(transform.pipelines[which], sample))


def random_apply(recorded: Any, transform: Any, sample: Any) -> Any:
    return recorded.params_of(transform.pipeline, sample) if recorded.param("random_apply") else None


def random_order(recorded: Any, transform: Any, sample: Any) -> Any:
    order = tuple(recorded.param("_random_permutation").tolist())
    return Chosen(order, recorded.params_of(transform.ordered(order), sample))


def key_mapper(recorded: Any, transform: Any, sample: Any) -> Any:
    return recorded.params_of(transform.pipeline, transform.inner(sample))


def broadcaster(recorded: Any, transform: Any, sample: Any) -> Any:
    rows = transform.scattered(sample)
    if transform.share_random_params:
        return (recorded.params_of(transform.pipeline, rows[0]),) * len(rows)
    return tuple(recorded.params_of(transform.pipeline, row) for row in rows)


def proposals(recorded: Any, transform: Any, sample: Any) -> Any:
    return recorded.params_of(transform.pipeline, sample)


def rand_augment(recorded: Any, transform: Any, sample: Any) -> Any:
    which = tuple(recorded.param("random_pipeline_index").tolist())
    return Several(which, recorded.params_of(transform.chain(which), sample))


def magnitude(recorded: Any, transform: Any, sample: Any) -> Any:
    return None if recorded.param("_random_disable") else float(recorded.param("_get_mag"))


def distortion(recorded: Any, transform: Any, sample: Any) -> Any:
    mode, bright, contrast, saturated, turned, mixed, *values, order = recorded.param("_random_flags")
    flags = (bright, contrast, saturated, turned)
    delta, factor, colour, hue = (float(value) if flag else None for flag, value in zip(flags, values, strict=True))
    return Distortion(delta, factor, mode == 0, colour, hue, tuple(order.tolist()) if mixed else None)


def shifts(recorded: Any, transform: Any, sample: Any) -> Any:
    return tuple(recorded.param("_get_hsv_gains").tolist())


def affine(recorded: Any, transform: Any, sample: Any) -> Any:
    return recorded.param("_get_random_homography_matrix")


def tiles(recorded: Any, transform: Any, sample: Any) -> Any:
    return _tiles(recorded, transform, recorded.others)


def _tiles(recorded: Any, transform: Any, others: Any) -> Any:
    centre = (int(recorded.draw("np.random.uniform") * side) for side in transform.img_scale)
    return Tiles(tuple(others), tuple(centre))


def mosaic(recorded: Any, transform: Any, sample: Any) -> Any:
    return None if recorded.draw("np.random.uniform") > transform.prob else tiles(recorded, transform, sample)


def cached_mosaic(recorded: Any, transform: Any, sample: Any) -> Any:
    """The reference's cache, of the last samples; it waits until there are five."""
    cache = _cache(recorded, transform)
    if len(cache) <= 4 or recorded.draw("np.random.uniform") > transform.prob:
        return None
    others = [cache[recorded.draw("np.random.randint")] for _ in range(3)]
    return _tiles(recorded, transform, others)


def mixup(recorded: Any, transform: Any, sample: Any) -> Any:
    return _mixture(recorded, transform, sample, recorded.others[0])


def cached_mixup(recorded: Any, transform: Any, sample: Any) -> Any:
    cache = _cache(recorded, transform)
    if len(cache) <= 1 or recorded.draw("np.random.uniform") > transform.prob:
        return None
    for _ in range(transform.max_iters):
        other = cache[recorded.draw("np.random.randint")]
        if len(other["gt_bboxes"]):
            break
    return _mixture(recorded, transform, sample, other)


def _mixture(recorded: Any, transform: Any, sample: Any, other: Any) -> Any:
    if not len(other["gt_bboxes"]):
        return None
    factor, flip = recorded.draw("np.random.uniform"), recorded.draw("np.random.uniform") > transform.flip_ratio
    height, width = sample["img"].shape[:2]
    down = recorded.draw("np.random.randint") if int(transform.img_scale[1] * factor) > height else 0
    right = recorded.draw("np.random.randint") if int(transform.img_scale[0] * factor) > width else 0
    return Mixture(other, factor, flip, (right, down))


def _cache(recorded: Any, transform: Any) -> list[Any]:
    """What the reference remembers: the samples so far, but for those that it forgot."""
    cache: list[Any] = []
    for at, one in enumerate(recorded.seen):
        cache.append(one)
        if len(cache) > transform.max_cached_images:
            last = at == len(recorded.seen) - 1
            if transform.random_pop and last:
                recorded.popped.append(recorded.draw("np.random.randint"))
            cache.pop(recorded.popped[at - transform.max_cached_images] if transform.random_pop else 0)
    return cache


def pasted(recorded: Any, transform: Any, sample: Any) -> Any:
    rows = tuple(recorded.param("_get_selected_inds").tolist()) if transform.selected else None
    return Pasted(recorded.others[0], rows)


MAGNITUDES = (
    "AutoContrast", "Brightness", "Color", "ColorTransform", "Contrast", "Equalize", "Invert", "Posterize", "Rotate", "Sharpness",
    "ShearX", "ShearY", "Solarize", "SolarizeAdd", "TranslateX", "TranslateY",
)  # fmt: skip

PARAMS: Mapping[str, Callable[..., Any]] = frozendict(
    AutoAugment=random_choice,
    CachedMixUp=cached_mixup,
    CachedMosaic=cached_mosaic,
    CopyPaste=pasted,
    KeyMapper=key_mapper,
    MixUp=mixup,
    Mosaic=mosaic,
    PhotoMetricDistortion=distortion,
    ProposalBroadcaster=proposals,
    RandAugment=rand_augment,
    RandomAffine=affine,
    RandomApply=random_apply,
    RandomChoice=random_choice,
    RandomOrder=random_order,
    TransformBroadcaster=broadcaster,
    YOLOXHSVRandomAug=shifts,
    **dict.fromkeys(MAGNITUDES, magnitude),
)
