"""EvalHook by value: when mmcv 1.x validates; and where its `evaluation` leads."""

import json

import pytest

import fkit
from fkit.config.dialect import translate
from fkit.run.effect import Validate
from fkit.run.event import Event
from fkit.run.hook.evaluation import DistEvalHook, EvalHook
from fkit.run.state import Memory, Position
from fkit.tree.error import FkitValueError
from tests.run.small import config, go, registry
from tests.run.test_hooks import a_run


def mmcvs(start, interval, total):
    """The epochs after which mmcv 1.x evaluates; 0 is before the first."""

    def should(current):  # epochs before this one
        if start is None:
            return (current + 1) % interval == 0
        return current + 1 >= start and (current + 1 - start) % interval == 0

    first = [0] if start is not None and start <= 0 and should(0) else []
    return first + [current + 1 for current in range(total) if should(current)]


@pytest.mark.parametrize("start", [None, 0, 1, 2, 5])
@pytest.mark.parametrize("interval", [1, 2, 3])
def test_it_validates_when_mmcv_does(start, interval):
    for by_epoch in (True, False):
        hook, seen = EvalHook(start, interval, by_epoch), []
        if hook.answers("before_train") and hook.before_train(Memory(), a_run(), Event("before_train"))[1]:
            seen.append(0)
        word = "after_train_epoch" if by_epoch else "after_train_iter"
        assert hook.answers(word) and not hook.answers("after_train_iter" if by_epoch else "after_train_epoch")
        for done in range(1, 10):
            event = Event(word, epoch=done if by_epoch else 0, iteration=done)
            if getattr(hook, word)(Memory(), a_run(), event)[1] == (Validate(),):
                seen.append(done)
        assert seen == mmcvs(start, interval, 9)
        due = [hook.due(word, Position(iteration=done), 0, 9) for done in range(9)]
        later = [next(n for n in range(done + 1, 40) if hook.now(n)) for done in range(9)]
        assert due == later


def test_a_run_that_goes_on_is_not_validated_once_more():
    hook, event = EvalHook(0), Event("before_train")
    assert hook.before_train(Memory(), a_run(restored=True), event)[1] == ()
    assert hook.before_train(Memory(), a_run(), event._replace(iteration=4))[1] == ()


def test_what_is_checkpoint_hooks_is_refused():
    for name, value in dict(save_best="acc", rule="greater", greater_keys=["a"], less_keys=["b"], out_dir="c").items():
        with pytest.raises(FkitValueError, match=rf"{name}=.*: what is kept is CheckpointHook's to say"):
            DistEvalHook(**{name: value})
    with pytest.raises(FkitValueError, match="interval=0, start=-1: at least 1 and 0"):
        EvalHook(-1, 0)
    assert DistEvalHook(broadcast_bn_buffer=False, gpu_collect=True, tmpdir="a").now(1)


def validated(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row["step"] for row in rows if row["mode"] == "val"]


@pytest.mark.parametrize(
    ("options", "want"),
    [
        (dict(interval=2), [8]),
        (dict(start=0), [0, 4, 8, 12]),
        (dict(start=2, interval=5), [8]),
        (dict(by_epoch=False, interval=5), [5, 10]),
        (dict(by_epoch=False, interval=5, start=3), [3, 8]),
    ],
)
def test_a_run_is_validated_by_it_alone(options, want, tmp_path):
    hooks = {"default_hooks.evaluation": dict(type="EvalHook", **options), "train_cfg.max_epochs": 3}
    go(fkit.plan(config().merge(hooks), registry()), tmp_path)
    assert validated(tmp_path) == want


def test_mmcvs_evaluation_is_this_hook_where_mmengines_loop_would_not_do():
    def made(length=12, **evaluation):
        data = dict(val=dict(type="CocoDataset"), samples_per_gpu=2)
        old = dict(runner=dict(type="EpochBasedRunner", max_epochs=length), data=data)
        return translate(fkit.Config({**old, "evaluation": dict(metric="bbox", **evaluation)}))[0]

    cfg = made(interval=3)
    assert cfg.train_cfg.val_interval == 3 and "evaluation" not in cfg.get("default_hooks", {})
    assert dict(made(interval=5).default_hooks.evaluation) == dict(type="EvalHook", interval=5, by_epoch=True)
    later = dict(type="EvalHook", interval=1, by_epoch=True, start=8, priority="LOW")
    assert dict(made(start=8, priority="LOW").default_hooks.evaluation) == later
    assert made(by_epoch=False, interval=100).default_hooks.evaluation.by_epoch is False
    kept = made(save_best="bbox_mAP", rule="greater", greater_keys=["mAP"], less_keys=["x"], out_dir="far")
    checkpoint = kept.default_hooks.checkpoint
    want = dict(save_best="bbox_mAP", rule="greater", greater_keys=["mAP"], less_keys=["x"], out_dir="far")
    assert {name: checkpoint[name] for name in want} == want
