"""Writers: what beside the work folder gets a run's scalars, config and pictures, TensorBoard and the like.

A writer's description is a frozen value with ``open(folder, name) -> Writer``, registered as one of ``vis_backends``; what
it opens is a `Writer`, a few functions.
"""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from fkit.config.config import Config
from fkit.tree.absent import ABSENT
from fkit.tree.check import expect
from fkit.tree.error import FkitImportError, FkitTypeError, quoted

__all__ = ["VisBackend", "Writer", "Writers"]


def _nothing(*_: Any) -> None:
    return None


class Writer(NamedTuple):
    """An open writer; what it leaves out it does not take.

    Attributes:
        scalars: (name -> number, step): a line of the log.
        config: (the run's config): once, at its beginning.
        image: (name, (H, W, 3) uint8 RGB, step): a picture.
        close: (): the run has ended.

    Example:
        >>> rows = []
        >>> Writer(scalars=lambda tags, step: rows.append((step, dict(tags)))).scalars({"loss": 0.5}, 3)
        >>> rows
        [(3, {'loss': 0.5})]
    """

    scalars: Callable[[Mapping[str, float], int], None] = _nothing
    config: Callable[[Config], None] = _nothing
    image: Callable[[str, NDArray[Any], int], None] = _nothing
    close: Callable[[], None] = _nothing


class VisBackend(Protocol):
    """What describes a writer: frozen, with the arguments of its config."""

    def open(self, folder: Path, name: str) -> Writer:
        """Begin to write.

        Args:
            folder: the run's work folder.
            name: the run's ``experiment_name``.
        """
        ...


class Writers:
    """A run's writers, opened when the first of its effects needs them. One that fails is told of once, and the run goes
    on without it.

    Args:
        backends: (place in the config, description) each.
        folder: the work folder.
        name: the run's.
        say: takes a text and a level.

    Raises:
        FkitImportError: a description ``needs`` a package that is not installed.
    """

    def __init__(
        self, backends: tuple[tuple[str, VisBackend], ...], folder: Path, name: str, say: Callable[[str, str], None]
    ) -> None:
        expect(backends, (list, tuple), "`backends` are pairs of a place in the config and a writer's description")
        for path, backend in backends:
            package: str = getattr(backend, "needs", "")
            if package and find_spec(package) is None:
                kind = type(backend).__name__
                raise FkitImportError(
                    f"{path}: {kind} needs the package {package!r}, which is not installed.",
                    path=path,
                    repair=f"pip install {getattr(backend, 'install', '') or package}",
                )
        self._backends = backends
        self._folder = folder
        self._name = name
        self._say = say
        self._open: list[tuple[str, VisBackend, Writer]] | None = None

    def scalars(self, tags: Mapping[str, float], step: int) -> None:
        """Give them a line of the log."""
        self._each("scalars", tags, step)

    def config(self, cfg: Config) -> None:
        """Give them the run's config."""
        self._each("config", cfg)

    def image(self, name: str, image: NDArray[Any], step: int) -> None:
        """Give them a picture."""
        self._each("image", name, image, step)

    def close(self) -> None:
        """Let them end what they hold; those that were never opened have nothing to end."""
        if self._open:
            self._each("close")
        self._open = None

    def _each(self, method: str, *arguments: Any) -> None:
        if self._open is None:
            self._open = []
            for path, backend in self._backends:
                writer = self._try(path, backend, backend.open, self._folder, self._name)
                if isinstance(writer, Writer):
                    self._open.append((path, backend, writer))
                elif writer is not ABSENT:
                    what = f"{path}: open(folder, name) gives a fkit.edge.writer.Writer, not {quoted(writer)}."
                    raise FkitTypeError(what, path=path)
        for row in tuple(self._open):
            if self._try(*row[:2], getattr(row[2], method), *arguments) is ABSENT:
                self._open.remove(row)

    def _try(self, path: str, backend: VisBackend, act: Callable[..., Any], *arguments: Any) -> Any:
        """What it answers, or ABSENT where it failed."""
        try:
            return act(*arguments)
        except Exception as cause:  # whatever a library of others does when its disk or its network fails
            words = f"{path} ({type(backend).__name__}) failed: {type(cause).__name__}: {cause}".removesuffix(": ")
            self._say(f"the writer {words}; the run goes on without it.", "WARNING")
            return ABSENT
