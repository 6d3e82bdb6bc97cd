"""DataElement: named data and named meta information of one sample, frozen.

Where mmengine's BaseDataElement changes in place, this gives a new element:

===================================  ===========================================
there                                here
===================================  ===========================================
``x.bboxes = b``, ``del x.bboxes``   ``x.set(bboxes=b)``, ``x.drop("bboxes")``
``x.set_metainfo({"h": 2})``         ``x.with_meta(h=2)``
``x.pop("bboxes")``                  ``rest, bboxes = x.pop("bboxes")``
``x.update(y)``                      ``x.update(y)``, which is a new element
``x.clone()``                        ``x``
===================================  ===========================================
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from types import NoneType, UnionType
from typing import Any, Self, Union, cast, get_args, get_origin, get_type_hints

from frozendict import frozendict

from fkit.array import room
from fkit.structures.auxiliary import Aux
from fkit.structures.content import family, host, is_array
from fkit.structures.field import ABSENT, EMPTY, Fields, fill, made
from fkit.tree.error import FkitAttributeError, FkitTypeError, FkitValueError

__all__ = ["Aux", "DataElement", "from_parts", "tree_parts"]


class DataElement(Fields):
    """Data and meta fields under names that are disjoint. Frozen: each method gives a new element.

    A subclass declares typed fields by annotations; ``set`` then refuses other types (None is always allowed)::

        class DetSample(DataElement):
            gt_instances: InstanceData

    The kit's own classes are pytrees of torch and JAX once a room is opened; one of yours becomes one by
    ``jax.tree_util.register_pytree_node(Mine, tree_parts, from_parts)``, and its like in torch.

    Args:
        metainfo: meta fields: what describes the data (``img_shape``, ``img_path``); copied.
        data: data fields: arrays, elements, anything.

    Example:
        >>> import numpy as np
        >>> x = DataElement(metainfo={"img_shape": (4, 6)}, mask=np.zeros((4, 6)))
        >>> y = x.set(score=0.5).with_meta(scale=2.0)
        >>> "score" in x, y.score, y.scale, y.keys(), y.metainfo_keys()
        (False, 0.5, 2.0, ('mask', 'score'), ('img_shape', 'scale'))
        >>> y.score = 1.0
        Traceback (most recent call last):
        ...
        fkit.tree.error.FrozenError: DataElement is frozen: cannot set 'score'.
          A changed copy: new = element.set(score=...)
    """

    __slots__ = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        hints = get_type_hints(cls)
        cls._typed = tuple(
            (name, kinds) for name, hint in hints.items() if name[0] != "_" and (kinds := _kinds(hint)) is not None
        )

    def __init__(self, *, metainfo: Mapping[str, Any] | None = None, **data: Any) -> None:
        fill(self, EMPTY, EMPTY)
        filled = self._changed(data, EMPTY if metainfo is None else metainfo)
        fill(self, filled._data, filled._meta)

    # ------------------------------------------------------------------------------------------- what changes

    def set(self, **fields: Any) -> Self:
        """An element with these data fields.

        Raises:
            FkitAttributeError: a name is a meta field, or one of the class.
            FkitTypeError: not the type that the class declares.
            FkitValueError: not the shape or length that the class asks for.

        Example:
            >>> DataElement(a=1).set(a=2, b=3).to_dict()
            {'a': 2, 'b': 3}
        """
        return self._changed(fields, EMPTY)

    def drop(self, *names: str) -> Self:
        """An element without these fields, data or meta.

        Raises:
            FkitKeyError: there is no such field.

        Example:
            >>> DataElement(a=1, b=2, metainfo={"c": 3}).drop("a", "c").to_dict()
            {'b': 2}
        """
        for name in names:
            if name not in self:
                raise self._missing(name)
        data, meta = (
            frozendict[str, Any]({k: v for k, v in fields.items() if k not in names})
            for fields in (self._data, self._meta)
        )
        return made(type(self), data, meta)

    def pop(self, name: str, default: Any = ABSENT) -> tuple[Self, Any]:
        """An element without a field, data or meta, and the field's value.

        Example:
            >>> rest, value = DataElement(a=1, b=2).pop("a")
            >>> value, rest.keys()
            (1, ('b',))
        """
        if name not in self and default is not ABSENT:
            return self, default
        rest = self.drop(name)
        return rest, self.get(name)

    def with_meta(self, metainfo: Mapping[str, Any] | None = None, /, **fields: Any) -> Self:
        """An element with these meta fields; those of other names stay.

        Raises:
            FkitAttributeError: a name is a data field, or one of the class.

        Example:
            >>> DataElement(metainfo={"h": 1}).with_meta({"w": 2}, h=3).to_dict()
            {'h': 3, 'w': 2}
        """
        return self._changed(EMPTY, {**(metainfo or {}), **fields})

    def new(self, *, metainfo: Mapping[str, Any] | None = None, **data: Any) -> Self:
        """An element of the same class; what is given replaces all data, or all meta, and what is not stays.

        Example:
            >>> DataElement(a=1, metainfo={"h": 2}).new(b=3).to_dict()
            {'h': 2, 'b': 3}
        """
        empty = made(type(self), EMPTY, EMPTY)
        return empty._changed(data or self._data, self._meta if metainfo is None else metainfo)

    def update(self, other: "DataElement") -> Self:
        """An element with the fields of another over its own.

        Example:
            >>> DataElement(a=1, b=2).update(DataElement(b=3)).to_dict()
            {'a': 1, 'b': 3}
        """
        return self._changed(other._data, other._meta)

    def _changed(self, data: Mapping[str, Any], meta: Mapping[str, Any]) -> Self:
        for name in (*data, *meta):
            self._check_name(name)
        for ours, theirs, kind in ((data, {**self._meta, **meta}, "data"), (meta, {**self._data, **data}, "meta")):
            for name in ours:
                if name in theirs:
                    other = "meta" if kind == "data" else "data"
                    raise FkitAttributeError(
                        f"Cannot set {name!r} to be a {kind} field: it is already a {other} field.",
                        repair=f"drop({name!r}) first.",
                    )
        checked = {name: self._checked(name, value) for name, value in data.items()}
        changed = made(
            type(self),
            frozendict({**self._data, **checked}),
            # deep copies, as mmengine makes: a list of the caller's must not change what is frozen
            frozendict({**self._meta, **{name: _own(value) for name, value in meta.items()}}) if meta else self._meta,
        )
        changed._verify()
        return changed

    def _check_name(self, name: Any) -> None:
        if not isinstance(name, str):
            raise FkitTypeError(f"A field's name is a str, not {name!r}.")
        if hasattr(type(self), name):
            raise FkitAttributeError(f"{name!r} is a method or property of {type(self).__name__}: choose another name.")

    def _checked(self, name: str, value: Any) -> Any:
        """The value as it is kept; classes with rules of their own refine it."""
        kinds = next((kinds for typed, kinds in self._typed if typed == name), None)
        if kinds is not None and value is not None and not isinstance(value, kinds):
            allowed = " or ".join(kind.__name__ for kind in kinds)
            raise FkitTypeError(f"{type(self).__name__}.{name} is a {allowed}, not a {type(value).__name__}.")
        return value

    def _verify(self) -> None:
        """What must hold among the fields; for subclasses."""

    # ------------------------------------------------------------------------------------------- where arrays are

    def map_arrays(self, function: Callable[[Any], Any]) -> Self:
        """An element whose arrays, also in nested elements, are what ``function`` makes of them.

        Example:
            >>> import numpy as np
            >>> DataElement(a=np.arange(2), b="x").map_arrays(lambda a: a + 1).to_dict()
            {'a': array([1, 2]), 'b': 'x'}
        """

        def mapped(value: Any) -> Any:
            if isinstance(value, DataElement):
                return value.map_arrays(function)
            return function(value) if is_array(value) else value

        return made(type(self), frozendict({k: mapped(v) for k, v in self._data.items()}), self._meta)

    def to(self, device: str) -> Self:
        """An element with its arrays on a device; numpy's stay numpy's, and are on the host only.

        Args:
            device: "cpu", "cuda", "cuda:1", ...: a name of the arrays' own library.

        Raises:
            FkitValueError: a numpy array is to leave the host.
        """

        def moved(array: Any) -> Any:
            own = cast(str, family(array))
            if own == "numpy":
                if device != "cpu":
                    raise FkitValueError(
                        f"a numpy array is on the host and cannot go to {device!r}.",
                        repair=f"element.to_torch().to({device!r}), or element.to_jax().",
                    )
                return array
            return room.open(own).to_device(array, device)

        return self.map_arrays(moved)

    def cpu(self) -> Self:
        """An element with its arrays in the host's memory."""
        return self.to("cpu")

    def cuda(self) -> Self:
        """An element with its arrays on the first GPU."""
        return self.to("cuda")

    def detach(self) -> Self:
        """An element whose torch tensors are cut from the graph that made them."""
        return self.map_arrays(lambda array: array.detach() if family(array) == "torch" else array)

    def numpy(self) -> Self:
        """An element whose arrays are numpy's."""
        return self.map_arrays(host)

    def to_torch(self) -> Self:
        """An element whose arrays are torch tensors; opens torch's room."""
        return self._moved_to("torch")

    def to_jax(self) -> Self:
        """An element whose arrays are JAX's; opens JAX's room."""
        return self._moved_to("jax")

    def _tree_parts(self) -> tuple[tuple[Any, ...], Aux]:
        data, marked = self._data, self._leaves
        names = tuple(sorted(k for k, v in data.items() if k in marked or isinstance(v, DataElement) or is_array(v)))
        fixed = {name: value for name, value in data.items() if name not in names}
        return tuple(data[name] for name in names), Aux(type(self), names, tuple(data), fixed, self._meta)

    def _moved_to(self, name: str) -> Self:
        backend = room.open(name)
        return self.map_arrays(lambda array: array if family(array) == name else backend.asarray(host(array)))


