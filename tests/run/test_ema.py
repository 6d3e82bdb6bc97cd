"""Averages of the weights: mmengine's, mmdet's and mmcv's rules by value; in programs, in runs, on both backends."""

import math

import numpy as np
import pytest

import fkit
from fkit.config.dialect import translate
from fkit.edge.checkpoint import newest
from fkit.run.course import Course
from fkit.run.effect import WriteText
from fkit.run.event import Event
from fkit.run.hook.ema import EMAHook, ExpMomentumEMAHook, LinearMomentumEMAHook, MmcvEMAHook
from fkit.run.hook.hook import Offer
from fkit.run.plan import served
from fkit.run.state import Memory
from fkit.training.ema import averages, choose, use_ema
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError
from tests.run.small import config, fingerprint, go, registry

NUMBERS = [3.0, -1.0, 4.0, 1.5, -9.0, 2.0, 6.0, 5.0]  # one weight, after each of eight steps


def follow(hook, first=7.0):
    """An average of one number along a run."""
    share, average, seen = hook.share(), first, []
    for done, number in enumerate(NUMBERS):
        average += share(done) * (number - average)
        seen.append(average)
    return seen


def mmengines(rule, begin=0, interval=1):
    """What the averaged model of mmengine holds after each step: it is a copy until ``begin`` (an iteration, counted from
    1), its first update copies, and then every ``interval``-th update counts; ``rule(steps)`` is the newest's weight."""
    average, steps, seen = 7.0, 0, []
    for iteration, number in enumerate(NUMBERS, 1):
        if iteration < begin:
            average = number
        else:
            if steps == 0:
                average = number
            elif steps % interval == 0:
                average = average * (1 - rule(steps)) + number * rule(steps)
            steps += 1
        seen.append(average)
    return seen


@pytest.mark.parametrize("interval", [1, 2, 3])
@pytest.mark.parametrize("begin", [0, 1, 2, 5])
def test_mmengines_averages_by_value(begin, interval):
    at = dict(begin_iter=begin, interval=interval)
    for hook, rule in (
        (EMAHook(**at), lambda steps: 0.0002),
        (EMAHook(momentum=0.3, **at), lambda steps: 0.3),
        (EMAHook("MomentumAnnealingEMA", 0.1, **at), lambda steps: max(0.1, 100 / (100 + steps))),
        (EMAHook("MomentumAnnealingEMA", 0.1, gamma=2, **at), lambda steps: max(0.1, 2 / (2 + steps))),
        (EMAHook("ExpMomentumEMA", 0.1, gamma=5, **at), lambda steps: 0.9 * math.exp(-(1 + steps) / 5) + 0.1),
        (EMAHook("ExpMomentumEMA", **at), lambda steps: 0.9998 * math.exp(-(1 + steps) / 2000) + 0.0002),
        (EMAHook("StochasticWeightAverage", **at), lambda steps: 1 / (steps // interval + 1)),
    ):
        assert follow(hook) == pytest.approx(mmengines(rule, begin, interval), rel=1e-12), hook


def test_mmcvs_and_mmdets_averages_begin_with_the_first_weights_and_count_their_own_steps():
    seen, average = follow(MmcvEMAHook(momentum=0.5, interval=2, warm_up=4)), 7.0
    for iteration, number in enumerate(NUMBERS):  # mmcv: after iteration i, counted from 0, where i % interval == 0
        share = min(0.5**2, (1 + iteration) / (4 + iteration))
        average = average if iteration % 2 else average * (1 - share) + number * share
        assert seen[iteration] == pytest.approx(average, rel=1e-12)
    seen, average = follow(LinearMomentumEMAHook(momentum=0.5, interval=3)), 7.0
    for iteration, number in enumerate(NUMBERS):
        share = min(0.5**3, (1 + iteration) / (100 + iteration))
        average = average if (iteration + 1) % 3 else average * (1 - share) + number * share
        assert seen[iteration] == pytest.approx(average, rel=1e-12)
    seen, average = follow(ExpMomentumEMAHook(momentum=0.1, total_iter=10)), 7.0
    for iteration, number in enumerate(NUMBERS):
        share = 0.9 * math.exp(-(1 + iteration) / 10) + 0.1
        average = average * (1 - share) + number * share
        assert seen[iteration] == pytest.approx(average, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(ema_type="Mean"), "ema_type = 'Mean' is no average of weights"),
        (dict(momentum=1.0), "momentum = 1.0: above 0 and below 1"),
        (dict(momentum=0), "momentum = 0: above 0 and below 1"),
        (dict(gamma=3), "gamma = 3: ExponentialMovingAverage takes none"),
        (dict(ema_type="StochasticWeightAverage", momentum=0.1), "momentum = 0.1: StochasticWeightAverage takes none"),
        (dict(ema_type="ExpMomentumEMA", gamma=-1), "gamma = -1: above 0"),
        (dict(begin_iter=3, begin_epoch=1), "begin_iter=3 and begin_epoch=1: one of the two"),
        (dict(begin_iter=-1), "at least 0 each"),
        (dict(interval=0), "interval=0: at least 1"),
        (dict(evaluate_on_ema=False), "with one of the two"),
    ],
)
def test_what_no_average_can_be_is_refused(options, said):
    with pytest.raises(FkitValueError, match=said):
        EMAHook(**options)


