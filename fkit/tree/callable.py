"""Packages that share their name with a function of the facade: ``fkit.train`` is both."""

import sys
from types import ModuleType
from typing import Any

from fkit.tree.name import open_name

__all__ = ["make_callable"]


def make_callable(package: str, target: str) -> None:
    """Let a package be called: calling it calls ``target``, opened by name at the first call.

    ``import fkit.train.program`` binds the name ``fkit.train`` to the package, where the contract has the function
    ``fkit.train(plan, run, data, inbox)``; a module may be an instance of a class of its own, so it is both.
    """

    class Package(ModuleType):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return open_name(target)(*args, **kwargs)

    sys.modules[package].__class__ = Package
