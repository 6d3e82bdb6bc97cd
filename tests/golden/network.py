"""Recorded networks: what a book holds of one, its weights by rule, its pictures as tensors, its program on either backend."""

import importlib.util
import inspect
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fkit
from fkit.array.room import open as open_room
from fkit.catalog.build import maker_of
from fkit.data.collate import Collate
from fkit.detection.sampler import RandomSampler
from fkit.structures.coco import rle_to_bitmap
from fkit.training.optimizer import Optimizer
from fkit.training.program import Program
from fkit.training.spec import Spec
from tests.golden.decoding import untagged

HERE = Path(__file__).parent
# the README of the books: in float32 several times the distance of the reference to itself
TIMES = 5.0
LR = 1024.0
_LAST = 1 << 22
RATES = (
    "drop_path_rate", "drop_rate", "attn_drop_rate", "dropout_ratio", "dropout_rate",
    "dropout", "ffn_drop", "drop_prob", "attn_drop", "proj_drop",
)  # fmt: skip


class Book(NamedTuple):
    """One recorded network.

    Attributes:
        cfg: its model, as a config has it.
        scope: the package whose names the config uses.
        facts, arrays: its json and npz.
        pictures: those of inputs.npz that it names.
    """

    name: str
    cfg: Mapping[str, Any]
    scope: str
    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]
    pictures: dict[str, np.ndarray]

    @property
    def kind(self) -> str:
        """ "det", "seg", "pose" or "cls": by what is recorded of a test picture."""
        first = self.facts["test"][0]
        marks = (("n_detections", "det"), ("label_counts", "seg"), ("bbox_xyxy", "pose"), ("pred_label", "cls"))
        return next(kind for mark, kind in marks if mark in first)

    def tolerance(self, group: str) -> float:
        """Several times the greatest distance between runs of the reference."""
        return TIMES * max(found["max_rel"].get(group, 0.0) for found in self.facts["tolerance"].values())

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of images that the network takes: a classifier may take those of one size alone."""
        high, wide = (
            self.facts.get("test_tensor", {"shape": (224, 224)})["shape"][-2:] if self.kind == "cls" else (224, 224)
        )
        return high, wide

    @property
    def parts(self) -> tuple[str, ...]:
        """The recorded training steps."""
        return tuple(part for part in ("train", "train_given") if part in self.facts)


def names(folder: Path) -> list[str]:
    """The networks of a folder, by the table of their configs."""
    table = folder / "configs.json"
    known = json.loads(table.read_text(encoding="utf-8")) if table.exists() else {}
    return [name for name in known if (folder / f"{name}.json").exists()]


def read(folder: Path, name: str) -> Book:
    """One network of a folder."""
    entry = json.loads((folder / "configs.json").read_text(encoding="utf-8"))[name]
    with np.load(folder / f"{name}.npz") as stored, np.load(folder / "inputs.npz") as inputs:
        facts = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        wanted = {one["key"] for one in (*facts["test"], *facts["train"]["images"])}
        arrays = {key: stored[key] for key in stored.files}
        pictures = {key: inputs[key] for key in wanted}
    scope = str(entry["config"]).partition(":")[0]
    return Book(name, untagged(entry["model"]), scope, facts, arrays, pictures)


@cache
def rule() -> Any:
    """The module of the rule by which weights are drawn."""
    spec = importlib.util.spec_from_file_location("weights", HERE / "weights.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def weights_of(book: Book) -> dict[str, np.ndarray]:
    """The network's weights, drawn by the rule; entries that keep their own values are not among them."""
    entries, kept = book.facts["state_dict"].items(), book.facts.get("kept", ())
    made = rule().make_all({name: tuple(shape) for name, (_, shape) in entries if name not in kept})
    assert rule().digest(made) == book.facts["weights_sha256"]
    return made


def preprocessor(book: Book) -> Mapping[str, Any]:
    """The config's own, else mmpretrain's."""
    default = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "bgr_to_rgb": True}
    mine = dict(book.cfg.get("data_preprocessor", {}))
    if "to_rgb" in mine:  # mmpretrain's word for it
        mine["bgr_to_rgb"] = mine.pop("to_rgb")
    return {**default, **mine}


