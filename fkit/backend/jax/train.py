"""A program's training step on JAX: one call of what is compiled, with all that follows the weights inside it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fkit.backend.jax.border import take_off
from fkit.backend.jax.named import Named, Names
from fkit.backend.jax.number import packer
from fkit.backend.jax.ops import JaxOps
from fkit.backend.jax.step import Case, Moving, Step, cases
from fkit.backend.jax.template import Template
from fkit.backend.jax.together import together
from fkit.backend.jax.watch import watch
from fkit.data.label import check_targets
from fkit.structures.batch import Batch, Samples
from fkit.training.follower import Follower
from fkit.training.phase import Part
from fkit.training.resize import BatchSyncRandomResize
from fkit.training.state import Hyperparams, TrainState, check_call
from fkit.training.together import Together
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError

__all__ = ["TrainStep", "traced"]


class TrainStep:
    """``(state, batch, hyperparams) -> (state, logs)``, see `fkit.training.program.Program`.

    Args:
        parts: the phases.
        layout: of the state.
        step: what is traced of a step.
        width: ``() -> context`` in which the program's arrays keep their type.
        donate: whether a step uses up its state.
        followers: what follows the weights, in order; their slots are in the layout.
        resize: gives batches other sizes; None where they keep theirs.
    """

    __slots__ = (
        "__weakref__",
        "_case_of",
        "_donate",
        "_followers",
        "_jitted",
        "_layout",
        "_pack",
        "_parts",
        "_ranges",
        "_resize",
        "_step",
        "_width",
    )  # fmt: skip

    def __init__(
        self, parts: tuple[Part, ...], layout: Template, step: Step, width: Callable[[], AbstractContextManager[Any]],
        donate: bool, followers: tuple[Follower, ...] = (), resize: BatchSyncRandomResize | None = None,
    ) -> None:  # fmt: skip
        self._resize = resize
        self._parts, self._layout, self._step, self._width = parts, layout, step, width
        self._donate, self._followers = donate, followers
        self._pack, self._case_of, self._ranges = packer(parts), cases(parts), layout.inventory.labels
        self._jitted = _jitted(layout, step, donate, followers)

    def __call__(
        self, state: TrainState, batch: Batch, hyperparams: Hyperparams
    ) -> tuple[TrainState, Mapping[str, Any]]:
        check_call(state, batch)
        check_targets(self._ranges, batch.targets, batch.valid)
        inputs, targets, valid, _ = take_off(batch)
        params, buffers, opt, slots, iteration, updates, key = state.parts
        layout, donate, followers = self._layout, self._donate, self._followers
        reach = Names.take if donate else Names.pick
        with self._width():
            numbers, resting = self._pack(hyperparams)
            mine, weights, flat = reach(layout.params, params), (), layout.flat_slots(slots, reach)
            if followers:
                done = int(iteration)
                weights = tuple([float(follower.weight(done)) for follower in followers])
                if donate and any([arrays is mine for arrays in flat]):  # the slot is in place of the parameters
                    flat = tuple([_copies(arrays) if arrays is mine else arrays for arrays in flat])
            moving = (
                mine, reach(layout.buffers, buffers), layout.flat_opt(opt, reach, params, hyperparams), flat, updates,
            )  # fmt: skip
            case = self._case_of(iteration, resting)
            if self._resize is not None:
                case = case._replace(size=_size(self._resize, key, iteration, inputs))
            params, buffers, opt, changed, updates, logs = self._jitted(
                *moving, iteration, key, numbers, weights, inputs, targets, valid, case
            )
        if donate:
            state.consume()
        state = TrainState(
            Named(layout.params, params), Named(layout.buffers, buffers), layout.named_opt(opt),
            layout.named_slots(slots, changed), iteration + 1, updates, key,
        )  # fmt: skip
        return state, logs

    def together(self) -> tuple[Together | None, str]:
        """This step for several runs at once; None, and why, where separate steps are the better form."""
        if self._resize is not None:
            return None, "each run draws the sizes of its batches"
        step = traced(self._layout, self._step, self._followers)
        return together(self._parts, self._layout, step, self._width, self._followers)

    def followed_by(self, follower: Follower) -> "TrainStep":
        """This step, and what follows it, in one call of what is compiled.

        Raises:
            FkitValueError: the step keeps a slot of that name already.
        """
        expect(follower, Follower, "`follower` is a Follower")
        slots = self._layout.slots
        if follower.slot in [name for name, _ in slots]:
            raise FkitValueError(f"the program has a slot {follower.slot!r} already.", repair="Give another name.")
        layout = replace(self._layout, slots=(*slots, (follower.slot, Names(follower.paths))))
        return TrainStep(
            self._parts, layout, self._step, self._width, self._donate, (*self._followers, follower), self._resize
        )


def _jitted(layout: Template, step: Step, donate: bool, followers: tuple[Follower, ...]) -> Callable[..., Any]:
    """What JAX compiles, over flat tuples."""
    donated = (0, 1, 2, 3) if donate else ()
    return jax.jit(traced(layout, step, followers), donate_argnums=donated, static_argnums=(12,))


def traced(layout: Template, step: Step, followers: tuple[Follower, ...]) -> Callable[..., Any]:
    """A step over flat tuples, as JAX traces it: (params, buffers, opt, slots, updates, iteration, key, numbers, weights,
    inputs, targets, valid, case) -> (params, buffers, opt, slots, updates, logs)."""
    note, xp = watch("train_step"), JaxOps()

    def train(
        params: Any, buffers: Any, opt: Any, slots: Any, updates: Any, iteration: Any, key: Any, numbers: Any,
        weights: Any, inputs: Any, targets: Any, valid: Any, case: Case,
    ) -> Any:  # fmt: skip
        note(case, inputs=inputs, targets=targets, valid=valid)
        held = layout.tree_slots(slots)
        averages = {follower.slot: held.pop(follower.slot) for follower in followers}
        moving = Moving(layout.params.tree(params), layout.buffers.tree(buffers), layout.tree_opt(opt), held, False)
        new, logs = step(moving, iteration, key, numbers, inputs, Samples(targets, valid), case)
        after = {
            follower.slot: follower.update(xp, averages[follower.slot], new.params, new.buffers, weight, False)
            for follower, weight in zip(followers, weights, strict=True)
        }
        return (
            layout.params.pick(new.params), layout.buffers.pick(new.buffers), layout.flat_opt(new.opt),
            layout.flat_slots({**new.slots, **after}), updates + jnp.asarray(new.moved).astype(updates.dtype), logs,
        )  # fmt: skip

    return train


def _size(resize: BatchSyncRandomResize, key: Any, iteration: Any, inputs: Any) -> tuple[int, int]:
    """The size of a step's batch, which is known when it is compiled."""
    if isinstance(iteration, Tracer):
        raise FkitValueError(
            "BatchSyncRandomResize gives batches sizes by the number of the step, which is not known inside jit."
        )
    first, second = np.asarray(key).tolist()
    return resize.size((first, second), int(iteration), tuple(inputs.shape[-2:]))


def _copies(arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple([jnp.array(array, copy=True) for array in arrays])
