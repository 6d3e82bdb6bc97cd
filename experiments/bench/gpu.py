"""What fkit costs on a GPU beside hand-written loops, in one command and under eight minutes.

    python experiments/bench/gpu.py [--parts torch jax loop feed repeat] [--device cuda] [--minutes 8] [--json FILE]
    python experiments/bench/gpu.py --device cpu --small      # tries the script itself, without a GPU

Parts, each in a process of its own, so that one which fails or takes too long loses no other:

    torch    ResNet-50, bfloat16, batches of 128 on the device: images a second and peak memory of the bare loop in
             channels_last, of fkit, of both compiled, and of fkit by deterministic algorithms
    jax      the same of a bare flax loop (channels last all through, flax's own batch norm), of a bare loop of the
             zoo's module, and of fkit
    loop     what hooks and loop cost on a small step: loop.py's MLP and ConvNet, wall time
    feed     numpy batches from the host: bare with pinned memory and a side stream, bare without, and fkit
    repeat   two runs of one seed: whether they are equal to the bit, on torch and JAX; and what that costs JAX

Ways take turns in blocks; printed is the median over blocks with the quartiles in brackets, and of ratios to the bare
block of the same round. Peak memory is what a block takes beside what is held already (JAX: of the process so far). Exits 2 where the device is not there, 1 where a part failed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
PARTS = ("torch", "jax", "loop", "feed", "repeat")
HEAD = ("part", "way", "images/s", "of bare", "peak GiB")


class Scale(NamedTuple):
    """How large everything is.

    Attributes:
        model: the backbone's config.
        width: of its features.
        classes: of the head.
        image: (C, H, W).
        batch: images a step.
        seconds: of a block.
        blocks: of each way.
    """

    model: dict[str, Any]
    width: int
    classes: int
    image: tuple[int, int, int]
    batch: int
    seconds: float
    blocks: int


LARGE = Scale({"type": "ResNet", "depth": 50, "out_indices": (3,)}, 2048, 1000, (3, 224, 224), 128, 0.8, 6)
_CONVNET = {"type": "ConvNet", "in_channels": 3, "channels": (4,), "dropout": 0.0}
SMALL = Scale(_CONVNET, 4, 10, (3, 8, 8), 4, 0.01, 2)

Say = Callable[..., None]


def inside(part: str, device: str, scale: Scale, say: Say) -> None:
    """One part, in the process that is its own."""
    if part == "torch":
        from gpu_torch import train

        train(device, scale, say)
    elif part == "jax":
        from gpu_jax import train

        train(device, scale, say)
    elif part == "loop":
        loop(device, scale, say)
    elif part == "feed":
        from gpu_torch import feed

        feed(device, scale, say)
    else:
        repeat(device, scale, say)


def loop(device: str, scale: Scale, say: Say) -> None:
    """loop.py's sides on the device."""
    from loop import measure, spread

    for backend in ("torch", "jax"):
        for name in ("mlp",) if scale is SMALL else ("mlp", "convnet"):
            table = measure(backend, name, None, scale.seconds * 8, device)
            for kind, rounds in table.items():
                for side in rounds[0].wall:
                    wall = [one.wall[side] * 1e6 for one in rounds]
                    bare = [one.wall[side] / one.wall["bare"] for one in rounds]
                    cell = spread(wall, 0) + " us"
                    if side in ("hooks", "fkit") and kind == "train":
                        over = [(one.wall[side] - one.wall["step"]) * 1e6 for one in rounds]
                        cell += f", {spread(over, 0)} over step"
                    say(f"{backend}, {name}, {kind}: {side}", cell, spread(bare, 3), "")


