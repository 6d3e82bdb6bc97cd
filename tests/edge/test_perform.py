"""Effects of one's own, and what is on record when a run fails: performed for real, in real folders."""

import json
import sys
from dataclasses import dataclass
from typing import NamedTuple

import pytest
from torch import nn

import fkit
from fkit.data.source import Source
from fkit.edge.follow import follow
from fkit.edge.perform import Edge
from fkit.run.effect import Fail, SaveCheckpoint, WriteConfig, WriteScalars
from fkit.tree.error import FkitTypeError, FkitValueError, RunError
from tests.run.small import config, registry


class Shout(NamedTuple):
    """An effect of one's own."""

    words: str


@dataclass(frozen=True)
class Shouting(fkit.Hook):
    def after_train_epoch(self, memory, run, event):
        return memory, (Shout(f"epoch {event.epoch} is done"),)


def performer(effect, run, edge):
    with open(edge.folder / "shouts.txt", "a") as file:
        file.write(f"{effect.words}, {run.iteration} iterations\n")


def go(folder, reg, *hooks, **changes):
    plan = fkit.plan(config(**changes, custom_hooks=[dict(type=name) for name in hooks]), reg)
    return follow(Edge(folder, plan, {"seed": plan.seed}), fkit.begin(plan), fkit.open_data(plan))


def record(folder):
    """(status, log.txt)."""
    return json.loads((folder / "run.json").read_text())["status"], (folder / "log.txt").read_text()


def test_an_effect_of_ones_own_is_performed_by_what_is_registered(tmp_path):
    reg = registry().register("hooks", Shouting).register("performers", performer, name="Shout")
    run = go(tmp_path, reg, "Shouting")
    assert run.status == "finished" and record(tmp_path)[0] == "finished"
    assert (tmp_path / "shouts.txt").read_text().splitlines() == [
        "epoch 1 is done, 4 iterations",
        "epoch 2 is done, 8 iterations",
        "epoch 3 is done, 12 iterations",
    ]


def test_an_effect_that_nothing_performs_is_named_with_the_way_to_register(tmp_path):
    reg = registry().register("hooks", Shouting).register("performers", performer, name="Shouts")
    with pytest.raises(FkitTypeError) as caught:
        go(tmp_path, reg, "Shouting")
    assert "nothing performs the effect Shout (tests.edge.test_perform)" in str(caught.value)
    assert "Did you mean 'Shouts'?" in str(caught.value)
    assert "reg.register('performers', function, name='Shout')" in str(caught.value)
    assert "function(effect, run, edge)" in str(caught.value)
    status, log = record(tmp_path)
    assert status == "failed" and "nothing performs the effect Shout" in log


def test_a_performer_takes_no_name_of_the_kits_own(tmp_path):
    reg = registry().register("performers", performer, name="WriteScalars")
    with pytest.raises(FkitValueError, match="performer 'WriteScalars', and that effect is performed by the kit"):
        go(tmp_path, reg)
    assert not list(tmp_path.iterdir())


class Breaking(nn.Module):
    """A model that raises in one of its modes."""

    def __init__(self, when):
        super().__init__()
        self.when = when
        self.fc = nn.Linear(64, 10)

    def forward(self, inputs, samples=None, mode="tensor"):
        if mode == self.when:
            raise IndexError(f"broken in {mode}")
        if self.when == "exit":
            sys.exit(0)
        logits = self.fc(inputs.flatten(1))
        if mode == "loss":
            return {"loss": nn.functional.cross_entropy(logits, samples.targets["gt_label"])}
        return {"pred_score": logits.softmax(1), "pred_label": logits.argmax(1)}


class BreakingMetric:
    def empty(self):
        return ()

    def observe(self, state, outputs, targets, ids, valid):
        raise LookupError("broken in observe")

    def merge(self, one, other):
        return one

    def compute(self, state):
        return {}


@dataclass(frozen=True)
class BreakingHook(fkit.Hook):
    def after_train_epoch(self, memory, run, event):
        raise ZeroDivisionError("broken in a hook")


@dataclass(frozen=True)
class Failing(fkit.Hook):
    def after_train_epoch(self, memory, run, event):
        return memory, (Fail("the hook has had enough"),)


