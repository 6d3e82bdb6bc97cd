"""When to save, and what to keep: CheckpointHook."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from fkit.run.effect import DeleteCheckpoint, Effect, ExportWeights, NameCheckpoint, SaveCheckpoint, WriteText
from fkit.run.event import Event
from fkit.run.hook.hook import NEVER, Answer, Hook
from fkit.run.memory import write_memory
from fkit.run.state import Memory, Position, RunState
from fkit.training.best import RULES, is_better, metric_of, rule_of
from fkit.tree.check import check_fields
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import EMPTY
from fkit.tree.place import is_url

__all__ = ["Best", "CheckpointHook"]

_LOCAL = ("local", "disk", "LocalBackend", "HardDiskBackend")
_EXPORTED = ("meta", "state_dict")


class Best(NamedTuple):
    """The best checkpoint by a metric.

    Attributes:
        metric: its name in ``save_best``, or of the metric that "auto" took.
        value: None where its rule is unknown.
        step: None likewise.
    """

    metric: str
    value: float | None = None
    step: int | None = None


@dataclass(frozen=True)
class CheckpointHook(Hook):
    """Save every ``interval`` epochs or iterations, at the end, when the run is interrupted, and where it validates best.

    What is no longer kept is deleted after its successor is written, so a crash while saving loses nothing. Each is a
    folder ``checkpoints/step_...``; text files beside them name some: ``latest``, ``best_accuracy_top1``, and what
    `filename_tmpl` says. Each stands for its checkpoint on the command line.

    Args:
        interval: epochs, or iterations with ``by_epoch=False``; 0 or -1 saves at the end only.
        by_epoch: what the interval counts.
        save_optimizer: False writes weights (and their average) alone, from which no run goes on; what is saved when the
            run is interrupted is whole all the same.
        save_param_scheduler: False only where the optimizer is not saved: schedules are a few numbers of a whole run.
        out_dir: a folder elsewhere, where ``NAME_OF_WORK_DIR/checkpoints`` lies; the work folder's ``checkpoints`` is a link
            to it.
        max_keep_ckpts: how many to keep, the newest, beside the best ones; -1 keeps all.
        save_last: save after the last iteration, whatever the interval.
        save_best: the metrics by each of which the best one is kept, and saved if its step is not; "auto" is the first
            metric of validation, if its rule is known; None keeps no best one. With ``interval=0`` or -1, "auto" keeps none.
        rule: "greater" or "less": what is better; by default what the metric's name says (`rule_of`). One for all
            metrics, or one for each.
        greater_keys, less_keys: words of names, in the place of OpenMMLab's lists.
        save_begin: the first epoch (or iteration) that is saved; the interval counts from it.
        published_keys: "state_dict", and "meta": at the end the last checkpoint and the best are written as weights
            alone too, ``step_...-HASH.safetensors``, by torch's names; averaged ones where validation takes these.
        filename_tmpl: a name for each checkpoint beside its folder's, ``epoch_{}.pth`` say, with the number of epochs, or
            iterations.
        meta: what else to put on record in each checkpoint; as JSON holds it.
        create_symlink: either is met by ``latest``, which is a text file.
        sync_buffer: for several processes; one has nothing to make equal.
        background: write in the background: a step waits for the copy on the host, and not for the disk. What ends a run is
            written before it ends; a process that is killed while one is being written goes on from the one before.
        file_client_args, backend_args: None, or those of the local disk: elsewhere nothing is renamed into place.

    Memory: exact, a `Best` of each metric as it is known; observed, the steps saved and kept, oldest first, and those that
    go once the newest is written.
    """

    priority: ClassVar[str | int] = "VERY_LOW"
    interval: int = 1
    by_epoch: bool = True
    save_optimizer: bool = True
    save_param_scheduler: bool = True
    out_dir: str | None = None
    max_keep_ckpts: int = 3
    save_last: bool = True
    save_best: Any = "auto"
    rule: Any = None
    greater_keys: Any = None
    less_keys: Any = None
    save_begin: int = 0
    published_keys: Any = None
    filename_tmpl: str | None = None
    meta: Mapping[str, Any] | None = None
    create_symlink: bool = True
    sync_buffer: bool = False
    background: bool = False
    file_client_args: Mapping[str, Any] | None = None
    backend_args: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("save_best", "rule", "greater_keys", "less_keys", "published_keys"):
            object.__setattr__(self, name, _words(name, getattr(self, name)))
        if self.max_keep_ckpts == 0 or self.interval < -1 or self.save_begin < 0:
            raise FkitValueError(
                f"CheckpointHook: interval={self.interval}, max_keep_ckpts={self.max_keep_ckpts}, "
                f"save_begin={self.save_begin}: interval is 1 or more, or 0 or -1 for none; max_keep_ckpts 1 or more, or -1 "
                "for all; save_begin 0 or more."
            )
        _check_best(self)
        _check_place(self)

    def memory(self) -> Memory:
        return Memory((), ((), ()))

    def answers(self, event: str) -> bool:
        if event == "after_val_epoch":
            return bool(self.save_best) and (self.interval > 0 or self.save_best != ("auto",))
        return super().answers(event) and not (event == "after_train_iter" and self.by_epoch)

    def due(self, event: str, position: Position, length: int, total: int) -> int:
        """The next multiple of the interval, from ``save_begin`` on."""
        if self.interval <= 0:
            return NEVER
        past = position.iteration - self.save_begin
        return self.save_begin + (past // self.interval + 1) * self.interval if past >= 0 else self.save_begin

    def after_load_checkpoint(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """What a process that was killed had still to do: old ones go, and the best have their names."""
        gone = tuple(DeleteCheckpoint(step) for step in memory.observed[1])
        bests = tuple(_named(best) for best in memory.exact if best[2] is not None)
        done, ended = event.iteration, not self.by_epoch
        if self.by_epoch:
            done, ended = event.epoch, event.iteration == event.epoch * event.length
        name = self.filename_tmpl.format(done) if self.filename_tmpl is not None and ended and self._now(done) else ""
        return memory, (*gone, *bests, *((NameCheckpoint(name, event.iteration),) if name else ()))

    def after_train_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return self._regular(memory, event, event.epoch) if self.by_epoch else (memory, ())

    def after_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return (memory, ()) if self.by_epoch else self._regular(memory, event, event.iteration)

    def after_val_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """The best one yet is kept, and the one that was the best before goes, unless it is among the newest."""
        if not event.metrics:  # mmcv's "val" phase has losses alone
            return memory, ()
        bests = {best[0]: Best(*best) for best in memory.exact}
        said: list[Effect] = []
        fresh: list[Best] = []
        for index, word in enumerate(self.save_best):
            name = self._metric(word, event.metrics)
            rule, value, key = self._rule(index, name), event.metrics[name], name if word == "auto" else word
            if rule is None:
                if key not in bests:
                    bests[key] = Best(key)
                    said.append(WriteText(_UNKNOWN.format(name=name), "WARNING"))
                continue
            old = bests[key].value if key in bests else None
            if math.isfinite(value) and (old is None or is_better(rule, float(value), old)):
                fresh.append(Best(key, float(value), event.iteration))
        bests |= {best.metric: best for best in fresh}
        memory = memory._replace(exact=tuple(tuple(best) for best in bests.values()))
        if not fresh:
            return memory, tuple(said)
        if event.iteration in memory.observed[0]:
            memory, effects = self._pruned(memory, memory.observed[0])
        else:
            memory, effects = self._save(memory, event)
        names = tuple(_named(best) for best in fresh)
        first = [effect for effect in effects if isinstance(effect, SaveCheckpoint)]
        return memory, (*said, *first, *names, *effects[len(first) :])

    def after_train(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """The last state is saved; again, where validation came after the last save. Then weights are published."""
        effects: tuple[Effect, ...] = ()
        if self.save_last:
            memory, effects = self._save(memory, event)
        if self.published_keys and memory.observed[0]:
            steps = dict.fromkeys((memory.observed[0][-1], *(best[2] for best in memory.exact if best[2] is not None)))
            effects += tuple(ExportWeights(step, "meta" in self.published_keys) for step in steps)
        return memory, effects

    def on_interrupt(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return self._save(memory, event, event.reason)

    def _regular(self, memory: Memory, event: Event, done: int) -> Answer:
        """The save of an interval's end."""
        if not self._now(done):
            return memory, ()
        memory, effects = self._save(memory, event)
        if self.filename_tmpl is None:
            return memory, effects
        return memory, (effects[0], NameCheckpoint(self.filename_tmpl.format(done), event.iteration), *effects[1:])

    def _now(self, done: int) -> bool:
        past = done - self.save_begin
        return self.interval > 0 and past >= 0 and past % self.interval == 0

    def _metric(self, word: str, metrics: Mapping[str, float]) -> str:
        if word == "auto":
            return next(iter(metrics))
        try:
            return metric_of(word, metrics, "CheckpointHook: save_best")
        except FkitError as error:
            error.path = "default_hooks.checkpoint.save_best"
            raise

    def _rule(self, index: int, name: str) -> str | None:
        if not self.rule:
            return rule_of(name, self.greater_keys, self.less_keys)
        return self.rule[index if len(self.rule) > 1 else 0]

    def _save(self, memory: Memory, event: Event, reason: str = "") -> Answer:
        """Save first; then delete what is too old."""
        step = event.iteration
        after, effects = self._pruned(memory, (*(kept for kept in memory.observed[0] if kept != step), step))
        alone = not self.save_optimizer and not reason
        return after, (
            SaveCheckpoint(step, reason, alone, self.out_dir or "", self.meta or EMPTY, self.background and not reason),
            *effects,
        )

    def _pruned(self, memory: Memory, steps: tuple[int, ...]) -> Answer:
        """The memory of what is kept, and what is not any more."""
        old = steps[: -self.max_keep_ckpts] if self.max_keep_ckpts > 0 else ()
        bests = {best[2] for best in memory.exact}
        drop = tuple(step for step in old if step not in bests)
        kept = tuple(step for step in steps if step not in drop)
        return memory._replace(observed=(kept, drop)), tuple(DeleteCheckpoint(step) for step in drop)


