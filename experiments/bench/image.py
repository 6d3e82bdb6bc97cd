"""Image functions of fkit against mmcv-lite's, both in one interpreter, call by call.

    nox -s bench -- image                      # makes the environment that holds both
    python experiments/bench/image.py          # in an environment that holds both
    python experiments/bench/image.py --peer PYTHON [--only imresize chain] [--rounds 31] [--clock processor]

Every pair is called with the same arguments, first once to compare the results, then in turns; printed is the median
over the rounds of mmcv's time divided by fkit's, so above 1 fkit is faster. One thread. On a busy machine
``--clock processor`` counts processor time in place of wall time. Aims: 0.95 for each function
(in-place twins left out), 2 for the chain of resize, flip, normalise and pad.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

AIM, AIM_CHAIN = 0.95, 2.0
BLOCK_SECONDS = 0.004
MEAN, STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])


class Pair(NamedTuple):
    """One call, as mmcv and as fkit make it."""

    name: str
    theirs: Callable[[], Any]
    ours: Callable[[], Any]
    comparable: bool = True  # False: the two draw their own random numbers


class Row(NamedTuple):
    """What was measured of a pair."""

    name: str
    theirs_us: float
    ours_us: float
    ratio: float  # median of the paired ratios
    low: float  # their quartiles
    high: float
    same: bool | None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="the interpreter that has both packages; this one when absent")
    parser.add_argument("--only", nargs="*", default=[], help="names to run; all when absent")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall")
    parser.add_argument("--json", help="file for the rows")
    given = parser.parse_args()
    if given.peer:
        again = [given.peer, __file__, "--rounds", str(given.rounds), "--clock", given.clock, "--only", *given.only]
        return subprocess.run([*again, *(["--json", given.json] if given.json else [])], check=False).returncode
    clock = time.process_time if given.clock == "processor" else time.perf_counter
    warnings.simplefilter("ignore")  # mmcv's notes on its own slowness
    with tempfile.TemporaryDirectory() as folder:
        chosen = [pair for pair in pairs(Path(folder)) if not given.only or pair.name.split()[0] in given.only]
        rows = [measured(pair, given.rounds, clock) for pair in chosen]
    report(rows)
    if given.json:
        Path(given.json).write_text(json.dumps([row._asdict() for row in rows], indent=1) + "\n")
    return 0


def measured(pair: Pair, rounds: int, clock: Callable[[], float]) -> Row:
    same = alike(pair.theirs(), pair.ours()) if pair.comparable else None
    count = max(1, int(BLOCK_SECONDS / max(block(pair.theirs, 3, clock), 1e-7)))
    ratios, theirs, ours = [], [], []
    for turn in range(rounds):
        if turn % 2:
            mine, other = block(pair.ours, count, clock), block(pair.theirs, count, clock)
        else:
            other, mine = block(pair.theirs, count, clock), block(pair.ours, count, clock)
        ratios.append(other / mine)
        theirs.append(other)
        ours.append(mine)
    low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    return Row(pair.name, 1e6 * np.median(theirs), 1e6 * np.median(ours), float(middle), float(low), float(high), same)


def block(call: Callable[[], Any], count: int, clock: Callable[[], float]) -> float:
    """Seconds a call, over ``count`` calls."""
    start = clock()
    for _ in range(count):
        call()
    return (clock() - start) / count


def alike(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.shape == other.shape and one.dtype == other.dtype and bool(np.allclose(one, other, 1e-5, 1e-4))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(alike(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def report(rows: list[Row]) -> None:
    print(f"{'call':44} {'mmcv us':>10} {'fkit us':>10} {'ratio':>7}  {'quartiles':>13}  same")
    for row in rows:
        aim = AIM_CHAIN if row.name.startswith("chain") else AIM
        note = "" if row.ratio >= aim else f"  below {aim}"
        spread = f"{row.low:.2f} .. {row.high:.2f}"
        print(
            f"{row.name:44} {row.theirs_us:10.1f} {row.ours_us:10.1f} {row.ratio:7.2f}  {spread:>13}  {row.same}{note}"
        )
    below = [row.name for row in rows if row.ratio < (AIM_CHAIN if row.name.startswith("chain") else AIM)]
    print(f"{len(rows)} calls, {len(rows) - len(below)} at or above the aim; below: {', '.join(below) or 'none'}")


def pairs(folder: Path) -> Iterator[Pair]:
    import cv2
    import mmcv
    import mmcv.visualization

    import fkit.image

    cv2.setNumThreads(1)
    for label, name, args, kwargs in calls(folder):
        theirs = (
            getattr(mmcv, name, None) or getattr(mmcv.visualization, name, None) or getattr(mmcv.image.geometric, name)
        )
        ours = getattr(fkit.image, name)
        yield Pair(f"{name} {label}".strip(), bound(theirs, args, kwargs), bound(ours, args, kwargs))
    picture = photo(800, 600)
    rng, eigen = np.random.default_rng(0), (np.array([55.46, 4.794, 1.148]), np.eye(3))
    yield Pair(
        "cutout", lambda: mmcv.cutout(picture, 100), lambda: fkit.image.cutout(picture, 100, rng=rng), comparable=False
    )
    yield Pair(
        "adjust_lighting",
        lambda: mmcv.adjust_lighting(picture, *eigen),
        lambda: fkit.image.adjust_lighting(picture, *eigen, rng=rng),
        comparable=False,
    )
    boxes = np.random.default_rng(0).uniform(0, 500, (50, 5)).astype(np.float32)
    boxes[:, 2:4] += boxes[:, :2]
    labels = np.arange(50)
    for name, args in (("imshow_bboxes", (boxes[:, :4],)), ("imshow_det_bboxes", (boxes, labels))):
        # mmcv draws into its argument, so whoever wants what fkit does hands it a copy
        yield Pair(
            name,
            drawn(getattr(mmcv.visualization, name), picture.copy, args),
            drawn(getattr(fkit.image, name), picture.view, args),
        )
    yield from videos(folder)
    yield from chains()


def drawn(function: Callable[..., Any], picture: Callable[[], np.ndarray], args: tuple[Any, ...]) -> Callable[[], Any]:
    return lambda: function(picture(), *args, show=False)


def videos(folder: Path) -> Iterator[Pair]:
    import mmcv

    import fkit.image

    for i in range(40):
        fkit.image.imwrite(np.roll(photo(320, 240), 4 * i, axis=1), folder / f"{i:06d}.png")
    path = str(folder / "a.avi")
    fkit.image.frames2video(folder, path, fourcc="MJPG", filename_tmpl="{:06d}.png")
    yield Pair("VideoReader iterate", lambda: list(mmcv.VideoReader(path)), lambda: list(fkit.image.VideoReader(path)))
    order = [30, 2, 17, 3, 38]
    theirs, ours = mmcv.VideoReader(path, 1), fkit.image.VideoReader(path, 1)
    yield Pair("VideoReader random", lambda: [theirs[i] for i in order], lambda: [ours[i] for i in order])
    yield Pair("VideoReader slice", lambda: theirs[5:15], lambda: ours[5:15])
    target = str(folder / "b.avi")
    options: dict[str, Any] = {"fourcc": "MJPG", "filename_tmpl": "{:06d}.png", "end": 20}
    yield Pair(
        "frames2video",
        lambda: mmcv.frames2video(str(folder), target, show_progress=False, **options),
        lambda: fkit.image.frames2video(folder, target, **options),
        comparable=False,  # mmcv answers None
    )


def chains() -> Iterator[Pair]:
    import mmcv

    import fkit.image

    def theirs(img: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        img = mmcv.imflip(mmcv.imresize(img, size))
        return mmcv.impad_to_multiple(mmcv.imnormalize(img, MEAN, STD), 32)

    def ours(img: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        return fkit.image.preprocess(img, size=size, flip="horizontal", mean=MEAN, std=STD, size_divisor=32)

    for wide, high, size in ((640, 480, (1067, 800)), (640, 427, (224, 224)), (1920, 1080, (1333, 750))):
        img = photo(wide, high)
        label = f"chain {wide}x{high} to {size[0]}x{size[1]}"
        yield Pair(label, bound(theirs, (img, size), {}), bound(ours, (img, size), {}))


def bound(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], Any]:
    return lambda: function(*args, **kwargs)


def photo(width: int, height: int) -> np.ndarray:
    """A smooth picture with some noise, (height, width, 3) uint8."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 37 + k) * np.cos(y / 53 - k) for k in range(3)]
    noise = np.random.default_rng(0).normal(0, 4, (height, width, 3))
    return np.clip(127 + 100 * np.stack(waves, axis=-1) + noise, 0, 255).astype(np.uint8)


