"""How long runs of several seeds take: one after the other, and as one vmapped program.

    python experiments/bench/sweep.py [--case mlp convnet] [--backend torch jax] [--seeds N] [--rounds N] [--epochs N]

example: python experiments/bench/sweep.py --case mlp --backend jax --rounds 3

Three ways to the same runs of configs/digits, which take turns, each round in another order: ``fkit train`` once a seed, each
a process of its own; `fkit.run_config` once a seed in one process; ``fkit sweep --vectorize``, which says what form it chose.
Printed are wall seconds as medians over rounds, and how many times as fast as the first, of the same round, with the quartiles
in brackets. A fourth row has the training steps alone: K separate steps beside one joined step, on batches that are there.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from loop import row, single_threads, spread

import fkit

CONFIGS = {"mlp": "digits/mlp", "convnet": "digits/convnet"}
IN_ONE = """
import sys, fkit
config, backend, epochs, seeds, folder = sys.argv[1:]
cfg = fkit.load_config(config, f"backend={backend}", f"train_cfg.max_epochs={epochs}")
for seed in range(int(seeds)):
    fkit.run_config(cfg.merge({"seed": seed, "work_dir": f"{folder}/{seed}"}))
"""


def run(command: list[str]) -> str:
    done = subprocess.run(command, env=single_threads(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"sweep.py: {' '.join(command)} failed:\n{done.stderr}")
    return done.stderr


def sides(config: str, backend: str, seeds: int, epochs: int) -> dict[str, Callable[[str], str]]:
    """{side: what takes a folder and trains all seeds in it; gives what was said}."""
    fkit_ = [sys.executable, "-m", "fkit"]
    changes = ["--cfg-options", f"train_cfg.max_epochs={epochs}"]

    def commands(folder: str) -> str:
        for seed in range(seeds):
            place = ["--backend", backend, "--seed", str(seed), "--work-dir", f"{folder}/{seed}"]
            run([*fkit_, "train", config, *place, *changes])
        return ""

    def in_one(folder: str) -> str:
        return run([sys.executable, "-P", "-c", IN_ONE, config, backend, str(epochs), str(seeds), folder])

    def together(folder: str) -> str:
        words = [f"seed=0..{seeds - 1}", "--vectorize", "--backend", backend, "--work-dir", f"{folder}/sweep"]
        return run([*fkit_, "sweep", config, *words, *changes])

    return {
        "fkit train, a process a seed": commands,
        "run_config, one process": in_one,
        "fkit sweep --vectorize": together,
    }


def steps(config: str, backend: str, seeds: int, rounds: int) -> tuple[list[float], str]:
    """How many times as fast one joined step is as separate ones; the form."""
    cfg = fkit.load_config(config, "seed=0", f"backend={backend}")
    plan = fkit.plan(cfg)
    program, room = plan.program, plan.room
    together, why = program.train_step.together()  # pyright: ignore[reportFunctionMemberAccess]
    if together is None:
        return [], why
    given: list[list[Any]] = [
        list(itertools.islice(fkit.open_data(fkit.plan(cfg.merge({"seed": seed})))["train"].batches(0), 20))
        for seed in range(seeds)
    ]
    numbers = program.hyperparams()
    states = [program.init(seed) for seed in range(seeds)]
    joined = together.join([program.init(seed) for seed in range(seeds)])
    ratios: list[float] = []
    for turn in range(rounds * 10 + 2):
        begun = time.perf_counter()
        for number in range(20):
            for seed in range(seeds):
                states[seed], logs = program.train_step(states[seed], given[seed][number], numbers)
        room.fetch([logs["loss"]])
        middle = time.perf_counter()
        for number in range(20):
            joined, told = together.step(joined, [given[seed][number] for seed in range(seeds)], [numbers] * seeds)
        room.fetch([told[0]["loss"]])
        ended = time.perf_counter()
        if turn > 1:
            ratios.append((middle - begun) / (ended - middle))
    return ratios, together.form


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=tuple(CONFIGS), default=list(CONFIGS))
    parser.add_argument("--backend", nargs="+", choices=("torch", "jax"), default=["torch", "jax"])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--peer", help="taken, and not used: no peer trains several seeds as one program")
    args = parser.parse_args()
    os.environ.update(single_threads())
    print(row(f"{args.seeds} seeds, {args.epochs} epochs", "wall s", "times as fast"))
    print("|---|---:|---:|")
    for case, backend in itertools.product(args.case, args.backend):
        ways = sides(CONFIGS[case], backend, args.seeds, args.epochs)
        found: dict[str, list[float]] = {name: [] for name in ways}
        form = ""
        for turn in range(args.rounds):
            names = list(ways)
            at = turn % len(names)
            for name in names[at:] + names[:at]:
                with tempfile.TemporaryDirectory() as folder:
                    begun = time.perf_counter()
                    said = ways[name](str(Path(folder)))
                    found[name].append(time.perf_counter() - begun)
                form = next((line for line in said.splitlines() if "runs in this process" in line), form)
        first = found[next(iter(ways))]
        for name, times in found.items():
            ratios = [one / other for one, other in zip(first, times, strict=True)]
            print(row(f"{case} {backend}: {name}", f"{median(times):.1f}", spread(ratios, 2)), flush=True)
        ratios, why = steps(CONFIGS[case], backend, args.seeds, args.rounds)
        print(row(f"{case} {backend}: training steps alone", "", spread(ratios, 2) if ratios else why))
        print(f"{case} {backend}: {form}", file=sys.stderr)


if __name__ == "__main__":
    main()
