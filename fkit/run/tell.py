"""Telling hooks of events: who is due, what they see of the steps before, and what the loop itself answers."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from fkit.data.source import Source
from fkit.recipe.source import said_at
from fkit.run.agree import Agreement, reading
from fkit.run.attempt import attempt, located, told
from fkit.run.course import WORDS, Course
from fkit.run.effect import (
    KEEPING,
    Effect,
    Fail,
    RenewStatistics,
    SaveCheckpoint,
    SetHyperparams,
    Stop,
    SwitchData,
    Validate,
    WriteScalars,
    WriteTags,
    WriteText,
)
from fkit.run.event import Event, Observed
from fkit.run.held import source_of
from fkit.run.hook.hook import NEVER, Handler, Hook, ask, call
from fkit.run.plan import Plan
from fkit.run.renew import renewed
from fkit.run.state import Position, RunState
from fkit.run.window import Window
from fkit.structures.batch import Batch
from fkit.training.schedule.policy import no_momentum, still
from fkit.training.state import Hyperparams
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, FkitValueError, RunError, quoted
from fkit.tree.frozen import EMPTY, frozen

__all__ = ["Fold", "Item", "Turn"]

Item = tuple[RunState, tuple[Effect, ...]]


_LIGHT = frozenset(
    (WriteScalars, WriteTags, WriteText)
)  # the loop answers none of them, and they take no longer than a step may


class Turn:
    """The hooks that answer one event, and the iteration at which each is next due.

    Attributes:
        least: the first iteration for which any is due: the one comparison of a step that is due for nobody.
    """

    __slots__ = ("hooks", "least", "name", "rows", "when")

    def __init__(self, name: str, rows: tuple[tuple[str, Handler], ...], hooks: Mapping[str, Hook]) -> None:
        self.name = name
        self.rows = rows
        self.hooks = tuple(hooks[row] for row, _ in rows)
        self.when = [0] * len(rows)
        self.least = 0 if rows else NEVER

    def begin(self, position: Position, length: int, total: int) -> None:
        """Ask every hook when it is first due; one that holds hyperparameters is due at once."""
        for index, hook in enumerate(self.hooks):
            self.when[index] = 0 if hook.holds else self._due(index, position, length, total)
        self.least = min(self.when, default=NEVER)

    def move(self, index: int, position: Position, length: int, total: int, used: int = 0) -> None:
        """A hook has answered for the position's iteration: it is next due when the ``used`` steps after it, for which it
        gave hyperparameters, are done; or when it says."""
        self.when[index] = position.iteration + 1 + used if used else self._due(index, position, length, total)

    def hold(self) -> None:
        """Hyperparameters were set: who holds them is due."""
        for index, hook in enumerate(self.hooks):
            if hook.holds:
                self.when[index] = self.least = 0

    def _due(self, index: int, position: Position, length: int, total: int) -> int:
        hook, name = self.hooks[index], self.rows[index][0]
        done = position.iteration if self.name.endswith("train_iter") else position.inner
        if type(hook).due is Hook.due:
            return done + 1
        number = ask(name, f"due({self.name!r}, ...)", hook.due, self.name, position, length, total)
        expect_number(number, f"hook {name!r}: the answer of due({self.name!r}, ...)", whole=True)
        return max(number, done + 1)


class Fold:
    """What stays the same through one fold of events over a run, so that a step looks nothing up, and what it keeps
    between events: who is due when, the windows, and hyperparameters that a schedule gave ahead.

    Args:
        plan: of the run.
        seen: what is observed.
        length: batches of a pass over the training data; 0 where it is endless.
        saves: whether checkpoints that hooks ask for, and ask to delete, are; nothing is where nothing is trained.
    """

    def __init__(self, plan: Plan, seen: Iterable[tuple[Observed, ...]], length: int, saves: bool = True) -> None:
        self.plan = plan
        self.seen = iter(seen)
        self.length = length
        self.saves = saves
        self.course: Course = plan.course
        self.total = plan.course.total(length)
        self.next = plan.course.next if type(plan.course) is Course else partial(_checked, plan.course)
        self.fetch = reading(plan.fleet, plan.room.fetch)
        self.agree = Agreement(plan.fleet) if plan.fleet.several else None
        self.memory = plan.room.memory
        hooks = dict(plan.hooks)
        self.turns = {name: Turn(name, rows, hooks) for name, rows in plan.handlers.items()}
        self.before = self.turns["before_train_iter"]
        self.after = self.turns["after_train_iter"]
        readers = {mode: [name for name, hook in plan.hooks if hook.reads and _reads(hook, mode)] for mode in _MODES}
        self.windows = {mode: Window(names) for mode, names in readers.items()}
        self.readers = {mode: frozenset(names) for mode, names in readers.items()}
        self.still = still(plan.program.hyperparams())
        self.ahead: Iterator[Hyperparams] = iter(())
        self.paused = True
        self.data, self.switched = "train", False
        self.sources: Mapping[str, Source] = EMPTY
        self.step = plan.program.train_step
        self.several = getattr(self.step, "several", None)
        loops = self.several is not None and getattr(self.step, "loops", False)
        self.stretch = plan.settings.scan_steps if loops else 1  # steps a call, at most
        self.issued: float | None = None  # seconds on the clock, of the newest step
        self.add = self.windows["train"].add

    def event(
        self,
        name: str,
        run: RunState,
        mode: Any = "train",
        *,
        inner: int | None = None,
        length: int | None = None,
        batch: Batch | None = None,
        logs: Mapping[str, Any] = EMPTY,
        metrics: Mapping[str, float] = EMPTY,
        time: float | None = None,
        data_time: float | None = None,
        reason: str = "",
        outputs: Any = None,
    ) -> Event:
        """An event of a run as it stands."""
        at = run.position
        return Event(
            name, mode, at.iteration, self.epoch(at), at.inner if inner is None else inner,
            self.length if length is None else length, self.total, batch, logs, metrics, time, data_time, reason,
            self.fetch, (), outputs, self.memory,
        )  # fmt: skip

    def epoch(self, at: Position) -> int:
        """Whole passes over the training data that are done: of an epoch, from its last iteration on."""
        if not self.course.by_epoch:
            return at.iteration // self.length if self.length else 0
        return at.epoch + (at.stage == "iterate" and at.inner >= self.length)

    def tell(self, run: RunState, event: Event, at: Position | None = None) -> Item:
        """Let the hooks that are due answer an event, and answer what concerns the loop.

        Args:
            run: after the event.
            at: of an event of an iteration, the position when that iteration is done.

        Returns:
            the run, and what it asks of the edge: a Fail last, nothing saved beside it, and saves after the rows of
            metrics.

        Raises:
            RunError: a hook raised, or its answer is none.
        """
        turn = self.turns[event.name]
        if not turn.rows:
            return run, ()
        number = NEVER if at is None else at.iteration if event.mode == "train" else at.inner
        readers = () if event.name.startswith("before") else self.readers[event.mode]
        window = self.windows[event.mode]
        memory: dict[str, Any] | None = None
        effects: tuple[Effect, ...] = ()
        for index, (name, handler) in enumerate(turn.rows):
            if turn.when[index] > number:
                continue
            seen = event._replace(window=window.read(name)) if name in readers else event
            old = run.memory[name]
            try:
                new, asked = call(name, handler, old, run, seen)
            except FkitError as error:
                raise self._of_hook(error, name) from error.__cause__
            if new is not old:
                memory = {**run.memory} if memory is None else memory
                memory[name] = new
            used = 0
            if asked:
                run, used = self._set(run, asked, turn.hooks[index].holds, name, event.name)
                effects += asked
            if at is not None:
                turn.move(index, at, event.length, event.total, used)
        turn.least = min(turn.when)
        if memory is not None:
            run = run._replace(memory=memory)
        return self._answer(run, event, effects) if effects else (run, ())

    def _set(
        self, run: RunState, asked: tuple[Effect, ...], holds: bool, name: str, event: str
    ) -> tuple[RunState, int]:
        """The run with the hyperparameters that a hook sets, and for how many steps more it gave them."""
        used = 0
        for effect in asked:
            if not isinstance(effect, SetHyperparams):
                if effect is None or isinstance(effect, type):
                    raise RunError(
                        f"hook {name!r} at {event} asks for {quoted(effect)}: an effect is a value, as Stop() is."
                    )
                continue
            values, ahead = effect.values, effect.ahead
            if ahead and event != "before_train_iter":
                raise RunError(f"hook {name!r} at {event}: SetHyperparams(ahead=...) is for before_train_iter.")
            if not holds:
                values = self._in_force(run.hyperparams, values, name)
                ahead = [self._in_force(values, row, name) for row in ahead]
                self.before.hold()
            self.ahead, used = iter(ahead), len(ahead)
            run = run._replace(hyperparams=values)
        return run, used

    def _in_force(self, old: Hyperparams, values: Any, name: str) -> Hyperparams:
        """``old`` with the values that a hook sets, an entry a parameter group each.

        Raises:
            FkitError: a name that is not in force, no number for each group, or a momentum where the optimizer has none.
        """
        expect(values, Mapping, f"hook {name!r}: the values of SetHyperparams are a mapping of names to numbers")
        new: dict[str, Any] = {}
        for key, value in values.items():
            if key not in old:
                raise FkitKeyError(
                    f"hook {name!r} sets {key!r}, which the optimizer does not have.",
                    value=str(key), choices=tuple(old), label="Hyperparameters",
                )  # fmt: skip
            try:
                new[key] = np.broadcast_to(np.asarray(value, np.float64), old[key].shape).copy()
            except (TypeError, ValueError) as cause:
                kind = FkitTypeError if isinstance(cause, TypeError) else FkitValueError
                what = f"hook {name!r} sets {key} = {quoted(value)}: {len(old[key])} numbers, or one for all."
                raise kind(what) from cause
            if key in self.still and new[key].any():
                raise no_momentum(f"hook {name!r} sets", key)
        return frozen({**old, **new})

    def _answer(self, run: RunState, event: Event, effects: tuple[Effect, ...]) -> Item:
        """Answer what concerns the loop; the rest is for the edge."""
        if _LIGHT.issuperset(map(type, effects)):
            return run, effects
        position, remaining, failed = run.position, list[Effect](), list[Fail]()
        for effect in effects:
            if isinstance(effect, Validate):
                position = position._replace(validate=True)
            elif isinstance(effect, Stop):
                position = position._replace(stop=True)
            elif isinstance(effect, Fail):
                failed.append(effect)
            elif isinstance(effect, RenewStatistics):
                source = source_of(self.sources, self.data)
                run = run._replace(train=renewed(self.plan, run, source, effect.samples))
            elif isinstance(effect, SwitchData):
                self.switched = self.switched or effect.name != self.data
                self.data = effect.name
            elif not isinstance(effect, SetHyperparams) and (self.saves or not isinstance(effect, KEEPING)):
                remaining.append(effect)
        if not failed and position is not run.position:
            run = run._replace(position=position)
        first = next((i for i, effect in enumerate(remaining) if isinstance(effect, SaveCheckpoint)), None)
        if first is not None and not failed:  # a row that comes after would be lost where the run goes on from here
            run, asked = self._saving(run, event)
            head, tail = remaining[:first], remaining[first:]
            late = [effect for effect in tail if isinstance(effect, WriteScalars)]
            remaining = [*head, *late, *asked, *(effect for effect in tail if not isinstance(effect, WriteScalars))]
            failed = [effect for effect in asked if isinstance(effect, Fail)]
        if failed:
            unsaved = (e for e in remaining if not isinstance(e, (*KEEPING, Fail)))
            return run, (*unsaved, failed[0])
        return run, tuple(remaining)

    def _saving(self, run: RunState, event: Event) -> Item:
        """``before_save_checkpoint``: what it asks for is done before the save, and what hooks remember of it is saved.

        Raises:
            RunError: it asks for a save itself.
        """
        if event.name == "before_save_checkpoint":
            raise RunError(
                "a hook asks for SaveCheckpoint at before_save_checkpoint, which is told because the run is being saved."
            )
        return self.tell(run, event._replace(name="before_save_checkpoint", window=()))

    def shown(self, run: RunState, effects: tuple[Effect, ...]) -> Iterator[Item]:
        """The item to yield where something was asked for; whoever performs more than lines of text pauses the run.

        Raises:
            RunError: a Fail was among it; after the item.
        """
        if effects:
            yield run, effects
            if not _LIGHT.issuperset(map(type, effects)):
                self.paused = True
                if isinstance(effects[-1], Fail):
                    raise RunError(effects[-1].what)

    def said(self, error: FkitError, where: str = "", part: str = "train") -> FkitError:
        """An error of the run with the place in the config of what it is of.

        Args:
            where: the run was; "" where the error says it.
            part: of the data.
        """
        return located(told(error, where) if where else error, self.plan.settings, part)

    def _of_hook(self, error: FkitError, name: str) -> FkitError:
        path = next((part.path for part in self.plan.settings.hooks if part.name == name), "")
        return said_at(error, path, self.plan.settings) if path else error

    def interrupt(self, run: RunState, signal: str) -> Item:
        """What is done before a process that got a signal ends."""
        run = run._replace(status="interrupted", signal=signal)
        return self.tell(run, self.event("on_interrupt", run, metrics=run.metrics, reason=signal))


_MODES = ("train", "val", "test")


def _reads(hook: Hook, mode: str) -> bool:
    """Whether a hook answers an event at which it would read the window of a mode."""
    if mode != "train":
        names = (f"after_{mode}_iter", f"after_{mode}_epoch", f"after_{mode}")
    else:
        names = ("after_train_iter", "after_train_epoch", "after_train", "on_interrupt", "after_run")
    return any(hook.answers(name) for name in names)


def _checked(course: Course, at: Position, length: int) -> tuple[str, Position]:
    """What comes next by a loop of the user's own.

    Raises:
        RunError: it raised, or its answer is none.
    """
    answer: Any = attempt("the loop", "iteration", at.iteration, course.next, at, length)
    pair = type(answer) is tuple and len(answer) == 2
    if pair and answer[0] in WORDS and type(answer[1]) is Position:
        return answer
    raise RunError(
        f"iteration {at.iteration}: the loop {type(course).__name__} says that {quoted(answer)} comes next: a word and a "
        f"Position are needed. Words: {', '.join(WORDS)}."
    )
