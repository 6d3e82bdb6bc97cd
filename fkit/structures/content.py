"""Arrays of any library, and values compared by their content."""

import sys
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.array import room
from fkit.array.ops import Numpy, Ops
from fkit.tree.error import FkitTypeError

__all__ = ["Fixed", "concrete", "content", "family", "host", "is_array", "namespace", "of_family", "operations"]

_PLAIN = frozenset((str, int, float, bool, type(None), list, tuple, dict))  # the most frequent of what is no array


def family(value: Any) -> str | None:
    """The library that made an array: "numpy", "torch" or "jax"; None for what is no array.

    Example:
        >>> family(np.zeros(2)), family([1, 2]), family(np.float32(1))
        ('numpy', None, None)
    """
    if isinstance(value, np.ndarray):
        return "numpy"
    if type(value) in _PLAIN:
        return None
    for kind in type(value).__mro__:
        root = kind.__module__.partition(".")[0]
        if root == "torch" and kind.__name__ == "Tensor":
            return "torch"
        if root in ("jax", "jaxlib") and kind.__name__ in ("Array", "ArrayImpl", "Tracer"):
            return "jax"
    return None


def is_array(value: Any) -> bool:
    """Whether a value is an array: of numpy, torch or JAX.

    Example:
        >>> is_array(np.zeros(2)), is_array("ab")
        (True, False)
    """
    return family(value) is not None


def concrete(array: Any) -> bool:
    """Whether an array has numbers: not while a framework traces, maps or compiles the code that holds it.

    Example:
        >>> concrete(np.zeros(2))
        True
    """
    library = family(array)
    if library == "jax":
        return not any(kind.__name__ == "Tracer" for kind in type(array).__mro__)
    if library == "torch":
        if namespace(array).compiler.is_compiling():
            return False
        try:
            return array.untyped_storage().device.type != "meta"
        except NotImplementedError:  # a tensor inside of torch.func's functions has no storage of its own
            return False
    return True


def namespace(array: Any) -> Any:
    """The module with the array's functions, as the array API standard spells them (``concat``, ``zeros``).

    Example:
        >>> namespace(np.zeros(2)) is np
        True
    """
    if family(array) == "torch":
        return sys.modules["torch"]  # whoever holds a tensor has imported it; this floor does not
    return array.__array_namespace__()


def host(array: Any) -> NDArray[Any]:
    """The numbers of an array, as numpy has them.

    Raises:
        FkitTypeError: numpy cannot have them: a sparse tensor, or one that is being traced.

    Example:
        >>> host(np.arange(2))
        array([0, 1])
    """
    library = family(array)
    if library == "numpy" or library is None:
        return array
    try:
        return room.open(library).numpy(array)
    except (TypeError, NotImplementedError) as cause:
        raise FkitTypeError(f"an array of {library} has no numbers that numpy could hold: {cause}") from cause


def of_family(array: NDArray[Any], like: Any) -> Any:
    """A numpy array as one of the library, and on the device, of ``like``.

    Example:
        >>> of_family(np.arange(2), np.zeros(1))
        array([0, 1])
    """
    library = family(like)
    if library == "torch":
        return namespace(like).as_tensor(array, device=like.device)
    return array if library in ("numpy", None) else namespace(like).asarray(array)


def operations(array: Any) -> Ops:
    """The operations of an array's library, new arrays on its device; numpy's for what is no array.

    Example:
        >>> operations(np.zeros(2)).name
        'numpy'
    """
    library = family(array)
    if library == "numpy" or library is None:
        return Numpy()
    ops: Any = room.open(library).ops
    return replace(ops, device=array.device) if library == "torch" else ops


class Fixed:
    """A value that is hashed and compared by its content: arrays by their numbers, nan equal to nan, 1 unlike True.

    Example:
        >>> Fixed({"a": np.arange(2)}) == Fixed({"a": np.arange(2)}), Fixed(1) == Fixed(True)
        (True, False)
    """

    __slots__ = ("token", "value")
    token: Any
    value: Any

    def __init__(self, value: Any) -> None:
        self.value = value
        self.token = content(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fixed) and self.token == other.token

    def __hash__(self) -> int:
        return hash(self.token)

    def __repr__(self) -> str:
        return f"Fixed({self.value!r})"


def content(value: Any) -> Any:
    """What two values share exactly if their contents are the same: something that is hashable.

    Example:
        >>> content([1, 2]) == content([1, 2]), content([1]) == content((1,)), content(0.0) == content(-0.0)
        (True, False, False)
        >>> content(float("nan")) == content(float("nan"))
        True
    """
    if value is None or isinstance(value, (str, bytes)):
        return value
    if isinstance(value, (bool, int, float, complex)):
        return type(value).__name__, repr(value)  # repr is exact, and tells -0.0 from 0.0
    if isinstance(value, np.generic) or is_array(value):
        return _numbers(value)
    if isinstance(value, Mapping):
        mapping = cast("Mapping[Any, Any]", value)
        return "mapping", frozenset((content(key), content(item)) for key, item in mapping.items())
    if isinstance(value, AbstractSet):
        return "set", frozenset(content(item) for item in cast("AbstractSet[Any]", value))
    if isinstance(value, Sequence):
        items = cast("Sequence[Any]", value)
        kind = "tuple" if isinstance(items, tuple) else "list" if isinstance(items, list) else type(items).__name__
        return kind, tuple(content(item) for item in items)
    token = getattr(value, "__content__", None)
    if token is not None:
        return token()
    try:
        hash(value)
    except TypeError:
        return type(value).__qualname__, id(value)
    return value


def _numbers(value: Any) -> Any:
    array = host(value) if is_array(value) else np.asarray(value)
    if array.dtype == object:
        return "array", array.shape, tuple(content(item) for item in array.reshape(-1).tolist())
    if np.issubdtype(array.dtype, np.inexact):  # nan has many bit patterns
        array = np.where(np.isnan(array), np.asarray(np.nan, array.dtype), array)
    # the value's own dtype: bfloat16, which numpy lacks, comes to the host as float32
    return family(value) or "scalar", str(value.dtype), array.shape, array.tobytes()
