"""Hooks about the machine a run is on: its memory, and where its time goes."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from fkit.run.effect import EmptyCache, Fail, Profile, ReportMemory, Tracing
from fkit.run.event import Event
from fkit.run.hook.due import next_in_pass
from fkit.run.hook.hook import NEVER, Answer, Hook, Offer
from fkit.run.state import Memory, Position, RunState
from fkit.tree.check import check_fields
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["EmptyCacheHook", "MemoryProfilerHook", "ProfilerHook"]


@dataclass(frozen=True)
class EmptyCacheHook(Hook):
    """OpenMMLab's: give memory of the device that no array uses back to the system.

    Args:
        before_epoch: before each epoch of training, of validation and of a test.
        after_epoch: after each.
        after_iter: after each iteration.

    Example:
        >>> EmptyCacheHook().after_train_epoch(Memory(), None, Event("after_train_epoch"))[1]
        (EmptyCache(),)
    """

    priority: ClassVar[str | int] = "NORMAL"
    before_epoch: bool = False
    after_epoch: bool = True
    after_iter: bool = False

    def __post_init__(self) -> None:
        check_fields(self)

    def answers(self, event: str) -> bool:
        asked = {"before_epoch": self.before_epoch, "after_epoch": self.after_epoch, "after_iter": self.after_iter}
        place, _, what = event.partition("_")
        return super().answers(event) and asked.get(f"{place}_{what.rpartition('_')[2]}", False)

    def _empty(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return memory, (EmptyCache(),)

    before_train_epoch = before_val_epoch = before_test_epoch = _empty
    after_train_epoch = after_val_epoch = after_test_epoch = _empty
    after_train_iter = after_val_iter = after_test_iter = _empty


@dataclass(frozen=True)
class MemoryProfilerHook(Hook):
    """mmdet's: a line of the log on the machine's memory, its swap and this process's memory, every ``interval`` iterations
    of a pass over the data.

    Example:
        >>> MemoryProfilerHook(interval=5).after_val_iter(Memory(), None, Event("after_val_iter", inner=10))[1]
        (ReportMemory(),)
    """

    priority: ClassVar[str | int] = "NORMAL"
    interval: int = 50

    def __post_init__(self) -> None:
        check_fields(self)
        if self.interval < 1:
            raise FkitValueError(f"MemoryProfilerHook: interval={self.interval}: at least 1.")

    def due(self, event: str, position: Position, length: int, total: int) -> int:
        return next_in_pass(self.interval, event, position, length)

    def _report(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return memory, () if event.inner % self.interval else (ReportMemory(),)

    after_train_iter = after_val_iter = after_test_iter = _report


@dataclass(frozen=True)
class ProfilerHook(Hook):
    """OpenMMLab's: record where the time of the first iterations (or of the first epoch) goes, by the backend's own profiler.

    Args:
        by_epoch: record the first epoch; False records the first ``profile_times`` iterations.
        profile_times: how many; 1 with ``by_epoch``, for a recording slows training down.
        activity_with_cpu: record what the CPU does.
        activity_with_cuda: record what CUDA does.
        schedule: of the recording, ``torch.profiler.schedule``'s arguments: wait, warmup, active, repeat, skip_first.
        on_trace_ready: ``dict(type="log_trace", ...)`` prints a table (the arguments of torch's ``table``),
            ``dict(type="tb_trace", dir_name=...)`` writes for TensorBoard, by default to tf_tracing_logs in the work folder;
            or a function of torch's profiler.
        record_shapes, profile_memory, with_stack, with_flops: torch.profiler's.
        json_trace_path: where the trace goes as Chrome's JSON. By default, where ``on_trace_ready`` says nothing either,
            to profile.json in the work folder.

    JAX writes one kind of trace, for TensorBoard and Perfetto; what it does not take is an error when the plan is made.

    Example:
        >>> hook, run = ProfilerHook(by_epoch=False, profile_times=2), RunState(Position(), None, {}, {})
        >>> hook.after_train_iter(Memory(), run, Event("after_train_iter", iteration=2, total=9))[1]
        (Profile(action='step', tracing=None), Profile(action='stop', tracing=None))
    """

    priority: ClassVar[str | int] = "VERY_LOW"
    _: KW_ONLY
    by_epoch: bool = True
    profile_times: int = 1
    activity_with_cpu: bool = True
    activity_with_cuda: bool = False
    schedule: Any = None
    on_trace_ready: Any = None
    record_shapes: bool = False
    profile_memory: bool = False
    with_stack: bool = False
    with_flops: bool = False
    json_trace_path: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.profile_times < 1 or (self.by_epoch and self.profile_times > 1):
            raise FkitValueError(
                f"ProfilerHook: profile_times={self.profile_times}: at least 1, and 1 where by_epoch is True.",
                repair="A recording slows training down: record an epoch, or by_epoch=False and some iterations.",
            )
        ready, schedule = self.on_trace_ready, self.schedule
        if schedule is not None and not isinstance(schedule, Mapping):
            raise FkitTypeError(
                f"ProfilerHook: schedule = {quoted(schedule)}: a mapping, as dict(wait=1, warmup=1, active=2)."
            )
        if isinstance(ready, Mapping):
            if ready.get("type") == "tb_trace" and self.json_trace_path is not None:
                raise FkitValueError(
                    "ProfilerHook: torch writes a trace once: json_trace_path, or on_trace_ready's tb_trace."
                )
            if ready.get("type") not in ("log_trace", "tb_trace"):
                raise FkitValueError(
                    f"ProfilerHook: on_trace_ready.type = {quoted(ready.get('type'))}.",
                    value=str(ready.get("type")), choices=("log_trace", "tb_trace"),
                )  # fmt: skip
        elif ready is not None and not callable(ready):
            raise FkitTypeError(
                f"ProfilerHook: on_trace_ready = {quoted(ready)}: a mapping with 'type', or a function."
            )

    def bind(self, offer: Offer) -> Hook:
        """Itself.

        Raises:
            FkitValueError: it asks for what JAX does not record.
        """
        torchs = ("record_shapes", "profile_memory", "with_stack", "with_flops", "schedule", "json_trace_path")
        asked = [name for name in torchs if getattr(self, name)]
        ready = self.on_trace_ready
        if ready is not None and not (isinstance(ready, Mapping) and ready.get("type") == "tb_trace"):
            asked.append("on_trace_ready")
        if offer.backend == "jax" and asked:
            raise FkitValueError(
                f"ProfilerHook: {', '.join(asked)}: torch's profiler alone takes this.",
                repair="On JAX leave it out, or say on_trace_ready=dict(type='tb_trace').",
            )
        return self

    def answers(self, event: str) -> bool:
        return super().answers(event) and not (event == "after_train_epoch" and not self.by_epoch)

    def due(self, event: str, position: Position, length: int, total: int) -> int:
        """Each iteration that is recorded."""
        last = length if self.by_epoch else self.profile_times
        return position.iteration + 1 if not last or position.iteration < last else NEVER

    def before_train(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """A process that starts beyond what is recorded records nothing."""
        if not self.by_epoch and event.total and self.profile_times > event.total:
            return memory, (
                Fail(f"ProfilerHook: profile_times = {self.profile_times}, and the run has {event.total}."),
            )
        if event.iteration >= self._last(event):
            return memory, ()
        tracing = Tracing(
            self.activity_with_cpu, self.activity_with_cuda, self.schedule, self.on_trace_ready, self.record_shapes,
            self.profile_memory, self.with_stack, self.with_flops, self.json_trace_path,
        )  # fmt: skip
        return memory, (Profile("start", tracing),)

    def after_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        last = self._last(event)
        if event.iteration > last:
            return memory, ()
        ends = not self.by_epoch and event.iteration == last
        return memory, (Profile("step"), Profile("stop")) if ends else (Profile("step"),)

    def after_train_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return memory, (Profile("stop"),) if event.epoch == 1 else ()

    def on_interrupt(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """What was recorded until then is written."""
        return memory, (Profile("stop"),) if event.iteration < self._last(event) else ()

    def _last(self, event: Event) -> int:
        return (event.length or event.total) if self.by_epoch else self.profile_times
