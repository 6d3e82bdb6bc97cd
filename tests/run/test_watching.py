"""Hooks that look after a run and its machine, by value: handlers called with values, effects compared."""

import math

import pytest

import fkit
from fkit.recipe.settings import read
from fkit.run.effect import EmptyCache, Fail, Profile, ReportMemory, Tracing
from fkit.run.event import EVENTS, Event
from fkit.run.hook.alone import SetEpochInfoHook, SyncBuffersHook, SyncNormHook
from fkit.run.hook.check import CheckInvalidLossHook, ClosureHook, NumClassCheckHook
from fkit.run.hook.hook import NEVER, Offer
from fkit.run.hook.machine import EmptyCacheHook, MemoryProfilerHook, ProfilerHook
from fkit.run.state import Memory, Position
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, FkitValueError

NOTHING = Memory()


def told(hook, name, **fields):
    """What a hook answers to an event; it remembers nothing."""
    memory, effects = getattr(hook, name)(NOTHING, None, Event(name, **fields))
    assert memory is NOTHING
    return effects


def answered(hook):
    return {event for event in EVENTS if hook.answers(event)}


def test_hooks_that_average_over_processes_have_nothing_to_do_in_one():
    assert answered(SyncBuffersHook()) == answered(SyncNormHook()) == answered(SetEpochInfoHook()) == set()


def test_a_cache_is_emptied_when_it_was_asked_for():
    assert {event for event in answered(EmptyCacheHook()) if "test" not in event} == {
        "after_train_epoch",
        "after_val_epoch",
    }
    every = EmptyCacheHook(before_epoch=True, after_epoch=False, after_iter=True)
    assert {event for event in answered(every) if "train" in event} == {"before_train_epoch", "after_train_iter"}
    assert told(every, "after_train_iter", iteration=3) == told(every, "before_train_epoch") == (EmptyCache(),)


def test_a_loss_of_the_iterations_that_are_looked_at_is_finite():
    hook = CheckInvalidLossHook(interval=3)
    sound, broken = {"loss": 0.5, "acc": math.nan}, {"loss_cls": 1.0, "loss": math.nan}
    assert told(hook, "after_train_iter", iteration=3, logs=sound) == ()
    assert told(hook, "after_train_iter", iteration=4, logs=broken) == ()
    assert told(hook, "after_train_iter", iteration=6, logs=broken) == (
        Fail("loss = nan at iteration 6 is not finite."),
    )
    assert [hook.due("after_train_iter", Position(iteration=done), 10, 20) for done in (0, 2, 3, 11)] == [3, 3, 6, 12]
    with pytest.raises(FkitValueError, match="interval=0: at least 1"):
        CheckInvalidLossHook(0)


def test_memory_is_reported_at_multiples_within_a_pass():
    hook = MemoryProfilerHook(interval=4)
    assert told(hook, "after_train_iter", inner=4) == told(hook, "after_val_iter", inner=8) == (ReportMemory(),)
    assert told(hook, "after_train_iter", inner=5) == ()
    asked = [
        hook.due("after_train_iter", Position(iteration=done, inner=done % 10), 10, 30) for done in range(0, 20, 3)
    ]
    assert asked == [4, 4, 8, 14, 14, 18, 24]
    assert MemoryProfilerHook(11).due("after_train_iter", Position(iteration=3, inner=3), 10, 30) == NEVER
    assert hook.due("after_val_iter", Position(iteration=7, inner=5), 10, 30) == 8


def test_the_first_iterations_are_recorded():
    hook = ProfilerHook(
        by_epoch=False, profile_times=2, record_shapes=True, schedule={"wait": 1, "warmup": 0, "active": 1}
    )
    assert "after_train_epoch" not in answered(hook)
    tracing = Tracing(schedule={"wait": 1, "warmup": 0, "active": 1}, shapes=True)
    assert told(hook, "before_train", total=9) == (Profile("start", tracing),)
    assert told(hook, "after_train_iter", iteration=1) == (Profile("step"),)
    assert told(hook, "after_train_iter", iteration=2) == (Profile("step"), Profile("stop"))
    assert [hook.due("after_train_iter", Position(iteration=done), 5, 9) for done in (0, 1, 2)] == [1, 2, NEVER]
    assert (
        told(hook, "on_interrupt", iteration=1) == (Profile("stop"),) and told(hook, "on_interrupt", iteration=3) == ()
    )
    assert told(hook, "before_train", iteration=4, total=9) == ()  # a process that goes on beyond them
    [fail] = told(hook, "before_train", total=1)
    assert fail == Fail("ProfilerHook: profile_times = 2, and the run has 1.")


