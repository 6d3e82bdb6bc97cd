"""One training step as a fold over phases: gradient, update, logs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from frozendict import frozendict
from jax.core import Tracer

from fkit.backend.jax.forward import Forward, Words, total
from fkit.backend.jax.optimizer import Update, update
from fkit.training.optimizer import Optimizer
from fkit.training.program import Phase, Spec
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = ["Moving", "Step", "with_sum"]


class Moving(NamedTuple):
    """What a step changes."""

    params: dict[str, Any]
    buffers: dict[str, Any]
    opt: dict[str, Any]
    updates: Any


@dataclass(frozen=True)
class Step:
    """The phases of a spec, ready to trace.

    Attributes:
        forward: the model.
        phases: each with the names of the parameters that it trains.
        updates: {optimizer: its update}, over the parameters that its phases train.
        optimizers: the values they were made of.
        numbers: the hyperparameters, in the order in which they are packed.
        steady: every step runs every phase.
    """

    forward: Forward
    phases: tuple[tuple[Phase, tuple[str, ...]], ...]
    updates: Mapping[str, tuple[Update, tuple[str, ...]]]
    optimizers: Mapping[str, Optimizer]
    numbers: tuple[str, ...]
    steady: bool

    @staticmethod
    def of(spec: Spec, forward: Forward) -> "Step":
        """The step of a spec.

        Raises:
            FkitError: a phase names no optimizer or no parameter, an optimizer has no twin.
        """
        trainable = [entry.name for entry in forward.plan.inventory.entries if entry.trainable and not entry.buffer]
        phases: list[tuple[Phase, tuple[str, ...]]] = []
        taken: dict[str, tuple[str, ...]] = {}
        for phase in spec.phases:
            names = tuple(name for name in trainable if re.search(phase.params, name))
            if phase.optimizer not in spec.optimizers:
                choices = tuple(spec.optimizers)
                raise FkitKeyError(f"phase: no optimizer {phase.optimizer!r}.", value=phase.optimizer, choices=choices)
            if not names:
                raise FkitValueError(f"phase: params={phase.params!r} matches no trainable parameter.")
            phases.append((phase, names))
            if taken.setdefault(phase.optimizer, names) != names:
                raise FkitValueError(
                    f"phases: optimizer {phase.optimizer!r} is to train different parameters in two phases.",
                    repair="Give each phase an optimizer of its own.",
                )
        updates = {name: (update(spec.optimizers[name], mine), mine) for name, mine in taken.items()}
        prefix = len(spec.optimizers) > 1
        numbers = tuple(
            f"{name}.{key}" if prefix else key for name in updates for key in spec.optimizers[name].hyperparams()
        )
        steady = all(phase.every == 1 for phase in spec.phases)
        return Step(forward, tuple(phases), frozendict(updates), spec.optimizers, numbers, steady)

    def due(self, iteration: Any) -> tuple[bool | None, ...]:
        """Which phases a step runs; None, to be decided on the device, where the iteration is traced; () is all."""
        if self.steady:
            return ()
        if isinstance(iteration, Tracer):
            return tuple(True if phase.every == 1 else None for phase, _ in self.phases)
        done = int(iteration)
        return tuple(done % phase.every == 0 for phase, _ in self.phases)

    def run(
        self, params: dict[str, Any], buffers: dict[str, Any], opt: dict[str, Any], counts: tuple[Any, Any],
        numbers: Any, inputs: Any, samples: Any, words: Words, due: tuple[bool | None, ...],
    ) -> tuple[Moving, dict[str, Any]]:  # fmt: skip
        """All phases that are due, in order; the logs of later ones go over those of earlier ones."""
        iteration, updates = counts
        moving, logs = Moving(params, buffers, opt, updates), {}
        values = self._groups(numbers)
        for (phase, names), now in zip(self.phases, due or (True,) * len(self.phases), strict=True):
            if now is False:
                continue

            def act(moving: Moving, phase: Phase = phase, names: tuple[str, ...] = names) -> tuple[Moving, Any]:
                return self._phase(phase, names, moving, values[phase.optimizer], inputs, samples, words)

            if now:
                moving, found = act(moving)
            else:
                moving, found = _perhaps(iteration % phase.every == 0, act, moving, logs)
            logs |= found
        return moving._replace(updates=updates + 1), logs

    def _phase(
        self, phase: Phase, names: tuple[str, ...], moving: Moving, numbers: Any, inputs: Any, samples: Any,
        words: Words,
    ) -> tuple[Moving, dict[str, Any]]:  # fmt: skip
        def objective(trained: dict[str, Any]) -> tuple[Any, Any]:
            losses, buffers = self.forward.losses(
                {**moving.params, **trained}, moving.buffers, inputs, samples, words, True
            )
            return total(losses, phase.loss), (losses, buffers)

        trained = {name: moving.params[name] for name in names}
        (value, (losses, buffers)), grads = jax.value_and_grad(objective, has_aux=True)(trained)
        rule, _ = self.updates[phase.optimizer]
        slots = moving.opt[phase.optimizer]
        moved, slots = rule.step(grads, slots, trained, numbers)
        params = {**moving.params, **moved}
        opt = {**moving.opt, phase.optimizer: slots}
        return Moving(params, buffers, opt, moving.updates), {**losses, "loss": value}

    def _groups(self, numbers: Any) -> dict[str, tuple[dict[str, Any], ...]]:
        """The packed numbers, by optimizer and group."""
        counts = [len(self.optimizers[name].groups) * len(self.optimizers[name].hyperparams()) for name in self.updates]
        if numbers.shape != (sum(counts),):
            raise FkitValueError("hyperparams need one number each a parameter group, in order of the groups.")
        table: dict[str, tuple[dict[str, Any], ...]] = {}
        at = 0
        for name in self.updates:
            optimizer = self.optimizers[name]
            count = len(optimizer.groups)
            rows: tuple[dict[str, Any], ...] = tuple({} for _ in range(count))
            for key in optimizer.hyperparams():
                for group in range(count):
                    rows[group][key] = numbers[at + group]
                at += count
            table[name] = rows
        return table


def _perhaps(due: Any, act: Any, moving: Moving, logs: dict[str, Any]) -> tuple[Moving, dict[str, Any]]:
    """``act`` if ``due``, decided on the device; what it would have logged is then as it was, or nan."""
    shapes = jax.eval_shape(act, moving)[1]

    def skip(moving: Moving) -> tuple[Moving, dict[str, Any]]:
        blank = {name: jnp.full(one.shape, jnp.nan, one.dtype) for name, one in shapes.items()}
        return moving, {name: logs.get(name, value) for name, value in blank.items()}

    return jax.lax.cond(due, act, skip, moving)


def with_sum(losses: Mapping[str, Any]) -> dict[str, Any]:
    """Losses and their sum, "loss"."""
    return {**losses, "loss": total(losses, None)}
