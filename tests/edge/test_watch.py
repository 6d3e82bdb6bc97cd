"""How far a run is, shown by the edge's own clock."""

import io
import re
import time

import numpy as np
import pytest
from rich.console import Console

from fkit.data.dataset import ConcatDataset, Digits
from fkit.data.identity import metainfo_of
from fkit.data.loader import Loader
from fkit.data.source import Source
from fkit.edge.progress import Screen
from fkit.edge.watch import Pace, Watch
from fkit.structures.batch import Batch


def screen_on(terminal):
    """A screen, and what is written to it."""
    text = io.StringIO()
    return Screen(Console(file=text, force_terminal=terminal, width=120, highlight=False)), text


def test_rate_and_time_left():
    pace = Pace(110, now=100.0, done=10)
    assert pace.words(102.0, 30) == ("left 0:00:08", "10.0 it/s")
    assert pace.words(102.0, 30) == (), "nothing was done since"
    pace.aside(60.0)  # a validation: no part of the rate, but of the time that is left
    assert pace.words(164.0, 70) == ("left 0:00:43", "13.0 it/s")
    assert Pace(0, now=0.0).words(10.0, 2) == ("5.0 s/it",)
    assert Pace(60, now=0.0).words(59.6, 30)[0] == "left 0:01:00"


@pytest.mark.parametrize(("terminal", "seconds"), [(True, 0.2), (False, 10.0)])
def test_nothing_is_shown_before_its_time(terminal, seconds):
    screen, text = screen_on(terminal)
    assert screen.seconds == seconds
    watch = Watch(screen, 100)
    began = time.monotonic()
    for done in range(10_000):
        watch.look(done)
    if time.monotonic() - began < seconds:  # a machine that is very busy
        assert text.getvalue() == ""


def test_a_bar_shows_what_was_read_last():
    screen, text = screen_on(terminal=True)
    watch = Watch(screen, 400)
    watch.look(100)
    watch.values = {"loss": 0.5, "lr": 0.01, "accuracy": 0.9}
    time.sleep(0.25)
    watch.look(150)
    assert re.search(r"150/400  left 0:00:0\d  loss 0\.5000  \d+\.\d it/s  lr 1\.00e-02\n?", text.getvalue())
    shown = len(text.getvalue())
    watch.look(151)
    assert len(text.getvalue()) == shown
    screen.close()


def batches(count, seconds):
    """A source whose batches take a while."""

    class Slow(Source):
        @property
        def length(self):
            return count

        def batches(self, epoch, start=0):
            for number in range(start, count):
                time.sleep(seconds)
                yield Batch(np.full((1, 1), number, np.float32))

    return Slow()


def test_a_bar_of_validation_counts_the_batches_that_were_asked_for():
    screen, text = screen_on(terminal=True)
    watch = Watch(screen, 100)
    watch.look(1)
    source = watch.over(batches(6, 0.3), "val")
    assert source.length == 6
    assert [float(batch.inputs[0, 0]) for batch in source.batches(0, 1)] == [1, 2, 3, 4, 5]
    assert "val" in text.getvalue() and re.search(r"[345]/6", text.getvalue())
    time.sleep(0.1)
    watch.look(3)  # two steps in 0.1 s: the 1.5 s that validation took are none of theirs
    assert float(text.getvalue().rsplit(" it/s", 1)[0].split()[-1]) > 2
    screen.close()


def test_metrics_are_told_of_the_data_behind_a_bar():
    screen, _ = screen_on(terminal=False)
    source = Watch(screen).over(Loader(Digits("test"), 100), "val")
    assert metainfo_of(source)["classes"] == tuple("0123456789")
    joined = Loader(ConcatDataset([Digits("test"), Digits("test")]), 100)
    assert metainfo_of(Watch(screen).over(joined, "val")) == metainfo_of(joined)
    assert "cumulative_sizes" in metainfo_of(joined)
    assert metainfo_of(Watch(screen).over(batches(1, 0), "val")) == {}
    screen.close()


def test_lines_stand_above_the_bar_and_none_is_lost():
    screen, text = screen_on(terminal=True)
    watch = Watch(screen, 10)
    for number in range(50):
        screen.say(f"line {number}")
    assert "line 0" in text.getvalue() and "line 49" not in text.getvalue(), "lines that follow fast are kept back"
    screen.say("careful [/red]", "WARNING")
    assert "line 49" in text.getvalue() and "careful [/red]" in text.getvalue()
    screen.say("last")
    watch.look(1)
    screen.close()
    assert text.getvalue().index("careful") < text.getvalue().index("last")


def test_plain_lines_are_written_at_once():
    screen, text = screen_on(terminal=False)
    screen.say("one")
    screen.say("two")
    assert text.getvalue() == "one\ntwo\n"
    screen.show("val", 3, 0, ("5.0 s/it",))
    assert text.getvalue().endswith("val 3/?  5.0 s/it\n")
