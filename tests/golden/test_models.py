"""Recorded models: weights by rule, pictures, outputs, a training step; on every backend, in float32 and float64."""

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import fkit
import fkit.array.room
from fkit.array.room import open as open_room
from fkit.training.optimizer import Optimizer
from fkit.training.program import Program
from fkit.training.spec import Spec

HERE = Path(__file__).parent
BACKENDS = ("torch", "jax")
MODELS = ("resnet18_8xb32_in1k", "resnet50_8xb32_in1k")
# the README of the books: in float32 several times the distance of the reference to itself; in float64 the reference
# on another processor agreed to 5e-9 in losses and 2e-11 in gradients
TIMES = 5.0
TIGHT_LOSS, TIGHT_GRADIENT = 5e-8, 5e-8
LR = 1024.0
MEAN, STD = np.float32([123.675, 116.28, 103.53]), np.float32([58.395, 57.12, 57.375])


class Book(NamedTuple):
    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]
    pictures: dict[str, np.ndarray]

    def tolerance(self, group: str) -> float:
        """Several times the greatest distance between runs of the reference."""
        return TIMES * max(found["max_rel"].get(group, 0.0) for found in self.facts["tolerance"].values())


def load_rule() -> Any:
    spec = importlib.util.spec_from_file_location("weights", HERE / "weights.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=MODELS)
def book(request: pytest.FixtureRequest) -> Book:
    folder = Path(request.config.getoption("--books", default=None) or HERE / "books") / "models"
    path = folder / f"{request.param}.json"
    if not path.exists():
        pytest.skip(f"no book {path}")
    with np.load(folder / f"{request.param}.npz") as stored, np.load(folder / "inputs.npz") as inputs:
        facts = json.loads(path.read_text(encoding="utf-8"))
        wanted = {one["key"] for one in (*facts["test"], *facts["train"]["images"])}
        return Book(facts, {key: stored[key] for key in stored.files}, {key: inputs[key] for key in wanted})


@pytest.fixture(scope="module")
def weights(book: Book) -> dict[str, np.ndarray]:
    rule = load_rule()
    made = rule.make_all({name: shape for name, (_, *shape) in _shapes(book).items()})
    assert rule.digest(made) == book.facts["weights_sha256"]
    return made


def _shapes(book: Book) -> dict[str, tuple[Any, ...]]:
    return {name: (dtype, *shape) for name, (dtype, shape) in book.facts["state_dict"].items()}


def tensor(book: Book, records: list[dict[str, Any]], sha256: str) -> np.ndarray:
    pictures = np.stack([book.pictures[one["key"]] for one in records])
    made = ((pictures[..., ::-1].astype(np.float32) - MEAN) / STD).transpose(0, 3, 1, 2)
    made = np.ascontiguousarray(made)
    assert hashlib.sha256(made.tobytes()).hexdigest() == sha256
    return made


def sampled(array: np.ndarray, k: int) -> np.ndarray:
    return array.reshape(-1)[:: max(array.size // k, 1)][:k]


def near(found: np.ndarray, want: np.ndarray, tolerance: float, what: str) -> None:
    distance = float(np.max(np.abs(np.asarray(found, np.float64) - want)) / np.max(np.abs(want)))
    assert distance <= tolerance, f"{what}: {distance:.3g} > {tolerance:.3g}"


def model(name: str) -> dict[str, Any]:
    depth = int(name.removeprefix("resnet").partition("_")[0])
    return {
        "type": "ImageClassifier",
        "backbone": {"type": "ResNet", "depth": depth, "num_stages": 4, "out_indices": (3,), "style": "pytorch"},
        "neck": {"type": "GlobalAveragePooling"},
        "head": {
            "type": "LinearClsHead",
            "num_classes": 1000,
            "in_channels": 512 if depth < 50 else 2048,
            "loss": {"type": "CrossEntropyLoss", "loss_weight": 1.0},
            "topk": (1, 5),
        },
    }


def program(cfg: dict[str, Any], backend: str, dtype: str) -> Program:
    registry = fkit.registry()
    spec = Spec(
        lambda name: fkit.build(cfg, registry, "models", backend=name),
        {"main": Optimizer.of("SGD", {"lr": LR})},
        dtype=dtype,
        device="cpu",
        example=lambda: np.zeros((1, 3, 224, 224), np.float32),
    )
    return open_room(backend).program(spec)


@pytest.mark.parametrize("backend", BACKENDS)
def test_entries_are_the_reference_s(book: Book, backend: str) -> None:
    entries = program(model(book.facts["name"]), backend, "float32").inventory.entries
    assert {entry.name: [entry.dtype, list(entry.shape)] for entry in entries} == book.facts["state_dict"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_outputs(book: Book, weights: dict[str, np.ndarray], backend: str, dtype: str) -> None:
    made = program(model(book.facts["name"]), backend, dtype)
    state = made.load(made.init(0), weights)
    inputs = tensor(book, book.facts["test"], book.facts["test_tensor"]["sha256"])
    found = made.predict(state, fkit.Batch(inputs))
    opened = fkit.array.room.open(backend)
    scores, labels = opened.numpy(found["pred_score"]), opened.numpy(found["pred_label"])
    assert labels.tolist() == [one["pred_label"] for one in book.facts["test"]]
    logits = book.arrays["test/logits"].astype(np.float64)
    want = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    near(np.log(scores), want, book.tolerance("test/logits"), "log of the scores")
    for i, one in enumerate(book.facts["test"]):
        near(scores[i], book.arrays[f"test{i}/pred.score"], book.tolerance("test/logits") * 10, "scores")
        assert np.argsort(-scores[i])[:5].tolist() == one["top5"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_stages(book: Book, weights: dict[str, np.ndarray], backend: str) -> None:
    cfg = model(book.facts["name"])
    backbone = {**cfg["backbone"], "out_indices": (0, 1, 2, 3)}
    made = program({"type": "ImageClassifier", "backbone": backbone}, backend, "float32")
    state = made.load(made.init(0), {name: weights[name] for name in weights if name.startswith("backbone.")})
    inputs = tensor(book, book.facts["test"], book.facts["test_tensor"]["sha256"])
    maps = made.predict(state, fkit.Batch(inputs))
    for i, found in enumerate(maps, 1):
        found = fkit.array.room.open(backend).numpy(found)
        group, stats = f"test/backbone.layer{i}", book.facts["stats"][f"test/backbone.layer{i}"]
        assert list(found.shape) == stats["shape"]
        near(sampled(found, 256), book.arrays[group], book.tolerance(group), group)
        assert found.std(dtype=np.float64) == pytest.approx(stats["std"], rel=1e-5)
    assert len(maps) == 4
    pooled = fkit.array.room.open(backend).numpy(maps[-1]).mean((2, 3))
    near(sampled(pooled, 256), book.arrays["test/neck.0"], book.tolerance("test/neck"), "neck")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_training_step(book: Book, weights: dict[str, np.ndarray], backend: str, dtype: str) -> None:
    made = program(model(book.facts["name"]), backend, dtype)
    train = book.facts["train"]
    inputs = tensor(book, train["images"], train["tensor_sha256"])
    batch = fkit.Batch(inputs, {"gt_label": np.array([one["label"] for one in train["images"]])})
    before = made.load(made.init(0), weights)
    start = made.collect(before)
    after, logs = made.train_step(before, batch, made.hyperparams())
    moved = made.collect(after)
    # one step of plain SGD from the same weights: the gradient is what they moved by, over the learning rate
    gradients = {
        path.removeprefix("params/"): (start[path].astype(np.float64) - moved[path]) / LR
        for path in start
        if path.startswith("params/")
    }
    exact = dtype == "float64"
    facts = book.facts["float64"]["train"] if exact else train
    prefix = "float64/" if exact else ""
    loss = float(fkit.array.room.open(backend).numpy(logs["loss"]))
    assert loss == pytest.approx(facts["loss_sum"], rel=TIGHT_LOSS if exact else book.tolerance("train/losses.loss"))
    assert sum(bool(np.any(gradient)) for gradient in gradients.values()) == train["n_params_with_grad"]
    norm = np.sqrt(sum(float((gradient**2).sum()) for gradient in gradients.values()))
    loose = book.tolerance("train/grad_samples")
    assert norm == pytest.approx(facts["grad_total_norm"], rel=TIGHT_GRADIENT if exact else loose)
    for name, want in facts["grad_norms"].items():
        assert np.linalg.norm(gradients[name]) == pytest.approx(want, rel=TIGHT_GRADIENT if exact else loose), name
        samples = book.arrays[f"{prefix}train/grad/{name}"]
        near(sampled(gradients[name], 64), samples, TIGHT_GRADIENT if exact else loose, f"gradient of {name}")
    tolerance = book.tolerance("train/bn_after_samples")
    for layer, count in train["bn_after_tracked"].items():
        assert int(moved[f"buffers/{layer}.num_batches_tracked"]) == count
        for kind in ("running_mean", "running_var"):
            found = sampled(moved[f"buffers/{layer}.{kind}"], 256)
            near(found, book.arrays[f"train/bn_after/{layer}.{kind}"], tolerance, f"{layer}.{kind}")
