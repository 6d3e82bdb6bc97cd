"""TimeCounter: averages after the warm-up, as a decorator and round a block."""

import io

import pytest

from fkit.compat.counter import TimeCounter
from fkit.tree.error import FkitRuntimeError, FkitValueError


def test_decorator(capsys):
    synced = []
    counter = TimeCounter(warmup_interval=0, sync=lambda: synced.append(1))

    @counter
    def double(x):
        return 2 * x

    assert double(2) == 4 and double.__name__ == "double" and len(synced) == 2
    assert capsys.readouterr().out.startswith("[double]-time per run averaged in the past 1 runs: ")


def test_a_failure_is_not_counted():
    counter = TimeCounter(warmup_interval=0, file=io.StringIO())
    with pytest.raises(ZeroDivisionError), counter:
        raise ZeroDivisionError
    assert counter.count == 0
    with counter:
        pass
    assert counter.count == 1


def test_refused():
    with pytest.raises(FkitValueError, match="log_interval is at least 1"):
        TimeCounter(0)
    counter = TimeCounter(tag="x")
    with counter, pytest.raises(FkitRuntimeError, match="the counter 'x' is running"), counter:
        pass
