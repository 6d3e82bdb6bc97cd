"""Arrays of flax modules under torch's names, and what a book keeps of an array."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, traverse_util

from fkit.array.room import open as open_room
from fkit.backend.jax.naming import kind_of, leaf_of, to_flax, to_torch, torch_path

Names = Mapping[tuple[str, ...], tuple[str, str]]


def names_of(init: Callable[[], Any]) -> Names:
    """Of each array of a module that ``init`` begins, keys of draws aside: its name and its layout in torch's words."""
    modules: dict[tuple[str, ...], Any] = {}

    def note(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        modules.setdefault(tuple(context.module.path), context.module)
        return call(*args, **kwargs)

    with jax.enable_x64(True), linen.intercept_methods(note):
        variables = jax.eval_shape(init)
    names: dict[tuple[str, ...], tuple[str, str]] = {}
    for path in traverse_util.flatten_dict({name: tree for name, tree in variables.items() if name != "random"}):
        leaf = leaf_of(kind_of(modules.get(path[1:-1])), path[0], path[-1])
        name = torch_path(path[1:-1])
        names[path] = (f"{name}.{leaf.name}" if name else leaf.name, leaf.layout)
    return names


def variables_of(names: Names, weight: Callable[[str], np.ndarray], kind: Any) -> Any:
    """A module's variables, of arrays by torch's names."""
    flat = {
        path: jnp.asarray(to_flax(weight(name), layout), None if name.endswith("num_batches_tracked") else kind)
        for path, (name, layout) in names.items()
    }
    return traverse_util.unflatten_dict(flat)


def under_names(names: Names, collection: str, tree: Any) -> dict[str, np.ndarray]:
    """A collection's arrays in torch's layouts, by torch's names."""
    named: dict[str, np.ndarray] = {}
    for path, array in traverse_util.flatten_dict(tree).items():
        name, layout = names[(collection, *path)]
        named[name] = np.asarray(to_torch(np.asarray(array), layout))
    return named


def host(backend: str, value: Any) -> Any:
    """Numbers, in lists."""
    return (
        open_room(backend).numpy(value).tolist() if hasattr(value, "shape") else [host(backend, one) for one in value]
    )


def sampled(array: Any) -> list[float]:
    """An array's norm and 16 of its values."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return [float(np.linalg.norm(flat)), *flat[:: max(flat.size // 16, 1)][:16].tolist()]
