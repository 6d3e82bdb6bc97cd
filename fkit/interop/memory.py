"""Whose array it is, where its memory lies, and whether another framework can have it."""

import importlib
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.tree.error import FkitImportError, FkitTypeError, FkitValueError, quoted

__all__ = [
    "check_jax",
    "check_numbers",
    "checked",
    "dtype_of",
    "failed",
    "framework_of",
    "is_narrow",
    "narrowed",
    "plain",
    "pointer",
    "shortened",
    "shown",
    "torch_view",
]

# types of ml_dtypes that torch has too, and integers of their width, through which they pass numpy
_NARROW = (
    ("bfloat16", "int16"),
    ("float8_e4m3fn", "uint8"),
    ("float8_e5m2", "uint8"),
    ("float8_e4m3fnuz", "uint8"),
    ("float8_e5m2fnuz", "uint8"),
)


def framework_of(array: Any) -> str:
    """Whose array it is: "torch", "jax", "numpy", or "" of anything else; loads neither framework.

    Example:
        >>> framework_of(np.zeros(3)), framework_of(3.0)
        ('numpy', '')
    """
    if isinstance(array, np.ndarray):
        return "numpy"
    for name, kind in (("torch", "Tensor"), ("jax", "Array")):
        cls = getattr(sys.modules.get(name), kind, None)
        if cls is not None and isinstance(array, cls):
            return name
    return ""


def checked(array: Any, copy: Any) -> str:
    """Whose array it is; refuses what is none, and a ``copy`` that says nothing."""
    kind = framework_of(array)
    if not kind:
        raise FkitTypeError(f"`array` is an array of torch, JAX or numpy, not {quoted(array, 60)}.")
    if not isinstance(copy, bool | None):
        raise FkitTypeError(f"copy = {quoted(copy)} is none of its values: False, None and True.")
    return kind


def dtype_of(array: Any) -> str:
    """The name of its type, the same for all three."""
    return str(array.dtype).removeprefix("torch.")


def shown(array: Any) -> str:
    """An array in a message.

    Example:
        >>> shown(np.zeros((2, 3)))
        "numpy's (2, 3) float64"
    """
    whose = {"torch": "torch's", "jax": "JAX's", "numpy": "numpy's"}[framework_of(array)]
    return f"{whose} {tuple(array.shape)} {dtype_of(array)}"


def pointer(array: Any) -> int:
    """Where its memory begins."""
    kind = framework_of(array)
    if kind == "numpy":
        return array.ctypes.data
    return array.data_ptr() if kind == "torch" else array.unsafe_buffer_pointer()


def is_narrow(array: Any) -> bool:
    """Whether it is of a type that numpy has of ml_dtypes alone: bfloat16, float8."""
    return any(dtype_of(array) == name for name, _ in _NARROW)


def plain(tensor: Any, copy: bool | None) -> Any:
    """A tensor whose memory holds its numbers.

    Raises:
        FkitValueError: it requires a gradient, is conjugated or negated lazily, is sparse, or has no memory.
    """
    if tensor.requires_grad:
        raise FkitValueError(
            f"{shown(tensor)} requires a gradient, which would be lost.",
            repair="Give .detach(), or carry the gradient over: fkit.interop.as_torch(function), fkit.interop.as_jax(function).",
        )
    if tensor.is_conj() or tensor.is_neg():
        if copy is False:
            raise FkitValueError(
                f"{shown(tensor)} is a lazy conjugate, whose memory holds other numbers.",
                repair="Give .resolve_conj().resolve_neg(), or copy=None.",
            )
        return tensor.resolve_conj().resolve_neg()
    if tensor.device.type == "meta" or str(tensor.layout) != "torch.strided" or tensor.is_quantized:
        what = "no memory: it is on the meta device" if tensor.device.type == "meta" else "no plain memory"
        raise FkitValueError(f"{shown(tensor)} has {what}.", repair="Give a dense one: .to_dense(), .dequantize().")
    return tensor


