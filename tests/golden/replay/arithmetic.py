"""What a case of the book ``boxes`` runs on: a library's arrays, and gradients where the library has them."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from frozendict import frozendict

from fkit.array.ops import Numpy
from tests.golden.decoding import Decoder

LIBRARIES = ("numpy", "torch", "jax")
NO_GRADIENT = ("numpy",)
# relative to the magnitude of what was recorded; whole numbers, flags and indices are exact
TOLERANCE: Mapping[str, float] = frozendict(float16=2e-3, float32=1e-5, float64=1e-9)

QUICKLY: Mapping[str, Any] = frozendict(xla_backend_optimization_level=0, xla_llvm_disable_expensive_passes=True)


def opened(name: str) -> Any:
    """The operations of a library by its name."""
    if name == "numpy":
        return Numpy()
    if name == "torch":
        from fkit.backend.torch.ops import Torch

        return Torch()
    from fkit.backend.jax.ops import JaxOps

    return JaxOps()


def width(xp: Any, tree: Any) -> AbstractContextManager[Any]:
    """The context in which float64 arrays of the tree stay such."""
    doubles = [leaf for leaf in leaves(tree) if leaf.dtype == np.float64]
    return xp.width([np.zeros(1, np.float64)]) if doubles else nullcontext()


def leaves(tree: Any) -> list[np.ndarray]:
    """The numpy arrays of decoded arguments."""
    if isinstance(tree, np.ndarray):
        return [tree]
    parts = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, (list, tuple)) else ()
    return [leaf for part in parts for leaf in leaves(part)]


def given(xp: Any, tree: Any) -> Any:
    """Decoded arguments with the library's arrays in place of numpy's."""
    if isinstance(tree, np.ndarray):
        return xp.asarray(tree, str(tree.dtype))
    if isinstance(tree, Mapping):
        return {key: given(xp, value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(given(xp, value) for value in tree)
    return tree


def plain(array: Any) -> Any:
    """numpy's array of any library's; what is no array passes."""
    if hasattr(array, "detach"):
        array = array.detach().cpu().numpy()
    return np.asarray(array) if hasattr(array, "dtype") else array


def jit(function: Callable[..., Any], fusions: bool = False) -> Any:
    """``jax.jit`` of a function that runs once: LLVM's optimisations would take longer than all the rest, and so would MLIR,
    by which XLA else emits each fusion in a context of its own.

    Args:
        fusions: emitted as XLA does by itself; for what is ordered by float32 numbers that are nearly equal.
    """
    import jax

    return jax.jit(function, compiler_options={**QUICKLY, "xla_cpu_use_fusion_emitters": fusions})


def compiled(xp: Any, function: Callable[..., Any], *arrays: Any) -> Any:
    """``function(*arrays)``; on JAX as one program, as a step of training has it, in place of one for each operation."""
    return (jit(function) if xp.name == "jax" else function)(*arrays)


def with_gradient(xp: Any, function: Callable[[Any], Any], at: Any, whole: bool = True) -> tuple[Any, Any]:
    """``function(at)``, an array, and the gradient of its sum by ``at``; None in place of it where the library has none.

    Args:
        whole: on JAX as one program (`compiled`).
    """
    if xp.name == "torch":
        at = at.clone().requires_grad_()
        value = function(at)
        value.sum().backward()
        return value, at.grad
    if xp.name == "jax":
        import jax

        def total(one: Any) -> tuple[Any, Any]:
            value = function(one)
            return value.sum(), value

        graded = jax.grad(total, has_aux=True)
        gradient, value = (jit(graded) if whole else graded)(at)
        return value, gradient
    return function(at), None


def same(actual: Any, recorded: Any, tolerance: Mapping[str, float] = TOLERANCE, where: str = "out") -> None:
    """A result is what was recorded: the same structure, shapes and kinds of numbers; the numbers within the tolerance."""
    if isinstance(recorded, Mapping):
        assert set(actual) == set(recorded), where
        for key, value in recorded.items():
            same(actual[key], value, tolerance, f"{where}.{key}")
    elif isinstance(recorded, (list, tuple)):
        assert len(actual) == len(recorded), where
        for at, value in enumerate(recorded):
            same(actual[at], value, tolerance, f"{where}[{at}]")
    elif isinstance(recorded, np.ndarray):
        actual = plain(actual)
        assert isinstance(actual, np.ndarray), where
        assert (actual.shape, actual.dtype.kind) == (recorded.shape, recorded.dtype.kind), where
        if recorded.dtype.kind == "f":
            assert actual.dtype == recorded.dtype, where
            relative = tolerance[str(recorded.dtype)]
            least = relative * float(np.abs(recorded[np.isfinite(recorded)]).max(initial=1e-3))
            np.testing.assert_allclose(actual, recorded, rtol=relative, atol=least, err_msg=where)
        else:
            np.testing.assert_array_equal(actual, recorded, err_msg=where)
    else:
        assert plain(actual) == recorded, where


class Reader(Decoder):
    """The tags of the book; boxes are their array, other structures stay mappings with decoded parts."""

    def _tags(self) -> tuple[tuple[str, Callable[[dict[str, Any]], Any]], ...]:
        return (*super()._tags(), ("$boxes", lambda node: self(node["$boxes"])))
