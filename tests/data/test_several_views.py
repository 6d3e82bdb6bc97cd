"""Batches of several pictures a sample, through a whole run: MultiView, preprocessors, both backends."""

from typing import Any

import numpy as np
import pytest
from flax import linen
from jax import numpy as jnp
from torch import nn

import fkit
from fkit.array.room import open as open_room
from fkit.backend.jax.feed import sent
from fkit.data.identity import describe
from fkit.tree.error import FkitError

VIEW = [dict(type="ShiftScaleRotate", shift_limit=0.1)]
STEPS = [
    dict(type="MultiView", num_views=[1, 2], transforms=[VIEW, [dict(type="Resize", scale=6)]]),
    dict(type="PackInputs"),
]


class Views(nn.Module):
    """Three views of an image should look alike."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.fc = nn.Linear(4, 10)

    def forward(self, inputs: Any, samples: Any = None, mode: str = "tensor") -> Any:
        first, *others = (self.fc(self.conv(view).relu().mean((2, 3))) for view in inputs)
        if mode == "loss":
            return {"loss": sum(((first - one) ** 2).mean() for one in others)}
        return {"pred_score": first.softmax(1)} if mode == "predict" else first


class FlaxViews(linen.Module):
    """The same model."""

    @linen.compact
    def __call__(self, inputs: Any, samples: Any = None, mode: str = "tensor", train: bool = False) -> Any:
        conv, fc = linen.Conv(4, (3, 3), padding="VALID", name="conv"), linen.Dense(10, name="fc")
        first, *others = (fc(linen.relu(conv(jnp.moveaxis(view, 1, -1))).mean((1, 2))) for view in inputs)
        if mode == "loss":
            return {"loss": sum(((first - one) ** 2).mean() for one in others)}
        return {"pred_score": linen.softmax(first)} if mode == "predict" else first


def plan(backend: str, preprocessor: dict[str, Any]) -> Any:
    registry = fkit.registry().register("models", Views, backend="torch")
    registry = registry.register("models", FlaxViews, name="Views", backend="jax")
    data = dict(batch_size=40, dataset=dict(type="Digits", split="test", pipeline=STEPS))
    cfg = dict(
        model=dict(type="Views", data_preprocessor=preprocessor),
        train_dataloader=dict(data, shuffle=True, num_batch_per_epoch=3),
        val_dataloader=data,
        val_evaluator=dict(type="Accuracy"),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        seed=0,
        device="cpu",
        dtype="float64",
    )
    return fkit.plan(fkit.Config(cfg), registry, backend=backend)


def test_several_views_a_sample_go_through_a_run_on_both_backends():
    ends, first = [], None
    for backend in ("torch", "jax"):
        made = plan(backend, dict(type="SelfSupDataPreprocessor", mean=[3.0], std=[4.0]))
        run = fkit.begin(made)
        first = first or made.program.collect(run.train)
        run = run._replace(train=made.program.restore(first))
        for run, _ in fkit.train(made, run, fkit.open_data(made)):
            pass
        ends.append((made.program.collect(run.train), run.metrics))
    for path, array in ends[0][0].items():
        np.testing.assert_allclose(ends[1][0][path], array, rtol=1e-9, atol=1e-12, err_msg=path)
    assert ends[0][1] == ends[1][1] and not np.array_equal(ends[0][0]["params/fc.weight"], first["params/fc.weight"])


def test_a_batch_of_views_is_counted_fed_and_described():
    batch = fkit.Batch((np.zeros((2, 1, 4, 4)), [np.zeros((2, 5))]), {"pair": (np.ones(2), np.zeros(2))})
    assert len(batch) == 2
    (there,) = sent(iter([batch]), None)
    assert [one.shape for one in (there.inputs[0], there.inputs[1][0], *there.targets["pair"])] == [
        (2, 1, 4, 4),
        (2, 5),
        (2,),
        (2,),
    ]
    other = fkit.Batch((np.zeros((2, 1, 4, 4)), [np.ones((2, 5))]), {"pair": (np.ones(2), np.zeros(2))})
    one, two = (describe(fkit.Source.of([item])) for item in (batch, other))
    assert one["samples"] == 2 and one["digest"] != two["digest"]
    with pytest.raises(FkitError, match="the batch has no inputs"):
        len(fkit.Batch(()))


def test_torch_counts_the_work_of_views():
    made = plan("torch", dict(type="SelfSupDataPreprocessor"))
    batch = next(iter(fkit.open_data(made)["val"].batches(0)))
    state = made.program.init(0)
    assert (open_room("torch").work(made.program, state, batch) or 0) > 0


def test_what_mixes_images_says_that_there_are_several():
    made = plan(
        "torch",
        dict(type="ClsDataPreprocessor", num_classes=10, batch_augments=dict(augments=dict(type="Mixup", alpha=0.2))),
    )
    with pytest.raises(FkitError, match="this batch has several inputs a sample"):
        for _ in fkit.train(made, fkit.begin(made), fkit.open_data(made)):
            pass