def check_jax(array: Any) -> None:
    """Refuse a JAX array without memory of its own: a tracer, one that was donated, one spread over devices, keys.

    Raises:
        FkitValueError: it is one of them.
    """
    import jax.numpy as jnp
    from jax.core import Tracer
    from jax.dtypes import prng_key

    if isinstance(array, Tracer):
        raise FkitValueError(
            "inside jit, grad and vmap an array of JAX has no memory.",
            repair="Call the function of torch by fkit.interop.as_jax(function), which these transform.",
        )
    if jnp.issubdtype(array.dtype, prng_key):
        raise FkitTypeError(f"{shown(array)} is a random key.", repair="Give jax.random.key_data(key).")
    if array.is_deleted():
        raise FkitValueError(f"{shown(array)} is used up: it was donated to a function, or deleted.")
    if len(array.devices()) > 1:
        raise FkitValueError(
            f"{shown(array)} is spread over {len(array.devices())} devices.",
            repair="Give jax.device_put(array, device) of it, or its addressable_shards one by one.",
        )


def check_numbers(array: NDArray[Any]) -> None:
    """Refuse numpy's texts, objects, records and numbers of the other byte order.

    Raises:
        FkitTypeError: it holds them.
    """
    if not array.dtype.isnative or not (array.dtype.kind in "biufc" or is_narrow(array)):
        raise FkitTypeError(f"{shown(array)} holds no numbers of this machine.", repair="Give .astype(...) of it.")


def written(array: NDArray[Any]) -> NDArray[Any]:
    """numpy's view of read-only memory that may be handed on: to JAX, which never writes, but is asked for no such mark."""
    words = dict(_NARROW).get(dtype_of(array))
    view = array if words is None else array.view(words)
    answer = np.asarray(_Open(view))
    return answer if words is None else answer.view(array.dtype)


class _Open:
    """An array's memory by numpy's protocol, without the mark; keeps the array."""

    def __init__(self, array: NDArray[Any]) -> None:
        place, _ = array.__array_interface__["data"]
        self.array = array
        self.__array_interface__ = {**array.__array_interface__, "data": (place, False)}


def shortened(tensor: Any) -> Any:
    """A tensor with 32 bits in place of an integer's 64, as JAX counts outside of ``jax.enable_x64``.

    Raises:
        FkitValueError: a number does not fit.
    """
    import torch

    short = {"int64": torch.int32, "uint64": torch.uint32}.get(dtype_of(tensor))
    if short is None:
        return tensor
    limits = torch.iinfo(short)
    if tensor.numel() and not (limits.min <= int(tensor.min()) and int(tensor.max()) <= limits.max):
        raise FkitValueError(
            f"{shown(tensor)} holds numbers beyond 32 bits, in which JAX counts.",
            repair="Call it inside `with jax.enable_x64(True):`.",
        )
    return tensor.to(short)


def torch_view(array: NDArray[Any], copy: bool | None) -> Any:
    """numpy's array as a CPU tensor.

    Raises:
        FkitError: torch lacks its type; or it is read-only or runs backwards, and is not to be copied.
    """
    import torch

    check_numbers(array)
    backwards = any(step < 0 for step in array.strides) and array.size > 0
    if copy is False and (backwards or not array.flags.writeable):
        what = "runs backwards" if backwards else "is read-only, and torch could write to it"
        raise FkitValueError(f"{shown(array)} {what}.", repair="copy=None copies where it must.")
    if copy or backwards or not array.flags.writeable:
        array = array.copy()
    words = dict(_NARROW).get(dtype_of(array))
    try:
        if words is not None:
            return torch.from_numpy(array.view(words)).view(getattr(torch, dtype_of(array)))
        return torch.from_numpy(array)
    except TypeError as cause:
        raise FkitTypeError(f"torch has no type for {shown(array)}: {cause}") from cause


def narrowed(tensor: Any) -> NDArray[Any]:
    """numpy's view of a CPU tensor.

    Raises:
        FkitError: numpy lacks its type.
    """
    import torch

    words = dict(_NARROW).get(dtype_of(tensor))
    if words is None:
        return tensor.numpy()
    try:
        ours = getattr(importlib.import_module("ml_dtypes"), dtype_of(tensor))
    except ImportError as cause:
        raise FkitImportError(
            f"{shown(tensor)}: numpy has the type by the package ml_dtypes alone, which is not installed.",
            repair="Give .float(), or pip install ml_dtypes (JAX brings it).",
        ) from cause
    return tensor.view(getattr(torch, words)).numpy().view(ours)


def failed(what: str, array: Any, cause: Exception) -> FkitTypeError:
    """The error of an exchange that the frameworks themselves refuse."""
    return FkitTypeError(f"{shown(array)} does not become an array of {what}: {str(cause).splitlines()[0]}")
