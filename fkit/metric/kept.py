"""Predictions kept in a file of the kit's own: a line of JSON a sample, written as they come and read one at a time."""

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, cast

from fkit.format.json import read_json, write_json
from fkit.metric.detection import image_size, run_lengths
from fkit.metric.line import read_line, write_line
from fkit.tree.check import expect
from fkit.tree.error import FkitFileNotFoundError, FkitKeyError, FkitOSError, FkitValueError
from fkit.tree.frozen import EMPTY

__all__ = ["Predictions", "first_line", "is_kept", "last_line", "read_kept", "read_rows", "row_line"]

_MARK = b'{"fkit": "predictions"'
_VERSION = 1
_ID = re.compile(rb'\{"sample_idx": (-?\d{1,18})[,}]')
_END = re.compile(rb'\{"end": (\d{1,18})\}\s*')
_LONGEST = 1 << 30  # bytes of a line
AGAIN = "Write it anew: fkit test CONFIG CHECKPOINT --predictions FILE."


@dataclass(frozen=True, eq=False)
class Predictions:
    """What was predicted, by sample; nothing but what is asked for need be in memory.

    Attributes:
        file: where it comes from.
        by: what a sample is known by: "sample_idx", "img_id", or "place": its number in the data set's order.
        keys: those that the file has.
        read: what is predicted of one of them.
        sparse: a sample that the file does not name has no predictions, as in COCO's result files.
        data: what the file says of the data that it was made on, as `fkit.data.identity.describe` gives it.
    """

    file: str
    by: str
    keys: Collection[Any]
    read: Callable[[Any], Mapping[str, Any]] = field(repr=False)
    sparse: bool = False
    data: Mapping[str, Any] = EMPTY


def first_line(data: Mapping[str, Any]) -> bytes:
    """The line with which a file begins: what it is, and on what data it was made."""
    expect(data, Mapping, "`data` is what the data are")
    return (write_json({"fkit": "predictions", "version": _VERSION, "data": data}) + "\n").encode()


def last_line(count: int) -> bytes:
    """The line with which a file that is whole ends."""
    return (write_json({"end": count}) + "\n").encode()


def row_line(sample: Mapping[str, Any]) -> bytes:
    """The line of a sample: its ``sample_idx`` first; masks of objects as run lengths.

    Example:
        >>> row_line({"pred_label": 3, "sample_idx": 7})
        b'{"sample_idx": 7, "pred_label": 3}\\n'
    """
    expect(sample, Mapping, "`sample` is a mapping")
    if "sample_idx" not in sample:
        raise FkitKeyError("a sample has a sample_idx.", value="sample_idx", choices=sample)
    row: dict[str, Any] = {"sample_idx": int(sample["sample_idx"]), **sample}
    group: Any = row.get("pred_instances")
    if isinstance(group, Mapping) and group.get("masks") is not None:
        instances = cast("Mapping[str, Any]", group)
        row["pred_instances"] = {
            **instances,
            "masks": run_lengths(instances["masks"], image_size(sample), "predictions"),
        }
    return write_line(row)


def is_kept(file: str | os.PathLike[str]) -> bool:
    """Whether a file begins as those of the kit do.

    Raises:
        FkitError: it is not there, or cannot be read.
    """
    with _opened(file) as stream:
        return stream.read(len(_MARK)) == _MARK


def read_kept(file: str | os.PathLike[str]) -> Predictions:
    """A file of predictions, its lines looked up once; what they say is read when it is asked for.

    Raises:
        FkitError: it is not there or no such file, is cut off, was changed, or has a sample twice.
    """
    name, places = os.fspath(file), dict[int, tuple[int, int]]()
    with _opened(file) as stream:
        data = _data(name, stream)
        for number, at, line in _lines(name, stream):
            key = _ID.match(line)
            if key is None or not line.endswith(b"}\n"):
                raise FkitValueError(f"{name}:{number}: is no prediction of a sample: it was changed.", repair=AGAIN)
            if int(key[1]) in places:
                raise FkitValueError(
                    f"{name}:{number}: has sample_idx {int(key[1])} a second time.",
                    repair=AGAIN,
                )
            places[int(key[1])] = number, at

    def read(key: int) -> Mapping[str, Any]:
        number, at = places[key]
        with _opened(file) as stream:
            stream.seek(at)
            return read_line(stream.readline(_LONGEST), f"{name}:{number}")

    return Predictions(name, "sample_idx", places.keys(), read, data=data)


def read_rows(file: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """What is predicted of each sample, in the order of the file, one after the other.

    Args:
        file: of ``fkit test --predictions``.

    Yields:
        ``sample_idx``, ``img_id``, ``img_path`` and ``ori_shape`` where the data have them, and what the model predicted, as
        metrics read it: ``pred_instances``, ``pred_sem_seg``, ``pred_score``, ...

    Raises:
        FkitError: as `read_kept`.

    Example:
        >>> import tempfile, pathlib
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "predictions.jsonl"
        >>> _ = file.write_bytes(first_line({}) + row_line({"sample_idx": 0, "pred_label": 3}) + last_line(1))
        >>> list(read_rows(file))
        [{'sample_idx': 0, 'pred_label': 3}]
    """
    name = os.fspath(file)
    with _opened(file) as stream:
        _data(name, stream)
        for number, _, line in _lines(name, stream):
            yield read_line(line, f"{name}:{number}")


def _opened(file: str | os.PathLike[str]) -> IO[bytes]:
    expect(file, (str, os.PathLike), "`file` is the path of a file of predictions")
    try:
        return open(file, "rb")
    except FileNotFoundError as cause:
        raise FkitFileNotFoundError(f"{os.fspath(file)}: is not there.") from cause
    except (OSError, ValueError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else cause
        raise FkitOSError(f"{os.fspath(file)}: cannot be read: {reason}.") from cause


def _data(name: str, stream: IO[bytes]) -> Mapping[str, Any]:
    line = stream.readline(_LONGEST)
    head: Any = read_json(line, f"{name}:1") if line.startswith(_MARK) else None
    if head is None or not isinstance(head.get("data"), dict):
        raise FkitValueError(f"{name}: is no file of predictions.", repair=AGAIN)
    if head.get("version") != _VERSION:
        raise FkitValueError(
            f"{name}: is of version {head.get('version')!r}, and this fkit reads {_VERSION}.",
            repair=f"Read it with the fkit that wrote it. {AGAIN}",
        )
    return head["data"]


def _lines(name: str, stream: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """(number, place in the file, line) of each sample; the end is looked for."""
    at, count = stream.tell(), 0
    for line in stream:
        if not line.endswith(b"\n"):
            break
        end = _END.fullmatch(line)
        if end is None:
            count += 1
            yield count + 1, at, line
            at += len(line)
            continue
        if int(end[1]) != count or stream.read(1):
            raise FkitValueError(
                f"{name}: says that it ends after {int(end[1])} samples, and has {'more' if int(end[1]) == count else count}.",
                repair=AGAIN,
            )
        return
    raise FkitValueError(f"{name}: is cut off: its last line is not there.", repair=AGAIN)