def test_mmcvs_refuse_what_a_run_says_itself():
    for hook in (MmcvEMAHook, LinearMomentumEMAHook, ExpMomentumEMAHook):
        with pytest.raises(FkitValueError, match=r"resume_from='a.pth': a run goes on as a whole"):
            hook(resume_from="a.pth")
    with pytest.raises(FkitValueError, match="warm_up = 0: at least 1"):
        MmcvEMAHook(warm_up=0)
    with pytest.raises(FkitTypeError, match="momentum"):
        MmcvEMAHook(momentum="a lot")


def test_it_begins_with_an_epoch_and_within_the_run():
    def offer(by_epoch, limit):
        return Offer(Course(by_epoch, limit), dict, tuple, lambda: 4)

    bound = EMAHook(momentum=0.25, begin_epoch=3).bind(offer(True, 5))
    assert [bound.share()(done) for done in (0, 7, 8, 9)] == [1.0, 1.0, 1.0, 0.25]
    assert EMAHook(momentum=0.25).bind(offer(True, 5)).share()(1) == 0.25
    with pytest.raises(FkitValueError, match="begin_epoch=6 is beyond the run's 5"):
        EMAHook(begin_epoch=6).bind(offer(True, 5))
    with pytest.raises(FkitValueError, match="begin_iter=21 is beyond the run's 20"):
        EMAHook(begin_iter=21).bind(offer(True, 5))
    with pytest.raises(FkitValueError, match="begin_epoch=2, and this run counts iterations"):
        EMAHook(begin_epoch=2).bind(offer(False, 5))


def test_a_momentum_the_other_way_round_is_said():
    assert not EMAHook(momentum=0.01).answers("before_run")
    hook = EMAHook(momentum=0.999)
    assert hook.answers("before_run") and not hook.answers("after_train_iter")
    _, [effect] = hook.before_run(Memory(), None, Event("before_run"))
    assert isinstance(effect, WriteText) and "momentum=0.999 is the weight of the newest" in effect.text


