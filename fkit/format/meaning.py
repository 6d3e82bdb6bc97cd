"""What the names in a checkpoint mean: tensors, numpy's arrays and numbers, OpenMMLab's history; any other is an error."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.format.inert import Made, Named, Stored
from fkit.tree.error import FkitValueError, quoted

__all__ = ["History", "Meaning", "Storage", "storage_type"]

_NODES = 20_000_000  # values that a file may unfold to; shared parts count each time they are met
_FACTOR = 16  # a file's tensors may be so many times as large as the file: some show the same numbers again and again
_LEAST = 1 << 24


class Storage(NamedTuple):
    """The numbers that tensors are views of.

    Attributes:
        numbers: (N,), as they lie in the file; of bfloat16 its bits, uint16.
        kind: "float32", "bfloat16", ...
    """

    numbers: NDArray[Any]
    kind: str


class History(NamedTuple):
    """mmengine's HistoryBuffer.

    Attributes:
        values: (N,) logged.
        counts: (N,) how many each stands for.
        max_length: how many it keeps.
    """

    values: NDArray[Any]
    counts: NDArray[Any]
    max_length: int


_TYPES: Mapping[str, str] = frozendict(
    FloatStorage="float32", DoubleStorage="float64", HalfStorage="float16", BFloat16Storage="bfloat16",
    LongStorage="int64", IntStorage="int32", ShortStorage="int16", CharStorage="int8", ByteStorage="uint8",
    BoolStorage="bool", ComplexFloatStorage="complex64", ComplexDoubleStorage="complex128", UntypedStorage="uint8",
)  # fmt: skip
_DTYPES: Mapping[str, str] = frozendict(
    float="float32", double="float64", half="float16", long="int64", int="int32", short="int16",
    **{name: name for name in sorted(set(_TYPES.values()))},
)  # fmt: skip
_HISTORY = Named("mmengine.logging.history_buffer", "HistoryBuffer")
_CLASSES = frozenset((_HISTORY, Named("numpy", "ndarray"), Named("torch", "Tensor")))  # named, and never made


def storage_type(kind: Any) -> tuple[str, np.dtype[Any]]:
    """The kind of numbers of a storage class, and numpy's type of what lies in the file.

    Raises:
        FkitValueError: there is none for it.

    Example:
        >>> storage_type(Named("torch", "HalfStorage"))
        ('float16', dtype('float16'))
    """
    name = kind.name if isinstance(kind, Named) and kind.module in ("torch", "torch.cuda", "torch.storage") else ""
    if name not in _TYPES:
        raise _needs(kind)
    return _TYPES[name], np.dtype("uint16" if _TYPES[name] == "bfloat16" else _TYPES[name])


class Meaning:
    """What a pickle of a checkpoint means, for one file.

    Args:
        stored: of a key outside of the pickle, the numbers.
        size: of the file, in bytes: what it unfolds to is bounded by that.
        packed: of the bytes in which Python's pickle keeps a tensor's numbers, the numbers.
    """

    def __init__(
        self, stored: Callable[[tuple[Any, ...]], Storage], size: int, packed: Callable[[bytes], Storage]
    ) -> None:
        self._stored = stored
        self._packed = packed
        self._left = max(_FACTOR * size, _LEAST)
        self._known: dict[int, tuple[Any, int, Any]] = {}
        self._open: set[int] = set()

    def of(self, value: Any) -> Any:
        """The value with mappings frozen, lists as tuples, tensors as numpy's arrays (bfloat16 as float32).

        Raises:
            FkitValueError: it names what is not known, with the name; it holds itself, or unfolds to too much.
        """
        return self._of(value)[0]

    def _of(self, value: Any) -> tuple[Any, int]:
        """The meaning, and how many values it unfolds to."""
        if not isinstance(value, dict | list | tuple | set | frozenset | Made):
            return value, 1
        if isinstance(value, Named):
            return _named(value), 1
        if isinstance(value, Stored):
            return self._stored(value.key).numbers, 1
        place = id(cast(Any, value))
        if place in self._known:
            _, nodes, answer = self._known[place]
        elif place in self._open:
            raise FkitValueError("a value of the file holds itself.")
        else:
            self._open.add(place)
            answer, nodes = self._container(value)
            self._open.discard(place)
            self._known[place] = (value, nodes, answer)
        if nodes > _NODES:
            raise FkitValueError(f"a value of the file unfolds to more than {_NODES} values.")
        return answer, nodes

    def _container(self, value: Any) -> tuple[Any, int]:
        if isinstance(value, Made):
            return self._made(value)
        if isinstance(value, dict):
            return self._mapping(cast("dict[Any, Any]", value))
        pairs = [self._of(item) for item in value]
        kind = frozenset if isinstance(value, set | frozenset) else tuple
        return kind(item for item, _ in pairs), 1 + sum(nodes for _, nodes in pairs)

    def _mapping(self, value: Mapping[Any, Any]) -> tuple[Any, int]:
        rows = [(self._of(key), self._of(item)) for key, item in value.items()]
        return frozendict({key: item for (key, _), (item, _) in rows}), 1 + sum(a + b for (_, a), (_, b) in rows)

    def _made(self, made: Made) -> tuple[Any, int]:
        maker = str(made.maker)
        if maker == "copyreg._reconstructor":  # how the oldest pickles make an object
            return self._made(_rebuilt(made))
        if maker in ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"):
            return self._of(made.args[0])
        if maker == "torch._tensor._rebuild_from_type_v2":
            return self._made(_call(made, *made.args[:1], *made.args[2:3]))
        if maker.startswith("torch._utils._rebuild_tensor"):
            return self._tensor(made), 1
        if maker in _MAPPINGS:
            first = self._of(made.args[-1])[0] if made.args and not isinstance(made.args[-1], Named) else ()
            items, nodes = self._mapping(made.items)
            return frozendict({**frozendict(cast(Any, first)), **items}), nodes + len(first)
        if maker in _SEQUENCES:
            inside, nodes = self._of((*(made.args[0] if made.args else ()), *made.values))
            return _SEQUENCES[maker](inside), nodes
        if made.maker == _HISTORY:
            return _history(self._of(made.state)[0]), 4
        if maker in _PLAIN:
            args, state = self._of(made.args)[0], self._of(made.state)[0]
            return _PLAIN[maker](args, state), 1
        raise _needs(made.maker)

    def _storage(self, stored: Any) -> Storage:
        if isinstance(stored, Stored):
            return self._stored(stored.key)
        if not isinstance(stored, Made) or str(stored.maker) != "torch.storage._load_from_bytes":
            raise FkitValueError("a tensor of the file has no numbers.")
        if id(stored) not in self._known:
            (data,) = self.of(stored.args)
            self._known[id(stored)] = (stored, 1, self._packed(data))
        return self._known[id(stored)][2]

    def _tensor(self, made: Made) -> NDArray[Any]:
        stored, offset, shape, strides = made.args[:4]
        storage = self._storage(stored)
        if made.maker.name == "_rebuild_tensor_v3":  # the type stands beside a storage of bytes
            kind = _named(made.args[6]).removeprefix("torch.")
            storage = Storage(storage.numbers.view("uint16" if kind == "bfloat16" else kind), kind)
        shape, strides = tuple(self.of(shape)), tuple(self.of(strides))
        whole = all(type(n) is int and n >= 0 for n in (offset, *shape, *strides)) and len(shape) == len(strides)
        count = math.prod(shape) if whole else 0
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) if count else 0
        if not whole or (count and last >= storage.numbers.size):
            raise FkitValueError(
                f"a tensor of shape {quoted(shape)} reaches beyond the numbers that the file has for it."
            )
        self._left -= count * storage.numbers.itemsize
        if self._left < 0:
            raise FkitValueError("the file's tensors are far larger than the file.")
        step = storage.numbers.itemsize
        view = np.lib.stride_tricks.as_strided(
            storage.numbers[offset:] if count else storage.numbers[:0],
            shape,
            [n * step for n in strides],
            writeable=False,
        )
        return _wide(view) if storage.kind == "bfloat16" else view


def _needs(maker: Any) -> FkitValueError:
    return FkitValueError(
        f"the file needs {str(maker) if isinstance(maker, Named) else quoted(maker)}, which is not known here: it would be code "
        "of the file's author, and is not run.",
        repair="Where you trust the file, save what you need of it alone: "
        "torch.save({'state_dict': torch.load(FILE, weights_only=False)['state_dict']}, NEW).",
    )


def _named(name: Any) -> str:
    """The text of a name that stands for itself: a type of torch's, a class that a history names."""
    if isinstance(name, Named) and (name in _CLASSES or (name.module == "torch" and name.name in _DTYPES)):
        return str(name)
    raise _needs(name)


