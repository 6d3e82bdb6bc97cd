"""Many records in one block of bytes, which worker processes share."""

import gc
import mmap
import os
import pickle
import tempfile
import weakref
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import reduction
from multiprocessing.context import get_spawning_popen
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.dataset.indexed import checked
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError

__all__ = ["Store", "uncollected"]

_ITEM = np.dtype(np.int64).itemsize


@dataclass(frozen=True, eq=False)
class Store(Sequence[Any]):
    """A frozen sequence of records, pickled one by one into one array of bytes.

    It is sent to a worker process (by forkserver or spawn) as a file without a name that holds these bytes once, and that
    all processes map read-only; it is gone with the last of them. Pickled in any other way it holds its bytes.

    Attributes:
        data: (B,) uint8, the records' pickles, one after the other; read-only.
        ends: (N,) int64, where each of them ends.

    Example:
        >>> store = Store.of([{"img_path": "a.png"}, {"img_path": "b.png"}])
        >>> len(store), store[-1]
        (2, {'img_path': 'b.png'})
    """

    data: NDArray[np.uint8]
    ends: NDArray[np.int64]

    def __post_init__(self) -> None:
        for array, kind in ((self.data, np.uint8), (self.ends, np.int64)):
            if not isinstance(array, np.ndarray) or array.dtype != kind or array.ndim != 1:  # pyright: ignore
                raise FkitTypeError("Store: data is (B,) uint8 and ends (N,) int64; Store.of makes one of records.")

    @staticmethod
    def of(records: Iterable[Any]) -> "Store":
        """The store of records: of anything that can be pickled.

        Raises:
            FkitTypeError: a record cannot be pickled.
        """
        expect(records, Iterable, "`records` are what the store holds, one after the other")
        parts: list[bytes] = []
        for number, record in enumerate(records):
            try:
                parts.append(pickle.dumps(record, protocol=4))
            except Exception as cause:
                raise FkitTypeError(
                    f"record {number} cannot be serialized: {cause}",
                    repair="Let it hold numbers, text, arrays and lists and mappings of them, or set serialize_data=False.",
                ) from cause
        ends = np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)), dtype=np.int64)
        return Store(np.frombuffer(b"".join(parts), np.uint8), _read_only(ends))

    def take(self, places: Iterable[int]) -> "Store":
        """The store of some of the records, in the order of ``places``.

        Example:
            >>> list(Store.of("abc").take([2, 0]))
            ['c', 'a']
        """
        expect(places, Iterable, "`places` are numbers of records")
        spans = [self._span(checked(place, len(self), "Store")) for place in places]
        parts = [self.data[start:end] for start, end in spans]
        ends = np.cumsum(np.array([len(part) for part in parts], np.int64), dtype=np.int64)
        return Store(_read_only(np.concatenate([np.empty(0, np.uint8), *parts])), _read_only(ends))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: Any) -> Any:
        start, end = self._span(checked(index, len(self), "Store"))
        return pickle.loads(self.data[start:end].data)

    def _span(self, place: int) -> tuple[int, int]:
        return int(self.ends[place - 1]) if place else 0, int(self.ends[place])

    def __reduce__(self) -> tuple[Any, ...]:
        duplicate = getattr(reduction, "DupFd", None)  # not on Windows
        if get_spawning_popen() is None or duplicate is None or not len(self):
            return _copied, (self.data.tobytes(), self.ends.tobytes())
        return _opened, (duplicate(self._shared()), len(self))

    def _shared(self) -> int:
        """The descriptor of the file that the workers map; it is written once, and then takes the place of the arrays."""
        file: Any = vars(self).get("_file")
        if file is None:
            file = tempfile.TemporaryFile()  # noqa: SIM115  it has no name, and is closed when the store goes
            weakref.finalize(self, file.close)
            for array in (self.ends, self.data):
                file.write(array.data)
            file.flush()
            ends, data = _mapped(file.fileno(), len(self))
            vars(self).update(_file=file, data=data, ends=ends)
        return cast(int, file.fileno())


@contextmanager
def uncollected() -> Generator[None]:
    """Python's collector of circles rests in the block: among millions of new records it finds none, and takes half the time.

    Example:
        >>> with uncollected():
        ...     gc.isenabled()
        False
    """
    ran = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if ran:
            gc.enable()


def _mapped(descriptor: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    whole = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    return np.frombuffer(whole, np.int64, count), np.frombuffer(whole, np.uint8, offset=count * _ITEM)


def _opened(handle: Any, count: int) -> Store:
    """In a worker: the store that maps the file it was sent."""
    descriptor = handle.detach()
    try:
        ends, data = _mapped(descriptor, count)
    finally:
        os.close(descriptor)
    return Store(data, ends)


def _copied(data: bytes, ends: bytes) -> Store:
    return Store(np.frombuffer(data, np.uint8), np.frombuffer(ends, np.int64))


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array
