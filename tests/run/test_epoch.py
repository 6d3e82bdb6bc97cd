"""A model that asks which epoch a batch is of is told: from the start, after an interruption, and where iterations count."""

import pytest
import torch

import fkit
from fkit.run.effect import WriteScalars
from tests.run.small import config, registry


class Asks(torch.nn.Module):
    """Its loss is the number of the epoch, or -1 where no batch says it."""

    wants_epoch = True

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs, samples=None, mode="tensor"):
        if mode != "loss":
            return inputs.flatten(1)[:, :10] + self.weight
        epoch = samples.targets.get("epoch", torch.full((len(inputs),), -1))
        assert epoch.shape == (len(inputs),) and epoch.dtype == torch.int64
        return {"loss": self.weight.sum() * 0 + epoch.float().mean()}


class Silent(Asks):
    """Does not ask."""

    wants_epoch = False


def losses(loop, model, stop=None, run=None, plan=None):
    """The plan, the run and what each step's loss was."""
    reg = registry().register("models", Asks).register("models", Silent)
    if plan is None:
        cfg = config(loop, model=dict(type=model, _delete_=True), val_dataloader=None, val_evaluator=None)
        plan = fkit.plan(cfg, reg)
    run, said = run or fkit.begin(plan), []
    for run, effects in fkit.train(plan, run, fkit.open_data(plan)):
        said += [effect.scalars["loss"] for effect in effects if isinstance(effect, WriteScalars)]
        if stop is not None and run.iteration >= stop:
            break
    return plan, run, said


@pytest.mark.parametrize("loop", ["epoch", "iter"])
def test_each_batch_says_its_epoch(loop):
    assert losses(loop, "Asks")[2] == [0] * 4 + [1] * 4 + [2] * 4


def test_a_run_that_goes_on_goes_on_counting():
    plan, run, before = losses("epoch", "Asks", stop=6)
    assert before == [0] * 4 + [1] * 2
    assert losses("epoch", "Asks", run=run, plan=plan)[2] == [1] * 2 + [2] * 4


def test_who_does_not_ask_is_not_told():
    assert losses("epoch", "Silent")[2] == [-1] * 12
