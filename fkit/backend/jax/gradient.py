"""The gradient of a phase as a value: what differentiates a model's losses, and says what they reach."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal, jaxpr_as_fun

from fkit.backend.jax.forward import Forward, Words
from fkit.training.loss import total
from fkit.training.phase import Part, unreached

__all__ = ["Gradient", "functional"]

Named = dict[str, Any]
Gradient = Callable[[Part, Named, Named, Words, Any, Any, Any], tuple[Named, Named, Named]]
"""``(part, params, buffers, words, inputs, samples, scale) -> (grads, losses, buffers)``, traced: the gradients of what the
phase trains and its loss reaches, by name; the model's losses and "loss", what was differentiated (times the scale, where it is not None); the new buffers."""


def functional(forward: Forward) -> Gradient:
    """The gradient by JAX's own transformation of the model as a function of its parameters.

    A parameter that the loss does not reach has none, as in torch: where JAX fills in zeros for it. Which those are is
    read off the traced program, so it is known before a number is, and costs nothing in a step. A gradient that is
    computed and comes out as zeros (of a masked branch, say) is one.
    """

    def gradient(
        part: Part, params: Named, buffers: Named, words: Words, inputs: Any, samples: Any, scale: Any
    ) -> tuple[Named, Named, Named]:
        def objective(trained: Named) -> tuple[Any, Any]:
            losses, changed = forward.losses(
                {**params, **trained}, buffers, inputs, samples, words, True, part.phase.mode
            )
            value = total(losses, part.phase.loss)
            return value if scale is None else value * scale, ({**losses, "loss": value}, changed)

        trained = {name: params[name] for name in part.names}
        traced, shape = jax.make_jaxpr(jax.grad(objective, has_aux=True), return_shape=True)(trained)
        results = jaxpr_as_fun(traced)(*jax.tree.leaves(trained))
        grads, (losses, changed) = jax.tree.unflatten(jax.tree.structure(shape), results)
        # the gradients come first, and dicts are walked in the order of their sorted keys
        idle = {name for name, zero in zip(sorted(trained), _zeros(traced), strict=False) if zero}
        if len(idle) == len(trained):
            raise unreached(part)
        return {name: grads[name] for name in part.names if name not in idle}, losses, changed

    return gradient


def _zeros(traced: Any) -> list[bool]:
    """Of each result of a traced program, whether it is the zeros that JAX puts where no gradient flows."""
    makers = {id(var): eqn for eqn in traced.jaxpr.eqns for var in eqn.outvars}

    def zero(var: Any) -> bool:
        if isinstance(var, Literal):
            return not np.any(var.val)
        maker = makers.get(id(var))
        return maker is not None and maker.primitive.name == "broadcast_in_dim" and zero(maker.invars[0])

    return [zero(var) for var in traced.jaxpr.outvars]
