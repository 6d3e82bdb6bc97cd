"""Names that a new-style config imports: kept as names, opened only when something is built of them."""

import importlib
from typing import Any

from fkit.tree.error import FkitImportError

__all__ = ["Lazy"]


class Lazy:
    """A name of a module that is not imported while a config is read; compared and hashed by its dotted name.

    Args:
        name: the dotted name, ``module.attribute``.
        place: ``file:line`` of the import.

    Example:
        >>> Lazy("collections.OrderedDict").load().__name__, Lazy("torch.nn").attribute("ReLU") == Lazy("torch.nn.ReLU")
        ('OrderedDict', True)
    """

    __slots__ = ("_name", "_place")
    _name: str
    _place: str | None

    def __init__(self, name: str, place: str | None = None) -> None:
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_place", place)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("A lazy name is frozen.")

    @property
    def name(self) -> str:
        """The dotted name."""
        return self._name

    @property
    def place(self) -> str | None:
        """``file:line`` of the import, or None."""
        return self._place

    def __lazy__(self) -> str:
        return self._name

    def attribute(self, name: str) -> "Lazy":
        """The name below this one."""
        return Lazy(f"{self._name}.{name}", self._place)

    def load(self) -> Any:
        """Import what the name stands for. This runs code of the module.

        Raises:
            FkitImportError: there is no such module or attribute.
        """
        parts = self._name.split(".")
        for cut in reversed(range(1, len(parts) + 1)):
            module = ".".join(parts[:cut])
            try:
                found: Any = importlib.import_module(module)
            except ModuleNotFoundError as error:
                # a package that lacks something it needs is an error of its own
                if error.name is not None and not (module + ".").startswith(error.name + "."):
                    raise FkitImportError(f"{self._name} cannot be imported: {error}", origin=self._place) from error
                continue
            try:
                for part in parts[cut:]:
                    found = getattr(found, part)
            except AttributeError:
                message = f"{self._name} cannot be imported: {module} has no {'.'.join(parts[cut:])}."
                raise FkitImportError(message, origin=self._place) from None
            return found
        raise FkitImportError(f"{self._name} cannot be imported: there is no package {parts[0]!r}.", origin=self._place)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lazy) and self._name == other._name

    def __hash__(self) -> int:
        return hash(("lazy", self._name))

    def __repr__(self) -> str:
        return f"Lazy({self._name!r})"

    def __str__(self) -> str:
        return self._name.rpartition(".")[2]

    def __reduce__(self) -> Any:
        return Lazy, (self._name, self._place)
