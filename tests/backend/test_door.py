"""What a program's functions are given of the wrong kind, on either backend: one clear error, and the state stays."""

import numpy as np
import pytest

import fkit
from fkit.array.room import open as open_room
from fkit.structures import Batch
from fkit.training.optimizer import Optimizer
from fkit.training.spec import Spec
from fkit.tree.error import FkitTypeError, FkitValueError

_MODEL = {
    "type": "ImageClassifier",
    "backbone": {"type": "MLP", "in_channels": 4, "hidden": [3]},
    "head": {"type": "LinearClsHead", "num_classes": 10, "in_channels": 3},
}


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_arguments_of_a_wrong_kind_are_one_clear_error(backend):
    registry = fkit.registry()
    program = open_room(backend).program(
        Spec(
            lambda name: fkit.build(fkit.Config(_MODEL), registry, "models", backend=name),
            {"main": Optimizer.of("SGD", {"lr": 0.1})},
            device="cpu",
            example=lambda: np.zeros((1, 1, 2, 2), np.float32),
        )
    )
    state, numbers = program.init(0), program.hyperparams()
    batch = Batch(np.zeros((2, 1, 2, 2), np.float32), {"gt_label": np.zeros(2, int)})
    cases = [
        (program.train_step, (state, None, numbers), "`batch` is a Batch, not None"),
        (program.train_step, (state, {"inputs": 1}, numbers), "`batch` is a Batch, not the dict"),
        (program.train_step, (None, batch, numbers), "`state` is a TrainState, not None"),
        (program.train_step, (state, batch, None), "`hyperparams` are a mapping of names to arrays, not None"),
        (program.train_step, (state, batch, {**numbers, "lr": 0.1}), r"hyperparams\['lr'\] is 0.1: it is an array"),
        (program.train_step, (state, batch, {**numbers, "lr": [0.1]}), r"hyperparams\['lr'\] is \[0.1\]: it is an"),
        (program.train_step, (state, batch, {**numbers, "lr": np.zeros(2)}), r"'lr'\] has shape \(2,\): it is an"),
        (program.predict, (state, None), "`batch` is a Batch, not None"),
        (program.predict, (3, batch), "`state` is a TrainState, not the int 3"),
        (program.loss, (state, None, (1, 2)), "`batch` is a Batch"),
        (program.loss, (None, batch, (1, 2)), "`state` is a TrainState"),
        *((program.loss, (state, batch, key), "A key is two words") for key in (None, "ab", 3, (1,), ("a", "b"))),
        (program.collect, (None,), "`state` is a TrainState"),
        (program.convert, (None, "torch"), "`state` is a TrainState"),
        (program.load, (state, None), "`arrays` are a mapping of names to arrays"),
        (program.restore, (3,), "`arrays` are a mapping of paths to arrays"),
    ]
    for call, arguments, told in cases:
        with pytest.raises((FkitTypeError, FkitValueError), match=told):
            call(*arguments)
    assert not state.consumed
    program.train_step(state, batch, numbers)


def test_what_is_no_array_in_a_batch_is_told_on_jax():
    program = open_room("jax").program(
        Spec(
            lambda name: fkit.build(fkit.Config(_MODEL), fkit.registry(), "models", backend=name),
            {"main": Optimizer.of("SGD", {"lr": 0.1})},
            device="cpu",
            example=lambda: np.zeros((1, 1, 2, 2), np.float32),
        )
    )
    for batch in (Batch("abc"), Batch(np.zeros((2, 1, 2, 2)), {"name": "cat"})):
        with pytest.raises(FkitTypeError, match="a batch holds arrays, in mappings, sequences and elements, not"):
            program.predict(program.init(0), batch)