def calls(folder: Path) -> Iterator[tuple[str, str, tuple[Any, ...], dict[str, Any]]]:
    """(label, function, arguments): the pure functions, on a picture of 800 x 600."""
    import cv2

    img = photo(800, 600)
    gray, unit = cv2.cvtColor(img, cv2.COLOR_BGR2GRAY), img.astype(np.float32) / 255
    wide, normal = img.astype(np.float32), (img.astype(np.float32) - 120) / 60
    yield from coding(folder, img, gray)
    for name in ("bgr2gray", "rgb2gray", "bgr2rgb", "rgb2bgr", "bgr2hsv", "hsv2bgr", "bgr2hls", "hls2bgr"):
        yield "", name, (img,), {}
    for name in ("gray2bgr", "gray2rgb"):
        yield "", name, (gray,), {}
    yield "bgr lab", "imconvert", (img, "bgr", "lab"), {}
    for name in ("rgb2ycbcr", "bgr2ycbcr", "ycbcr2rgb", "ycbcr2bgr"):
        yield "uint8", name, (img,), {}
        yield "float32", name, (unit,), {}
    yield "y_only", "rgb2ycbcr", (img, True), {}
    yield from geometry(img, gray)
    yield "uint8", "imnormalize", (img, MEAN, STD), {}
    yield "uint8 bgr", "imnormalize", (img, MEAN, STD, False), {}
    yield "float32", "imnormalize", (wide, MEAN, STD), {}
    yield "", "imdenormalize", (normal, MEAN, STD), {}
    for label, one in (("uint8", img), ("float32", wide)):
        for name, rest in (("iminvert", ()), ("solarize", ()), ("adjust_color", (0.6,)), ("adjust_brightness", (1.3,)),
                           ("adjust_contrast", (1.3,)), ("adjust_sharpness", (1.5,)), ("adjust_hue", (0.2,))):  # fmt: skip
            yield label, name, (one, *rest), {}
    for name, rest in (
        ("adjust_color", (0.6,)),
        ("adjust_brightness", (1.3,)),
        ("adjust_contrast", (1.3,)),
        ("adjust_hue", (0.2,)),
    ):
        yield "pillow", name, (img, *rest), {"backend": "pillow"}
    yield "", "posterize", (img, 3), {}
    yield "", "imequalize", (img,), {}
    yield "", "auto_contrast", (img,), {"cutoff": 5}
    yield "", "lut_transform", (img, np.arange(256, dtype=np.uint8)[::-1].copy()), {}
    yield "", "clahe", (gray,), {}
    yield "", "quantize", (unit, 0, 1, 32), {}
    yield "", "dequantize", (img, 0, 1, 256), {}
    yield "red", "color_val", ("red",), {}
    yield from flows(folder, img, unit)


