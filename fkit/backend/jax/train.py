"""A program's training step on JAX: one call of what is compiled, with all that follows the weights inside it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fkit.backend.jax.border import take_off
from fkit.backend.jax.mesh import Devices, compiled
from fkit.backend.jax.named import Named, Names
from fkit.backend.jax.number import packer
from fkit.backend.jax.ops import JaxOps
from fkit.backend.jax.step import Case, Moving, Step, cases
from fkit.backend.jax.stretch import looped, parted, rows_of
from fkit.backend.jax.template import Template, raised
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
        devices: the devices that share each batch; None of one.
        loops: whether several steps may go together in one call.
    """

    __slots__ = (
        "__weakref__",
        "_case_of",
        "_devices",
        "_donate",
        "_followers",
        "_jitted",
        "_layout",
        "_looped",
        "_loops",
        "_names",
        "_pack",
        "_parts",
        "_ranges",
        "_resize",
        "_step",
        "_traced",
        "_width",
    )  # fmt: skip

    def __init__(
        self, parts: tuple[Part, ...], layout: Template, step: Step, width: Callable[[], AbstractContextManager[Any]],
        donate: bool, followers: tuple[Follower, ...] = (), resize: BatchSyncRandomResize | None = None,
        devices: Devices | None = None, loops: bool = True,
    ) -> None:  # fmt: skip
        self._resize, self._devices = resize, devices
        self._parts, self._layout, self._step, self._width = parts, layout, step, width
        self._donate, self._followers = donate, followers
        self._pack = packer(parts, jnp.asarray if devices is None else devices.put)
        self._case_of, self._ranges = cases(parts), layout.inventory.labels
        self._traced = traced(layout, step, followers)
        gives = (0, 1, 2, 3) if donate else ()
        self._jitted = compiled(
            self._traced, devices, 9, donate=gives, static=(12,), stays=True, told="a training batch"
        )
        self._looped = compiled(looped(self._traced), devices, 9, batch=1, donate=gives, static=(10,), stays=True)
        self._loops = loops
        self._names: dict[Case, frozenset[str]] = {}

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
        if self._devices is not None:
            return None, "devices share the batches of each"
        return together(self._parts, self._layout, self._traced, self._width, self._followers)

    def several(
        self, state: TrainState, batches: Sequence[Batch], hyperparams: Sequence[Hyperparams], most: int
    ) -> tuple[TrainState, list[Mapping[str, Any]]]:
        """A step for each batch, in as few calls as may be: the numbers of one after the other.

        Args:
            state: as of a step.
            batches, hyperparams: an item a step.
            most: steps a call.

        Returns:
            the state after the last, and what each step logged.
        """
        logs: list[Mapping[str, Any]] = []
        place = 0
        marks = [self._mark(state, *pair, place) for place, pair in enumerate(zip(batches, hyperparams, strict=True))]
        for count in parted(marks, most):
            stop = place + count
            if count > 1 and marks[place] is not None:
                state, more = self._loop(state, batches[place:stop], hyperparams[place:stop], marks[place][2])
                logs += more
            else:
                for batch, row in zip(batches[place:stop], hyperparams[place:stop], strict=True):
                    state, one = self(state, batch, row)
                    logs.append(one)
            place = stop
        return state, logs

    @property
    def loops(self) -> bool:
        """Whether several steps go together in one call."""
        return self._loops

    def _mark(self, state: TrainState, batch: Batch, hyperparams: Hyperparams, place: int) -> Any:
        """What a step has in common with those that it can share a call with; None where it can share none."""
        check_call(state, batch)
        check_targets(self._ranges, batch.targets, batch.valid)
        if not self._loops or self._resize is not None:
            return None
        leaves, structure = jax.tree.flatten(take_off(batch)[:3])
        case = self._case_of(state.iteration + place, self._pack(hyperparams).resting)
        lazy = tuple([raised(hyperparams.get(row.lazy)) for row in self._layout.opt if row.lazy])
        shapes = tuple([(np.shape(leaf), getattr(leaf, "dtype", type(leaf))) for leaf in leaves])
        # a turn of a loop does not know its number when it is compiled
        moves = tuple(
            [None if part.gated and now else moves for part, now, moves in zip(self._parts, *case[:2], strict=True)]
        )
        return structure, shapes, case._replace(moves=moves), lazy

    def _loop(
        self, state: TrainState, batches: Sequence[Batch], hyperparams: Sequence[Hyperparams], case: Case
    ) -> tuple[TrainState, list[dict[str, Any]]]:
        """Steps in one call."""
        params, buffers, opt, slots, iteration, updates, key = state.parts
        layout, followers, count = self._layout, self._followers, len(batches)
        reach = Names.take if self._donate else Names.pick
        with self._width():
            mine, flat = reach(layout.params, params), layout.flat_slots(slots, reach)
            if self._donate and any([arrays is mine for arrays in flat]):
                flat = tuple([_copies(arrays) if arrays is mine else arrays for arrays in flat])
            heads = (
                mine, reach(layout.buffers, buffers), layout.flat_opt(opt, reach, params, hyperparams[0]), flat, updates,
                iteration, key,
            )  # fmt: skip
            done = range(int(iteration), int(iteration) + count)
            rows = (
                tuple([self._pack(row).numbers for row in hyperparams]),
                tuple([tuple([float(follower.weight(each)) for follower in followers]) for each in done]),
                tuple([take_off(batch)[:3] for batch in batches]),
            )
            first = (*heads, rows[0][0], rows[1][0], *rows[2][0])
            named = [self._logged(self._case_of(iteration + place, case.resting), first) for place in range(count)]
            params, buffers, opt, changed, updates, logs = self._looped(*heads, *rows, case)
        if self._donate:
            state.consume()
        state = TrainState(
            Named(layout.params, params), Named(layout.buffers, buffers), layout.named_opt(opt),
            layout.named_slots(slots, changed), iteration + count, updates, key,
        )  # fmt: skip
        return state, rows_of(logs, named)

    def _logged(self, case: Case, arguments: tuple[Any, ...]) -> frozenset[str]:
        """What a step of a case logs. A loop's turns, of which each may be any, log all that one may."""
        if case not in self._names:
            shapes = jax.eval_shape(lambda *each: self._traced(*each, case), *arguments)
            self._names[case] = frozenset(shapes[-1])
        return self._names[case]

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
            self._parts, layout, self._step, self._width, self._donate, (*self._followers, follower), self._resize,
            self._devices, self._loops,
        )  # fmt: skip


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
