"""A function of torch as one of JAX: called on its arrays, under jit and grad too."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial, wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax.core import Tracer
from jax.custom_derivatives import SymbolicZero
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode  # the only way to learn shapes without arithmetic

from fkit.backend.torch.interop import device_of
from fkit.interop.array import jax_array, numpy_array, torch_array
from fkit.interop.call import is_float, taken_apart
from fkit.interop.memory import dtype_of, shortened, shown
from fkit.tree.check import expect, expect_call
from fkit.tree.contract import title
from fkit.tree.error import FkitError, FkitRuntimeError, FkitTypeError, FkitValueError, quoted

__all__ = ["as_jax"]

_SHAPES = "Give shapes=: a tree of jax.ShapeDtypeStruct, or a function of the arguments that gives one."
_PURE = "A function that JAX calls is pure: the same arguments give the same results, and nothing else changes."


def as_jax(function: Callable[..., Any], *, shapes: Any = None, device: str = "cpu") -> Callable[..., Any]:
    """A function of torch as one of JAX.

    Args:
        function: takes and gives trees of tensors. It is pure: it draws no random numbers (a module is in ``eval()``), writes to
            none of its arguments, and what it should be differentiated by is one of them; for a module
            ``torch.func.functional_call`` makes it so, see the example.
        shapes: of what it gives, where that cannot be found by running it on tensors without numbers: a tree of
            ``jax.ShapeDtypeStruct``, or a function of the arguments that gives one.
        device: where torch computes; arrays are brought there and back.

    Returns:
        a function of trees of JAX arrays, for ``jax.jit``, ``jax.grad`` and ``jax.vjp`` (of any order) and ``jax.vmap``. Under
        jit it is a callback on the host; each gradient runs the function again. vmap calls it once for each element, in
        sequence. ``jax.jvp`` and ``jacfwd`` do not work: its derivative is torch's backward pass.

        - Whatever is no array (numbers, words, None) is a constant.
        - Outside of jit its arguments share JAX's memory (`fkit.interop.array`); what it gives is copied, for torch may
          write to it later.
        - Types are torch's. Without ``jax.enable_x64`` integers of 64 bits come back as 32, and one that does not fit is
          an error, as is a float64.

    Raises:
        FkitError: it is no function, or not pure; its shapes cannot be found; it gives something other than tensors.

    Example:
        >>> import torch
        >>> module = torch.nn.Linear(3, 2)
        >>> params = {name: jax_array(p.detach()) for name, p in module.named_parameters()}
        >>> backbone = as_jax(lambda params, x: torch.func.functional_call(module, params, (x,)))
        >>> grads = jax.jit(jax.grad(lambda p, x: jnp.tanh(backbone(p, x)).sum()))(params, jnp.ones((5, 3)))
        >>> grads["weight"].shape
        (2, 3)
    """
    expect_call(function, "`function` is a function of tensors")
    expect(device, str, "`device` is a name such as 'cpu' or 'cuda:0'")
    cross = _crossing(_Guest(function, shapes, device_of(device)))

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        form, arrays = taken_apart(args, kwargs)
        return cross(form, *(jax_array(array, copy=None) for array in arrays))

    return call


@dataclass(frozen=True)
class _Pulled:
    """The gradient of a call by torch: its arrays, then a cotangent for each of its outputs that is no integer."""

    inner: Any
    moving: tuple[bool, ...]

    def run(self, function: Callable[..., Any], tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The gradients, by JAX's convention for complex numbers: torch's are their conjugates."""
        again, count = torch.is_grad_enabled(), len(self.moving)
        with torch.enable_grad():
            whole = [
                tensor.detach().requires_grad_() if moves and not tensor.requires_grad else tensor
                for moves, tensor in zip(self.moving, tensors, strict=False)
            ]
            answer = self.inner.run(function, whole)
            outputs = [one for one in _leaves(answer)[0] if one.is_floating_point() or one.is_complex()]
            some = [one for moves, one in zip(self.moving, whole, strict=True) if moves]
            pairs = [pair for pair in zip(outputs, tensors[count:], strict=True) if pair[0].requires_grad]
            if not pairs:
                return tuple(torch.zeros_like(one) for one in some)
            grads = torch.autograd.grad(
                [one for one, _ in pairs],
                some,
                [cotangent.conj() for _, cotangent in pairs],
                create_graph=again,
                allow_unused=True,
                materialize_grads=True,
            )
            return tuple(grad.conj().resolve_conj() for grad in grads)