def repeat(device: str, scale: Scale, say: Say) -> None:
    """`fkit train` twice with one seed, on each backend; then JAX's speed under its deterministic operations."""
    config = HERE.parent.parent / "configs/digits/convnet.py"
    epochs = 1 if scale is SMALL else 3
    words = [f"train_cfg.max_epochs={epochs}", "param_scheduler.1.end=20", "dtype=float32"]
    fkit = [sys.executable, "-m", "fkit"]
    for backend in ("torch", "jax"):
        with tempfile.TemporaryDirectory() as folder:
            prints: list[str] = []
            for name in ("one", "two"):
                work = str(Path(folder) / name)
                line = [*fkit, "train", str(config), "--backend", backend, "--device", device, "--work-dir", work]
                subprocess.run([*line, "--cfg-options", *words], check=True, capture_output=True, text=True)
                found = subprocess.run([*fkit, "fingerprint", work], check=True, capture_output=True, text=True)
                prints.append(found.stdout.strip())
        equal = "equal to the bit" if prints[0] == prints[1] else "DIFFERENT"
        say(f"{backend}: two runs of {epochs} epochs of digits", equal, "", "")
    env = {**os.environ, "XLA_FLAGS": os.environ.get("XLA_FLAGS", "") + " --xla_gpu_deterministic_ops=true"}
    line = [sys.executable, str(HERE / "gpu_jax.py"), device, "small" if scale is SMALL else "large"]
    done = subprocess.run(line, check=True, env=env, capture_output=True, text=True)
    say("jax: fkit, deterministic operations", done.stdout.strip().splitlines()[-1])


def missing(device: str) -> str:
    """Why the device cannot be used; "" where it can."""
    import torch

    if device == "cpu":
        return ""
    if not torch.cuda.is_available():
        return f"no GPU here: torch {torch.__version__} sees no CUDA device (--device cpu --small tries the script)"
    return ""


def name_of(device: str) -> str:
    """The device in words."""
    import torch

    what = "the CPU" if device == "cpu" else torch.cuda.get_device_name(device)
    return f"{what}, torch {torch.__version__}"


def outside(part: str, args: argparse.Namespace, left: float) -> tuple[list[list[str]], str]:
    """A part in a process of its own: its rows, and why it failed ("" where it did not)."""
    line = [sys.executable, __file__, "--inside", part, "--device", args.device, *(["--small"] if args.small else [])]
    paths = os.pathsep.join(p for p in (str(HERE.parent.parent), os.environ.get("PYTHONPATH", "")) if p)
    ready = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    env = {**ready, **os.environ, "PYTHONPATH": paths}
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    why = ""
    try:
        out, err = process.communicate(timeout=max(left, 1))
    except subprocess.TimeoutExpired:
        process.kill()
        (out, err), why = process.communicate(), "the minutes are over"
    lines = [json.loads(line) for line in out.splitlines() if line.startswith(("[", "{"))]
    why = why or next((line["why"] for line in lines if isinstance(line, dict)), "")
    why = why or (f"exit code {process.returncode}" if process.returncode else "")
    if why:
        print(f"--- {part}\n{err}", file=sys.stderr)
    return [line for line in lines if isinstance(line, list)], why


def child(part: str, device: str, scale: Scale) -> int:
    """In a process of its own: every row is a line of JSON, and so is why it failed."""

    def say(*cells: str) -> None:
        print(json.dumps([part, *cells, *[""] * (len(HEAD) - 1 - len(cells))]), flush=True)

    try:
        inside(part, device, scale, say)
    except Exception as cause:
        told = cause.stderr if isinstance(cause, subprocess.CalledProcessError) else ""
        print(json.dumps({"why": f"{type(cause).__name__}: {str(cause).splitlines()[0][:200]}"}), flush=True)
        print(f"{traceback.format_exc()}{told}", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--device", default="cuda", help='"cuda", "cuda:1", or "cpu" with --small')
    parser.add_argument("--small", action="store_true", help="toy sizes: tries the script, measures nothing")
    parser.add_argument("--minutes", type=float, default=8.0, help="a part that would go beyond is given up")
    parser.add_argument("--json", metavar="FILE", help="write the rows too")
    parser.add_argument("--inside", choices=PARTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    scale = SMALL if args.small else LARGE
    sys.path.insert(0, str(HERE))
    if args.inside:
        return child(args.inside, args.device, scale)
    if why := missing(args.device):
        print(f"gpu.py: {why}", file=sys.stderr)
        return 2
    begun, rows, failed = time.monotonic(), [], False
    print(f"{name_of(args.device)}\n\n| {' | '.join(HEAD)} |\n|---|---|---:|---:|---:|", flush=True)
    for part in args.parts:
        lines, why = outside(part, args, args.minutes * 60 - (time.monotonic() - begun))
        lines += [[part, f"failed: {why}", "", "", ""]] if why else []
        failed = failed or bool(why)
        rows += lines
        for line in lines:
            print(f"| {' | '.join(line)} |", flush=True)
    print(f"\n{(time.monotonic() - begun) / 60:.1f} minutes")
    if args.json:
        Path(args.json).write_text(json.dumps(rows))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
