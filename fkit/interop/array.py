"""One array, of torch, JAX or numpy, as an array of another of them: the same memory, no byte moved.

=========  ==========================================================================================================
copy       what is done
=========  ==========================================================================================================
``False``  (the default) nothing is copied: both names stand for one memory. Where that cannot be, an error says why.
``None``   copied only where it has to be.
``True``   always copied: what is written to the one is not seen in the other.
=========  ==========================================================================================================

- **Writing.** A JAX array never changes, and the kit's values do not either; torch and numpy write. Who shares memory
  promises to write to neither side while the other is in use: nothing can check it. ``copy=True`` needs no promise. numpy's
  view of a JAX array is read-only; an array that numpy marks read-only does not become a tensor, for torch has no such mark.
- **Types** stay what they are, bfloat16 and float8 too (numpy's are those of ``ml_dtypes``, which comes with JAX). JAX holds
  64 bits only under ``jax.enable_x64(True)``; elsewhere such an array is an error, never cut to 32 bits.
- **Memory.** JAX wants it compact (axes in any order), and on the CPU at a multiple of 64 bytes. torch's own begins at one;
  numpy's, and that of a slice, mostly do not.
- **Devices** stay what they are: a CUDA tensor becomes a JAX array on the same GPU, and dlpack has the one's stream wait for
  the other's. numpy lives on the host. JAX may use memory anew that is given back while a kernel of torch still reads it:
  keep the array until ``torch.cuda.synchronize()``, or copy.
- **Gradients** do not pass: a tensor that requires one is an error. `fkit.interop.as_torch` and `fkit.interop.as_jax` carry
  them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.interop.memory import (
    check_jax,
    check_numbers,
    checked,
    dtype_of,
    failed,
    is_narrow,
    narrowed,
    plain,
    pointer,
    shown,
    torch_view,
    written,
)
from fkit.tree.error import FkitValueError

__all__ = ["jax_array", "numpy_array", "torch_array"]

_ALIGN = 64  # bytes; what XLA's code for the CPU wants of memory
_WIDE = ("int64", "uint64", "float64", "complex128")
_WHERE = "copy=None copies where it must."


def torch_array(array: Any, *, copy: bool | None = False) -> Any:
    """An array as a torch tensor; the module says by what rules.

    Args:
        array: of JAX, numpy or torch, of any shape.
        copy: False shares memory or fails, None copies where it must, True copies.

    Returns:
        a ``torch.Tensor`` of the same shape, dtype and device.

    Raises:
        FkitError: it is no array, torch lacks its type, or it cannot be shared.

    Example:
        >>> import jax.numpy as jnp
        >>> array = jnp.arange(3.0)
        >>> tensor = torch_array(array)
        >>> tensor.data_ptr() == array.unsafe_buffer_pointer(), tensor.dtype
        (True, torch.float32)
    """
    import torch

    kind = checked(array, copy)
    if kind == "torch":
        return array.clone() if copy else array
    if kind == "numpy":
        return torch_view(array, copy)
    check_jax(array)
    try:
        tensor = torch.from_dlpack(array)
    except Exception as cause:  # what a framework refuses, it says by errors of many classes
        if copy is False:
            raise failed("torch", array, cause) from cause
        return torch_view(np.array(array), None)
    return _settled(tensor, array, copy, tensor.clone)


def jax_array(array: Any, *, copy: bool | None = False) -> Any:
    """An array as a JAX array; the module says by what rules.

    Args:
        array: of torch, numpy or JAX, of any shape.
        copy: False shares memory or fails, None copies where it must, True copies.

    Returns:
        a ``jax.Array`` of the same shape, dtype and device.

    Raises:
        FkitError: it is no array, JAX lacks its type or has 64 bits turned off, its memory is not compact or not at a
            multiple of 64 bytes, or it requires a gradient.

    Example:
        >>> import torch
        >>> tensor = torch.arange(3.0)
        >>> jax_array(tensor).unsafe_buffer_pointer() == tensor.data_ptr()
        True
        >>> jax_array(tensor.double())
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitValueError: torch's (3,) float64: JAX holds 64 bits only where it is told to, and would cut it to 32.
          Write `with jax.enable_x64(True):` round it and round what computes with it, or give 32 bits.
    """
    import jax
    import jax.numpy as jnp

    kind = checked(array, copy)
    if kind == "jax":
        return jnp.array(array, copy=True) if copy else array
    if kind == "numpy":
        check_numbers(array)
    name = dtype_of(array)
    if name in _WIDE and jax.dtypes.canonicalize_dtype(np.dtype(name)).name != name:
        raise FkitValueError(
            f"{shown(array)}: JAX holds 64 bits only where it is told to, and would cut it to 32.",
            repair="Write `with jax.enable_x64(True):` round it and round what computes with it, or give 32 bits.",
        )
    source = plain(array, copy) if kind == "torch" else array
    if copy is False:
        _check_memory(array)
    elif kind == "torch":
        source = source if _is_compact(source) else source.contiguous()
    else:
        source = np.asarray(array, order="K" if _is_compact(array) else "C")
    if kind == "numpy":
        source = source if source.flags.writeable else written(source)
        source = torch_view(source, None) if is_narrow(source) else source  # numpy gives these types to nobody
    try:
        answer = jax.dlpack.from_dlpack(source)
    except Exception as cause:
        raise failed("JAX", array, cause) from cause
    return _settled(answer, array, copy, lambda: jnp.array(answer, copy=True))


def numpy_array(array: Any, *, copy: bool | None = False) -> NDArray[Any]:
    """An array as numpy's; the module says by what rules.

    Args:
        array: of torch, JAX or numpy, of any shape.
        copy: False shares memory or fails, None copies where it must (from a GPU too), True copies.

    Returns:
        of the same shape and dtype; of a JAX array read-only unless it was copied.

    Raises:
        FkitError: it is no array, it is not on the host, numpy lacks its type, or it requires a gradient.

    Example:
        >>> import torch
        >>> tensor = torch.ones(2, dtype=torch.bfloat16)
        >>> numpy_array(tensor).dtype, numpy_array(tensor).ctypes.data == tensor.data_ptr()
        (dtype(bfloat16), True)
    """
    kind = checked(array, copy)
    if kind == "numpy":
        return array.copy() if copy else array
    if kind == "torch":
        source = plain(array, copy)
        _check_host(array, source.is_cpu, source.device, copy)
        view = narrowed(source.cpu())
        return _settled(view, array, copy, view.copy)
    check_jax(array)
    (device,) = array.devices()
    _check_host(array, device.platform == "cpu", device, copy)
    view = np.asarray(array)
    return _settled(view, array, copy, lambda: np.array(view))


def _settled(answer: Any, array: Any, copy: bool | None, copied: Callable[[], Any]) -> Any:
    """The answer: copied where that was asked for, refused where it was not and yet has happened."""
    if copy is None or 0 in array.shape:
        return answer
    shared = pointer(answer) == pointer(array)
    if not copy and not shared:
        raise FkitValueError(f"{shown(array)} cannot be shared as it lies in memory.", repair=_WHERE)
    return copied() if copy and shared else answer


def _check_host(array: Any, here: bool, device: Any, copy: bool | None) -> None:
    if copy is False and not here:
        raise FkitValueError(
            f"{shown(array)} is on {device}, and numpy's arrays are on the host.",
            repair="Give .cpu() of a tensor, or copy=None, which fetches it.",
        )


def _check_memory(array: Any) -> None:
    """Refuse memory that JAX would copy or not take."""
    is_torch = hasattr(array, "data_ptr")
    if not _is_compact(array):
        repair = "Give .contiguous(), or copy=None." if is_torch else "Give np.ascontiguousarray(...), or copy=None."
        raise FkitValueError(
            f"{shown(array)} is not compact: it is a part of another, or repeats itself.", repair=repair
        )
    place = pointer(array)
    if 0 not in array.shape and place % _ALIGN and (not is_torch or array.is_cpu):
        raise FkitValueError(
            f"{shown(array)} begins {place % _ALIGN} bytes after a multiple of {_ALIGN}, where JAX cannot use it on the CPU.",
            repair="torch's own memory begins at a multiple, numpy's mostly does not: " + _WHERE,
        )


def _is_compact(array: Any) -> bool:
    """Whether its elements lie side by side, with the axes in any order."""
    torch_like = hasattr(array, "data_ptr")
    size = 1 if torch_like else array.itemsize
    strides = array.stride() if torch_like else array.strides
    for step, length in sorted((s, n) for s, n in zip(strides, array.shape, strict=True) if n != 1):
        if length and step != size:
            return False
        size *= length
    return True
