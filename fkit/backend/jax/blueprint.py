"""What a flax module holds, by torch's names, learnt by tracing ``module.init`` once (no arithmetic is done)."""

import inspect
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import traverse_util
from numpy.typing import NDArray

from fkit.array.random import key, tag
from fkit.backend.jax.naming import is_nnx, kind_of, leaf_of, to_torch, torch_path
from fkit.catalog.report import broken
from fkit.data.label import label_ranges
from fkit.training.initialise import is_known
from fkit.training.inventory import Entry, Inventory, asks_epoch, is_deformable, rules_of
from fkit.training.inventory import kind_of as group_kind
from fkit.tree.contract import expect_fit, title
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError
from fkit.tree.name import open_name

__all__ = [
    "Blueprint",
    "Graph",
    "Site",
    "blueprint",
    "cast_inputs",
    "check_call",
    "module_of",
    "own_values",
    "planned",
    "traced",
]

_CALL = """A model has __call__(inputs, samples, mode, train), with mode "tensor", "loss" or "predict". For example:
      @nn.compact
      def __call__(self, inputs, samples=None, mode="tensor", train=False):
          scores = nn.Dense(10)(inputs.reshape(len(inputs), -1))
          if mode == "loss":
              loss = optax.softmax_cross_entropy_with_integer_labels(scores, samples.targets["gt_label"])
              return {"loss": loss.mean()}
          return {"pred_score": nn.softmax(scores)} if mode == "predict" else scores"""
_RANDOM = "random"
_TRANSIENT = (_RANDOM, "intermediates", "perturbations")


class Site(NamedTuple):
    """Where a named array lives in flax's variables.

    Attributes:
        name: torch's name.
        collection: "params", "batch_stats", ...; "" for a counter that torch's layer has and flax's lacks.
        path: inside the collection.
        layout: see `fkit.backend.jax.naming.Leaf`.
        computes: whether it takes the compute type (kernels and biases of convolutions and linear layers).
    """

    name: str
    collection: str
    path: tuple[str, ...]
    layout: str
    computes: bool


class Blueprint(NamedTuple):
    """A flax module as a program sees it.

    Attributes:
        inventory: in torch's names and layouts.
        params, buffers: sites, in the inventory's order.
        masks: (path of a layer that takes the run's bits, the tag of its name).
    """

    inventory: Inventory
    params: tuple[Site, ...]
    buffers: tuple[Site, ...]
    masks: tuple[tuple[tuple[str, ...], int], ...]


@runtime_checkable
class Graph(Protocol):
    """A module that is a graph of its own arrays (flax.nnx), as a program calls it; `fkit.backend.jax.graph` makes one."""

    def blueprint(self, dtype: str) -> Blueprint:
        """What it holds."""
        ...

    def init(self, rngs: Mapping[str, Any]) -> dict[str, Any]:
        """Its own initial values, by collection and path."""
        ...

    @property
    def apply(self) -> Callable[..., Any]:
        """Calls it with arrays, as ``flax.linen.Module.apply`` does."""
        ...


def module_of(made: Any) -> Any:
    """A module as it is; of flax.nnx, or what makes one of ``rngs``, its graph, for which alone that is loaded."""
    makes = inspect.isfunction(made) and "rngs" in inspect.signature(made).parameters
    return open_name("fkit.backend.jax.graph:graph_of")(made) if makes or is_nnx(made) else made


def blueprint(module: nn.Module | Graph, example: Callable[[], Any] | None, dtype: str) -> Blueprint:
    """Trace a module.

    Args:
        example: makes a batch of inputs; the module's own ``example_inputs()`` goes first.
        dtype: the run's, "float32", "float64" or "bfloat16".

    Raises:
        FkitTypeError: it is no flax module.
        FkitValueError: there is no example, or two arrays come to the same name.
    """
    if not isinstance(module, nn.Module):
        if isinstance(module, Graph):  # pyright: ignore[reportUnnecessaryIsInstance]
            return module.blueprint(dtype)
        raise FkitTypeError(
            f"a model on backend 'jax' is a flax.linen.Module or a flax.nnx.Module, found {title(module)}.",
            path="model",
            repair="Register the flax twin under the same name with backend='jax'.",
        )
    check_call(module)
    return traced(module, _init(module, example), dtype, "traced with mode='tensor'")


