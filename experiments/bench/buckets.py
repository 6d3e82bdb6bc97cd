"""How often JAX compiles Faster R-CNN R50-FPN, and for how long: several batches of one bucket, then one of another.

    python experiments/bench/buckets.py [--size H W] [--batches B]

Pictures of several sizes are collated as a run collates them (`fkit.data.collate.Collate`): padded to multiples of 32, their
objects to the next power of two. What is compiled depends on the bucket alone, (N, H, W, objects): printed is, for each batch of
inference and of training, its bucket, the programs that JAX compiled for it, the seconds that took (tracing, lowering and XLA),
and the seconds of the whole call.
"""

import argparse
import time
from typing import Any

import jax
import numpy as np
from detection import PAD, ours_of, shapes

from fkit.data.collate import Collate
from fkit.structures.batch import Batch

STAGES = ("jaxpr_trace_duration", "jaxpr_to_mlir_module_duration", "backend_compile_duration")
"""What JAX tells of compilation, in seconds."""


class Counter:
    """What JAX compiles while this counts."""

    def __init__(self) -> None:
        self.count, self.seconds = 0, 0.0
        jax.monitoring.register_event_duration_secs_listener(self.heard)

    def heard(self, event: str, seconds: float, **_: Any) -> None:
        stage = event.rsplit("/", 1)[-1]
        self.count += stage == STAGES[-1]
        self.seconds += seconds if stage in STAGES else 0.0


def sample(rng: np.random.Generator, size: tuple[int, int], count: int) -> dict[str, Any]:
    """A normalised picture with so many objects."""
    low = rng.uniform(0, 0.7, (count, 2)) * size[::-1]
    high = low + rng.uniform(0.05, 0.3, (count, 2)) * size[::-1]
    sizes = {name: values[0] for name, values in shapes(1, size, True).items() if name != "input_shape"}
    boxes = {"bboxes": np.concatenate([low, high], 1).astype(np.float32), "labels": rng.integers(0, 80, count)}
    return {"inputs": rng.standard_normal((3, *size), np.float32), "targets": {**sizes, "gt_instances": boxes}}


def batches(size: tuple[int, int], count: int, images: int) -> list[Batch]:
    """So many batches of one bucket, pictures a little smaller than it with 9 to 16 objects, and one with 17 to 32."""
    rng = np.random.default_rng(0)
    collate = Collate(pad=True, size_divisor=PAD)
    found: list[Batch] = []
    for turn in range(count + 1):
        sizes = [tuple(int(side - rng.integers(0, PAD)) for side in size) for _ in range(images)]
        most = 16 if turn < count else 32
        found.append(collate([sample(rng, one, int(rng.integers(most // 2 + 1, most + 1))) for one in sizes]))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", nargs=2, type=int, default=(480, 640), metavar=("H", "W"), help="of the bucket")
    parser.add_argument("--batches", type=int, default=4, help="of the first bucket")
    parser.add_argument("--call", nargs="+", default=["inference", "training"], choices=("inference", "training"))
    args = parser.parse_args()
    print("| call | batch | bucket (N, H, W, objects) | compiled | seconds of that | seconds of the call |")
    print("| --- | --- | --- | ---: | ---: | ---: |")
    counter = Counter()
    for call in args.call:
        run = ours_of("jax", call)
        for at, batch in enumerate(batches(tuple(args.size), args.batches, 1 if call == "inference" else 2)):
            count, seconds, start = counter.count, counter.seconds, time.perf_counter()
            run(batch)
            whole, several = time.perf_counter() - start, batch.targets["gt_instances"]["labels"].shape[1]
            bucket = (*(batch.inputs.shape[axis] for axis in (0, 2, 3)), several)
            told = f"{counter.count - count} | {counter.seconds - seconds:.1f} | {whole:.1f}"
            print(f"| {call} | {at + 1} | {bucket} | {told} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
