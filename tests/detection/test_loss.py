"""Losses over any library: what they refuse, what they leave out, and losses of one's own."""

from functools import partial

import numpy as np
import pytest

import fkit
from fkit.detection.loss.base import called
from fkit.tree.error import FkitTypeError, FkitValueError
from tests.golden.replay.arithmetic import LIBRARIES, opened, plain, with_gradient


@pytest.fixture(params=LIBRARIES)
def xp(request):
    return opened(request.param)


def built(name, **settings):
    return fkit.registry().build("models", {"type": name, **settings}, scope="mmdet")


def of(xp, values, kind="float32"):
    return xp.asarray(np.array(values), kind)


def scores(xp, rows=3, classes=4):
    return of(xp, np.sin(np.arange(rows * classes)).reshape(rows, classes))


REGIONS = ("IoULoss", "GIoULoss", "DIoULoss", "CIoULoss", "EIoULoss", "SIoULoss", "BoundedIoULoss")


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "FocalLoss"])
@pytest.mark.parametrize("label", [-1, 5, 9])
def test_a_label_that_is_no_class(xp, name, label):
    with pytest.raises(FkitValueError, match=r"labels are from .* there are \d classes"):
        built(name)(xp, scores(xp), of(xp, [0, 1, label], "int64"))


@pytest.mark.parametrize("name", ["L1Loss", "SmoothL1Loss", "MSELoss", "BalancedL1Loss", *REGIONS, "DiceLoss", "VarifocalLoss"])  # fmt: skip
def test_shapes_that_differ(xp, name):
    with pytest.raises(FkitTypeError, match="shape"):
        built(name)(xp, scores(xp, 3), scores(xp, 2))


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "FocalLoss"])
def test_labels_are_one_a_row(xp, name):
    with pytest.raises(FkitTypeError, match=r"Give one label a row"):
        built(name)(xp, scores(xp), of(xp, [0, 1], "int64"))


@pytest.mark.parametrize("name", ["L1Loss", *REGIONS])
def test_a_weight_that_does_not_fit(xp, name):
    with pytest.raises(FkitTypeError, match=r"weight of (the )?shape"):
        built(name)(xp, scores(xp), scores(xp), of(xp, [1, 1]))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("L1Loss", {"reduction": "average"}),
        ("L1Loss", {"loss_weight": "1"}),
        ("FocalLoss", {"use_sigmoid": False}),
        ("CrossEntropyLoss", {"use_sigmoid": True, "use_mask": True}),
        ("VarifocalLoss", {"alpha": -1}),
        ("KnowledgeDistillationKLDivLoss", {"T": 0.5}),
        ("SeesawLoss", {"use_sigmoid": True}),
        ("CrossEntropyCustomLoss", {"use_sigmoid": True}),
        ("FocalCustomLoss", {}),
    ],
)
def test_settings_that_are_refused(name, settings):
    with pytest.raises(FkitValueError):
        built(name, **settings)


def test_masks_are_chosen_by_labels(xp):
    masks, target = of(xp, np.sin(np.arange(48)).reshape(3, 4, 2, 2)), of(xp, np.arange(12).reshape(3, 2, 2) % 2)
    loss = built("CrossEntropyLoss", use_mask=True)
    value = loss(xp, masks, target, of(xp, [1, 3, 0], "int64"))
    x, t = plain(masks)[[0, 1, 2], [1, 3, 0]], plain(target)
    rows = (np.logaddexp(0, x) - x * t).mean((1, 2))
    assert float(value) == pytest.approx(rows.mean(), rel=1e-6)
    padded = loss(xp, masks, target, of(xp, [1, 3, 99], "int64"), valid=of(xp, [1, 1, 0], "bool"))
    assert float(padded) == pytest.approx(rows[:2].mean(), rel=1e-6)
    none = loss(xp, masks, target, of(xp, [1, 3, 0], "int64"), valid=of(xp, [0, 0, 0], "bool"))
    assert float(none) == 0
    # as mmdet: not the weight of positives, but of every pixel
    heavy = built("CrossEntropyLoss", use_mask=True, class_weight=[3.0])
    assert float(heavy(xp, masks, target, of(xp, [1, 3, 0], "int64"))) == pytest.approx(3 * rows.mean(), rel=1e-6)
    columns = built("CrossEntropyLoss", use_mask=True, class_weight=[1.0, 0.0])(
        xp, masks, target, of(xp, [1, 3, 0], "int64")
    )
    first = (np.logaddexp(0, x) - x * t)[..., 0]
    assert float(columns) == pytest.approx(first.mean() / 2, rel=1e-6)


@pytest.mark.parametrize("name", REGIONS)
def test_rows_of_weight_0_have_no_gradient_whatever_is_in_them(xp, name):
    boxes = of(xp, [[0, 0, 4, 4], [0, 0, 0, 0], [np.inf, 0, np.nan, 3], [5, 5, 3, 3]])
    target = of(xp, [[1, 1, 4, 5], [0, 0, 0, 0], [0, 0, 1, 1], [9, 9, 9, 9]])
    weight = of(xp, [1, 0, 0, 0])
    value, gradient = with_gradient(xp, lambda at: built(name)(xp, at, target, weight, 1.0), boxes)
    alone = built(name)(xp, boxes[:1], target[:1], avg_factor=1.0)
    assert float(plain(value)) == pytest.approx(float(plain(alone)), rel=1e-5)
    if gradient is not None:
        assert np.isfinite(plain(gradient)).all()
        assert not plain(gradient)[1:].any()


