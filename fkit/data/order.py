"""Which samples a run takes, on record as digests: so that a later look tells batches that were others from a model that was."""

import hashlib
import itertools
from array import array
from collections.abc import Iterator, Mapping
from typing import Any, cast

from fkit.data.job import Job
from fkit.data.loader import Loader
from fkit.tree.check import expect, expect_number

__all__ = ["Orders", "strayed"]

_MOST = 64  # digests of a record
_BYTES = 4  # of a digest


class Orders:
    """The samples of a run's steps, from one checkpoint to the next. No sample is read: it is their numbers.

    Args:
        source: of the training batches.
        step: steps that are done.

    Example:
        >>> orders = Orders(Loader([1.0] * 5, batch_size=2), 0)
        >>> orders.upto(3)["every"], len(orders.upto(3)["digests"]), orders.upto(5)["since"]
        (1, 3, 3)
    """

    def __init__(self, source: Loader, step: int = 0) -> None:
        expect(source, Loader, "`source` is a loader (fkit.open_data gives one)")
        expect_number(step, "`step`", whole=True)
        self._steps = _numbered(source, step)
        self._last: dict[str, Any] = {"from": step, "before": _word(0), "since": step, "every": 1, "digests": []}
        self._step, self._sum = step, 0

    def upto(self, step: int) -> dict[str, Any]:
        """What there is to say of the steps up to this one.

        Returns:
            ``from``: the step after which it began; ``since``: that of the question before; ``before``: a digest of the steps
            between them; ``digests``: those of the steps since, one of ``every`` so many.
        """
        expect_number(step, "`step`", whole=True)
        count = step - self._step
        if count > 0:
            every = -(-count // _MOST)
            rows = _sums(self._steps, count, every)
            words = {"every": every, "digests": [_word(row) for row in rows]}
            self._last = {"from": self._last["from"], "before": _word(self._sum), "since": self._step, **words}
            self._step, self._sum = step, self._sum + sum(rows)
        return self._last


def strayed(then: Any, step: int, source: Loader) -> tuple[int, int] | None:
    """The first steps that take other samples than they took, as far as the record tells them apart.

    Args:
        then: what `Orders.upto` said then, of ``step``.
        source: of the batches now.

    Returns:
        (first, last); (0, 0) where all are the same; None where the record says nothing.

    Example:
        >>> one, other = (Loader([1.0] * 50, batch_size=2, seed=seed) for seed in (0, 1))
        >>> then = Orders(one).upto(100)
        >>> strayed(then, 100, one), strayed(then, 100, other), strayed(None, 100, one)
        ((0, 0), (1, 2), None)
    """
    expect_number(step, "`step`", whole=True)
    expect(source, Loader, "`source` is a loader (fkit.open_data gives one)")
    known = cast("Mapping[str, Any]", then) if isinstance(then, Mapping) else {}
    begun, since, every = (known.get(name) for name in ("from", "since", "every"))
    digests = known.get("digests")
    if not isinstance(begun, int) or not isinstance(since, int) or not isinstance(every, int) or not digests:
        return None
    steps = _numbered(source, begun)
    if _word(sum(_sums(steps, since - begun, max(1, since - begun)))) != known.get("before"):
        return begun + 1, since
    now = [_word(row) for row in _sums(steps, step - since, max(1, every))]
    for place, (old, new) in enumerate(zip(digests, now, strict=False)):
        if old != new:
            return since + place * every + 1, min(since + (place + 1) * every, step)
    return 0, 0


def _numbered(source: Loader, step: int) -> Iterator[tuple[int, Job]]:
    """The jobs of the steps after one, without end, each with its step."""
    length = source.length
    epoch, start = divmod(step, length) if length else (0, step)
    epochs = itertools.count(epoch) if length else (0,)
    jobs = itertools.chain.from_iterable(source.jobs(number, start if number == epoch else 0) for number in epochs)
    return enumerate(jobs, step + 1)


def _sums(steps: Iterator[tuple[int, Job]], count: int, every: int) -> list[int]:
    """A number for so many steps each; those of parts add up to that of the whole."""
    rows: list[int] = []
    for first in range(0, count, every):
        part = itertools.islice(steps, min(every, count - first))
        rows.append(sum(_number(step, job) for step, job in part))
    return rows


def _number(step: int, job: Job) -> int:
    digest = hashlib.blake2b(array("q", (step, *job.indices)).tobytes(), digest_size=_BYTES).digest()
    return int.from_bytes(digest, "little")


def _word(number: int) -> str:
    return f"{number % 256**_BYTES:08x}"
