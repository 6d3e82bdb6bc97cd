"""Recorded networks: weights by rule, pictures, outputs, predictions, training steps; on every backend, in float32 and float64.

Every network of DIR/models is tried by the model config in its ``configs.json``. What the books hold of each kind (detectors,
segmentors, classifiers) decides which tests it has; the tests of pose estimators' parts and keypoints are in test_pose_models.py.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fkit
from fkit.array.room import open as open_room
from fkit.structures.apart import data_samples
from fkit.structures.coco import rle_to_bitmap
from fkit.structures.content import is_array
from tests.golden.conftest import books_folder
from tests.golden.looking import Looking, LookingFlax, Matching, MatchingFlax
from tests.golden.network import (
    LR,
    Book,
    draws,
    given,
    host,
    label_maps,
    masks,
    names,
    near,
    preprocessor,
    program,
    read,
    recorded_sampler,
    sampled,
    shapes,
    tensor,
    weights_of,
    without_rates,
    without_weights,
)
from tests.golden.person import persons

BACKENDS = ("torch", "jax")
# float64: most hold to 1e-9 and better. What does not is rounded to float32 on one side: losses of an RPN are recorded as
# float32 numbers (5e-8), and box targets, which mmdet rounds, were kept wide where a dense head was recorded (FreeAnchor: 6e-7)
TIGHT_LOSS, TIGHT_GRADIENT = 1e-6, 1e-6
# what is nothing but rounding (a bias before a softmax has no gradient), as a part of the whole gradient; the least recorded
# gradient that is one is 1.5e-7 of it
ROUNDING = {"float64": 1e-12, "float32": 1e-8}
SCORE, PIXEL = 1e-3, 0.5  # of a detection, in float32
PIXELS = 0.01  # per cent of pixels, a few, whose two best classes are nearly equal
LEAST = -80.0  # log of a score that float32 still tells from 0
FLOAT32 = 3e-5  # of a loss: XLA's convolutions add in another order than any of the reference's runs


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "book" not in metafunc.fixturenames:
        return
    folder = books_folder(metafunc.config) / "models"
    found = names(folder)
    marks = pytest.mark.skip(reason=f"no networks in {folder}")
    params: list[Any] = [*found] if found else [pytest.param("none", marks=marks)]
    metafunc.parametrize("book", params, indirect=True, scope="module")


@pytest.fixture(scope="module")
def book(request: pytest.FixtureRequest) -> Book:
    one = read(books_folder(request.config) / "models", request.param)
    return one


@pytest.fixture(scope="module")
def weights(book: Book) -> dict[str, np.ndarray]:
    return weights_of(book)


def only(book: Book, kind: str) -> None:
    if book.kind != kind:
        pytest.skip(f"a network of kind {book.kind!r}")


@pytest.mark.parametrize("backend", BACKENDS)
def test_entries_are_the_reference_s(book: Book, backend: str) -> None:
    inventory = program(without_weights(book.cfg), backend, "float32", book.scope, size=book.size).inventory
    found = {entry.name: [entry.dtype, list(entry.shape)] for entry in inventory.entries}
    others = dict(inventory.aliases)
    assert found | {name: found[first] for name, first in others.items()} == book.facts["state_dict"]
    assert list(found) == [name for name in book.facts["state_dict"] if name not in others] or backend == "jax"


def loaded(made: Any, book: Book, weights: dict[str, np.ndarray]) -> Any:
    """The state with the rule's weights; what the rule gives nothing for keeps its own values, which are the reference's."""
    blank = made.init(0)
    own = made.collect(blank) if book.facts.get("kept") else {}
    kept = {name: own[f"buffers/{name}"] for name in book.facts.get("kept", ())}
    for name, values in kept.items():
        want = book.facts["kept_sha256"][name]
        told = values.astype(book.facts["state_dict"][name][0])
        assert hashlib.sha256(np.ascontiguousarray(told).tobytes()).hexdigest() == want, name
    return made.load(blank, {**weights, **kept})


def flat(name: str, value: Any) -> Any:
    if value is None:
        return
    if isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from flat(f"{name}.{i}", item)
    else:
        yield name, value


@pytest.mark.parametrize("backend", BACKENDS)
def test_outputs_of_parts(book: Book, weights: dict[str, np.ndarray], backend: str) -> None:
    only(book, "det")
    first = book.facts["test"][:1]
    images = tensor(book, first)
    assert hashlib.sha256(images.tobytes()).hexdigest() == first[0]["tensor_sha256"]
    targets = shapes(book, first, scaled=True)
    rois = {
        key.removeprefix("test0/rois."): array
        for key, array in book.arrays.items()
        if key.startswith("test0/rois.") and key.partition(".")[2].partition(".")[2] in ("", "0")
    }
    for key, boxes in rois.items() or {"": None}.items():
        more = {} if boxes is None else {"proposals": {"bboxes": boxes[None, :, 1:].astype(np.float32)}}
        valid = {} if boxes is None else {"proposals": np.ones((1, len(boxes)), bool)}
        found = raw(book, weights, backend, {**targets, **more}, valid, images)
        seen = 0
        for name, value in found.items():
            for path, array in flat(f"test0/{name}", value):
                if path in book.arrays and (not name.startswith("roi") or wanted_of(name, key)):
                    group = "test/" + path.removeprefix("test0/").split(".")[0]
                    group = f"test/{name}" if name.startswith("roi.") else group
                    assert list(array.shape) == book.facts["stats"][path]["shape"], path
                    near(sampled(array, 256), book.arrays[path], book.tolerance(group), path)
                    seen += 1
        wanted = [name for name in ("backbone.0", "neck.0") if f"test0/{name}" in book.arrays]
        assert seen >= len(wanted) + 1, sorted(found)


@pytest.mark.parametrize("backend", BACKENDS)
def test_outputs_of_heads(book: Book, weights: dict[str, np.ndarray], backend: str) -> None:
    only(book, "seg")
    first = book.facts["test"][0]
    images = tensor(book, [first])
    assert hashlib.sha256(images.tobytes()).hexdigest() == first["tensor_sha256"]
    found = raw(book, weights, backend, {}, {}, images)
    seen: set[str] = set()
    for name, value in found.items():
        for path, array in flat(last_call(book, name), value):
            if path in book.arrays:
                assert list(array.shape) == book.facts["stats"][path]["shape"], path
                near(sampled(array, 256), book.arrays[path], book.tolerance(f"test/{name}"), path)
                seen.add(name)
    assert seen >= {"backbone", "decode_head"}, sorted(found)


def last_call(book: Book, name: str) -> str:
    """A part's name in the book with the number of its last call, which has the whole picture where a segmentor slides."""
    numbers = [int(key.split("@")[1].split(".")[0]) for key in book.arrays if key.startswith(f"test0/{name}@")]
    return f"test0/{name}@{max(numbers)}" if numbers else f"test0/{name}"


