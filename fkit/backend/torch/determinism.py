"""Runs on CUDA that repeat to the bit: torch's deterministic algorithms, and what it says where there is none."""

import os
import re

import torch

__all__ = ["repeat", "undetermined"]

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_SOUND = (":4096:8", ":16:8")  # the two with which cuBLAS repeats


def repeat(device: str | None, deterministic: bool, benchmark: bool = False) -> tuple[dict[str, str], str]:
    """Have this process's operations on CUDA repeat to the bit, or be as fast as they can; on the CPU they repeat anyway,
    and nothing is changed.

    Args:
        device: that will be used; None is CUDA where there is one.
        deterministic: use deterministic algorithms alone; an operation that has none raises RuntimeError then.
        benchmark: where it need not repeat, let cuDNN time its algorithms for each shape and take the fastest.

    Returns:
        (what was set, what a person should be told; "" where there is nothing).

    Example:
        >>> repeat("cpu", deterministic=True)
        ({}, '')
    """
    kind = "cuda" if device is None else device.partition(":")[0]
    if kind != "cuda" or not torch.cuda.is_available():
        return {}, ""
    torch.use_deterministic_algorithms(deterministic)
    if not deterministic:
        torch.backends.cudnn.benchmark = benchmark
        return ({"torch.backends.cudnn.benchmark": "True"} if benchmark else {}), ""
    late = torch.cuda.is_initialized() and os.environ.get(_WORKSPACE) not in _SOUND
    if os.environ.get(_WORKSPACE) not in _SOUND:
        os.environ[_WORKSPACE] = _SOUND[0]
    torch.backends.cudnn.benchmark = False  # it times algorithms, and takes one run's fastest
    # a cost, and nothing of the kit's reads memory before it is written
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
    set_now = {
        "torch.use_deterministic_algorithms": "True",
        "torch.backends.cudnn.benchmark": "False",
        _WORKSPACE: os.environ[_WORKSPACE],
    }
    note = f"CUDA was in use before {_WORKSPACE} was set: matrix products may not repeat to the bit." if late else ""
    return set_now, note


def undetermined(error: BaseException) -> str:
    """The operation that raised because it has no deterministic form; "" where an error is another.

    Example:
        >>> undetermined(RuntimeError("put_ does not have a deterministic implementation, but you set ..."))
        'put_'
        >>> undetermined(RuntimeError("out of memory"))
        ''
    """
    match = re.search(r"(\S+) does not have a deterministic implementation", str(error))
    return match[1] if isinstance(error, RuntimeError) and match else ""
