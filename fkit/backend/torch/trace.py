"""Recordings of where time goes, by torch's profiler."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import profiler

__all__ = ["TorchRecording", "record"]


class TorchRecording:
    """torch.profiler, under way.

    Args:
        traced: the profiler, begun.
        path: where the trace goes as Chrome's JSON when it ends; None writes none.
        lines: that there are to say at the end, filled by what is done with a trace.
    """

    def __init__(self, traced: Any, path: str | None, lines: list[str]) -> None:
        self._traced, self._path, self._lines = traced, path, lines

    def step(self) -> None:
        """A step is done."""
        self._traced.step()

    def stop(self) -> list[str]:
        """End it, and write the trace."""
        self._traced.stop()
        if self._path is not None:
            os.makedirs(os.path.dirname(os.path.abspath(self._path)), exist_ok=True)
            self._traced.export_chrome_trace(self._path)
            self._lines.append(f"profile: {self._path} (open it in chrome://tracing or ui.perfetto.dev)")
        return self._lines


def record(tracing: Any, folder: str) -> TorchRecording:
    """Begin a recording; its arguments are those of `fkit.training.backend.Backend.record`."""
    lines: list[str] = []
    wanted = ((tracing.cpu, profiler.ProfilerActivity.CPU), (tracing.cuda, profiler.ProfilerActivity.CUDA))
    there = profiler.supported_activities()
    activities = [activity for asked, activity in wanted if asked and activity in there]
    if tracing.cuda and not torch.cuda.is_available():
        lines.append("profile: activity_with_cuda=True, and there is no CUDA here.")
    ready, path = tracing.ready, tracing.path
    traced = profiler.profile(
        activities=activities,
        schedule=None if tracing.schedule is None else profiler.schedule(**tracing.schedule),
        on_trace_ready=_handler(ready, folder, lines) if isinstance(ready, Mapping) else ready,
        record_shapes=tracing.shapes,
        profile_memory=tracing.memory,
        with_stack=tracing.stack,
        with_flops=tracing.flops,
    )
    traced.start()
    if ready is None and path is None:
        path = "profile.json"
    return TorchRecording(traced, None if path is None else os.path.join(folder, path), lines)


def _handler(ready: Mapping[str, Any], folder: str, lines: list[str]) -> Callable[[Any], None]:
    """What ``on_trace_ready`` of a config does with a trace."""
    options = {key: value for key, value in ready.items() if key != "type"}
    if ready["type"] == "log_trace":
        return lambda traced: lines.append(traced.key_averages().table(**options))
    place = os.path.join(folder, str(options.pop("dir_name", "tf_tracing_logs")))
    lines.append(f"profile: {place} (for TensorBoard)")
    return profiler.tensorboard_trace_handler(place, **options)
