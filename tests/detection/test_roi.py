"""Regions: which of them a head learns from, its targets, its losses, on every library."""

from typing import Any

import numpy as np
import pytest

from fkit.array.ops import Numpy
from fkit.detection.assigner import MaxIoUAssigner, Truth
from fkit.detection.coder import DeltaXYWHBBoxCoder
from fkit.detection.loss.distance import L1Loss
from fkit.detection.loss.entropy import CrossEntropyLoss
from fkit.detection.roi import BoxLogic, regions, rows_of, slots_of
from fkit.detection.sampler import PseudoSampler, RandomSampler
from fkit.detection.truth import truths
from fkit.structures.batch import Samples
from tests.golden.replay.arithmetic import LIBRARIES, opened, plain

ASSIGNER = MaxIoUAssigner(0.5, 0.5, 0.5, match_low_quality=False)
SAMPLER = RandomSampler(8, 0.25)
RNG = np.random.default_rng(0)


def logic(**changes: Any) -> BoxLogic:
    fields: dict[str, Any] = {
        "num_classes": 3, "reg_class_agnostic": False, "reg_decoded_bbox": False,
        "bbox_coder": DeltaXYWHBBoxCoder(target_stds=(0.1, 0.1, 0.2, 0.2)), "loss_cls": CrossEntropyLoss(),
        "loss_bbox": L1Loss(),
    }  # fmt: skip
    return BoxLogic(**{**fields, **changes})


def boxes(count: int, images: int = 2) -> np.ndarray:
    corner = RNG.uniform(0, 40, (images, count, 2))
    return np.concatenate([corner, corner + RNG.uniform(4, 30, (images, count, 2))], -1).astype(np.float32)


def scene(xp: Any, count: int = 20, objects: int = 3) -> tuple[Any, ...]:
    proposals = boxes(count)
    truths = proposals[:, :objects] + 1
    real = np.ones((2, objects), bool)
    real[1, 1:] = False
    return (
        xp.words(0, (2,)), xp.asarray(proposals, "float32"), xp.asarray(np.ones((2, count), bool), "bool"),
        Truth(xp.asarray(truths, "float32"), xp.asarray(np.arange(objects)[None].repeat(2, 0) % 3, "int64"), xp.asarray(real, "bool")),
    )  # fmt: skip


@pytest.mark.parametrize("library", LIBRARIES)
def test_positives_come_first_then_negatives_then_padding(library: str) -> None:
    xp = opened(library)
    places, proposals, valid, truth = scene(xp)
    picks = regions(xp, (1, 2), places, proposals, valid, truth, None, ASSIGNER, SAMPLER)
    positive, kept = plain(picks.positive), plain(picks.valid)
    assert kept.shape == (2, 8)
    for row, there in zip(positive, kept, strict=True):
        assert row.sum() <= 2, "a quarter at most"
        assert not row[int(row.sum()) :].any() and row[: int(row.sum())].all(), "positives first"
        assert not (~there[:-1] & there[1:]).any(), "padding last"
    real = plain(picks.real)
    assert not (real & ~positive).any(), "an object's own box is positive"
    assert np.isfinite(plain(picks.targets)).all()
    assert (plain(picks.targets)[~positive] == 0).all()


@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries_choose_alike(library: str) -> None:
    seen = []
    for xp in (Numpy(), opened(library)):
        RNG.bit_generator.state = np.random.default_rng(1).bit_generator.state
        places, proposals, valid, truth = scene(xp)
        seen.append(regions(xp, (3, 4), places, proposals, valid, truth, None, ASSIGNER, SAMPLER))
    for mine, other in zip(*seen, strict=True):
        assert np.array_equal(plain(mine), plain(other))


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("objects", [0, 2])
def test_no_objects_at_all_and_none_that_is_real(library: str, objects: int) -> None:
    xp = opened(library)
    places, proposals, valid, _ = scene(xp)
    fields = {"bboxes": xp.full((2, objects, 4), 0.0, "float32"), "labels": xp.full((2, objects), 0, "int64")}
    empty = truths(Samples({"gt_instances": fields}, {"gt_instances": xp.full((2, objects), 0, "bool")}))
    picks = regions(xp, (1, 2), places, proposals, valid, empty, None, ASSIGNER, SAMPLER)
    assert not plain(picks.positive).any()
    assert plain(picks.valid).all()
    head = logic()
    rows = rows_of(xp, picks.boxes, picks.valid)
    targets = head.targets(xp, picks, rows, -1)
    assert (plain(targets[0]) == 3).all()
    cls, reg = xp.full((16, 4), 0.0, "float32"), xp.full((16, 12), 0.5, "float32")
    losses = head.losses(xp, cls, reg, rows, targets)
    assert float(losses["loss_bbox"]) == 0
    assert float(losses["loss_cls"]) == pytest.approx(np.log(4), rel=1e-6)


