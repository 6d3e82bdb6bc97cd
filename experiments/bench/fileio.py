"""How long files take: `fkit.fileio` against mmengine's `fileio`, on the same files, in alternating rounds.

    python experiments/bench/fileio.py --peer PYTHON [--rounds N] [--folder DIR] [--json]

``--peer`` is an interpreter that has mmengine (0.10.7). Each side runs in a process of its own; a ratio is the median
over rounds of fkit time / peer time, so 1.0 is parity and less is faster. Small files hold a dozen values, lists 200,000
lines, and the large JSON and YAML are annotations in COCO's form (400 pictures, 2,000 boxes).
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SMALL = {"a": 1, "b": [1, 2, 3], "c": {"d": "text", "e": 0.5, "f": [True, None]}, "g": "more text"}


def coco() -> dict[str, Any]:
    """Annotations in COCO's form."""
    images = [{"id": n, "file_name": f"{n:012}.jpg", "height": 480, "width": 640} for n in range(400)]
    boxes = [
        {"id": n, "image_id": n // 5, "category_id": n % 80, "bbox": [1.5, 2.5, 30.25, 40.125], "area": 1213.78125,
         "iscrowd": 0, "segmentation": [[float(k) for k in range(20)]]}
        for n in range(2000)
    ]  # fmt: skip
    return {"images": images, "annotations": boxes}


def acts(name: str, folder: Path) -> dict[str, tuple[Callable[[], Any], int]]:
    """What is timed by one side, and how often in a round."""
    if name == "fkit":
        from fkit import fileio

        pickled = {"allow_pickle": True}
    else:
        from mmengine import fileio  # pyright: ignore

        pickled: dict[str, Any] = {}
    io: Any = fileio
    made: dict[str, tuple[Callable[[], Any], int]] = {}
    for ending, options in (("json", {}), ("yaml", {}), ("pkl", pickled)):
        path = folder / f"{name}.{ending}"
        io.dump(SMALL, path, **options)
        made[f"load {ending}"] = (lambda path=path, options=options: io.load(path, **options), 50)
        made[f"dump {ending}"] = (lambda path=path, options=options: io.dump(SMALL, path, **options), 5)
    short, long = folder / "short.txt", folder / "long.txt"
    made["list_from_file, 5 lines"] = (lambda: io.list_from_file(short), 50)
    made["list_from_file, 5 of 200,000"] = (lambda: io.list_from_file(long, max_num=5), 1)
    made["list_from_file, 200,000"] = (lambda: io.list_from_file(long), 1)
    made["dict_from_file, 5 lines"] = (lambda: io.dict_from_file(short), 50)
    made["get"] = (lambda: io.get(short), 50)
    value = coco()
    for ending in ("json", "yaml"):
        path = folder / f"{name}.coco.{ending}"
        io.dump(value, path)
        made[f"load {ending}, COCO"] = (lambda path=path: io.load(path), 1)
        made[f"dump {ending}, COCO"] = (lambda path=path: io.dump(value, path), 1)
    return made


def serve(name: str, folder: Path) -> None:
    """One side: a line in, one round of seconds a call out."""
    import warnings

    warnings.simplefilter("ignore")
    table = acts(name, folder)
    for act, _ in table.values():
        act()
    for _ in sys.stdin:
        seconds: dict[str, float] = {}
        for title, (act, calls) in table.items():
            start = time.perf_counter()
            for _ in range(calls):
                act()
            seconds[title] = (time.perf_counter() - start) / calls
        print(json.dumps(seconds), flush=True)


def measure(peer: str, rounds: int, folder: Path) -> dict[str, dict[str, list[float]]]:
    """Seconds a call by side and title, one a round, the sides taking turns."""
    (folder / "short.txt").write_text("".join(f"{n} name\n" for n in range(5)))
    (folder / "long.txt").write_text("".join(f"{n} name\n" for n in range(200_000)))
    sides: dict[str, Any] = {}
    for name, python in (("fkit", sys.executable), ("mmengine", peer)):
        command = [python, __file__, "--serve", name, "--folder", str(folder)]
        sides[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    table: dict[str, dict[str, list[float]]] = {name: {} for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            side.stdin.write("go\n")
            side.stdin.flush()
            for title, seconds in json.loads(side.stdout.readline()).items():
                table[name].setdefault(title, []).append(seconds)
    for side in sides.values():
        side.communicate()
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="the interpreter that has mmengine")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--folder", help="where the files lie; a temporary folder if left out")
    parser.add_argument("--json", action="store_true", help="print the times as JSON")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.serve:
        serve(words.serve, Path(words.folder))
        return 0
    if not words.peer:
        parser.error("--peer is needed")
    with tempfile.TemporaryDirectory(dir=words.folder) as folder:
        table = measure(words.peer, words.rounds, Path(folder))
    if words.json:
        print(json.dumps(table))
        return 0
    print(f"{'':32}{'fkit':>12}{'mmengine':>12}{'ratio':>8}")
    for title, own in table["fkit"].items():
        other = table["mmengine"][title]
        ratio = statistics.median(a / b for a, b in zip(own, other, strict=True))
        print(f"{title:32}{min(own) * 1e6:9.1f} us{min(other) * 1e6:9.1f} us{ratio:8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
