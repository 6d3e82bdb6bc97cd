"""Optimizers on optax: torch's three with torch's numbers and slots, and any of optax by name."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from frozendict import frozendict

from fkit.backend.jax.law import lawful
from fkit.training.optimizer import TWINS, Optimizer
from fkit.tree.error import FkitKeyError, FkitTypeError

__all__ = ["Slots", "Update", "update"]

_MOMENTUM = ("momentum_buffer",)

Params = Mapping[str, Any]
Slots = Mapping[str, Mapping[str, Any]]
Numbers = Mapping[str, Any]
"""{hyperparameter: 0-d array} of one setting."""


class Update(NamedTuple):
    """An optimizer over named parameters, pure.

    Attributes:
        init: ``(params) -> {slot: {name: array}}``.
        step: ``(grads, slots, params, numbers, resting) -> (params, slots)``; ``numbers`` has one mapping a setting. A
            parameter without a gradient stays as it is, and so do its slots: it is neither decayed nor moved.
            ``resting``: a momentum may be 0; where none is, XLA updates in place, which takes half the time.
        lazy: (slot, hyperparameter): slots, shaped like their parameters, that appear once that number is raised from 0.
    """

    init: Callable[[Params], dict[str, dict[str, Any]]]
    step: Callable[..., tuple[dict[str, Any], dict[str, dict[str, Any]]]]
    lazy: tuple[tuple[str, str], ...] = ()


def update(optimizer: Optimizer, names: tuple[str, ...]) -> Update:
    """An optimizer's update of the parameters ``names``.

    Raises:
        FkitKeyError: neither a twin nor a name of optax.
        FkitTypeError: an argument that the optax function does not take, or that it lacks.
    """
    groups = optimizer.assign(names)
    if optimizer.law is not None:
        return Update(*lawful(optimizer.law, optimizer, groups))
    return _twin(optimizer, groups) if optimizer.twin else _foreign(optimizer, groups)


def _twin(optimizer: Optimizer, groups: tuple[tuple[str, ...], ...]) -> Update:
    slots = optimizer.slots()
    lazy = _MOMENTUM if optimizer.type == "SGD" and not slots else ()  # as in torch, whose buffers appear then

    def init(params: Params) -> dict[str, dict[str, Any]]:
        members = [name for group in groups for name in group]
        return {
            slot: {
                name: jnp.zeros((), jnp.float32) if slot == "step" else jnp.zeros_like(params[name]) for name in members
            }
            for slot in slots
        }

    def step(grads: Params, slots_in: Slots, params: Params, numbers: tuple[Numbers, ...], resting: bool = True) -> Any:
        moved, held = dict(params), tuple(slot for slot in (*slots, *lazy) if slot in slots_in)
        slots_out = {slot: dict(slots_in[slot]) for slot in held}
        for index, members in enumerate(groups):
            rule = _rule(optimizer.type, numbers[index], optimizer.settings(index), held, resting)
            for name in members:
                if name not in grads:
                    continue
                state = _pack(held, {slot: slots_in[slot][name] for slot in held})
                change, state = rule.update(grads[name], state, params[name])
                moved[name] = optax.apply_updates(params[name], change)
                for slot, value in _unpack(held, state).items():
                    slots_out[slot][name] = value
        return moved, slots_out

    return Update(init, step, tuple((slot, "momentum") for slot in lazy))


def _rule(
    type: str, numbers: Numbers, settings: Mapping[str, Any], slots: tuple[str, ...], resting: bool
) -> optax.GradientTransformation:
    """One group's transformation, the numbers traced; its state is that of `_pack`."""
    decay = _stateless(optax.add_decayed_weights(numbers["weight_decay"]))
    descend = _stateless(optax.scale_by_learning_rate(numbers["lr"]))
    if type == "SGD":
        nesterov = bool(settings["nesterov"])
        momentum = _momentum(numbers["momentum"], nesterov, resting) if slots else optax.identity()
        return _around(decay, momentum, descend)
    scale = _amsgrad if "max_exp_avg_sq" in slots else optax.scale_by_adam
    adam = scale(numbers["beta1"], numbers["beta2"], numbers["eps"])
    if type == "AdamW":  # decoupled: the decay is scaled by lr, not by the moments (Loshchilov and Hutter 2019)
        return _around(_stateless(optax.identity()), adam, lambda u, p: descend(decay(u, p), p))
    return _around(decay, adam, descend)


