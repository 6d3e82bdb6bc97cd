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
from types import NoneType, UnionType
from typing import Any, Self, Union, cast, get_args, get_origin, get_type_hints

from frozendict import frozendict

from fkit.array import room
from fkit.structures.content import family, host, is_array
from fkit.structures.field import Fields, element_of, fill
from fkit.structures.freeze import freeze, freeze_copy
from fkit.tree.absent import ABSENT
from fkit.tree.error import FkitAttributeError, FkitTypeError, FkitValueError, like, quoted
from fkit.tree.frozen import EMPTY

__all__ = ["DataElement", "element_in"]


class DataElement(Fields):
    """Data and meta fields under names that are disjoint. Frozen: each method gives a new element.

    What a field is given is frozen on entry: lists as frozen lists, dicts as frozendicts, sets as frozensets, at any
    depth, so that the caller's own may change without changing the element. A numpy array is kept as a read-only view:
    nobody writes to it through the element, and nothing is copied; it is the caller who hands the memory over, and who
    goes on writing to the array of his own changes the picture. Tensors are handed over too. Meta fields are copied.

    A subclass declares typed fields by annotations; ``set`` then refuses other types (None is always allowed)::

        class DetSample(DataElement):
            gt_instances: InstanceData

    The kit's own classes are pytrees of torch and JAX once a room is opened; one of yours becomes one by
    ``jax.tree_util.register_pytree_node(Mine, tree_parts, from_parts)``, and its like in torch.

    Args:
        metainfo: meta fields: what describes the data (``img_shape``, ``img_path``); copied.
        data: data fields: arrays, elements, anything.

    Raises:
        FkitAttributeError: a name is both, or one of the class.
        FkitTypeError: ``metainfo`` is no mapping, or a field is not of the type that the class declares.

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
        try:
            hints = get_type_hints(cls)
        except NameError as cause:
            raise FkitTypeError(
                f"{cls.__name__}: the annotation of a field names {cause.name!r}, which is not there when the class is made.",
                repair="Import it before the class, not under TYPE_CHECKING.",
            ) from cause
        cls._typed = frozendict(
            {name: kinds for name, hint in hints.items() if name[0] != "_" and (kinds := _kinds(hint)) is not None}
        )
        for name in cls._typed:
            if hasattr(cls, name):
                raise FkitTypeError(
                    f"{cls.__name__}.{name} has a default, which a field of an element cannot have.",
                    repair=f"Declare it by its annotation alone, and give it at construction: {cls.__name__}({name}=...).",
                )
        cls._taken = frozenset(dir(cls))
        cls._backing = frozenset(f"_{name}" for name in cls._taken if isinstance(getattr(cls, name), property))

    def __init__(self, *, metainfo: Mapping[str, Any] | None = None, **data: Any) -> None:
        fill(self, {}, EMPTY)
        fill(self, *self._fields(data, EMPTY if metainfo is None else _mapping(metainfo, "metainfo")))
        self._verify()

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
        return self._with(fields, EMPTY)

    def drop(self, *names: str) -> Self:
        """An element without these fields, data or meta.

        Raises:
            FkitKeyError: there is no such field.

        Example:
            >>> DataElement(a=1, b=2, metainfo={"c": 3}).drop("a", "c").to_dict()
            {'b': 2}
        """
        for name in names:
            if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise FkitTypeError(f"A field's name is a str, not {quoted(name)}.")
            if name not in self:
                raise self._missing(name)
        data, meta = ({k: v for k, v in fields.items() if k not in names} for fields in (self._data, self._meta))
        return element_of(type(self), data, frozendict(meta))

    def pop(self, name: str, default: Any = ABSENT) -> tuple[Self, Any]:
        """An element without a field, data or meta, and the field's value.

        Args:
            name: the field's.
            default: the value where there is none; without it that is an error.

        Raises:
            FkitKeyError: there is no such field, and no default.

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
        return self._with(EMPTY, {**({} if metainfo is None else _mapping(metainfo, "metainfo")), **fields})

    def new(self, *, metainfo: Mapping[str, Any] | None = None, **data: Any) -> Self:
        """An element of the same class; what is given replaces all data, or all meta, and what is not stays.

        Example:
            >>> DataElement(a=1, metainfo={"h": 2}).new(b=3).to_dict()
            {'h': 2, 'b': 3}
        """
        empty = element_of(type(self), EMPTY, EMPTY)
        return empty._with(data or self._data, self._meta if metainfo is None else _mapping(metainfo, "metainfo"))

    def update(self, other: "DataElement") -> Self:
        """An element with the fields of another over its own.

        Raises:
            FkitTypeError: ``other`` is no element.

        Example:
            >>> DataElement(a=1, b=2).update(DataElement(b=3)).to_dict()
            {'a': 1, 'b': 3}
        """
        return self._with(element_in(other)._data, other._meta)

    def _with(self, data: Mapping[str, Any], meta: Mapping[str, Any]) -> Self:
        new = object.__new__(type(self))
        fill(new, *self._fields(data, meta))
        new._verify()
        return new

    def _fields(self, data: Mapping[str, Any], meta: Mapping[str, Any]) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """The data and the meta fields with these over the element's own, checked and frozen."""
        for name in data:
            self._check_name(name, "data", self._meta if name in self._meta else meta)
        for name in meta:
            self._check_name(name, "meta", self._data)
        fields = {**self._data, **{name: freeze(self._checked(name, value)) for name, value in data.items()}}
        if not meta:
            return fields, self._meta
        # deep copies, as mmengine makes: an array of the caller's must not change what describes the data
        copies = {name: freeze_copy(value) for name, value in meta.items()}
        return fields, frozendict[str, Any]({**self._meta, **copies})

    def _check_name(self, name: Any, kind: str, others: Mapping[str, Any]) -> None:
        """A field's name, that of no field of the other kind."""
        if not isinstance(name, str):
            raise FkitTypeError(f"A field's name is a str, not {quoted(name)}.")
        if name in self._taken:
            raise FkitAttributeError(f"{name!r} is a method or property of {type(self).__name__}: choose another name.")
        if name in others:
            other = "meta" if kind == "data" else "data"
            raise FkitAttributeError(
                f"Cannot set {name!r} to be a {kind} field: it is already a {other} field.",
                repair=f"drop({name!r}) first.",
            )

    def _checked(self, name: str, value: Any) -> Any:
        """The value as it is kept; classes with rules of their own refine it."""
        kinds = self._typed.get(name)
        if kinds is not None and value is not None and not isinstance(value, kinds):
            allowed = " or ".join(kind.__name__ for kind in kinds)
            raise FkitTypeError(f"{type(self).__name__}.{name} is a {allowed}, not a {type(value).__name__}.")
        return value

    def _verify(self) -> None:
        """What must hold among the fields; for subclasses."""

    # ------------------------------------------------------------------------------------------- where arrays are

    def map_arrays(self, function: Callable[[Any], Any]) -> Self:
        """An element whose arrays, also in nested elements, are what ``function`` makes of them.

        An object of a class of yours that has a method ``map_arrays`` takes part.

        Raises:
            FkitTypeError: ``function`` is none.

        Example:
            >>> import numpy as np
            >>> DataElement(a=np.arange(2), b="x").map_arrays(lambda a: a + 1).to_dict()
            {'a': array([1, 2]), 'b': 'x'}
        """
        if not callable(function):
            raise FkitTypeError(f"`map_arrays` wants a function of an array, not {quoted(function)}.")

        def mapped(value: Any) -> Any:
            if is_array(value):
                return function(value)
            inner = getattr(value, "map_arrays", None)
            return value if inner is None else inner(function)

        return element_of(type(self), {name: mapped(value) for name, value in self._data.items()}, self._meta)

    def to(self, device: Any) -> Self:
        """An element with its arrays on a device; numpy's stay numpy's, and are on the host only.

        Args:
            device: "cpu", "cuda", "cuda:1", ...: a name of the arrays' own library; or a ``torch.device``.

        Raises:
            FkitValueError: a numpy array is to leave the host, or there is no such device.
            FkitTypeError: ``device`` names none.
        """
        name = device if isinstance(device, str) else str(device) if hasattr(device, "index") else None
        if name is None or isinstance(device, (list, tuple)):
            raise FkitTypeError(f"a device is a name like 'cpu' or 'cuda:1', not {quoted(device)}.")

        def moved(array: Any) -> Any:
            library = cast(str, family(array))
            if library != "numpy":
                return room.open(library).to_device(array, name)
            if name != "cpu":
                raise FkitValueError(
                    f"a numpy array is on the host and cannot go to {name!r}.",
                    repair=f"element.to_torch().to({name!r}), or element.to_jax().",
                )
            return array

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
        """An element whose arrays are torch tensors; opens torch's room.

        Raises:
            FkitTypeError: an array of strings, dates or objects.
        """
        return self._brought("torch")

    def to_jax(self) -> Self:
        """An element whose arrays are JAX's; opens JAX's room.

        Raises:
            FkitTypeError: an array of strings, dates or objects.
        """
        return self._brought("jax")

    def _brought(self, name: str) -> Self:
        backend = room.open(name)

        def brought(array: Any) -> Any:
            if family(array) == name:
                return array
            try:
                return backend.asarray(host(array))
            except (TypeError, ValueError) as cause:  # strings, dates, objects
                raise like(cause)(
                    f"an array of {array.dtype} is none that {name} has: {str(cause).partition(chr(10))[0]}",
                    repair="Keep such values as a list or a tuple, which stays what it is.",
                ) from cause

        return self.map_arrays(brought)


# ---------------------------------------------------------------------------------------------------- making elements

DataElement._taken = frozenset(dir(DataElement))  # pyright: ignore[reportPrivateUsage]


def _kinds(hint: Any) -> tuple[type, ...] | None:
    """The classes that an annotation allows; None where it allows what isinstance cannot tell."""
    if get_origin(hint) in (Union, UnionType):
        parts = [_kinds(part) for part in get_args(hint) if part is not NoneType]
        return None if None in parts else tuple(kind for part in parts if part is not None for kind in part)
    return (hint,) if isinstance(hint, type) else None


def _mapping(value: Any, word: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise FkitTypeError(f"`{word}` is a mapping of names to values, not {quoted(value)}.")
    return cast("Mapping[str, Any]", value)


def element_in(value: Any) -> DataElement:
    """The value, which is to be an element.

    Raises:
        FkitTypeError: it is none.

    Example:
        >>> element_in(DataElement(a=1)).a
        1
    """
    if not isinstance(value, DataElement):
        raise FkitTypeError(f"expected an element (DataElement and its subclasses), not {quoted(value)}.")
    return value
