"""What metrics gather: one row a sample, kept in pieces that are joined once, when the number is asked for."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.structures.content import content, is_array
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["Rows", "records"]

Piece = tuple[NDArray[np.int64], NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Rows:
    """One row a sample: an id, and what the sample says. A value: adding and joining give new ones.

    Each is a node that points at those it grew from, so that both cost the same however much was seen before.

    Attributes:
        count: how many rows there are.
        piece: (n,) int64 ids and (n, ...) values of the newest n; None where there are none.
        parts: the rows before the piece, in order.

    Example:
        >>> rows = Rows().add([3, 1], [0.5, 0.25])
        >>> ids, values = rows.join(rows).table()
        >>> rows.count, ids.tolist(), values.tolist()
        (2, [1, 3], [0.25, 0.5])
    """

    count: int = 0
    piece: Piece | None = None
    parts: "tuple[Rows, ...]" = ()

    @staticmethod
    def of(pieces: Iterable[Piece]) -> "Rows":
        """The rows of pieces, one after the other."""
        rows = Rows()
        for ids, values in pieces:
            rows = rows.add(ids, values)
        return rows

    def add(self, ids: Any, values: Any) -> "Rows":
        """These rows and more: (n,) ids and (n, ...) values, which are copied; or (n,) objects, see `records`.

        Raises:
            FkitValueError: not as many ids as values.
        """
        numbers: NDArray[np.int64] = np.array(ids, np.int64)
        table: NDArray[Any] = np.array(values)
        if len(numbers) != len(table):
            raise FkitValueError(f"{len(numbers)} ids for {len(table)} rows: one id a sample.")
        numbers.setflags(write=False)
        table.setflags(write=False)
        return Rows(self.count + len(numbers), (numbers, table), (self,) if self.count else ())

    def join(self, other: "Rows") -> "Rows":
        """These rows and the other's."""
        if not self.count or not other.count:
            return self if self.count else other
        return Rows(self.count + other.count, None, (self, other))

    def pieces(self) -> Iterator[Piece]:
        """All pieces, from the first on; no deeper than one call, however many there are."""
        backwards: list[Piece] = []
        waiting: list[Rows] = [self]
        while waiting:
            rows = waiting.pop()
            if rows.piece is not None:
                backwards.append(rows.piece)
            waiting.extend(rows.parts)
        return reversed(backwards)

    def table(self) -> Piece:
        """(n,) ids in order, each once, and the (n, ...) values; where one id has several values, the least."""
        ids, values = self._whole()
        if bool((ids[1:] > ids[:-1]).all()):
            return ids, values
        if values.dtype == object:
            order = np.array(sorted(range(len(ids)), key=lambda at: (int(ids[at]), _key(values[at]))), np.int64)
        else:
            columns = values.reshape(len(values), -1).T
            order = np.lexsort((*columns[::-1], ids))
        ids, values = ids[order], values[order]
        first = np.ones(len(ids), bool)
        first[1:] = ids[1:] != ids[:-1]
        return ids[first], values[first]

    def _whole(self) -> Piece:
        pieces = tuple(self.pieces())
        if not pieces:
            return np.empty(0, np.int64), np.empty(0)
        return np.concatenate([ids for ids, _ in pieces]), np.concatenate([values for _, values in pieces])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rows):
            return NotImplemented
        if self is other:
            return True
        pairs = zip(self._whole(), other._whole(), strict=True)
        return self.count == other.count and all(content(a) == content(b) for a, b in pairs)

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        return f"<{self.count} rows>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels as one piece: what points at thousands of nodes in a row is too deep to be written node by node."""
        return Rows.of, ((self._whole(),) if self.count else (),)


def records(samples: Iterable[Any]) -> NDArray[Any]:
    """What samples say where that differs in size, as rows: (n,) frozen mappings of arrays, numbers and text.

    Example:
        >>> rows = Rows().add([4, 2], records([{"boxes": np.zeros((n, 4))} for n in (3, 1)]))
        >>> [len(record["boxes"]) for record in rows.table()[1]]
        [1, 3]
    """
    expect(samples, Iterable, "`samples` are what samples say, one after the other")
    several = [frozen(sample) for sample in samples]
    column = np.empty(len(several), object)
    column[:] = several
    return column


def _key(value: Any) -> Any:
    """By what records are ordered: their contents, so that of two of one id each process takes the same."""
    if isinstance(value, Mapping):
        return tuple((str(name), _key(part)) for name, part in sorted(cast("Mapping[str, Any]", value).items()))
    if is_array(value):
        return str(value.dtype), str(value.shape), value.tobytes()
    return type(value).__name__, repr(value)
