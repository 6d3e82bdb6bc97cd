"""``fkit infer CONFIG CHECKPOINT IMAGE...``: predict on images and videos, and write them annotated."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.array.room import open as open_room
from fkit.cli.command import add_command, number, whole
from fkit.cli.option import add_config, add_place, add_weights
from fkit.cli.reach import open_registry, read_config
from fkit.data.loader import Loader
from fkit.data.path import image_paths
from fkit.edge.film import VIDEOS, is_video
from fkit.edge.gallery import ROWS, Gallery, picture_name
from fkit.edge.repeat import repeat, telling
from fkit.edge.report import Report
from fkit.edge.score import found_at, load_state
from fkit.edge.signal import ending
from fkit.edge.target import file_target, folder_target, kept
from fkit.edge.thread import chosen, threads
from fkit.recipe.inference import Pictures, open_pictures
from fkit.recipe.label import Names, class_names, skeleton_of
from fkit.recipe.settings import Settings, read
from fkit.recipe.source import registry_of
from fkit.run.inference import Prediction, predict_images
from fkit.run.plan import served
from fkit.tree.error import FkitOSError, FkitValueError
from fkit.tree.place import is_url, not_there, refuse_url
from fkit.visualize.pose import PoseLocalVisualizer

__all__ = ["add"]

_BATCH, _SIDE = 32, 64  # images at once; pixels of a blank one
_ABOUT = (
    "Predict on images and videos with the config's test pipeline, and write each with what was predicted. Exit code: 0 when all were "
    "predicted, 1 when some could not be (each is said, and has its row), 2 when none could."
)
_IMAGES = (
    "a file, an image or a video (.mp4, .avi, .webm, ...); a folder, for those in it; a pattern in quotes ('photos/**/*.png': ** "
    "stands for folders below), for those that match; or a URL of an image. Numbers in names are sorted by their size"
)
_OUT = (
    f"where the pictures and videos go, and {ROWS}, an object a line: image, label, score and picture, or image and error; of a "
    "detector coco.json too, with boxes, scores and masks in COCO's format (default: vis). Nothing is written over: of a taken name the picture gets a number (3_2.png), and rows are added"
)

_LEAST = (
    "call what scores less 'unsure', and leave out objects that score less (default: 0; objects in pictures and rows from 0.3 on, "
    "in coco.json all)"
)


def add(commands: Any) -> None:
    """Add the command to the command line."""
    command = add_command(
        commands,
        "infer",
        _ABOUT,
        [
            "fkit infer configs/digits/convnet.py work_dirs/convnet a.png photos",
            "fkit infer configs/digits/convnet.py work_dirs/convnet --list names.txt",
            ("fkit infer mask_rcnn.py mask_rcnn.pth street.mp4 --out found", "boxes and masks in a video"),
        ],
    )
    add_config(command)
    command.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="a step_... folder, `latest`, or a work folder; a .pth or .safetensors, or an address",
    )
    images = command.add_argument("images", metavar="IMAGE", nargs="+", default=[], help=_IMAGES)
    images.required = False  # --list may name them all; nargs="*" would let no option stand before the first
    command.add_argument("--list", metavar="FILE", help="a file with an IMAGE a line, or `-` (standard input)")
    command.add_argument("--out", metavar="DIR", default="vis", help=_OUT)
    command.add_argument("--score-thr", type=number, metavar="X", help=_LEAST)
    command.add_argument(
        "--batch-size",
        type=whole,
        metavar="N",
        help=f"images at once (default: the test dataloader's, {_BATCH} at most)",
    )
    add_place(command)
    add_weights(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    refuse = arguments.parser.refuse
    if not arguments.images and arguments.list is None:
        refuse("`fkit infer` needs IMAGE, or --list FILE.")
    if not 0 <= (arguments.score_thr or 0.0) <= 1:
        refuse(f"--score-thr {arguments.score_thr}: a score is from 0 to 1.")
    if arguments.batch_size is not None and arguments.batch_size < 1:
        refuse(f"--batch-size {arguments.batch_size}: at least 1.")
    named = image_paths([*arguments.images, *_listed(arguments.list)], VIDEOS)
    paths, videos = [path for path in named if not is_video(path)], [path for path in named if is_video(path)]
    gallery = Gallery(_target(arguments, named))
    cfg = read_config(arguments)
    settings = read(cfg)
    reg = registry_of(settings, open_registry(arguments))
    pictures = open_pictures(settings, reg, paths)
    repeat(settings)
    count = threads(settings)
    program = served(cfg, reg)
    found = found_at(arguments.checkpoint, program, reg)
    state, words = load_state(program, found, arguments.weights)
    size = arguments.batch_size or _size(settings)
    looked = pictures if paths else pictures.of([np.zeros((_SIDE, _SIDE, 3), np.uint8)])
    chosen(count, program, state, Loader(looked, batch_size=size))
    names = class_names(settings, reg, found.meta.get("data"))
    room = open_room(program.backend)

    def predict(frames: Sequence[NDArray[np.uint8]]) -> Iterator[Prediction]:
        return predict_images(program, room, state, pictures.of(frames), size)

    points = skeleton_of(settings, reg)
    board = PoseLocalVisualizer(dataset_meta=points) if points else None
    with ending(), Report(gallery, paths, str(found.folder), len(videos), arguments.score_thr, board) as report:
        for note in (*_notes(pictures, names, bool(points)), *((words,) if words else ())):
            report.screen.say(note)
        with telling(room):
            for one in predict_images(program, room, state, pictures, size):
                report.take(one, names)
            for video in videos:
                report.film(video, predict, names, size)
    return report.end()


def _size(settings: Settings) -> int:
    """How many images are predicted at once where nobody says it: a detector's dataloader takes one, for its images are large."""
    loader = settings.loaders.get("test", settings.loaders.get("val"))
    said: Any = None if loader is None else loader.node.get("batch_size")
    return min(said, _BATCH) if isinstance(said, int) else _BATCH


