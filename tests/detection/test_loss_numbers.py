"""Losses that the book has no cases of: loss, sum of the gradient's magnitudes and its sixth number, as mmdet 3.3.0 computed
them in float64 of the same waves.
"""

import numpy as np
import pytest

import fkit
from tests.golden.replay.arithmetic import LIBRARIES, given, opened, plain, with_gradient

LABELS, WEIGHTS = np.array([0, 3, 4, 1, 4, 2]), np.array([1, 1, 1, 0.25, 1, 0.5])
SOFT = np.array([[0, 0.5, 1], [0.2, 0, 0], [1, 1, 0.9], [0, 0, 0]])
SOME = np.array([1.0, 1, 1, 0, 1, 0.5])
BOXES = np.array([[0, 0, 4, 4], [1, 1, 3, 6.0], [5, 5, 9, 9.0], [2, 2, 4, 4]])
OTHERS = np.array([[1, 0, 5, 3], [1, 2, 4, 6.0], [0, 0, 2, 1.0], [2, 2, 4, 4.0]])


def wave(*shape, scale=2.0, phase=0.0):
    return scale * np.sin(np.arange(np.prod(shape)) * 1.7 + phase).reshape(shape)


CHANCES = 1 / (1 + np.exp(-wave(4, 3)))
NEAR, MASK = wave(6, 4, scale=0.1, phase=1.0), np.round(wave(6, 4, scale=1.0, phase=2.0) > -0.5) * 1.0
CASES = (
    ({"type": "GHMC"}, wave(6, 4), (LABELS, SOME), {}, (0.820752301, 0.495297041, 0.017324898)),
    ({"type": "GHMC", "bins": 5, "momentum": 0.75, "loss_weight": 2.0}, wave(6, 4), (LABELS, SOME), {}, (6.974573663, 3.99130742, 0.221758696)),
    ({"type": "GHMR", "bins": 4, "momentum": 0.7}, wave(6, 4, scale=0.1), (NEAR, MASK), {}, (0.048475547, 1.774635078, 0.0)),
    ({"type": "KnowledgeDistillationKLDivLoss", "T": 4, "loss_weight": 0.5}, wave(3, 5), (wave(3, 5, phase=1.0), WEIGHTS[3:]), {}, (0.051471947, 0.067657044, 0.009653101)),
    ({"type": "GaussianFocalLoss", "pos_weight": 2.0, "neg_weight": 0.5}, CHANCES, (SOFT,), {}, (0.505939554, 2.881074749, 0.294552223)),
    ({"type": "GaussianFocalLoss", "pos_weight": 2.0, "neg_weight": 0.5}, CHANCES, (SOFT,), {"pos_inds": np.array([0, 2, 2]), "pos_labels": np.array([2, 0, 1]), "avg_factor": 3.0}, (2.023758135, 11.524298538, 1.178208843)),
    ({"type": "QualityFocalLoss"}, wave(4, 3), (SOFT,), {}, (1.309878366, 1.351849485, 0.247502887)),
    ({"type": "QualityFocalLoss", "activated": True}, CHANCES, (SOFT,), {"avg_factor": 2.0}, (2.619756576, 15.329405113, 3.53462646)),
    ({"type": "QualityFocalLoss", "activated": True}, CHANCES, ((np.array([2, 3, 0, 1]), np.array([0.5, 0, 0.3, 0.7])),), {}, (1.564387086, 9.503449907, 1.767313335)),
    ({"type": "VarifocalLoss", "iou_weighted": False, "gamma": 1.5}, wave(4, 3), (SOFT,), {}, (0.707677023, 0.417686017, 0.060742906)),
    ({"type": "SIoULoss", "neg_gamma": True}, BOXES, (OTHERS,), {}, (0.61138963, 0.215070624, -0.022778387)),
)  # fmt: skip


def built(cfg):
    return fkit.registry().build("models", cfg, scope="mmdet")


