"""Samplers: how many they choose, of which, and the same on numpy, torch and JAX."""

import numpy as np
import pytest

import fkit
from fkit.array.ops import Numpy
from fkit.detection.sampler import RandomSampler
from fkit.tree.error import FkitError
from tests.golden.replay.arithmetic import LIBRARIES, opened, plain

CONFIGS = (
    {"type": "RandomSampler", "num": 60, "pos_fraction": 0.25},
    {"type": "RandomSampler", "num": 60, "pos_fraction": 0.5, "neg_pos_ub": 1.5},
    {"type": "InstanceBalancedPosSampler", "num": 60, "pos_fraction": 0.25},
    {"type": "IoUBalancedNegSampler", "num": 60, "pos_fraction": 0.25},
    {"type": "IoUBalancedNegSampler", "num": 60, "pos_fraction": 0.25, "floor_thr": 0, "floor_fraction": 0.25},
    {
        "type": "IoUBalancedNegSampler",
        "num": 60,
        "pos_fraction": 0.25,
        "floor_thr": 0.1,
        "floor_fraction": 0.5,
        "num_bins": 1,
    },
    {"type": "OHEMSampler", "num": 60, "pos_fraction": 0.25},
    {
        "type": "CombinedSampler",
        "num": 60,
        "pos_fraction": 0.25,
        "add_gt_as_proposals": True,
        "pos_sampler": {"type": "InstanceBalancedPosSampler"},
        "neg_sampler": {"type": "IoUBalancedNegSampler", "floor_thr": -1, "floor_fraction": 0, "num_bins": 3},
    },
)


def built(cfg):
    return fkit.registry().build("task_utils", cfg)


def image(count=400):
    rng = np.random.default_rng(3)
    gt = np.concatenate([np.full(80, 1), np.full(6, 2), np.full(30, 3), np.full(14, -1), np.zeros(count - 130, int)])
    overlap = np.where(gt == 0, np.maximum(rng.random(count) * 0.7 - 0.3, 0), 0.5 + rng.random(count) / 2)
    order = rng.permutation(count)
    return gt[order], overlap[order].astype(np.float32), rng.random(count).astype(np.float32)


def chosen(xp, sampler, key=(1, 2), place=0, valid=None):
    gt, overlap, losses = image()
    more = {"overlap": xp.asarray(overlap, "float32"), "losses": xp.asarray(losses, "float32")}
    valid = None if valid is None else xp.asarray(valid, "bool")
    found = sampler.choose(xp, key, xp.asarray(gt, "int64"), image=place, valid=valid, **more)
    return tuple(plain(one) for one in found)


@pytest.mark.parametrize("cfg", CONFIGS)
def test_so_many_are_chosen_of_what_may_be(cfg):
    gt, _, _ = image()
    valid = np.arange(len(gt)) % 3 > 0
    sampler = built(cfg)
    positive, negative = chosen(Numpy(), sampler, valid=valid)
    most = int(cfg["num"] * cfg["pos_fraction"])
    assert positive.sum() == most and negative.sum() == min(60 - most, int(cfg.get("neg_pos_ub", 99) * most))
    assert (gt[positive] > 0).all() and (gt[negative] == 0).all() and valid[positive | negative].all()


@pytest.mark.parametrize("library", LIBRARIES[1:])
@pytest.mark.parametrize("cfg", CONFIGS)
def test_each_library_chooses_the_same(cfg, library):
    for one, other in zip(chosen(Numpy(), built(cfg)), chosen(opened(library), built(cfg)), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("cfg", CONFIGS[:4])
def test_another_key_and_another_image_are_another_draw(cfg):
    sampler = built(cfg)
    draws = [
        chosen(Numpy(), sampler, key, place) for key, place in (((1, 2), 0), ((1, 3), 0), ((1, 2), 1), ((1, 2), 0))
    ]
    assert all(np.array_equal(one, other) for one, other in zip(draws[0], draws[3], strict=True))
    for at in (1, 2):
        assert not np.array_equal(draws[0][1], draws[at][1])


def test_each_object_has_its_share():
    gt, _, _ = image()
    positive, _ = chosen(Numpy(), built(CONFIGS[2]))
    counts = np.bincount(gt[positive], minlength=4)
    assert counts[2] >= 4 and counts[1] <= 6 and counts[3] <= 6  # round(15 / 3) + 1 of each, 15 of these


def test_each_interval_of_overlaps_has_its_share():
    _, overlap, _ = image()
    _, negative = chosen(Numpy(), built(CONFIGS[3]))
    step = overlap.max() / 3
    counts = [((overlap[negative] >= at * step) & (overlap[negative] < (at + 1) * step)).sum() for at in range(3)]
    assert counts[1] >= 15 and sum(counts) == 45  # 45 // 3 of each; there is none in the last


def test_a_floor_has_its_share():
    _, overlap, _ = image()
    _, negative = chosen(Numpy(), built(CONFIGS[4]))
    assert (overlap[negative] > 0).sum() == int(45 * 0.75)


def test_the_greatest_losses_are_chosen():
    gt, _, losses = image()
    positive, negative = chosen(Numpy(), built(CONFIGS[6]))
    for mask, candidates in ((positive, gt > 0), (negative, gt == 0)):
        assert losses[mask].min() > losses[candidates & ~mask].max()


def test_few_candidates_are_all_chosen():
    gt = np.array([0, 1, -1, 0, 2])
    for cfg in CONFIGS:
        more = {"overlap": np.zeros(5, np.float32), "losses": np.ones(5, np.float32)}
        positive, negative = built({**cfg, "neg_pos_ub": -1}).choose(Numpy(), (1, 2), gt, image=0, **more)
        assert positive.tolist() == (gt > 0).tolist() and negative.tolist() == (gt == 0).tolist()


@pytest.mark.parametrize("word", ["OHEMSampler", "IoUBalancedNegSampler"])
def test_what_a_sampler_asks_for_is_missed(word):
    with pytest.raises(FkitError, match="asks for"):
        built({"type": word, "num": 4, "pos_fraction": 0.5}).choose(Numpy(), (1, 2), np.array([0, 1, 0]), image=0)


def test_a_fraction_above_one_is_refused():
    with pytest.raises(FkitError, match="pos_fraction"):
        RandomSampler(4, 1.5)
