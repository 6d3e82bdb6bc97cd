"""Frozen nodes: a mapping and a sequence that are dict and list to read, and refuse to change."""

from collections.abc import Callable, Iterable, Mapping
from operator import is_
from types import MappingProxyType
from typing import Any, NoReturn, Self

from fkit.tree.equal import hashed, same
from fkit.tree.error import FkitAttributeError, FkitTypeError, FkitValueError, FrozenError, quoted
from fkit.tree.leaf import LEAVES, Refused, key_of, leaf
from fkit.tree.path import Path, show

__all__ = ["Items", "Node", "freeze", "marks_of", "meta_of", "same"]

_WORD = 1 << 62  # a number below it needs no look at how many digits it has
_DEPTH = 200  # what goes through a tree calls itself for each level, and Python's stack ends
_CHANGED = "Nothing here changes in place: new = cfg.merge({'path.to.key': value}) gives a changed copy."


def _frozen(what: str) -> FrozenError:
    return FrozenError(what, repair=_CHANGED)


class _Fields(dict[Any, Any]):
    """The slots of a node, under names that its own attributes do not hide."""

    __slots__ = ("__dict__", "_digest", "_marks", "_meta")
    _digest: int
    _marks: dict[Any, Any] | None
    _meta: Any


# a plain instance's attributes are read at the speed of C, so the items that no method hides lie there too
_new: Callable[[Any], Any] = dict[Any, Any].__new__
_fill: Callable[[Any, Any], None] = dict[Any, Any].update
_put_fields: Callable[[Any, dict[Any, Any]], None] = _Fields.__dict__["__dict__"].__set__
_put_digest: Callable[[Any, int], None] = _Fields._digest.__set__  # type: ignore[attr-defined]
_put_marks: Callable[[Any, Any], None] = _Fields._marks.__set__  # type: ignore[attr-defined]
_put_meta: Callable[[Any, Any], None] = _Fields._meta.__set__  # type: ignore[attr-defined]

marks_of: Callable[[Any], dict[Any, Any] | None] = _Fields._marks.__get__  # type: ignore[attr-defined]
meta_of: Callable[[Any], Any] = _Fields._meta.__get__  # type: ignore[attr-defined]
_digest_of: Callable[[Any], int] = _Fields._digest.__get__  # type: ignore[attr-defined]


