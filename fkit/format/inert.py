"""Pickles as data: what a pickle says to make is noted, by name, and nothing is imported or called.

`read_pickle` gives plain containers, numbers and texts as they are. Where the pickle names a class or a function, there
stands a `Named`; where it says to call one, a `Made` with the arguments. Who knows the name decides what to make of it.
"""

import pickle
from collections.abc import Callable, Mapping
from typing import IO, Any, NamedTuple, cast

from frozendict import frozendict

from fkit.tree.error import FkitValueError, quoted

__all__ = ["Made", "Named", "Stored", "read_pickle"]


class Named(NamedTuple):
    """A class or function that a pickle names; nothing of it was imported.

    Attributes:
        module: "collections".
        name: "OrderedDict".
    """

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Stored(NamedTuple):
    """What a pickle keeps outside of itself: the numbers of a tensor.

    Attributes:
        key: as the pickle gives it.
    """

    key: tuple[Any, ...]


class Made:
    """A call that a pickle asks for, not done.

    Attributes:
        maker: what is called.
        args: with which arguments.
        state: what the object is then told of itself; None where it is told nothing.
        items: the items that it is then given as a mapping.
        values: those that it is then given as a list or a set.
    """

    __slots__ = ("args", "items", "maker", "state", "values")

    def __init__(self, maker: Named, args: tuple[Any, ...]) -> None:
        self.maker, self.args = maker, args
        self.state: Any = None
        self.items: dict[Any, Any] = {}
        self.values: list[Any] = []

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value

    def append(self, value: Any) -> None:
        """One more value; what a pickle does to a list."""
        self.values.append(value)

    def extend(self, values: list[Any]) -> None:
        """More values."""
        self.values.extend(values)

    add = append


def read_pickle(file: IO[bytes]) -> Any:
    """The next pickle of a file, as data.

    Args:
        file: open, at its beginning; read up to the end of the pickle and not beyond.

    Raises:
        FkitValueError: it is no pickle, is truncated, or says what no checkpoint does.

    Example:
        >>> import io, os
        >>> made = read_pickle(io.BytesIO(pickle.dumps({"a": 1, "b": os.getcwd}, protocol=2)))
        >>> made["a"], str(made["b"])
        (1, 'posix.getcwd')
    """
    try:
        return _Reader(file).load()
    except FkitValueError:
        raise
    except RecursionError as cause:
        raise FkitValueError("the pickle is nested too deeply.") from cause
    except (pickle.UnpicklingError, EOFError) as cause:
        raise FkitValueError(f"the pickle is truncated or damaged ({str(cause) or 'it ends too early'}).") from cause
    except MemoryError as cause:
        raise FkitValueError("the pickle asks for more memory than there is.") from cause
    except Exception as cause:  # a stream of opcodes that fit each other badly fails in any of Python's ways
        raise FkitValueError(f"the pickle is damaged ({type(cause).__name__}: {quoted(str(cause))}).") from cause


# Python's own reader in Python: the one in C sets memory aside as the file says, before it looks how long the file is
_Python: Any = pickle._Unpickler  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]


def _called(reader: Any) -> None:
    args = reader.stack.pop()
    reader.stack[-1] = _made(reader.stack[-1], args)


def _called_with_names(reader: Any) -> None:
    names = reader.stack.pop()
    if names:
        raise FkitValueError("the pickle calls something with named arguments, which no checkpoint needs.")
    _called(reader)


def _told(reader: Any) -> None:
    state = reader.stack.pop()
    made = reader.stack[-1]
    if not isinstance(made, Made):
        raise FkitValueError(f"the pickle changes {_text(made)} from outside.")
    made.state = state


def _instance(reader: Any) -> None:
    module, name = (reader.readline()[:-1].decode("utf-8") for _ in range(2))
    reader.append(_made(reader.find_class(module, name), tuple(reader.pop_mark())))


def _object(reader: Any) -> None:
    kind, *args = reader.pop_mark()
    reader.append(_made(kind, tuple(args)))


def _bytes(reader: Any) -> None:
    """Python's own sets memory aside before it looks how many bytes there are."""
    count = int.from_bytes(reader.read(8), "little")
    data = reader.read(count)
    if len(data) < count:
        raise EOFError("it ends too early")
    reader.append(data)


def _strange(reader: Any) -> None:
    raise FkitValueError("the pickle uses an instruction that no checkpoint needs.")


def _made(maker: Any, args: Any) -> Made:
    if not isinstance(maker, Named) or not isinstance(args, tuple):
        raise FkitValueError(f"the pickle calls {_text(maker)}.")
    return Made(maker, cast("tuple[Any, ...]", args))


def _text(value: Any) -> str:
    return str(value.maker if isinstance(value, Made) else value) if isinstance(value, Made | Named) else quoted(value)


_RENAMED: Mapping[str, str] = frozendict(__builtin__="builtins", copy_reg="copyreg")  # since Python 2
_STRANGE = (pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER)
_INSTEAD: Mapping[int, Callable[[Any], None]] = frozendict(
    {
        pickle.REDUCE[0]: _called,
        pickle.NEWOBJ[0]: _called,
        pickle.NEWOBJ_EX[0]: _called_with_names,
        pickle.BUILD[0]: _told,
        pickle.INST[0]: _instance,
        pickle.OBJ[0]: _object,
        pickle.BYTEARRAY8[0]: _bytes,
        **{code[0]: _strange for code in _STRANGE},
    }
)


class _Reader(_Python):
    """Python's reader of pickles, with every way to call something taken out."""

    dispatch = frozendict({**_Python.dispatch, **_INSTEAD})

    def find_class(self, module: str, name: str) -> Named:
        return Named(_RENAMED.get(module, module), name)

    def persistent_load(self, pid: Any) -> Stored | Named:
        key = cast("tuple[Any, ...]", pid) if isinstance(pid, tuple) else ()
        if len(key) > 1 and key[0] == "module" and isinstance(key[1], Named):
            return key[1]  # a class, with its source beside it
        if len(key) < 5 or key[0] != "storage":
            raise FkitValueError(f"the pickle keeps {quoted(pid)} elsewhere.")
        return Stored(key)
