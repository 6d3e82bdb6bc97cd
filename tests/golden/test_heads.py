"""The book ``heads``: dense heads alone on small maps; losses and gradients in float64, predictions in float32, on both backends."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import fkit
from fkit.array.room import open as open_room
from fkit.detection.image import Shapes
from fkit.structures.batch import Samples
from tests.golden.named import host, names_of, sampled, under_names, variables_of
from tests.golden.replay.arithmetic import jit
from tests.golden.weights import make

BOOK = "heads"
SIZE, STRIDES = (96, 128), (8, 16, 32)
# the reference rounds some targets to float32 inside
TIGHT, LOOSE = 1e-6, 1e-4


def built(case: Mapping[str, Any], backend: str) -> Any:
    cfg = {**case["head"], "train_cfg": case["train_cfg"], "test_cfg": case["test_cfg"]}
    return fkit.build(cfg, fkit.registry(), "models", backend=backend, scope="mmdet")


def maps_and_objects() -> tuple[list[np.ndarray], list[tuple[np.ndarray, np.ndarray]]]:
    """As experiments/record/heads.py draws them."""
    draw = np.random.default_rng(0)
    maps = [draw.standard_normal((2, 8, -(-SIZE[0] // stride), -(-SIZE[1] // stride))) for stride in STRIDES]
    objects: list[tuple[np.ndarray, np.ndarray]] = []
    for count in (4, 2):
        corner, size = draw.uniform(0, 60, (count, 2)), draw.uniform(16, 64, (count, 2))
        boxes = np.concatenate([corner, np.minimum(corner + size, [126, 94])], 1).astype(np.float32)
        objects.append((boxes.astype(np.float64), draw.integers(0, 3, count)))
    return maps, objects


def samples(array: Any) -> Samples:
    """The objects in a bucket of eight; what pads would be matched if it were looked at."""
    boxes, labels = np.tile([0.0, 0, 60, 60], (2, 8, 1)), np.full((2, 8), 1)
    valid = np.zeros((2, 8), bool)
    for image, (mine, classes) in enumerate(maps_and_objects()[1]):
        count = len(mine)
        boxes[image, :count], labels[image, :count], valid[image, :count] = mine, classes, True
    return Samples({"gt_instances": {"bboxes": array(boxes), "labels": array(labels)}}, {"gt_instances": array(valid)})


def shapes(array: Any, kind: Any) -> Shapes:
    rows = ([[90, 128], [96, 120]], [[96, 128]] * 2, [[2.0, 2.0], [1.5, 1.5]])
    return Shapes(*(array(np.array(row, kind)) for row in rows))


def weight(case: Mapping[str, Any], name: str) -> np.ndarray:
    shape = tuple(case["out"]["state"][name])
    if name.endswith("project"):
        return np.arange(shape[0]) * 1.0
    if name.endswith("acc_sum"):
        return np.zeros(shape)
    if name.endswith("edges"):
        last = 1.0 + 1e-6 if "cls" in name else 1e3
        return np.append(np.arange(shape[0] - 1, dtype=np.float32) / np.float32(shape[0] - 1), np.float32(last))
    return np.array(make(f"bbox_head.{name}", shape))


def levels(case: Mapping[str, Any]) -> list[np.ndarray]:
    """The maps that a case's head takes."""
    count = sum(name.startswith("map") for name in case["out"]["gradients"])
    return maps_and_objects()[0][:count]


def summed(losses: Mapping[str, Any]) -> Any:
    return sum(sum(value) if isinstance(value, (tuple, list)) else value for value in losses.values())


class OfTorch:
    """A head of torch."""

    def __init__(self, case: Mapping[str, Any]) -> None:
        self.head, self.levels = built(case, "torch"), levels(case)
        assert {name: list(one.shape) for name, one in self.head.state_dict().items()} == case["out"]["state"]
        assert list(self.head.state_dict()) == list(case["out"]["state"])
        self.head.load_state_dict({name: torch.tensor(weight(case, name)) for name in case["out"]["state"]})

    def trained(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        self.head.double().train()
        maps = [torch.tensor(level, requires_grad=True) for level in self.levels]
        losses = self.head.loss(maps, samples(torch.tensor), shapes(torch.tensor, np.float64))
        summed(losses).backward()
        named = {f"map{at}": level for at, level in enumerate(maps)} | dict(self.head.named_parameters())
        gradients = {name: one.grad.numpy() for name, one in named.items() if one.grad is not None}
        return {name: host("torch", value) for name, value in losses.items()}, gradients

    def predicted(self) -> Any:
        self.head.float().eval()
        with torch.no_grad():
            maps = [torch.tensor(level, dtype=torch.float32) for level in self.levels]
            return self.head.predict(maps, shapes(torch.tensor, np.float32))


class OfJax:
    """A head of flax, with its arrays under torch's names."""

    def __init__(self, case: Mapping[str, Any]) -> None:
        self.case, self.head = case, built(case, "jax")
        self.names = names_of(lambda: self.head.init(jax.random.key(0), self.maps(jnp.float64)))
        assert {name for name, _ in self.names.values()} == set(case["out"]["state"])

    def maps(self, kind: Any) -> list[Any]:
        return [jnp.asarray(np.moveaxis(level, 1, -1), kind) for level in levels(self.case)]

    def variables(self, kind: Any) -> Any:
        return variables_of(self.names, lambda name: weight(self.case, name), kind)

    def trained(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        with jax.enable_x64(True):
            variables = self.variables(jnp.float64)
            more = {name: tree for name, tree in variables.items() if name != "params"}
            known, sizes = samples(jnp.asarray), shapes(jnp.asarray, np.float64)

            def total(params: Any, maps: Any) -> Any:
                every = {"params": params, **more}
                losses, _ = self.head.apply(every, maps, known, sizes, method="loss", mutable=["batch_stats"])
                return summed(losses), losses

            parts = jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))
            (_, losses), (params, maps) = parts(variables["params"], self.maps(jnp.float64))
            gradients = {f"map{at}": np.moveaxis(np.asarray(level), -1, 1) for at, level in enumerate(maps)}
            gradients |= under_names(self.names, "params", params)
            return {name: host("jax", value) for name, value in losses.items()}, gradients

    def predicted(self) -> Any:
        sizes = shapes(jnp.asarray, np.float32)
        call = jit(lambda variables, maps: self.head.apply(variables, maps, sizes, method="predict"), fusions=True)
        return call(self.variables(jnp.float32), self.maps(jnp.float32))


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_case(case: dict[str, Any], backend: str) -> None:
    head = OfTorch(case) if backend == "torch" else OfJax(case)
    losses, gradients = head.trained()
    recorded = case["out"]
    assert set(losses) == set(recorded["losses"])
    for name, value in recorded["losses"].items():
        np.testing.assert_allclose(losses[name], value, rtol=TIGHT, atol=TIGHT * 1e-2, err_msg=name)
    for name, value in recorded["gradients"].items():
        np.testing.assert_allclose(sampled(gradients[name]), value, rtol=TIGHT, atol=TIGHT * value[0], err_msg=name)
    found = head.predicted()
    bboxes, scores, labels, valid = (open_room(backend).numpy(part) for part in found)
    for image, want in enumerate(recorded["predictions"]):
        real = valid[image]
        assert labels[image][real].tolist() == want["labels"]
        np.testing.assert_allclose(scores[image][real], want["scores"], atol=LOOSE)
        np.testing.assert_allclose(bboxes[image][real], want["bboxes"], atol=LOOSE * 100)
        assert not bboxes[image][~real].any()
