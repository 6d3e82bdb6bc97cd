"""What a hook is, and how hooks are fired."""

import sys
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, NamedTuple, cast

from fkit.catalog.builtin import registry
from fkit.catalog.registry import Registry
from fkit.catalog.report import is_reported
from fkit.recipe.settings import Settings
from fkit.run.attempt import raised, told
from fkit.run.course import Course
from fkit.run.effect import Effect
from fkit.run.event import EVENTS, GENERIC, Event, generic
from fkit.run.hook.processor import Style
from fkit.run.memory import write_memory
from fkit.run.state import Memory, Position, RunState
from fkit.training.program import Program
from fkit.training.schedule.policy import Schedule
from fkit.training.state import Hyperparams
from fkit.tree.check import expect
from fkit.tree.contract import Contract, expect_fit, title
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, RunError, quoted
from fkit.tree.frozen import EMPTY, frozen
from fkit.tree.trace import users_line

__all__ = [
    "NEVER",
    "Answer",
    "Handler",
    "Hook",
    "Offer",
    "ask",
    "call",
    "check_hook",
    "first_memory",
    "handlers",
]

_CALL = "memory, run, event"
_HOOK = Contract(
    "hook",
    (("after_train_iter", _CALL),),
    """
or another of its events. For example, with fkit.Hook, and effects of fkit.run.effect:
    @dataclass(frozen=True)
    class Shout(Hook):
        every: int = 10
        def after_train_iter(self, memory, run, event):
            if event.iteration % self.every:
                return memory, ()
            return memory, (WriteText(f"step {event.iteration}!"),)""",
)
_ASKED = (("memory", ""), ("answers", "event"), ("due", "event, position, length, total"), ("bind", "offer"), ("sources", ""),
          ("wrap", "program"))  # fmt: skip

NEVER = sys.maxsize
"""What `Hook.due` answers where a hook wants no more of an event."""

Answer = tuple[Memory, tuple[Effect, ...]]
Handler = Callable[[Memory, RunState, Event], Answer]


_BUILT_IN = registry()


def _same(outputs: Any) -> Any:
    return outputs


class Offer(NamedTuple):
    """What a plan that is being made offers its hooks; what is made of the config is made when it is asked for.

    Attributes:
        course: how the run goes through its data.
        hyperparams: what the optimizers start with.
        schedules: the policies of ``param_scheduler``, in order.
        length: batches of a pass over the training data; 0 where it is endless.
        settings: of the run; None where a hook is bound with no plan around it.
        registry: where its parts come from.
        backend: the name of its room.
        host: a model's outputs -> the same on the host.
        style: how lines of the log are worded.
    """

    course: Course
    hyperparams: Callable[[], Hyperparams]
    schedules: Callable[[], tuple[Schedule, ...]]
    length: Callable[[], int] = lambda: 0
    settings: Settings | None = None
    registry: Registry = _BUILT_IN
    backend: str = ""
    host: Callable[[Any], Any] = _same
    style: Style = Style()


class Hook:
    """A frozen value with a priority and pure handlers named for the events they answer.

    Derive a frozen dataclass and write a method for each event (`fkit.run.event.EVENTS`) it cares for; ``after_iter`` and
    the like answer the events of all modes::

        @dataclass(frozen=True)
        class Shout(fkit.Hook):
            every: int = 10

            def after_train_iter(self, memory, run, event):
                if event.iteration % self.every:
                    return memory, ()
                return memory, (fkit.effect.WriteText(f"step {event.iteration}!"),)

    A handler gets its memory, the run after the event, and the event; it returns its memory and effects, and touches
    nothing else. Hooks fire by priority (a small number first), ties in order of registration. The other methods need no
    word of it.

    Attributes:
        priority: a name of `fkit.run.hook.order.PRIORITIES`, or a number.
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
        return hasattr(self, event) or hasattr(self, generic(event))

    def due(self, event: str, position: Position, length: int, total: int) -> int:
        """The next iteration whose event it wants; until then the loop does not call it.

        Args:
            event: ``before_train_iter`` or ``after_train_iter``, whose iterations are counted from 1 on through the run;
                or those of ``val`` and ``test``, counted from 1 on in each pass.
            position: where the run is; ``position.iteration`` iterations are done, or of a pass ``position.inner``.
            length: iterations of a pass; 0 where it is endless.
            total: training iterations of the whole run.

        Returns:
            its number; by default the next one's. `NEVER` for none.
        """
        return (position.iteration if event.endswith("train_iter") else position.inner) + 1

    def bind(self, offer: Offer) -> "Hook":
        """The hook with what it needs of the plan; asked once, when the plan is made."""
        return self

    def sources(self) -> Mapping[str, Mapping[str, Any]]:
        """Other training data that it switches to by `fkit.run.effect.SwitchData`: a name that begins with "train:" -> the
        keys of ``train_dataloader`` that are others. Asked when a plan's data are opened."""
        return EMPTY

    def wrap(self, program: Program) -> Program:
        """The program that the run uses, in the place of ``program``; asked once, when the plan is made, in firing order."""
        return program


def handlers(hooks: Iterable[tuple[str, Hook]]) -> Mapping[str, tuple[tuple[str, Handler], ...]]:
    """event name -> ((hook name, handler), ...) for hooks in firing order; an event nobody answers has ()."""
    rows = tuple(hooks)
    return frozen(
        {
            event: tuple(
                (name, getattr(hook, event if hasattr(hook, event) else generic(event)))
                for name, hook in rows
                if ask(name, "answers", hook.answers, event)
            )
            for event in EVENTS
        }
    )


