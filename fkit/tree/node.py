"""Frozen nodes: a mapping and a sequence that are dict and list to read, and refuse to change."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, Self

from fkit.tree.error import FkitAttributeError, FkitTypeError, FkitValueError, FrozenError

__all__ = ["Items", "Node", "freeze", "marks_of", "meta_of", "same"]

_ABSENT = object()
_LEAVES = (str, int, float, bool, type(None))
_CONTAINERS = (dict, list, tuple, set, frozenset)


def _frozen(what: str) -> FrozenError:
    return FrozenError(
        what, repair="Nothing here changes in place: new = cfg.merge({'path.to.key': value}) gives a changed copy."
    )


class Node(dict[Any, Any]):
    """A frozen mapping with attribute access; equality and hash are those of its content, key order aside.

    Two numbers of different types differ (1, 1.0 and True), nan equals nan, a list never equals a tuple. ``_marks``
    (where each key was set) and ``_meta`` (what is known of the whole) ride beside and count in neither.

    Args:
        content: the mapping to freeze, by default empty; nested mappings become nodes of the same class.

    Raises:
        FkitTypeError: ``content`` is no mapping.

    Example:
        >>> node = Node({"a": {"b": [1, 2]}})
        >>> node.a.b, node == Node({"a": {"b": [1, 2]}}), node == Node({"a": {"b": [1.0, 2]}})
        ([1, 2], True, False)
    """

    __slots__ = ("_digest", "_marks", "_meta")
    _digest: int | None
    _marks: dict[Any, Any] | None
    _meta: Any

    def __new__(cls, content: Any = (), /) -> Self:
        if isinstance(content, cls) and type(content) is cls:
            return content
        if not isinstance(content, Mapping):
            if content != ():
                raise FkitTypeError(
                    f"{cls.__name__} wants a mapping, got {type(content).__name__} {str(content)[:60]!r}."
                )
            content = {}
        try:
            return freeze(content, cls)
        except RecursionError:
            raise FkitValueError(f"{cls.__name__}: the mapping is nested too deeply, or holds itself.") from None

    def __init__(self, *_: Any, **__: Any) -> None:
        """All is done by ``__new__``: a node cannot be filled a second time."""

    @classmethod
    def of(cls, items: dict[Any, Any], marks: dict[Any, Any] | None = None, meta: Any = None) -> Self:
        """A node of items that are frozen already, without a look at them."""
        node = dict.__new__(cls)
        dict.update(node, items)
        _put_digest(node, None)
        _put_marks(node, marks)
        _put_meta(node, meta)
        return node

    # an item read at the speed of C; ``__missing__`` gives the error, which is an AttributeError too
    __getattr__: Callable[[Any, str], Any] = dict.__getitem__

    def __missing__(self, key: Any) -> NoReturn:
        raise _missing(self, key)

    def __setattr__(self, name: str, value: Any) -> None:
        raise _frozen(f"{type(self).__name__} is frozen: cannot set {name!r}.")

    def __delattr__(self, name: str) -> None:
        raise _frozen(f"{type(self).__name__} is frozen: cannot delete {name!r}.")

    def __setitem__(self, key: Any, value: Any) -> None:
        raise _frozen(f"{type(self).__name__} is frozen: cannot set {key!r}.")

    def __delitem__(self, key: Any) -> None:
        raise _frozen(f"{type(self).__name__} is frozen: cannot delete {key!r}.")

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise _frozen(f"{type(self).__name__} is frozen: it has no clear, update, setdefault or popitem.")

    clear = update = setdefault = popitem = _refuse  # pyright: ignore[reportAssignmentType]

    def copy(self) -> Self:
        """The node itself: what never changes needs no copy."""
        return self

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __or__(self, other: Any) -> Any:
        if not isinstance(other, Mapping):
            return NotImplemented
        kind = type(self)
        return kind.of({**self, **{k: freeze(v, kind) for k, v in other.items()}})

    __ior__ = __or__

    def __ror__(self, other: Any) -> Any:
        return freeze({**other, **self}, type(self)) if isinstance(other, Mapping) else NotImplemented

    @classmethod
    def fromkeys(cls, iterable: Iterable[Any], value: Any = None, /) -> Self:
        """A node with the same value at each of the keys."""
        return freeze(dict.fromkeys(iterable, value), cls)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Mapping) and same(self, other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        known = self._digest
        if known is None:
            known = hash(frozenset((_hash(k), _hash(v)) for k, v in self.items()))
            _put_digest(self, known)
        return known

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (type(self), dict(self), self._marks, self._meta)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(k for k in self if isinstance(k, str) and k.isidentifier())]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict.__repr__(self)})"


class Items(list[Any]):
    """A frozen list: equal to a list of the same items, never to a tuple.

    Example:
        >>> Items([1, 2]) == [1, 2], Items([1]) == (1,), Items([1]) == [True]
        (True, False, False)
    """

    __slots__ = ("_sealed",)

    def __init__(self, content: Iterable[Any] = (), /) -> None:
        if getattr(self, "_sealed", False):
            raise _frozen("A list of a config is frozen.")
        super().__init__(content)
        object.__setattr__(self, "_sealed", True)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise _frozen("A list of a config is frozen.")

    append = extend = insert = remove = pop = clear = sort = reverse = _refuse  # pyright: ignore[reportAssignmentType]
    __setitem__ = __delitem__ = __setattr__ = __delattr__ = _refuse

    def __add__(self, other: Any) -> Any:
        return [*self, *other] if isinstance(other, list) else NotImplemented

    __iadd__ = __add__

    def __mul__(self, times: Any) -> Any:
        return list(self) * times

    __imul__ = __rmul__ = __mul__

    def copy(self) -> list[Any]:
        """A fresh list of the same items, free to change."""
        return list(self)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, list) and same(self, other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return hash(("list", *map(_hash, self)))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Items, (list(self),)


_put_digest: Callable[[Any, Any], None] = Node._digest.__set__  # type: ignore[attr-defined]
_put_marks: Callable[[Any, Any], None] = Node._marks.__set__  # type: ignore[attr-defined]
_put_meta: Callable[[Any, Any], None] = Node._meta.__set__  # type: ignore[attr-defined]

marks_of: Callable[[Any], dict[Any, Any] | None] = Node._marks.__get__  # type: ignore[attr-defined]
meta_of: Callable[[Any], Any] = Node._meta.__get__  # type: ignore[attr-defined]
_digest_of: Callable[[Any], int | None] = Node._digest.__get__  # type: ignore[attr-defined]


def _rebuild(kind: type[Node], items: dict[Any, Any], marks: dict[Any, Any] | None, meta: Any) -> Node:
    return kind.of(items, marks, meta)


def _missing(node: Node, key: Any) -> FkitAttributeError:
    keys = [str(k) for k in node]
    return FkitAttributeError(f"There is no key {key!r} here.", value=str(key), choices=keys, label="Keys")


def freeze(value: Any, kind: type[Node] = Node) -> Any:
    """The same tree of frozen nodes; what is frozen already is shared, not copied.

    Args:
        value: any tree of mappings, lists, tuples and sets.
        kind: the class that mappings become.

    Returns:
        mappings as ``kind``, lists as ``Items``, sets as frozensets, tuples of frozen items, leaves as they are.

    Example:
        >>> freeze({"a": [1, (2, {"b": 3})]})
        Node({'a': [1, (2, Node({'b': 3}))]})
    """
    found: Any = type(value)
    if found is kind or found is Items:
        return value
    if not isinstance(value, _CONTAINERS):
        if found in _LEAVES:
            return value
        if isinstance(value, Mapping):
            return freeze(dict(value), kind)
        # a number of numpy's is a number; it would have no text otherwise
        return value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value
    if isinstance(value, dict):
        items: dict[Any, Any] = {k: freeze(v, kind) for k, v in value.items()}
        return kind.of(items, marks_of(value), meta_of(value)) if isinstance(value, Node) else kind.of(items)
    if isinstance(value, list):
        return Items([freeze(v, kind) for v in value])
    if isinstance(value, tuple):
        return _freeze_tuple(value, kind)
    return frozenset(freeze(v, kind) for v in value)


def _freeze_tuple(value: tuple[Any, ...], kind: type[Node]) -> Any:
    items = [freeze(v, kind) for v in value]
    if all(new is old for new, old in zip(items, value, strict=True)):
        return value
    made: Any = getattr(type(value), "_make", None)  # a named tuple keeps its class
    return made(items) if made is not None else tuple(items)


def same(a: Any, b: Any) -> bool:
    """Whether two trees are equal as config values: types count, mapping order does not, nan equals nan.

    Example:
        >>> same({"a": 1}, {"a": 1}), same(1, 1.0), same(float("nan"), float("nan")), same([1], (1,))
        (True, False, True, False)
    """
    if a is b:
        return True
    if isinstance(a, dict):
        return _same_mapping(a, b)
    if isinstance(a, (list, tuple)):
        kind = list if isinstance(a, list) else tuple
        if not isinstance(b, kind) or len(a) != len(b):
            return False
        return all(map(same, a, b))
    if isinstance(a, float):
        if not isinstance(b, float):
            return False
        return (a == b and math.copysign(1, a) == math.copysign(1, b)) or (a != a and b != b)
    if isinstance(a, (frozenset, set)):
        return isinstance(b, (frozenset, set)) and len(a) == len(b) and {_hash(x) for x in a} == {_hash(x) for x in b}
    if isinstance(a, Mapping):
        return _same_mapping(dict(a), b)
    if type(a) is not type(b):
        return False
    try:
        return bool(a == b)
    except (ValueError, RuntimeError, TypeError):  # an array has no single truth
        return False


def _same_mapping(a: dict[Any, Any], b: Any) -> bool:
    if isinstance(a, Node) and isinstance(b, Node):
        left, right = _digest_of(a), _digest_of(b)
        if left is not None and right is not None and left != right:
            return False
    if not isinstance(b, Mapping) or len(a) != len(b):
        return False
    other: dict[Any, Any] = b if isinstance(b, dict) else dict(b)
    for key, value in a.items():
        if type(key) is not str:  # 1 and True are one key to a dict, and nan is none
            return _same_by_hash(a, other)
        found = dict.get(other, key, _ABSENT)
        if found is not value and (found is _ABSENT or not same(value, found)):
            return False
    return True


def _same_by_hash(a: dict[Any, Any], b: dict[Any, Any]) -> bool:
    left, right = ({_hash(key): value for key, value in table.items()} for table in (a, b))
    return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())


def _hash(value: Any) -> int:
    if isinstance(value, float):
        return hash(("float", repr(float(value))))
    if isinstance(value, Node):
        return value.__hash__()
    if isinstance(value, (int, str)):
        return hash((type(value), value))
    if isinstance(value, tuple):
        return hash(("tuple", *map(_hash, value)))
    if isinstance(value, list):
        return hash(("list", *map(_hash, value)))
    if isinstance(value, (set, frozenset)):
        return hash(("set", frozenset(map(_hash, value))))
    try:
        return hash(value)
    except TypeError:
        return id(type(value))
