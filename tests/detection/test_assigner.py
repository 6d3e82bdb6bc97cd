"""Assigners against what MMDetection's gave, on numpy, torch and JAX; with objects that pad, and priors that do not count."""

import json
from pathlib import Path

import numpy as np
import pytest

import fkit
from fkit.detection.assigner import MaxIoUAssigner, Truth
from fkit.tree.error import FkitError
from tests.golden.replay.arithmetic import LIBRARIES, opened, plain

CASES = json.loads((Path(__file__).parent / "recorded" / "assign.json").read_text())["cases"]


def built(cfg):
    return fkit.registry().build("task_utils", cfg, scope="mmdet")


def truth_of(xp, boxes, labels, padding=0):
    count = len(boxes)
    boxes = np.concatenate(
        [np.array(boxes, np.float32).reshape(-1, 4), np.full((padding, 4), [0, 0, 40, 40], np.float32)]
    )
    labels = np.concatenate([np.array(labels, np.int64), np.zeros(padding, np.int64)])
    return Truth(
        xp.asarray(boxes, "float32"), xp.asarray(labels, "int64"), xp.asarray(np.arange(len(boxes)) < count, "bool")
    )


@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("number", range(len(CASES)))
def test_what_was_recorded(number, library, padding):
    xp, case = opened(library), CASES[number]
    truth = truth_of(xp, case["gt_bboxes"], case["gt_labels"], padding)
    more = {key: value for key, value in case["more"].items() if key != "num_level_priors"}
    flags = ("responsible_flags",)
    pred = {key: xp.asarray(np.array(one), "bool" if key in flags else "float32") for key, one in case["pred"].items()}
    priors = xp.asarray(np.array(case["priors"]), "float32")
    ignored = None if case["ignore"] is None else truth_of(xp, case["ignore"], [0], padding)
    found = built(case["cfg"]).assign(
        xp, priors, truth, ignored=ignored, counts=case["more"].get("num_level_priors"), pred=pred, **more
    )
    assert plain(found.gt).tolist() == case["gt_inds"]
    assert plain(found.labels).tolist() == case["labels"]
    if case["overlap"] is not None:
        np.testing.assert_allclose(plain(found.overlap), case["overlap"], rtol=1e-5, atol=1e-6)
    if "metric" in case:
        np.testing.assert_allclose(plain(found.metric), case["metric"], rtol=1e-4, atol=1e-6)
    if "shadowed" in case:
        place, row = plain(found.shadow).nonzero()
        pairs = sorted(zip(place.tolist(), np.array(case["gt_labels"])[row].tolist(), strict=True))
        assert pairs == sorted((place, label) for place, label in case["shadowed"])


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("number", range(len(CASES)))
def test_priors_that_do_not_count_are_as_if_they_were_not_there(number, library):
    xp, case = opened(library), CASES[number]
    keep = np.random.default_rng(number).random(len(case["priors"])) < 0.6
    truth = truth_of(xp, case["gt_bboxes"], case["gt_labels"], 1)
    flags = ("responsible_flags",)
    pred = {key: xp.asarray(np.array(one), "bool" if key in flags else "float32") for key, one in case["pred"].items()}
    part = {key: xp.asarray(plain(one)[keep], one) for key, one in pred.items()}
    priors, assigner = np.array(case["priors"], np.float32), built(case["cfg"])
    counts = case["more"].get("num_level_priors")
    levels = None if counts is None else [int(one.sum()) for one in np.split(keep, np.cumsum(counts)[:-1])]
    masked = assigner.assign(
        xp, xp.asarray(priors, "float32"), truth, valid=xp.asarray(keep, "bool"), counts=counts, pred=pred
    )
    alone = assigner.assign(xp, xp.asarray(priors[keep], "float32"), truth, counts=levels, pred=part)
    assert plain(masked.gt)[keep].tolist() == plain(alone.gt).tolist()
    assert (plain(masked.gt)[~keep] == -1).all() and (plain(masked.labels)[~keep] == -1).all()


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("number", range(len(CASES)))
@pytest.mark.parametrize("padding", [0, 2])
def test_without_an_object_every_prior_is_negative(number, library, padding):
    xp, case = opened(library), CASES[number]
    flags = ("responsible_flags",)
    pred = {key: xp.asarray(np.array(one), "bool" if key in flags else "float32") for key, one in case["pred"].items()}
    found = built(case["cfg"]).assign(
        xp, xp.asarray(np.array(case["priors"]), "float32"), truth_of(xp, [], [], padding), pred=pred
    )
    assert (plain(found.gt) == 0).all() and (plain(found.labels) == -1).all() and (plain(found.overlap) == 0).all()


@pytest.mark.parametrize("arguments", [{"neg_iou_thr": "0.3"}, {"neg_iou_thr": (0.4, 0.1)}, {"neg_iou_thr": [1, 2, 3]}])
def test_thresholds_that_say_nothing_are_refused(arguments):
    with pytest.raises(FkitError, match="neg_iou_thr"):
        MaxIoUAssigner(pos_iou_thr=0.5, **arguments)


def test_a_batch_is_assigned_and_sampled_inside_of_a_compiled_step_as_on_the_host():
    jax = pytest.importorskip("jax")
    from fkit.array.ops import Numpy
    from fkit.detection.sampler import RandomSampler

    rng = np.random.default_rng(0)
    assigner, sampler = MaxIoUAssigner(0.5, 0.4, 0.2), RandomSampler(24, 0.25)
    low = rng.random((2, 205, 2), dtype=np.float32) * 60
    boxes = np.concatenate([low, low + rng.random((2, 205, 2), dtype=np.float32) * 40], -1)
    present = np.array([[1, 1, 1, 0, 0], [0, 0, 0, 0, 0]], bool)
    images = np.array([4, 5], np.uint32)

    def batch(xp, boxes, present, images):
        def one(priors, gts, valid, image):
            found = assigner.assign(xp, priors, Truth(gts, xp.arange(5), valid))
            return found.gt, found.labels, *sampler.choose(xp, (7, 8), found.gt, image=image)

        return xp.each(one, boxes[:, 5:], boxes[:, :5], present, images)

    compiled = jax.jit(lambda *arrays: batch(opened("jax"), *arrays))(boxes, present, images)
    for one, other in zip(compiled, batch(Numpy(), boxes, present, images), strict=True):
        assert np.array_equal(np.asarray(one), other)
    assert np.asarray(compiled[2]).sum(1).tolist()[1] == 0 and np.asarray(compiled[3]).sum(1).tolist()[1] == 24