def ask(name: str, method: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a method of a hook, that is none of its handlers, answers.

    Raises:
        RunError: it raised; the message names the hook and the method, and the line of the user's code.
    """
    try:
        return function(*arguments)
    except FkitError as error:
        raise told(error, f"hook {name!r} in {method}") if _is_users(error) else error from error.__cause__
    except Exception as cause:
        raise raised(f"hook {name!r} raised in {method}: {cause!r}", cause) from cause


def _is_users(error: FkitError) -> bool:
    """Whether code of the user's raised one of the kit's errors, and nothing has said yet where in the config that is."""
    return not is_reported(error) and bool(users_line(error))


def first_memory(name: str, hook: Hook) -> Memory:
    """A hook's memory before the first event.

    Raises:
        RunError: it raised.
        FkitTypeError: it gave something else, or what a checkpoint cannot keep.
    """
    expect(hook, Hook, "`hook` is a hook (derive it from fkit.Hook)")
    memory = ask(name, "memory()", hook.memory)
    if type(memory) is not Memory:
        raise FkitTypeError(
            f"hook {name!r}: memory() gives a Memory, not {quoted(memory)}.",
            repair="Say Memory(exact=...), or observed.",
        )
    if type(hook).memory is not Hook.memory:
        write_memory(memory.exact, f"the exact memory of hook {name!r}")
    return memory


def check_hook(name: str, hook: Any) -> None:
    """Refuse what is no hook, or has a method that the loop's call does not fit, or a handler of no event, which would
    never be called.

    Raises:
        FkitTypeError: with what a hook is.
        FkitKeyError: a method's name is near that of an event, or begins as that of one does.
    """
    if isinstance(hook, type) or not isinstance(hook, Hook):
        what = "is a class" if isinstance(hook, type) else "is not derived from fkit.Hook"
        raise FkitTypeError(f"{title(hook)} is no hook: it {what}, and a hook is a value.", repair=_HOOK.text)
    for word in dir(type(hook)):
        method = getattr(type(hook), word)
        if word.startswith("_") or not callable(method) or isinstance(method, type) or hasattr(Hook, word):
            continue
        if word in EVENTS or word in GENERIC:
            expect_fit(getattr(hook, word), word, _CALL, f"{title(hook)} is no hook: its", _HOOK.text)
        elif _is_meant(word):
            raise FkitKeyError(
                f"hook {name!r} has a method {word!r}, and there is no such event.", value=_translated(word),
                choices=(*EVENTS, *GENERIC), label="Events", repair="Begin the name of a method that is no handler with something else.",
            )  # fmt: skip
    for method, arguments in _ASKED:
        if getattr(type(hook), method) is not getattr(Hook, method):
            expect_fit(getattr(hook, method), method, arguments, f"{title(hook)} is no hook: its", _HOOK.text)


def _is_meant(word: str) -> bool:
    """Whether the name of a method was meant to be an event's: it begins as theirs do, or is a slip or two away."""
    return word.startswith(("before_", "after_", "on_")) or bool(get_close_matches(word, EVENTS, 1, 0.85))


def _translated(word: str) -> str:
    """The name of an event as other kits have it, in this one's words.

    Example:
        >>> _translated("on_train_epoch_end"), _translated("on_batch_start"), _translated("after_train_itr")
        ('after_train_epoch', 'before_train_iter', 'after_train_itr')
    """
    parts = word.split("_")
    place = {"end": "after", "start": "before", "begin": "before"}.get(parts[-1])
    if parts[0] != "on" or place is None:
        return word
    words = [{"validation": "val", "batch": "iter", "step": "iter", "fit": "train"}.get(w, w) for w in parts[1:-1]]
    return "_".join((place, *(("train",) if words in (["epoch"], ["iter"]) else ()), *words))


def call(name: str, handler: Handler, memory: Memory, run: RunState, event: Event) -> Answer:
    """What a hook answers to an event.

    Raises:
        RunError: it raised, or its answer is no memory and a tuple of effects.
    """
    answer: Any = None
    try:
        answer = handler(memory, run, event)
        after, effects = answer
    except FkitError as error:
        where = f"hook {name!r} at {event.name}, iteration {event.iteration}"
        raise told(error, where) if _is_users(error) else error from error.__cause__
    except Exception as cause:
        if (
            cause.__traceback__ is not None and cause.__traceback__.tb_next is None
        ):  # it was not the handler that raised
            raise _refused(name, answer, event) from None
        raise raised(f"hook {name!r} raised at {event.name}, iteration {event.iteration}: {cause!r}", cause) from cause
    if type(effects) is tuple and (after is memory or type(after) is Memory):
        return after, effects
    return _checked(name, answer, event)


def _checked(name: str, answer: Any, event: Event) -> Answer:
    """An answer whose effects are a list; any other is refused, a single effect above all, which is a tuple itself."""
    memory, effects = answer
    if isinstance(memory, Memory) and isinstance(effects, list):
        return memory, tuple(cast("list[Effect]", effects))
    raise _refused(name, answer, event)


def _refused(name: str, answer: Any, event: Event) -> RunError:
    kind = "" if answer is None or isinstance(answer, tuple) else f", a {type(answer).__name__}"
    return RunError(
        f"hook {name!r} at {event.name}, iteration {event.iteration}: a handler returns (memory, effects), a Memory and a "
        f"tuple, not {quoted(answer, 60)}{kind}.",
        repair="return memory, () asks for nothing; one effect is a tuple of one: return memory, (Stop(),).",
    )