@pytest.mark.parametrize("backend", BACKENDS)
def test_label_maps(book: Book, weights: dict[str, np.ndarray], backend: str) -> None:
    only(book, "seg")
    made = program(without_weights(book.cfg), backend, "float32", book.scope)
    state = loaded(made, book, weights)
    for at, one in enumerate(book.facts["test"]):
        batch = fkit.Batch(tensor(book, [one]), meta=({"ori_shape": tuple(one["ori_shape"])},))
        sample = data_samples(batch, host(backend, made.predict(state, batch)))[0]
        logits, labels = sample.seg_logits.data, np.asarray(sample.pred_sem_seg.data).squeeze()
        near(sampled(logits, 256), book.arrays[f"test{at}/seg_logits"], book.tolerance("test/seg_logits"), "seg_logits")
        wanted = book.arrays[f"test{at}/label_map_stride2"]
        assert list(labels.shape) == one["label_map_shape"]
        differ = float((labels[::2, ::2] != wanted).mean())
        assert differ <= one["share_of_pixels_with_margin_below_1e_3"] / 10, f"{differ} of the pixels differ"


def raw(
    book: Book, weights: Any, backend: str, targets: Any, valid: Any, images: Any, looks: Any = (Looking, LookingFlax)
) -> Any:
    """The raw outputs of a model's parts, on the host: ``{"backbone": [...], "neck": [...], "rpn_head": ..., ...}``."""
    registry = (
        fkit.registry()
        .register("models", looks[0], name="Looking", backend="torch")
        .register("models", looks[1], name="Looking", backend="jax")
    )
    cfg = {key: value for key, value in without_weights(book.cfg).items() if key != "data_preprocessor"}
    made = program({"type": "Looking", "model": cfg}, backend, "float32", book.scope, registry=registry)
    blank = made.init(0)
    own = made.collect(blank) if book.facts.get("kept") else {}
    kept = {f"model.{name}": own[f"buffers/model.{name}"] for name in book.facts.get("kept", ())}
    state = made.load(blank, {**{f"model.{name}": value for name, value in weights.items()}, **kept})
    return host(backend, made.predict(state, fkit.Batch(images, targets, valid)))


