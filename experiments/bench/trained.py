"""One config trained from nothing by fkit on torch, by fkit on JAX and by mmdet, with several seeds each: where do they end?

    python experiments/bench/trained.py --peer PYTHON [--seeds N] [--epochs N] [--work-dir DIR]

The config is experiments/cells/config.py (blood cells, a small Faster R-CNN) on smaller pictures and with half the channels, its
schedule fitted to the epochs. PYTHON is an
interpreter with mmdet 3.3.0 and a compiled mmcv 2.1.0 (``nox -s peers``). Each run is a process of its own and leaves
DIR/NAME.json with COCO's average precision on the held-out part after every other epoch; runs that are there are not run again. Printed is a
table in Markdown; DIR/curves.png has the curves.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CELLS = HERE.parent / "cells"
SYSTEMS = ("fkit torch", "fkit JAX", "mmdet")
EVERY = 2
SIZE = (224, 168)  # width and height of a picture
SCORES = {"bbox_mAP": "AP", "bbox_mAP_50": "AP50", "bbox_mAP_75": "AP75"}


def config(epochs: int, seed: int) -> Any:
    """The config of the cells in as many epochs, scored after every other one; half as wide, on smaller pictures."""
    import fkit

    cfg = fkit.load_config(CELLS / "config.py")
    warm, cosine = cfg["param_scheduler"]
    norm = {"norm_cfg": {"type": "GN", "num_groups": 8}}
    resize = {"type": "Resize", "scale": SIZE, "keep_ratio": True}
    train = [
        step for one in cfg["train_pipeline"] for step in ((resize, one) if one["type"] == "RandomFlip" else (one,))
    ]
    test = [resize if one["type"] == "Resize" else one for one in cfg["test_pipeline"]]
    return cfg.merge(
        {
            "model.backbone": {"base_channels": 16, **norm},
            "model.neck": {"in_channels": [32, 64, 128], **norm},
            "train_dataloader.dataset.pipeline": train,
            "val_dataloader.dataset.pipeline": test,
            "test_dataloader.dataset.pipeline": test,
            "seed": seed,
            "param_scheduler": [warm, {**cosine, "T_max": epochs, "end": epochs}],
            "train_cfg": {"by_epoch": True, "max_epochs": epochs, "val_interval": EVERY},
            "default_hooks": {"visualization": {"type": "DetVisualizationHook", "draw": False}},
        }
    )


def ours(backend: str, epochs: int, seed: int, folder: Path) -> list[dict[str, float]]:
    """fkit's run: the scores of each validation."""
    import fkit

    fkit.run_config(config(epochs, seed).merge({"backend": backend, "work_dir": str(folder)}))
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if "coco/bbox_mAP" in row]


def run(system: str, epochs: int, seed: int, folder: Path, peer: str | None) -> None:
    """One run in a process of its own, to a file of its scores."""
    name = f"{system.replace(' ', '_').lower()}_{seed}"
    result = folder / f"{name}.json"
    if result.exists():
        return
    words = ["--serve", system, "--seeds", str(seed), "--epochs", str(epochs), "--work-dir", str(folder / name)]
    script, python = HERE / "trained.py", sys.executable
    if system == "mmdet":
        assert peer is not None
        script, python = HERE / "peer_trained.py", peer
        (folder / f"{name}_config.py").write_text(config(epochs, seed).text("python"))
        words = [str(folder / f"{name}_config.py"), str(folder / name)]
    start = time.monotonic()
    done = subprocess.run([python, str(script), *words], cwd=CELLS, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"trained.py: {name} ended with exit code {done.returncode}")
    rows = json.loads(done.stdout.splitlines()[-1])
    scores = [{short: row[f"coco/{long}"] for long, short in SCORES.items()} for row in rows]
    assert len(scores) == epochs // EVERY, f"{name} was scored {len(scores)} times"
    result.write_text(json.dumps({"seconds": time.monotonic() - start, "scores": scores}))


def row(system: str, runs: list[Mapping[str, Any]]) -> str:
    """A line of the table: mean and spread over the seeds, and the curve's means."""
    cells: list[str] = []
    for score in SCORES.values():
        values = [100 * one["scores"][-1][score] for one in runs]
        cells.append(f"{statistics.mean(values):.1f} [{min(values):.1f}, {max(values):.1f}]")
    curve = [statistics.mean(100 * one["scores"][at]["AP"] for one in runs) for at in range(len(runs[0]["scores"]))]
    minutes = statistics.mean(one["seconds"] for one in runs) / 60
    return f"| {system} | {' | '.join(cells)} | {' '.join(f'{value:.0f}' for value in curve)} | {minutes:.1f} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter with mmdet 3.3.0 and compiled mmcv 2.1.0")
    parser.add_argument("--system", nargs="+", default=SYSTEMS, choices=SYSTEMS)
    parser.add_argument("--seeds", type=int, default=3, help="as many runs of each")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--work-dir", default="work_dirs/trained")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    args = parser.parse_args()
    folder = Path(args.work_dir).resolve()
    if args.serve:
        backend = args.serve.rpartition(" ")[2].lower()
        os.chdir(CELLS)
        print(json.dumps(ours(backend, args.epochs, args.seeds, folder)))
        return 0
    systems = [one for one in args.system if one != "mmdet" or args.peer]
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(args.seeds):
        for system in systems:
            run(system, args.epochs, seed, folder, args.peer)
    print(f"| trained by | {' | '.join(SCORES.values())} | AP after every {EVERY} epochs | minutes a run |")
    print("| --- | ---: | ---: | ---: | --- | ---: |")
    points: dict[int, dict[str, Any]] = {}
    for system in systems:
        files = [folder / f"{system.replace(' ', '_').lower()}_{seed}.json" for seed in range(args.seeds)]
        runs = [json.loads(path.read_text()) for path in files]
        print(row(system, runs))
        for at in range(len(runs[0]["scores"])):
            mean = statistics.mean(one["scores"][at]["AP"] for one in runs)
            points.setdefault((at + 1) * EVERY, {})[f"{system}, mean of {len(runs)}"] = mean
    draw([{"step": epoch, "mode": "val", **means} for epoch, means in points.items()], folder / "curves.png")
    return 0


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """The curves as a picture."""
    import cv2

    from fkit.visualize import curves

    cv2.imwrite(str(path), curves(rows, "AP on held-out blood cells, by epoch"))


if __name__ == "__main__":
    raise SystemExit(main())
