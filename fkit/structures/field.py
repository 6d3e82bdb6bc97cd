"""The fields of an element: kept, and asked for."""

from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn, Self

from frozendict import frozendict

from fkit.structures.content import content
from fkit.structures.render import render
from fkit.tree.error import FkitAttributeError, FrozenError, nearest

__all__ = ["ABSENT", "EMPTY", "Fields", "fill", "made"]

ABSENT = object()
EMPTY = frozendict[str, Any]()
_NONE = frozenset[str]()
# what mmengine's users reach for, and what it is here
_RENAMED = (
    ("set_metainfo", "with_meta"),
    ("set_field", "set"),
    ("set_data", "set"),
    ("to_tensor", "to_torch"),
    ("clone", "the element itself: it never changes"),
)


class Fields:
    """Data and meta fields, frozen: the reading half of `fkit.structures.DataElement`.

    Example:
        >>> from fkit.structures import DataElement
        >>> x = DataElement(metainfo={"h": 4}, a=1)
        >>> x.a, x.h, x.get("b", 0), "h" in x, x.items(), x.all_keys()
        (1, 4, 0, True, (('a', 1),), ('h', 'a'))
    """

    __slots__ = ("_data", "_leaves", "_meta")
    _data: frozendict[str, Any]
    _meta: frozendict[str, Any]
    _leaves: frozenset[str]  # fields that stand for arrays whatever they hold, while a framework maps over them
    _typed: ClassVar[tuple[tuple[str, tuple[type, ...]], ...]] = ()
    # equality is by content, and arrays are not hashable
    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __getattr__(self, name: str) -> Any:
        if name[:2] != "__" and name not in Fields.__slots__:
            value = self.get(name, ABSENT)
            if value is not ABSENT:
                return value
            raise self._missing(name)
        raise AttributeError(name)

    def _missing(self, name: str) -> FkitAttributeError:
        repair = next((f"In place of mmengine's {name}: {here}." for there, here in _RENAMED if there == name), "")
        names = self.all_keys()
        known = [typed for typed, _ in self._typed if typed == name]
        what = "is not set" if known else "is no field"
        return FkitAttributeError(
            f"{name!r} {what} of this {type(self).__name__}.",
            value=None if repair or nearest(name, names) is None else name,
            choices=names,
            label="Fields",
            repair=repair,
        )

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        change = f"with_meta({name}=...)" if name in self._meta else f"set({name}=...)"
        raise FrozenError(
            f"{type(self).__name__} is frozen: cannot set {name!r}.", repair=f"A changed copy: new = element.{change}"
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenError(
            f"{type(self).__name__} is frozen: cannot delete {name!r}.",
            repair=f"A changed copy: new = element.drop({name!r})",
        )

    def get(self, name: str, default: Any = None) -> Any:
        """A field's value, data or meta; ``default`` where there is none."""
        found = self._data.get(name, ABSENT)
        return self._meta.get(name, default) if found is ABSENT else found

    def __contains__(self, name: object) -> bool:
        return name in self._data or name in self._meta

    @property
    def metainfo(self) -> Mapping[str, Any]:
        """The meta fields."""
        return self._meta

    def keys(self) -> tuple[str, ...]:
        """The data fields' names."""
        return tuple(self._data)

    def values(self) -> tuple[Any, ...]:
        """The data fields' values."""
        return tuple(self._data.values())

    def items(self) -> tuple[tuple[str, Any], ...]:
        """The data fields."""
        return tuple(self._data.items())

    def metainfo_keys(self) -> tuple[str, ...]:
        """The meta fields' names."""
        return tuple(self._meta)

    def metainfo_values(self) -> tuple[Any, ...]:
        """The meta fields' values."""
        return tuple(self._meta.values())

    def metainfo_items(self) -> tuple[tuple[str, Any], ...]:
        """The meta fields."""
        return tuple(self._meta.items())

    def all_keys(self) -> tuple[str, ...]:
        """The names of all fields, meta first."""
        return (*self._meta, *self._data)

    def all_values(self) -> tuple[Any, ...]:
        """The values of all fields, meta first."""
        return (*self._meta.values(), *self._data.values())

    def all_items(self) -> tuple[tuple[str, Any], ...]:
        """All fields, meta first."""
        return (*self._meta.items(), *self._data.items())

    def to_dict(self) -> dict[str, Any]:
        """All fields as a dict, meta among them; nested elements as dicts."""
        return {k: v.to_dict() if isinstance(v, Fields) else v for k, v in self.all_items()}

    def __content__(self) -> Any:
        return type(self), content(self._data), content(self._meta)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Fields):
            return NotImplemented
        return type(self) is type(other) and self.__content__() == other.__content__()

    def __repr__(self) -> str:
        return render(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return made, (type(self), self._data, self._meta)

    def __copy__(self) -> Self:
        return self


def fill(
    element: "Fields", data: frozendict[str, Any], meta: frozendict[str, Any], leaves: frozenset[str] = _NONE
) -> None:
    """Set a new element's fields, once."""
    object.__setattr__(element, "_data", data)
    object.__setattr__(element, "_meta", meta)
    object.__setattr__(element, "_leaves", leaves)


def made(cls: type[Any], data: frozendict[str, Any], meta: frozendict[str, Any], leaves: frozenset[str] = _NONE) -> Any:
    """An element of fields that are known to be right."""
    element = object.__new__(cls)
    fill(element, data, meta, leaves)
    return element
