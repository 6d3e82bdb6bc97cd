"""Several runs of one program in one call of what is compiled: the step, vmapped over runs."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fkit.backend.jax.border import take_off
from fkit.backend.jax.named import Named, Names
from fkit.backend.jax.number import packer
from fkit.backend.jax.step import Case, cases
from fkit.backend.jax.template import Template
from fkit.data.label import check_targets
from fkit.structures.batch import Batch
from fkit.training.follower import Follower
from fkit.training.phase import Part
from fkit.training.state import Hyperparams, TrainState
from fkit.training.together import Together

__all__ = ["together"]

_CONVOLUTIONS = ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose2d")


class _Joined(NamedTuple):
    """The states of K runs: flat tuples of arrays (K, ...), on the device."""

    params: Any
    buffers: Any
    opt: Any
    slots: Any
    updates: Any
    iteration: Any
    key: Any
    rest: tuple[Mapping[str, Any], ...]  # each run's slots, for those that are in no layout


def together(
    parts: tuple[Part, ...], layout: Template, traced: Callable[..., Any], width: Callable[[], AbstractContextManager[Any]],
    followers: tuple[Follower, ...],
) -> tuple[Together | None, str]:  # fmt: skip
    """The step for several runs; None, and why, where it would be slower than separate steps.

    Args:
        parts: the phases.
        layout: of the state.
        traced: the step over flat tuples (`fkit.backend.jax.train.traced`).
        width: ``() -> context`` in which the program's arrays keep their type.
        followers: what follows the weights.
    """
    layers = {entry.layer for entry in layout.inventory.entries}
    if jax.default_backend() == "cpu" and layers.intersection(_CONVOLUTIONS):
        return None, "on a CPU, convolutions of several runs in one call are slower than one after the other"
    pack, case_of = packer(parts), cases(parts)

    def vmapped(*operands: Any) -> Any:
        *arrays, case = operands
        # the number of the step, and what averages weigh by it, are the same for all
        axes = (0, 0, 0, 0, 0, None, 0, 0, None, 0, 0, 0)
        return jax.vmap(lambda *mine: traced(*mine, case), in_axes=axes)(*arrays)

    jitted = jax.jit(vmapped, donate_argnums=(0, 1, 2, 3), static_argnums=(12,))

    def join(states: Sequence[TrainState]) -> _Joined:
        rows = [state.parts for state in states]
        with width():
            flat = [
                (layout.params.pick(p), layout.buffers.pick(b), layout.flat_opt(o, Names.pick, p), layout.flat_slots(s), u, k)
                for p, b, o, s, _, u, k in rows
            ]  # fmt: skip
            params, buffers, opt, slots, updates, key = jax.tree.map(lambda *one: jnp.stack(one), *flat)
        for state in states:
            state.consume()
        return _Joined(params, buffers, opt, slots, updates, rows[0][4], key, tuple(row[3] for row in rows))

    def step(
        joined: _Joined, batches: Sequence[Batch], hyperparams: Sequence[Hyperparams]
    ) -> tuple[_Joined, Sequence[Mapping[str, Any]]]:
        fed: list[Any] = []
        for batch in batches:
            check_targets(layout.inventory.labels, batch.targets, batch.valid)
            fed.append(take_off(batch)[:3])
        with width():
            packed = [pack(one) for one in hyperparams]
            numbers = np.stack([np.asarray(one.numbers) for one in packed])
            inputs, targets, valid = jax.tree.map(lambda *one: np.stack([np.asarray(a) for a in one]), *fed)
            done = int(joined.iteration)
            weights = tuple([float(follower.weight(done)) for follower in followers])
            case: Case = case_of(joined.iteration, any(one.resting for one in packed))
            opt = _raised(layout, joined, hyperparams)
            params, buffers, opt, slots, updates, logs = jitted(
                joined.params, joined.buffers, opt, joined.slots, joined.updates, joined.iteration, joined.key,
                numbers, weights, inputs, targets, valid, case,
            )  # fmt: skip
        after = _Joined(params, buffers, opt, slots, updates, joined.iteration + 1, joined.key, joined.rest)
        return after, [_Logs(logs, place) for place in range(len(batches))]

    def part(joined: _Joined, place: int) -> TrainState:
        mine = (joined.params, joined.buffers, joined.opt, joined.slots, joined.updates, joined.key)
        with width():
            params, buffers, opt, slots, updates, key = jax.tree.map(lambda one: one[place], mine)
        return TrainState(
            Named(layout.params, params), Named(layout.buffers, buffers), layout.named_opt(opt),
            layout.named_slots(joined.rest[place], slots), joined.iteration, updates, key,
        )  # fmt: skip

    return Together(join, step, part, "one vmapped step for all runs"), ""


def _raised(layout: Template, joined: _Joined, hyperparams: Sequence[Hyperparams]) -> tuple[Any, ...]:
    """The optimizers' slots, those among them whose number any run has raised from 0: they begin as zeros."""
    if None not in joined.opt:
        return joined.opt
    params = layout.params.tree(joined.params)
    highest = {name: np.max([one[name] for one in hyperparams], 0) for name in hyperparams[0]}  # of any run
    held = layout.flat_opt(layout.named_opt(joined.opt), Names.pick, params, highest)
    return tuple(old if old is not None else new for old, new in zip(joined.opt, held, strict=True))


class _Logs(Mapping[str, Any]):
    """The logs of one run among those of several: a number is cut out when it is asked for."""

    __slots__ = ("_all", "_place")

    def __init__(self, logs: Mapping[str, Any], place: int) -> None:
        self._all, self._place = logs, place

    def __getitem__(self, name: str) -> Any:
        return self._all[name][self._place]

    def __iter__(self) -> Any:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)
