"""torch and JAX in one program: arrays that share memory, functions of one called and differentiated in the other, weights.

Names are loaded when they are first asked for: importing the package opens neither framework.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fkit.interop.array import jax_array as jax_array
    from fkit.interop.array import numpy_array as numpy_array
    from fkit.interop.array import torch_array as torch_array
    from fkit.interop.file import load_variables as load_variables
    from fkit.interop.file import save_variables as save_variables
    from fkit.interop.into_jax import as_jax as as_jax
    from fkit.interop.into_torch import as_torch as as_torch
    from fkit.interop.tree import jax_tree as jax_tree
    from fkit.interop.tree import numpy_tree as numpy_tree
    from fkit.interop.tree import torch_tree as torch_tree
    from fkit.interop.weight import to_flax as to_flax
    from fkit.interop.weight import to_torch as to_torch

# name -> "module:attribute"; a tuple of pairs, for nothing at module level is mutable
_NAMES = (
    ("jax_array", "fkit.interop.array:jax_array"),
    ("numpy_array", "fkit.interop.array:numpy_array"),
    ("torch_array", "fkit.interop.array:torch_array"),
    ("as_jax", "fkit.interop.into_jax:as_jax"),
    ("as_torch", "fkit.interop.into_torch:as_torch"),
    ("jax_tree", "fkit.interop.tree:jax_tree"),
    ("numpy_tree", "fkit.interop.tree:numpy_tree"),
    ("torch_tree", "fkit.interop.tree:torch_tree"),
    ("to_flax", "fkit.interop.weight:to_flax"),
    ("to_torch", "fkit.interop.weight:to_torch"),
    ("load_variables", "fkit.interop.file:load_variables"),
    ("save_variables", "fkit.interop.file:save_variables"),
)

__all__ = [name for name, _ in _NAMES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    return importlib.import_module("fkit.tree.facade").attribute(__name__, name, _NAMES)


def __dir__() -> list[str]:
    return sorted(__all__)
