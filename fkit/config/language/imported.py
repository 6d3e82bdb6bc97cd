"""Names that a config file imports: of other libraries, kept as names; of the standard library."""

import sys
from dataclasses import dataclass, field

__all__ = ["Imported", "Module", "is_standard"]


def is_standard(module: str) -> bool:
    """Whether a module is of the standard library (or mmengine.config, which config files import for its marker).

    Example:
        >>> is_standard("os.path"), is_standard("torch.nn"), is_standard(".x")
        (True, False, False)
    """
    if module.startswith("."):
        return False
    return module.startswith("mmengine.config") or module.split(".")[0] in sys.stdlib_module_names


@dataclass(frozen=True, slots=True, repr=False)
class Imported:
    """A name of a module that is not imported while a config is read; compared and hashed by its dotted name.

    Args:
        name: the dotted name, ``module.attribute``.
        place: ``file:line`` of the import, or None.

    Example:
        >>> Imported("torch.nn").attribute("ReLU").name, Imported("torch.nn", "a.py:1") == Imported("torch.nn", "b.py:2")
        ('torch.nn.ReLU', True)
    """

    name: str
    place: str | None = field(default=None, compare=False)

    def __lazy__(self) -> str:
        return self.name

    def attribute(self, name: str) -> "Imported":
        """The name below this one."""
        return Imported(f"{self.name}.{name}", self.place)

    def __str__(self) -> str:
        return self.name.rpartition(".")[2]

    def __repr__(self) -> str:
        return f"<{self.name}>"


Imported.__name__ = "imported name"  # what messages call it, Python's and ours


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the standard library that a config file imported, or a name of it that no config may use.

    Args:
        name: its dotted name.
    """

    name: str

    def __repr__(self) -> str:
        return f"<module {self.name}>"
