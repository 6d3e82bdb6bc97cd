"""CheckpointHook by value: when it saves, what it keeps, and which of its arguments cannot be."""

import math

import pytest
from frozendict import frozendict

from fkit.run.effect import DeleteCheckpoint, ExportWeights, NameCheckpoint, SaveCheckpoint, WriteText
from fkit.run.event import Event
from fkit.run.hook.checkpoint import CheckpointHook
from fkit.run.hook.hook import NEVER
from fkit.run.state import Memory, Position
from fkit.training.best import GREATER, LESS, rule_of
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError
from tests.run.test_hooks import drive


def test_old_checkpoints_go_after_the_new_one_is_asked_for():
    events = [Event("after_train_epoch", epoch=e, iteration=e * 10) for e in (1, 2, 3)]
    memory, effects = drive(CheckpointHook(max_keep_ckpts=2), events)
    assert effects == [SaveCheckpoint(10), SaveCheckpoint(20), SaveCheckpoint(30), DeleteCheckpoint(10)]
    assert memory == Memory((), ((20, 30), (10,)))


def test_saving_one_step_twice_keeps_it_once():
    events = [Event("after_train_epoch", epoch=1, iteration=10), Event("after_train", iteration=10)]
    assert drive(CheckpointHook(max_keep_ckpts=1), events)[0].observed[0] == (10,)


