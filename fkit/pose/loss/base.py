"""How a loss of keypoints is called, be it the kit's or anybody's."""

from typing import Any

from fkit.array.ops import Ops
from fkit.tree.error import FkitValueError

__all__ = ["called", "expect_one_of", "widened"]


def called(loss: Any, xp: Ops, *args: Any) -> Any:
    """A loss's value: of one that says ``takes_ops`` called with ``xp``; of another callable, in MMPose's form, without.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> float(called(lambda output, target: abs(output - target).sum(), Numpy(), np.ones(3), np.zeros(3)))
        3.0
    """
    return loss(xp, *args) if getattr(loss, "takes_ops", False) else loss(*args)


def expect_one_of(loss: Any, **choices: tuple[str, ...]) -> None:
    """Refuse a loss's argument that is none of its choices.

    Raises:
        FkitValueError: it is none.
    """
    for name, allowed in choices.items():
        if (value := getattr(loss, name)) not in allowed:
            who = type(loss).__name__
            raise FkitValueError(f"{who}: {name} = {value!r} is unknown.", value=str(value), choices=allowed)


def widened(weight: Any, like: Any) -> Any:
    """Weights with as many axes as what they weigh.

    Example:
        >>> import numpy as np
        >>> widened(np.ones((2, 3)), np.ones((2, 3, 4, 5))).shape
        (2, 3, 1, 1)
    """
    return weight.reshape(*weight.shape, *(1 for _ in range(like.ndim - weight.ndim)))
