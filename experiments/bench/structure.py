"""How long structures take: fkit's InstanceData and mmengine's, and an attribute against one of a slotted object.

    python experiments/bench/structure.py [--peer PYTHON] [--rounds N] [--json]

``--peer`` is an interpreter that has mmengine (0.10.7). Both sides do the same to ten objects of three fields, in
alternating rounds, each in a process of its own. `reading` is ``x.bboxes`` by Python's timeit, whose loop's own time
counts on both sides; its base is the attribute of an object with slots.
"""

import argparse
import json
import statistics
import subprocess
import sys
import timeit
from collections.abc import Callable
from typing import Any

import numpy as np
from build import ratio, seconds

ACTS = ("reading", "making", "a row", "rows", "joining", "changing")


class Slotted:
    """What `reading` is measured against."""

    __slots__ = ("bboxes",)

    def __init__(self, bboxes: Any) -> None:
        self.bboxes = bboxes


def read(x: Any) -> float:
    """The seconds of one ``x.bboxes``, the least of several runs."""
    return min(timeit.repeat("x.bboxes", globals={"x": x}, number=20_000, repeat=7)) / 20_000


def acts(cls: Any, change: Callable[[Any, Any], Any]) -> dict[str, Callable[[], Any]]:
    """What is done to a structure of either side."""
    boxes, labels, names = np.zeros((10, 4), np.float32), np.arange(10), [str(n) for n in range(10)]
    x = cls(metainfo={"img_shape": (480, 640)}, bboxes=boxes, labels=labels, names=names)
    picked = [0, 2, 5]
    return {
        "making": lambda: cls(metainfo={"img_shape": (480, 640)}, bboxes=boxes, labels=labels, names=names),
        "a row": lambda: x[3],
        "rows": lambda: x[picked],
        "joining": lambda: cls.cat([x, x]),
        "changing": lambda: change(x, labels),
    }


def once(cls: Any, change: Callable[[Any, Any], Any]) -> dict[str, float]:
    """One round: seconds by act."""
    times = {name: seconds(act) for name, act in acts(cls, change).items()}
    return {"reading": read(cls(bboxes=np.zeros((10, 4)))), **times}


def with_mmengine() -> dict[str, float]:
    from mmengine.structures import InstanceData  # pyright: ignore

    def change(x: Any, labels: Any) -> Any:
        x = x.clone()
        x.labels = labels
        return x

    return once(InstanceData, change)


def with_fkit() -> dict[str, float]:
    from fkit.structures import InstanceData

    return once(InstanceData, lambda x, labels: x.set(labels=labels))


def measure(peer: str | None, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Times in seconds by side and act, one a round, the sides taking turns."""
    table: dict[str, dict[str, list[float]]] = {}

    def note(side: str, times: dict[str, float]) -> None:
        for name, value in times.items():
            table.setdefault(side, {}).setdefault(name, []).append(value)

    other = None
    if peer:
        command = [peer, __file__, "--serve"]
        other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for _ in range(rounds):
        note("fkit", with_fkit())
        note("an object with slots", {"reading": read(Slotted(0))})
        if other is not None and other.stdin is not None and other.stdout is not None:
            other.stdin.write("go\n")
            other.stdin.flush()
            note("mmengine", json.loads(other.stdout.readline()))
    if other is not None:
        other.communicate()
    return table


def report(table: dict[str, dict[str, list[float]]]) -> str:
    """A table: median microseconds, and the median paired ratio of fkit's time to it."""
    lines = [f"{'':<22}" + "".join(f"{name:>22}" for name in ACTS)]
    for side, times in table.items():
        cells = (
            f"{statistics.median(times[name]) * 1e6:>10.3f} us {ratio(table['fkit'][name], times[name]):>6.2f}x"
            if name in times
            else ""
            for name in ACTS
        )
        lines.append(f"{side:<22}" + "".join(f"{cell:>22}" for cell in cells))
    return "\n".join((*lines, "x: fkit's time over it, the median over rounds"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="an interpreter with mmengine")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="print the times of every round")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        for _ in sys.stdin:
            print(json.dumps(with_mmengine()), flush=True)
        return
    table = measure(args.peer, args.rounds)
    print(json.dumps(table) if args.json else report(table))


if __name__ == "__main__":
    main()
