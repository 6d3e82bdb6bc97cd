"""The hand-written torch side of loop.py: a training loop and a validation loop as one writes them with torch alone.

The module is the zoo's and the batches are numpy's, as on the other side; the optimizer is torch's fused one, the
learning rate is set at each step, and the loss (and the gradients' norm, where they are clipped) is read at every tenth.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from case import DECAY, LIMIT, LOG_STEPS, LR, MOMENTUM, SHARE, Way, arrays, case, network, rate
from torch import nn
from torch.nn import functional as F


def train_loop(name: str, device: str = "cpu", extra: str = "") -> Way:
    """The loop that a person writes, as ``(steps) -> None``; it goes on where the last call ended.

    Args:
        extra: "clip", "ema" or neither.
    """
    torch.manual_seed(0)
    module = network(name, "torch").to(device).train()
    optimizer = torch.optim.SGD(module.parameters(), LR, MOMENTUM, weight_decay=DECAY, fused=True)
    steps = _steps(module, optimizer, arrays(name), device, extra)

    def run(count: int) -> None:
        for _ in range(count):
            next(steps)
        if device != "cpu":
            torch.cuda.synchronize()

    return run


def _steps(
    module: nn.Module, optimizer: torch.optim.Optimizer, batches: list[tuple[Any, Any]], device: str, extra: str
) -> Iterator[float]:
    step, shown = 0, 0.0
    params = list(module.parameters())
    averages = [param.detach().clone() for param in params] if extra == "ema" else []
    norm = None
    while True:
        for images, classes in batches:
            inputs, labels = torch.from_numpy(images).to(device), torch.from_numpy(classes).to(device)
            for group in optimizer.param_groups:
                group["lr"] = rate(step)
            optimizer.zero_grad()
            loss = F.cross_entropy(module(inputs), labels)
            loss.backward()
            if extra == "clip":
                norm = nn.utils.clip_grad_norm_(params, LIMIT)
            optimizer.step()
            if averages:
                with torch.no_grad():
                    torch._foreach_lerp_(averages, params, SHARE)  # type: ignore[attr-defined]
            step += 1
            if step % LOG_STEPS == 0:
                shown = loss.item() if norm is None else (loss.item() + norm.item())
            yield shown


def val_loop(name: str, device: str = "cpu") -> Callable[[], float]:
    """One pass over the validation batches: the accuracy, counted on the host."""
    torch.manual_seed(0)
    module, held = network(name, "torch").to(device).eval(), arrays(name, case(name)[2], seed=1)

    def run() -> float:
        right, seen = 0, 0
        module.eval()
        with torch.no_grad():
            for inputs, labels in held:
                scores = module(torch.from_numpy(inputs).to(device)).softmax(1)
                right += int((scores.argmax(1).cpu().numpy() == labels).sum())
                seen += len(labels)
        return right / seen

    return run
