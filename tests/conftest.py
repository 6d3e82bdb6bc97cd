"""One torch thread for the whole suite: with two, a loaded 2-core machine runs steps many times slower."""

import contextlib
import gc
import os
import sys

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

settings.register_profile("shared", deadline=None)  # a machine that others use too has slow moments
settings.load_profile("shared")

# a JAX trace makes objects by the million, of which few are ever in a circle
gc.set_threshold(20_000, 10, 10)


def pytest_collection_finish() -> None:
    """What was collected lives to the end: 17,000 tests and their books are not looked through again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def here(tmp_path):
    """The temporary folder, as the working folder; what is imported from it goes again, and Python looks there no more."""
    modules, places = set(sys.modules), list(sys.path)
    try:
        with contextlib.chdir(tmp_path):
            yield tmp_path
    finally:
        sys.path[:] = places
        for name in set(sys.modules) - modules:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
                del sys.modules[name]
