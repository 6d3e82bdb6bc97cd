"""What a training step costs beside the hand-written loop: fkit on torch and on JAX, and mmengine's Runner.

    python experiments/bench/loop.py [--backend torch jax] [--case mlp convnet resnet18] [--extra clip ema] [--peer PYTHON]
        [--seconds S] [--quick]

example: python experiments/bench/loop.py --backend torch --case mlp --quick

Four loops of the same module (the zoo's), optimizer (SGD with momentum, fused) and numpy batches take turns in one
process, in short blocks, each round in another order:

    bare     the loop that a person writes: torch alone; flax.linen and optax in one donated jit; the rate of a cosine
             schedule is set at each step, and the loss is read at every tenth
    step     a loop over fkit's own program.train_step alone
    hooks    fkit.train with its default hooks (schedule, log at every tenth step, ...) and a clock; its effects dropped
    fkit     the same, its effects performed: metrics.jsonl, log.txt, the lines on the screen (to /dev/null), the bar

With ``--extra clip`` all of them clip gradients by their norm too, and with ``--extra ema`` they keep a moving average of the
weights: bare, by clip_grad_norm_ and one fused lerp on torch, by clip_by_global_norm and a line of the step on JAX.

And mmengine's Runner with its default hooks, beside a bare loop of its own, in the environment of ``--peer`` (an
interpreter with mmengine 0.10.7, torch and fkit's own needs), in the same rounds. Then a validation pass of each:
prediction, and accuracy counted on the host.

Printed is CPU time (of all threads), as medians over rounds, with the quartiles in brackets: us a step; the ratio to
the bare block of the same round; us over the bare block; and us over the ``step`` block, which is what the hooks and
the loop cost. One thread each, unless OMP_NUM_THREADS and XLA_FLAGS say otherwise. Checkpoints, which are written
between epochs, are not in the blocks.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

HERE = Path(__file__).parent
BACKENDS, CASES = ("torch", "jax"), ("mlp", "convnet", "resnet18")
EXTRAS = ("clip", "ema")
SIDES = ("bare", "step", "hooks", "fkit")
BRIEF = ("bare", "fkit", "peer mmengine")
BLOCK_SECONDS = 0.05  # of CPU time, so that a block is short beside what disturbs it, and long beside the clock
LEAST_ROUNDS = 7


class Times(NamedTuple):
    """Of one round: CPU and wall seconds a step, by side."""

    cpu: dict[str, float]
    wall: dict[str, float]


class Peer:
    """peer_mmengine.py in a process of its own."""

    def __init__(self, python: str, name: str) -> None:
        command = [python, str(HERE / "peer_mmengine.py"), name]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=single_threads()
        )
        if self._read() != {}:
            raise RuntimeError("the peer did not start")

    def ask(self, words: str) -> dict[str, tuple[float, float]]:
        """A block's CPU and wall seconds, by side."""
        assert self.process.stdin is not None
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        return self._read()

    def close(self) -> None:
        self.process.communicate()

    def _read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"loop.py: {self.process.args} ended before its time; run it by hand to see why")
        return json.loads(line)


def single_threads() -> dict[str, str]:
    """The environment, with one thread wherever it does not say how many."""
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    single = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"}
    return {**dict.fromkeys(threads, "1"), **single, **os.environ}


def rounds(
    ways: dict[str, Callable[[int], Any]], peer: Peer | None, seconds: float, per_step: int = 1
) -> Iterator[tuple[dict[str, float], dict[str, float]]]:
    """CPU and wall seconds a step of every side, one round after the other."""
    from time import perf_counter

    from case import clocked

    for way in ways.values():
        way(3)  # the first steps compile, and fill caches
    steps = max(1, round(BLOCK_SECONDS * 3 / max(clocked(lambda: ways["bare"](3))[0], 1e-6)))
    names, end, done = list(ways), perf_counter() + seconds, 0
    if peer is not None:
        peer.ask(f"train {max(3, steps)}" if per_step == 1 else "val")
    while done < LEAST_ROUNDS or perf_counter() < end:
        turn = done % len(names)
        found = {side: clocked(lambda side=side: ways[side](steps)) for side in names[turn:] + names[:turn]}
        if peer is not None:
            answer = peer.ask(f"train {steps}" if per_step == 1 else "val")
            scale = 1 if per_step == 1 else steps
            found |= {"peer " + side: (cpu * scale, wall * scale) for side, (cpu, wall) in answer.items()}
        yield tuple({side: both[k] / steps / per_step for side, both in found.items()} for k in (0, 1))  # type: ignore
        done += 1


def measure(
    backend: str, name: str, python: str | None, seconds: float, device: str = "cpu", extra: str = ""
) -> dict[str, list[Times]]:
    """Training and validation of one case; with something extra, its training alone."""
    import importlib

    from case import case
    from fkit_loops import Fkit

    from fkit.edge.signal import inbox

    bare = importlib.import_module(f"bare_{backend}")
    if backend == "torch":
        import torch

        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        seen = stack.enter_context(inbox())
        peer = Peer(python, name) if python is not None and backend == "torch" and not extra else None
        ours = Fkit(name, backend, folder, device, extra)
        edge = ours.edge()
        ways = {
            "bare": bare.train_loop(name, device, extra),
            "step": ours.step(),
            "hooks": ours.train(seen, None),
            "fkit": ours.train(seen, edge),
        }
        train = [Times(*both) for both in rounds(ways, peer, seconds)]
        if extra:
            return {"train": train}
        bare_val, our_val = bare.val_loop(name, device), ours.validate(seen, edge)
        passes = {"bare": _times(bare_val), "fkit": _times(our_val)}
        val = [Times(*both) for both in rounds(passes, peer, seconds / 3, case(name)[2])]
        if peer is not None:
            peer.close()
    return {"train": train, "val": val}


