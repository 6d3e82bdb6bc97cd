"""A function of JAX as one of torch: called on tensors, jitted, differentiated by torch's autograd."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp
import torch
from torch import Tensor

from fkit.interop.array import jax_array, torch_array
from fkit.interop.call import Batched, Form, Pulled, taken_apart
from fkit.interop.memory import pointer, shortened
from fkit.tree.check import expect, expect_call

__all__ = ["as_torch"]


def as_torch(function: Callable[..., Any], *, jit: bool = True) -> Callable[..., Any]:
    """A function of JAX as one of torch.

    Args:
        function: pure; takes and gives trees of JAX arrays (dicts, lists, tuples, the kit's structures, what JAX knows).
        jit: compile it; without, it runs operation by operation, and may look at its numbers.

    Returns:
        a function of trees of tensors, on which torch's ``backward``, ``torch.autograd.grad`` (of any order),
        ``torch.func.grad`` and ``torch.func.vmap`` (which is ``jax.vmap`` here) work. It shares memory with JAX both ways
        (`fkit.interop.array`); what lies badly is copied, and what comes out without ``jit``.

        - Whatever is no array (numbers, words, None) is a constant: another one compiles the function anew. Give a tensor
          for what changes.
        - Gradients reach every float tensor that requires one. Integers have none.
        - A float64 tensor has it computed in float64. Without one, integers of 64 bits pass as 32, which JAX counts in;
          one that does not fit is an error. What comes back has JAX's types.
        - It runs where its tensors are; on CUDA it waits for JAX before it returns.

    Raises:
        FkitError: it is no function; an argument cannot pass.

    Example:
        >>> x = torch.arange(3.0, requires_grad=True)
        >>> y = as_torch(lambda x, power: {"sum": (x**power).sum()})(x, 2)
        >>> y["sum"].backward()
        >>> y["sum"].item(), x.grad
        (5.0, tensor([0., 2., 4.]))
    """
    expect_call(function, "`function` is a function of JAX arrays")
    expect(jit, bool, "`jit` is True or False")
    passes = _passes(function, jit)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        form, arrays = taken_apart(args, kwargs)
        tensors = [torch_array(array, copy=None) for array in arrays]
        return _called(passes, form, tensors)

    return call


@dataclass(frozen=True)
class _Passes:
    """What is compiled: the function, it with what its gradient needs, and the gradient."""

    run: Callable[[Form, Sequence[Any]], Any]
    forward: Callable[[Pulled, Sequence[Any]], tuple[Any, Any]]
    backward: Callable[[Any, Sequence[Any]], tuple[Any, ...]]
    compiled: bool


def _passes(function: Callable[..., Any], jit: bool) -> _Passes:
    def run(form: Form, arrays: Sequence[Any]) -> Any:
        return form.run(function, arrays)

    def forward(form: Pulled, arrays: Sequence[Any]) -> tuple[Any, Any]:
        return form.forward(function, arrays)

    if not jit:
        return _Passes(run, forward, Pulled.backward, False)
    return _Passes(jax.jit(run, static_argnums=0), jax.jit(forward, static_argnums=0), jax.jit(Pulled.backward), True)


@dataclass
class _Call:
    """One call on its way through autograd.

    Attributes:
        moving: of each tensor, whether there is to be a gradient of it.
        tree: of the outputs; known when it has run.
        pull: what the gradient needs; None where there is to be none.
        shared: the outputs whose memory ``pull`` reads.
    """

    passes: _Passes
    form: Form
    moving: tuple[bool, ...]
    tree: Any = None
    pull: Any = None
    shared: tuple[int, ...] = field(default=())

    def run(self, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        with _width(tensors):
            arrays = [_entered(tensor) for tensor in tensors]
            if any(self.moving):
                answer, self.pull = self.passes.forward(Pulled(self.form, self.moving), arrays)
            else:
                answer = self.passes.run(self.form, arrays)
            leaves, self.tree = jax.tree.flatten(answer)
            outputs = _left(leaves, arrays, self.passes.compiled)
            held = {pointer(leaf) for leaf in _arrays_in(self.pull)}
        self.shared = tuple(i for i, one in enumerate(outputs) if pointer(one) in held)
        return outputs

    def grads(self, cotangents: Sequence[Tensor]) -> tuple[Tensor, ...]:
        with _width(cotangents):
            entered = [_entered(one) for one in cotangents]
            grads = self.passes.backward(self.pull, entered)
            return _left(grads, (*entered, *_arrays_in(self.pull)), self.passes.compiled)


class _Crossing(torch.autograd.Function):
    """A `_Call` as a node of torch's graph."""

    @staticmethod
    def forward(call: _Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        return call.run(tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        call, *tensors = inputs
        ctx.call = call
        # torch says so when what JAX's half of the gradient reads was written to meanwhile
        ctx.save_for_backward(*tensors, *(output[i] for i in call.shared))
        ctx.mark_non_differentiable(*(one for one in output if not _is_float(one)))

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Any, ...]:
        call: _Call = ctx.call
        tensors = ctx.saved_tensors[: len(call.moving)]
        given = [one for one in cotangents if _is_float(one)]
        if torch.is_grad_enabled():  # a gradient that is to be differentiated: computed anew, as a call of its own
            grads = _called(call.passes, Pulled(call.form, call.moving), [*tensors, *given])
        else:
            grads = call.grads(given)
        rest = iter(grads)
        return None, *(next(rest) if moves else None for moves in call.moving)

    @staticmethod
    def vmap(  # pyright: ignore[reportIncompatibleMethodOverride]  # the arguments are `forward`'s
        info: Any, in_dims: tuple[Any, ...], call: _Call, *tensors: Tensor
    ) -> tuple[Any, Any]:
        inner = _Call(call.passes, Batched(call.form, tuple(in_dims[1:])), call.moving)
        outputs = _Crossing.apply(inner, *tensors)
        call.tree = inner.tree
        return outputs, (0,) * len(outputs)


def _called(passes: _Passes, form: Form, tensors: Sequence[Tensor]) -> Any:
    grad = torch.is_grad_enabled()
    call = _Call(passes, form, tuple(grad and one.requires_grad and _is_float(one) for one in tensors))
    outputs = _Crossing.apply(call, *tensors)
    return jax.tree.unflatten(call.tree, outputs)


def _is_float(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _width(tensors: Sequence[Tensor]) -> AbstractContextManager[Any]:
    """JAX's 64 bits, where a tensor that computes has them."""
    wide = any(tensor.dtype in (torch.float64, torch.complex128) for tensor in tensors)
    return jax.enable_x64(True) if wide else nullcontext()


def _entered(tensor: Tensor) -> Any:
    """A tensor as JAX's array; integers of 64 bits as JAX has them just now."""
    tensor = tensor.detach()
    if jax.dtypes.canonicalize_dtype("int64") == jnp.int32:
        tensor = shortened(tensor)
    return jax_array(tensor, copy=None)


def _left(leaves: Iterable[Any], others: Iterable[Any], compiled: bool) -> tuple[Tensor, ...]:
    """JAX's arrays as tensors that share no memory with each other, nor with those others: torch may write to each. What a
    function gives that is not compiled may be anybody's, and is copied."""
    arrays = [leaf if isinstance(leaf, jax.Array) else jnp.asarray(leaf) for leaf in leaves]
    if any(device.platform != "cpu" for array in arrays for device in array.devices()):
        jax.block_until_ready(arrays)
    taken = {pointer(one) for one in others}
    tensors: list[Tensor] = []
    for array in arrays:
        tensor = torch_array(array, copy=None)
        tensors.append(tensor.clone() if (not compiled or pointer(array) in taken) and tensor.numel() else tensor)
        taken.add(pointer(array))
    return tuple(tensors)


def _arrays_in(pull: Any) -> list[Any]:
    return [leaf for leaf in jax.tree.leaves(pull) if isinstance(leaf, jax.Array)]
