"""The book ``rois``: heads of regions alone on small maps; losses and gradients in float64, predictions in float32, on both
backends. Samplers take all there is; the batch has slots that only pad it."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import fkit
from fkit.array.room import open as open_room
from fkit.detection.cascade import Scene
from fkit.detection.truth import truths
from fkit.structures.apart import data_samples
from fkit.structures.batch import Samples
from tests.golden.named import host, names_of, sampled, under_names, variables_of
from tests.golden.weights import make

BOOK = "rois"
STRIDES, SIZE, CLASSES = (4, 8, 16, 32), (64, 96), 3
SHAPES, SCALES = ((60, 96), (64, 90)), ((2.0, 2.0), (1.5, 1.5))
# the reference rounds some targets to float32 inside
TIGHT, LOOSE = 1e-6, 1e-4


def built(case: Mapping[str, Any], backend: str) -> Any:
    cfg = {**case["head"], "train_cfg": case["train_cfg"], "test_cfg": case["test_cfg"]}
    return fkit.build(cfg, fkit.registry(), "models", backend=backend, scope="mmdet")


def inputs() -> tuple[list[np.ndarray], list[dict[str, np.ndarray]]]:
    """As experiments/record/rois.py draws them."""
    draw = np.random.default_rng(0)
    maps = [draw.standard_normal((2, 8, SIZE[0] // stride, SIZE[1] // stride)) for stride in STRIDES]
    images: list[dict[str, np.ndarray]] = []
    for count, others in ((3, 6), (2, 9)):
        corner, size = draw.uniform(0, 30, (count, 2)), draw.uniform(12, 50, (count, 2))
        boxes = np.concatenate([corner, np.minimum(corner + size, [88, 58])], 1)
        near = np.concatenate([boxes + draw.normal(0, 2.5, boxes.shape) for _ in range(2)])
        corner, size = draw.uniform(0, 50, (others, 2)), draw.uniform(4, 40, (others, 2))
        proposals = np.clip(np.concatenate([near, np.concatenate([corner, corner + size], 1)]), 0, [90, 60, 90, 60])
        masks = np.zeros((count, *SIZE), np.uint8)
        for at, (x1, y1, x2, y2) in enumerate(boxes.round().astype(int)):
            masks[at, y1:y2, x1:x2] = draw.random((y2 - y1, x2 - x1)) < 0.8
        image = {"proposals": proposals.astype(np.float32), "bboxes": boxes.astype(np.float32), "masks": masks}
        labels = draw.integers(0, CLASSES, count)
        images.append({**image, "labels": labels, "sem_seg": draw.integers(0, 5, (1, *SIZE))})
    return maps, images


def padded(name: str, slots: int) -> tuple[np.ndarray, np.ndarray]:
    """An entry of all images in so many slots, and which of them are real. What pads would count if it were looked at."""
    several = [image[name] for image in inputs()[1]]
    whole = np.stack([np.concatenate([one, np.repeat(one[:1], slots - len(one), 0)]) for one in several])
    return whole, np.arange(slots) < np.array([[len(one)] for one in several])


def scene(array: Any, kind: Any, learns: bool = True) -> Scene:
    boxes, valid = padded("proposals", 14)
    sizes = (array(np.array(rows, kind)) for rows in (SHAPES, SCALES))
    told = Scene(array(boxes.astype(kind)), array(valid), *sizes)
    if not learns:
        return told
    objects = {name: padded(name, 4)[0] for name in ("bboxes", "labels", "masks")}
    objects["bboxes"] = objects["bboxes"].astype(kind)
    targets = {"gt_instances": {name: array(one) for name, one in objects.items()}}
    valid = {"gt_instances": array(padded("labels", 4)[1])}
    semantic = array(np.concatenate([image["sem_seg"] for image in inputs()[1]]))
    return told._replace(truth=truths(Samples(targets, valid)), semantic=semantic)


def weight(case: Mapping[str, Any], name: str) -> np.ndarray:
    return np.array(make(f"roi_head.{name}", tuple(case["out"]["state"][name])))


def summed(losses: Mapping[str, Any]) -> Any:
    return sum(value for name, value in losses.items() if "loss" in name)


class OfTorch:
    """A head of torch."""

    def __init__(self, case: Mapping[str, Any]) -> None:
        self.head = built(case, "torch")
        assert {name: list(one.shape) for name, one in self.head.state_dict().items()} == case["out"]["state"]
        assert list(self.head.state_dict()) == list(case["out"]["state"])
        self.head.load_state_dict({name: torch.tensor(weight(case, name)) for name in case["out"]["state"]})

    def trained(self) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, np.ndarray]]:
        self.head.double().train()
        maps = [torch.tensor(level, requires_grad=True) for level in inputs()[0]]
        losses = self.head.loss(maps, scene(torch.tensor, np.float64))
        summed(losses).backward()
        named = {f"map{at}": level for at, level in enumerate(maps)} | dict(self.head.named_parameters())
        gradients = {name: one.grad.numpy() for name, one in named.items() if one.grad is not None}
        buffers = {name: value.numpy() for name, value in self.head.named_buffers()}
        return {name: host("torch", value) for name, value in losses.items()}, gradients, buffers

    def predicted(self) -> Any:
        self.head.float().eval()
        with torch.no_grad():
            maps = [torch.tensor(level, dtype=torch.float32) for level in inputs()[0]]
            raw = self.head(maps, scene(torch.tensor, np.float32, False))
            assert all(len(value) for value in raw.values())
            return self.head.predict(maps, scene(torch.tensor, np.float32, False))


class OfJax:
    """A head of flax, with its arrays under torch's names."""

    def __init__(self, case: Mapping[str, Any]) -> None:
        self.case, self.head = case, built(case, "jax")
        known = scene(jnp.asarray, np.float32, False)
        self.names = names_of(lambda: self.head.init(jax.random.key(0), self.maps(jnp.float32), known))
        assert {name for name, _ in self.names.values()} == set(case["out"]["state"])

    def maps(self, kind: Any) -> list[Any]:
        return [jnp.asarray(np.moveaxis(level, 1, -1), kind) for level in inputs()[0]]

    def variables(self, kind: Any) -> Any:
        return variables_of(self.names, lambda name: weight(self.case, name), kind)

    def trained(self) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, np.ndarray]]:
        with jax.enable_x64(True):
            variables = self.variables(jnp.float64)
            more = {name: tree for name, tree in variables.items() if name != "params"}
            known = scene(jnp.asarray, np.float64)

            def total(params: Any, maps: Any) -> Any:
                losses, moved = self.head.apply(
                    {"params": params, **more}, maps, known, True, method="loss", mutable=list(more),
                    rngs={"dropout": jax.random.key(0)},
                )  # fmt: skip
                return summed(losses), (losses, moved)

            parts = jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))
            (_, (losses, moved)), (params, maps) = parts(variables["params"], self.maps(jnp.float64))
            gradients = {f"map{at}": np.moveaxis(np.asarray(level), -1, 1) for at, level in enumerate(maps)}
            gradients |= under_names(self.names, "params", params)
            buffers = {
                name: array for kind in more for name, array in under_names(self.names, kind, moved[kind]).items()
            }
            return {name: host("jax", value) for name, value in losses.items()}, gradients, buffers

    def predicted(self) -> Any:
        known = scene(jnp.asarray, np.float32, False)
        call = jax.jit(lambda variables, maps: self.head.apply(variables, maps, known, method="predict"))
        return call(self.variables(jnp.float32), self.maps(jnp.float32))


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_case(case: dict[str, Any], backend: str) -> None:
    head = OfTorch(case) if backend == "torch" else OfJax(case)
    recorded = case["out"]
    matches(head.predicted(), recorded["predictions"], backend)
    losses, gradients, buffers = head.trained()
    assert set(losses) == set(recorded["losses"])
    for name, value in recorded["losses"].items():
        np.testing.assert_allclose(losses[name], value, rtol=TIGHT, atol=TIGHT * 1e-2, err_msg=name)
    for name, value in recorded["gradients"].items():
        np.testing.assert_allclose(
            sampled(gradients[name]), value, rtol=TIGHT, atol=TIGHT * value[0] + 1e-14, err_msg=name
        )
    for name, value in recorded["buffers"].items():
        np.testing.assert_allclose(
            sampled(buffers[name]), value, rtol=TIGHT, atol=TIGHT * value[0] + 1e-14, err_msg=name
        )


def matches(found: Any, wanted: list[dict[str, Any]], backend: str) -> None:
    said = jax.tree.map(lambda value: np.asarray(open_room(backend).numpy(value)), dict(found))
    shapes = np.array(SHAPES) / np.array(SCALES)
    batch = fkit.Batch(np.zeros((2, 3, *SIZE)), meta=tuple({"ori_shape": tuple(map(int, row))} for row in shapes))
    for sample, want in zip(data_samples(batch, said), wanted, strict=True):
        objects = sample.pred_instances
        assert objects.labels.tolist() == want["labels"]
        np.testing.assert_allclose(objects.scores, want["scores"], atol=LOOSE)
        np.testing.assert_allclose(objects.bboxes, want["bboxes"], atol=LOOSE * 100)
        if "areas" in want:
            areas = [np.asarray(mask).sum() for mask in objects.masks]
            np.testing.assert_allclose(areas, want["areas"], atol=3)
