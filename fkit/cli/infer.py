"""``fkit infer CONFIG CHECKPOINT IMAGE...``: predict on images, and write them annotated."""

import argparse
import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fkit
from fkit.array.room import open as open_room
from fkit.catalog.build import maker_of
from fkit.cli.command import add_command
from fkit.cli.option import add_config, add_place
from fkit.cli.reach import open_registry, read_config
from fkit.cli.test import load_state
from fkit.config.schema import PART, check, listed
from fkit.data.dataset import ImageFiles
from fkit.data.sampler import DefaultSampler
from fkit.data.source import Loader
from fkit.edge.repeat import repeat, telling
from fkit.edge.thread import chosen, threads
from fkit.format.json import finite, write_json
from fkit.image import imread
from fkit.recipe.settings import Part, Settings, read
from fkit.recipe.source import build_part, registry_of
from fkit.tree.error import FkitError, FkitKeyError, FkitOSError, FkitValueError
from fkit.tree.path import parse
from fkit.tree.write import atomic_write
from fkit.visualize.visualizer import draw_label

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the command line."""
    command = add_command(
        commands,
        "infer",
        "Predict on images with the config's test pipeline, and write each with what was predicted.",
        ["fkit infer configs/digits/convnet.py work_dirs/convnet a.png b.png --out vis"],
    )
    add_config(command)
    command.add_argument("checkpoint", metavar="CHECKPOINT", help="a step_... folder, `latest`, or a work folder")
    command.add_argument("images", metavar="IMAGE", nargs="+", help="image files")
    command.add_argument("--out", metavar="DIR", default="vis", help="where the pictures go (default: vis)")
    command.add_argument("--score-thr", type=float, default=0.0, metavar="X", help="call what scores less 'unsure'")
    add_place(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    cfg = read_config(arguments)
    settings = read(cfg)
    reg = registry_of(settings, open_registry(arguments))
    source = _source(settings, reg, arguments.images)
    repeat(settings)
    count = threads(settings)
    program = fkit.program(cfg, reg)
    state = load_state(program, arguments.checkpoint)
    chosen(count, program, state, source)
    room, classes = open_room(program.backend), _classes(settings, reg)
    out = Path(os.path.expanduser(arguments.out))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise FkitOSError(f"--out {out}: no folder can be made there: {cause.strerror}.") from cause
    predictions: list[dict[str, Any]] = []
    for batch in source.batches(0, 0):
        with telling(room):
            predicted: Any = room.host(program.predict(state, batch))
        if not isinstance(predicted, Mapping) or "pred_score" not in predicted:
            raise FkitError("infer draws predictions of classifiers (pred_label, pred_score); this model gives others.")
        for scores, meta in zip(predicted["pred_score"], batch.meta, strict=True):
            path = Path(str(meta["img_path"]))
            order = scores.argsort()[::-1]
            named = [(classes[i] if i < len(classes) else str(int(i)), float(scores[i])) for i in order[:3]]
            label, score = named[0]
            word = label if score >= arguments.score_thr else "unsure"
            image = draw_label(imread(path, channel_order="rgb"), word, score, others=named[1:])
            place = _place(out, path, predictions)
            atomic_write(place, _png(image))
            predictions.append({"image": str(path), "label": word, "score": score, "picture": str(place)})
            sys.stdout.write(f"{path}: {word} {score:.4f} -> {place}\n")
    atomic_write(out / "predictions.json", (write_json(finite(predictions), indent=1) + "\n").encode())
    return 0


def _source(settings: Settings, reg: Any, images: list[str]) -> Any:
    """The images as batches, through the config's test pipeline."""
    dataset = next((part for part in _datasets(settings) if part.node.get("pipeline") is not None), None)
    if dataset is None:
        raise FkitKeyError("infer needs test_dataloader.dataset.pipeline, which says how an image becomes an input.")
    path, pipeline = f"{dataset.path}.pipeline", dataset.node["pipeline"]
    check(pipeline, listed(PART, "a list of mappings with 'type'"), parse(path), settings.tree)
    if not any(step.get("type") == "LoadImageFromFile" for step in pipeline):
        raise FkitValueError(f"{path}: has no LoadImageFromFile, so it reads no image files.", path=path)
    steps = [build_part(Part(f"{path}[{i}]", step), settings, reg, "transforms") for i, step in enumerate(pipeline)]
    return Loader(ImageFiles(images, steps), batch_size=1, sampler=DefaultSampler(shuffle=False))


def _datasets(settings: Settings) -> list[Part]:
    """The configs of the data that are not for training, test's first."""
    loaders = [settings.loaders[part] for part in ("test", "val") if part in settings.loaders]
    parts = [Part(f"{loader.path}.dataset", loader.node["dataset"]) for loader in loaders]
    return [part for part in parts if isinstance(part.node, Mapping)]


def _classes(settings: Settings, reg: Any) -> tuple[str, ...]:
    """The names of the classes: the config's, else those of its dataset's class."""
    dataset = _datasets(settings)[0]
    classes = dataset.node.get("metainfo.classes")
    if classes is not None:
        return tuple(str(name) for name in classes)
    maker = maker_of(dataset.node, reg, "datasets", scope=settings.default_scope, path=dataset.path)
    known = getattr(maker, "metainfo", None) or getattr(maker, "METAINFO", None) or {}
    return tuple(str(name) for name in known.get("classes", ()))


def _place(out: Path, path: Path, predictions: list[dict[str, Any]]) -> Path:
    """Where the picture of ``path`` goes; images of one name in several folders do not overwrite each other."""
    taken = {row["picture"] for row in predictions}
    place, number = out / f"{path.stem}.png", 2
    while str(place) in taken:
        place, number = out / f"{path.stem}_{number}.png", number + 1
    return place


def _png(image: Any) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