@pytest.fixture(params=LIBRARIES)
def xp(request):
    xp = opened(request.param)
    with xp.width([np.zeros(1)]):
        yield xp


@pytest.mark.parametrize("case", range(len(CASES)))
def test_numbers(xp, case):
    cfg, pred, args, more, expected = CASES[case]
    args, more = given(xp, (args, more))
    value, gradient = with_gradient(xp, lambda at: built(cfg)(xp, at, *args, **more), given(xp, pred))
    assert float(plain(value)) == pytest.approx(expected[0], rel=1e-7)  # running counts are float32
    if gradient is not None:
        gradient = plain(gradient).reshape(-1)
        assert (np.abs(gradient).sum(), gradient[5]) == pytest.approx(expected[1:], rel=1e-7, abs=2e-8)


def test_a_seesaw_remembers_what_it_saw(xp):
    loss = built({"type": "SeesawLoss", "num_classes": 4})
    state = given(xp, dict(loss.initial()))
    labels, weights = given(xp, (LABELS, WEIGHTS))
    value, state = loss.step(xp, state, given(xp, wave(6, 6)), labels, weights, None, None)
    assert {name: float(one) for name, one in value.items()} == pytest.approx(
        {"loss_cls_objectness": 1.284856025, "loss_cls_classes": 3.444158408}, abs=1e-8
    )
    later = given(xp, LABELS[[0, 0, 0, 3, 2, 5]])

    def total(at):
        return sum(loss.step(xp, state, at, later, weights, 5.0, None)[0].values())

    value, gradient = with_gradient(xp, total, given(xp, wave(6, 6, phase=0.5)))
    assert float(plain(value)) == pytest.approx(0.790692306 + 3.798369608, abs=1e-8)
    if gradient is not None:
        gradient = plain(gradient).reshape(-1)
        assert (np.abs(gradient).sum(), gradient[5]) == pytest.approx((1.773002934, 0.058775061), abs=1e-8)
    _, state = loss.step(xp, state, given(xp, wave(6, 6)), later, weights, 5.0, None)
    assert plain(state["cum_samples"]).tolist() == [4, 2, 2, 1, 3]


def test_a_seesaws_probabilities_and_accuracy(xp):
    loss = built({"type": "SeesawLoss", "num_classes": 4})
    chances = plain(loss.get_activation(xp, given(xp, wave(2, 6))))
    expected = [0.039046504, 0.283746995, 0.023421892, 0.006129566, 0.647655042]
    assert chances[0].tolist() == pytest.approx(expected, abs=1e-8)
    right = loss.get_accuracy(xp, given(xp, wave(6, 6)), given(xp, LABELS))
    assert {name: float(one) for name, one in right.items()} == pytest.approx(
        {"acc_objectness": 100 / 6, "acc_classes": 25.0}
    )


@pytest.mark.parametrize("kind", ["GHMC", "GHMR"])
def test_running_counts_of_bins(xp, kind):
    settings = {"GHMC": {"bins": 5, "momentum": 0.75, "loss_weight": 2.0}, "GHMR": {"bins": 4, "momentum": 0.7}}
    expected = {
        "GHMC": (3.597068066, [2.4375, 1.375, 1.375, 1.4375, 2.125]),
        "GHMR": (0.067300815, [0.51, 0.3, 0.72, 7.23]),
    }
    loss = built({"type": kind, **settings[kind]})
    state = given(xp, dict(loss.initial()))
    if kind == "GHMC":
        calls = [(wave(6, 4), LABELS, SOME), (wave(6, 4, phase=1.0), LABELS, SOME)]
    else:
        calls = [(wave(6, 4, scale=0.1), NEAR, MASK), (wave(6, 4, scale=0.2), NEAR, MASK)]
    for call in calls:
        value, state = loss.step(xp, state, *given(xp, call), None, None)
    assert float(plain(value)) == pytest.approx(expected[kind][0], rel=1e-7)  # counts are float32
    assert plain(state["acc_sum"]).tolist() == pytest.approx(expected[kind][1])
