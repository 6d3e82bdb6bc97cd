"""Memory that a loader's worker keeps in place of giving it back after every picture."""

import ctypes

__all__ = ["keep_memory"]

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # glibc's numbers for them
_LARGEST = 32 << 20  # bytes: the most that glibc takes for the first
_KEPT = 256 << 20


def keep_memory() -> bool:
    """Have this process keep up to 256 MB of freed memory; for processes that do little but transform pictures.

    By default glibc asks the system for each large array anew and gives it back when it is freed, and the system clears
    every page of it: in a chain of resize, flip, normalise and pad that takes as long as the arithmetic.

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
