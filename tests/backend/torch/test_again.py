"""Parts that the backward pass computes again: the same numbers, statistics that see a batch once, masks drawn once."""

import numpy as np
import pytest

import fkit
from fkit.tree.error import FkitError
from tests.run.small import config, registry


def trained(**changes):
    plan = fkit.plan(config(dtype="float64", val_dataloader=None, val_evaluator=None, **changes), registry())
    for run, _ in fkit.train(plan, fkit.begin(plan), fkit.open_data(plan)):
        pass
    return {name: plan.room.numpy(array) for name, array in {**run.train.params, **run.train.buffers}.items()}


def test_a_run_is_the_same_with_its_backbone_computed_again():
    plain, again = trained(), trained(activation_checkpointing=["backbone"])
    assert plain.keys() == again.keys()
    for name, array in plain.items():
        np.testing.assert_allclose(again[name], array, rtol=1e-12, err_msg=name)


def test_what_is_computed_again_is_not_kept():
    """The tensors that the forward pass saves for the backward pass."""
    import torch

    def saved(**changes):
        plan = fkit.plan(config(**changes), registry(), donate=False)
        batch, state = next(iter(fkit.open_data(plan)["train"].batches(0, 0))), fkit.begin(plan).train
        count = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: count.append(tensor.numel()) or tensor, lambda x: x
        ):
            plan.program.train_step(state, batch, plan.program.hyperparams())
        return sum(count)

    assert saved(activation_checkpointing="backbone") < saved() / 2


def test_a_part_that_is_not_there_and_jax_are_errors():
    with pytest.raises(FkitError, match="activation_checkpointing: the model has no part 'backbon'"):
        fkit.plan(config(activation_checkpointing=["backbon"]), registry())
    with pytest.raises(FkitError, match="is torch's alone"):
        fkit.plan(config(activation_checkpointing=["backbone"]), registry(), backend="jax")


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_folded_batch_norms_change_nothing_and_are_said(backend):
    for said in ("backbone", ["backbone", "head"]):
        plan = fkit.plan(config(efficient_conv_bn_eval=said), registry(), backend=backend)
        assert "efficient_conv_bn_eval changes nothing" in " ".join(plan.settings.notes)
    assert not any("efficient" in note for note in fkit.plan(config(), registry(), backend=backend).settings.notes)
    with pytest.raises(FkitError, match="efficient_conv_bn_eval: the model has no part 'backbon'"):
        fkit.plan(config(efficient_conv_bn_eval=["backbon"]), registry(), backend=backend)
    with pytest.raises(FkitError, match="efficient_conv_bn_eval = 3 "):
        fkit.plan(config(efficient_conv_bn_eval=3), registry(), backend=backend)
