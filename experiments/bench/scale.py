"""What a training step on JAX costs as devices, parameters, samples and steps a call grow, and what a checkpoint costs.

    python experiments/bench/scale.py [--part devices scan params data checkpoint] [--rounds N]

example: python experiments/bench/scale.py --part devices scan --rounds 5

Programs of one kind take turns in one process, a process a kind, in which the CPU plays four devices for ``devices``; each
round in another order. Printed are wall times as medians over rounds, and the ratio to the first row of the same round, with
the quartiles in brackets:

    devices  one global batch of configs/digits, shared by 1, 2 and 4 devices. They are one CPU's: the row says what sharing
             costs, and no more than one machine's cores can be gained by it
    scan     configs/digits/mlp with so many steps a call (scan_steps)
    params   an MLP of growing width, of 128 samples a batch, and the time for a million parameters
    data     the time of a batch of 64 samples out of data sets of growing size, and of the first batch of an epoch, which
             draws its order
    checkpoint  for how long a run waits for one of 55 MB, on torch and on JAX: until it is on the disk, or in the background
             (``default_hooks.checkpoint.background``) until it is copied
"""

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from loop import row, spread

PARTS = ("devices", "scan", "params", "data", "checkpoint")
FLAGS = "--xla_force_host_platform_device_count=4"
STEPS = 20


def measured(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each side, a number a round; the first round, which compiles, is not among them."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for turn in range(rounds + 1):
        at = turn % len(names)
        for name in names[at:] + names[:at]:
            seconds = sides[name]()
            if turn:
                found[name].append(seconds)
    return found


def printed(title: str, found: Mapping[str, list[float]]) -> None:
    """The table of a part."""
    print(row(title, "us", "of the first"))
    print("|---|---:|---:|")
    first = next(iter(found.values()))
    for name, times in found.items():
        ratios = [one / other for one, other in zip(times, first, strict=True)]
        print(row(name, f"{median(times) * 1e6:,.1f}", spread(ratios, 2)), flush=True)
    print()


def stepping(cfg: Any, most: int = 1) -> Callable[[], float]:
    """Seconds a step of the config's program, over batches that are there."""
    import fkit

    plan = fkit.plan(cfg)
    source = fkit.open_data(plan)["train"]
    batches = list(itertools.islice(source.batches(0), STEPS))
    batches = [batch for batch in batches if len(batch) == len(batches[0])]
    program = plan.program
    held, numbers = [program.init(0)], program.hyperparams()

    def block() -> float:
        state = held.pop()
        begun = time.perf_counter()
        if most == 1:
            for batch in batches:
                state, logs = program.train_step(state, batch, numbers)
        else:
            step: Any = program.train_step
            state, (*_, logs) = step.several(state, batches, [numbers] * len(batches), most)
        plan.room.fetch([logs["loss"]])
        held.append(state)
        return (time.perf_counter() - begun) / len(batches)

    return block


def digits(name: str, **changes: Any) -> Any:
    import fkit

    batch = {"train_dataloader.batch_size": None, "train_dataloader.global_batch_size": 64}
    return fkit.load_config(f"digits/{name}").merge({"backend": "jax", "device": "cpu", **batch, **changes})


def devices(rounds: int) -> None:
    for name in ("mlp", "convnet"):
        sides = {f"{name}, {count} of 4 devices": stepping(digits(name, devices=count)) for count in (1, 2, 4)}
        printed(f"{name}: a step of 64 samples", measured(sides, rounds))


def scan(rounds: int) -> None:
    sides = {f"scan_steps = {count}": stepping(digits("mlp"), count) for count in (1, 2, 5, 10, 20)}
    printed("mlp: a step of 64 samples", measured(sides, rounds))


def params(rounds: int) -> None:
    sides: dict[str, Callable[[], float]] = {}
    counts: dict[str, float] = {}
    for width in (128, 512, 2048):
        model = {"model.backbone.hidden": [width, width], "model.head.in_channels": width}
        name = f"2 x {width} units"
        sides[name] = stepping(digits("mlp", **model, **{"train_dataloader.global_batch_size": 128}))
        counts[name] = (64 * width + width * width + 12 * width) / 1e6
    found = measured(sides, rounds)
    printed("mlp: a step of 128 samples", found)
    each = {f"{name}: {counts[name]:.2f} M": [one / counts[name] for one in times] for name, times in found.items()}
    printed("for a million parameters", each)


class Numbers:
    """So many samples, which cost nothing."""

    def __init__(self, count: int) -> None:
        import numpy as np

        self.count = count
        self.one = {"inputs": np.zeros((8, 8), np.float32)}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return self.one


def batch(count: int, first: bool) -> Callable[[], float]:
    """Seconds of a batch of an epoch: of its first, or of those after it."""
    from fkit.data.loader import Loader
    from fkit.data.sampler import DefaultSampler

    loader = Loader(Numbers(count), batch_size=64, sampler=DefaultSampler(shuffle=True))
    epochs = itertools.count()

    def block() -> float:
        stream = loader.batches(next(epochs))
        begun = time.perf_counter()
        next(stream)
        middle = time.perf_counter()
        taken = len(list(itertools.islice(stream, STEPS)))
        return middle - begun if first else (time.perf_counter() - middle) / taken

    return block


def data(rounds: int) -> None:
    for word, first in (("a batch", False), ("the first batch of an epoch", True)):
        sides = {f"{count:,} samples": batch(count, first) for count in (2_000, 20_000, 200_000, 2_000_000)}
        printed(f"{word} of 64 samples", measured(sides, rounds))


def saving(backend: str, background: bool) -> Callable[[], float]:
    """Seconds for which a run waits for a checkpoint; the next one comes when it is on the disk."""
    import fkit
    from fkit.edge.perform import Edge
    from fkit.run.effect import SaveCheckpoint, WriteConfig

    model = {"model.backbone.hidden": [2048, 2048], "model.head.in_channels": 2048}
    plan = fkit.plan(digits("mlp", seed=0, **model, backend=backend))
    run, place, steps = fkit.begin(plan), tempfile.TemporaryDirectory(), itertools.count(1)
    folder = Path(place.name)
    edge = Edge(folder, plan)
    edge.perform(WriteConfig(), run)

    def block() -> float:
        step = next(steps)
        begun = time.perf_counter()
        edge.perform(SaveCheckpoint(step, background=background), run)
        spent = time.perf_counter() - begun
        edge.status("interrupted")  # waits for what is being written
        shutil.rmtree(Path(place.name) / "checkpoints")
        return spent

    return block


def checkpoint(rounds: int) -> None:
    for backend in ("torch", "jax"):
        ways = {"on the disk": False, "in the background": True}
        found = measured({f"{backend}, {name}": saving(backend, flag) for name, flag in ways.items()}, rounds)
        printed("a run waits for a checkpoint of 55 MB", found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--peer", help="taken, and not used: no peer shares a step of JAX's")
    args = parser.parse_args()
    if args.here:
        {"devices": devices, "scan": scan, "params": params, "data": data, "checkpoint": checkpoint}[args.part[0]](
            args.rounds
        )
        return
    for part in args.part:
        environment = {**os.environ, "JAX_PLATFORMS": "cpu", **({"XLA_FLAGS": FLAGS} if part == "devices" else {})}
        words = [sys.executable, __file__, "--here", "--part", part, "--rounds", str(args.rounds)]
        if subprocess.run(words, env=environment, check=False).returncode:
            raise SystemExit(f"scale.py: {part} failed")


if __name__ == "__main__":
    main()
