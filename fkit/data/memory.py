"""Memory that the C library keeps of what was freed: more of it for a loader's worker, none of it for a model that begins."""

import ctypes

__all__ = ["give_back", "keep_memory"]

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # glibc's numbers for them
_LARGEST = 32 << 20  # bytes: the most that glibc takes for the first
_KEPT = 256 << 20


def keep_memory() -> bool:
    """Have this process keep up to 256 MB of freed memory; for processes that transform pictures, or predict on the CPU.

    By default glibc asks the system for each large array anew and gives it back when it is freed, and the system clears
    every page of it: in a chain of resize, flip, normalise and pad that takes as long as the arithmetic, and a quarter of
    the time of a detector's prediction.

    Returns:
        whether the C library took the settings (glibc does); where it has none, all stays as it was.

    Example:
        >>> isinstance(keep_memory(), bool)
        True
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library; on Windows, None is no library's name
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST) and mallopt(_TRIM_THRESHOLD, _KEPT))


def give_back() -> bool:
    """Give the system back what this process has freed: glibc keeps the gaps between arrays that live on.

    Returns:
        whether there was anything to give, and the C library gives it.

    Example:
        >>> isinstance(give_back(), bool)
        True
    """
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (AttributeError, OSError, TypeError):
        return False
