"""Modules of flax.nnx as a program calls them: a graph that never changes, and arrays that are given and come back.

nnx keeps its arrays in the module, and a call writes into it. Here a call puts a fresh module together from the arrays of a
state, calls that, and takes them apart again. Paths become those of linen, whose rule of names then holds for both: an item
of a list has its number joined to the list's name, ``layers[0].kernel`` is ``layers_0/kernel``, and ``layers.0.weight`` in
torch's words.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx, traverse_util

from fkit.array.random import tag
from fkit.backend.jax.blueprint import Blueprint, check_call, planned
from fkit.backend.jax.naming import torch_path
from fkit.catalog.report import broken
from fkit.tree.contract import title
from fkit.tree.error import FkitError, FkitTypeError

__all__ = ["NnxGraph", "graph_of", "joined"]

Path = tuple[str, ...]


def graph_of(made: nnx.Module | Callable[..., nnx.Module]) -> "NnxGraph":
    """A module of flax.nnx for a program.

    Args:
        made: the module, whose values are what every run begins with; or what makes one of ``rngs``, with the run's seed.

    Raises:
        FkitError: making it raises, it is no module of nnx, or its ``__call__`` is no model's.
    """
    if isinstance(made, nnx.Module):
        return NnxGraph(made, None)
    try:
        module = nnx.eval_shape(lambda: made(rngs=nnx.Rngs(0)))
    except FkitError:
        raise
    except Exception as cause:
        raise broken("the model, made with rngs=nnx.Rngs(...),", cause, "model") from cause
    if not isinstance(module, nnx.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"what takes rngs makes a flax.nnx.Module, found {title(module)}.", path="model")
    return NnxGraph(module, made)


class NnxGraph:
    """A module taken apart (`fkit.backend.jax.blueprint.Graph`).

    Attributes:
        module: with arrays or their shapes.
    """

    def __init__(self, module: nnx.Module, make: Callable[..., nnx.Module] | None) -> None:
        self.module, self._make = module, make
        self._graph, state = nnx.split(module)
        self._state = {tuple(path): variable for path, variable in nnx.to_flat_state(state)}
        random = {path for path, variable in self._state.items() if isinstance(variable, nnx.RngState)}
        self._random = tuple(path for path in self._state if path in random)
        self._places = {_place(path, variable): path for path, variable in self._state.items() if path not in random}

    def blueprint(self, dtype: str) -> Blueprint:
        """What it holds; refuses one that is no model."""
        check_call(self.module)
        return self.holds(dtype)

    def holds(self, dtype: str) -> Blueprint:
        """What it holds, whatever it is called with."""
        shapes = self._nested(self._state)
        modules = {joined(path): part for path, part in nnx.iter_graph(self.module) if isinstance(part, nnx.Module)}
        return planned(
            self.module, {path: modules[path] for path in sorted(modules, key=partial(_rank, modules))}, shapes, dtype
        )

    def init(self, rngs: Mapping[str, Any]) -> dict[str, Any]:
        """Its own initial values, by collection and path."""
        if self._make is None:
            return self._nested(self._state)
        module = self._make(rngs=nnx.Rngs(rngs["params"]))
        return self._nested({tuple(path): variable for path, variable in nnx.to_flat_state(nnx.state(module))})

    def apply(
        self,
        variables: Mapping[str, Any],
        inputs: Any,
        samples: Any,
        *,
        mode: str,
        train: bool,
        mutable: Any = None,
        rngs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call it with these arrays: what it answers, and with ``mutable`` (that, the collections after the call)."""
        flat: Any = traverse_util.flatten_dict(variables)
        values = {path: flat[place] for place, path in self._places.items()}
        generator = jax.random.key(0, impl="threefry2x32") if rngs is None else rngs["params"]
        values |= {path: _drawn(path, self._state[path], generator) for path in self._random}
        module = self._merged(values)
        module.train() if train else module.eval()
        answer = module(inputs, samples, mode=mode, train=train)  # pyright: ignore[reportCallIssue]
        if mutable is None:
            return answer
        after = self._nested({tuple(path): variable for path, variable in nnx.to_flat_state(nnx.state(module))})
        return answer, {name: after.get(name, {}) for name in mutable}

    def state_of(self, flat: Mapping[Path, Any]) -> Any:
        """A ``nnx.State`` of these arrays, by (collection, *path); generators are not in it."""
        rows = [(path, self._state[path].replace(flat[place])) for place, path in self._places.items() if place in flat]
        return nnx.from_flat_state(rows)

    def _merged(self, values: Mapping[Any, Any]) -> nnx.Module:
        rows = [(path, variable.replace(values[path])) for path, variable in self._state.items()]
        # mapped, so that flax 0.12.0 too takes the variables to be of this call, which may write to them
        return nnx.merge(self._graph, jax.tree.map(lambda leaf: leaf, nnx.from_flat_state(rows)))

    def _nested(self, state: Mapping[Any, Any]) -> dict[str, Any]:
        places = {path: place for place, path in self._places.items()}
        flat = {places[path]: _value(variable) for path, variable in state.items() if path in places}
        return traverse_util.unflatten_dict(flat)


def joined(path: tuple[Any, ...]) -> Path:
    """nnx's path as linen's: numbers are joined to the name before them.

    Example:
        >>> joined(("layers", 0, "conv", 1, "kernel"))
        ('layers_0', 'conv_1', 'kernel')
    """
    tokens: list[str] = []
    for token in path:
        if tokens and str(token).isdigit():
            tokens[-1] += f"_{token}"
        else:
            tokens.append(str(token))
    return tuple(tokens)


def _value(variable: Any) -> Any:
    """What a variable holds; flax 0.12.0 has it under another name."""
    return variable.get_raw_value() if hasattr(type(variable), "get_raw_value") else variable.raw_value


def _place(path: tuple[Any, ...], variable: Any) -> Path:
    """(collection, *path) as linen has it."""
    if isinstance(variable, nnx.Param):
        collection = "params"
    else:
        collection = "batch_stats" if isinstance(variable, nnx.BatchStat) else type(variable).__name__
    return (collection, *joined(path))


def _drawn(path: tuple[Any, ...], variable: Any, generator: Any) -> Any:
    """The state of a generator of the module's own for one call: a key of the step and of its own name, used 0 times."""
    shape = _value(variable).shape
    if isinstance(variable, nnx.RngCount):
        return jnp.zeros(shape, jnp.uint32)
    key = jax.random.fold_in(generator, tag(torch_path(joined(path))))
    return jax.random.split(key, shape) if shape else key


def _rank(modules: Mapping[Path, Any], path: Path) -> tuple[Any, ...]:
    """Where a part stands: parents before children, these in the order in which they were assigned."""
    ranks: list[tuple[int, int, str]] = []
    for depth in range(1, len(path) + 1):
        name, *numbers = path[depth - 1].split("_")
        parent = modules.get(path[: depth - 1])
        order = list(vars(parent)) if parent is not None else []
        whole = next(
            (order.index(one) for one in (path[depth - 1], path[depth - 1].rpartition("_")[0], name) if one in order),
            -1,
        )
        number = int(numbers[-1]) if numbers and numbers[-1].isdigit() else -1
        ranks.append((whole, number, path[depth - 1]))
    return tuple(ranks)