def wanted_of(name: str, extractor: str) -> bool:
    """Whether a RoI branch's output is of the RoIs of this extractor: the mask branch has its own. (What a cascade says is the
    mean of its stages, each on RoIs of its own: detections and losses are the test of it.)"""
    return "." not in extractor and ("mask" in name) == extractor.startswith("mask")


@pytest.mark.parametrize("backend", BACKENDS)
def test_detections(book: Book, weights: dict[str, np.ndarray], backend: str) -> None:
    only(book, "det")
    made = program(without_weights(book.cfg), backend, "float32", book.scope)
    state = loaded(made, book, weights)
    for at, one in enumerate(book.facts["test"]):
        images = tensor(book, [one])
        proposals, valid = given(book, f"test{at}")
        targets = {**shapes(book, [one], scaled=True), **proposals}
        batch = fkit.Batch(images, targets, valid, meta=({"ori_shape": tuple(one["ori_shape"])},))
        sample = data_samples(batch, host(backend, made.predict(state, batch)))[0].pred_instances
        assert len(sample) == one["n_detections"]
        boxes, scores, labels = (book.arrays[f"test{at}/pred.{name}"] for name in ("bboxes", "scores", "labels"))
        pairs = matched(sample, boxes, scores, labels)
        assert len(pairs) >= 0.98 * len(boxes), f"{len(pairs)} of {len(boxes)} detections are there"
        if "masks_rle" in one:
            areas = np.array([np.asarray(mask).sum() for mask in dense(sample.masks)])
            for mine, theirs in pairs:
                assert abs(areas[mine] - one["mask_areas"][theirs]) <= 3 + 0.002 * one["mask_areas"][theirs]


def dense(masks: Any) -> list[Any]:
    """Masks as bitmaps, which may be run lengths."""
    return [mask if is_array(mask) else rle_to_bitmap(mask) for mask in masks]


