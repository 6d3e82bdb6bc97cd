"""The steps of a run that were not read yet, kept once for all hooks that read them."""

from collections.abc import Iterable

from fkit.run.event import Step

__all__ = ["Window"]


class Window:
    """What the steps of one mode logged and took, since each of its readers last read.

    Args:
        readers: the names of the hooks that read it; without any, the newest step alone is kept.

    Example:
        >>> window = Window(["logger"])
        >>> window.add(Step(1)), window.add(Step(2))
        (None, None)
        >>> [step.iteration for step in window.read("logger")], window.read("logger")
        ([1, 2], ())
    """

    __slots__ = ("_steps", "_unread", "add")

    def __init__(self, readers: Iterable[str]) -> None:
        self._steps: list[Step] = []
        self._unread = dict.fromkeys(readers, 0)  # name -> the place of the first step that it has not read
        self.add = self._steps.append if self._unread else self._put

    def __len__(self) -> int:
        return len(self._steps)

    def read(self, name: str) -> tuple[Step, ...]:
        """The steps since ``name`` last read; its next window begins after them."""
        steps = tuple(self._steps[self._unread[name] :])
        self._unread[name] = len(self._steps)
        first = min(self._unread.values())
        if first:
            del self._steps[:first]
            for reader in self._unread:
                self._unread[reader] -= first
        return steps

    def clear(self) -> None:
        """Forget all of it."""
        self._steps.clear()
        self._unread = dict.fromkeys(self._unread, 0)

    def _put(self, step: Step) -> None:
        self._steps[:] = [step]