def validated(step, **metrics):
    metrics = {name.replace("_", "/"): value for name, value in metrics.items()}
    return [
        Event("after_train_epoch", epoch=step // 10, iteration=step),
        Event("after_val_epoch", "val", step, step // 10, metrics=metrics),
    ]


def test_the_best_checkpoint_is_kept_beside_the_newest_three():
    scores = {10: 0.5, 20: 0.9, 30: 0.8, 40: math.nan, 50: 0.9, 60: 0.7, 70: 0.95, 80: 0.1}
    events = [event for step, score in scores.items() for event in validated(step, accuracy_top1=score)]
    memory, effects = drive(CheckpointHook(), events)
    assert memory == Memory((("accuracy/top1", 0.95, 70),), ((60, 70, 80), (50,)))
    place = effects.index
    assert [e.step for e in effects if isinstance(e, DeleteCheckpoint)] == [10, 30, 40, 20, 50]
    assert place(SaveCheckpoint(70)) < place(DeleteCheckpoint(20)) < place(SaveCheckpoint(80))  # when 70 was the best
    memory, effects = drive(CheckpointHook(), events[:-4])
    assert memory.observed[0] == (20, 40, 50, 60) and DeleteCheckpoint(20) not in effects
    less = [event for step, score in scores.items() for event in validated(step, val_loss=score)]
    assert drive(CheckpointHook(), less)[0].exact == (("val/loss", 0.1, 80),)
    assert drive(CheckpointHook(rule="less"), events)[0].exact == (("accuracy/top1", 0.1, 80),)


def test_the_best_is_saved_where_the_interval_passes_over_it():
    events = [event for step, score in ((10, 0.5), (20, 0.9), (30, 0.6)) for event in validated(step, mIoU=score)]
    memory, effects = drive(CheckpointHook(interval=9), events)
    name = "best_mIoU"
    assert effects == [SaveCheckpoint(10), NameCheckpoint(name, 10), SaveCheckpoint(20), NameCheckpoint(name, 20)]
    assert memory.exact == (("mIoU", 0.9, 20),)
    effects = drive(CheckpointHook(interval=9, max_keep_ckpts=1), events)[1]
    assert effects[-3:] == [SaveCheckpoint(20), NameCheckpoint(name, 20), DeleteCheckpoint(10)]
    assert not CheckpointHook(save_best=None).answers("after_val_epoch")
    assert not CheckpointHook(interval=0).answers("after_val_epoch")


def test_a_metric_whose_name_says_no_rule_keeps_the_newest_alone_and_is_said_once():
    events = [event for step in (10, 20, 30, 40, 50) for event in validated(step, warmth=step * 1.0)]
    memory, effects = drive(CheckpointHook(), events)
    [text] = [effect for effect in effects if isinstance(effect, WriteText)]
    assert "warmth: its name does not say whether more of it is better" in text.text and "rule='greater'" in text.text
    assert memory == Memory((("warmth", None, None),), ((30, 40, 50), (20,)))


def test_a_best_that_cannot_be_is_refused():
    with pytest.raises(FkitValueError, match="save_best='warmth': its name does not say"):
        CheckpointHook(save_best="warmth")
    with pytest.raises(FkitValueError, match="rule='more'"):
        CheckpointHook(rule="more")
    with pytest.raises(FkitKeyError, match="save_best='accuracy/top2' is no metric of validation"):
        drive(CheckpointHook(save_best="accuracy/top2"), validated(10, accuracy_top1=0.5))


def test_checkpoint_hook_refuses_to_keep_none():
    with pytest.raises(FkitValueError, match="max_keep_ckpts=0"):
        CheckpointHook(max_keep_ckpts=0)


def saved(effects):
    return [effect.step for effect in effects if isinstance(effect, SaveCheckpoint)]


@pytest.mark.parametrize(
    ("options", "want"),
    [
        (dict(interval=2), [20, 40, 50]),
        (dict(interval=2, save_last=False), [20, 40]),
        (dict(interval=2, save_begin=3), [30, 50, 50]),
        (dict(interval=3, save_begin=1), [10, 40, 50]),
        (dict(interval=-1), [50]),
        (dict(interval=0), [50]),
        (dict(interval=-1, save_last=False), []),
    ],
)
def test_the_epochs_that_are_saved(options, want):
    events = [Event("after_train_epoch", epoch=e, iteration=e * 10) for e in range(1, 6)]
    events += [Event("after_train", epoch=5, iteration=50)]
    assert saved(drive(CheckpointHook(max_keep_ckpts=-1, **options), events)[1]) == want
    if options.get("save_last", True) is False and options["interval"] > 0:
        hook, at = CheckpointHook(by_epoch=False, max_keep_ckpts=-1, **options), []
        while (due := hook.due("after_train_iter", Position(iteration=at[-1] if at else 0), 10, 5)) <= 5:
            at.append(due)
        assert [step * 10 for step in at] == want
    if options["interval"] <= 0:
        assert CheckpointHook(by_epoch=False, **options).due("after_train_iter", Position(), 10, 50) == NEVER


def test_due_counts_from_save_begin():
    hook = CheckpointHook(by_epoch=False, interval=4, save_begin=6)
    assert [hook.due("after_train_iter", Position(iteration=done), 10, 50) for done in (0, 5, 6, 9, 10)] == [
        6,
        6,
        10,
        10,
        14,
    ]
    ends = [Event("after_train_iter", iteration=i) for i in range(1, 16)]
    assert saved(drive(hook, ends)[1]) == [6, 10, 14]


def test_several_metrics_each_keep_their_best():
    hook = CheckpointHook(interval=1, max_keep_ckpts=1, save_best=["mIoU", "loss"], rule=["greater", "less"])
    scores = {10: (0.5, 0.0), 20: (0.9, 0.4), 30: (0.2, 0.3), 40: (0.95, 0.1)}
    events = [event for step, (iou, loss) in scores.items() for event in validated(step, mIoU=iou, loss=loss)]
    memory, effects = drive(hook, events)
    assert memory.exact == (("mIoU", 0.95, 40), ("loss", 0.0, 10)) and memory.observed[0] == (10, 40)
    names = [(effect.name, effect.step) for effect in effects if isinstance(effect, NameCheckpoint)]
    assert names == [("best_mIoU", 10), ("best_loss", 10), ("best_mIoU", 20), ("best_mIoU", 40)]
    assert [effect.step for effect in effects if isinstance(effect, DeleteCheckpoint)] == [30, 20]


@pytest.mark.parametrize("score", [0, 0.0, -0.0])
def test_a_score_of_zero_counts(score):
    for metric, worse in (("loss", 1.0), ("acc", -1.0)):
        events = [*validated(10, **{metric: worse}), *validated(20, **{metric: score})]
        assert drive(CheckpointHook(), events)[0].exact == ((metric, 0.0, 20),)
    assert drive(CheckpointHook(), validated(10, acc=score))[0].exact == (("acc", 0.0, 10),)


def test_a_metric_is_found_by_mmcvs_name_and_is_called_by_the_users():
    hook = CheckpointHook(save_best="bbox_mAP")
    metrics = {"coco/bbox_mAP": 0.4, "coco/bbox_mAP_50": 0.6}
    memory, effects = drive(hook, [Event("after_val_epoch", "val", 10, 1, metrics=metrics)])
    assert memory.exact == (("bbox_mAP", 0.4, 10),) and NameCheckpoint("best_bbox_mAP", 10) in effects
    old = [Event("after_val_epoch", "val", 10, 1, metrics={"accuracy/top1": 0.4, "accuracy/top5": 0.9})]
    assert drive(CheckpointHook(save_best="accuracy_top-1"), old)[0].exact == (("accuracy_top-1", 0.4, 10),)
    slash = drive(CheckpointHook(save_best="accuracy/top1"), old)[1]
    assert NameCheckpoint("best_accuracy_top1", 10) in slash
    with pytest.raises(FkitKeyError, match="save_best='accuracy' is no metric of validation"):
        drive(CheckpointHook(save_best="accuracy"), old)


def test_rules_are_openmmlabs_where_they_know_one():
    """mmcv's EvalHook and mmengine's CheckpointHook: a name that is in a list, then one that holds a word of it."""
    for word in GREATER:
        assert rule_of(word) == rule_of(word.upper()) == rule_of(f"my_{word}_x") == "greater"
    assert rule_of("loss") == rule_of("val/LOSS_x") == "less" and LESS == ("loss",)
    assert rule_of("heat") is None and rule_of("heat", greater=["heat"]) == "greater"
    assert rule_of("heat", less=["heat"]) == rule_of("my_heat", less=["HEAT"]) == "less"
    assert rule_of("acc", less=["acc"]) == "less" and rule_of("loss", greater=["loss"]) == "greater"
    assert rule_of("map_error", greater=["map"], less=["map_error"]) == "less"  # in a list, before a word of the other
    hook = CheckpointHook(save_best="heat", less_keys=["heat"])
    events = [*validated(10, heat=3.0), *validated(20, heat=2.0)]
    assert drive(hook, events)[0].exact == (("heat", 2.0, 20),)


def test_a_process_that_was_killed_leaves_nothing_undone():
    events = [event for step in (10, 20, 30, 40) for event in validated(step, mIoU=step / 100)]
    hook = CheckpointHook(max_keep_ckpts=1)
    memory, _ = drive(hook, events[:-1])  # before validation at 40: 30 is the best, and goes on being kept
    assert memory == Memory((("mIoU", 0.3, 30),), ((30, 40), ()))
    memory, effects = drive(hook, events)
    assert effects[-2:] == [NameCheckpoint("best_mIoU", 40), DeleteCheckpoint(30)]
    again, effects = hook.after_load_checkpoint(memory, None, Event("after_load_checkpoint"))
    assert again == memory and effects == (DeleteCheckpoint(30), NameCheckpoint("best_mIoU", 40))
    hook = CheckpointHook(interval=2, filename_tmpl="e{}")
    for epoch, iteration, want in (
        (2, 8, ("e2",)),
        (2, 9, ()),
        (3, 12, ()),
    ):  # an interrupt within an epoch has no name
        event = Event("after_load_checkpoint", epoch=epoch, iteration=iteration, length=4)
        effects = hook.after_load_checkpoint(hook.memory(), None, event)[1]
        assert effects == tuple(NameCheckpoint(name, iteration) for name in want)


def test_what_a_checkpoint_holds_and_is_called():
    hook = CheckpointHook(save_optimizer=False, out_dir="far", meta={"team": "a"}, filename_tmpl="epoch_{}.pth")
    _, effects = hook.after_train_epoch(hook.memory(), None, Event("after_train_epoch", epoch=3, iteration=12))
    want = SaveCheckpoint(12, "", True, "far", {"team": "a"})
    assert effects == (want, NameCheckpoint("epoch_3.pth", 12))
    _, effects = hook.on_interrupt(hook.memory(), None, Event("on_interrupt", iteration=7, reason="SIGTERM"))
    assert effects == (SaveCheckpoint(7, "SIGTERM", False, "far", frozendict(team="a")),)  # whole: the run may go on
    by_iteration = CheckpointHook(by_epoch=False, interval=5, filename_tmpl="i{:04d}")
    _, effects = by_iteration.after_train_iter(hook.memory(), None, Event("after_train_iter", iteration=15))
    assert effects == (SaveCheckpoint(15), NameCheckpoint("i0015", 15))


def test_at_the_end_weights_are_published_the_last_and_the_best():
    hook = CheckpointHook(published_keys=["meta", "state_dict"])
    events = [*validated(10, mIoU=0.9), *validated(20, mIoU=0.1), Event("after_train", iteration=20)]
    assert drive(hook, events)[1][-3:] == [SaveCheckpoint(20), ExportWeights(20), ExportWeights(10)]
    hook = CheckpointHook(published_keys="state_dict", save_best=None, save_last=False)
    assert drive(hook, events[::2])[1][-1] == ExportWeights(20, False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(interval=-2), "interval=-2"),
        (dict(save_begin=-1), "save_begin=-1"),
        (dict(save_best=["mIoU", "auto"]), "'auto' stands alone"),
        (dict(save_best=["mIoU", "mIoU"]), "names a metric twice"),
        (dict(save_best=["mIoU", "acc", "loss"], rule=["greater", "less"]), "2 rules for 3 metrics"),
        (dict(save_param_scheduler=False), "no run goes on exactly without its schedules"),
        (dict(backend_args=dict(backend="petrel")), "a local disk does"),
        (dict(file_client_args=dict(backend="disk", path="/x")), "a local disk does"),
        (dict(out_dir="s3://bucket/a"), "and no URL"),
        (dict(published_keys=["optimizer"]), "published_keys holds 'optimizer'"),
        (dict(filename_tmpl="epoch.pth"), "a file's name with {} for the number"),
        (dict(filename_tmpl="step_{}"), "step_..., best_... and latest are taken"),
        (dict(filename_tmpl="a/{}"), "a file's name with {} for the number"),
        (dict(filename_tmpl="{name}"), "a file's name with {} for the number"),
    ],
)
def test_an_argument_that_cannot_be_met_is_refused(options, said):
    with pytest.raises(FkitValueError) as caught:
        CheckpointHook(**options)
    assert said in str(caught.value)


def test_arguments_of_another_type_are_refused():
    for options in (dict(save_best=3), dict(rule=[1]), dict(meta={"a": object()}), dict(save_last="yes")):
        with pytest.raises(FkitTypeError, match=f"CheckpointHook: {next(iter(options))}"):
            CheckpointHook(**options)


def test_what_every_checkpoint_does_anyhow_is_taken():
    local = dict(backend="local")
    hook = CheckpointHook(create_symlink=False, sync_buffer=True, backend_args=local, file_client_args=local)
    assert hook.after_train(hook.memory(), None, Event("after_train", iteration=3))[1] == (SaveCheckpoint(3),)
    assert CheckpointHook(save_optimizer=False, save_param_scheduler=False)
