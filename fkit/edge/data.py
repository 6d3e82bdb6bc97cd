"""The data of a run, on record: a run that goes on finds the same classes and samples, or says what differs."""

from collections.abc import Mapping
from typing import Any

from fkit.data.identity import changes, describe
from fkit.data.loader import Loader
from fkit.data.source import Source
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError

__all__ = ["data_record", "differences"]


def data_record(data: Mapping[str, Source]) -> dict[str, dict[str, Any]]:
    """What run.json and every checkpoint say of a run's data: {"train": {"samples": 1437, "classes": [...], ...}, ...}.

    Of training data the samples of a batch on all devices together are among it. Of others it says no number of batches:
    that one hangs on how many devices there are, and no later state on that number.

    Example:
        >>> from fkit.data.dataset import Digits
        >>> from fkit.data.loader import Loader
        >>> data_record({"val": Loader(Digits("test"), batch_size=100)})["val"]["samples"]
        360
    """
    expect(data, Mapping, "`data` is a mapping of sources (fkit.open_data gives one)")
    return {name: _described(name, source) for name, source in data.items()}


def _described(name: str, source: Source) -> dict[str, Any]:
    known = describe(source)
    if name.partition(":")[0] != "train":
        return {key: value for key, value in known.items() if key != "batches"}
    return {**known, "batch": source.whole} if isinstance(source, Loader) else known


def differences(then: Any, now: Mapping[str, Mapping[str, Any]], allowed: bool) -> tuple[str, ...]:
    """What differs between the data of a checkpoint and those that are there, a line each.

    Args:
        then: the record of the checkpoint; None where it has none.
        now: the record of the data that are there.
        allowed: whether the run may go on with other data.

    Raises:
        FkitValueError: they differ, and it may not.

    Example:
        >>> differences({"train": {"samples": 9}}, {"train": {"samples": 8}}, allowed=True)
        ('train samples: 9 -> 8',)
    """
    expect(now, Mapping, "`now` is what `data_record` gives")
    before: Mapping[str, Any] = then if isinstance(then, Mapping) else {}
    lines = tuple(f"{name} {line}" for name in now if name in before for line in changes(before[name], now[name]))
    if lines and not allowed:
        rows = "\n".join(f"  {line}" for line in lines)
        batch = before.get("train", {}).get("batch")
        if any(line.startswith("train batch:") for line in lines):
            raise FkitValueError(
                f"the batches are others than those that the run began with:\n{rows}",
                repair=f"train_dataloader.global_batch_size={batch} (batch_size=None) keeps them on any number of devices.",
            )
        raise FkitValueError(
            f"the data are others than those that the run began with:\n{rows}",
            repair="Bring those back; or go on with what is there now by --other-data.",
        )
    return lines