class Node(_Fields):
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

    __slots__ = ()
    _methods: frozenset[str] = frozenset()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._methods = frozenset(dir(cls))

    def __new__(cls, content: Any = (), /) -> Self:
        if type(content) is cls:
            return content
        if not isinstance(content, Mapping):
            if content != ():
                raise FkitTypeError(f"A config wants a mapping, not {quoted(content)}.")
            content = {}
        return freeze(content, cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        """All is done by ``__new__``: a node cannot be filled a second time."""

    @classmethod
    def of(cls, items: dict[Any, Any], marks: dict[Any, Any] | None = None, meta: Any = None) -> Self:
        """A node of items that are frozen already, without a look at them; the dict is the node's from now on."""
        node = _new(cls)
        try:
            _fill(node, items)
        except (TypeError, ValueError):
            raise FkitTypeError(f"A config is made of a dict of frozen items, not of {quoted(items)}.") from None
        _put_marks(node, marks)
        _put_meta(node, meta)
        if type(items) is not dict or not cls._methods.isdisjoint(items):
            items = {key: value for key, value in dict.items(node) if key not in cls._methods}
        _put_fields(node, items)
        return node

    @property
    def __dict__(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What ``vars`` shows."""
        return MappingProxyType(self)

    # a name that is no attribute; ``__missing__`` gives the error, which is an AttributeError too
    __getattr__: Callable[[Any, str], Any] = dict.__getitem__

    def __missing__(self, key: Any) -> NoReturn:
        raise _missing(self, key)

    def __setattr__(self, name: str, value: Any) -> None:
        raise _frozen(f"A config is frozen: cannot set {name!r}.")

    def __delattr__(self, name: str) -> None:
        raise _frozen(f"A config is frozen: cannot delete {name!r}.")

    def __setitem__(self, key: Any, value: Any) -> None:
        raise _frozen(f"A config is frozen: cannot set {key!r}.")

    def __delitem__(self, key: Any) -> None:
        raise _frozen(f"A config is frozen: cannot delete {key!r}.")

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise _frozen("A config is frozen: it has no clear, update, setdefault or popitem.")

    clear = pop = update = setdefault = popitem = _refuse  # pyright: ignore[reportAssignmentType]

    def copy(self) -> Self:
        """The node itself: what never changes needs no copy."""
        return self

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __or__(self, other: Any) -> Any:
        return _joined(self, freeze(other, type(self)), self) if isinstance(other, Mapping) else NotImplemented

    __ior__ = __or__

    def __ror__(self, other: Any) -> Any:
        return _joined(freeze(other, type(self)), self, self) if isinstance(other, Mapping) else NotImplemented

    @classmethod
    def fromkeys(cls, iterable: Iterable[Any], value: Any = None, /) -> Self:
        """A node with the same value at each of the keys."""
        if not isinstance(iterable, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise FkitTypeError(f"Keys come as a list, not as {quoted(iterable)}.")
        return freeze(dict.fromkeys(iterable, value), cls)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Mapping) and same(self, other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        try:
            return _digest_of(self)
        except AttributeError:  # asked for the first time
            digest = hash(frozenset((hashed(k), hashed(v)) for k, v in self.items()))
            _put_digest(self, digest)
            return digest

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (type(self), dict(self), marks_of(self), meta_of(self))

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

    __slots__ = ("_kind",)
    _kind: "type[Node] | None"  # what mappings inside it are; None where the maker of the whole tree sees to it

    def __init__(self, content: Iterable[Any] = (), /) -> None:
        if hasattr(self, "_kind"):
            raise _frozen("A list of a config is frozen.")
        super().__init__(_frozen_items(content))
        _put_kind(self, Node)

    @classmethod
    def of(cls, items: list[Any], kind: type[Node] | None = None) -> Self:
        """A list of items that are frozen already, without a look at them."""
        new = list.__new__(cls)
        list.extend(new, items)
        _put_kind(new, kind)
        return new

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
        return hash((list, *map(hashed, self)))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Items.of, (list(self), self._kind)


_kind_of: Callable[[Any], Any] = Items._kind.__get__  # type: ignore[attr-defined]
_put_kind: Callable[[Any, Any], None] = Items._kind.__set__  # type: ignore[attr-defined]
Items.__name__ = "list"  # what messages call it, Python's and ours
Node.__init_subclass__()  # its own methods, as a subclass notes its own


def _joined(left: Node, right: Node, whole: Node) -> Node:
    """The keys of two nodes, each with its own mark; what is known of the whole is known of ``whole``."""
    marks = {**(marks_of(left) or {}), **dict.fromkeys(right), **(marks_of(right) or {})}
    return type(whole).of({**left, **right}, marks if any(marks.values()) else None, meta_of(whole))


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
        mappings as ``kind``, lists as frozen lists, sets as frozensets, tuples of frozen items (a named tuple keeps its
        class), numbers of numpy as numbers, other leaves as they are.

    Raises:
        FkitTypeError: a leaf that can change (an array, a bytearray, a deque), or code that has no name (a module, a
            lambda, a functools.partial).
        FkitValueError: a whole number of more than 4,300 digits; a tree nested too deeply, or that holds itself.

    Example:
        >>> freeze({"a": [1, (2, {"b": 3})]})
        Node({'a': [1, (2, Node({'b': 3}))]})
    """
    if type(value) in (str, kind):
        return value
    try:
        return _freeze(value, kind, 0)
    except Refused as refused:
        raise refused.error(show(_path_to(refused.value, value) or ())) from None
    except RecursionError:
        raise FkitValueError(f"The value is nested more than {_DEPTH} levels deep, or holds itself.") from None


def _freeze(value: Any, kind: type[Node], depth: int) -> Any:
    known: Any = type(value)
    if known is kind or (known in LEAVES and (known is not int or -_WORD < value < _WORD)):
        return value
    if depth >= _DEPTH:
        raise RecursionError
    below = depth + 1
    if isinstance(value, dict):
        items: dict[Any, Any] = {
            k if type(k) is str else _freeze_key(k, kind, below): v if type(v) is str else _freeze(v, kind, below)
            for k, v in value.items()
        }
        return kind.of(items, marks_of(value), meta_of(value)) if isinstance(value, Node) else kind.of(items)
    if isinstance(value, list):
        if isinstance(value, Items) and _kind_of(value) in (kind, None):
            return value
        return Items.of([v if type(v) is str else _freeze(v, kind, below) for v in value], kind)
    if isinstance(value, tuple):
        parts = [v if type(v) is str else _freeze(v, kind, below) for v in value]
        if _unchanged(parts, value):
            return value
        make: Any = getattr(known, "_make", None)  # a named tuple keeps its class
        return make(parts) if make is not None else tuple(parts)
    if isinstance(value, (set, frozenset)):
        parts = [_freeze(v, kind, below) for v in value]
        return value if known is frozenset and _unchanged(parts, value) else frozenset(parts)
    return _freeze(dict(value), kind, below) if isinstance(value, Mapping) else leaf(value)


def _freeze_key(key: Any, kind: type[Node], depth: int) -> Any:
    return _freeze(key, kind, depth) if isinstance(key, (tuple, frozenset, Node, Items)) else key_of(key)


def _unchanged(new: list[Any], old: Iterable[Any]) -> bool:
    return all(map(is_, new, old))


def _frozen_items(content: Any) -> list[Any]:
    """The items of a list, frozen; nodes of any kind stay what they are."""
    if not isinstance(content, Iterable) or isinstance(content, (str, bytes, Mapping)):
        raise FkitTypeError(f"A list of a config is made of a list, not of {quoted(content)}.")
    items = list(content)
    new = [item if isinstance(item, Node) else freeze(item) for item in items]
    return items if _unchanged(new, items) else new


def _path_to(leaf: Any, tree: Any) -> Path | None:
    """Where a value stands, by identity; None where it is not there."""
    if leaf is tree:
        return ()
    if isinstance(tree, Mapping):
        pairs: Iterable[tuple[Any, Any]] = tree.items()
        if any(key is leaf for key, _ in pairs):
            return ()
    elif isinstance(tree, (list, tuple)):
        pairs = enumerate(tree)
    else:
        return None
    for key, item in pairs:
        below = _path_to(leaf, item)
        if below is not None:
            return (key, *below)
    return None