@dataclass(frozen=True)
class _Guest:
    """A function of torch, and how it is run for JAX."""

    function: Callable[..., Any]
    shapes: Any
    device: torch.device

    def plan(self, form: Any, arrays: Sequence[jax.ShapeDtypeStruct]) -> Any:
        """The shapes of what a call gives."""
        if isinstance(form, _Pulled):
            return tuple(one for moves, one in zip(form.moving, arrays, strict=False) if moves)
        if self.shapes is not None:
            given = form.run(self.shapes, arrays) if callable(self.shapes) else self.shapes
            for leaf in jax.tree.leaves(given):
                if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
                    raise FkitTypeError(f"shapes: {quoted(leaf, 60)} is no jax.ShapeDtypeStruct.", repair=_SHAPES)
            return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, _there(leaf.dtype.name)), given)
        with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
            tensors = [torch.empty(one.shape, dtype=_torch_type(one), device=self.device) for one in arrays]
            try:
                answer = form.run(self.function, tensors)
            except FkitError:
                raise
            except Exception as cause:
                raise FkitValueError(
                    f"{title(self.function)}: run on tensors without numbers, to learn the shapes of what it gives, it raises "
                    f"{type(cause).__name__}: {str(cause).strip().splitlines()[0] if str(cause).strip() else ''}",
                    repair=_SHAPES,
                ) from cause
            leaves, tree = _leaves(answer)
            return tree.unflatten([jax.ShapeDtypeStruct(tuple(one.shape), _there(dtype_of(one))) for one in leaves])

    def run(self, form: Any, arrays: Sequence[Any]) -> tuple[list[Tensor], Any]:
        """What a call gives, on the host."""
        # grad hands numpy's arrays on in a wrapper of JAX's own
        here = [array if isinstance(array, jax.Array) else np.asarray(array) for array in arrays]
        tensors = [torch_array(array, copy=None).to(self.device) for array in here]
        before = torch.random.get_rng_state()
        with torch.no_grad():
            leaves, tree = _leaves(form.run(self.function, tensors))
        if any(tensor._version for tensor in tensors):
            raise FkitRuntimeError(
                f"{title(self.function)} writes to one of its arguments, and JAX's arrays never change.",
                repair=f"Have it clone the tensor first. {_PURE}",
            )
        if not torch.equal(before, torch.random.get_rng_state()):
            raise FkitRuntimeError(
                f"{title(self.function)} draws random numbers, and would draw others for its gradient.",
                repair=f"Call .eval() of a module, or seed inside torch.random.fork_rng() from an argument. {_PURE}",
            )
        return [one.detach().cpu() for one in leaves], tree

    def answer(self, form: Any, arrays: Sequence[Any]) -> Any:
        """A call on arrays that are there: JAX's arrays."""
        leaves, tree = self.run(form, arrays)
        if not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
            leaves = [shortened(leaf) for leaf in leaves]
        answer = [jax_array(leaf, copy=True) for leaf in leaves]
        homes = [array.devices() for array in arrays if hasattr(array, "devices")]
        places = {device for home in homes for device in home if device.platform != "cpu"}
        return tree.unflatten(jax.device_put(answer, places.pop()) if places else answer)

    def reply(self, form: Any, specs: Any, *arrays: Any) -> Any:
        """A call inside of jit: numpy's arrays of the shapes that were planned."""
        leaves, tree = self.run(form, arrays)
        wanted, planned = jax.tree.flatten(specs)
        found = [
            numpy_array(shortened(a) if b.dtype.itemsize < 8 else a, copy=None)
            for a, b in zip(leaves, wanted, strict=False)
        ]
        if tree != planned or [(a.shape, a.dtype) for a in found] != [(b.shape, b.dtype) for b in wanted]:
            raise FkitValueError(
                f"{title(self.function)} gives {tree.unflatten([shown(leaf) for leaf in leaves])}, and by its shapes {specs}.",
                repair=_SHAPES,
            )
        return tree.unflatten(found)


