"""The spec of a config's program: model, optimizer and what stands between gradient and update, for any backend."""

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

from frozendict import frozendict

from fkit.catalog.build import maker_of
from fkit.catalog.registry import Registry
from fkit.catalog.report import placed
from fkit.fileio.weights import read_content
from fkit.recipe.parallel import parallel_of
from fkit.recipe.part import Part
from fkit.recipe.preprocess import network_of
from fkit.recipe.settings import Settings, line_of, missing
from fkit.recipe.source import build_part, source_of
from fkit.recipe.vocabulary import name_of
from fkit.recipe.wrapper import Wrapper, predict_dtype, train_dtype, transforms_of
from fkit.training.group import Construction
from fkit.training.optimizer import TWINS, Optimizer, check_group, check_options
from fkit.training.spec import Phase, Spec
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError, quoted
from fkit.tree.path import parse

__all__ = ["data_example", "optimizers_of", "spec_of"]


def spec_of(
    settings: Settings, registry: Registry, donate: bool, example: Any, total: int | None = None,
    predicts: str = "test", trains: bool = True,
) -> Spec:  # fmt: skip
    """What the config's program is made of.

    Args:
        donate: whether a step may reuse the arrays of its state.
        example: a batch of inputs, or what makes one; None takes the first of the config's data where a backend asks for one.
        total: steps of the whole run, where they are known.
        predicts: "val" or "test": what ``val_cfg`` or ``test_cfg`` says of predictions.
        trains: whether there is to be an optimizer.

    Raises:
        FkitError: the config has no model, or a key that is not supported.
    """
    (network, preprocess), tree, wrappers = network_of(settings, registry), settings.tree, settings.wrappers
    if network is None:
        raise missing(settings, "model", "a program")

    def model(backend: str) -> Any:
        if not _takes_rngs(network, settings, registry, backend):
            return build_part(network, settings, registry, "models", backend=backend)

        def make(rngs: Any) -> Any:
            return build_part(network, settings, registry, "models", backend=backend, defaults={"rngs": rngs})

        return make

    def first() -> Any:
        if example is None:
            return data_example(settings, registry)
        return example() if callable(example) else example

    dtype, predicted = train_dtype(tree, wrappers), predict_dtype(tree, wrappers, predicts)
    moving = wrappers if trains else frozendict[str, Wrapper]()
    optimizers = optimizers_of(settings, registry) if trains else frozendict[str, Optimizer]()
    return Spec(
        model, optimizers, _phases(moving, dtype), dtype, settings.device,
        settings.memory_format, donate, settings.compile, settings.randomness.masks, first, total,
        partial(read_content, registry=registry), predicted,
        _names(tree.get("activation_checkpointing")), preprocess, settings.devices or 1, settings.fleet, parallel_of(tree),
    )  # fmt: skip


def _takes_rngs(network: Part, settings: Settings, registry: Registry, backend: str) -> bool:
    """Whether the model is made with a generator of the run's seed, as modules of flax.nnx are: it has an argument ``rngs``."""
    if backend != "jax" or "rngs" in network.node:
        return False
    try:
        maker = maker_of(
            network.node, registry, "models", backend=backend, scope=settings.default_scope, path=network.path
        )
        start: Any = maker.__init__ if isinstance(maker, type) else maker
        return "rngs" in inspect.signature(start).parameters
    except (FkitError, TypeError, ValueError):  # said when it is built; or nobody can say what it takes
        return False


def data_example(settings: Settings, registry: Registry) -> Any:
    """The inputs of one sample of the config's data.

    Raises:
        FkitError: the config has none, or they cannot be read.
    """
    expect(settings, Settings, "`settings` are a run's (fkit.recipe.settings.read(cfg) gives them)")
    for part in settings.loaders:
        small: dict[str, Any] = dict(num_workers=0, batch_size=1, global_batch_size=None, drop_last=False)
        small |= dict(sampler=None, batch_sampler=None, shuffle=False)  # the shape hangs on no order
        return next(iter(source_of(settings, registry, part, 0, **small).batches(0, 0))).inputs
    raise FkitValueError(
        "this backend learns the model's shapes from an example, and the config has no data to take one from.",
        repair="Give fkit.program(..., example=inputs), or a train_dataloader.",
    )