def traced(module: nn.Module, init: Callable[[Any], Any], dtype: str, how: str = "traced") -> Blueprint:
    """What a module holds, whatever it is called with.

    Args:
        init: generators -> the module's variables, by ``module.init``.
        how: words for the message where that raises.

    Raises:
        FkitError: its ``__call__`` raises, or two arrays come to the same name.
    """
    called: dict[tuple[str, ...], nn.Module] = {}

    def note(call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        if context.module.scope is not None:
            called.setdefault(tuple(context.module.path), context.module)
        return call(*args, **kwargs)

    with nn.intercept_methods(note), _of_model():
        try:
            shapes = nn.meta.unbox(jax.eval_shape(init, _rngs((0, 0))))
        except FkitError:
            raise
        except Exception as cause:
            raise broken(f"{title(module)}, {how},", cause, "model") from cause
    modules = _ordered(called)
    return planned(module, modules, shapes, dtype)


def planned(module: Any, modules: Mapping[tuple[str, ...], Any], shapes: Mapping[str, Any], dtype: str) -> Blueprint:
    """The blueprint of a module.

    Args:
        modules: its parts by path, parents before children.
        shapes: {collection: shapes of its arrays, nested}.

    Raises:
        FkitValueError: two arrays come to the same name.
    """
    params, buffers, entries = [], [], []
    for path, layer in _owners(shapes, modules):
        parent = modules.get(path[:-1])
        deformed = bool(path) and parent is not None and is_deformable(type(parent))
        for site, entry in _arrays(path, layer, shapes, dtype, deformed):
            (buffers if entry.buffer else params).append(site)
            entries.append(entry)
    names = [entry.name for entry in entries]
    if len(set(names)) != len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise FkitValueError(f"two arrays of {type(module).__name__} come to the name {double!r}; rename a module.")
    rules = rules_of({torch_path(path): part for path, part in modules.items()})
    masks = traverse_util.flatten_dict(dict(shapes.get(_RANDOM, {})))
    tags = tuple((path, tag(torch_path(path[:-1]))) for path in masks)
    aliases = tuple(_aliases(modules, names))
    inventory = Inventory(tuple(entries), rules, aliases, labels=label_ranges(module), epoch=asks_epoch(module))
    return Blueprint(inventory, tuple(params), tuple(buffers), tags)


def _aliases(modules: Mapping[tuple[str, ...], nn.Module], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(other name, first name) of the arrays of children that torch has under two names: a module's ``torch_aliases``."""
    for path, part in modules.items():
        for other, first in getattr(part, "torch_aliases", {}).items():
            start, again = (".".join(filter(None, (torch_path(path), name))) for name in (first, other))
            yield from ((again + name[len(start) :], name) for name in names if name.startswith(f"{start}."))


def check_call(module: Any) -> None:
    """Refuse a module whose ``__call__`` does not take what a model is called with.

    Raises:
        FkitTypeError: with the form that a model has.
    """
    with _of_model():
        expect_fit(
            module.__call__, "__call__", "inputs, samples, mode=, train=", f"{title(module)} is no model: its", _CALL
        )


@contextmanager
def _of_model() -> Generator[None]:
    """Errors inside the block are the model's."""
    try:
        yield
    except FkitError as error:
        error.path = error.path or "model"
        raise


def own_values(
    module: nn.Module | Graph, example: Callable[[], Any] | None, plan: Blueprint
) -> Callable[[int], dict[str, NDArray[Any]]]:
    """The module's own initial values of what the kit does not know, by seed; in torch's layout, float32."""
    layers = {entry.name: entry.layer for entry in plan.inventory.entries}
    sites = [site for site in (*plan.params, *plan.buffers) if not is_known(layers[site.name])]
    prefixes = {site.name: "buffers/" for site in plan.buffers}

    @jax.jit
    def draw(rngs: Any) -> list[Any]:
        variables = nn.meta.unbox(_init(module, example)(rngs))
        # XLA drops the forward pass, for nothing of it is asked for
        return [_child(variables[site.collection], site.path[:-1])[site.path[-1]] for site in sites]

    def own(seed: int) -> dict[str, NDArray[Any]]:
        values = draw(_rngs(key(seed, "init")))
        return {
            prefixes.get(site.name, "params/") + site.name: np.array(
                to_torch(np.asarray(value), site.layout), order="C"
            )
            for site, value in zip(sites, values, strict=True)
        }

    return own


def cast_inputs(inputs: Any, dtype: Any) -> Any:
    """Images of bytes and numbers of any float type, in the compute type; other integers (tokens) as they are."""

    def cast(array: Any) -> Any:
        array = jnp.asarray(array)
        bytes_or_float = array.dtype == jnp.uint8 or jnp.issubdtype(array.dtype, jnp.floating)
        return array.astype(dtype) if bytes_or_float else array

    return jax.tree.map(cast, inputs)


def _init(module: nn.Module | Graph, example: Callable[[], Any] | None) -> Callable[[Any], Any]:
    if not isinstance(module, nn.Module):
        return module.init
    source = getattr(module, "example_inputs", None) or example
    if source is None:
        raise FkitValueError(
            f"backend 'jax' learns the shapes of {type(module).__name__} by tracing it, and has no inputs to trace.",
            repair="Give the model a method example_inputs(), or the run a train_dataloader.",
        )
    inputs = source()

    def init(rngs: Any) -> Any:
        return module.init(rngs, cast_inputs(inputs, jnp.float32), None, mode="tensor", train=False)

    return init


def _rngs(words: tuple[int, int]) -> dict[str, Any]:
    of = jax.random.wrap_key_data(jnp.array(words, jnp.uint32), impl="threefry2x32")
    return {"params": of, "dropout": jax.random.fold_in(of, 1)}


def _ordered(modules: Mapping[tuple[str, ...], nn.Module]) -> dict[tuple[str, ...], nn.Module]:
    """Modules by path, parents before children, these in the order of their first call, or, where a module's
    ``torch_order`` names children (without their places in lists), in that order, and then by their places."""
    turns = {path: turn for turn, path in enumerate(modules)}

    def rank(path: tuple[str, ...]) -> tuple[tuple[int, tuple[int, ...], int], ...]:
        ranks: list[tuple[int, tuple[int, ...], int]] = []
        for depth in range(1, len(path) + 1):
            order = getattr(modules.get(path[: depth - 1]), "torch_order", ())
            name, _, place = torch_path(path[depth - 1 : depth]).partition(".")
            told = name in order
            places = tuple(int(one) for one in place.split(".") if one.isdigit()) if told else ()
            ranks.append((order.index(name) if told else -1, places, turns.get(path[:depth], -1)))
        return tuple(ranks)

    return {path: modules[path] for path in sorted(modules, key=rank)}


def _owners(shapes: Mapping[str, Any], modules: Mapping[tuple[str, ...], nn.Module]) -> list[tuple[Any, Any]]:
    """Module paths that own arrays, in the order of their first call; then those never called by a method."""
    owned = {
        path[1:-1]
        for path in traverse_util.flatten_dict({name: dict(tree) for name, tree in shapes.items()})
        if path[0] not in _TRANSIENT
    }
    called = [(path, entries) for path, entries in modules.items() if path in owned]
    return called + [(path, None) for path in sorted(owned - set(modules))]


def _arrays(
    path: tuple[str, ...], layer: nn.Module | None, shapes: Mapping[str, Any], dtype: str, deformed: bool
) -> list[tuple[Site, Entry]]:
    kind, prefix = kind_of(layer), torch_path(path)
    kernel = _child(shapes.get("params", {}), path).get("kernel")
    size = kernel.shape if kind == "conv" and kernel is not None and len(kernel.shape) == 4 else None
    group = group_kind(
        prefix,
        norm=kind == "norm" and not (isinstance(layer, nn.RMSNorm) or is_nnx(layer, "RMSNorm")),
        conv=size is not None,
        depthwise=size is not None and size[-2] == 1,
        deformed=deformed,
    )
    known = getattr(layer, "torch_class", "")
    entries: list[tuple[Site, Entry]] = []
    for collection in sorted(set(shapes) - set(_TRANSIENT), key=lambda name: name != "params"):
        for name, shape in _child(shapes[collection], path).items():
            if isinstance(shape, Mapping):
                continue
            leaf = leaf_of(kind, collection, name)
            full = f"{prefix}.{leaf.name}" if prefix else leaf.name
            computes = kind in ("conv", "linear", "conv_transpose", "conv_transpose_swapped")
            site = Site(full, collection, (*path, name), leaf.layout, computes)
            torch_shape = to_torch(np.broadcast_to(np.zeros((), np.bool_), shape.shape), leaf.layout).shape
            trainable = not leaf.buffer and bool(getattr(layer, "trainable", True))
            entry = Entry(
                full,
                torch_shape,
                _type(shape.dtype, dtype),
                known,
                leaf.buffer,
                trainable,
                "" if leaf.buffer else group,
            )
            entries.append((site, entry))
    if isinstance(layer, nn.BatchNorm) or is_nnx(layer, "BatchNorm"):
        full = f"{prefix}.num_batches_tracked" if prefix else "num_batches_tracked"
        entries.append((Site(full, "", (), "same", False), Entry(full, (), "int64", "BatchNorm2d", True, False)))
    return sorted(entries, key=lambda pair: _rank(pair[1], getattr(layer, "torch_order", ())))


def _rank(entry: Entry, told: tuple[str, ...]) -> tuple[int, int, int]:
    order = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked", "weight_gamma", "weight_beta",
             "in_proj_weight", "in_proj_bias")  # fmt: skip
    last = entry.name.rpartition(".")[2]
    place = told.index(last) if last in told else -1
    return int(entry.buffer), order.index(last) if last in order else len(order), place


def _type(kind: Any, dtype: str) -> str:
    if np.issubdtype(kind, np.integer):
        return "int64" if np.issubdtype(kind, np.signedinteger) else str(kind)
    return "float64" if dtype == "float64" and str(kind) == "float32" else str(kind)


def _child(tree: Any, path: tuple[str, ...]) -> Mapping[str, Any]:
    for token in path:
        tree = tree.get(token, {})
    return tree