def _momentum(momentum: Any, nesterov: bool, resting: bool) -> optax.GradientTransformation:
    """`optax.trace`, whose buffer rests while the momentum is 0, as torch's does."""
    trace: Any = optax.trace(momentum, nesterov)

    def step(updates: Any, state: Any, params: Any = None) -> Any:
        answer, after = trace.update(updates, state, params)
        return answer, optax.TraceState(jnp.where(momentum != 0, after.trace, state.trace)) if resting else after

    return optax.GradientTransformation(trace.init, step)


def _stateless(part: optax.GradientTransformation) -> Callable[[Any, Any], Any]:
    return lambda updates, params: part.update(updates, optax.EmptyState(), params)[0]


def _around(
    before: Callable[[Any, Any], Any], part: optax.GradientTransformation, after: Callable[[Any, Any], Any]
) -> optax.GradientTransformation:
    """`optax.chain` of a stateless part, one with state, and a stateless one: its state is the middle one's alone."""

    def step(updates: Any, state: Any, params: Any = None) -> Any:
        updates, state = part.update(before(updates, params), state, params)
        return after(updates, params), state

    return optax.GradientTransformation(part.init, step)


class _AmsgradState(NamedTuple):
    count: Any
    mu: Any
    nu: Any
    nu_max: Any


def _amsgrad(b1: Any, b2: Any, eps: Any) -> optax.GradientTransformation:
    """torch's AMSGrad keeps the maximum of the raw second moment; optax's that of the corrected one."""

    def init(params: Any) -> _AmsgradState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return _AmsgradState(jnp.zeros(()), zeros, zeros, zeros)

    def step(updates: Any, state: Any, params: Any = None) -> Any:
        count = state.count + 1
        mu = optax.tree.update_moment(updates, state.mu, b1, 1)
        nu = optax.tree.update_moment(updates, state.nu, b2, 2)
        nu_max = jax.tree.map(jnp.maximum, state.nu_max, nu)
        first = optax.tree.bias_correction(mu, b1, count)
        second = optax.tree.bias_correction(nu_max, b2, count)
        answer = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + eps), first, second)
        return answer, _AmsgradState(count, mu, nu, nu_max)

    return optax.GradientTransformation(init, step)


def _pack(slots: tuple[str, ...], slots_in: Mapping[str, Any]) -> Any:
    if not slots:
        return optax.EmptyState()
    if slots == _MOMENTUM:
        return optax.TraceState(slots_in["momentum_buffer"])
    if "max_exp_avg_sq" in slots:
        return _AmsgradState(*(slots_in[slot] for slot in slots))
    return optax.ScaleByAdamState(*(slots_in[slot] for slot in slots))


def _unpack(slots: tuple[str, ...], state: Any) -> dict[str, Any]:
    return dict(zip(slots, state, strict=True)) if slots else {}


