"""Images a second through Faster R-CNN's training pipeline, beside mmcv's transforms in the same chain and beside decoding alone.

    python experiments/bench/data.py FOLDER [--peer PYTHON] [--seconds S] [--scale 1333 800] [--keep]
        [--json FILE]

FOLDER holds annotations/train.json and images/, a COCO set (bccd_coco, say). The chain is load, annotations, resize (1333x800,
the ratio kept), flip (0.5), normalise, pad to a multiple of 32: what mmdet's faster-rcnn configs of the first generation do in
the workers.

Four sides take turns in short blocks, each round in another order, one thread each:

    decode   bare cv2.imdecode of the same files, which are in memory: nobody can be faster
    hand     the same numbers by a few lines of cv2 and numpy
    fkit     the dataset's pipeline, drawn and applied, as a loader's worker runs it
    mmcv     mmcv-lite's transforms in an interpreter of its own (``--peer``), beside a ``decode`` of its own

fkit's loader workers keep the memory that a picture leaves behind for the next one, which glibc would give back to the system; so
does this process. mmcv's does as glibc does, unless ``--keep`` gives it the same setting.

All but mmcv run in a process that keeps its freed memory, as a loader's workers do (fkit.data.memory).

Printed is CPU time, as medians over rounds with the quartiles in brackets: ms an image, images a second, and the ratio to the
decoding of the same round; then how many times as fast as mmcv fkit is. At the end, what a worker's private memory grows by as the
dataset does: annotations are shared, not copied.
"""

import argparse
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

HERE = Path(__file__).resolve().parent
IMAGES = 16  # in a block
LEAST_ROUNDS = 9
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def chain(scale: tuple[int, int]) -> list[dict[str, Any]]:
    """The steps, in the words that fkit and mmcv share."""
    return [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_bbox": True},
        {"type": "Resize", "scale": scale, "keep_ratio": True},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "Normalize", "mean": MEAN, "std": STD, "to_rgb": True},
        {"type": "Pad", "size_divisor": 32},
    ]


def records(folder: Path) -> list[dict[str, Any]]:
    """The first pictures of the set with boxes, as both packages' LoadAnnotations read them."""
    book = json.loads((folder / "annotations" / "train.json").read_text())
    names = {image["id"]: image for image in book["images"][:IMAGES]}
    boxes: dict[int, list[dict[str, Any]]] = {key: [] for key in names}
    for one in book["annotations"]:
        if one["image_id"] in boxes:
            x, y, w, h = one["bbox"]
            label = one["category_id"] - 1
            boxes[one["image_id"]].append({"bbox": [x, y, x + w, y + h], "bbox_label": label, "ignore_flag": 0})
    return [
        {"img_path": str(folder / "images" / image["file_name"]), "img_id": key, "instances": boxes[key],
         "height": image["height"], "width": image["width"]}
        for key, image in names.items()
    ]  # fmt: skip


def decoding(rows: list[dict[str, Any]]) -> Callable[[], Any]:
    """Decode all; the files are read once."""
    import cv2
    import numpy as np

    contents = [np.fromfile(row["img_path"], np.uint8) for row in rows]

    def block() -> None:
        for content in contents:
            cv2.imdecode(content, cv2.IMREAD_COLOR)

    return block


def by_hand(rows: list[dict[str, Any]], scale: tuple[int, int]) -> Callable[[], Any]:
    """The chain in a few lines of cv2 and numpy."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    mean, factor = np.array(MEAN), 1 / np.array(STD)
    tables = [(row["img_path"], np.array([one["bbox"] for one in row["instances"]], np.float32)) for row in rows]

    def block() -> None:
        for path, boxes in tables:
            img = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
            h, w = img.shape[:2]
            ratio = min(max(scale) / max(h, w), min(scale) / min(h, w))
            size = int(w * ratio + 0.5), int(h * ratio + 0.5)
            img = cv2.resize(img, size)
            boxes = boxes * np.array([size[0] / w, size[1] / h] * 2, np.float32)
            if rng.random() < 0.5:
                img = cv2.flip(img, 1)
                boxes = np.stack((size[0] - boxes[:, 2], boxes[:, 1], size[0] - boxes[:, 0], boxes[:, 3]), 1)
            out = np.zeros((-(-size[1] // 32) * 32, -(-size[0] // 32) * 32, 3), np.float32)
            wide = cv2.cvtColor(img, cv2.COLOR_BGR2RGB).astype(np.float32)
            cv2.subtract(wide, np.array([*mean, 0.0]), dst=wide)
            cv2.multiply(wide, np.array([*factor, 0.0]), dst=out[: size[1], : size[0]])

    return block


def ours(rows: list[dict[str, Any]], scale: tuple[int, int]) -> Callable[[], Any]:
    """fkit's transforms, drawn and applied."""
    import numpy as np

    import fkit
    from fkit.data.memory import keep_memory
    from fkit.tree.frozen import frozen

    keep_memory()
    registry = fkit.registry()
    steps = fkit.build({"type": "Compose", "transforms": chain(scale)}, registry, "transforms", scope="mmdet")
    stored = [pickle.dumps(row) for row in rows]
    rng = np.random.default_rng(0)

    def block() -> None:
        for record in stored:
            steps(frozen(pickle.loads(record)), rng)

    return block


