"""`optim_wrapper`, read: one optimizer or several, what gradients pass through, and what the run computes in."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from frozendict import frozendict

from fkit.config.config import Config
from fkit.config.schema import is_several, shape_at
from fkit.recipe.key import KEYS
from fkit.recipe.part import Part
from fkit.recipe.vocabulary import name_of
from fkit.training.scale import loss_scale
from fkit.training.transform import Transform, accumulate, clip_norm, clip_value
from fkit.tree.error import FkitError, FkitValueError, quoted
from fkit.tree.path import show

__all__ = ["Clip", "Wrapper", "predict_dtype", "train_dtype", "transforms_of", "wrappers_of"]

_TYPES = ("OptimWrapper", "AmpOptimWrapper")
_AMP_KEYS = ("loss_scale", "dtype", "use_fsdp")
# mmagic's, which does what the keys of several optimizers say
_CONSTRUCTOR = "MultiOptimWrapperConstructor"


class Clip(NamedTuple):
    """``clip_grad``.

    Attributes:
        kind: "norm" of all gradients together, or "value" of each entry.
        limit: the largest that it may be.
        norm_type: p of that norm.
        finite: fail where the norm is not finite.
    """

    kind: str
    limit: float
    norm_type: float = 2.0
    finite: bool = False


class Wrapper(NamedTuple):
    """``optim_wrapper``, or one of several below it.

    Attributes:
        path: where it stands.
        optimizer: its config.
        groups: of parameters, a config each.
        paramwise: ``paramwise_cfg``; None where there is none.
        constructor: what makes the groups; None is the default one.
        clip: what happens to gradients that are too large; None leaves them.
        accumulative_counts: steps to one update.
        amp: whether it is of mixed precision; ``dtype`` is what it computes in then, None leaves it to the backend.
        scale: the arguments of `fkit.training.scale.loss_scale`; None scales nothing.
        params, loss, mode, every: of its phase, see `fkit.training.spec.Phase`.
    """

    path: str
    optimizer: Part
    groups: tuple[Config, ...]
    paramwise: Config | None = None
    constructor: Any = None
    clip: Clip | None = None
    accumulative_counts: int = 1
    amp: bool = False
    dtype: str | None = None
    scale: Mapping[str, Any] | None = None
    params: str = ""
    loss: str | None = None
    mode: str = "loss"
    every: int = 1


def wrappers_of(tree: Config) -> Mapping[str, Wrapper]:
    """The wrappers of a settled config by the names of their optimizers, in order: "main" where there is one.

    Raises:
        FkitError: a key that is not of the wrapper's type, or two that exclude one another.
    """
    node = tree.get("optim_wrapper")
    if node is None:
        return frozendict()
    shape = shape_at(KEYS, ("optim_wrapper",))
    if shape is None or not is_several(node, shape):
        return frozendict(main=_wrapper(tree, "optim_wrapper", node, ""))
    wrappers: dict[str, Wrapper] = {}
    for name, one in node.items():
        if name == "constructor":
            _check_constructor(tree, one)
        elif name in (key.name for key in shape.keys):
            if one is not None:
                what = f" = {quoted(one)} stands beside several optimizers: each has its own."
                raise _wrong(tree, f"optim_wrapper.{name}", what, f"Write it in each: optim_wrapper.NAME.{name}.")
        else:
            wrappers[name] = _wrapper(tree, show(("optim_wrapper", name)), one, rf"^{re.escape(name)}\.")
    return frozendict(wrappers)


def _check_constructor(tree: Config, value: Any) -> None:
    """What makes several optimizers is their keys."""
    if value is not None and name_of(value) != _CONSTRUCTOR:
        raise _wrong(
            tree, "optim_wrapper.constructor", f" = {quoted(value)} beside several optimizers: their own keys say what it would.",
            "Leave it out. Each has `params`, a pattern over parameter names, by default those below its own name; "
            "`mode`, what the model is called with; `loss` and `every`.",
        )  # fmt: skip


def _wrapper(tree: Config, path: str, node: Config, params: str) -> Wrapper:
    kind = name_of(node["type"])
    if kind == "ApexOptimWrapper":
        raise _wrong(
            tree, f"{path}.type", " = 'ApexOptimWrapper': apex is no part of torch, and not maintained.",
            "type='AmpOptimWrapper' is torch's own mixed precision; opt_level O1 is what it does by default.",
        )  # fmt: skip
    if kind not in _TYPES:
        raise FkitValueError(
            f"{path}.type = {quoted(node['type'])} is no optimizer wrapper.", path=f"{path}.type",
            origin=tree.origin(f"{path}.type"), value=kind, choices=_TYPES,
        )  # fmt: skip
    amp = kind == "AmpOptimWrapper"
    for key in _AMP_KEYS:
        if node.get(key) and not amp:
            what = f" = {quoted(node[key])} is AmpOptimWrapper's."
            raise _wrong(tree, f"{path}.{key}", what, f"Set {path}.type='AmpOptimWrapper'.")
    groups, paramwise, constructor = (
        tuple(node.get("param_groups") or ()),
        node.get("paramwise_cfg"),
        node.get("constructor"),
    )
    if groups and (paramwise or constructor is not None):
        other = "paramwise_cfg" if paramwise else "constructor"
        what = f" and {path}.{other} both say what the groups are."
        raise _wrong(tree, f"{path}.param_groups", what, "Keep one of them.")
    pattern = node.get("params")
    try:
        re.compile(pattern or "")
    except re.error as cause:
        raise _wrong(tree, f"{path}.params", f" = {quoted(pattern)} is no regular expression: {cause}.") from cause
    return Wrapper(
        path, Part(f"{path}.optimizer", node["optimizer"]), groups, paramwise, constructor,
        _clip(tree, path, node.get("clip_grad")), node["accumulative_counts"], amp, node.get("dtype"),
        _scale(node.get("loss_scale")) if amp else None,
        params if pattern is None else pattern, node.get("loss"), node["mode"], node["every"],
    )  # fmt: skip


def _scale(value: Any) -> Mapping[str, Any] | None:
    """`loss_scale`'s arguments of what stands there: mmengine's three forms."""
    if value is None or value == "dynamic":
        return frozendict()
    if not isinstance(value, Mapping):
        return frozendict(init_scale=float(value), dynamic=False)
    if value.get("enabled") is False:
        return None
    return frozendict({key: item for key, item in value.items() if key != "enabled" and item is not None})  # pyright: ignore[reportUnknownVariableType]


def _clip(tree: Config, path: str, node: Config | None) -> Clip | None:
    """Which of the two clippings; mmengine's table may say it by its ``type``."""
    if node is None:
        return None
    path = f"{path}.clip_grad"
    kind = node.get("type") or ("value" if node.get("clip_value") is not None else "norm")
    norms = ("max_norm", "norm_type", "error_if_nonfinite")
    name, others = ("max_norm", ("clip_value",)) if kind == "norm" else ("clip_value", norms)
    limit = node.get(name)
    if limit is None or any(node.get(other) is not None for other in others):
        raise _wrong(tree, path, f" = {quoted(node)}: either max_norm (and norm_type), or clip_value.")
    if node.get("foreach") is False:
        why = " = False: gradients are clipped by one kernel for many tensors, always."
        raise _wrong(tree, f"{path}.foreach", why, "Leave it out: the numbers are the same.")
    norm_type = 2.0 if node.get("norm_type") is None else node["norm_type"]
    return Clip(kind, limit, norm_type, bool(node.get("error_if_nonfinite")))


