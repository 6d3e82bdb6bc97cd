"""Small segmentors against what mmseg computes of them (`record.py`), on torch and on JAX."""

import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen
from torch import nn

import fkit
from fkit.array.room import open as open_room
from fkit.structures.batch import Samples
from fkit.training.optimizer import Optimizer
from fkit.training.spec import Spec
from tests.zoo.segment.small import config, found, images, labels, rule, sampled

HERE = Path(__file__).parent
CASES: dict[str, Any] = json.loads((HERE / "cases.json").read_text())
LR = 1024.0
FAST = {"ddr": (8, 16), "pid": (8, 16, 8)}  # what goes into their heads while training
LARGE = (100, 140)
WHOLE = ("ocr",)  # to compile them takes a while


def _recorded(name: str) -> Any:
    return json.loads((HERE / "recorded" / f"{name}.json").read_text())


def _close(have: Any, want: Any, what: str) -> None:
    assert have == pytest.approx(want, rel=1e-7, abs=1e-9), what


def sized(name: str, maps: Any, widths: Any, size: tuple[int, int]) -> Any:
    """Maps of a pyramid, or, as SETR has them, of one size."""
    first = (32, 32) if name == "setr_mla" else LARGE if name == "lraspp" else size
    made = maps(tuple(widths), first)
    if name == "lraspp":  # whose last map is large
        return (*made[:-1], maps((widths[-1],), (LARGE[0] // 2, LARGE[1] // 2))[0])
    return tuple(one[..., :4, :4] for one in made) if name == "setr_mla" else made


@pytest.mark.parametrize("name", CASES)
def test_the_reference_s_numbers(name: str) -> None:
    case, want = CASES[name], _recorded(name)
    model = fkit.build(config(case), fkit.registry(), "models", backend="torch")
    inputs, truth = torch.from_numpy(images(case)), torch.from_numpy(labels(case))
    samples = Samples({"gt_sem_seg": truth, "gt_edge_map": (truth == 1).long()})
    have = found(
        model, lambda net: net(inputs, mode="predict")["seg_logits"], lambda net: net(inputs, samples, mode="loss")
    )
    assert have["entries"] == want["entries"]
    assert have["shape"] == want["shape"]
    _close(have["logits"], want["logits"], "logits")
    assert set(have["losses"]) == set(want["losses"])
    for loss, value in want["losses"].items():
        _close(have["losses"][loss], value, loss)
    assert have["with_gradient"] == want["with_gradient"]
    floor = 1e-9 * want["total"]
    for entry, norm in want["gradients"].items():
        assert have["gradients"][entry] == pytest.approx(norm, rel=1e-6, abs=floor), entry
    assert have["total"] == pytest.approx(want["total"], rel=1e-7)
    for entry, values in want["after"].items():
        _close(have["after"][entry], values, entry)


class Lossy(nn.Module):
    """A head's logits and losses."""

    def __init__(self, head: Any, labels: Any) -> None:
        super().__init__()
        truth = torch.from_numpy(labels)
        self.head, self.samples = head, Samples({"gt_sem_seg": truth, "gt_edge_map": (truth == 1).long()})

    def forward(self, maps: Any) -> Any:
        said = self.head.loss(maps, self.samples)
        return [value.reshape(1, 1) for name, value in sorted(said.items()) if "loss" in name]


class LossyFlax(linen.Module):
    """`Lossy` of flax."""

    head: Any
    labels: Any

    def __call__(self, maps: Any, train: bool = False) -> Any:
        truth = jnp.asarray(self.labels.array)
        samples = Samples({"gt_sem_seg": truth, "gt_edge_map": (truth == 1).astype(int)})
        said = self.head.loss(maps, samples, train)
        return [value.reshape(1, 1) for name, value in sorted(said.items()) if "loss" in name]


class Held:
    """An array that is compared by identity, so that a module may have it."""

    def __init__(self, array: Any) -> None:
        self.array = array


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case["model"].get("type") is None])
def test_losses_of_twins(name: str, twins: Any, maps: Any) -> None:
    head = config(CASES[name])["decode_head"]
    wide, which = head["in_channels"], head["in_index"]
    widths = list(FAST.get(name, (4, 8, 16, 32)))
    if name not in FAST:
        for at, width in zip(which, wide, strict=True) if isinstance(which, list) else ((which, wide),):
            widths[at] = width
    one, two = (
        fkit.build({**head, "dropout_ratio": 0.0}, fkit.registry(), "models", backend=backend, scope="mmseg")
        for backend in ("torch", "jax")
    )
    truth = labels({**CASES[name], "size": (16, 12)})
    twins(Lossy(one, truth), LossyFlax(two, Held(truth)), sized(name, maps, widths, (12, 10)), True, 1e-8)


BODIES = [
    name for name, case in CASES.items() if case["model"].get("backbone", {"type": "ResNet"})["type"][:6] != "ResNet"
]


@pytest.mark.parametrize("name", BODIES)
def test_twins_of_backbones(name: str, built_twins: Any) -> None:
    built_twins({**config(CASES[name])["backbone"], "_scope_": "mmseg"}, images({"size": (32, 32)}), True, 1e-8)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "neck" in case["model"]])
def test_twins_of_necks(name: str, built_twins: Any, maps: Any) -> None:
    neck = config(CASES[name])["neck"]
    widths = neck.get("in_channels") or (neck["embed_dim"],) * 4
    built_twins({**neck, "_scope_": "mmseg"}, sized(name, maps, widths, (16, 24)), True, 1e-8)


@pytest.mark.parametrize("name", WHOLE)
def test_jax(name: str) -> None:
    case, want = CASES[name], _recorded(name)
    cfg, registry, inputs = config(case), fkit.registry(), images(case)
    spec = Spec(
        lambda backend: fkit.build(cfg, registry, "models", backend=backend, scope="mmseg"),
        {"main": Optimizer.of("SGD", {"lr": LR})},
        dtype="float64",
        device="cpu",
        example=lambda: inputs[:1],
    )
    room = open_room("jax")
    made = room.program(spec)
    aliases = dict(made.inventory.aliases)
    names = [entry.name for entry in made.inventory.entries]
    assert names == [entry for entry, _ in want["entries"] if entry not in aliases]
    assert set(names) | set(aliases) == {entry for entry, _ in want["entries"]}
    weights = {entry: rule.make(entry, tuple(shape)) for entry, shape in want["entries"]}
    # of a tied weight torch keeps what it was given last
    weights |= {first: weights[other] for other, first in aliases.items() if other in weights}
    state = made.load(made.init(0), {entry: weights[entry] for entry in names})
    outputs = made.predict(state, fkit.Batch(inputs))
    _close(sampled(room.numpy(outputs["seg_logits"])), want["logits"], "logits")
    before = made.collect(state)
    after, logs = made.train_step(state, fkit.Batch(inputs, {"gt_sem_seg": labels(case)}), made.hyperparams())
    for loss, value in want["losses"].items():
        _close(float(room.numpy(logs[loss])), value, loss)
    moved = made.collect(after)
    for entry, norm in want["gradients"].items():
        gradient = (before[f"params/{entry}"] - moved[f"params/{entry}"]) / LR
        assert np.linalg.norm(gradient) == pytest.approx(norm, rel=1e-6, abs=1e-9 * want["total"]), entry
    for entry, values in want["after"].items():
        if entry not in aliases:
            _close(sampled(moved[f"buffers/{entry}"])[:4], values, entry)