@pytest.mark.parametrize("library", LIBRARIES)
def test_neither_proposals_nor_objects(library: str) -> None:
    xp = opened(library)
    places, proposals, _, truth = scene(xp)
    nothing = xp.full((2, 20), 0, "bool")
    truth = truth._replace(valid=truth.valid & False)
    picks = regions(xp, (1, 2), places, proposals, nothing, truth, None, ASSIGNER, SAMPLER)
    assert not plain(picks.valid).any()
    rows = rows_of(xp, picks.boxes, picks.valid)
    count = len(plain(rows.index))
    assert count == (16 if library == "jax" else 0), "shapes depend on values where they may"
    losses = logic().losses(
        xp, xp.full((count, 4), 0.0, "float32"), xp.full((count, 12), 0.5, "float32"), rows,
        logic().targets(xp, picks, rows, -1),
    )  # fmt: skip
    assert all(float(value) == 0 for value in losses.values())


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("agnostic", [False, True])
def test_losses_are_of_positives_boxes_and_of_all_classes(library: str, agnostic: bool) -> None:
    xp = opened(library)
    places, proposals, valid, truth = scene(xp)
    head = logic(reg_class_agnostic=agnostic)
    picks = regions(xp, (1, 2), places, proposals, valid, truth, None, ASSIGNER, RandomSampler(64, 0.5))
    rows = rows_of(xp, picks.boxes, picks.valid)
    labels, weights, wanted, _ = targets = head.targets(xp, picks, rows, 2.0)
    there = plain(rows.valid)
    count, positive = int(there.sum()), plain(labels) < 3
    assert set(plain(weights)[there & positive]) == {2.0} and set(plain(weights)[there & ~positive]) == {1.0}
    rng = np.random.default_rng(2)
    cls = rng.normal(size=(len(there), 4)).astype(np.float32)
    reg = rng.normal(size=(len(there), 4 if agnostic else 12)).astype(np.float32)
    losses = head.losses(xp, xp.asarray(cls, "float32"), xp.asarray(reg, "float32"), rows, targets)
    label = plain(labels)
    mine = reg if agnostic else reg.reshape(-1, 3, 4)[np.arange(len(label)), np.minimum(label, 2)]
    expected = np.abs(mine - plain(wanted))[positive].sum() / count
    assert float(losses["loss_bbox"]) == pytest.approx(expected, rel=1e-5)
    right = (cls.argmax(1) == label)[there].sum()
    assert float(losses["acc"]) == pytest.approx(100 * right / count, rel=1e-5)


def test_slots() -> None:
    assert slots_of(SAMPLER, 100, 5) == 8
    assert slots_of(SAMPLER, 2, 5) == 7
    assert slots_of(PseudoSampler(), 100, 5) == 100


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_boxes_without_area_give_finite_losses(library: str) -> None:
    xp = opened(library)
    places, proposals, valid, truth = scene(xp)
    flat = truth._replace(bboxes=xp.lib.concat([truth.bboxes[..., :2], truth.bboxes[..., :2]], axis=-1))
    picks = regions(xp, (1, 2), places, proposals, valid, flat, None, ASSIGNER, SAMPLER)
    rows = rows_of(xp, picks.boxes, picks.valid)
    count = len(plain(rows.index))
    cls, reg = xp.full((count, 4), 0.0, "float32"), xp.full((count, 12), 0.0, "float32")
    head = logic()
    losses = head.losses(xp, cls, reg, rows, head.targets(xp, picks, rows, -1))
    # as mmdet's: an object without area is coded as minus infinity where it is a region of its own
    assert np.isfinite(float(losses["loss_cls"]))