_UNKNOWN = (
    "{name}: its name does not say whether more of it is better: no best checkpoint is kept. "
    "default_hooks.checkpoint.rule='greater' (or 'less') says it; save_best=None is for none."
)


def _named(best: Any) -> NameCheckpoint:
    return NameCheckpoint("best_" + re.sub(r"[^\w.@-]", "_", best[0]), best[2])


def _words(name: str, value: Any) -> tuple[str, ...] | None:
    """A text, or a list of them, as a tuple."""
    if value is None:
        return None
    words = (value,) if isinstance(value, str) else value
    if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) for word in words):  # pyright: ignore[reportUnknownVariableType]
        raise FkitTypeError(f"CheckpointHook: {name} = {quoted(value)} is a text, or a list of texts.", path=name)
    return tuple(words)  # pyright: ignore[reportUnknownArgumentType]


def _check_best(hook: CheckpointHook) -> None:
    words: tuple[str, ...] = hook.save_best or ()
    rules: tuple[str, ...] = hook.rule or ()
    for rule in rules:
        if rule not in RULES:
            raise FkitValueError(f"CheckpointHook: rule={rule!r}.", value=rule, choices=RULES)
    if len(rules) > 1 and len(rules) != len(words):
        raise FkitValueError(
            f"CheckpointHook: {len(rules)} rules for {len(words)} metrics: one for all, or one for each."
        )
    if "auto" in words and len(words) > 1:
        raise FkitValueError(f"CheckpointHook: save_best={list(words)}: 'auto' stands alone.")
    if len(set(words)) < len(words):
        raise FkitValueError(f"CheckpointHook: save_best={list(words)} names a metric twice.")
    for word in words:
        if not rules and word != "auto" and rule_of(word, hook.greater_keys, hook.less_keys) is None:
            what = f"CheckpointHook: save_best={word!r}: its name does not say whether more of it is better."
            raise FkitValueError(what, repair="Say rule='greater' or rule='less'.")


