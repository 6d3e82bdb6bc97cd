"""Names that a new-style config imports: kept as names, opened only when something is built of them."""

import importlib
from typing import Any

from fkit.tree.error import FkitImportError

__all__ = ["Imported", "Module"]


class Imported:
    """A name of a module that is not imported while a config is read; compared and hashed by its dotted name.

    Args:
        name: the dotted name, ``module.attribute``.
        place: ``file:line`` of the import.

    Example:
        >>> Imported("collections.OrderedDict").load().__name__, Imported("torch.nn").attribute("ReLU") == Imported("torch.nn.ReLU")
        ('OrderedDict', True)
    """

    __slots__ = ("_name", "_place")
    _name: str
    _place: str | None

    def __init__(self, name: str, place: str | None = None) -> None:
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_place", place)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("An imported name is frozen.")

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

    def attribute(self, name: str) -> "Imported":
        """The name below this one."""
        return Imported(f"{self._name}.{name}", self._place)

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
        return isinstance(other, Imported) and self._name == other._name

    def __hash__(self) -> int:
        return hash(("imported", self._name))

    def __repr__(self) -> str:
        return f"Imported({self._name!r})"

    def __str__(self) -> str:
        return self._name.rpartition(".")[2]

    def __reduce__(self) -> Any:
        return Imported, (self._name, self._place)


class Module:
    """A module of the standard library that a config file imported, or a name of it that no config may use.

    Args:
        name: its dotted name.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Module) and self.name == other.name

    def __hash__(self) -> int:
        return hash(("module", self.name))