def _listed(file: str | None) -> list[str]:
    """The lines of a list of images."""
    if file is None:
        return []
    refuse_url(file, "a list of images")
    stdin: Any = sys.stdin
    if file == "-" and stdin is None:
        raise FkitOSError("--list -: standard input is closed.")
    try:
        data = stdin.buffer.read() if file == "-" else Path(os.path.expanduser(file)).read_bytes()
    except FileNotFoundError as cause:
        raise not_there(file, f"--list {file}: is not there") from cause
    except OSError as cause:
        raise FkitOSError(f"--list {file}: cannot be read: {cause.strerror}.") from cause
    lines = [os.fsdecode(line.rstrip(b"\r")) for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    words = [line for line in lines if line.strip()]
    if not words:
        raise FkitValueError(f"--list {file}: names no image.", repair="Put an image on each line.")
    if any("\0" in word for word in words):
        raise FkitValueError(f"--list {file}: is no list of names: it holds zero bytes.")
    return words


def _target(arguments: argparse.Namespace, paths: Sequence[str]) -> Path:
    """The folder of the results, where none of them would be written onto what is read."""
    out = folder_target(arguments.out, "--out")
    if out.is_dir():
        inputs = [*(path for path in paths if not is_url(path)), arguments.config]
        inputs += [os.path.expanduser(arguments.list)] if arguments.list not in (None, "-") else []
        written = (out / picture_name(path, ending=".mp4" if is_video(path) else ".png") for path in paths)
        kept(written, inputs, f"--out {arguments.out}")
        file_target(out / ROWS, "--out", inputs)
    return out


def _notes(pictures: Pictures, names: Names, posed: bool) -> Iterator[str]:
    """What a person should know of how the images are read; of poses nobody asks for classes."""
    if not pictures.path.startswith("test_"):
        yield f"test_dataloader says no pipeline: images are read by {pictures.path}"
    for step in pictures.skipped:
        yield f"left out {step}: it loads targets, which images alone have not"
    if names.learned:
        yield (
            f"classes are named by {names.source}; the checkpoint was trained on others "
            f"({', '.join(names.learned[:5])}{', ...' if len(names.learned) > 5 else ''})"
        )
    if not names.classes and not posed:
        yield "nothing names the classes, so numbers stand for them (test_dataloader.dataset.metainfo.classes=[...] does)"
