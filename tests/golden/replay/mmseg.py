"""Of mmseg's transforms: recorded draws -> params, by the name of fkit's class."""

from collections.abc import Callable, Mapping
from typing import Any

from frozendict import frozendict

from fkit.data.transform.crop import Crop
from fkit.data.transform.distortion import Distortion
from fkit.data.transform.mosaic import Tiles
from fkit.data.transform.segmentation.map import Strip
from fkit.data.transform.segmentation.turn import Spin


def crop(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Crop:
    top, _, left, _ = recorded.param("crop_bbox")
    return Crop(top, left, *transform.crop_size)


def distortion(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Distortion:
    """The reference asks for a part's number right after the coin that says whether there is one."""

    def part(fn: str = "np.random.uniform") -> Any:
        return recorded.draw(fn) if coin() else None

    def coin() -> Any:
        return recorded.draw("np.random.randint", [2])

    brightness = part()
    last = not coin()
    contrast = None if last else part()
    saturation, hue = part(), part("np.random.randint")
    return Distortion(brightness, part() if last else contrast, last, saturation, hue, None)


def angle(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    turns, degrees = recorded.param("generate_degree")
    return degrees if turns else None


def spin(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    if recorded.draw("np.random.random") < transform.rotate_prob:
        return Spin(recorded.draw("np.random.uniform"))
    if recorded.draw("np.random.random") >= transform.flip_prob:
        return None
    return Spin(None, recorded.draw("np.random.randint"), recorded.draw("np.random.randint"))


def holes(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    _, _, left, top, which = recorded.param("generate_patches")
    height, width = sample["img"].shape[:2]
    sizes = transform.holes.cutout_ratio or transform.holes.cutout_shape
    across, down = (width, height) if transform.holes.cutout_ratio else (1, 1)
    rows = (
        (x, y, int(sizes[at][0] * across), int(sizes[at][1] * down)) for x, y, at in zip(left, top, which, strict=True)
    )
    return tuple((x, y, min(x + wide, width), min(y + high, height)) for x, y, wide, high in rows)


def mosaic(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    if not recorded.param("do_mosaic"):
        return None
    return Tiles(tuple(recorded.others), recorded.param("generate_mosaic_center"))


def strip(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    if recorded.draw() > transform.prob:
        return None
    width = sample["img"].shape[1]
    left = int(width * recorded.draw())
    return Strip(left, int(max(1, (width - left) * (transform.mix_scale_ratio * recorded.draw()))))


PARAMS: Mapping[str, Callable[..., Any]] = frozendict(
    PhotoMetricDistortion=distortion,
    RandomCrop=crop,
    RandomCutOut=holes,
    RandomDepthMix=strip,
    RandomMosaic=mosaic,
    RandomRotFlip=spin,
    RandomRotate=angle,
)
