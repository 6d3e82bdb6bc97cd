"""The hook by value: what it is told, what it asks for."""

import numpy as np
import pytest

import fkit
from experiments.script.hook import BoldDriver
from fkit.run.event import Step


class At:
    """Of a run, what the hook reads."""

    hyperparams = {"lr": np.array([0.1, 0.2])}


def told(hook, memory, *losses):
    steps = tuple(Step(number, {"loss": loss}) for number, loss in enumerate(losses, 1))
    return hook.after_train_epoch(memory, At(), fkit.Event("after_train_epoch", window=steps))


def test_the_first_epoch_is_remembered_and_changes_nothing():
    assert told(BoldDriver(), BoldDriver().memory(), 2.0, 1.0) == (fkit.Memory(exact=1.5), ())


@pytest.mark.parametrize(("loss", "want"), [(1.0, [0.2, 0.4]), (2.0, [0.05, 0.1]), (1.5, [0.05, 0.1])])
def test_the_rate_rises_while_the_loss_falls(loss, want):
    memory, (change, said) = told(BoldDriver(up=2.0), fkit.Memory(exact=1.5), loss)
    assert memory.exact == loss and change.values["lr"].tolist() == want
    assert said.text == f"loss 1.5000 -> {loss:.4f}: lr {want[0]:.2e}"
