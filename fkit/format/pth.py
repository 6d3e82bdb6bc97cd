"""Files that torch saves (``.pth``, ``.pt``), read as data with numpy: no code of the file is run, no torch is needed.

Both forms are read: the archive of torch 1.6 and later, and the row of pickles before it, in which most of OpenMMLab's and
torchvision's older weights are.
"""

import io
import zipfile
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.format.inert import Made, Stored, read_pickle
from fkit.format.meaning import Meaning, Storage, storage_type
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitValueError, quoted

__all__ = ["read_pickled", "read_pth"]

_MAGIC = 0x1950A86A20F9469CFC6C  # with which the older form begins
_PROTOCOL = 1001
_BEGINNINGS = (
    (b"<", "is a web page, not the file it was meant to be"),
    (b"version https://git-lfs", "is a pointer of Git LFS; the file itself was not fetched (git lfs pull)"),
    (b"\x89HDF", "is a file of HDF5"),
    (b"{", "is text"),
)


def read_pth(data: bytes, name: str = "the file") -> Any:
    """What a file holds that torch has saved.

    Args:
        data: the content of the file.
        name: of the file, for messages.

    Returns:
        mappings frozen, lists as tuples, tensors as numpy's arrays that cannot be written to (bfloat16 as float32),
        mmengine's HistoryBuffer as `fkit.format.meaning.History`.

    Raises:
        FkitValueError: the file is none, is truncated or was changed, or it needs a class that is not known, with its
            name.

    Example:
        >>> read_pth(b"")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitValueError: the file: is empty: it has 0 bytes.
    """
    expect(data, (bytes, bytearray, memoryview), "`data` are the bytes of a file")
    expect(name, str, "`name` is that of the file")

    def read() -> Any:
        if not data:
            raise FkitValueError("is empty: it has 0 bytes.")
        return _archive(bytes(data)) if bytes(data[:2]) == b"PK" else _row(bytes(data))

    return _telling(read, name)


def _telling(read: Callable[[], Any], name: str) -> Any:
    """What ``read`` gives; its errors name the file."""
    try:
        return read()
    except RecursionError as cause:
        raise FkitValueError(f"{name}: its values are nested too deeply.") from cause
    except FkitError as error:
        raise FkitValueError(f"{name}: {error.what}", repair=error.repair) from error
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, MemoryError) as cause:
        raise FkitValueError(f"{name}: is damaged ({type(cause).__name__}: {quoted(str(cause))}).") from cause


def read_pickled(data: bytes, name: str = "the file") -> Any:
    """What a pickle holds in which tensors stand as Python pickles them, such as mmengine's of predictions; as `read_pth`.

    Example:
        >>> import pickle
        >>> read_pickled(pickle.dumps([{"pred_label": np.array([3]), "img_id": 7}]))
        (frozendict.frozendict({'pred_label': array([3]), 'img_id': 7}),)
    """
    expect(data, (bytes, bytearray, memoryview), "`data` are the bytes of a file")
    if bytes(data[:2]) == b"PK" or not data:
        return read_pth(data, name)

    def read() -> Any:
        file = io.BytesIO(bytes(data))
        content = read_pickle(file)
        if content == _MAGIC:
            return _row(bytes(data))
        if file.tell() != len(data):
            raise FkitValueError("has more in it than one pickle.")
        return Meaning(_nowhere, len(data), _packed).of(content)

    return _telling(read, name)


def _archive(data: bytes) -> Any:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as cause:
        raise FkitValueError(f"is truncated or was changed: its table of contents is not there ({cause}).") from cause
    names = archive.namelist()
    pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise FkitValueError("is an archive, and not one that torch saved: it holds no data.pkl.")
    folder = pickles[0].partition("/")[0]
    if f"{folder}/constants.pkl" in names:
        raise FkitValueError(
            "is a program that torch.jit saved, not weights.",
            repair="Save its weights: torch.save(m.state_dict(), FILE).",
        )
    order = "<"
    if f"{folder}/byteorder" in names:
        order = ">" if _content(archive, f"{folder}/byteorder", len(data)) == b"big" else "<"
    kept: dict[str, bytes] = {}

    def stored(key: tuple[Any, ...]) -> Storage:
        _, kind, place, _, count = key
        kind, dtype = storage_type(kind)
        if place not in kept:
            kept[place] = _content(archive, f"{folder}/data/{place}", len(data) - sum(map(len, kept.values())))
        numbers: NDArray[Any] = np.frombuffer(kept[place], dtype.newbyteorder(order))
        if type(count) is not int or numbers.size < count:
            raise FkitValueError(f"has {numbers.size} numbers where {quoted(count)} are to be.")
        return Storage(numbers[:count] if order == "<" else numbers[:count].astype(dtype), kind)

    content = read_pickle(io.BytesIO(_content(archive, pickles[0], len(data))))
    return Meaning(stored, len(data), _packed).of(content)