class Peer:
    """mmcv's transforms in an interpreter of their own: "block" is answered with CPU seconds of each of its sides."""

    def __init__(self, python: str, rows: list[dict[str, Any]], scale: tuple[int, int], keep: bool) -> None:
        command = [python, str(HERE / "peer_mmcv.py")]
        kept = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20)}  # as keep_memory
        env = {**os.environ, **(kept if keep else {})}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.ask({"rows": rows, "scale": scale})

    def ask(self, what: Any) -> dict[str, float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("data.py: the peer ended before its time; run experiments/bench/peer_mmcv.py to see why")
        return json.loads(line)


def rounds(ways: dict[str, Callable[[], Any]], peer: Peer | None, seconds: float) -> list[dict[str, float]]:
    """CPU seconds of a block of each side, a round after the other."""
    from time import perf_counter, process_time

    def clocked(way: Callable[[], Any]) -> float:
        start = process_time()
        way()
        return process_time() - start

    for way in ways.values():
        way()
    names, found, end = list(ways), [], perf_counter() + seconds
    while len(found) < LEAST_ROUNDS or perf_counter() < end:
        turn = len(found) % len(names)
        times = {name: clocked(ways[name]) for name in names[turn:] + names[:turn]}
        if peer is not None:
            times |= peer.ask("block")
        found.append(times)
    return found


def table(found: list[dict[str, float]]) -> list[str]:
    """Rows of Markdown."""
    rows = ["|  | ms an image (CPU) | images a second | of decoding alone |", "|---|---:|---:|---:|"]
    for side in found[0]:
        if side == "mmcv decode":
            continue
        base = "mmcv decode" if side == "mmcv" else "decode"
        each = [one[side] / IMAGES for one in found]
        ratios = spread([one[side] / one[base] for one in found], 2)
        rows.append(f"| {side} | {spread([t * 1e3 for t in each], 2)} | {1 / median(each):,.0f} | {ratios} |")
    if "mmcv" in found[0]:
        # each side by its own decoding of that round, which takes out what the machine did meanwhile
        times = [one["mmcv"] / one["mmcv decode"] / (one["fkit"] / one["decode"]) for one in found]
        rows.append("")
        rows.append(f"fkit does {spread(times, 2)} times the images of mmcv-lite a second.")
    return rows


def worker_memory(counts: tuple[int, ...]) -> list[str]:
    """What a process that was sent a CocoDataset has for itself, after it has read every record, by the number of images."""
    import multiprocessing
    import tempfile

    from fkit.data.dataset import CocoDataset

    rows = ["|  | own memory of a worker, MB | shared, MB |", "|---|---:|---:|"]
    context = multiprocessing.get_context("spawn")
    for count in counts:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(made_up(count), file)
            file.flush()
            dataset = CocoDataset(ann_file=file.name, data_prefix={"img": "images"}, metainfo={"classes": ["cell"]})
            here, there = context.Pipe()
            process = context.Process(target=read_all, args=(dataset, there))
            process.start()
            own, shared = here.recv()
            process.join()
        rows.append(f"| {count:,} images, {7 * count:,} boxes | {own / 1e6:,.1f} | {shared / 1e6:,.1f} |")
    return rows


def made_up(count: int) -> dict[str, Any]:
    """An annotation file of so many images, seven boxes each."""
    images = [{"id": n, "file_name": f"{n:012d}.jpg", "width": 640, "height": 480} for n in range(count)]
    boxes = [
        {"id": 7 * n + k, "image_id": n, "category_id": 1, "bbox": [10 * k, 10, 50, 60], "area": 3000, "iscrowd": 0}
        for n in range(count)
        for k in range(7)
    ]
    return {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cell"}]}


def read_all(dataset: Any, pipe: Any) -> None:
    """Send (bytes that are this process's alone, bytes of files that it maps), after every record was read."""
    for place in range(len(dataset)):
        dataset.get_data_info(place)
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
    pipe.send((sizes["Anonymous"], sizes["Rss"] - sizes["Anonymous"]))


def spread(values: list[float], digits: int) -> str:
    """The median, and the quartiles in brackets."""
    low, _, high = quantiles(values, n=4, method="inclusive")
    return f"{median(values):,.{digits}f} [{low:,.{digits}f}, {high:,.{digits}f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a COCO set: annotations/train.json and images/")
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter with mmcv-lite 2.1.0 and mmengine")
    parser.add_argument("--keep", action="store_true", help="let mmcv's process keep freed memory too")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--scale", type=int, nargs=2, default=(1333, 800), metavar=("W", "H"))
    parser.add_argument("--json", metavar="FILE", help="write the times of every round too")
    args = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    import cv2

    cv2.setNumThreads(1)
    rows, scale = records(args.folder.resolve()), (args.scale[0], args.scale[1])
    peer = None if args.peer is None else Peer(args.peer, rows, scale, args.keep)
    ways = {"decode": decoding(rows), "hand": by_hand(rows, scale), "fkit": ours(rows, scale)}
    found = rounds(ways, peer, args.seconds)
    print("\n".join(table(found)))
    print("\n" + "\n".join(worker_memory((1_000, 20_000))))
    if args.json:
        Path(args.json).write_text(json.dumps(found))


if __name__ == "__main__":
    sys.exit(main())
