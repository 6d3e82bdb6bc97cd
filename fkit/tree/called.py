"""Packages that share their name with a function of the facade: ``fkit.train`` is both."""

import importlib
import sys
from types import ModuleType
from typing import Any

__all__ = ["called", "resolve"]


def resolve(target: str) -> Any:
    """The object that ``"module:attribute"`` names.

    Example:
        >>> resolve("math:pi") > 3
        True
    """
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def called(package: str, target: str) -> None:
    """Make a package callable: calling it calls ``target``, opened by name at the first call.

    ``import fkit.train.program`` binds the name ``fkit.train`` to the package, where the contract has the function
    ``fkit.train(plan, run, data, inbox)``; a module may be an instance of a class of its own, so it is both.
    """

    class Called(ModuleType):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return resolve(target)(*args, **kwargs)

    sys.modules[package].__class__ = Called
