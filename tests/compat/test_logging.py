"""Loggers by name: level, file, rank, colour, and being asked for again."""

import io
import itertools
import logging

import pytest

from fkit.compat.logging import get_logger, print_log
from fkit.edge.launch import rank_of
from fkit.tree.error import FkitTypeError, FkitValueError

_NUMBERS = itertools.count()


@pytest.fixture
def name():
    """A name that no other test has; what the test opened is closed after it."""
    name = f"test{next(_NUMBERS)}"
    yield name
    for logger in (logging.getLogger(name), logging.getLogger(f"{name}.inner")):
        for handler in list(logger.handlers):
            handler.close()
            logger.removeHandler(handler)


def test_line(name):
    out = io.StringIO()
    get_logger(name, stream=out, rank=0).info("iteration %d", 3)
    assert out.getvalue().endswith(f" - {name} - INFO - iteration 3\n")
    assert out.getvalue()[4] == "-"  # the year


def test_errors_say_where_and_why(name):
    out = io.StringIO()
    logger = get_logger(name, stream=out, rank=0)
    try:
        raise ValueError("why")
    except ValueError:
        logger.exception("failed")
    assert "test_logging.py:" in out.getvalue() and "test_errors_say_where_and_why - failed" in out.getvalue()
    assert "ValueError: why" in out.getvalue()


def test_file_and_level(name, tmp_path):
    out, path = io.StringIO(), tmp_path / "new" / "log.txt"
    logger = get_logger(name, path, "DEBUG", stream=out, rank=0, color=True)
    logger.debug("fine")
    assert "\x1b[32mDEBUG\x1b[0m - fine" in out.getvalue()
    assert path.read_text().endswith(f" - {name} - DEBUG - fine\n")  # no colours in files


def test_asked_for_again(name, tmp_path):
    first, second = io.StringIO(), io.StringIO()
    logger = get_logger(name, stream=first, rank=0)
    assert get_logger(name, tmp_path / "a.txt", "WARNING", stream=second, rank=0) is logger
    assert get_logger(name, tmp_path / "a.txt", "INFO", stream=second, rank=0) is logger
    logger.info("once")
    assert first.getvalue() == "" and second.getvalue().count("once") == 1
    assert (tmp_path / "a.txt").read_text().count("once") == 1


def test_file_mode(name, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old\n")
    get_logger(name, path, file_mode="a", stream=io.StringIO(), rank=0).info("new")
    assert path.read_text().startswith("old\n") and "new" in path.read_text()
    with pytest.raises(FkitValueError, match=r"file_mode = 'x' is unknown.*\n.*Allowed: w, a"):
        get_logger(name, path, file_mode="x")


def test_a_file_that_is_a_folder(name, tmp_path):
    with pytest.raises(OSError, match="cannot be opened for the log: it is a folder"):
        get_logger(name, tmp_path, stream=io.StringIO(), rank=0)


def test_children_write_where_the_parent_does(name, tmp_path):
    out = io.StringIO()
    get_logger(name, stream=out, rank=0)
    inner = get_logger(f"{name}.inner", tmp_path / "inner.txt", stream=io.StringIO(), rank=0)
    inner.info("hello")
    assert out.getvalue().count("hello") == 1 and (tmp_path / "inner.txt").read_text().count("hello") == 1


def test_other_ranks_write_errors_only(name, tmp_path):
    out = io.StringIO()
    logger = get_logger(name, tmp_path / "log.txt", stream=out, rank=2)
    logger.info("quiet")
    logger.error("loud")
    assert "quiet" not in out.getvalue() and "loud" in out.getvalue()
    assert list(tmp_path.iterdir()) == []


def test_a_file_for_each_rank(name, tmp_path):
    get_logger(name, tmp_path / "log.txt", stream=io.StringIO(), rank=2, distributed=True).info("hello")
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("log_") and path.name.endswith("_rank2.txt") and "hello" in path.read_text()


def test_warnings_once(name):
    out = io.StringIO()
    logger = get_logger(name, stream=out, rank=0)
    for _ in range(3):
        logger.warning("again")
        logger.info("always")
    assert out.getvalue().count("again") == 1 and out.getvalue().count("always") == 3


def test_levels(name):
    with pytest.raises(FkitValueError, match=r"log_level = 'INF' is unknown.*\n.*Did you mean 'INFO'\?"):
        get_logger(name, log_level="INF")
    assert get_logger(name, log_level="warning", stream=io.StringIO()).level == logging.WARNING
    assert get_logger(name, log_level=15, stream=io.StringIO()).level == 15


def test_rank_of_the_launchers():
    for variable in ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK"):
        assert rank_of({variable: "3"}) == 3
    assert rank_of({"RANK": "1", "SLURM_PROCID": "0"}) == 1 and rank_of({"RANK": "x"}) == 0


def test_print_log(name, capsys):
    out = io.StringIO()
    logger = get_logger(name, stream=out, rank=0)
    print_log("printed")
    print_log("by logger", logger)
    print_log("by name", name, "ERROR")
    print_log("nothing", "silent")
    assert capsys.readouterr().out == "printed\n"
    assert "by logger" in out.getvalue() and "by name" in out.getvalue() and "nothing" not in out.getvalue()
    with pytest.raises(FkitValueError, match=r"there is no current logger.*\n.*Pass the logger"):
        print_log("x", "current")
    with pytest.raises(FkitTypeError, match="not a int"):
        print_log("x", 3)