def averaging(backend, loop="iter", **options):
    cfg = config(loop).merge({"custom_hooks": [dict(type="EMAHook", **options)], "dtype": "float64"})
    return fkit.plan(cfg, registry(), backend=backend)


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_buffers_are_averaged_where_they_are_to_be_and_else_the_newest(backend):
    for update_buffers in (True, False):
        plan = averaging(backend, momentum=0.3, begin_iter=2, update_buffers=update_buffers)
        program, state, data = plan.program, fkit.begin(plan).train, fkit.open_data(plan)
        batches, want = data["train"].batches(0, 0), {}
        for step in range(4):
            state, _ = program.train_step(state, next(batches), program.hyperparams())
            arrays = program.collect(state)
            now = {path.split("/", 1)[1]: a for path, a in arrays.items() if path.startswith(("params/", "buffers/"))}
            want = now if step < 2 else {name: want[name] + 0.3 * (now[name] - want[name]) for name in now}
        held = averages(arrays)
        assert ("backbone.bn1.running_mean" in held) == update_buffers
        assert "backbone.conv1.weight" in held and "backbone.bn1.num_batches_tracked" not in held
        for name, array in held.items():
            np.testing.assert_allclose(array, want[name], rtol=1e-9, atol=1e-12, err_msg=name)
        mine = program.collect(use_ema(state))
        for path, array in mine.items():
            name = path.partition("/")[2]
            if path.startswith(("params/", "buffers/")):
                np.testing.assert_array_equal(array, held.get(name, arrays[path]), err_msg=path)


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_run_predicts_with_the_average_and_goes_on_from_the_middle_to_the_same_bits(backend, tmp_path):
    plan = averaging(backend, "epoch", momentum=0.05, update_buffers=True, begin_epoch=2)
    assert plan.program.weights == "ema"
    go(plan, tmp_path / "whole")
    for stop in (2, 5, 9):
        go(plan, tmp_path / f"a{stop}", stop_after=stop)
        go(plan, tmp_path / f"a{stop}", resume=True)
        assert fingerprint(tmp_path / f"a{stop}") == fingerprint(tmp_path / "whole"), stop
    state, batch = fkit.begin(plan).train, next(fkit.open_data(plan)["val"].batches(0, 0))
    rows = iter(fkit.open_data(plan)["train"].batches(0, 0))
    for _ in range(3):
        state, _ = plan.program.train_step(state, next(rows), plan.program.hyperparams())
    state = state.replace(slots={"ema": dict(plan.program.init(8).slots["ema"])})
    plain = fkit.program(plan.config, registry(), backend=backend)

    def predicted(program, state):
        return np.asarray(plan.room.host(program.predict(state, batch))["pred_score"])

    own, average = predicted(plain, state), predicted(plain, use_ema(state))
    assert not np.allclose(own, average)
    np.testing.assert_array_equal(predicted(plan.program, state), average)
    same = served(plan.config, registry(), backend=backend)
    for word, want, said in ((None, average, "the moving average"), ("ema", average, "the moving average"),
                             ("own", own, "not their moving average")):  # fmt: skip
        chosen, words = choose(same, state, word)
        np.testing.assert_array_equal(predicted(same, chosen), want)
        assert said in words
        np.testing.assert_array_equal(predicted(plain, choose(plain, state, word or "own")[0]), want if word else own)
    with pytest.raises(FkitValueError, match="holds no moving average"):
        choose(plain, plain.init(0), "ema")


def test_a_saved_run_without_the_average_begins_with_its_weights_unless_it_is_strict():
    loose, strict = averaging("torch"), averaging("torch", strict_load=True)
    whole = loose.program.collect(loose.program.init(4))
    arrays = {path: array for path, array in whole.items() if not path.startswith("slots/ema/")}
    held = averages(loose.program.collect(loose.program.restore(arrays)))
    np.testing.assert_array_equal(held["head.fc.weight"], arrays["params/head.fc.weight"])
    with pytest.raises(FkitError, match="holds no moving average 'ema'"):
        strict.program.restore(arrays)


def test_mmcvs_hook_comes_from_its_config():
    cfg = fkit.Config(
        dict(total_epochs=3, custom_hooks=[dict(type="EMAHook", momentum=0.01, warm_up=10, priority="ABOVE_NORMAL")])
    )
    [hook] = translate(cfg)[0].custom_hooks
    assert dict(hook) == dict(type="mmcv.EMAHook", momentum=0.01, warm_up=10, priority="ABOVE_NORMAL")
    assert isinstance(fkit.build({k: v for k, v in hook.items() if k != "priority"}, registry(), "hooks"), MmcvEMAHook)
    new = fkit.Config(dict(train_cfg=dict(max_epochs=3), custom_hooks=[dict(type="EMAHook")]))
    assert translate(new)[0].custom_hooks[0].type == "EMAHook"


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_both_weights_are_scored_where_both_are_to_be(backend, tmp_path):
    scores = {}
    for name, options in dict(both=dict(evaluate_on_origin=True), own=dict(evaluate_on_ema=False, evaluate_on_origin=True),
                              ema={}).items():  # fmt: skip
        plan = averaging(backend, "epoch", momentum=0.01, **options)
        go(plan, tmp_path / name)
        scores[name] = dict(newest(tmp_path / name / "checkpoints").saved.record["metrics"])
    [average], [own] = scores["ema"].values(), scores["own"].values()
    assert scores["both"] == {"accuracy/top1": average, "accuracy/top1_origin": own}
    assert average != own
