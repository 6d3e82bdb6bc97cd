"""Weights between torch's ``state_dict`` and flax's variables, by the one rule of names and layouts
(`fkit.backend.jax.naming`): ``layer1.0.conv1.weight`` is ``params/layer1_0/conv1/kernel``, its axes in flax's order.

A module's type decides the layout, so the module is asked where it is given. Without it names and shapes decide, and three
kinds of layers are taken for others: an embedding for a linear layer, a transposed convolution for a convolution, and a
vector called ``weight`` that is no norm's for a norm's.
"""

from collections.abc import Mapping
from typing import Any, cast

import jax
import numpy as np
import torch
from flax import linen as nn
from flax import traverse_util
from numpy.typing import NDArray

from fkit.backend.jax import naming
from fkit.backend.jax.blueprint import Blueprint, blueprint, module_of, traced
from fkit.catalog.registry import Registry
from fkit.config.config import Config
from fkit.interop.array import jax_array, numpy_array, torch_array
from fkit.interop.memory import framework_of, shortened
from fkit.recipe.inference import example_of
from fkit.recipe.settings import read
from fkit.recipe.source import registry_of
from fkit.recipe.spec import spec_of
from fkit.training.weight import fit
from fkit.tree.check import expect
from fkit.tree.contract import title
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["config_blueprint", "flat_variables", "flax_form", "to_flax", "to_torch", "torch_form"]

Arrays = Mapping[str, NDArray[Any]]
Flat = dict[tuple[str, ...], NDArray[Any]]

_COUNTER = "num_batches_tracked"
_TRANSIENT = ("intermediates", "perturbations", "random")
_MODEL = "Give the flax.linen.Module that holds them, and what its __call__ takes: to_flax(state_dict, module, inputs)."


def to_flax(state_dict: Mapping[str, Any], model: Any = None, /, *inputs: Any, **arguments: Any) -> dict[str, Any]:
    """A torch ``state_dict`` as the variables of the flax module that is its twin.

    Args:
        state_dict: by torch's names, of tensors or numpy's arrays. What is needed is copied.
        model: the ``flax.linen.Module`` or ``flax.nnx.Module``: its layers decide, and all its weights must be there; a
            `fkit.Config` builds it; None: names and shapes decide, see the module.
        inputs, arguments: what the module's ``__call__`` takes, to trace it (no arithmetic is done); none for a model of
            the kit's form that has ``example_inputs()``.

    Returns:
        ``{"params": {...}, "batch_stats": {...}}``, nested dicts of JAX arrays, for ``module.apply``; of a module of nnx its
        state, for ``nnx.update(module, state)``.

    Raises:
        FkitError: weights are missing, unexpected or of another shape; the module cannot be traced.

    Example:
        >>> module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 5), torch.nn.BatchNorm2d(8))
        >>> variables = to_flax({"layer1." + name: value for name, value in module.state_dict().items()})
        >>> variables["params"]["layer1_0"]["kernel"].shape, sorted(variables["batch_stats"]["layer1_1"])
        ((5, 5, 3, 8), ['mean', 'num_batches_tracked', 'var'])
    """
    expect(state_dict, Mapping, "`state_dict` is a mapping of names to tensors")
    arrays = {str(name): _host(value, str(name)) for name, value in state_dict.items()}
    flat = flax_form(arrays, _plan(model, inputs, arguments))
    there = {path: _device(value) for path, value in flat.items()}
    return module_of(model).state_of(there) if naming.is_nnx(model) else traverse_util.unflatten_dict(there)


def to_torch(variables: Any, model: Any = None, /, *inputs: Any, **arguments: Any) -> dict[str, torch.Tensor]:
    """The variables of a flax module as the ``state_dict`` of the torch module that is its twin; the inverse of `to_flax`.

    Args:
        variables: ``{"params": {...}, "batch_stats": {...}}``, of arrays of JAX or numpy, or a ``flax.nnx.Module``, which
            needs no ``model``. What is needed is copied.
        model, inputs, arguments: as those of `to_flax`.

    Returns:
        tensors by torch's names, for ``load_state_dict``.

    Raises:
        FkitError: variables are missing, or of another shape; the module cannot be traced.

    Example:
        >>> to_torch({"params": {"fc": {"kernel": np.zeros((3, 2)), "bias": np.zeros(2)}}})["fc.weight"].shape
        torch.Size([2, 3])
    """
    if naming.is_nnx(variables):
        variables, model = module_of(variables).init({}), variables
    weights = torch_form(flat_variables(variables), _plan(model, inputs, arguments))
    return {name: torch_array(array, copy=True) for name, array in weights.items()}


def flax_form(arrays: Arrays, plan: Blueprint | None) -> Flat:
    """Arrays by torch's names, as flax's by (collection, *path)."""
    if plan is None:
        return _guessed(arrays)
    counters = {e.name: np.zeros((), np.int64) for e in plan.inventory.entries if e.name.endswith(_COUNTER)}
    fitting = fit(plan.inventory, {**counters, **arrays}, bare=True).arrays
    held = {path.partition("/")[2]: array for path, array in fitting.items()}
    return {
        (site.collection, *site.path): np.asarray(naming.to_flax(held[site.name], site.layout), order="C")
        for site in (*plan.params, *plan.buffers)
        if site.collection
    }


