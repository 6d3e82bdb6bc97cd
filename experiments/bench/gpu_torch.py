"""torch's parts of gpu.py: a ResNet that trains on batches of the device, and on batches of the host."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from gpu import Say, Scale
from loop import spread
from torch.nn import functional as F

import fkit

LR, MOMENTUM, DECAY = 0.01, 0.9, 5e-4
GIB = 2**30


class Way(NamedTuple):
    """One way to train.

    Attributes:
        name: in the table.
        step: one step.
        base: the way that its ratio is to.
        around: a context that its blocks run in.
    """

    name: str
    step: Callable[[], Any]
    base: str
    around: Callable[[], Any]


def model(scale: Scale) -> dict[str, Any]:
    """The classifier's config."""
    head = {"type": "LinearClsHead", "num_classes": scale.classes, "in_channels": scale.width}
    return {"type": "ImageClassifier", "backbone": scale.model, "neck": {"type": "GlobalAveragePooling"}, "head": head}


def arrays(scale: Scale, count: int) -> list[tuple[Any, Any]]:
    """Batches of noise: (N, C, H, W) float32 and (N,) int64."""
    rng = np.random.default_rng(0)
    shape = (scale.batch, *scale.image)
    return [(rng.standard_normal(shape, np.float32), rng.integers(0, scale.classes, scale.batch)) for _ in range(count)]


