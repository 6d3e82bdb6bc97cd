"""The one sentinel: what stands where there is nothing, where None would be a value."""

from enum import Enum
from typing import Final

__all__ = ["ABSENT", "Absent"]


class Absent(Enum):
    """The class of `ABSENT`: an enumeration of one, so that type checkers narrow it and pickling keeps its identity.

    Example:
        >>> {}.get("a", ABSENT) is ABSENT, ABSENT
        (True, ABSENT)
    """

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = Absent.ABSENT
"""Nothing is there."""