def coding(
    folder: Path, img: np.ndarray, gray: np.ndarray
) -> Iterator[tuple[str, str, tuple[Any, ...], dict[str, Any]]]:
    import cv2

    for suffix, one in ((".jpg", img), (".png", img), (".png", gray)):
        path = str(folder / f"picture{one.ndim}{suffix}")
        cv2.imwrite(path, one)
        content = Path(path).read_bytes()
        kind = f"{'colour' if one.ndim == 3 else 'grey'} {suffix[1:]}"
        yield kind, "imread", (path,), {}
        yield f"{kind} rgb", "imread", (path,), {"channel_order": "rgb"}
        yield f"{kind} pillow", "imread", (path,), {"backend": "pillow"}
        yield kind, "imfrombytes", (content,), {}
        yield f"{kind} unchanged", "imfrombytes", (content,), {"flag": "unchanged"}
        yield kind, "imwrite", (one, str(folder / f"written{suffix}")), {}


def geometry(img: np.ndarray, gray: np.ndarray) -> Iterator[tuple[str, str, tuple[Any, ...], dict[str, Any]]]:
    for how in ("nearest", "bilinear", "bicubic", "area", "lanczos"):
        yield how, "imresize", (img, (400, 300)), {"interpolation": how}
    yield "up", "imresize", (img, (1333, 1000)), {}
    yield "pillow", "imresize", (img, (400, 300)), {"backend": "pillow"}
    yield "", "imresize_to_multiple", (img, 32), {"size": (500, 400)}
    yield "", "imresize_like", (img, gray[:300, :300]), {}
    yield "", "rescale_size", ((640, 427), (1333, 800)), {}
    yield "", "imrescale", (img, (667, 400)), {}
    for way in ("horizontal", "vertical", "diagonal"):
        yield way, "imflip", (img, way), {}
    yield "", "imrotate", (img, 30), {}
    yield "auto_bound", "imrotate", (img, 30), {"auto_bound": True}
    yield "", "imshear", (img, 0.3), {}
    yield "", "imtranslate", (img, 30), {}
    boxes = np.random.default_rng(0).uniform(0, 500, (100, 4))
    boxes[:, 2:] += boxes[:, :2]
    yield "", "bbox_clip", (boxes, (600, 800)), {}
    yield "", "bbox_scaling", (boxes, 1.3, (600, 800)), {}
    yield "", "imcrop", (img, boxes[:20]), {}
    yield "pad_fill", "imcrop", (img, boxes[:20], 1.2, 7), {}
    yield "shape", "impad", (img,), {"shape": (640, 832), "pad_val": (1, 2, 3)}
    yield "reflect", "impad", (img,), {"padding": 20, "padding_mode": "reflect"}
    yield "", "impad_to_multiple", (img, 64), {}