def _names(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def optimizers_of(settings: Settings, registry: Registry) -> Mapping[str, Optimizer]:
    """The optimizers of a config, as far as they are known without a model."""
    return frozendict({name: _optimizer(settings, one, registry) for name, one in settings.wrappers.items()})


_DEFAULT = "DefaultOptimWrapperConstructor"


def _constructor(
    settings: Settings, wrapper: Wrapper, registry: Registry, options: Mapping[str, Any]
) -> Construction | None:
    """What makes the groups of a config; None where it asks for none.

    Args:
        options: of the optimizer, as the config gives them.
    """
    if not wrapper.paramwise and wrapper.constructor is None:
        return None
    kind: Any = _DEFAULT if wrapper.constructor is None else wrapper.constructor
    scope, path = settings.default_scope, f"{wrapper.path}.constructor"
    try:
        make = maker_of({"type": kind}, registry, "optim_wrapper_constructors", scope=scope)
    except FkitError as error:
        error.what = error.what.removeprefix("type = ")
        raise placed(error, f"{path} = ", path, line_of(settings.tree, path)) from error.__cause__
    return Construction(name_of(kind), make, options, wrapper.paramwise or frozendict())


def _lr_scale(settings: Settings) -> float:
    """``auto_scale_lr``: how many times the batch is that which the learning rate is for; 1 where that is not asked for."""
    node = settings.tree.get("auto_scale_lr")
    if node is None or not node["enable"]:
        return 1.0
    base, part = node.get("base_batch_size"), settings.loaders.get("train")
    if base is None:
        raise missing(settings, "auto_scale_lr.base_batch_size", "auto_scale_lr.enable=True")
    if part is None:
        raise missing(settings, "train_dataloader", "auto_scale_lr.enable=True")
    whole = part.node.get("global_batch_size")
    size = (part.node.get("batch_size") or 1) * (settings.devices or 1) * settings.fleet.world
    return (size if whole is None else whole) / base


def _phases(wrappers: Mapping[str, Wrapper], dtype: str) -> tuple[Phase, ...]:
    """What a step does: a phase an optimizer, in order."""
    return tuple(
        Phase(one.loss, name, one.params, one.every, one.mode, transforms=transforms_of(one, dtype))
        for name, one in wrappers.items()
    )


def _optimizer(settings: Settings, wrapper: Wrapper, registry: Registry) -> Optimizer:
    path, node = wrapper.optimizer[:2]
    kind = node.get("type")
    if kind is None or not (isinstance(kind, str) or callable(kind)):
        raise FkitTypeError(
            f"{path}.type = {quoted(kind)} names no optimizer.", path=f"{path}.type", origin=line_of(settings.tree, f"{path}.type"),
            choices=tuple(TWINS), label="Optimizers",
        )  # fmt: skip
    name = _name(kind)
    options = {key: value for key, value in node.items() if key not in ("type", "_scope_")}
    check_options(name, options, parse(path), settings.tree)  # here too, where the place is known
    for index, group in enumerate(wrapper.groups):
        check_group(name, group, (*parse(wrapper.path), "param_groups", index), settings.tree)
    constructor, lr_scale = _constructor(settings, wrapper, registry, options), _lr_scale(settings)
    try:
        return Optimizer.of(name, options, wrapper.groups, constructor, lr_scale)
    except FkitError as error:
        raise placed(error, f"{wrapper.path}: ", wrapper.path, settings.tree.origin(wrapper.path)) from error


def _name(kind: Any) -> str:
    """``torch.optim.AdamW``, as a path or as the class, is AdamW."""
    name = getattr(kind, "__name__", None) or str(kind)
    return name.rpartition(".")[2] if name.startswith("torch.optim.") else name
