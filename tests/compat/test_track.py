"""Timers and tracked work."""

import io
import itertools
import math
import operator
import os
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkit.compat.pool import results_of
from fkit.compat.track import (
    Timer,
    check_time,
    track_iter_progress,
    track_parallel_progress,
    track_progress,
    track_progress_rich,
)
from fkit.tree.error import FkitRuntimeError, FkitTypeError, FkitValueError


class Terminal(io.StringIO):
    """A stream that says it is a terminal, as rich and `progress` ask it."""

    def isatty(self):
        return True


class TestTimer:
    @given(st.lists(st.integers(0, 100), min_size=2, max_size=8))
    def test_checks_add_up(self, steps):
        times = [float(sum(steps[:n])) for n in range(1, len(steps) + 1)]
        ticks = iter([*times, times[-1]])
        timer = Timer(clock=lambda: next(ticks))
        checks = [timer.since_last_check() for _ in times[1:]]
        assert sum(checks) == timer.since_start() == times[-1] - times[0]

    def test_not_started(self):
        timer = Timer(start=False)
        assert not timer.is_running
        for call in (timer.since_start, timer.since_last_check):
            with pytest.raises(FkitRuntimeError, match=r"the timer was not started.*\n.*timer\.start\(\)"):
                call()
        timer.start()
        assert timer.is_running and timer.since_start() >= 0

    def test_with(self, capsys):
        ticks = iter([1.0, 1.0, 3.5])
        with Timer(print_tmpl="{:.1f} s", clock=lambda: next(ticks)) as timer:
            assert timer.is_running
        assert capsys.readouterr().out == "2.5 s\n" and not timer.is_running

    def test_check_time(self):
        seconds, times = check_time("a", {}, now=1.0)
        assert seconds == 0
        assert check_time("b", times, now=2.0).seconds == 0
        assert check_time("a", times, now=4.0) == (3.0, {"a": 4.0})
        assert check_time("a", check_time("a", {}).times).seconds >= 0


class TestProgress:
    def test_lines_elsewhere(self):
        out = io.StringIO()
        assert track_progress(math.sqrt, [1.0, 4.0], file=out, label="roots") == [1.0, 2.0]
        assert out.getvalue().startswith("roots: 2 of 2, ") and out.getvalue().count("\n") == 1

    def test_a_bar_on_a_terminal(self):
        out = Terminal()
        assert list(track_iter_progress(range(3), file=out, label="work")) == [0, 1, 2]
        assert "work" in out.getvalue() and "3/3" in out.getvalue()

    def test_tasks(self):
        assert track_progress(pow, (iter([2, 3]), 2), file=io.StringIO(), exp=2) == [4, 9]
        assert track_progress(abs, (1, -2), file=io.StringIO()) == [1, 2]
        assert track_progress(abs, [], file=io.StringIO()) == []
        with pytest.raises(FkitTypeError, match=r"not known of a list_iterator.*\n.*\(iterable, how many"):
            track_progress(abs, iter([1]))

    def test_an_error_passes(self):
        with pytest.raises(ValueError, match=r"math domain|nonnegative"):
            track_progress(math.sqrt, [-1.0], file=io.StringIO())

    def test_rich(self):
        call = operator.attrgetter
        assert track_progress_rich(math.hypot, [(3, 4), 5], file=io.StringIO()) == [5.0, 5.0]
        assert track_progress_rich(dict, [{"a": 1}], file=io.StringIO()) == [{"a": 1}]
        assert track_progress_rich(list, task_num=2, file=io.StringIO()) == [[], []]
        assert track_progress_rich(call, ["x"], file=Terminal())[0] is not None
        with pytest.raises(FkitValueError, match="at least 1, not 0 and 1"):
            track_progress_rich(abs, [1], nproc=0)


class TestProcesses:
    def test_order(self):
        out = io.StringIO()
        values = [float(n) for n in range(6)]
        assert track_parallel_progress(math.sqrt, values, 2, file=out) == [math.sqrt(v) for v in values]
        assert "6 of 6" in out.getvalue()
        found = track_parallel_progress(math.sqrt, values, 2, keep_order=False, skip_first=True, file=out)
        assert sorted(found) == [math.sqrt(v) for v in values]
        assert track_progress_rich(divmod, [(7, 2), (9, 4)], nproc=2, file=out) == [(3, 1), (2, 1)]

    def test_refused(self):
        with pytest.raises(FkitValueError, match="nproc and chunksize are at least 1, not 0 and 1"):
            track_parallel_progress(abs, [1], 0)


class TestDeath:
    """A worker that dies is an error that says how, and never a wait without an end."""

    def run(self, func, tasks, **options):
        return track_parallel_progress(func, tasks, 2, file=io.StringIO(), **options)

    def test_killed(self):
        with pytest.raises(FkitRuntimeError, match="A worker process was killed by SIGKILL"):
            self.run(signal.raise_signal, [signal.SIGKILL] * 9)
        with pytest.raises(RuntimeError, match="ended with status 3"):
            self.run(os._exit, [3], keep_order=False, chunksize=2)
        with pytest.raises(RuntimeError, match="was killed by SIGSEGV"):
            track_progress_rich(signal.raise_signal, [signal.SIGSEGV], nproc=2, file=io.StringIO())

    def test_an_initializer_that_fails(self, capfd):
        with pytest.raises(FkitRuntimeError, match="A worker process ended with status 1"):
            self.run(abs, [1, 2], initializer=math.sqrt, initargs=("x",))
        assert "must be real number" in capfd.readouterr().err

    def test_what_a_task_raises_comes_out_as_it_is(self):
        with pytest.raises(ZeroDivisionError) as caught:
            track_progress_rich(divmod, [(1, 1), (1, 0)], nproc=2, file=io.StringIO())
        assert "In a worker process:" in caught.value.__notes__[0]
        assert track_parallel_progress(float, ["1", "2"] * 20, 3, file=io.StringIO()) == [1.0, 2.0] * 20

    def test_a_task_that_no_process_can_be_sent(self):
        with pytest.raises(FkitTypeError, match=r"a task, of .* cannot be sent to a process"):
            self.run(callable, [abs, lambda: 1])

    def test_a_result_that_no_process_can_send(self):
        with pytest.raises(FkitTypeError, match=r"a result, of .*memory.* cannot be sent to a process"):
            self.run(memoryview, [b"a", b"b"])

    def test_a_function_that_no_process_can_be_sent(self):
        with pytest.raises(FkitTypeError, match=r"`func` = <function .* cannot be sent to a process"):
            self.run(lambda task: task, [1])

    def test_tasks_are_taken_as_they_are_needed(self):
        taken = []

        def endless():
            for number in itertools.count():
                taken.append(number)
                yield float(number)

        work = results_of(math.sqrt, endless(), 1, chunksize=2)
        assert [next(work) for _ in range(3)] == [math.sqrt(number) for number in range(3)]
        work.close()
        assert len(taken) < 20