def _check_place(hook: CheckpointHook) -> None:
    if hook.save_optimizer and not hook.save_param_scheduler:
        raise FkitValueError(
            "CheckpointHook: save_param_scheduler=False with save_optimizer=True: no run goes on exactly without its schedules.",
            repair="Leave it out (they are a few numbers); for weights alone, save_optimizer=False.",
        )
    for name in ("file_client_args", "backend_args"):
        options = getattr(hook, name)
        if options and (set(options) != {"backend"} or options["backend"] not in _LOCAL):
            raise FkitValueError(
                f"CheckpointHook: {name} = {quoted(options)}: checkpoints are renamed into place, which a local disk does.",
                repair="Leave it out, and copy what is kept when the run has ended.",
            )
    if hook.out_dir is not None and is_url(hook.out_dir):
        raise FkitValueError(f"CheckpointHook: out_dir={hook.out_dir!r}: a folder of this machine, and no URL.")
    for key in hook.published_keys or ():
        if key not in _EXPORTED:
            raise FkitValueError(
                f"CheckpointHook: published_keys holds {key!r}: what is published is weights, and what is known of them.",
                value=key, choices=_EXPORTED,
            )  # fmt: skip
    if hook.filename_tmpl is not None:
        try:
            name = hook.filename_tmpl.format(1)
        except (IndexError, KeyError, ValueError):
            name = hook.filename_tmpl
        if name == hook.filename_tmpl or re.search(r"[/\\\0]", name) or re.match(r"step_|best_|latest$|\.", name):
            raise FkitValueError(
                f"CheckpointHook: filename_tmpl={hook.filename_tmpl!r}: a file's name with {{}} for the number, 'epoch_{{}}.pth' "
                "say; step_..., best_... and latest are taken."
            )
    if hook.meta is not None:
        write_memory(hook.meta, "CheckpointHook: meta")
