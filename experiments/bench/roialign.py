"""RoIAlign of fkit on torch against mmcv's compiled operator, over four levels of an 800x1088 picture, in one interpreter.

    nox -s peers                                       # makes the environment that holds mmcv's operators
    python experiments/bench/roialign.py --peer PYTHON [--rounds 11] [--regions 1000] [--clock processor] [--json FILE]

(fkit needs frozendict there: PYTHON -m pip install frozendict.)

Both pool the same regions from the same maps of 256 channels (a batch of 1, seven bins by seven, adaptive sampling), first
once to compare, then in turns: what is pooled, and that with the gradient of the maps. mmcv's side is MMDetection's
extractor, spelt out: a call of the operator a level. fkit's maps are channels last, as its detectors have them; ``from NCHW``
are the same as mmcv's, so that the change of layout counts. Printed is the median over the rounds of mmcv's time divided by
fkit's, above 1 fkit is faster, with the quartiles. One thread. Aim: 5.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

import numpy as np

AIM = 5.0
STRIDES, PICTURE, CHANNELS = (4, 8, 16, 32), (800, 1088), 256


class Row(NamedTuple):
    """What was measured of a pair of calls."""

    name: str
    theirs_ms: float
    ours_ms: float
    ratio: float  # median of the paired ratios
    low: float  # their quartiles
    high: float
    difference: float  # the greatest, of what both give


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="the interpreter that has both packages; this one when absent")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--regions", type=int, default=1000)
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall")
    parser.add_argument("--json", help="file for the rows")
    given = parser.parse_args()
    if given.peer:
        words = [word for word in sys.argv[1:] if word not in ("--peer", given.peer)]
        return subprocess.run([given.peer, __file__, *words], check=False).returncode
    clock = time.process_time if given.clock == "processor" else time.perf_counter
    rows = [measured(name, theirs, ours, given.rounds, clock) for name, theirs, ours in pairs(given.regions)]
    print(f"{'call':24} {'mmcv ms':>9} {'fkit ms':>9} {'ratio':>7}  {'quartiles':>15}  difference")
    for row in rows:
        note = "" if row.ratio >= AIM else f"  below {AIM:g}"
        spread = f"{row.low:.2f} .. {row.high:.2f}"
        print(f"{row.name:24} {row.theirs_ms:9.1f} {row.ours_ms:9.1f} {row.ratio:7.2f}  {spread:>15}  {row.difference:.1e}{note}")  # fmt: skip
    if given.json:
        Path(given.json).write_text(json.dumps([row._asdict() for row in rows], indent=1) + "\n")
    return 0


def measured(
    name: str, theirs: Callable[[], Any], ours: Callable[[], Any], rounds: int, clock: Callable[[], float]
) -> Row:
    difference = max(float((a - b).abs().max()) for a, b in zip(theirs(), ours(), strict=True))
    times: list[tuple[float, float]] = []
    for turn in range(rounds):
        mine, other = (seconds(ours, clock), seconds(theirs, clock)) if turn % 2 else (None, seconds(theirs, clock))
        times.append((other, seconds(ours, clock) if mine is None else mine))
    ratios = [other / mine for other, mine in times]
    low, _, high = quantiles(ratios, n=4) if rounds > 1 else (ratios[0],) * 3
    spent = [1000 * median(one) for one in zip(*times, strict=True)]
    return Row(name, spent[0], spent[1], median(ratios), low, high, difference)


def seconds(call: Callable[[], Any], clock: Callable[[], float]) -> float:
    start = clock()
    call()
    return clock() - start


def regions(count: int) -> np.ndarray:
    """(count, 4) boxes of 12 to 500 pixels a side, of every proportion that proposals have, inside of the picture."""
    rng = np.random.default_rng(0)
    middle = rng.uniform(0, PICTURE[::-1], (count, 2))
    side = np.exp(rng.uniform(np.log(12), np.log(500), (count, 1))) * np.exp(rng.normal(0, 0.35, (count, 2)))
    boxes = np.concatenate([middle - side / 2, middle + side / 2], 1)
    return boxes.clip(0, [*PICTURE[::-1], *PICTURE[::-1]]).astype(np.float32)


def pairs(count: int) -> Iterator[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """(name, mmcv's call, fkit's call): what is pooled; and the gradients of the maps, all as (N, C, H, W)."""
    import torch
    from mmcv.ops import RoIAlign

    from fkit.array.roi import levels
    from fkit.backend.torch.ops import Torch
    from fkit.detection.extractor import SingleRoIExtractor

    torch.set_num_threads(1)
    torch.manual_seed(0)
    shapes = [(1, CHANNELS, PICTURE[0] // stride, PICTURE[1] // stride) for stride in STRIDES]
    plain = [torch.randn(shape).requires_grad_() for shape in shapes]
    last = [one.detach().clone(memory_format=torch.channels_last).requires_grad_() for one in plain]
    boxes, image = torch.as_tensor(regions(count)), torch.zeros(count, dtype=torch.int64)
    weight = torch.randn(count, CHANNELS, 7, 7)
    layers = [RoIAlign(7, 1 / stride, 0) for stride in STRIDES]
    layer = {"type": "RoIAlign", "output_size": 7, "sampling_ratio": 0}
    extract = SingleRoIExtractor(roi_layer=layer, out_channels=CHANNELS, featmap_strides=STRIDES)

    def theirs() -> Any:
        level = levels(Torch(), boxes, len(STRIDES))
        numbered = torch.cat([image[:, None].to(boxes.dtype), boxes], 1)
        out = plain[0].new_zeros(count, CHANNELS, 7, 7)
        for at, pool in enumerate(layers):
            here = (level == at).nonzero()[:, 0]
            out[here] = pool(plain[at], numbered[here])
        return out

    def ours(maps: Any) -> Any:
        return extract(Torch(), [one.permute(0, 2, 3, 1) for one in maps], boxes, image).permute(0, 3, 1, 2)

    def pooled(call: Callable[[], Any]) -> Callable[[], Any]:
        def act() -> Any:
            with torch.no_grad():
                return [call()]

        return act

    def trained(call: Callable[[], Any], maps: Any) -> Callable[[], Any]:
        return lambda: torch.autograd.grad((call() * weight).sum(), maps)

    yield "pooled", pooled(theirs), pooled(lambda: ours(last))
    yield "pooled from NCHW", pooled(theirs), pooled(lambda: ours(plain))
    yield "with gradients", trained(theirs, plain), trained(lambda: ours(last), last)
    yield "with gradients from NCHW", trained(theirs, plain), trained(lambda: ours(plain), plain)


if __name__ == "__main__":
    sys.exit(main())