def _wrong(tree: Config, path: str, what: str, repair: str = "") -> FkitError:
    return FkitValueError(f"{path}{what}", path=path, origin=tree.origin(path), repair=repair)


def transforms_of(wrapper: Wrapper, dtype: str) -> tuple[Transform, ...]:
    """What gradients pass through: gathered first, then freed of the loss scale, so that what is clipped is what moves
    the parameters.

    Args:
        dtype: what the run computes in.
    """
    clip, count = wrapper.clip, wrapper.accumulative_counts
    scale = frozendict() if dtype == "float16" and not wrapper.amp else wrapper.scale
    transforms = (accumulate(count),) if count > 1 else ()
    if scale is not None:
        transforms = (*transforms, loss_scale(**scale))
    if clip is None:
        return transforms
    by_norm = clip.kind == "norm"
    return (*transforms, clip_norm(clip.limit, clip.norm_type, clip.finite) if by_norm else clip_value(clip.limit))


def train_dtype(tree: Config, wrappers: Mapping[str, Wrapper]) -> str:
    """What a training step computes in: `fkit.training.spec.Spec.dtype`.

    Raises:
        FkitValueError: the run's ``dtype`` and that of a wrapper exclude one another, or one of several wrappers is of
            mixed precision and another is not.
    """
    said: str = tree["dtype"]
    halves = {(one.amp, one.dtype) for one in wrappers.values()}
    amp = next((one for one in wrappers.values() if one.amp), None)
    if amp is None:
        return said
    if len(halves) > 1:
        raise _wrong(tree, f"{amp.path}.type", " = 'AmpOptimWrapper', and another optimizer has another type or dtype.",
                     "A model computes in one type: give all of them the same.")  # fmt: skip
    if said == "float64" or (said != "float32" and amp.dtype not in (None, said)):
        given = f"{amp.path}.dtype = {quoted(amp.dtype)}" if amp.dtype else f"{amp.path}.type = 'AmpOptimWrapper'"
        raise _wrong(tree, "dtype", f" = {said!r}, and {given}: they exclude one another.", "Leave out one of them.")
    return amp.dtype or (said if said != "float32" else "half")


def predict_dtype(tree: Config, wrappers: Mapping[str, Wrapper], part: str) -> str | None:
    """What predictions are computed in: `fkit.training.spec.Spec.predict_dtype`. The run's ``dtype``, or half precision
    where ``val_cfg.fp16`` (or ``test_cfg.fp16``) asks for it; mixed precision is for training alone.

    Args:
        part: "val" or "test".

    Raises:
        FkitValueError: half precision of a run in float64.
    """
    trained, said, path = train_dtype(tree, wrappers), tree["dtype"], f"{part}_cfg.fp16"
    predicted = said
    if tree.get(path):
        if said == "float64":
            raise _wrong(tree, path, " = True, and the run's dtype is 'float64': they exclude one another.")
        predicted = trained if trained != "float32" else "half"
    return None if predicted == trained else predicted
