"""Devices by the names that torch's users write."""

from typing import Any

import jax

from fkit.tree.error import FkitValueError

__all__ = ["device_of"]


def device_of(name: str | None) -> Any:
    """The JAX device of "cpu", "cuda", "cuda:1", "tpu:0"; None (JAX's default) for None.

    Raises:
        FkitValueError: there is no such device.

    Example:
        >>> device_of("cpu").platform, device_of(None)
        ('cpu', None)
    """
    if name is None:
        return None
    platform, _, index = name.partition(":")
    here = [f"{found.platform}:{found.id}" for found in jax.devices()]
    try:
        return jax.devices(platform)[int(index or 0)]
    except (RuntimeError, IndexError, ValueError) as cause:
        raise FkitValueError(
            f"device = {name!r} is not there for JAX.",
            value=name,
            choices=[*here, "cpu"],
            label="Devices",
            path="device",
        ) from cause