def _call(made: Made, maker: Any, args: Any = ()) -> Made:
    if not isinstance(maker, Named) or not isinstance(args, tuple):
        raise _needs(made.maker)
    new = Made(maker, cast("tuple[Any, ...]", args))
    new.state, new.items, new.values = made.state, made.items, made.values
    return new


def _rebuilt(made: Made) -> Made:
    """``copyreg._reconstructor(class, base, value)``."""
    kind, *_, value = made.args
    return _call(made, kind, () if value is None else (value,))


def _wide(bits: NDArray[Any]) -> NDArray[Any]:
    """float32 of the bits of bfloat16."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _encoded(args: tuple[Any, ...], state: Any) -> bytes:
    text, *encoding = args
    if not isinstance(text, str) or encoding not in ([], ["latin1"], ["latin-1"]):
        raise FkitValueError("bytes of the file are written in a way that no checkpoint needs.")
    return text.encode("latin-1")


def _no_bytes(args: tuple[Any, ...], state: Any) -> bytes:
    """``bytes()``, as the older pickles write those of an array without elements."""
    if args:
        raise FkitValueError("bytes of the file are written in a way that no checkpoint needs.")
    return b""


def _dtype(args: tuple[Any, ...], state: Any) -> np.dtype[Any]:
    """A type of numbers; what has fields, or objects in it, is none."""
    name, order = args[0], "=" if state is None else state[1]
    dtype = np.dtype(name) if isinstance(name, str) and len(name) < 12 else np.dtype(object)
    if dtype.kind not in "biufcSU" or (state is not None and any(state[3:5])):
        raise FkitValueError(f"an array of the file is of {quoted(name)}, which are no numbers.")
    return dtype.newbyteorder(order) if order in ("<", ">", "=", "|") else dtype


def _scalar(args: tuple[Any, ...], state: Any) -> Any:
    dtype, data = args
    numbers = np.frombuffer(cast(bytes, data), cast("np.dtype[Any]", dtype))
    if numbers.size != 1:
        raise FkitValueError("a number of the file is none.")
    return numbers[0].item()


def _array(args: tuple[Any, ...], state: Any) -> NDArray[Any]:
    _, shape, dtype, by_column, data = state
    if not isinstance(data, bytes) or not isinstance(dtype, np.dtype) or not isinstance(shape, tuple):
        raise FkitValueError("an array of the file holds objects, not numbers.")
    numbers = np.frombuffer(data, cast("np.dtype[Any]", dtype))
    return numbers.reshape(cast("tuple[int, ...]", shape), order="F" if by_column else "C")


def _buffer(args: tuple[Any, ...], state: Any) -> NDArray[Any]:
    """An array as Python 3.8 and later write it."""
    data, dtype, shape, order = args
    return _array((), (1, shape, dtype, order == "F", data))


def _history(state: Any) -> History:
    try:
        return History(state["_log_history"], state["_count_history"], int(state.get("max_length", 0)))
    except (TypeError, KeyError, AttributeError, ValueError) as cause:
        raise FkitValueError("a history of the file is none of mmengine's HistoryBuffer.") from cause


def _attribute(args: tuple[Any, ...], state: Any) -> str:
    """``getattr(HistoryBuffer, 'mean')``: the name of a statistic, which a history carries with it."""
    owner, name = args
    if owner != str(_HISTORY) or not isinstance(name, str):
        raise _needs(Named("builtins", "getattr"))
    return f"{owner}.{name}"


_MAPPINGS = frozenset(
    (
        "collections.OrderedDict", "collections.defaultdict", "collections.Counter", "builtins.dict",
        "mmengine.config.config.ConfigDict", "mmcv.utils.config.ConfigDict", "addict.addict.Dict",
    )
)  # fmt: skip
_SEQUENCES: Mapping[str, Callable[[Any], Any]] = frozendict(
    {
        "builtins.set": frozenset, "builtins.frozenset": frozenset, "builtins.list": tuple, "builtins.tuple": tuple,
        "torch.Size": tuple,
    }
)  # fmt: skip
_PLAIN: Mapping[str, Callable[[tuple[Any, ...], Any], Any]] = frozendict(
    {
        "_codecs.encode": _encoded,
        "builtins.bytes": _no_bytes,
        "builtins.complex": lambda args, state: complex(*args),
        "builtins.getattr": _attribute,
        "numpy.dtype": _dtype,
        "torch.device": lambda args, state: ":".join(str(word) for word in args),
        "torch.serialization._get_layout": lambda args, state: args[0],
        **{f"numpy.{room}.multiarray.{name}": maker
           for room in ("core", "_core") for name, maker in (("scalar", _scalar), ("_reconstruct", _array))},
        **{f"numpy.{room}.numeric._frombuffer": _buffer for room in ("core", "_core")},
    }
)  # fmt: skip
