"""Faster R-CNN R50-FPN, or another: inference at 800 x 1067 and a training step at 480 x 640, beside mmdet with mmcv's compiled operators.

    python experiments/bench/detection.py --peer PYTHON [--backend torch jax] [--seconds S] [--threads N] [--config FILE]

PYTHON is an interpreter with mmdet 3.3.0 and a compiled mmcv 2.1.0 (``nox -s peers`` builds one in about 12 minutes and prints
where it is). Both sides get the same picture (noise, seeded), the same weights by a rule, two images a training step with 12 boxes
each. They take turns, a call each, in one run; printed are medians of the wall time with the quartiles in brackets, the ratio of the
two within each turn, and of each process, which makes one kind of call with one model, its memory before the first call and at
the most through all calls.
"""

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from data import spread

HERE = Path(__file__).resolve().parent
CONFIG = HERE.parents[1] / "configs" / "_base_" / "models" / "faster_rcnn_r50_fpn.py"
INFER, TRAIN = (800, 1067), (480, 640)
BOXES = 12
PAD = 32


def pictures(count: int, size: tuple[int, int]) -> np.ndarray:
    """Normalised pictures padded to a multiple of 32: (N, 3, H, W) float32."""
    rng = np.random.default_rng(0)
    height, width = (-(-side // PAD) * PAD for side in size)
    out = np.zeros((count, 3, height, width), np.float32)
    out[:, :, : size[0], : size[1]] = rng.standard_normal((count, 3, *size), np.float32)
    return out


def objects(count: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N, 12, 4) and labels (N, 12)."""
    rng = np.random.default_rng(1)
    low = rng.uniform(0, 0.7, (count, BOXES, 2)) * size[::-1]
    high = low + rng.uniform(0.05, 0.3, (count, BOXES, 2)) * size[::-1]
    return np.concatenate([low, high], -1).astype(np.float32), rng.integers(0, 80, (count, BOXES))


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A weight by its name: small noise for kernels, 1 for scales and variances, 0 for the rest."""
    if len(shape) > 1:
        rng = np.random.default_rng(abs(hash_of(name)))
        return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
    one = name.endswith(("running_var", "bn1.weight", "bn2.weight", "bn3.weight", "downsample.1.weight"))
    return np.full(shape, 0.5 if one and "var" not in name else float(one), np.float32)


def hash_of(name: str) -> int:
    """A number of a name, equal in every process."""
    value = 0
    for letter in name.encode():
        value = (value * 131 + letter) % (1 << 31)
    return value


def ours_of(backend: str, call: str, config: str) -> Callable[[Any], Any]:
    """fkit's call, "inference" or "training", of a batch."""
    import fkit
    from fkit.array.room import open as open_room
    from fkit.training.optimizer import Optimizer
    from fkit.training.spec import Spec

    cfg: Any = fkit.load_config(config)["model"]
    model = {**cfg, "backbone": {**cfg["backbone"], "init_cfg": None}}
    registry = fkit.registry()
    room = open_room(backend)
    options = {"lr": 1e-6, "momentum": 0.9} if call == "training" else {"lr": 1e-6}  # who infers keeps no momentum
    program = room.program(
        Spec(
            lambda name: fkit.build(model, registry, "models", backend=name),
            {"main": Optimizer.of("SGD", options)},
            device="cpu",
            example=lambda: np.zeros((1, 3, 224, 224), np.float32),
        )
    )
    names = {entry.name: entry for entry in program.inventory.entries}
    arrays = {
        name: weight(name, tuple(entry.shape)) for name, entry in names.items() if entry.dtype.startswith("float")
    }
    arrays |= {name: np.zeros(entry.shape, np.int64) for name, entry in names.items() if name not in arrays}
    held = [program.load(program.init(0), arrays)]
    if call == "inference":
        return lambda batch: room.host(program.predict(held[0], batch))
    numbers = program.hyperparams()

    def step(batch: Any) -> None:
        held[0], logs = program.train_step(held[0], batch, numbers)
        float(room.numpy(logs["loss"]))

    return step


def ours(backend: str, call: str, config: str) -> Callable[[], Any]:
    """fkit's call of the batch that it is timed by."""
    from fkit.structures.batch import Batch

    run = ours_of(backend, call, config)
    if call == "inference":
        batch = Batch(pictures(1, INFER), shapes(1, INFER, True))
    else:
        boxes, labels = objects(2, TRAIN)
        targets = {**shapes(2, TRAIN, False), "gt_instances": {"bboxes": boxes, "labels": labels}}
        batch = Batch(pictures(2, TRAIN), targets, {"gt_instances": np.ones(labels.shape, bool)})
    return lambda: run(batch)


def shapes(count: int, size: tuple[int, int], scaled: bool) -> dict[str, np.ndarray]:
    """What a batch says of its pictures' sizes."""
    sizes = np.tile(np.array(size), (count, 1))
    padded = -(-sizes // PAD) * PAD
    scale = {"scale_factor": np.ones((count, 2), np.float32), "ori_shape": sizes} if scaled else {}
    return {"img_shape": sizes, "pad_shape": padded, "input_shape": sizes, **scale}


class Side:
    """A side in a process of its own: "call" is answered with its seconds, "memory" with what the process holds in MB,
    "peak" with the most it held since "memory" was asked."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.ask("ready")

    def ask(self, what: str) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a side ended before its time: {' '.join(map(str, self.process.args))}")
        return float(json.loads(line))


def memory(field: str) -> float:
    """What this process holds ("VmRSS") or has held at the most ("VmHWM"), in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def serve(call: Callable[[], Any]) -> None:
    """Answer on standard output what standard input asks for."""
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        what, answer = line.strip(), 0.0
        if what == "call":
            start = time.perf_counter()
            call()
            answer = time.perf_counter() - start
        elif what == "memory":
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)  # what loading weights has left is no step's, on either side
            Path("/proc/self/clear_refs").write_text("5")  # the most is counted from here
            answer = memory("VmRSS")
        elif what == "peak":
            answer = memory("VmHWM")
        print(json.dumps(answer), file=answers, flush=True)


def compare(sides: dict[str, Side], call: str, seconds: float, peers: Sequence[str] = ("mmdet",)) -> list[str]:
    """Rows of the table of one call, with a column a peer: its time over a side's, turn by turn."""
    for side in sides.values():
        side.ask("call")  # compiles, and warms caches
    found: list[dict[str, float]] = []
    end = time.perf_counter() + seconds
    while len(found) < 5 or time.perf_counter() < end:
        turn = len(found) % len(sides)
        names = [*sides][turn:] + [*sides][:turn]
        found.append({name: sides[name].ask("call") for name in names})
    rows: list[str] = []
    for name in sides:
        ratios = [
            spread([one[peer] / one[name] for one in found], 2) if peer in sides and peer != name else ""
            for peer in peers
        ]
        rows.append(f"| {call} | {name} | {spread([one[name] for one in found], 3)} | {' | '.join(ratios)} |")
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter with mmdet 3.3.0 and compiled mmcv 2.1.0")
    parser.add_argument("--backend", nargs="+", default=["torch"], choices=("torch", "jax"))
    parser.add_argument("--seconds", type=float, default=60.0, help="of each call")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--call", nargs="+", default=["inference", "training"], choices=("inference", "training"))
    parser.add_argument(
        "--config", default=str(CONFIG), metavar="FILE", help="whose model is timed, a detector of boxes"
    )
    parser.add_argument("--serve", choices=("torch", "jax"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(ours(args.serve, args.call[0], args.config))
        return 0
    env = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(args.threads))}
    print("| call | side | seconds | mmdet's time over it |\n| --- | --- | ---: | ---: |")
    for call in args.call:
        # fresh processes, so that the peak of memory is of this call
        own = [sys.executable, str(Path(__file__).resolve()), "--call", call, "--config", args.config, "--serve"]
        sides = {f"fkit {backend}": Side([*own, backend], env) for backend in args.backend}
        if args.peer:
            sides["mmdet"] = Side([args.peer, str(HERE / "peer_mmdet.py"), call, args.config], env)
        before = {name: side.ask("memory") for name, side in sides.items()}
        rows = compare(sides, call, args.seconds)
        peaks = ", ".join(f"{name} {side.ask('peak'):,.0f} MB ({before[name]:,.0f})" for name, side in sides.items())
        print("\n".join(rows) + f"\n| {call} | peak memory (before the first call) | {peaks} | |", flush=True)
        for side in sides.values():
            side.process.terminate()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
