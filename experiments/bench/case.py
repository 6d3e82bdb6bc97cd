"""What the sides of loop.py share: the models by config, the batches, the schedule, and the clock."""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import fkit

LR, MOMENTUM, DECAY = 0.01, 0.9, 5e-4
TOTAL = 1_000_000  # steps of the cosine schedule: longer than any measurement
LIMIT, SHARE = 1.0, 0.0002  # of the norm that gradients are clipped to; of the newest weights in their average
LOG_STEPS = 10  # every loop reads its loss so often
# name -> shape of a sample, batch size, batches of a validation pass
CASES = (("mlp", (1, 8, 8), 64, 40), ("convnet", (1, 8, 8), 64, 20), ("resnet18", (3, 32, 32), 16, 4))

Way = Callable[[int], Any]


def case(name: str) -> tuple[tuple[int, ...], int, int]:
    """The shape of a sample, the batch size, and the batches of a validation pass."""
    return next((shape, size, held) for known, shape, size, held in CASES if known == name)


def arrays(name: str, count: int = 8, seed: int = 0) -> list[tuple[Any, Any]]:
    """Batches: inputs (N, C, H, W) float32 and labels (N,) int64, as numpy arrays."""
    shape, size, _ = case(name)
    rng = np.random.default_rng(seed)
    return [
        (rng.standard_normal((size, *shape), np.float32), rng.integers(0, 10, size, np.int64)) for _ in range(count)
    ]


def model(name: str) -> dict[str, Any]:
    """The model's config: the same module on every side."""
    pool = {"type": "GlobalAveragePooling"}
    width, parts = {
        "mlp": (128, {"backbone": {"type": "MLP", "in_channels": 64, "hidden": [128, 128]}}),
        "convnet": (64, {"backbone": {"type": "ConvNet", "channels": (32, 64), "dropout": 0.0}, "neck": pool}),
        "resnet18": (512, {"backbone": {"type": "ResNet_CIFAR", "depth": 18, "out_indices": (3,)}, "neck": pool}),
    }[name]
    head = {"type": "LinearClsHead", "num_classes": 10, "in_channels": width}
    return {"type": "ImageClassifier", **parts, "head": head}


def network(name: str, backend: str) -> Any:
    """A fresh module of the zoo: torch's maps (N, C, H, W) to logits (N, 10), flax's is called so too."""
    return fkit.registry().build("models", fkit.Config(model(name)), backend=backend)


def rate(step: int) -> float:
    """The learning rate of a step, by cosine annealing."""
    return LR * (1 + math.cos(math.pi * step / TOTAL)) / 2


def clocked(act: Callable[[], Any]) -> tuple[float, float]:
    """CPU seconds (all threads of the process) and wall seconds of one call."""
    cpu, wall = time.process_time(), time.perf_counter()
    act()
    return time.process_time() - cpu, time.perf_counter() - wall