def torch_form(flat: Mapping[tuple[str, ...], NDArray[Any]], plan: Blueprint | None) -> dict[str, NDArray[Any]]:
    """flax's arrays by (collection, *path), by torch's names."""
    if plan is None:
        return _guessed_back(flat)
    sites = {site.name: site for site in (*plan.params, *plan.buffers)}
    paths = {(site.collection, *site.path): site for site in sites.values() if site.collection}
    shapes = {entry.name: entry.shape for entry in plan.inventory.entries}
    strange = sorted("/".join(path) for path in set(flat) - set(paths))
    missing = sorted("/".join(path) for path in set(paths) - set(flat))
    if strange or missing:
        rows = [
            f"{what}: {quoted(names, 200)}" for what, names in (("missing", missing), ("unexpected", strange)) if names
        ]
        raise FkitValueError("the variables are not the model's.\n  " + "\n  ".join(rows))
    counters = {
        entry.name: np.zeros((), np.int64) for entry in plan.inventory.entries if not sites[entry.name].collection
    }
    held = {
        site.name: np.asarray(naming.to_torch(flat[path], site.layout), order="C")
        if flat[path].ndim == len(shapes[site.name])
        else flat[path]
        for path, site in paths.items()
    }
    fit(plan.inventory, {**counters, **held}, bare=True)
    whole = {**counters, **held}
    wide = [entry.name for entry in plan.inventory.entries if entry.dtype == "int64"]
    whole |= {name: whole[name].astype(np.int64) for name in wide}  # torch's integers; JAX's are half as wide
    return {entry.name: whole[entry.name] for entry in plan.inventory.entries}


def flat_variables(variables: Mapping[str, Any]) -> Flat:
    """The arrays of flax's variables on the host, by (collection, *path); what a call leaves behind is not among them.

    Raises:
        FkitTypeError: it holds no collections of arrays.
    """
    expect(variables, Mapping, "`variables` is {'params': {...}, 'batch_stats': {...}}")
    plain = {str(k): _nested(v) for k, v in nn.meta.unbox(dict(variables)).items() if k not in _TRANSIENT}
    if not all(isinstance(tree, dict) for tree in plain.values()):
        raise FkitTypeError(
            f"`variables` holds {quoted(sorted(plain), 80)}, not collections: {{'params': {{...}}, 'batch_stats': {{...}}}}.",
            repair="Put parameters alone under 'params'.",
        )
    flat: Any = traverse_util.flatten_dict(plain)
    return {tuple(map(str, path)): _host(value, "/".join(map(str, path))) for path, value in flat.items()}


def config_blueprint(cfg: Config, registry: Registry | None = None) -> Blueprint:
    """What the flax model of a config holds.

    Raises:
        FkitError: the config has no model, or none for JAX.
    """
    settings = read(cfg)
    reg = registry_of(settings, registry)
    spec = spec_of(settings, reg, False, lambda: example_of(settings, reg), trains=False)
    return blueprint(module_of(spec.model("jax")), spec.example, spec.dtype)


def _plan(model: Any, inputs: tuple[Any, ...], arguments: Mapping[str, Any]) -> Blueprint | None:
    if model is None:
        if inputs or arguments:
            raise FkitTypeError("inputs are there without the module that takes them.", repair=_MODEL)
        return None
    if isinstance(model, Config):
        return config_blueprint(model)
    if naming.is_nnx(model):
        return module_of(model).holds("float32")
    if not isinstance(model, nn.Module):
        raise FkitTypeError(
            f"`model` is a flax.linen.Module, a flax.nnx.Module, a Config or None, not {title(model)}.", repair=_MODEL
        )
    if inputs or arguments:
        return traced(model, lambda rngs: model.init(rngs, *inputs, **arguments), "float32")
    return blueprint(model, None, "float32")


def _guessed(arrays: Arrays) -> Flat:
    flat: Flat = {}
    for name, array in arrays.items():
        owner, _, leaf = name.rpartition(".")
        path = naming.flax_path(owner)
        statistic = {"running_mean": "mean", "running_var": "var"}.get(leaf)
        if statistic is not None:
            flat["batch_stats", *path, statistic] = array
        elif leaf == "weight" and array.ndim < 2:
            flat["params", *path, "scale"] = array
        elif leaf == "weight":
            layout = "linear" if array.ndim == 2 else "conv"
            flat["params", *path, "kernel"] = np.asarray(naming.to_flax(array, layout), order="C")
        else:
            flat["batch_stats" if leaf == _COUNTER else "params", *path, leaf] = array
    return flat


def _guessed_back(flat: Mapping[tuple[str, ...], NDArray[Any]]) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for (collection, *path, leaf), array in flat.items():
        owner = naming.torch_path(tuple(path))
        prefix = f"{owner}." if owner else ""
        if collection == "params" and leaf == "kernel":
            layout = "linear" if array.ndim == 2 else "conv"
            arrays[f"{prefix}weight"] = np.asarray(naming.to_torch(array, layout), order="C")
        elif collection == "params":
            arrays[prefix + {"scale": "weight", "embedding": "weight"}.get(leaf, leaf)] = array
        elif collection == "batch_stats" and leaf in ("mean", "var"):
            arrays[f"{prefix}running_{leaf}"] = array
            arrays.setdefault(prefix + _COUNTER, np.zeros((), np.int64))
        else:
            arrays[prefix + leaf] = array.astype(np.int64) if leaf == _COUNTER else array
    return arrays


def _nested(tree: Any) -> Any:
    return {k: _nested(v) for k, v in cast("Mapping[Any, Any]", tree).items()} if isinstance(tree, Mapping) else tree


def _host(value: Any, name: str) -> NDArray[Any]:
    if not framework_of(value):
        if isinstance(value, np.generic | int | float):
            return np.asarray(value)
        raise FkitTypeError(f"{name}: is no array, but {quoted(value, 60)}.")
    return numpy_array(value.detach() if framework_of(value) == "torch" else value, copy=None)


def _device(array: NDArray[Any]) -> Any:
    if array.dtype.kind in "iu" and jax.dtypes.canonicalize_dtype("int64") == np.int32:
        array = shortened(torch_array(array, copy=None)).numpy()
    return jax_array(array, copy=True)
