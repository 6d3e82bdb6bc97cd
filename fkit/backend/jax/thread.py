"""Threads of XLA's arithmetic on the CPU."""

import os

from fkit.backend.jax.determinism import begun

__all__ = ["threads"]


def threads(count: int | None) -> int | None:
    """Compute on so many threads from now on, in this process; None leaves it. XLA asks once, before the first array.

    Returns:
        how many are in force; None where XLA does not say: it decides by itself, or had begun already.
    """
    if count is None or begun():
        return None
    os.environ["NPROC"] = str(count)  # what XLA's client for the CPU makes its pool by
    return count
