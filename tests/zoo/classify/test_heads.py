"""Heads of classifiers and their losses: the reference's numbers on torch, and JAX's against torch's."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import fkit
from fkit.backend.jax.naming import flax_path, to_flax
from fkit.structures.batch import Samples
from fkit.tree.error import FkitError
from tests.golden.replay.arithmetic import jit
from tests.zoo.classify.small import loaded, rule

HERE = Path(__file__).parent
CASES: dict[str, Any] = json.loads((HERE / "heads.json").read_text())
WANTED: dict[str, Any] = json.loads((HERE / "heads_recorded.json").read_text())


def _inputs(case: Any) -> tuple[list[Any], dict[str, Any]]:
    rng = np.random.default_rng(0)
    features = [rng.standard_normal((3, *shape)) for shape in case["shapes"]]
    scores = rng.uniform(0, 1, (3, case["cfg"]["num_classes"]))
    targets: dict[str, Any] = {"gt_label": np.array(case["labels"])}
    if case.get("scores"):
        targets["gt_score"] = scores / scores.sum(1, keepdims=True)
    return features, targets


def _built(case: Any, backend: str) -> Any:
    return fkit.build(case["cfg"], fkit.registry(), "models", backend=backend, scope="mmpretrain")


@pytest.mark.parametrize("name", CASES)
def test_torch_s_are_the_reference_s(name: str) -> None:
    case, want = CASES[name], WANTED[name]
    model = loaded(_built(case, "torch"))
    assert [[key, list(value.shape)] for key, value in model.state_dict().items()] == want["entries"]
    arrays, targets = _inputs(case)
    features: Any = [torch.tensor(array, requires_grad=True) for array in arrays]
    given = [features] if case.get("pair") else features
    if want["losses"]:
        samples = Samples({key: torch.tensor(value) for key, value in targets.items()})
        losses = model.train().loss(given, samples)
        losses["loss"].backward()
        assert {key: value.item() for key, value in losses.items()} == pytest.approx(want["losses"], rel=1e-6)
        for key, norm in want["gradients"].items():
            assert model.get_parameter(key).grad.norm().item() == pytest.approx(norm, rel=1e-6, abs=1e-12)
        assert features[-1].grad.norm().item() == pytest.approx(want["feature"], rel=1e-6)
    logits = model.eval()(given)
    assert logits.reshape(-1).tolist() == pytest.approx(want["logits"], rel=1e-6)
    found = model.predict(given)
    multi = "pred_label" not in found  # each class has a sigmoid of its own
    assert torch.equal(found["pred_score"], logits.sigmoid() if multi else logits.softmax(1))
    assert multi or torch.equal(found["pred_label"], logits.argmax(1))


def _variables(entries: Any, buffers: tuple[str, ...] = ("running_mean", "running_var", "num_batches_tracked")) -> Any:
    tree: dict[str, Any] = {}
    for name, shape in entries:
        head, _, leaf = name.rpartition(".")
        array = np.asarray(rule.make(name, tuple(shape)), np.float64)
        params = leaf not in buffers
        node = tree.setdefault("params" if params else "batch_stats", {})
        for token in flax_path(head):
            node = node.setdefault(token, {})
        dense = params and leaf == "weight" and array.ndim == 2
        short = {"running_mean": "mean", "running_var": "var"}.get(leaf, leaf)
        conv = array.ndim == 4
        short = "kernel" if dense or conv else ("scale" if leaf == "weight" else short)
        node[short] = jnp.asarray(to_flax(array, "conv" if conv else "linear") if dense or conv else array)
    return tree


@pytest.mark.parametrize("name", CASES)
def test_jax_s_are_the_reference_s(name: str) -> None:
    case, want = CASES[name], WANTED[name]
    with jax.enable_x64(True):
        model = _built(case, "jax")
        variables = _variables(want["entries"])
        arrays, targets = _inputs(case)
        features: Any = [jnp.moveaxis(jnp.asarray(array), 1, -1) for array in arrays]
        given = [features] if case.get("pair") else features
        told = (True,) if getattr(model, "takes_train", False) else ()
        if want["losses"]:
            samples = Samples({key: jnp.asarray(value) for key, value in targets.items()})

            def loss(params: Any) -> Any:
                losses, moved = model.apply(
                    {**variables, "params": params}, given, samples, *told, method="loss", mutable=["batch_stats"]
                )
                return losses["loss"], (losses, moved)

            params = variables.get("params", {})
            grads, (losses, moved) = jit(jax.grad(loss, has_aux=True))(params)
            assert {key: float(value) for key, value in losses.items()} == pytest.approx(want["losses"], rel=1e-6)
            norm = np.sqrt(sum(float(jnp.square(leaf).sum()) for leaf in jax.tree.leaves(grads)))
            theirs = np.sqrt(sum(value**2 for value in want["gradients"].values()))
            assert norm == pytest.approx(theirs, rel=1e-6)
            variables = {**variables, **moved}
        logits = model.apply(variables, given)
        assert logits.reshape(-1).tolist() == pytest.approx(want["logits"], rel=1e-6)


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize(
    ("cfg", "text"),
    [
        ({"type": "VisionTransformerClsHead", "num_classes": 0, "in_channels": 4}, "num_classes=0"),
        ({"type": "StackedLinearClsHead", "num_classes": 2, "in_channels": 4, "mid_channels": 3}, "at least one hidden"),
        ({"type": "LeViTClsHead", "num_classes": 2}, "in_channels=None"),
        ({"type": "ClsHead", "loss": {"type": "LabelSmoothLoss", "label_smooth_val": 1.0}}, "below 1"),
        ({"type": "ClsHead", "loss": {"type": "LabelSmoothLoss", "label_smooth_val": 0.1, "mode": "orig"}}, "original"),
        ({"type": "CrossEntropyLoss", "use_soft": True, "use_sigmoid": True}, "exclude each other"),
        ({"type": "CrossEntropyLoss", "pos_weight": [1.0]}, "use_sigmoid=True"),
        ({"type": "CrossEntropyLoss", "class_weight": 3}, "a number a class"),
        ({"type": "CrossEntropyLoss", "class_weight": [1], "ignore_index": 3}, "ignore_index"),
        ({"type": "ImageClassifier", "backbone": {"type": "ConvNet"}, "train_cfg": {"augments": {"type": "Mixing"}}},
         "Mixup"),
    ],
)  # fmt: skip
def test_errors(backend: str, cfg: Any, text: str) -> None:
    with pytest.raises(FkitError, match=text):
        fkit.build(cfg, fkit.registry(), "models", backend=backend)
