"""The book ``schedules``: the lr and the momentum of every group at each iteration of a run, of every policy of mmcv 1.x
and every scheduler of mmengine.

Each case's config goes through the translation, the settings and the plan's own schedules; its course is folded without
a model, and the hook is asked when it says that it is due.
"""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import fkit
from fkit.config.dialect.translate import translate
from fkit.recipe.settings import read
from fkit.run.course import Course, by_epochs, by_iterations
from fkit.run.effect import SetHyperparams
from fkit.run.event import Event
from fkit.run.hook.hook import NEVER, Hook, Offer
from fkit.run.hook.schedule import ParamSchedulerHook
from fkit.run.state import Position, RunState
from fkit.run.timetable import schedules_of
from tests.golden.decoding import untagged

BOOK = "schedules"

Values = dict[str, NDArray[np.float64]]


def base_of(case: dict[str, Any]) -> Values:
    """What the groups of a case start with; auto_scale_lr's rule is lr * batch size / base batch size."""
    optimizer = untagged(case["optimizer"])
    defaults = {"SGD": {"momentum": 0.0}, "Adam": {"betas": (0.9, 0.999)}}.get(optimizer["type"], {})
    rows = [{**defaults, **optimizer, **untagged(group)} for group in case.get("param_groups") or [{}]]
    scale = case.get("auto_scale_lr") or {}
    factor = case["batch_size"] / scale["base_batch_size"] if scale.get("enable") else 1.0
    base = {"lr": np.array([row["lr"] * factor for row in rows])}
    if any("initial_lr" in row for row in rows) and case["ref"] == "mmcv1":  # lr is what was in force when it was saved
        base = {"lr": np.array([row["initial_lr"] for row in rows])}
    elif any("initial_lr" in row for row in rows):
        base["initial_lr"] = np.array([row.get("initial_lr", row["lr"]) for row in rows])
    if "betas" in rows[0]:
        base["beta1"] = np.array([row["betas"][0] for row in rows])
    elif "momentum" in rows[0]:
        base["momentum"] = np.array([row["momentum"] for row in rows])
    return base


def config_of(case: dict[str, Any]) -> fkit.Config:
    keys = ("lr_config", "momentum_config", "runner", "train_cfg", "param_scheduler")
    return fkit.Config({"optimizer": {"type": "SGD"}, **{key: untagged(case[key]) for key in keys if key in case}})


def hook_of(case: dict[str, Any]) -> tuple[Hook, Course]:
    tree, _ = translate(config_of(case))
    settings = read(tree.pop("optimizer")[0] if "optimizer" in tree else tree)
    loop, length = settings.train, case["epoch_length"]
    assert loop is not None and loop.limit is not None
    every = case.get("train_cfg", {}).get("val_interval", 10**6)
    course = (by_epochs if loop.by_epoch else by_iterations)(loop.limit, val_interval=every)
    base = base_of(case)

    def schedules() -> Any:
        return schedules_of(settings, fkit.registry(), course, base, lambda: length)

    return ParamSchedulerHook().bind(Offer(course, lambda: base, schedules, lambda: length)), course


def fold(case: dict[str, Any]) -> list[Values]:
    """What is in force in the step of each iteration."""
    hook, course = hook_of(case)
    length, metrics = case["epoch_length"], list(case.get("val_metrics") or ())
    total = course.total(length)
    run = RunState(Position(), None, base_of(case), {"it": hook.memory()})
    ahead, due, rows = iter(()), 0, []
    word = ""
    while word != "done":
        word, after = course.next(run.position, length)
        if word == "iterate":
            run = run._replace(hyperparams=next(ahead, run.hyperparams))
            if hook.answers("before_train_iter") and after.iteration >= due:
                event = Event(
                    "before_train_iter", iteration=run.iteration, inner=(after.inner or length) - 1, length=length
                )
                memory, effects = hook.before_train_iter(run.memory["it"], run, event)
                run, used = run._replace(memory={"it": memory}), 0
                for effect in effects:
                    assert isinstance(effect, SetHyperparams)
                    run, ahead, used = run._replace(hyperparams=effect.values), iter(effect.ahead), len(effect.ahead)
                due = after.iteration + 1 + used if used else hook.due("before_train_iter", after, length, total)
            rows.append(run.hyperparams)
        run = run._replace(position=after)
        if word == "validate" and metrics and hook.answers("after_val_epoch"):
            event = Event("after_val_epoch", "val", iteration=after.iteration, metrics=untagged(metrics.pop(0)))
            memory, effects = hook.after_val_epoch(run.memory["it"], run, event)
            run = run._replace(memory={"it": memory})
            for effect in effects:
                run, ahead = run._replace(hyperparams=effect.values), iter(())
    assert due <= NEVER
    return rows


def test_case(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(fkit.FkitError):
            fold(case)
        return
    rows = fold(case)
    assert len(rows) == case["n_iters"]
    np.testing.assert_allclose(np.array([row["lr"] for row in rows]).T, untagged(case["lr"]), rtol=1e-9, atol=1e-12)
    if "momentum" in case:
        name = "beta1" if "beta1" in rows[0] else "momentum"
        np.testing.assert_allclose(
            np.array([row[name] for row in rows]).T, untagged(case["momentum"]), rtol=1e-9, atol=1e-12
        )