def _crossing(guest: _Guest) -> Callable[..., Any]:
    """``(form, *arrays) -> outputs``, which JAX transforms."""

    @lru_cache(maxsize=256)
    def planned(form: Any, arrays: tuple[jax.ShapeDtypeStruct, ...], wide: bool) -> Any:
        return guest.plan(form, arrays)

    @partial(jax.custom_vjp, nondiff_argnums=(0,))
    def cross(form: Any, *arrays: Any) -> Any:
        if not any(isinstance(array, Tracer) for array in arrays):
            return guest.answer(form, arrays)
        kinds = tuple(jax.ShapeDtypeStruct(array.shape, array.dtype) for array in arrays)
        specs = planned(form, kinds, bool(jax.config.jax_enable_x64))  # pyright: ignore[reportAttributeAccessIssue]
        return jax.pure_callback(partial(guest.reply, form, specs), specs, *arrays, vmap_method="sequential")

    def forward(form: Any, *primals: Any) -> tuple[Any, dict[str, dict[int, Any]]]:
        # which arrays are to have a gradient is kept as structure, for what is kept for `backward` is arrays
        kept: dict[str, dict[int, Any]] = {"moving": {}, "still": {}}
        for place, primal in enumerate(primals):
            kept["moving" if primal.perturbed and is_float(primal.value) else "still"][place] = primal.value
        return cross(form, *(primal.value for primal in primals)), kept

    def backward(form: Any, kept: dict[str, dict[int, Any]], cotangents: Any) -> tuple[Any, ...]:
        arrays = [array for _, array in sorted({**kept["moving"], **kept["still"]}.items())]
        moving = tuple(place in kept["moving"] for place in range(len(arrays)))
        given = [_dense(one) for one in jax.tree.leaves(cotangents) if one.dtype != jax.dtypes.float0]
        grads = iter(cross(_Pulled(form, moving), *arrays, *given))
        return tuple(next(grads) if moves else None for moves in moving)

    cross.defvjp(forward, backward, symbolic_zeros=True)
    return cross


def _dense(cotangent: Any) -> Any:
    """A cotangent that JAX knows to be 0, as an array; any other as it is."""
    shape, dtype = cotangent.shape, cotangent.dtype
    return jnp.zeros(shape, dtype) if isinstance(cotangent, SymbolicZero) else cotangent


def _leaves(answer: Any) -> tuple[list[Tensor], Any]:
    leaves, tree = jax.tree.flatten(answer)
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise FkitTypeError(
                f"the function gives {quoted(leaf, 60)}, no tensor.", repair="Give torch.as_tensor(...) of it."
            )
    return leaves, tree


def _torch_type(one: Any) -> torch.dtype:
    answer = getattr(torch, one.dtype.name, None)
    if not isinstance(answer, torch.dtype):
        raise FkitTypeError(f"torch has no type {one.dtype.name}.")
    return answer


def _there(name: str) -> Any:
    """JAX's type of that name, as it is just now: integers of 64 bits are 32 outside of its x64 context."""
    kind = jnp.dtype(name)
    now = jax.dtypes.canonicalize_dtype(kind)
    if now != kind and not np.issubdtype(kind, np.integer):
        raise FkitValueError(
            f"the function gives {name}, and JAX has 64 bits only where it is told to.",
            repair="Write `with jax.enable_x64(True):` round the call, or give .float().",
        )
    return now
