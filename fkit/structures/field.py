"""The fields of an element: kept, and asked for."""

from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn, Self

from frozendict import frozendict

from fkit.structures.content import content
from fkit.structures.freeze import freeze, thaw
from fkit.structures.render import render
from fkit.tree.absent import ABSENT
from fkit.tree.error import FkitAttributeError, FkitTypeError, FrozenError, nearest, quoted

__all__ = ["Fields", "element_of", "fill", "parts_of"]

_NONE = frozenset[str]()
# what mmengine's users reach for, and what it is here
_RENAMED = (
    ("set_metainfo", "with_meta(name=value)"),
    ("set_field", "set(name=value); a subclass declares a field's class by an annotation"),
    ("set_data", "set(name=value)"),
    ("to_tensor", "to_torch()"),
    ("clone", "the element itself: it never changes"),
    ("npu", "to('npu')"),
    ("mlu", "to('mlu')"),
    ("musa", "to('musa')"),
)


class _Room:
    """What an element holds. Fields are kept in the instance's own dict too, where Python reads attributes fastest."""

    __slots__ = ("__dict__", "_data", "_leaves", "_meta")


_ROOM = frozenset(("_data", "_leaves", "_meta"))


class Fields(_Room):
    """Data and meta fields, frozen: the reading half of `fkit.structures.DataElement`.

    Example:
        >>> from fkit.structures import DataElement
        >>> x = DataElement(metainfo={"h": 4}, a=1)
        >>> x.a, x.h, x.get("b", 0), "h" in x, x.items(), x.all_keys()
        (1, 4, 0, True, (('a', 1),), ('h', 'a'))
    """

    __slots__ = ()
    _data: dict[str, Any]
    _meta: Mapping[str, Any]
    _leaves: frozenset[str]  # fields that stand for arrays whatever they hold, while a framework maps over them
    _typed: ClassVar[Mapping[str, tuple[type, ...]]] = frozendict()  # the classes that a subclass declares
    _taken: ClassVar[frozenset[str]] = frozenset()  # names of the class, which no field can have
    _backing: ClassVar[frozenset[str]] = frozenset()  # "_x" of a class with a property x: no key of its own
    # equality is by content, and arrays are not hashable
    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __getattr__(self, name: str) -> NoReturn:  # for what is not there: fields are found before
        if name[:2] != "__" and name not in _ROOM:
            raise self._missing(name)
        raise AttributeError(name)

    def _missing(self, name: str) -> FkitAttributeError:
        repair = next((f"In place of mmengine's {name}: {here}." for there, here in _RENAMED if there == name), "")
        names = self.all_keys()
        what = "is not set" if name in self._typed else "is no field"
        return FkitAttributeError(
            f"{name!r} {what} of this {type(self).__name__}.",
            value=None if repair or nearest(name, names) is None else name,
            choices=names,
            label="Fields",
            repair=repair,
        )

    @property
    def __dict__(self) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All fields, as a fresh dict: changing it changes no element."""
        return {**self._data, **self._meta}

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
        """A field's value, data or meta; ``default`` where there is none.

        Raises:
            FkitTypeError: ``name`` is no str.
        """
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise FkitTypeError(f"A field's name is a str, not {quoted(name)}.")
        value = self._data.get(name, ABSENT)
        return self._meta.get(name, default) if value is ABSENT else value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self._data or name in self._meta)

    @property
    def metainfo(self) -> Mapping[str, Any]:
        """The meta fields."""
        return self._meta

    def keys(self) -> tuple[str, ...]:
        """The data fields' names; ``_x`` is none where the class has a property ``x``."""
        return tuple(self._shown())

    def values(self) -> tuple[Any, ...]:
        """The data fields' values."""
        return tuple(self._shown().values())

    def items(self) -> tuple[tuple[str, Any], ...]:
        """The data fields."""
        return tuple(self._shown().items())

    def _shown(self) -> dict[str, Any]:
        data = self._data
        if self._backing.isdisjoint(data):
            return data
        return {name: value for name, value in data.items() if name not in self._backing}

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
        return (*self._meta, *self.keys())

    def all_values(self) -> tuple[Any, ...]:
        """The values of all fields, meta first."""
        return (*self._meta.values(), *self.values())

    def all_items(self) -> tuple[tuple[str, Any], ...]:
        """All fields, meta first."""
        return (*self._meta.items(), *self.items())

    def to_dict(self) -> dict[str, Any]:
        """All fields as a fresh dict, meta among them; nested elements as dicts, lists as fresh lists."""
        return {k: v.to_dict() if isinstance(v, Fields) else thaw(v) for k, v in self.all_items()}

    def __content__(self) -> Any:
        return type(self), content(self._data), content(self._meta)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Fields):
            return NotImplemented
        return type(self) is type(other) and self.__content__() == other.__content__()

    def __repr__(self) -> str:
        return render(type(self).__name__, self.metainfo_items(), self.items())

    def __reduce__(self) -> tuple[Any, ...]:
        return element_of, (type(self), self._data, self._meta, self._leaves)

    def __copy__(self) -> Self:
        return self


_put_fields: Any = _Room.__dict__["__dict__"].__set__  # the class shows a copy under that name
_put_data: Any = _Room.__dict__["_data"].__set__
_put_meta: Any = _Room.__dict__["_meta"].__set__
_put_leaves: Any = _Room.__dict__["_leaves"].__set__
_data_of: Any = _Room.__dict__["_data"].__get__
_meta_of: Any = _Room.__dict__["_meta"].__get__
_leaves_of: Any = _Room.__dict__["_leaves"].__get__


def fill(element: Fields, data: dict[str, Any], meta: Mapping[str, Any], leaves: frozenset[str] = _NONE) -> None:
    """Set a new element's fields, once: values that are frozen."""
    _put_fields(element, {**data, **meta})
    _put_data(element, data)
    _put_meta(element, meta)
    _put_leaves(element, leaves)


def element_of(cls: type[Any], data: Mapping[str, Any], meta: Mapping[str, Any], leaves: frozenset[str] = _NONE) -> Any:
    """An element of data that is known to be right, and is frozen here; ``meta`` is another element's."""
    element = object.__new__(cls)
    fill(element, {name: freeze(value) for name, value in data.items()}, meta, leaves)
    return element


def parts_of(element: Fields) -> tuple[dict[str, Any], Mapping[str, Any], frozenset[str]]:
    """What `fill` put into an element: its data, its meta fields, and the names of what stands for arrays."""
    return _data_of(element), _meta_of(element), _leaves_of(element)
