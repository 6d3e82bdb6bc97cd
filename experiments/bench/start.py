"""How long it takes from the start of a process to its first training step, on the digits MLP.

    python experiments/bench/start.py [--backend torch jax] [--peer PYTHON] [--rounds N] [--quick]

example: python experiments/bench/start.py --backend torch --rounds 5

Compared are a script by hand (torch; flax and optax), ``fkit train configs/digits/mlp.py``, and with ``--peer`` (an
interpreter with mmengine 0.10.7 and torch) a script with mmengine's Runner beside a script by hand there. Each is a
process that ends itself when its first step is done; they take turns, each round in another order. Printed are CPU and
wall seconds, as medians over rounds with the quartiles in brackets, and the ratio to the script by hand of the same
round.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from loop import row, single_threads, spread

HERE = Path(__file__).parent
STARTS = HERE / "starts"
ROOT = HERE.parent.parent
DIGITS = ROOT / "fkit" / "data" / "shipped" / "digits.npz"


def commands(backends: list[str], peer: str | None, folder: Path) -> dict[str, list[str]]:
    """{side: command}; a side is compared with the bare one whose name its own begins with."""
    config = folder / "mlp.py"
    config.write_text(
        f"_base_ = [{str(ROOT / 'configs' / 'digits' / 'mlp.py')!r}]\n"
        "custom_imports = dict(imports=['ending'])\ncustom_hooks = [dict(type='EndAtFirstStep')]\n"
    )
    found: dict[str, list[str]] = {}
    for backend in backends:
        found[f"{backend}: bare"] = [sys.executable, str(STARTS / f"bare_{backend}_start.py"), str(DIGITS)]
        train = [sys.executable, "-m", "fkit.cli.main", "train", str(config), "--backend", backend, "--work-dir"]
        found[f"{backend}: fkit"] = [*train, "WORK", "--allow", "ending"]
    if peer is not None:
        found["peer: bare"] = [peer, str(STARTS / "bare_torch_start.py"), str(DIGITS)]
        found["peer: mmengine"] = [peer, str(STARTS / "mmengine_start.py"), str(DIGITS), "WORK"]
    return found


def seconds(command: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a process, which must end well."""
    with tempfile.TemporaryDirectory() as folder:
        words = [str(Path(folder) / "work") if word == "WORK" else word for word in command]
        env = single_threads() | {"PYTHONPATH": os.pathsep.join([str(STARTS), os.environ.get("PYTHONPATH", "")])}
        begun = time.perf_counter()
        process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        spent = time.perf_counter() - begun
        assert process.stderr is not None
        if status:
            raise SystemExit(f"start.py: {' '.join(words)} failed:\n{process.stderr.read().decode()}")
        process.stderr.close()
        process.returncode = 0
    return usage.ru_utime + usage.ru_stime, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", nargs="+", choices=("torch", "jax"), default=["torch", "jax"])
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter with mmengine 0.10.7")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="three rounds")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sides = commands(args.backend, args.peer, Path(folder))
        found: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
        for command in sides.values():
            seconds(command)  # files get into the page cache, and bytecode is written
        names = list(sides)
        for turn in range(3 if args.quick else args.rounds):
            at = turn % len(names)
            for side in names[at:] + names[:at]:
                found[side].append(seconds(sides[side]))
    print(row("to the first step", "CPU s", "of bare", "wall s", "of bare"))
    print("|---|---:|---:|---:|---:|")
    for side, times in found.items():
        bare = found[side.split(":")[0] + ": bare"]
        cells = [side]
        for k in (0, 1):
            cells.append(f"{median(one[k] for one in times):.2f}")
            cells.append(spread([one[k] / other[k] for one, other in zip(times, bare, strict=True)], 3))
        print(row(*cells))


if __name__ == "__main__":
    main()
