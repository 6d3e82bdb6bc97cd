"""Backends are rooms that no floor below imports: they are opened by name."""

from importlib.metadata import entry_points
from typing import Any

from fkit.tree.error import FkitImportError, FkitValueError, quoted
from fkit.tree.name import open_name

__all__ = ["names", "open"]

_OWN = ("torch", "jax")
_GROUP = "fkit.backends"


def names() -> tuple[str, ...]:
    """The backends that can be opened: the kit's own, then those of installed packages.

    Example:
        >>> names()[:2]
        ('torch', 'jax')
    """
    return _OWN + tuple(point.name for point in entry_points(group=_GROUP) if point.name not in _OWN)


def open(name: str) -> Any:
    """The backend ``name``: the value ``backend`` of `fkit.backend.<name>`, or of an entry point of ``fkit.backends``.

    Returns a `fkit.training.backend.Backend`. Opening a room imports its framework and registers the kit's structures
    as pytrees with it.

    Raises:
        FkitValueError: no backend has that name.
        FkitImportError: its framework is not installed.
    """
    if name in _OWN:
        try:
            return open_name(f"fkit.backend.{name}:backend")
        except FkitImportError as error:
            lacking = getattr(error.__cause__, "name", None)
            if lacking is None or lacking.split(".")[0] == "fkit":
                raise
            repair = "pip install 'fkit-vision[jax]'" if name == "jax" else "pip install torch"
            what = f"backend {name!r} needs the package {lacking!r}, which is not installed."
            raise FkitImportError(what, repair=repair) from error.__cause__
    for point in entry_points(group=_GROUP):
        if point.name == name:
            return point.load()
    raise FkitValueError(f"backend = {quoted(name)} is unknown.", value=str(name), choices=names(), label="Backends")
