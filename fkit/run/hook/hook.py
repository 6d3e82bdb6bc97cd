"""What a hook is, and how hooks are ordered and fired."""

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple, cast

from fkit.run.course import Course
from fkit.run.effect import Effect
from fkit.run.event import EVENTS, Event
from fkit.run.state import Memory, Position, RunState
from fkit.training.program import Program
from fkit.training.schedule import Schedule
from fkit.training.state import Hyperparams
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, FkitValueError, RunError, quoted
from fkit.tree.frozen import frozen

__all__ = [
    "NEVER",
    "PRIORITIES",
    "Answer",
    "Handler",
    "Hook",
    "Offer",
    "ask",
    "call",
    "check_events",
    "first_memory",
    "handlers",
    "priority_number",
]

PRIORITIES: Mapping[str, int] = frozen(
    dict(HIGHEST=0, VERY_HIGH=10, HIGH=30, ABOVE_NORMAL=40, NORMAL=50, BELOW_NORMAL=60, LOW=70, VERY_LOW=90, LOWEST=100)
)


NEVER = sys.maxsize
"""What `Hook.due` answers where a hook wants no more of an event."""

Answer = tuple[Memory, tuple[Effect, ...]]
Handler = Callable[[Memory, RunState, Event], Answer]


class Offer(NamedTuple):
    """What a plan that is being made offers its hooks; what is made of the config is made when it is asked for.

    Attributes:
        course: how the run goes through its data.
        hyperparams: what the optimizers start with.
        schedules: the policies of ``param_scheduler``, in order.
    """

    course: Course
    hyperparams: Callable[[], Hyperparams]
    schedules: Callable[[], tuple[Schedule, ...]]


class Hook:
    """A frozen value with a priority and pure handlers named for the events they answer.

    Derive a frozen dataclass and write a method for each event (`fkit.run.event.EVENTS`) it cares for::

        @dataclass(frozen=True)
        class Shout(Hook):
            every: int = 10

            def after_train_iter(self, memory, run, event):
                if event.iteration % self.every:
                    return memory, ()
                return memory, (WriteText(f"step {event.iteration}!"),)

    A handler gets its memory, the run after the event, and the event; it returns its memory and effects, and touches
    nothing else. Hooks fire by priority (a small number first), ties in order of registration. The other methods need no
    word of it.

    Attributes:
        priority: a name of `PRIORITIES`, or a number.
        reads: whether it wants ``event.window``, the steps since it last read: it reads at each ``after_...`` event and
            ``on_interrupt`` that it answers.
        holds: whether it holds hyperparameters to its own values: whatever it said of when it is due, it is asked before
            the first step of a process, and before the next one when another sets some.
    """

    __fkit_kind__ = "hooks"

    priority: ClassVar[str | int] = "NORMAL"
    reads: ClassVar[bool] = False
    holds: ClassVar[bool] = False

    def memory(self) -> Memory:
        """The memory before the first event."""
        return Memory()

    def answers(self, event: str) -> bool:
        """Whether there is a handler for an event that, with these arguments, may ever do anything; asked once a run."""
        return hasattr(self, event)

    def due(self, event: str, position: Position, length: int, total: int) -> int:
        """The next iteration whose event it wants; until then the loop does not call it.

        Args:
            event: ``before_train_iter`` or ``after_train_iter``, whose iterations are counted from 1 on through the run;
                or ``before_val_iter`` or ``after_val_iter``, counted from 1 on in each pass.
            position: where the run is; ``position.iteration`` iterations are done, or of a pass ``position.inner``.
            length: iterations of a pass; 0 where it is endless.
            total: training iterations of the whole run.

        Returns:
            its number; by default the next one's. `NEVER` for none.
        """
        return (position.inner if event.endswith("val_iter") else position.iteration) + 1

    def bind(self, offer: Offer) -> "Hook":
        """The hook with what it needs of the plan; asked once, when the plan is made."""
        return self

    def wrap(self, program: Program) -> Program:
        """The program that the run uses, in the place of ``program``; asked once, when the plan is made, in firing order."""
        return program