class BreakingSource(Source):
    """Gives two batches and breaks."""

    def __init__(self, source):
        self.source = source

    @property
    def length(self):
        return self.source.length

    def batches(self, epoch, start=0):
        for number, batch in enumerate(self.source.batches(epoch, start)):
            if number == 2:
                raise BlockingIOError("broken in a source")
            yield batch


def break_performing(effect, run, edge):
    raise ArithmeticError("broken in a performer")


def broken(name, folder):
    """Run with a part that breaks."""
    reg = registry().register("models", Breaking, backend="torch").register("metrics", BreakingMetric)
    reg = reg.register("hooks", BreakingHook).register("hooks", Failing).register("hooks", Shouting)
    reg = reg.register("performers", break_performing, name="Shout")
    model = dict(_delete_=True, type="Breaking")
    if name in ("loss", "predict", "exit"):
        return go(folder, reg, model={**model, "when": name})
    if name == "metric":
        return go(folder, reg, val_evaluator=dict(type="BreakingMetric"))
    if name in ("train", "val"):
        plan = fkit.plan(config(), reg)
        data = dict(fkit.open_data(plan))
        data[name] = BreakingSource(data["train"])
        return follow(Edge(folder, plan), fkit.begin(plan), data)
    return go(folder, reg, {"hook": "BreakingHook", "fail": "Failing", "performer": "Shouting"}[name])


@pytest.mark.parametrize(
    ("name", "words", "place"),
    [
        ("loss", "broken in loss", "in forward"),
        ("predict", "broken in predict", "in forward"),
        ("exit", "called sys.exit(0)", "in forward"),
        ("metric", "broken in observe", "in observe"),
        ("train", "broken in a source", "in batches"),
        ("val", "broken in a source", "in batches"),
        ("hook", "broken in a hook", "in after_train_epoch"),
        ("fail", "the hook has had enough", ""),
        (
            "performer",
            "the performer of Shout (tests.edge.test_perform:break_performing) raised",
            "in break_performing",
        ),
    ],
)
def test_whatever_ends_a_run_is_on_record(name, words, place, tmp_path):
    with pytest.raises(Exception, match=r".+") as caught:
        broken(name, tmp_path)
    assert words in str(caught.value)
    status, log = record(tmp_path)
    assert status == "failed"
    lines = [line for line in log.splitlines() if words in line and " ERROR " in line]
    assert len(lines) == 1, log
    assert place in log


def test_a_run_that_never_began_leaves_a_folder_as_it_was(tmp_path):
    plan = fkit.plan(config(), registry())
    with pytest.raises(KeyError, match="no source 'train'"):
        follow(Edge(tmp_path, plan), fkit.begin(plan), {})
    assert not list(tmp_path.iterdir())


@dataclass(frozen=True)
class SavingEarly(fkit.Hook):
    """Saves at every step, and fires before the logger, which writes a row at every step."""

    priority = "HIGH"

    def after_train_iter(self, memory, run, event):
        return memory, (SaveCheckpoint(event.iteration, "early"),)


def test_rows_of_the_very_event_count_in_its_checkpoint(tmp_path):
    reg = registry().register("hooks", SavingEarly)
    plan = fkit.plan(config(custom_hooks=[dict(type="SavingEarly")]), reg)
    edge = Edge(tmp_path, plan)
    for run, effects in fkit.train(plan, fkit.begin(plan), fkit.open_data(plan)):
        for effect in effects:
            edge.perform(effect, run)
        if any(isinstance(effect, WriteScalars) for effect in effects) and run.iteration == 3:
            break
    edge.close()
    meta = json.loads((tmp_path / "checkpoints/step_00000003/meta.json").read_text())
    assert meta["rows"] == 3


def test_a_disk_that_refuses_the_words_of_a_failure_does_not_hide_it(tmp_path):
    plan = fkit.plan(config(), registry())
    edge = Edge(tmp_path, plan)
    edge.perform(WriteConfig(), fkit.begin(plan))
    (tmp_path / "log.txt").mkdir()
    edge.fail(RunError("what was wrong"))
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "failed"
