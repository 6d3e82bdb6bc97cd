"""What a config's schedules will give, against what the run itself puts in force."""

import numpy as np
import pytest

import fkit
from fkit.run.forecast import forecast
from tests.run.counting import Counting, Same, drive, epochs, hooks, iterations, plan_of, schedulers

SGD = dict(
    optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9), param_groups=[dict(params="b", lr=0.2)])
)
WARM = dict(type="LinearLR", by_epoch=False, start_factor=0.1, end=9)
COSINE = dict(type="CosineAnnealingLR", by_epoch=False, eta_min=0.01, end=19)
STEPS = dict(type="MultiStepLR", milestones=[1, 3], gamma=0.5, end=4)


@pytest.mark.parametrize("policies", [(WARM, STEPS), (WARM, COSINE), (STEPS, dict(COSINE, eta_min=0.0))])
def test_a_forecast_is_what_the_run_puts_in_force(policies):
    changes = epochs(4) | hooks(10) | schedulers(*policies)
    program = Counting()
    drive(plan_of(changes, program=program, length=5), {"train": Same(5), "val": Same(3)})
    table = forecast(fkit.Config(SGD | changes), epoch_length=5)
    assert table.extent == (True, 4, 5)
    ran = np.array([rates for _, rates in program.rates])
    assert np.sort(table.values["lr"], axis=1).tolist() == np.sort(ran, axis=1).tolist()


def test_a_run_of_iterations_needs_no_length_and_one_of_epochs_says_how_to_give_it():
    assert forecast(fkit.Config(SGD | iterations(7))).values["lr"].shape == (7, 2)
    with pytest.raises(fkit.FkitError, match=r"no train_dataloader\.\n  Say how many .* --epoch-length N"):
        forecast(fkit.Config(SGD | epochs(4)))
    with pytest.raises(fkit.FkitError, match="epoch_length = 0: at least 1"):
        forecast(fkit.Config(SGD | epochs(4)), epoch_length=0)


def test_what_waits_on_validation_is_named():
    policy = dict(type="ReduceOnPlateauLR", monitor="acc", rule="greater")
    table = forecast(fkit.Config(SGD | epochs(4) | schedulers(policy)), epoch_length=5)
    assert table.monitors == ("acc",) and np.unique(table.values["lr"]).tolist() == [0.1, 0.2]


TWO = dict(
    optim_wrapper=dict(
        gen=dict(optimizer=dict(type="Adam", lr=0.1)), disc=dict(optimizer=dict(type="SGD", lr=0.2, momentum=0.9))
    )
)


def test_of_several_optimizers_each_may_have_schedules_of_its_own():
    step = dict(type="StepLR", step_size=1, by_epoch=False, gamma=0.5)
    named = dict(type="StepParamScheduler", param_name="momentum", step_size=2, by_epoch=False)
    each = forecast(fkit.Config(TWO | iterations(3) | {"param_scheduler": {"gen": [step, named], "disc": step}})).values
    np.testing.assert_allclose(each["gen.lr"][:, 0], [0.1, 0.05, 0.025])
    np.testing.assert_allclose(each["disc.lr"][:, 0], [0.2, 0.1, 0.05])
    np.testing.assert_allclose(each["gen.beta1"][:, 0], [0.9, 0.9, 0.09])
    both = forecast(fkit.Config(TWO | iterations(3) | schedulers(step))).values
    assert both.keys() == {"gen.lr", "disc.lr"} and both["disc.lr"].tolist() == each["disc.lr"].tolist()
    with pytest.raises(fkit.FkitError, match=r"(?s)param_scheduler\.dics: a schedule acts on 'dics\.lr'.*disc\.lr"):
        forecast(fkit.Config(TWO | iterations(3) | {"param_scheduler": {"dics": step}}))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"last_step": 3}, r"param_scheduler\[0\]: last_step = 3: a run knows itself at which step it is"),
        (
            {"by_epoch": False, "convert_to_iter_based": True},
            "convert_to_iter_based is for a policy with by_epoch=True",
        ),
        ({"param": "depth"}, "a schedule acts on 'depth', which the optimizer does not have"),
        ({"gamme": 0.1}, "gamme"),
    ],
)
def test_a_schedule_that_a_plan_would_refuse_is_refused_with_its_place(change, text):
    policy = dict(type="StepLR", step_size=1) | change
    with pytest.raises(fkit.FkitError, match=text):
        forecast(fkit.Config(SGD | epochs(4) | schedulers(policy)), epoch_length=5)


def test_a_schedule_of_ones_own_is_drawn_too():
    class Half:
        param = "lr"

        def __init__(self, end):
            pass

        def init(self):
            return 0

        def step(self, state, at, value):
            return state + 1, value / 2 if at.epoch >= 2 else value

    registry = fkit.registry().register("param_schedulers", Half, name="Half")
    changes = epochs(3) | schedulers(dict(type="Half"), dict(type="LinearLR", start_factor=0.5, by_epoch=False, end=3))
    table = forecast(fkit.Config(SGD | changes), registry, epoch_length=2)
    np.testing.assert_allclose(np.sort(table.values["lr"], 1)[:, 0], [0.05, 0.075, 0.1, 0.1, 0.05, 0.05])


def test_a_conversion_takes_parts_of_epochs():
    warm = dict(type="LinearLR", start_factor=0.5, begin=0, end=0.5, convert_to_iter_based=True)
    cosine = dict(type="CosineAnnealingLR", T_max=4.5, begin=0.5, end=5, convert_to_iter_based=True)
    rates = forecast(fkit.Config(SGD | epochs(5) | schedulers(warm, cosine)), epoch_length=7).values["lr"].max(1)
    np.testing.assert_allclose(rates[:3], [0.1, 0.15, 0.2])  # int(0.5 * 7) iterations, the last of them at the factor 1
    np.testing.assert_allclose(rates[3:], 0.1 * (1 + np.cos(np.pi * np.arange(32) / 31.5)))


def test_mmposes_constant_factor_may_be_above_1_and_mmengines_may_not():
    policy = dict(type="ConstantLR", factor=2.5, end=2)
    table = forecast(fkit.Config(SGD | epochs(3) | schedulers(policy) | {"default_scope": "mmpose"}), epoch_length=1)
    np.testing.assert_allclose(table.values["lr"].max(1), [0.5, 0.2, 0.2])
    with pytest.raises(fkit.FkitError, match=r"factor = 2\.5 is not from 0 to 1"):
        forecast(fkit.Config(SGD | epochs(3) | schedulers(policy)), epoch_length=1)