def priority_number(priority: str | int) -> int:
    """A priority's number: 0 fires first, 100 last.

    Example:
        >>> priority_number("VERY_LOW"), priority_number(42)
        (90, 42)
    """
    if isinstance(priority, bool) or not isinstance(priority, (int, str)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"priority = {priority!r} is neither a name nor a number from 0 to 100.")
    if isinstance(priority, int):
        if 0 <= priority <= 100:
            return priority
        raise FkitValueError(f"priority = {priority} is not from 0 to 100.")
    if priority.upper() not in PRIORITIES:
        raise FkitValueError(f"priority = {priority!r} is unknown.", value=priority, choices=tuple(PRIORITIES))
    return PRIORITIES[priority.upper()]


def handlers(hooks: Iterable[tuple[str, Hook]]) -> Mapping[str, tuple[tuple[str, Handler], ...]]:
    """event name -> ((hook name, handler), ...) for hooks in firing order; an event nobody answers has ()."""
    rows = tuple(hooks)
    return frozen(
        {
            event: tuple(
                (name, getattr(hook, event)) for name, hook in rows if ask(name, "answers", hook.answers, event)
            )
            for event in EVENTS
        }
    )


def ask(name: str, method: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a method of a hook, that is none of its handlers, answers.

    Raises:
        RunError: it raised; the message names the hook and the method.
    """
    try:
        return function(*arguments)
    except FkitError:
        raise
    except Exception as cause:
        raise RunError(f"hook {name!r} raised in {method}: {cause!r}") from cause


def first_memory(name: str, hook: Hook) -> Memory:
    """A hook's memory before the first event.

    Raises:
        RunError: it raised, or gave something else.
    """
    expect(hook, Hook, "`hook` is a hook (derive it from fkit.Hook)")
    memory = ask(name, "memory()", hook.memory)
    if type(memory) is not Memory:
        raise RunError(
            f"hook {name!r}: memory() gives a Memory, not {quoted(memory)}.",
            repair="Say Memory(exact=...), or observed.",
        )
    return memory


def check_events(name: str, hook: Hook) -> None:
    """Refuse a handler of an event that there is not: it would never be called.

    Raises:
        FkitKeyError: its name begins as that of one does.
    """
    for word in dir(type(hook)):
        handler = word.startswith(("before_", "after_")) and callable(getattr(type(hook), word))
        if handler and word not in EVENTS and "_test" not in word:
            raise FkitKeyError(
                f"hook {name!r} has a method {word!r}, and there is no such event.", value=word, choices=EVENTS,
                label="Events", repair="Begin the name of a method that is no handler with something else.",
            )  # fmt: skip


def call(name: str, handler: Handler, memory: Memory, run: RunState, event: Event) -> Answer:
    """What a hook answers to an event.

    Raises:
        RunError: it raised, or its answer is no memory and a tuple of effects.
    """
    try:
        after, effects = handler(memory, run, event)
    except FkitError:
        raise
    except Exception as cause:
        raise RunError(f"hook {name!r} raised at {event.name}, iteration {event.iteration}: {cause!r}") from cause
    if type(effects) is tuple and (after is memory or type(after) is Memory):
        return after, effects
    return _checked(name, after, effects, event)


def _checked(name: str, memory: Any, effects: Any, event: Event) -> Answer:
    """An answer whose effects are a list; any other is refused, a single effect above all, which is a tuple itself."""
    if isinstance(memory, Memory) and isinstance(effects, list):
        return memory, tuple(cast("list[Effect]", effects))
    raise RunError(
        f"hook {name!r} at {event.name}, iteration {event.iteration}: a handler returns (memory, effects), a Memory and a "
        f"tuple, not {quoted((memory, effects), 60)}.",
        repair="One effect is a tuple of one: return memory, (Stop(),).",
    )
