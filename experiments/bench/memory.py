"""Whether a long run's memory is flat: the resident memory of one process over 1e5 iterations of a small MLP.

    python experiments/bench/memory.py [--backend torch|jax] [--iterations 100000] [--extra KEY=VALUE ...]

All of a run is on: the default hooks with a line of the log every 50 iterations, its effects performed in a work folder,
a checkpoint every tenth of the run, the clock observed. ``--extra`` are words over the config, as after --cfg-options
("custom_hooks=[{'type': 'EMAHook'}]"). Printed are the resident memory at each tenth in MiB, the growth between the
second tenth and the end (before it, allocators and compilers settle), the rate, and what a checkpoint takes on disk.
Exits 1 where the growth passes 8 MiB.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from case import arrays
from fkit_loops import Cycle, Zeros, config

import fkit
from fkit.data.source import Source
from fkit.edge.perform import Edge
from fkit.run.event import Observed

LIMIT_MIB = 8.0
PARTS = 10


def resident_mib() -> float:
    """Resident memory of this process, of Linux's /proc."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def clock():
    while True:
        yield (Observed("time", time.monotonic()),)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="torch", choices=("torch", "jax"))
    parser.add_argument("--iterations", type=int, default=100_000)
    parser.add_argument("--extra", nargs="*", default=[], metavar="KEY=VALUE")
    words = parser.parse_args()
    total, part = words.iterations, max(words.iterations // PARTS, 1)
    cfg = fkit.Config(config("mlp", 64)).merge(
        {
            "train_cfg": {"_delete_": True, "by_epoch": False, "max_iters": total, "val_interval": part},
            "default_hooks.checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": part},
            "default_hooks.logger": {"type": "LoggerHook", "interval": 50},
        }
    )
    items = [fkit.Batch(x, {"gt_label": y}) for x, y in arrays("mlp")]
    data = {"train": Cycle(items), "val": Source.of(items)}
    registry = fkit.registry().register("datasets", lambda: Zeros((1, 8, 8)), name="Zeros")
    with tempfile.TemporaryDirectory() as folder:
        cfg.dump(Path(folder, "asked.py"))
        cfg = fkit.load_config(Path(folder, "asked.py"), *words.extra)
        plan = fkit.plan(cfg, registry, backend=words.backend)
        edge, marks, began = Edge(Path(folder), plan), [], time.perf_counter()
        for run, effects in fkit.train(plan, fkit.begin(plan), data, clock()):
            for effect in effects:
                edge.perform(effect, run)
            if not run.iteration % part and run.iteration // part > len(marks):
                marks.append(resident_mib())
        seconds = time.perf_counter() - began
        sizes = [sum(f.stat().st_size for f in d.iterdir()) for d in sorted(Path(folder, "checkpoints").glob("step_*"))]
        rows = Path(folder, "metrics.jsonl").read_bytes().count(b"\n")
        edge.close()
    growth = marks[-1] - marks[1]
    print(f"{words.backend}: {total} iterations, {total / seconds:.0f} a second, {rows} rows of metrics")
    print("resident memory, MiB: " + " ".join(f"{mark:.1f}" for mark in marks))
    print(f"growth from {2 * part} to {total} iterations: {growth:+.2f} MiB")
    print("checkpoints, bytes, oldest first: " + " ".join(map(str, sizes)))
    return int(growth > LIMIT_MIB)


if __name__ == "__main__":
    sys.exit(main())