def tensor(book: Book, records: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Pictures normalised in float32 and padded with zeros to one size; (N, 3, H, W)."""
    cfg = preprocessor(book)
    mean, std = np.float32(cfg["mean"]), np.float32(cfg["std"])
    images: list[np.ndarray] = []
    for one in records:
        picture = book.pictures[one["key"]]
        if "crop_yxhw" in one:
            y, x, height, width = one["crop_yxhw"]
            picture = picture[y : y + height, x : x + width]
        picture = picture[..., ::-1] if cfg.get("bgr_to_rgb") else picture
        images.append(((picture.astype(np.float32) - mean) / std).transpose(2, 0, 1))
    divisor = cfg.get("pad_size_divisor", 1)
    size = [max(-(-image.shape[axis] // divisor) * divisor for image in images) for axis in (1, 2)]
    if book.kind == "seg" and "crop_yxhw" in records[0]:  # pictures of a training step: to the config's size, cut down
        size = book.facts["train"]["tensor_shape"][-2:]
    padded = [np.pad(image, ((0, 0), *((0, size[at] - image.shape[at + 1]) for at in (0, 1)))) for image in images]
    return np.ascontiguousarray(np.stack(padded))


def shapes(book: Book, records: Sequence[Mapping[str, Any]], scaled: bool) -> dict[str, np.ndarray]:
    """What a batch of pictures says of their sizes."""
    divisor = preprocessor(book).get("pad_size_divisor", 1)
    sizes = np.array([one["img_shape"] for one in records])
    targets = {"img_shape": sizes, "input_shape": sizes, "pad_shape": -(-sizes // divisor) * divisor}
    if scaled:
        targets["scale_factor"] = np.array([one["scale_factor"] for one in records], np.float32)
        targets["ori_shape"] = np.array([one["ori_shape"] for one in records])
    return targets


def masks(records: list[dict[str, Any]], most: int, size: list[int], padded: bool) -> np.ndarray:
    """(N, M, H, W) of the training pictures' objects, padded as the pictures are, as the config says."""
    join = Collate(pad=True, size=size, mask_pad_value=0.0 if padded else None, bucket=most)
    found = [np.stack([rle_to_bitmap(run) for run in one["gt_masks_rle"]]).astype(np.uint8) for one in records]
    samples = [{"inputs": rows[:1], "targets": {"gt_instances": {"masks": rows}}} for rows in found]
    return join(samples).targets["gt_instances"]["masks"]


def host(backend: str, tree: Any) -> Any:
    """Arrays of a backend, at any depth of mappings and sequences, as numpy's."""
    if hasattr(tree, "items"):
        return {key: host(backend, value) for key, value in tree.items()}
    if isinstance(tree, (tuple, list)):
        return [host(backend, value) for value in tree]
    return None if tree is None else open_room(backend).numpy(tree)


def label_maps(book: Book) -> np.ndarray:
    """The classes of the training pictures' pixels, padded as mmseg pads them; (N, H, W)."""
    size = book.facts["train"]["tensor_shape"][-2:]
    out = np.full((len(book.facts["train"]["images"]), *size), 255, np.int64)
    for i in range(len(out)):
        one = book.arrays[f"train/gt{i}"]
        out[i, : one.shape[0], : one.shape[1]] = one
    return out


def given(book: Book, part: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The proposals that a step or a test is given, padded to one number: targets and valid; none where a network makes them."""
    stem = f"{part}/proposals" if part == "train_given" else f"{part}/given"
    pattern = re.compile(re.escape(stem) + r"\d+")
    found = [book.arrays[key] for key in sorted(filter(pattern.fullmatch, book.arrays))]
    if not found:
        return {}, {}
    most = max(map(len, found))
    boxes = np.stack([np.pad(one, ((0, most - len(one)), (0, 0))) for one in found])
    return {"proposals": {"bboxes": boxes}}, {"proposals": np.stack([np.arange(most) < len(one) for one in found])}


class _Draw(NamedTuple):
    """A recorded permutation: of which call of which sampler."""

    sampler: int
    image: int
    kind: str
    ranks: np.ndarray


def draws(book: Book, part: str) -> list[_Draw]:
    """The permutations of a training step, by the sampler that drew them: the RPN's is 0, then those of the RoI heads.

    Calls of assigners stand in their order: all images for the first sampler, all for the second, ...
    """
    facts, count = book.facts[part], len(book.facts["train"]["images"])
    entries = list(enumerate(facts["randperm"]))
    out: list[_Draw] = []
    for call, assigned in enumerate(facts["assign"]):
        for kind in ("pos", "neg"):
            extra = assigned["gts"] if kind == "pos" else 0
            if not entries:
                return out
            at, entry = entries[0]
            if f"sample_{kind}" in entry["by"] and entry["n"] in (assigned[kind], assigned[kind] + extra):
                out.append(_Draw(call // count, call % count, kind, book.arrays[f"{part}/randperm{at}"]))
                entries.pop(0)
    assert not entries, f"{part}: {len(entries)} permutations belong to no call"
    return out


def recorded_sampler(found: Sequence[_Draw], images: int, dense: bool) -> Callable[..., Any]:
    """A maker of samplers that choose as the recorded permutations say.

    Args:
        dense: whether the network has a dense head with a sampler before those of its RoI heads.
    """
    serial = itertools.count(1 if dense else 0)

    def maker(**kwargs: Any) -> Recorded:
        number = 0 if dense and not kwargs.get("add_gt_as_proposals", True) else next(serial)
        tables: list[tuple[str, np.ndarray]] = []
        for kind in ("pos", "neg"):
            mine = {one.image: one.ranks for one in found if one.sampler == number and one.kind == kind}
            size = max((len(ranks) for ranks in mine.values()), default=0)
            size = max([size, *(int(ranks.max()) + 1 for ranks in mine.values() if len(ranks))])
            table = np.full((images, size + 1), _LAST, np.int64)
            for image, ranks in mine.items():
                table[image, ranks] = np.arange(len(ranks))
            tables.append((kind, table))
        return Recorded(**kwargs, tables=Tables(tuple(tables)))

    return maker


class Tables:
    """Priorities by kind: (images, candidates + 1); compared by identity, so that a sampler of them can be hashed."""

    def __init__(self, tables: tuple[tuple[str, np.ndarray], ...]) -> None:
        self.tables = tables

    def of(self, kind: str) -> np.ndarray:
        return next(table for name, table in self.tables if name == kind)


@dataclass(frozen=True)
class Recorded(RandomSampler):
    """A `RandomSampler` whose priorities are recorded: candidate number r of an image has the place of r in its permutation."""

    tables: Tables | None = None

    def draw(self, xp: Any, key: Any, image: Any, candidates: Any, kind: str) -> Any:
        assert self.tables is not None
        table = xp.asarray(self.tables.of(kind), "float32")
        number = xp.lib.clip(xp.lib.cumsum(xp.cast(candidates, "int64"), axis=0) - 1, 0, table.shape[1] - 1)
        row = table[image] if isinstance(image, int) else xp.take(table, xp.cast(image, "int64").reshape((1,)))[0]
        return xp.take(row, number)


def program(
    cfg: Any,
    backend: str,
    dtype: str,
    scope: str | None = None,
    sampler: Any = None,
    registry: Any = None,
    size: tuple[int, int] = (224, 224),
) -> Program:
    """A model's program; plain SGD, whose step shows the gradient."""
    registry = fkit.registry() if registry is None else registry
    if sampler is not None:
        registry = registry.register("task_utils", sampler, name="RandomSampler", scope=scope or "mmdet")
    cfg = {key: value for key, value in cfg.items() if key != "data_preprocessor"}
    spec = Spec(
        lambda name: fkit.build(cfg, registry, "models", backend=name, scope=scope),
        {"main": Optimizer.of("SGD", {"lr": LR})},
        dtype=dtype,
        device="cpu",
        example=lambda: np.zeros((1, 3, *size), np.float32),
    )
    return open_room(backend).program(spec)


def without_weights(cfg: Any) -> Any:
    """A model's config without where its weights come from: here they come by rule."""
    if isinstance(cfg, Mapping):
        strings = {key for key in ("init_cfg", "pretrained") if isinstance(cfg.get(key), (Mapping, str))}
        return {key: None if key in strings else without_weights(value) for key, value in cfg.items()}
    return type(cfg)(without_weights(item) for item in cfg) if isinstance(cfg, (list, tuple)) else cfg


def without_rates(cfg: Any, backend: str, scope: str) -> Any:
    """A model's config in which nothing is dropped, as the recorded training steps have it: rates are 0, defaults too."""
    if isinstance(cfg, (list, tuple)):
        return type(cfg)(without_rates(item, backend, scope) for item in cfg)
    if not isinstance(cfg, Mapping):
        return cfg
    plain = {key: 0.0 if key in RATES else without_rates(value, backend, scope) for key, value in cfg.items()}
    for key in ("self_attn_cfg", "cross_attn_cfg"):  # of a layer, without a type: a detector of queries knows it
        if isinstance(plain.get(key), Mapping) and "type" not in plain[key]:
            rates = ("attn_drop", "proj_drop") if "cross_attn" in plain[key] else ("dropout",)
            plain[key] = {**dict.fromkeys(rates, 0.0), **plain[key]}
    if not isinstance(cfg.get("type"), str) or not {"depths", "num_layers", "arch", "num_classes"} & cfg.keys():
        return plain
    takes = taken(maker_of(cfg, fkit.registry(), "models", backend=backend, scope=scope))
    return {**{rate: 0.0 for rate in RATES if rate in takes}, **plain}


def taken(maker: Any) -> set[str]:
    """The arguments of a maker; of a class that hands others on, those of the classes that it inherits from too."""
    parameters = inspect.signature(maker).parameters
    more = isinstance(maker, type) and any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return {*parameters, *(name for base in (maker.__bases__ if more else ()) for name in taken(base))}


def sampled(array: np.ndarray, k: int) -> np.ndarray:
    """What a book keeps of an array."""
    return array.reshape(-1)[:: max(array.size // k, 1)][:k]


def near(found: Any, want: Any, tolerance: float, what: str, floor: float = 0.0) -> None:
    """Within a distance relative to the greatest magnitude, or within ``floor``."""
    found, want = np.asarray(found, np.float64), np.asarray(want, np.float64)
    assert found.shape == want.shape, f"{what}: {found.shape} in the place of {want.shape}"
    most = float(np.max(np.abs(want), initial=0.0))
    distance, most = float(np.max(np.abs(found - want), initial=0.0)), most or 1.0
    assert distance <= max(tolerance * most, floor), f"{what}: {distance / most:.3g} > {tolerance:.3g}"