def test_without_a_row_a_mean_is_0(xp):
    for name, width in (("CrossEntropyLoss", None), ("L1Loss", 4), ("GIoULoss", 4)):
        shape = (0,) if width is None else (0, width)
        target = of(xp, np.zeros(shape), "int64" if width is None else "float32")
        assert float(built(name)(xp, of(xp, np.zeros((0, 4))), target)) == 0


def test_a_large_logit_costs_what_it_says(xp):
    logits, labels = of(xp, [[1000.0, -1000.0]]), of(xp, [1], "int64")
    assert float(built("CrossEntropyLoss")(xp, logits, labels)) == 2000
    assert float(built("CrossEntropyLoss", use_sigmoid=True, reduction="sum")(xp, logits, labels)) == 2000
    value, gradient = with_gradient(xp, lambda at: built("FocalLoss", reduction="sum")(xp, at, labels), logits)
    assert float(plain(value)) == 1000
    assert gradient is None or np.isfinite(plain(gradient)).all()


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "FocalLoss", "QualityFocalLoss", "L1Loss", "GIoULoss"])
def test_halves_are_computed_as_floats(xp, name):
    half = xp.cast(scores(xp, 4, 4), "float16")
    target = (
        of(xp, [0, 1, 2, 3], "int64") if name in ("CrossEntropyLoss", "FocalLoss") else xp.cast(half, "float32") * 0
    )
    assert "float32" in str(built(name)(xp, half, target).dtype)


def test_losses_of_ones_own(xp):
    def mine(pred, target, weight=None, avg_factor=None):
        return ((pred - target) ** 2).sum() / (avg_factor or 1)

    value = called(mine, xp, scores(xp), scores(xp) + 1, avg_factor=2)
    assert float(value) == pytest.approx(6, rel=1e-6)
    assert float(called(built("MSELoss"), xp, scores(xp), scores(xp) + 1)) == pytest.approx(1, rel=1e-6)


def test_a_module_of_ones_own():
    import torch

    class Mine(torch.nn.Module):
        def forward(self, pred, target, weight=None, avg_factor=None):
            return (pred - target).abs().sum()

    xp = opened("torch")
    assert float(called(Mine(), xp, torch.ones(3), torch.zeros(3))) == 3


def test_under_a_trace_labels_out_of_range_are_no_number():
    import jax

    xp = opened("jax")
    loss = jax.jit(partial(built("CrossEntropyLoss"), xp))
    assert np.isnan(loss(scores(xp), of(xp, [0, 1, 9], "int64")))
    assert np.isnan(loss(scores(xp), of(xp, [0, 1, -1], "int64")))
    assert np.isfinite(loss(scores(xp), of(xp, [0, 1, -100], "int64")))


def test_accuracy_of_the_rows_that_count(xp):
    accuracy = built("Accuracy", topk=(1, 2))
    pred = of(xp, [[0.1, 0.9, 0.0], [0.5, 0.4, 0.1], [0.2, 0.3, 0.5]])
    labels = of(xp, [1, 1, 3], "int64")
    assert [float(one) for one in accuracy(xp, pred, labels)] == pytest.approx([100 / 3, 200 / 3])
    two = accuracy(xp, pred, labels, of(xp, [1, 1, 0], "bool"))
    assert [float(one) for one in two] == pytest.approx([50, 100])
    assert [float(one) for one in accuracy(xp, pred, labels, of(xp, [0, 0, 0], "bool"))] == [0, 0]


@pytest.mark.parametrize("sigmoid", [True, False])
def test_a_custom_loss_tells_its_scores(xp, sigmoid):
    loss = built("CrossEntropyCustomLoss", use_sigmoid=sigmoid, num_classes=3)
    count = loss.get_cls_channels(3)
    assert count == (3 if sigmoid else 4)
    chances = plain(loss.get_activation(xp, scores(xp, 3, count) - 3))
    assert chances.shape == (3, 4)
    assert chances.sum(1) == pytest.approx(1, rel=1e-5)
    right = loss.get_accuracy(xp, scores(xp, 3, count), of(xp, [2, 3, 2], "int64"))
    expected = (np.sin(np.arange(3 * count)).reshape(3, count)[[0, 2], :3].argmax(1) == 2).mean() * 100
    assert float(right["acc_classes"]) == pytest.approx(expected)
    with pytest.raises(FkitValueError, match="that of its head is 4"):
        loss.get_cls_channels(4)


@pytest.mark.parametrize("name", ["GHMC", "SeesawLoss", "VarifocalLoss", "DistributionFocalLoss"])
def test_what_a_compiler_sees_is_what_is_computed(name):
    import jax

    xp = opened("jax")
    settings = {"SeesawLoss": {"num_classes": 2, "return_dict": False}}.get(name, {})
    target = {
        "GHMC": of(xp, [0, 4, 2], "int64"),
        "SeesawLoss": of(xp, [0, 2, 1], "int64"),
        "VarifocalLoss": of(xp, np.eye(4)[:3] / 2),
        "DistributionFocalLoss": of(xp, [0.0, 2.5, 3.0]),
    }[name]
    loss = partial(built(name, **settings), xp)
    assert float(jax.jit(loss)(scores(xp), target)) == pytest.approx(float(loss(scores(xp), target)), rel=1e-6)