def test_the_first_epoch_is_recorded():
    hook = ProfilerHook(json_trace_path="a.json")
    assert told(hook, "before_train", length=5, total=10) == (Profile("start", Tracing(path="a.json")),)
    assert told(hook, "after_train_iter", iteration=5, length=5) == (Profile("step"),)
    assert told(hook, "after_train_epoch", iteration=5, epoch=1) == (Profile("stop"),)
    assert told(hook, "after_train_epoch", iteration=10, epoch=2) == ()
    assert [hook.due("after_train_iter", Position(iteration=done), 5, 10) for done in (4, 5)] == [5, NEVER]


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"profile_times": 2}, FkitValueError, "profile_times=2: at least 1, and 1 where by_epoch is True"),
        ({"by_epoch": False, "profile_times": 0}, FkitValueError, "at least 1"),
        ({"schedule": 3}, FkitTypeError, "schedule = 3: a mapping"),
        ({"on_trace_ready": {"type": "log_trac"}}, FkitValueError, "log_trace"),
        ({"on_trace_ready": 3}, FkitTypeError, "a mapping with 'type', or a function"),
        ({"on_trace_ready": {"type": "tb_trace"}, "json_trace_path": "a"}, FkitValueError, "writes a trace once"),
    ],
)
def test_what_a_recording_cannot_be_is_an_error(options, kind, text):
    with pytest.raises(kind, match=text):
        ProfilerHook(**options)


def offered(backend="torch", **keys):
    settings = read(fkit.Config(keys))
    return Offer(None, None, None, settings=settings, registry=fkit.registry(), backend=backend)  # pyright: ignore[reportArgumentType]


def test_jax_records_what_it_can():
    assert ProfilerHook(with_stack=True).bind(offered()) == ProfilerHook(with_stack=True)
    traced = ProfilerHook(on_trace_ready={"type": "tb_trace"})
    assert traced.bind(offered("jax")) is traced
    with pytest.raises(FkitValueError, match="with_stack, on_trace_ready: torch's profiler alone takes this"):
        ProfilerHook(with_stack=True, on_trace_ready={"type": "log_trace"}).bind(offered("jax"))


def test_the_number_of_classes_is_that_of_the_data():
    data = {"batch_size": 1, "dataset": {"type": "Digits", "split": "train"}}
    model = {
        "type": "D",
        "rpn_head": {"type": "RPNHead", "num_classes": 1},
        "head": {"type": "Head", "num_classes": 10},
    }
    assert NumClassCheckHook().bind(offered(model=model, train_dataloader=data)) == NumClassCheckHook()
    wrong = {**model, "head": {"type": "Head", "num_classes": 80}}
    with pytest.raises(FkitError) as caught:
        NumClassCheckHook().bind(offered(model=wrong, train_dataloader=data))
    text = str(caught.value)
    assert "model.head.num_classes = 80 of Head, and train_dataloader.dataset has 10 classes: 0, 1, 2, 3, ..." in text
    said = {**data, "dataset": {"type": "Digits", "split": "train", "metainfo": {"classes": ["a", "b"]}}}
    with pytest.raises(FkitValueError, match=r"val_dataloader\.dataset has 2 classes: a, b"):
        NumClassCheckHook().bind(offered(model=model, train_dataloader=data, val_dataloader=said))
    assert NumClassCheckHook().bind(offered(model=wrong))  # no data, nothing to compare


def test_a_function_is_a_hook():
    def stop(memory, run, event):
        return memory, (Fail(f"enough at {event.iteration}"),)

    hook = ClosureHook("after_val", stop)
    assert answered(hook) == {"after_val"} and told(hook, "after_val", iteration=7) == (Fail("enough at 7"),)
    with pytest.raises(FkitKeyError, match="Did you mean 'after_train_iter'"):
        ClosureHook("after_trian_iter", stop)
    with pytest.raises(FkitTypeError):
        ClosureHook("after_val", lambda runner: None)  # pyright: ignore[reportArgumentType]


def test_a_config_names_them_and_each_is_built():
    for name in ("CheckInvalidLossHook", "EmptyCacheHook", "MemoryProfilerHook", "NumClassCheckHook", "ProfilerHook",
                 "SetEpochInfoHook", "SyncBuffersHook", "SyncNormHook"):  # fmt: skip
        assert type(fkit.build({"type": f"mmdet.{name}"}, fkit.registry(), "hooks")).__name__ == name
