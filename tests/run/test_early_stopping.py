"""EarlyStoppingHook by value: mmengine's rule, step by step; and a run that it stops."""

import json
import math

import pytest

import fkit
from fkit.run.effect import Stop, WriteText
from fkit.run.event import Event
from fkit.run.hook.early_stopping import EarlyStoppingHook
from fkit.run.state import Memory
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError
from tests.run.small import config, fingerprint, go, registry


def drive(hook, scores, name="acc"):
    """(memory, index of the validation that stops the run, the reason)."""
    memory = hook.memory()
    for index, score in enumerate(scores):
        memory, effects = hook.after_val_epoch(memory, None, Event("after_val_epoch", "val", metrics={name: score}))
        stops = [effect for effect in effects if isinstance(effect, Stop)]
        if stops:
            assert effects == (WriteText(f"the run is stopped early: {stops[0].reason}"), stops[0])
            return memory, index, stops[0].reason
        assert effects == ()
    return memory, None, ""


def mmengines(scores, rule="greater", min_delta=0.1, patience=5, check_finite=True, threshold=None):
    """(validations without, best, index that stops) as mmengine's hook counts: the best begins at the worst there is."""
    worst = -math.inf if rule == "greater" else math.inf
    better = (lambda x, y: x > y) if rule == "greater" else (lambda x, y: x < y)
    delta = min_delta if rule == "greater" else -min_delta
    wait, best = 0, worst
    for index, score in enumerate(scores):
        if check_finite and not math.isfinite(score):
            return wait, best, index
        if threshold is not None and better(score, threshold):
            return wait, score, index
        if better(best + delta, score):
            wait += 1
            if wait >= patience:
                return wait, best, index
        else:
            wait, best = 0, score
    return wait, best, None


SCORES = (
    [0.5, 0.6, 0.65, 0.69, 0.7, 0.71, 0.72, 0.9, 0.9],
    [0.5, 0.4, 0.3, 0.2, 0.1, 0.0, -0.1],
    [0.0, 0.0, 0.0, 0.0],
    [0.5, 0.6, 0.7, 0.8, 0.9],
    [1.0, math.nan, 2.0],
    [1.0, math.inf, 2.0, 2.1],
)


@pytest.mark.parametrize("scores", SCORES)
@pytest.mark.parametrize("rule", ["greater", "less"])
@pytest.mark.parametrize(
    "options",
    [{}, dict(patience=1), dict(patience=0), dict(patience=2, min_delta=0.0), dict(min_delta=0.05, patience=3),
     dict(check_finite=False, patience=2), dict(threshold=0.65)],
)  # fmt: skip
def test_it_counts_as_mmengine_does(scores, rule, options):
    named = {{"threshold": "stopping_threshold"}.get(key, key): value for key, value in options.items()}
    memory, stopped, reason = drive(EarlyStoppingHook("acc", rule, **named), scores)
    wait, best, index = mmengines(scores, rule, **options)
    assert (memory.exact[0], stopped) == (wait, index)
    assert memory.exact[1] == pytest.approx(best, nan_ok=True)
    assert bool(reason) == (index is not None)


def test_the_rule_is_the_names_and_the_reason_says_what_was_waited_for():
    hook = EarlyStoppingHook("val/loss", patience=2)
    assert drive(hook, [1.0, 0.95, 0.92], "val/loss") == (
        Memory((2, 1.0)), 2, "val/loss has not become better than 1 by 0.1 in 2 validations",
    )  # fmt: skip
    assert "nan is not finite (the best was 0.5)" in drive(EarlyStoppingHook("acc"), [0.5, math.nan])[2]
    _, stopped, reason = drive(EarlyStoppingHook("acc", stopping_threshold=0.9), [0.5, 0.9, 0.91])
    assert stopped == 2 and reason == "acc = 0.91 is better than the threshold 0.9"


def test_a_metric_that_is_not_there_is_said_or_an_error():
    event = Event("after_val_epoch", "val", metrics={"mIoU": 0.5})
    memory, [text] = EarlyStoppingHook("acc").after_val_epoch(Memory((1, 0.3)), None, event)
    assert memory == Memory((1, 0.3)) and "monitor='acc' is no metric of validation" in text.text
    assert text.level == "WARNING"
    with pytest.raises(FkitKeyError, match="monitor='acc' is no metric of validation"):
        EarlyStoppingHook("acc", strict=True).after_val_epoch(Memory((0, None)), None, event)
    assert (
        EarlyStoppingHook("acc", strict=True).after_val_epoch(Memory((0, None)), None, Event("after_val_epoch"))[1]
        == ()
    )


def test_what_cannot_be_is_refused():
    for options, said in (
        (dict(monitor="warmth"), "its name does not say whether more of it is better"),
        (dict(monitor="acc", rule="more"), "rule='more'"),
        (dict(monitor="acc", patience=-1), "patience=-1: at least 0"),
    ):
        with pytest.raises(FkitValueError, match=said):
            EarlyStoppingHook(**options)
    with pytest.raises(FkitTypeError, match="monitor"):
        EarlyStoppingHook(3)


def test_a_run_stops_at_the_end_of_its_epoch_and_one_that_goes_on_counts_on(tmp_path):
    stop = dict(type="EarlyStoppingHook", monitor="accuracy/top1", min_delta=2.0, patience=3)
    cfg = config().merge({"custom_hooks": [stop], "train_cfg.max_epochs": 9, "param_scheduler": ()})
    plan = fkit.plan(cfg, registry())
    go(plan, tmp_path / "whole")
    rows = [json.loads(line) for line in (tmp_path / "whole/metrics.jsonl").read_text().splitlines()]
    assert max(row["epoch"] for row in rows) == 4  # the first is the best, and three wait
    log = (tmp_path / "whole/log.txt").read_text()
    assert log.count("the run is stopped early: accuracy/top1 has not become better than") == 1
    for after in (6, 8, 11):
        go(plan, tmp_path / f"a{after}", stop_after=after)
        go(plan, tmp_path / f"a{after}", resume=True)
        assert fingerprint(tmp_path / f"a{after}") == fingerprint(tmp_path / "whole"), after
