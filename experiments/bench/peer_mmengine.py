"""mmengine's Runner on loop.py's models, run by an interpreter of its own; loop.py starts it (``--peer``).

    PYTHON peer_mmengine.py mlp|convnet|resnet18

A line "train N" on standard input: a bare block and a Runner block of N steps each; "val": a pass each. The answer is a
line of JSON, {"bare": [cpu, wall], "mmengine": [cpu, wall]}, in seconds a block. The Runner has its default hooks, a
fused optimizer and a cosine schedule by the step; its log goes to a temporary folder.
"""

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from typing import Any

warnings.simplefilter("ignore")
import torch  # noqa: E402
from bare_torch import train_loop, val_loop  # noqa: E402
from case import DECAY, LOG_STEPS, LR, MOMENTUM, TOTAL, arrays, case, clocked, network  # noqa: E402
from mmengine.evaluator import BaseMetric  # noqa: E402
from mmengine.model import BaseModel  # noqa: E402
from mmengine.runner import Runner  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402


class Classifier(BaseModel):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.network = network(name, "torch")

    def forward(self, inputs: Any, labels: Any, mode: str = "tensor") -> Any:
        logits = self.network(inputs)
        if mode == "loss":
            return {"loss": F.cross_entropy(logits, labels)}
        return logits.softmax(1), labels


class Accuracy(BaseMetric):
    def process(self, data_batch: Any, data_samples: Any) -> None:
        scores, labels = data_samples
        self.results.append({"seen": len(labels), "right": int((scores.argmax(1) == labels).sum())})

    def compute_metrics(self, results: Any) -> dict[str, float]:
        return {"accuracy": sum(r["right"] for r in results) / sum(r["seen"] for r in results)}


def tensors(pair: tuple[Any, Any]) -> tuple[Any, Any]:
    """A batch of numpy's as one of torch's, as on the other sides."""
    return torch.from_numpy(pair[0]), torch.from_numpy(pair[1])


class Ready(DataLoader):
    """Batches that are there already, at no cost; training ones come in blocks, paced by standard input."""

    def __init__(self, items: list[Any], pace: Any = None, length: int = 0) -> None:
        super().__init__(items)
        self.items, self.pace, self.count = items, pace, length or len(items)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        if self.pace is None:
            for pair in self.items:
                yield tensors(pair)
            return
        at = 0
        for block in self.pace:
            for _ in range(block):
                yield tensors(self.items[at % len(self.items)])
                at += 1
        os._exit(0)  # standard input has ended


def main() -> None:
    name = sys.argv[1]
    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    folder = tempfile.TemporaryDirectory()
    bare, bare_val = train_loop(name), val_loop(name)
    runner: Any = None

    def pace() -> Iterator[int]:
        """The blocks that are asked for; the time from giving one out to being asked for the next is the Runner's."""
        for line in sys.stdin:
            word, *rest = line.split()
            if word == "train":
                found = {"bare": clocked(lambda rest=rest: bare(int(rest[0])))}
                cpu, wall = time.process_time(), time.perf_counter()
                yield int(rest[0])
                found["mmengine"] = time.process_time() - cpu, time.perf_counter() - wall
            else:
                found = {"bare": clocked(bare_val), "mmengine": clocked(runner.val_loop.run)}
                runner.model.train()
            answers.write(json.dumps(found) + "\n")

    optimizer = {"type": "SGD", "lr": LR, "momentum": MOMENTUM, "weight_decay": DECAY, "fused": True}
    runner = Runner(
        Classifier(name), folder.name,
        train_dataloader=Ready(arrays(name), pace(), TOTAL),
        train_cfg={"by_epoch": True, "max_epochs": 1, "val_begin": 2},
        optim_wrapper={"optimizer": optimizer},
        default_hooks={"logger": {"type": "LoggerHook", "interval": LOG_STEPS}},
        param_scheduler={"type": "CosineAnnealingLR", "by_epoch": False, "T_max": TOTAL, "eta_min": 0},
        val_dataloader=Ready(arrays(name, case(name)[2], 1)), val_cfg={}, val_evaluator=[Accuracy()],
    )  # fmt: skip
    runner.val_loop  # noqa: B018  build it
    answers.write("{}\n")
    runner.train()


if __name__ == "__main__":
    main()
