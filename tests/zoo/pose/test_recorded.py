"""Backbones and heads against what mmpose computes of them (`record.py`), and the twins against each other."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen
from torch import nn

import fkit
from fkit.backend.jax.ops import JaxOps
from fkit.backend.torch.ops import Torch
from fkit.data.collate import collate
from fkit.pose.estimate import estimated
from fkit.structures.batch import Samples
from tests.zoo.classify.small import found, images, leaves, loaded
from tests.zoo.pose.heads import PARTNERS, POINTS, SEEN, fixed, given, numbers

HERE = Path(__file__).parent
BACKBONES: dict[str, Any] = json.loads((HERE / "backbones.json").read_text())
HEADS: dict[str, Any] = json.loads((HERE / "heads.json").read_text())


def _wanted(name: str) -> Any:
    return json.loads((HERE / "recorded" / f"{name}.json").read_text())


def _build(cfg: Any, backend: str = "torch") -> Any:
    return fkit.build({**cfg, "type": f"mmpose.{cfg['type']}"}, fkit.registry(), "models", backend=backend)


@pytest.mark.parametrize("name", BACKBONES)
def test_backbones(name: str) -> None:
    case, want = BACKBONES[name], _wanted(name)
    have = found(_build(case["cfg"]), tuple(case["size"]), case.get("train", False))
    assert have["entries"] == want["entries"]
    assert [out["shape"] for out in have["outs"]] == [out["shape"] for out in want["outs"]]
    for one, other in zip(have["outs"], want["outs"], strict=True):
        assert one["values"] == pytest.approx(other["values"], rel=1e-8, abs=1e-10)
    assert have["with_gradient"] == want["with_gradient"]
    assert have["total"] == pytest.approx(want["total"], rel=1e-8)
    for key, norm in want["gradients"].items():
        assert have["gradients"][key] == pytest.approx(norm, rel=1e-7, abs=1e-10 * want["total"]), key


@pytest.mark.parametrize("name", BACKBONES)
def test_twin_backbones(name: str, built_twins: Any) -> None:
    case = BACKBONES[name]
    cfg = {**case["cfg"], "type": f"mmpose.{case['cfg']['type']}"}
    built_twins(cfg, images(tuple(case["size"])), case.get("train", False), case.get("twin", 1e-8))


def _samples(case: Any) -> Samples:
    """Targets by the codec of the config, and partners."""
    encoder = case.get("encoder", case["cfg"].get("decoder"))
    generate = fkit.build({"type": "GenerateTarget", "encoder": encoder, "multilevel": isinstance(encoder, (list, tuple))}, fkit.registry(), "transforms")  # fmt: skip
    pack = fkit.build({"type": "PackPoseInputs"}, fkit.registry(), "transforms")
    size = (encoder[0] if isinstance(encoder, (list, tuple)) else encoder)["input_size"]
    rows = [
        pack(
            generate(
                {
                    "img": np.zeros((4, 4, 3), np.uint8),
                    "keypoints": (points * np.array(size))[None].astype(np.float32),
                    "keypoints_visible": seen[None],
                    "flip_indices": list(PARTNERS),
                }
            )
        )
        for points, seen in zip(POINTS, SEEN, strict=True)
    ]
    return collate(rows).samples


def _torch(samples: Samples) -> Samples:
    def tensor(value: Any) -> Any:
        return {k: tensor(v) for k, v in value.items()} if hasattr(value, "items") else torch.from_numpy(value)

    return Samples(tensor(samples.targets), tensor(samples.valid))


def _tensors(tree: Any) -> Any:
    return [_tensors(one) for one in tree] if isinstance(tree, list) else torch.from_numpy(tree).requires_grad_()


def _pair(first: Any, second: Any) -> Any:
    """Rows of the one before those of the other, at any depth of lists."""
    return [_pair(a, b) for a, b in zip(first, second, strict=True)] if isinstance(first, list) else np.concatenate([first, second])  # fmt: skip


def _size(case: Any) -> tuple[int, int]:
    width, height = case["cfg"].get("decoder", case.get("encoder"))["input_size"]
    return width, height


@pytest.mark.parametrize("name", HEADS)
def test_heads(name: str) -> None:
    case, want, xp = HEADS[name], _wanted(name), Torch()
    head = _build(case["cfg"])
    assert [[key, list(value.shape)] for key, value in head.state_dict().items()] == want["entries"]
    head = fixed(loaded(head)).train()
    maps, samples = _tensors(given(case)), _torch(_samples(case))
    outs = head(tuple(maps))
    within = case.get("within", 1e-8)  # rotary positions of the reference are float32 numbers
    for one, other in zip(leaves(outs), want["outs"], strict=True):
        _same(one, other, within)
    losses = head.logic.loss(xp, outs, samples, case.get("train_cfg", {}))
    assert list(losses) == list(want["losses"])
    for key, value in want["losses"].items():
        _same(losses[key], value, 1e-6 if key == "acc_pose" else within)
    sum(value.sum() for key, value in losses.items() if "loss" in key).backward()  # type: ignore[union-attr]
    grads = {key: p.grad.norm().item() for key, p in head.named_parameters() if p.grad is not None}
    grads |= {f"maps.{i}": one.grad.norm().item() for i, one in enumerate(leaves(maps)) if one.grad is not None}
    assert grads == pytest.approx(want["gradients"], rel=10 * within, abs=1e-10)
    fixed(loaded(head)).eval()
    with torch.no_grad():
        both = head(tuple(_tensors(_pair(given(case), given(case, 1)))))
        cfg = {"flip_test": True, **case.get("test_cfg", {})}
        said = estimated(xp, head.logic, both, samples, _size(case), cfg)["pred_instances"]
    for key, value in want["pred"].items():
        _same(said[key], value, 1e-4)  # codecs of the reference compute in float32


def _same(one: Any, other: Any, within: float = 1e-8) -> None:
    have = numbers(one.detach())
    assert have["shape"] == other["shape"]
    assert have["values"] == pytest.approx(other["values"], rel=within, abs=within)


def _lifted(values: Any) -> list[Any]:
    """Losses and predictions as arrays of two axes or more, without what only counts."""
    losses, said = values
    rows = [value for key, value in losses.items() if "loss" in key]
    return [*(row.reshape(1, -1) for row in rows), *(said[key] for key in ("keypoints", "keypoint_scores"))]


class _Whole(nn.Module):
    """A head to its outputs, losses and predictions."""

    def __init__(self, head: nn.Module, case: Any) -> None:
        super().__init__()
        self.init_cfg = None
        self.head = head
        self.case = case

    def forward(self, maps: Any) -> Any:
        xp, samples, logic = Torch(), _torch(_samples(self.case)), self.head.logic
        outs: Any = self.head(maps)
        cfg = {"output_heatmaps": True}
        said = estimated(xp, logic, outs, samples, _size(self.case), cfg)
        more = [x.detach() for x in _lifted(({}, said["pred_instances"]))]  # places have no gradient
        losses = logic.loss(xp, outs, samples, self.case.get("train_cfg", {}))
        return [outs, [value.reshape(1, -1) for key, value in losses.items() if "loss" in key], more]


class _FlaxWhole(linen.Module):
    """`_Whole` of flax."""

    head: Any
    case: Any
    init_cfg: Any = None

    def __call__(self, maps: Any, train: bool = False) -> Any:
        outs = self.head(maps, train)
        if self.is_initializing():
            return _last(outs)
        xp, samples, logic = JaxOps(), _samples(self.case), self.head.bound()
        said = estimated(xp, logic, outs, samples, _size(self.case), {"output_heatmaps": True})
        more = _lifted(({}, said["pred_instances"]))
        losses = logic.loss(xp, outs, samples, self.case.get("train_cfg", {}))
        rows = [value.reshape(1, -1) for key, value in losses.items() if "loss" in key]
        return _last([outs, rows, [jax.lax.stop_gradient(x) for x in more]])


def _last(tree: Any) -> Any:
    """Arrays with their second axis last, as the harness has them."""
    return jax.tree.map(lambda x: jnp.moveaxis(x, 1, -1), tree)


@pytest.mark.parametrize("name", HEADS)
def test_twin_heads(name: str, twins: Any) -> None:
    case = HEADS[name]
    one, two = (_build(case["cfg"], backend) for backend in ("torch", "jax"))
    maps = tuple(given(case))
    twins(_Whole(one, case), _FlaxWhole(two, case), maps, True, 1e-8)