def _foreign(optimizer: Optimizer, groups: tuple[tuple[str, ...], ...]) -> Update:
    """Any optax optimizer. Its state's leaves go under the path that leads to them; a number without a parameter of
    its own (a count) goes under the group's first."""
    factory = _factory(optimizer.type)
    for index in range(len(groups)):
        _check(optimizer.type, factory, optimizer.settings(index))

    def make(index: int, numbers: Numbers) -> optax.GradientTransformation:
        options = dict(optimizer.settings(index))
        # floats are traced, as optax.inject_hyperparams has it; ints and flags decide shapes and branches
        options.update(
            {name: numbers[name] for name, value in options.items() if isinstance(value, float) and name in numbers}
        )
        if "lr" in options:
            options["learning_rate"] = numbers["lr"]
            del options["lr"]
        return factory(**options)

    def plain(index: int) -> Numbers:
        return {name: value for name, value in optimizer.settings(index).items() if _is_number(value)}

    def init(params: Params) -> dict[str, dict[str, Any]]:
        entries: dict[str, dict[str, Any]] = {}
        for index, members in enumerate(groups):
            if not members:
                continue
            state = make(index, plain(index)).init({name: params[name] for name in members})
            for (slot, name), leaf in zip(_addresses(state, members), jax.tree.leaves(state), strict=True):
                entries.setdefault(slot, {})[name] = jnp.array(leaf)
        return entries

    def step(grads: Params, slots_in: Slots, params: Params, numbers: tuple[Numbers, ...], resting: bool = True) -> Any:
        moved = dict(params)
        slots_out = {slot: dict(slots_in[slot]) for slot in slots_in}
        for index, members in enumerate(groups):
            if not any(name in grads for name in members):
                continue
            rule, mine = make(index, numbers[index]), {name: params[name] for name in members}
            shape = jax.eval_shape(rule.init, mine)
            addresses, common = _addresses(shape, members), _common(shape, members)
            state = jax.tree.unflatten(jax.tree.structure(shape), [slots_in[slot][name] for slot, name in addresses])
            whole = {name: grads[name] if name in grads else jnp.zeros_like(params[name]) for name in members}
            change, state = rule.update(whole, state, mine)
            after = cast(dict[str, Any], optax.apply_updates(mine, change))
            moved |= {name: after[name] for name in members if name in grads}
            for (slot, name), leaf, shared in zip(addresses, jax.tree.leaves(state), common, strict=True):
                if shared or name in grads:
                    slots_out[slot][name] = leaf
        return moved, slots_out

    return Update(init, step)


def _factory(type: str) -> Callable[..., optax.GradientTransformation]:
    entries: Any = optax
    for part in type.removeprefix("optax.").split("."):
        entries = getattr(entries, part, None)
    # a name leads to what optax itself defines, and to nothing that its modules import
    home = str(getattr(entries, "__module__", ""))
    if not home.startswith("optax.") or "learning_rate" not in _parameters(entries):
        raise FkitKeyError(
            f"optimizer {type!r} has no twin on backend 'jax', and optax has no optimizer of that name.",
            value=type,
            choices=tuple(TWINS),
            label="On both backends",
            path="optimizers",
            repair="Take one of these, or an optimizer of optax by its name there (adamax, lion, rmsprop, ...).",
        )
    return entries


def _parameters(factory: Any) -> Mapping[str, Any]:
    if not callable(factory) or inspect.isclass(factory):
        return frozendict()
    try:
        return inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return frozendict()


def _check(type: str, factory: Any, options: Mapping[str, Any]) -> None:
    known = _parameters(factory)
    for name in options:
        if name != "lr" and name not in known:
            allowed = ("lr", *(key for key in known if key != "learning_rate"))
            raise FkitTypeError(
                f"optimizer {type} takes no argument {name!r}.",
                value=name,
                choices=allowed,
                label="Arguments",
                path="optimizers",
            )
    arguments = {"learning_rate" if name == "lr" else name for name in options}
    for name, parameter in known.items():
        if (
            parameter.default is parameter.empty
            and parameter.kind is not parameter.VAR_KEYWORD
            and name not in arguments
        ):
            raise FkitTypeError(
                f"optimizer {type} needs {'lr' if name == 'learning_rate' else name!r}.", path="optimizers"
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _addresses(state: Any, members: tuple[str, ...]) -> list[tuple[str, str]]:
    known = frozenset(members)
    entries: list[tuple[str, str]] = []
    for path, _ in jax.tree_util.tree_flatten_with_path(state)[0]:
        tokens = [str(_token(part)) for part in path]
        name = next((token for token in tokens if token in known), members[0])
        entries.append((".".join(token for token in tokens if token != name) or "value", name))
    return entries


def _common(state: Any, members: tuple[str, ...]) -> list[bool]:
    """Of each leaf, whether it is the group's (a count), and no parameter's."""
    known = frozenset(members)
    paths = (path for path, _ in jax.tree_util.tree_flatten_with_path(state)[0])
    return [not any(str(_token(part)) in known for part in path) for path in paths]


def _token(part: Any) -> Any:
    for field in ("key", "name", "idx"):
        if hasattr(part, field):
            return getattr(part, field)
    return part
