"""Hooks that switch the training data: by value, and in a run that goes on in the middle."""

import numpy as np
import pytest
from frozendict import frozendict

import fkit
from fkit.recipe.settings import read
from fkit.run.effect import SwitchData, WriteText
from fkit.run.event import Event
from fkit.run.hook.hook import Offer
from fkit.run.hook.switch import (
    PipelineSwitchHook,
    RTMOModeSwitchHook,
    SwitchRecipeHook,
    YOLOXModeSwitchHook,
    YOLOXPoseModeSwitchHook,
    without_types,
)
from fkit.run.start import save
from fkit.run.state import Memory, Position, RunState
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError
from tests.run.small import config, registry

PLAIN = [{"type": "ToUnit"}, {"type": "Normalize", "mean": [0.3], "std": [0.38]}, {"type": "PackInputs"}]
DATA = {"type": "Digits", "split": "train", "pipeline": [{"type": "RandomFlip", "prob": 0.5}, {"type": "PackInputs"}]}


def bound(hook, epochs=10, **keys):
    loop = {"by_epoch": True, "max_epochs": epochs} if epochs else {"by_epoch": False, "max_iters": 10}
    settings = read(fkit.Config({"train_dataloader": {"batch_size": 2, "dataset": DATA}, "train_cfg": loop, **keys}))
    return hook.bind(Offer(None, None, None, settings=settings))  # pyright: ignore[reportArgumentType]


def told(hook, name, epoch):
    run = RunState(Position(epoch=epoch), None, {}, frozendict())  # pyright: ignore[reportArgumentType]
    return getattr(hook, name)(Memory(), run, Event(name, epoch=epoch))[1]


def pipeline(hook, name):
    return [step["type"] for step in hook.sources()[name]["dataset"]["pipeline"]]


def test_a_pipeline_is_switched_at_its_epoch_and_said_again_to_a_process_that_goes_on():
    hook = bound(PipelineSwitchHook(4, PLAIN))
    assert pipeline(hook, "train:4") == ["ToUnit", "Normalize", "PackInputs"]
    assert (
        told(hook, "before_train_epoch", 3)
        == told(hook, "before_train", 3)
        == told(hook, "before_train_epoch", 5)
        == ()
    )
    text = WriteText("PipelineSwitchHook: other training data from epoch 5 on.")
    assert told(hook, "before_train_epoch", 4) == (SwitchData("train:4"), text)
    assert told(hook, "before_train", 4) == told(hook, "before_train", 9) == (SwitchData("train:4"),)


def test_augmentations_are_closed_in_the_last_epochs():
    hook = bound(YOLOXModeSwitchHook(2, ("RandomFlip",)))
    assert pipeline(hook, "train:7") == ["PackInputs"]
    pose = bound(YOLOXPoseModeSwitchHook(2, new_train_dataset={**DATA, "split": "test"}, new_train_pipeline=PLAIN))
    assert pose.sources()["train:7"]["dataset"] == {**DATA, "split": "test", "pipeline": PLAIN}
    assert told(bound(YOLOXPoseModeSwitchHook(20)), "before_train", 0) == (SwitchData("train:0"),)  # all are the last


def test_a_recipe_in_stages_goes_on_from_the_stage_it_was_in():
    hook = bound(
        SwitchRecipeHook(
            [{"action_epoch": 6, "train_pipeline": PLAIN[2:]}, {"action_epoch": 3, "train_pipeline": PLAIN}]
        )
    )
    assert pipeline(hook, "train:2") == ["ToUnit", "Normalize", "PackInputs"] and pipeline(hook, "train:5") == [
        "PackInputs"
    ]
    assert [told(hook, "before_train", epoch) for epoch in (1, 2, 5)] == [
        (),
        (SwitchData("train:2"),),
        (SwitchData("train:5"),),
    ]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: bound(PipelineSwitchHook(4, PLAIN), epochs=0), "PipelineSwitchHook counts epochs, and this run counts iterations"),
        (lambda: bound(PipelineSwitchHook(4, PLAIN), train_dataloader={"dataset": {"type": "A"}}), "the dataset 'A' has no pipeline"),
        (lambda: PipelineSwitchHook(4, 3), "switch_pipeline = 3: a list of transforms"),
        (lambda: bound(SwitchRecipeHook([{"action_epoch": 1, "loss": {}}])), "loss of a stage is not supported yet"),
        (lambda: SwitchRecipeHook([{"action_epoch": 1}, {"action_epoch": 1}]), "action_epoch 1 stands in the schedule twice"),
        (lambda: SwitchRecipeHook([{"epoch": 1}]), "each with 'action_epoch'"),
        (lambda: bound(RTMOModeSwitchHook({1: {"a": 2}})), "come with RTMO"),
        (lambda: RTMOModeSwitchHook(3), "a mapping of epochs"),
        (lambda: bound(YOLOXModeSwitchHook(), model={"type": "YOLOX", "bbox_head": {}}), "comes with YOLOX's head"),
        (lambda: bound(YOLOXPoseModeSwitchHook(), model={"type": "P", "head": {"type": "YOLOXPoseHead"}}), "YOLOX-Pose's head"),
        (lambda: without_types({"type": "A"}, ()), "no pipeline of its own"),
    ],
)  # fmt: skip
def test_what_cannot_be_switched_is_an_error(make, text):
    with pytest.raises((FkitValueError, FkitTypeError), match=text):
        make()


def fold(plan, run, at=None):
    """Train to the end; and the run at iteration ``at`` as it is saved."""
    saved = None
    for run, _ in fkit.train(plan, run, fkit.open_data(plan)):
        if run.iteration == at and saved is None:
            saved = save(plan, run)
    return run, saved


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("at", [4, 6])
def test_a_run_that_switches_goes_on_to_the_same_bits_wherever_it_was_stopped(at, workers):
    hooks = [{"type": "PipelineSwitchHook", "switch_epoch": 1, "switch_pipeline": PLAIN}]
    plan = fkit.plan(config(workers=workers, custom_hooks=hooks), registry())
    whole, saved = fold(plan, fkit.begin(plan), at=at)
    again, _ = fold(plan, fkit.restore(plan, saved))
    weights = [
        {name: plan.room.numpy(array).tobytes() for name, array in run.train.params.items()} for run in (whole, again)
    ]
    assert weights[0] == weights[1]
    plain = fkit.plan(config(workers=workers), registry())
    other = fold(plain, fkit.begin(plain))[0].train.params
    assert any(
        not np.array_equal(plan.room.numpy(whole.train.params[name]), plan.room.numpy(other[name])) for name in other
    )
    data = fkit.open_data(plan)
    assert set(data) == {"train", "val", "train:1"} and data["train:1"].length == data["train"].length


def test_data_that_are_not_there_or_are_others_in_number_are_an_error():
    hooks = [{"type": "PipelineSwitchHook", "switch_epoch": 1, "switch_pipeline": PLAIN}]
    plan = fkit.plan(config(custom_hooks=hooks), registry())
    data = dict(fkit.open_data(plan))
    short = fkit.Source.of(list(data["train"].batches(0, 0))[:2])
    for sources, text in (
        ({**data, "train:1": short}, "has 2 batches a pass"),
        ({"train": data["train"], "val": data["val"]}, "no source 'train:1'"),
    ):
        with pytest.raises(FkitError, match=text):
            list(fkit.train(plan, fkit.begin(plan), sources))