def plan(scale: Scale, backend: str, device: str, **changes: Any) -> Any:
    """fkit's, in bfloat16, with SGD and a log at every tenth step; no validation."""
    registry = fkit.registry().register("datasets", lambda: Zeros(scale.image), name="Zeros")
    optimizer = {"type": "SGD", "lr": LR, "momentum": MOMENTUM, "weight_decay": DECAY}
    cfg = fkit.Config(
        {
            "model": model(scale),
            "train_dataloader": {"batch_size": scale.batch, "dataset": {"type": "Zeros"}},
            "train_cfg": {"by_epoch": False, "max_iters": 1_000_000},
            "optim_wrapper": {"optimizer": optimizer},
            "default_hooks": {"checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 1_000_000}},
            "dtype": "bfloat16",
            "device": device,
            "seed": 0,
            **changes,
        }
    )
    return fkit.plan(cfg, registry, backend=backend)


class Zeros:
    """Samples of a shape; JAX learns the model's shapes from one."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __len__(self) -> int:
        return 1024

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"inputs": np.zeros(self.shape, np.float32), "targets": {"gt_label": np.int64(0)}}


class Bare:
    """The loop that a person writes: channels_last, autocast, a fused optimizer."""

    def __init__(self, scale: Scale, device: str, compiled: bool = False) -> None:
        module = fkit.registry().build("models", fkit.Config(model(scale)), backend="torch")
        self.module = module.to(device).to(memory_format=torch.channels_last).train()
        self.forward: Any = torch.compile(self.module) if compiled else self.module
        self.optimizer = torch.optim.SGD(self.module.parameters(), LR, MOMENTUM, weight_decay=DECAY, fused=True)
        self.type = torch.device(device).type

    def step(self, inputs: Any, labels: Any) -> Any:
        self.optimizer.zero_grad()
        with torch.autocast(self.type, torch.bfloat16):
            loss = F.cross_entropy(self.forward(inputs), labels)
        loss.backward()
        self.optimizer.step()
        return loss


def ours(scale: Scale, device: str, **changes: Any) -> Callable[[], Any]:
    """A loop over ``program.train_step`` on a batch of the device."""
    made = plan(scale, "torch", device, **changes)
    program, numbers = made.program, made.program.hyperparams()
    inputs, labels = arrays(scale, 1)[0]
    batch = fkit.Batch(made.room.to_device(inputs, device), {"gt_label": labels})
    state = program.init(0)

    def step() -> Any:
        nonlocal state
        state, logs = program.train_step(state, batch, numbers)
        return logs

    return step


def train(device: str, scale: Scale, say: Say) -> None:
    """Steps on a batch that is on the device already."""
    inputs, labels = arrays(scale, 1)[0]
    there = torch.from_numpy(inputs).to(device).to(memory_format=torch.channels_last)
    targets = torch.from_numpy(labels).to(device)

    def bare(compiled: bool) -> Callable[[], Any]:
        made = Bare(scale, device, compiled)
        return lambda: made.step(there, targets)

    first, compiled = "bare, channels_last", "bare, channels_last, compiled"
    ways = [
        Way(first, bare(False), first, _nothing),
        Way("fkit", ours(scale, device), first, _nothing),
        Way("fkit, deterministic algorithms", ours(scale, device), first, _deterministic),
        Way(compiled, bare(True), compiled, _nothing),
        Way("fkit, compiled", ours(scale, device, compile=True), compiled, _nothing),
    ]
    report(ways, device, scale, say)


def feed(device: str, scale: Scale, say: Say) -> None:
    """Steps on numpy batches of the host."""
    items = arrays(scale, 4)
    plain, pinned = Bare(scale, device), Bare(scale, device)
    resident = torch.from_numpy(items[0][0]).to(device).to(memory_format=torch.channels_last)
    there = torch.from_numpy(items[0][1]).to(device)
    still, ahead, turn = Bare(scale, device), _ahead(items, device), iter(_endless(items))

    def simple() -> None:
        inputs, labels = next(turn)
        plain.step(_last(torch.from_numpy(inputs).to(device)), torch.from_numpy(labels).to(device))

    first = "bare, pinned memory and a side stream"
    ways = [
        Way(first, lambda: pinned.step(*next(ahead)), first, _nothing),
        Way("bare, .to(device)", simple, first, _nothing),
        Way("bare, a batch that is there", lambda: still.step(resident, there), first, _nothing),
        Way("fkit.train", _run(scale, device, items), first, _nothing),
    ]
    report(ways, device, scale, say)


def _run(scale: Scale, device: str, items: list[tuple[Any, Any]]) -> Callable[[], Any]:
    """A step of a run with its default hooks, their effects dropped."""
    made = plan(scale, "torch", device)
    batches = [fkit.Batch(inputs, {"gt_label": labels}) for inputs, labels in items]
    steps = fkit.train(made, fkit.begin(made), {"train": fkit.Source.of(batches)})
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        for run, _ in steps:
            if run.iteration >= done:
                return

    return step


def _endless(items: list[Any]) -> Iterator[Any]:
    while True:
        yield from items


def _last(tensor: Any) -> Any:
    return tensor.contiguous(memory_format=torch.channels_last)


def _ahead(items: list[tuple[Any, Any]], device: str) -> Iterator[tuple[Any, Any]]:
    """Batches on the device, the next one copied from pinned memory beside the step; on the CPU, the batches."""
    if device == "cpu":
        for inputs, labels in _endless(items):
            yield torch.from_numpy(inputs), torch.from_numpy(labels)
    stream = torch.cuda.Stream(device)
    places = [tuple(torch.from_numpy(a).pin_memory() for a in items[0]) for _ in range(2)]
    copied: list[Any] = [None, None]

    def begin(k: int, item: tuple[Any, Any]) -> tuple[Any, Any]:
        if copied[k] is not None:
            copied[k].synchronize()  # the buffer is free
        for place, array in zip(places[k], item, strict=True):
            place.copy_(torch.from_numpy(array))
        with torch.cuda.stream(stream):
            pair = tuple(place.to(device, non_blocking=True) for place in places[k])
            copied[k] = stream.record_event()
        return pair  # type: ignore[return-value]

    k, coming = 0, None
    for item in _endless(items):
        following = begin(k, item)
        if coming is not None:
            yield coming
        torch.cuda.current_stream(device).wait_stream(stream)
        for tensor in following:
            tensor.record_stream(torch.cuda.current_stream(device))
        coming = (_last(following[0]), following[1])
        k = 1 - k


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def report(ways: list[Way], device: str, scale: Scale, say: Say) -> None:
    """Blocks of each way in turn, and a row of each."""
    on_gpu = torch.device(device).type == "cuda"
    wait: Callable[[], Any] = torch.cuda.synchronize if on_gpu else lambda: None
    counts: dict[str, int] = {}
    for way in ways:
        with way.around():
            for _ in range(3):
                way.step()
            wait()
            begun = time.perf_counter()
            for _ in range(3):
                way.step()
            wait()
            counts[way.name] = max(2, round(scale.seconds / ((time.perf_counter() - begun) / 3)))
    rates: dict[str, list[float]] = {way.name: [] for way in ways}
    peaks: dict[str, list[float]] = {way.name: [] for way in ways}
    for turn in range(scale.blocks):
        at = turn % len(ways)
        for way in ways[at:] + ways[:at]:
            gc.collect()
            if on_gpu:
                torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated() if on_gpu else 0
            with way.around():
                begun = time.perf_counter()
                for _ in range(counts[way.name]):
                    way.step()
                wait()
                rates[way.name].append(scale.batch * counts[way.name] / (time.perf_counter() - begun))
            if on_gpu:
                peaks[way.name].append((torch.cuda.max_memory_allocated() - before) / GIB)
    for way in ways:
        ratios = [one / other for one, other in zip(rates[way.name], rates[way.base], strict=True)]
        peak = f"{median(peaks[way.name]):.2f}" if on_gpu else ""
        say(way.name, spread(rates[way.name], 0), "1" if way.name == way.base else spread(ratios, 3), peak)
