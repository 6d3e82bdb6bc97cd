"""Runs on CUDA that repeat to the bit: XLA's deterministic operations, and what it says where there is none."""

import os
import re
from importlib.metadata import entry_points

import jax

__all__ = ["begun", "repeat", "undetermined"]

_FLAG = "--xla_gpu_deterministic_ops"


def repeat(device: str | None, deterministic: bool) -> tuple[dict[str, str], str]:
    """Have this process's operations on CUDA repeat to the bit, or be as fast as they can; on the CPU they repeat anyway,
    and nothing is changed. XLA reads its flags once: before the first array.

    Args:
        device: that will be used; None is CUDA where JAX has it.
        deterministic: compile deterministic operations alone.

    Returns:
        (what was set, what a person should be told; "" where there is nothing).

    Example:
        >>> repeat("cpu", deterministic=True)
        ({}, '')
    """
    if not _on_cuda(device):
        return {}, ""
    flags = [flag for flag in os.environ.get("XLA_FLAGS", "").split() if not flag.startswith(_FLAG)]
    wanted = f"{_FLAG}={'true' if deterministic else 'false'}"
    there = wanted in os.environ.get("XLA_FLAGS", "").split()
    if deterministic and not there:
        os.environ["XLA_FLAGS"] = " ".join((*flags, wanted))
    note = ""
    if deterministic and not there and begun():
        note = f"JAX was in use before XLA_FLAGS had {wanted}: operations may not repeat to the bit."
    return ({"XLA_FLAGS": wanted} if deterministic else {}), note


def undetermined(error: BaseException) -> str:
    """The operation that raised because it has no deterministic form; "" where an error is another.

    Example:
        >>> undetermined(RuntimeError("UNIMPLEMENTED: the op select-and-scatter is not deterministic"))
        'select-and-scatter'
    """
    match = re.search(r"(\S+) (?:is not deterministic|does not have a deterministic)", str(error))
    return match[1] if isinstance(error, RuntimeError) and match else ""


def _on_cuda(device: str | None) -> bool:
    """Asked without starting JAX's backends, after which it is too late."""
    if device is not None:
        return device.partition(":")[0] in ("cuda", "gpu")
    platforms = getattr(jax.config, "jax_platforms", None) or os.environ.get("JAX_PLATFORMS") or ""
    if platforms and not {"cuda", "gpu"} & set(platforms.split(",")):
        return False
    return any("cuda" in plugin.name for plugin in entry_points(group="jax_plugins"))


def begun() -> bool:
    """Whether a backend runs already; of JAX's internals, which alone know, so that a change of them is no error."""
    try:
        from jax._src.xla_bridge import backends_are_initialized
    except ImportError:
        return False
    return backends_are_initialized()
