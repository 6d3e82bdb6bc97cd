"""A dense head's maker: the arguments of its logic, and a backend's module around it."""

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["headed"]


def headed(module: Callable[[Any], Any], logic: Callable[..., Any]) -> Callable[..., Any]:
    """The maker of a head.

    Args:
        module: makes a backend's module of the logic.
        logic: the class of the logic, whose arguments the maker takes.

    Example:
        >>> from fkit.detection.rpn import RPNHead
        >>> "num_convs" in inspect.signature(headed(print, RPNHead)).parameters
        True
    """

    def make(**arguments: Any) -> Any:
        return module(logic(**arguments))

    make.__name__ = make.__qualname__ = logic.__name__
    make.__doc__ = logic.__doc__
    make.__signature__ = inspect.signature(logic)  # pyright: ignore[reportFunctionMemberAccess]
    return make