# ---------------------------------------------------------------------------------------------------- making elements


def _kinds(hint: Any) -> tuple[type, ...] | None:
    """The classes that an annotation allows; None where it allows what isinstance cannot tell."""
    if get_origin(hint) in (Union, UnionType):
        parts = [_kinds(part) for part in get_args(hint) if part is not NoneType]
        return None if None in parts else tuple(kind for part in parts if part is not None for kind in part)
    return (hint,) if isinstance(hint, type) else None


def _own(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, int, float)) else deepcopy(value)


# ------------------------------------------------------------------------------------------------------------ pytrees


def tree_parts(element: DataElement) -> tuple[tuple[Any, ...], Aux]:
    """An element as a pytree's node: its arrays and nested elements by name, and the rest.

    Returns:
        (leaves, aux), as JAX's ``flatten_func`` and torch's give them; ``aux.names`` are the leaves' names.

    Example:
        >>> import numpy as np
        >>> leaves, aux = tree_parts(DataElement(label="cat", box=np.zeros(4), metainfo={"h": 1}))
        >>> leaves, aux.names
        ((array([0., 0., 0., 0.]),), ('box',))
        >>> from_parts(aux, leaves).label
        'cat'
    """
    return element._tree_parts()  # pyright: ignore[reportPrivateUsage]


def from_parts(aux: Aux, leaves: Any) -> DataElement:
    """The element that `tree_parts` took apart, with other leaves; they may be anything, as pytrees ask.

    Example:
        >>> import numpy as np
        >>> leaves, aux = tree_parts(DataElement(box=np.zeros(4)))
        >>> tree_parts(from_parts(aux, [None]))[0]
        (None,)
    """
    values = {**aux.fixed.value, **dict(zip(aux.names, leaves, strict=True))}
    data = frozendict[str, Any]({name: values[name] for name in aux.order})
    return made(aux.cls, data, aux.meta.value, frozenset(aux.names))
