"""How long it takes to build objects from configs: `Registry.build` of fkit, of mmengine, bare constructors.

    python experiments/bench/build.py [--peer PYTHON] [--rounds N] [--json]

``--peer`` is an interpreter that has mmengine (0.10.7). Both sides build the same shapes, in alternating rounds, each
in a process of its own; a ratio is the median over rounds of peer time / fkit time. Shapes: one small object (three
arguments, one of them a nested config that stays a config); a chain of 100 objects, each building the next; one
object that builds a list of 100.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

SHAPES = ("small", "chain of 100", "list of 100")
PEERS = ("mmengine", "mmengine (plain dict)")


def configs() -> dict[str, Any]:
    """The configs as plain data."""
    chain: dict[str, Any] = {"type": "Leaf", "depth": 50, "norm_cfg": {"type": "BN"}}
    for _ in range(99):
        chain = {"type": "Link", "child": chain}
    leaf = {"type": "Leaf", "depth": 50, "norm_cfg": {"type": "BN"}}
    return {
        "small": {"type": "Leaf", "depth": 18, "out_indices": (0, 1, 2, 3), "norm_cfg": {"type": "BN"}},
        "chain of 100": chain,
        "list of 100": {"type": "Row", "parts": [dict(leaf) for _ in range(100)]},
    }


class Leaf:
    def __init__(self, depth: int, out_indices: tuple[int, ...] = (3,), norm_cfg: Any = None) -> None:
        self.depth, self.out_indices, self.norm_cfg = depth, out_indices, norm_cfg


def bare() -> dict[str, Callable[[], Any]]:
    """The same objects by their constructors."""

    class Link:
        def __init__(self, child: Any) -> None:
            self.child = child

    class Row:
        def __init__(self, parts: list[Any]) -> None:
            self.parts = parts

    norm = {"type": "BN"}

    def chain() -> Any:
        made: Any = Leaf(depth=50, norm_cfg=norm)
        for _ in range(99):
            made = Link(child=made)
        return made

    return {
        "small": lambda: Leaf(depth=18, out_indices=(0, 1, 2, 3), norm_cfg=norm),
        "chain of 100": chain,
        "list of 100": lambda: Row(parts=[Leaf(depth=50, norm_cfg=norm) for _ in range(100)]),
    }


def with_fkit(frozen: bool) -> dict[str, Callable[[], Any]]:
    """`fkit.build` on Config nodes (``frozen``), or on plain dicts."""
    import fkit

    class Link:
        def __init__(self, child: Any, *, build: Any) -> None:
            self.child = build("models", child)

    class Row:
        def __init__(self, parts: list[Any], *, build: Any) -> None:
            self.parts = [build("models", part) for part in parts]

    reg = fkit.registry()
    for maker in (Leaf, Link, Row):
        reg = reg.register("models", maker)
    ready = {name: fkit.Config(cfg) if frozen else cfg for name, cfg in configs().items()}
    return {name: partial(reg.build, "models", cfg) for name, cfg in ready.items()}


def with_mmengine(frozen: bool) -> dict[str, Callable[[], Any]]:
    """mmengine's Registry.build, on ConfigDicts, as its Config holds them (``frozen``), or on plain dicts."""
    from mmengine.config import ConfigDict  # pyright: ignore
    from mmengine.registry import Registry  # pyright: ignore

    models: Any = Registry("model", scope="bench")

    class Link:
        def __init__(self, child: Any) -> None:
            self.child = models.build(child)

    class Row:
        def __init__(self, parts: list[Any]) -> None:
            self.parts = [models.build(part) for part in parts]

    for maker in (Leaf, Link, Row):
        models.register_module(module=maker)
    return {name: partial(models.build, ConfigDict(cfg) if frozen else cfg) for name, cfg in configs().items()}


def seconds(act: Callable[[], Any], at_least: float = 0.05) -> float:
    """The mean time of one call, over calls that fill ``at_least`` seconds."""
    act()
    calls, spent = 0, 0.0
    start = time.perf_counter()
    while spent < at_least:
        for _ in range(10):
            act()
        calls += 10
        spent = time.perf_counter() - start
    return spent / calls


def serve() -> None:
    """The peer's side: a line in, one round of times out."""
    import warnings

    warnings.simplefilter("ignore")
    sides = {PEERS[0]: with_mmengine(True), PEERS[1]: with_mmengine(False)}
    for _ in sys.stdin:
        times = {side: {name: seconds(act) for name, act in acts.items()} for side, acts in sides.items()}
        print(json.dumps(times), flush=True)


def measure(peer: str | None, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Times in seconds by side and shape, one a round, the sides taking turns."""
    sides = {"bare": bare(), "fkit": with_fkit(frozen=True), "fkit (plain dict)": with_fkit(frozen=False)}
    found: dict[str, dict[str, list[float]]] = {
        side: {name: [] for name in SHAPES} for side in (*sides, *(PEERS if peer else ()))
    }
    other = None
    if peer:
        command = [peer, __file__, "--serve"]
        other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for _ in range(rounds):
        for side, acts in sides.items():
            for name, act in acts.items():
                found[side][name].append(seconds(act))
        if other is not None and other.stdin is not None and other.stdout is not None:
            other.stdin.write("go\n")
            other.stdin.flush()
            for side, times in json.loads(other.stdout.readline()).items():
                for name, value in times.items():
                    found[side][name].append(value)
    if other is not None:
        other.communicate()
    return found


def report(found: dict[str, dict[str, list[float]]]) -> str:
    """A table: median microseconds, and the median paired ratio to fkit."""
    lines = [f"{'':<24}" + "".join(f"{name:>26}" for name in SHAPES)]
    for side, times in found.items():
        cells = (
            f"{statistics.median(times[name]) * 1e6:>13.1f} us {ratio(times[name], found['fkit'][name]):>8.2f}x"
            for name in SHAPES
        )
        lines.append(f"{side:<24}" + "".join(f"{cell:>26}" for cell in cells))
    return "\n".join((*lines, "x: time over fkit's, the median over rounds"))


def ratio(times: list[float], ours: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(times, ours, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="an interpreter with mmengine")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="print the times of every round")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve()
        return
    found = measure(args.peer, args.rounds)
    print(json.dumps(found) if args.json else report(found))


if __name__ == "__main__":
    main()