def _content(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """An entry of the archive, which torch never compresses."""
    try:
        entry = archive.getinfo(name)
    except KeyError as cause:
        raise FkitValueError(f"lacks {name}, which its pickle names.") from cause
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > most or entry.flag_bits & 1:
        raise FkitValueError(
            f"is an archive, and not one that torch saved: {name} is compressed, or larger than the file."
        )
    try:
        return archive.read(entry)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as cause:
        raise FkitValueError(f"is truncated or was changed: {cause}.") from cause


def _nowhere(key: tuple[Any, ...]) -> Storage:
    raise FkitValueError("keeps numbers outside of itself, and they are not there.")


def _packed(data: bytes) -> Storage:
    """The storage that a pickle of Python's holds, as torch saved it, in bytes."""
    content, stored = _parts(data)
    if not isinstance(content, Stored):
        raise FkitValueError("has a tensor that is none.")
    return stored(content.key)


def _row(data: bytes) -> Any:
    """The older form."""
    content, stored = _parts(data)
    return Meaning(stored, len(data), _packed).of(content)


def _parts(data: bytes) -> tuple[Any, Callable[[tuple[Any, ...]], Storage]]:
    """The older form: four pickles, the keys of the storages, and the storages one after the other.

    Returns:
        the content, and what gives the numbers that it names.
    """
    file = io.BytesIO(data)
    try:
        magic = read_pickle(file)
    except FkitError as cause:
        raise _strange(data) from cause
    if magic != _MAGIC or read_pickle(file) != _PROTOCOL:
        raise _strange(data)
    order = "<" if read_pickle(file).get("little_endian", True) else ">"
    content, keys = read_pickle(file), read_pickle(file)
    places: dict[str, int] = {}
    shown: dict[str, Storage] = {}
    ends = file.tell()
    types = _types(content)
    for key in cast("list[str]", keys):
        if key not in types:
            raise FkitValueError("holds numbers that nothing is made of.")
        dtype = storage_type(types[key])[1]
        count = int.from_bytes(data[ends : ends + 8], "little" if order == "<" else "big", signed=True)
        places[key], ends = ends + 8, ends + 8 + count * dtype.itemsize
        if count < 0 or ends > len(data):
            raise FkitValueError("is truncated: it ends before the numbers of its tensors do.")
        shown[key] = Storage(np.frombuffer(data, dtype.newbyteorder(order), count, places[key]), "")

    def stored(key: tuple[Any, ...]) -> Storage:
        _, kind, place, *_ = key
        kind, dtype = storage_type(kind)
        if len(key) > 5 and key[5] is not None:
            _, offset, size = key[5]
            return Storage(shown[place].numbers[offset : offset + size].astype(dtype, copy=False), kind)
        return Storage(shown[place].numbers.astype(dtype, copy=False), kind)

    return content, stored


def _types(content: Any) -> dict[str, Any]:
    """The storage class of each key that a pickle of the older form names."""
    types: dict[str, Any] = {}
    seen: set[int] = set()
    queue = [content]
    while queue:
        value = queue.pop()
        if isinstance(value, Stored):
            types[str(value.key[2])] = value.key[1]
        elif id(value) not in seen:
            seen.add(id(value))
            queue += _inside(value)
    return types


def _inside(value: Any) -> list[Any]:
    if isinstance(value, Made):
        return [*value.args, value.state, *value.items.values(), *value.values]
    if isinstance(value, dict):
        return list(cast("dict[Any, Any]", value).values())
    return list(cast("list[Any]", value)) if isinstance(value, list | tuple | set | frozenset) else []


def _strange(data: bytes) -> FkitValueError:
    for beginning, what in _BEGINNINGS:
        if data.startswith(beginning):
            return FkitValueError(f"{what}.")
    return FkitValueError("is no file that torch saved, or is truncated.")
