"""The hand-written torch side of loop.py: the models, a training loop and a validation loop, with torch alone.

Imported by loop.py, and by peer_mmengine.py in an environment that has no fkit.
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

LR, MOMENTUM, DECAY = 0.01, 0.9, 5e-4
TOTAL = 1_000_000  # steps of the cosine schedule: longer than any measurement
# name -> shape of a sample, batch size, batches of a validation pass
CASES = (("mlp", (1, 8, 8), 64, 40), ("convnet", (1, 8, 8), 64, 20), ("resnet18", (3, 32, 32), 16, 4))

Way = Callable[[int], Any]


def case(name: str) -> tuple[tuple[int, ...], int, int]:
    """The shape of a sample, the batch size, and the batches of a validation pass."""
    return next((shape, size, held) for known, shape, size, held in CASES if known == name)


def arrays(name: str, count: int = 8, seed: int = 0) -> list[tuple[Any, Any]]:
    """Batches: inputs (N, C, H, W) float32 and labels (N,) int64."""
    shape, size, _ = case(name)
    rng = np.random.default_rng(seed)
    return [
        (rng.standard_normal((size, *shape), np.float32), rng.integers(0, 10, size, np.int64)) for _ in range(count)
    ]


class Block(nn.Module):
    def __init__(self, narrow: int, wide: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(narrow, wide, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.down: nn.Module | None = None
        if stride != 1 or narrow != wide:
            self.down = nn.Sequential(nn.Conv2d(narrow, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.down is None else self.down(x)))


def network(name: str) -> nn.Module:
    """(N, C, H, W) -> logits (N, 10)."""
    if name == "mlp":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
        )
    if name == "convnet":
        stages = ((1, 32), (32, 64))
        layers = [
            (nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))
            for i, o in stages
        ]
        return nn.Sequential(*layers[0], *layers[1], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    widths = (64, 128, 256, 512)
    blocks: list[nn.Module] = []
    narrow = 64
    for i, wide in enumerate(widths):
        for j in range(2):
            blocks.append(Block(narrow, wide, 2 if i and not j else 1))
            narrow = wide
    stem = (nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def train_loop(name: str) -> Way:
    """The loop that a person writes, as ``(steps) -> None``; it goes on where the last call ended."""
    torch.manual_seed(0)
    module = network(name).train()
    optimizer = torch.optim.SGD(module.parameters(), LR, MOMENTUM, weight_decay=DECAY)
    steps = _steps(module, optimizer, [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in arrays(name)])

    def run(count: int) -> None:
        for _ in range(count):
            next(steps)

    return run


def _steps(module: nn.Module, optimizer: torch.optim.Optimizer, batches: list[tuple[Tensor, Tensor]]) -> Iterator[None]:
    step = 0
    while True:
        for inputs, labels in batches:
            for group in optimizer.param_groups:
                group["lr"] = LR * (1 + math.cos(math.pi * step / TOTAL)) / 2
            optimizer.zero_grad()
            loss = F.cross_entropy(module(inputs), labels)
            loss.backward()
            optimizer.step()
            step += 1
            yield


def val_loop(name: str) -> Callable[[], float]:
    """One pass over the validation batches: the accuracy."""
    torch.manual_seed(0)
    module = network(name).eval()
    held = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in arrays(name, case(name)[2], seed=1)]

    def run() -> float:
        right, seen = 0, 0
        module.eval()
        with torch.no_grad():
            for inputs, labels in held:
                scores = module(inputs).softmax(1)
                right += int((scores.argmax(1) == labels).sum())
                seen += len(labels)
        return right / seen

    return run


def clocked(act: Callable[[], Any]) -> tuple[float, float]:
    """CPU seconds (all threads of the process) and wall seconds of one call."""
    cpu, wall = time.process_time(), time.perf_counter()
    act()
    return time.process_time() - cpu, time.perf_counter() - wall