def flows(
    folder: Path, img: np.ndarray, unit: np.ndarray
) -> Iterator[tuple[str, str, tuple[Any, ...], dict[str, Any]]]:
    import cv2

    flow = np.random.default_rng(0).normal(0, 3, (*img.shape[:2], 2)).astype(np.float32)
    path = folder / "a.flo"
    content = b"PIEH" + np.array(flow.shape[1::-1], "<i4").tobytes() + flow.tobytes()
    path.write_bytes(content)
    yield "", "make_color_wheel", (), {}
    yield "", "flow2rgb", (flow,), {}
    yield "", "quantize_flow", (flow,), {}
    yield "", "dequantize_flow", (img[..., 0], img[..., 1]), {}
    for how in ("nearest", "bilinear"):
        yield f"{how} uint8", "flow_warp", (img, flow), {"interpolate_mode": how}
        yield f"{how} float32", "flow_warp", (unit, flow), {"interpolate_mode": how}
    yield "", "flow_from_bytes", (content,), {}
    sparse = cv2.imencode(".png", np.full((600, 800, 3), 2**15, np.uint16))[1].tobytes()
    yield "", "sparse_flow_from_bytes", (sparse,), {}
    yield "flo", "flowread", (str(path),), {}
    yield "flo", "flowwrite", (flow, str(folder / "b.flo")), {}
    yield "quantised", "flowwrite", (flow, str(folder / "b.png")), {"quantize": True}
    yield "quantised", "flowread", (str(folder / "b.png"),), {"quantize": True}
    yield "", "tensor2imgs", (torch_batch(unit),), {}


def torch_batch(unit: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(unit.transpose(2, 0, 1)))[None].repeat(2, 1, 1, 1)


if __name__ == "__main__":
    sys.exit(main())
