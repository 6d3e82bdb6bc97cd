"""Trees of arrays, of torch, JAX or numpy, as trees of another's: each array as `fkit.interop.array` does it."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from fkit.interop.array import jax_array, numpy_array, torch_array
from fkit.interop.memory import framework_of
from fkit.structures import DataElement, from_parts, tree_parts
from fkit.tree.error import FkitError

__all__ = ["jax_tree", "numpy_tree", "torch_tree"]


def torch_tree(tree: Any, *, copy: bool | None = False) -> Any:
    """A tree with torch tensors in place of its arrays, by `fkit.interop.torch_array`.

    Args:
        tree: arrays at any depth of mappings, lists, tuples, named tuples, dataclasses and the kit's structures; they keep
            their classes, and what is no array stays as it is.
        copy: False shares memory or fails, None copies where it must, True copies.

    Raises:
        FkitError: an array cannot be had; the message says where it stands.

    Example:
        >>> import jax.numpy as jnp
        >>> torch_tree({"params": [jnp.ones(2)], "depth": 18})
        {'params': [tensor([1., 1.])], 'depth': 18}
    """
    return _mapped(tree, partial(torch_array, copy=copy), "")


def jax_tree(tree: Any, *, copy: bool | None = False) -> Any:
    """A tree with JAX arrays in place of its arrays, by `fkit.interop.jax_array`; the arguments are `torch_tree`'s.

    Raises:
        FkitError: an array cannot be had; the message says where it stands.

    Example:
        >>> import torch
        >>> jax_tree({"fc.weight": torch.ones(2, 3)})["fc.weight"].shape
        (2, 3)
    """
    return _mapped(tree, partial(jax_array, copy=copy), "")


def numpy_tree(tree: Any, *, copy: bool | None = False) -> Any:
    """A tree with numpy's arrays in place of its arrays, by `fkit.interop.numpy_array`; the arguments are `torch_tree`'s.

    Raises:
        FkitError: an array cannot be had; the message says where it stands.

    Example:
        >>> import torch
        >>> numpy_tree((torch.ones(2), None))
        (array([1., 1.], dtype=float32), None)
    """
    return _mapped(tree, partial(numpy_array, copy=copy), "")


def _mapped(tree: Any, change: Callable[[Any], Any], path: str) -> Any:
    if framework_of(tree):
        try:
            return change(tree)
        except FkitError as error:
            error.path = error.path or path
            if path:
                error.what = f"{path}: {error.what}"
            raise
    if isinstance(tree, DataElement):
        leaves, rest = tree_parts(tree)
        return from_parts(rest, [_mapped(x, change, _below(path, n)) for n, x in zip(rest.names, leaves, strict=True)])
    if isinstance(tree, Mapping):
        held = cast("Mapping[Any, Any]", tree)
        new = {key: _mapped(value, change, _below(path, key)) for key, value in held.items()}
        return _like(held, new)
    if isinstance(tree, list | tuple):
        items = cast("list[Any] | tuple[Any, ...]", tree)
        names = getattr(items, "_fields", range(len(items)))
        values = [_mapped(item, change, _below(path, name)) for name, item in zip(names, items, strict=True)]
        return type(items)(*values) if hasattr(items, "_fields") else type(items)(values)
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        fields = [field.name for field in dataclasses.fields(tree) if field.init]
        return dataclasses.replace(tree, **{n: _mapped(getattr(tree, n), change, _below(path, n)) for n in fields})
    return tree


def _below(path: str, name: Any) -> str:
    return f"{path}.{name}" if path else str(name)


def _like(old: Mapping[Any, Any], new: dict[Any, Any]) -> Any:
    """A mapping of the class of another; of one that is not made of a mapping alone, a dict."""
    try:
        answer = type(old)(new)  # pyright: ignore[reportCallIssue]
    except TypeError:
        return new
    return answer if list(answer) == list(new) else new