def _times(act: Callable[[], Any]) -> Callable[[int], None]:
    def run(count: int) -> None:
        for _ in range(count):
            act()

    return run


def table(found: dict[str, list[Times]], title: str) -> list[str]:
    """Rows of Markdown."""
    rows: list[str] = []
    for kind, times in found.items():
        for side in times[0].cpu:
            if side == "peer bare":
                continue
            base = "peer bare" if side.startswith("peer ") else "bare"
            cpu = [one.cpu[side] for one in times]
            cells = [f"{title}, {kind}", side.removeprefix("peer "), spread([t * 1e6 for t in cpu], 0)]
            if side == base:
                rows.append(row(*cells, "1", "", ""))
                continue
            ratios = [one.cpu[side] / one.cpu[base] for one in times]
            cells += [spread(ratios, 3), spread([(one.cpu[side] - one.cpu[base]) * 1e6 for one in times], 0)]
            more = kind == "train" and side in ("hooks", "fkit")
            cells.append(spread([(one.cpu[side] - one.cpu["step"]) * 1e6 for one in times], 0) if more else "")
            rows.append(row(*cells))
    return rows


def brief(everything: dict[str, dict[str, list[Times]]]) -> list[str]:
    """The README's table: a row a case, and one of validation a backend."""
    titles = {"mlp": "MLP", "convnet": "ConvNet", "resnet18": "ResNet-18 at 32x32"}
    spelling = {"torch": "torch", "jax": "JAX"}
    rows = [row("", "bare, us", "fkit / bare", "mmengine 0.10.7 / bare"), "|---|---:|---:|---:|"]
    passes: dict[str, list[tuple[str, str, str, str]]] = {}
    for key, kinds in everything.items():
        backend, name, *extra = key.split()
        bare, ours, peer = (_beside(kinds["train"], side) for side in BRIEF)
        rows.append(
            row(", ".join([titles[name], spelling[backend], *(f"with {word}" for word in extra)]), bare, ours, peer)
        )
        if extra:
            continue
        cells = (_median(_beside(kinds["val"], side)) for side in BRIEF)
        passes.setdefault(backend, []).append((titles[name].split()[0], *cells))
    for backend, lines in passes.items():
        names, *columns = (" / ".join(column).rstrip(" /") for column in zip(*lines, strict=True))
        rows.append(row(f"validation, {names}, {spelling[backend]}", *columns))
    return rows


def _beside(times: list[Times], side: str) -> str:
    """Microseconds of the bare side, the ratio of another to its own bare one, "" where it was not measured."""
    if side not in times[0].cpu:
        return ""
    if side == "bare":
        return f"{median(one.cpu[side] for one in times) * 1e6:,.0f}"
    base = "peer bare" if side.startswith("peer ") else "bare"
    return spread([one.cpu[side] / one.cpu[base] for one in times], 2)


def _median(cell: str) -> str:
    """A cell without its quartiles."""
    return cell.partition(" [")[0]


def row(*cells: str) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def spread(values: list[float], digits: int) -> str:
    """The median, and the quartiles in brackets."""
    low, _, high = quantiles(values, n=4, method="inclusive")
    return f"{median(values):,.{digits}f} [{low:,.{digits}f}, {high:,.{digits}f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--case", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--extra", nargs="+", choices=EXTRAS, default=(), help="measure each case with these too")
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter with mmengine 0.10.7")
    parser.add_argument("--seconds", type=float, default=24.0, help="of training blocks a case")
    parser.add_argument("--quick", action="store_true", help="a quarter of the time")
    parser.add_argument("--json", metavar="FILE", help="write the times of every round too")
    parser.add_argument("--readme", action="store_true", help="print the README's table at the end")
    args = parser.parse_args()
    os.environ.update(single_threads())
    sys.path.insert(0, str(HERE))
    print(row("", "loop", "us a step (CPU)", "of bare", "us over bare", "us over step"))
    print("|---|---|---:|---:|---:|---:|")
    everything: dict[str, dict[str, list[Times]]] = {}
    for backend in args.backend:
        for name in args.case:
            for extra in ("", *args.extra):
                seconds = args.seconds / 4 if args.quick else args.seconds
                found = measure(backend, name, args.peer, seconds, extra=extra)
                everything[f"{backend} {name} {extra}".strip()] = found
                title = ", ".join([name, backend, *([extra] if extra else [])])
                print("\n".join(table(found, title)), flush=True)
    if args.json:
        plain = {
            key: {kind: [t._asdict() for t in times] for kind, times in found.items()}
            for key, found in everything.items()
        }
        Path(args.json).write_text(json.dumps(plain))
    if args.readme:
        print("\n" + "\n".join(brief(everything)))


if __name__ == "__main__":
    main()
