"""Statistics of batch norm computed anew: the hook by value, and the averages against batches' own."""

import numpy as np
import pytest

import fkit
from fkit.recipe.settings import read
from fkit.run.effect import RenewStatistics
from fkit.run.event import Event
from fkit.run.hook.hook import NEVER, Offer
from fkit.run.hook.norm import PreciseBNHook
from fkit.run.renew import renewed
from fkit.run.state import Memory, Position
from fkit.tree.error import FkitValueError
from tests.run.small import config, registry

HOOK = {"type": "PreciseBNHook", "num_samples": 40}


def test_statistics_are_renewed_at_multiples_in_the_runs_own_unit():
    hook = PreciseBNHook(64, interval=2)
    asked = [hook.after_train_epoch(Memory(), None, Event("after_train_epoch", epoch=epoch))[1] for epoch in (1, 2)]
    assert asked == [(), (RenewStatistics(64),)] and not hook.answers("after_train_iter")
    settings = read(fkit.Config({"train_cfg": {"by_epoch": False, "max_iters": 9}}))
    by_step = hook.bind(Offer(None, None, None, settings=settings))  # pyright: ignore[reportArgumentType]
    assert by_step.answers("after_train_iter") and not by_step.answers("after_train_epoch")
    assert by_step.after_train_iter(Memory(), None, Event("after_train_iter", iteration=4))[1] == (RenewStatistics(64),)
    assert by_step.after_train_iter(Memory(), None, Event("after_train_iter", iteration=5))[1] == ()
    assert by_step.due("after_train_iter", Position(iteration=4), 5, 9) == 6 < NEVER
    with pytest.raises(FkitValueError, match="num_samples=0, interval=1: at least 1 each"):
        PreciseBNHook(0)


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_they_are_the_mean_over_whole_batches_under_the_weights_of_now(backend):
    plan = fkit.plan(config(dtype="float64"), registry(), backend=backend, donate=False)
    run, data = fkit.begin(plan), fkit.open_data(plan)
    for run, _ in fkit.train(plan, run, data):
        if run.iteration == 4:
            break
    state, room = run.train, plan.room
    names = [name for name in state.buffers if name.endswith((".running_mean", ".running_var"))]
    assert len(names) == 4
    new = renewed(plan, run, data["train"], 40)  # two batches of 16; a third would be 48
    sums = {name: 0.0 for name in names}
    batches = [batch for _, batch in zip(range(2), data["train"].batches(run.epoch, 0), strict=False)]
    for batch in batches:
        buffers = plan.program.loss(state, batch, (1, 2), train=True)[1]
        for name in names:  # 0.1 is the momentum of the model's layers; a mean does not depend on dropout
            before, after = (np.asarray(room.numpy(one[name]), np.float64) for one in (state.buffers, buffers))
            sums[name] = sums[name] + before + (after - before) / 0.1
    for name in names[:2]:  # those of the first layer, which no dropout comes before
        np.testing.assert_allclose(room.numpy(new.buffers[name]), sums[name] / 2, rtol=1e-9)
    assert all(np.array_equal(room.numpy(new.params[name]), room.numpy(state.params[name])) for name in state.params)


def test_a_run_has_them_and_goes_on_to_the_same_numbers_on_both_backends():
    ends = {}
    for backend in ("torch", "jax"):
        plan = fkit.plan(config(dtype="float64", custom_hooks=[HOOK]), registry(), backend=backend)
        for run, _ in fkit.train(plan, fkit.begin(plan), fkit.open_data(plan)):
            pass
        ends[backend] = {name: plan.room.numpy(array) for name, array in run.train.buffers.items()}
    for name, array in ends["torch"].items():
        np.testing.assert_allclose(ends["jax"][name], array, rtol=1e-7, atol=1e-12, err_msg=name)
