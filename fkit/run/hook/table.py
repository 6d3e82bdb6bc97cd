"""Which hooks a plan tells of what, for a person: mmengine's table of hooks, event by event."""

from collections.abc import Mapping, Sequence

from fkit.run.event import EVENTS
from fkit.run.hook.hook import Handler, Hook
from fkit.run.hook.order import PRIORITIES, priority_number

__all__ = ["hook_table"]


def hook_table(hooks: Sequence[tuple[str, Hook]], handlers: Mapping[str, Sequence[tuple[str, Handler]]]) -> str:
    """The events that some hook answers, and under each its hooks in firing order.

    Args:
        hooks: (name, hook) in firing order, as ``plan.hooks``.
        handlers: event -> ((hook name, handler), ...), as ``plan.handlers``.

    Example:
        >>> from fkit.run.hook.hook import Hook, handlers
        >>> class Shout(Hook):
        ...     def after_train(self, memory, run, event): return memory, ()
        >>> rows = [("custom_hooks.0", Shout())]
        >>> print(hook_table(rows, handlers(rows)))
        after_train:
          (NORMAL) Shout  custom_hooks.0
    """
    known = dict(hooks)
    lines: list[str] = []
    for event in EVENTS:
        rows = handlers.get(event, ())
        if rows:
            lines.append(f"{event}:")
            lines += [f"  ({_word(known[name])}) {type(known[name]).__name__}  {name}" for name, _ in rows]
    return "\n".join(lines)


def _word(hook: Hook) -> str:
    """A priority by its name, where it has one."""
    number = priority_number(hook.priority)
    return next((name for name, known in PRIORITIES.items() if known == number), str(number))