def matched(sample: Any, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (mine, theirs) of equal label within a score and a distance, each once."""
    free = set(range(len(sample)))
    pairs: list[tuple[int, int]] = []
    mine_boxes, mine_scores, mine_labels = (
        np.asarray(value) for value in (sample.bboxes, sample.scores, sample.labels)
    )
    for at in range(len(boxes)):
        near_ones = [
            i
            for i in free
            if mine_labels[i] == labels[at]
            and abs(float(mine_scores[i]) - float(scores[at])) <= SCORE * max(1.0, float(scores[at]))
            and np.abs(mine_boxes[i] - boxes[at]).max() <= PIXEL
        ]
        if near_ones:
            best = min(near_ones, key=lambda i: float(np.abs(mine_boxes[i] - boxes[at]).max()))
            free.discard(best)
            pairs.append((best, at))
    return pairs


def truth(book: Book) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ground truth of the training pictures, padded to one number of objects: targets and valid."""
    records = book.facts["train"]["images"]
    if book.kind == "cls":
        return {"gt_label": np.array([one["label"] for one in records])}, {}
    if book.kind == "seg":
        return {"gt_sem_seg": label_maps(book)}, {}
    if book.kind == "pose":
        return persons(book)
    counts = [one["n_gt"] for one in records]
    most = max(counts)
    boxes, labels = np.zeros((len(records), most, 4), np.float32), np.zeros((len(records), most), np.int64)
    for i, count in enumerate(counts):
        boxes[i, :count], labels[i, :count] = book.arrays[f"train/gt{i}.bboxes"], book.arrays[f"train/gt{i}.labels"]
    instances: dict[str, Any] = {"bboxes": boxes, "labels": labels}
    if all("gt_masks_rle" in one for one in records):
        padded = preprocessor(book).get("pad_mask", False)
        instances["masks"] = masks(records, most, book.facts["train"]["tensor_shape"][-2:], padded)
    valid = np.arange(most)[None] < np.array(counts)[:, None]
    return {**shapes(book, records, scaled=False), "gt_instances": instances}, {"gt_instances": valid}


def stepped(book: Book, weights: Any, backend: str, dtype: str, part: str) -> tuple[Any, dict[str, Any], Any]:
    """Gradients, losses and the state's arrays after one step of plain SGD."""
    train = book.facts["train"]
    images = tensor(book, train["images"])
    assert hashlib.sha256(images.tobytes()).hexdigest() == train["tensor_sha256"]
    targets, valid = truth(book)
    proposals, chosen = given(book, part)
    targets, valid = {**targets, **proposals}, {**valid, **chosen}
    sampler = None
    if "randperm" in book.facts.get(part, {}):
        stages = book.cfg["roi_head"].get("num_stages", 1) if "roi_head" in book.cfg else 0
        # a dense head without a sampler (FCOS as RPN) assigns nothing, or nothing that is recorded
        dense_first = len(book.facts[part]["assign"]) > stages * len(images)
        sampler = recorded_sampler(draws(book, part), len(images), dense_first)
    cfg = without_rates(without_weights(book.cfg), backend, book.scope)
    made = program(cfg, backend, dtype, book.scope, sampler, size=book.size)
    before = loaded(made, book, weights)
    start = made.collect(before)
    after, logs = made.train_step(before, fkit.Batch(images, targets, valid), made.hyperparams())
    moved = made.collect(after)
    # from the same weights: the gradient is what they moved by, over the learning rate
    gradients = {
        path.removeprefix("params/"): (start[path].astype(np.float64) - moved[path]) / LR
        for path in start
        if path.startswith("params/")
    }
    return gradients, {key: float(open_room(backend).numpy(value)) for key, value in logs.items()}, moved


@pytest.mark.parametrize("part", ["train", "train_given"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_training_step(book: Book, weights: dict[str, np.ndarray], backend: str, dtype: str, part: str) -> None:
    if part not in book.parts:
        pytest.skip(f"{book.name} has no {part}")
    exact = dtype == "float64"
    if part == "train" and "train_given" in book.parts and not exact:
        pytest.skip("in float32 proposals may change places: train_given is the test")
    gradients, logs, moved = stepped(book, weights, backend, dtype, part)
    facts = book.facts["float64"][part] if exact else book.facts[part]
    for name, values in facts["losses"].items():
        want = float(np.sum(values))
        group = max(book.tolerance(f"{part}/losses.{name}"), FLOAT32)
        least = PIXELS if "acc_seg" in name and not exact else 1e-7
        assert logs[name] == pytest.approx(want, rel=TIGHT_LOSS if exact else group, abs=least), name
    loose = max(book.tolerance(f"{part}/grad_samples"), book.tolerance("train/grad_samples"))
    assert logs["loss"] == pytest.approx(facts["loss_sum"], rel=TIGHT_LOSS if exact else max(loose, 1e-5))
    assert sum(bool(np.any(gradient)) for gradient in gradients.values()) <= book.facts[part]["n_params_with_grad"]
    norm = np.sqrt(sum(float((gradient**2).sum()) for gradient in gradients.values()))
    assert norm == pytest.approx(facts["grad_total_norm"], rel=TIGHT_GRADIENT if exact else loose)
    within, floor = TIGHT_GRADIENT if exact else loose, ROUNDING[dtype] * facts["grad_total_norm"]
    for name, want in facts["grad_norms"].items():
        assert np.linalg.norm(gradients[name]) == pytest.approx(want, rel=within, abs=floor), name
        samples = book.arrays[f"float64/{part}/grad/{name}" if exact else f"{part}/grad/{name}"]
        near(sampled(gradients[name], 64), samples, within, f"gradient of {name}", floor)
    tolerance = book.tolerance(f"{part}/bn_after_samples")
    for layer, count in book.facts[part].get("bn_after_tracked", {}).items():
        assert int(moved[f"buffers/{layer}.num_batches_tracked"]) == count
        for kind in ("running_mean", "running_var"):
            found = sampled(moved[f"buffers/{layer}.{kind}"], 256)
            near(found, book.arrays[f"{part}/bn_after/{layer}.{kind}"], tolerance, f"{layer}.{kind}")


@pytest.mark.parametrize("backend", BACKENDS)
def test_predictions_are_matched_as_recorded(book: Book, weights: dict[str, np.ndarray], backend: str) -> None:
    calls = [one for one in book.facts["train"].get("assign", ()) if one["by"] == "HungarianAssigner"]
    if not calls:
        pytest.skip("nothing is matched")
    targets, valid = truth(book)
    images = tensor(book, book.facts["train"]["images"])
    found = raw(book, weights, backend, targets, valid, images, (Matching, MatchingFlax))
    rows = [row for layer in found for row in layer]
    for at, (row, one) in enumerate(zip(rows, calls, strict=False)):
        assert [[query, int(row[query]) - 1] for query in np.flatnonzero(row)] == one["pairs"], at


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_scores_of_classes(book: Book, weights: dict[str, np.ndarray], backend: str, dtype: str) -> None:
    only(book, "cls")
    made = program(without_weights(book.cfg), backend, dtype, book.scope, size=book.size)
    images = tensor(book, book.facts["test"])
    assert hashlib.sha256(images.tobytes()).hexdigest() == book.facts["test_tensor"]["sha256"]
    found = host(backend, made.predict(loaded(made, book, weights), fkit.Batch(images)))
    scores, labels = found["pred_score"], found["pred_label"]
    assert labels.tolist() == [one["pred_label"] for one in book.facts["test"]]
    logits = book.arrays["test/logits"].astype(np.float64)
    moved = logits - logits.max(1, keepdims=True)
    want = moved - np.log(np.exp(moved).sum(1, keepdims=True))
    told = want > LEAST
    near(np.log(scores[told]), want[told], book.tolerance("test/logits"), "log of the scores")
    for i, one in enumerate(book.facts["test"]):
        near(scores[i], book.arrays[f"test{i}/pred.score"], book.tolerance("test/logits") * 10, "scores")
        ranked = min(int((book.arrays[f"test{i}/pred.score"] > 0).sum()), 5)  # which of several 0 is first says nothing
        assert np.argsort(-scores[i], kind="stable")[:ranked].tolist() == one["top5"][:ranked]


@pytest.mark.parametrize("backend", BACKENDS)
def test_stages(book: Book, weights: dict[str, np.ndarray], backend: str) -> None:
    only(book, "cls")
    stages = sorted(key for key in book.arrays if key.startswith("test/backbone.layer"))
    if not stages or "depth" not in book.cfg["backbone"]:
        pytest.skip("no outputs of the stages of a ResNet are recorded")
    backbone = {**book.cfg["backbone"], "out_indices": tuple(range(len(stages)))}
    made = program({"type": "ImageClassifier", "backbone": backbone}, backend, "float32", book.scope)
    state = made.load(made.init(0), {name: weights[name] for name in weights if name.startswith("backbone.")})
    maps = host(backend, made.predict(state, fkit.Batch(tensor(book, book.facts["test"]))))
    assert len(maps) == len(stages)
    for group, found in zip(stages, maps, strict=True):
        stats = book.facts["stats"][group]
        assert list(found.shape) == stats["shape"]
        near(sampled(found, 256), book.arrays[group], book.tolerance(group), group)
        assert found.std(dtype=np.float64) == pytest.approx(stats["std"], rel=1e-5)
    near(sampled(maps[-1].mean((2, 3)), 256), book.arrays["test/neck.0"], book.tolerance("test/neck"), "neck")


def test_the_folder_s_networks_are_all_listed(request: pytest.FixtureRequest) -> None:
    folder: Path = books_folder(request.config) / "models"
    if not folder.exists():
        pytest.skip(f"no networks in {folder}")
    told = {path.stem for path in folder.glob("*.npz")} - {"inputs"}
    assert told == set(names(folder))
