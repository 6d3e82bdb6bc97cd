"""Real signals to a run that is followed, at moments that effects of one's own choose."""

import json
import os
import signal
import threading
from dataclasses import dataclass
from typing import NamedTuple

import pytest

import fkit
from fkit.edge.checkpoint import steps
from fkit.edge.follow import follow
from fkit.edge.perform import Edge
from fkit.edge.signal import inbox
from tests.run.small import config, registry


class Kill(NamedTuple):
    name: str


@dataclass(frozen=True)
class Early(fkit.Hook):
    """A signal at step 5, and one more before the run is saved."""

    priority = "HIGHEST"
    first: str = "SIGTERM"

    def after_train_iter(self, memory, run, event):
        return memory, (Kill(self.first),) if event.iteration == 5 else ()

    def on_interrupt(self, memory, run, event):
        return memory, (Kill("SIGINT"), Kill("SIGTERM"))


@dataclass(frozen=True)
class Late(fkit.Hook):
    """A signal when the run has been saved, and before its curves are drawn."""

    name: str = ""

    def on_interrupt(self, memory, run, event):
        return memory, (Kill(self.name),) if self.name else ()


class Name:
    """In a class's body: a signal comes while the class is made, as in a module that is imported late."""

    def __set_name__(self, owner, name):
        signal.raise_signal(signal.SIGTERM)


def killed(effect, run, edge):
    if effect.name == "within":
        type("Made", (), {"name": Name()})
    else:
        signal.raise_signal(signal.Signals[effect.name])


def go(folder, first, late):
    reg = registry().register("hooks", Early).register("hooks", Late)
    reg = reg.register("performers", killed, name="Kill")
    hooks = [dict(type="Early", first=first), dict(type="Late", name=late, priority=95)]
    plan = fkit.plan(config(custom_hooks=hooks), reg)
    return follow(Edge(folder, plan), fkit.begin(plan), fkit.open_data(plan))


@pytest.mark.parametrize("first", ["SIGTERM", "SIGINT", "SIGHUP"])
@pytest.mark.parametrize("late", ["", "SIGTERM", "SIGINT", "within"])
def test_signals_before_and_after_the_run_is_saved(first, late, tmp_path, capfd):
    if not hasattr(signal, first) or signal.getsignal(signal.Signals[first]) is signal.SIG_IGN:
        pytest.skip("no such signal here, or the tests run under nohup")
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    run = go(tmp_path, first, late)
    assert (run.signal, run.status) == (first, "interrupted")
    # the signal came with the effects of step 5, so step 6 was the step in progress
    assert steps(tmp_path / "checkpoints")[0] == run.iteration == 6
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "interrupted"
    assert (tmp_path / "curves.png").exists() == (not late), "after the save a further signal acts"
    log = (tmp_path / "log.txt").read_text()
    assert log.count("go on with --resume") == 1 and "ERROR" not in log
    if late:
        name = "SIGTERM" if late == "within" else late
        assert f"{first}: stopped after iteration 6, at once by {name}; go on with --resume." in log
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert capfd.readouterr().err.count(f"again: saving, since {first}") == 2


def test_outside_the_main_thread_the_clock_is_observed_alone():
    seen = []

    def listen():
        with inbox() as ears:
            os.kill(os.getpid(), signal.SIGTERM)
            seen.extend(next(iter(ears)))

    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        thread = threading.Thread(target=listen)
        thread.start()
        thread.join()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [one.kind for one in seen] == ["time"] and heard == [signal.SIGTERM]
