"""Recordings of where time goes, by JAX's profiler."""

import os
from collections.abc import Mapping
from typing import Any

import jax

__all__ = ["JaxRecording", "record"]


class JaxRecording:
    """jax.profiler's trace, under way.

    Args:
        place: the folder that it is written to.
    """

    def __init__(self, place: str) -> None:
        self._place = place

    def step(self) -> None:
        """A step is done; the trace shows its calls."""

    def stop(self) -> list[str]:
        """End it, and write the trace."""
        jax.profiler.stop_trace()
        return [f"profile: {self._place} (for TensorBoard and ui.perfetto.dev)"]


def record(tracing: Any, folder: str) -> JaxRecording:
    """Begin a recording; its arguments are those of `fkit.training.backend.Backend.record`."""
    ready = tracing.ready
    said = ready.get("dir_name") if isinstance(ready, Mapping) else None
    place = os.path.join(folder, str(said or "tf_tracing_logs"))
    jax.profiler.start_trace(place)
    return JaxRecording(place)
