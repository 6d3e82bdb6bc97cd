"""The generators that whole processes share, numpy's, ``random``'s and torch's: seeded for code of others, and put back.

The kit's own transforms draw from the generator they are given. Others' code (datasets, torchvision's transforms, a
collate function that mixes samples) draws from these, so they are seeded from the sample's key, and what it draws is the
same for any number of workers and after any resume. torch's is seeded where torch is imported; nothing here imports it.
They belong to the process: two threads that make batches of such code at once disturb each other.
"""

import random
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from fkit.tree.check import expect_call
from fkit.tree.error import FkitValueError, quoted

__all__ = ["put_back", "repeatable", "reseed", "seeded"]

T = TypeVar("T")


def reseed(seed: int) -> None:
    """Seed them all; ``seed`` is below 2**32."""
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise FkitValueError(f"seed = {quoted(seed)} is no whole number from 0 to 2**32 - 1.")
    np.random.seed(seed)
    random.seed(seed)
    torch = _torch()
    if torch is not None:
        torch.default_generator.manual_seed(seed)  # torch.manual_seed visits every device, and takes 200 times as long


@contextmanager
def put_back() -> Generator[None]:
    """After the block they go on as if it had not been; within it torch computes on one thread, as in a worker process,
    so that its sums have the same bits.

    Example:
        >>> before = random.getstate()
        >>> with put_back():
        ...     reseed(3)
        >>> random.getstate() == before
        True
    """
    of_numpy, of_python, torch = np.random.get_state(), random.getstate(), _torch()
    of_torch, threads = (None, 1) if torch is None else (torch.default_generator.get_state(), torch.get_num_threads())
    try:
        if torch is not None:
            torch.set_num_threads(1)
        yield
    finally:
        np.random.set_state(of_numpy)
        random.setstate(of_python)
        if torch is not None:
            torch.default_generator.set_state(of_torch)
            torch.set_num_threads(threads)


@contextmanager
def seeded(seed: int) -> Generator[None]:
    """Seeded inside the block, and put back after it.

    Example:
        >>> with seeded(3):
        ...     first = np.random.rand()
        >>> with seeded(3):
        ...     again = np.random.rand()
        >>> first == again
        True
    """
    with put_back():
        reseed(seed)
        yield


def repeatable(function: Callable[[], T]) -> T:
    """What a function gives that seeds them itself (`reseed`); they are put back after it.

    Where it is the first to import torch, it is called again: what it drew from torch before was not seeded.

    Example:
        >>> repeatable(lambda: (reseed(1), random.random())) == repeatable(lambda: (reseed(1), random.random()))
        True
    """
    expect_call(function, "`function` is a function of nothing")
    with put_back():
        known = _torch() is not None
        answer = function()
    return answer if known or _torch() is None else repeatable(function)


def _torch() -> Any:
    """torch; None where it is not imported, or not yet whole."""
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "default_generator") else None
