"""Losses that remember, inside of models: the same buffers, numbers and states on torch and JAX."""

from typing import Any

import jax
import numpy as np
import pytest
import torch
from flax import linen

from fkit.backend.jax.ops import JaxOps
from fkit.backend.torch.ops import Torch
from fkit.detection.loss.base import called
from fkit.detection.loss.memory import GHMC, GHMR, SeesawLoss
from fkit.zoo.flax.memory import Memory as FlaxMemory
from fkit.zoo.torch.memory import Memory as TorchMemory

_SEESAW = {"type": "SeesawLoss", "num_classes": 3}
_ROIS = np.sin(np.arange(96.0)).reshape(6, 4, 2, 2)


def test_a_box_head_keeps_the_state(built_twins: Any) -> None:
    cfg = {"type": "BBoxHead", "num_classes": 3, "in_channels": 4, "roi_feat_size": 2, "loss_cls": _SEESAW}
    built_twins(cfg, _ROIS, False)


class _Holder(linen.Module):
    loss: Any

    def __call__(self, pred: Any, target: Any, weight: Any) -> Any:
        return called(self.loss, JaxOps(), pred, target, weight)


@pytest.mark.parametrize(
    ("loss", "target", "width"),
    [
        (GHMC(bins=4, momentum=0.5), np.array([0, 3, 1, 2]), 3),
        (GHMR(bins=4, momentum=0.5), np.cos(np.arange(12.0)).reshape(4, 3) / 9, 3),
        (SeesawLoss(num_classes=3, return_dict=False), np.array([0, 3, 1, 2]), 5),
    ],
    ids=["ghmc", "ghmr", "seesaw"],
)
def test_a_state_goes_on_in_training_alone(loss: Any, target: np.ndarray, width: int) -> None:
    pred = np.sin(np.arange(4.0 * width)).reshape(4, width).astype(np.float32)
    target = target.astype(np.float32) if target.ndim > 1 else target.astype(np.int32)
    weight = np.ones_like(target, np.float32)
    mine, holder = TorchMemory(loss), _Holder(FlaxMemory(loss))
    arrays = [torch.from_numpy(one) for one in (pred, target, weight)]
    variables: Any = {"batch_stats": {"loss": {name: np.asarray(one) for name, one in loss.initial().items()}}}
    before = {name: one.clone() for name, one in mine.named_buffers()}
    assert list(before) == list(loss.initial())

    for train in (True, True, False):
        mine.train(train)
        value = called(mine, Torch(), *arrays)
        if train:
            other, variables = holder.apply(variables, pred, target, weight, mutable=["batch_stats"])
        else:
            kept = jax.tree.map(np.array, variables)
            other = holder.apply(variables, pred, target, weight)
            jax.tree.map(np.testing.assert_array_equal, kept, variables)
        assert float(value) == pytest.approx(float(other), rel=1e-5)
        for name, one in mine.named_buffers():
            np.testing.assert_allclose(one.numpy(), variables["batch_stats"]["loss"][name], rtol=1e-6)
    moved = [name for name, one in mine.named_buffers() if not torch.equal(one, before[name])]
    assert moved == ["cum_samples" if isinstance(loss, SeesawLoss) else "acc_sum"]
    expected = loss.step(Torch(), {name: one.clone() for name, one in mine.named_buffers()}, *arrays, None, None)[0]
    assert float(value) == pytest.approx(float(expected), rel=1e-6)


def test_a_memory_says_what_its_loss_says() -> None:
    loss = SeesawLoss(num_classes=3)
    for mine in (TorchMemory(loss), FlaxMemory(loss)):
        assert mine.custom_activation and mine.custom_cls_channels
        assert mine.get_cls_channels(3) == 5
