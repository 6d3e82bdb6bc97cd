"""What is wrong with records of an annotation file: an error that names file and record, or left out, counted and told."""

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["MODES", "Faults"]

MODES = ("raise", "skip")


@dataclass(frozen=True)
class Faults:
    """The faults of one file while it is read.

    Args:
        file: its name.
        on_error: "raise": the first fault is an error; "skip": what has a fault is left out and counted.

    Example:
        >>> Faults("a.json").add("a box with a negative size", "annotation 7")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitValueError: a.json: annotation 7: a box with a negative size.
          Repair the file, or set on_error="skip": what is wrong is left out, counted and told.
    """

    file: str
    on_error: str = "raise"
    counts: Counter[str] = field(default_factory=Counter[str], init=False, repr=False, compare=False)
    first: dict[str, str] = field(default_factory=dict[str, str], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        expect(self.file, str, "Faults: file is a file's name")
        if self.on_error not in MODES:
            raise FkitValueError(
                f"on_error = {self.on_error!r} is unknown.", value=str(self.on_error), choices=MODES, path="on_error"
            )

    def add(self, kind: str, record: str, detail: str = "") -> None:
        """A record has a fault: raise, or count it.

        Args:
            kind: what is wrong, the same words for all of its kind.
            record: which one: "annotation 7", "line 3".
            detail: what was found.

        Raises:
            FkitValueError: ``on_error`` is "raise".
        """
        for text in (kind, record, detail):
            if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise FkitTypeError("a fault is told in words.")
        if self.on_error == "raise":
            raise FkitValueError(
                f"{self.file}: {record}: {kind}{f' ({detail})' if detail else ''}.",
                repair='Repair the file, or set on_error="skip": what is wrong is left out, counted and told.',
            )
        self.note(kind, record)

    def note(self, kind: str, record: str) -> None:
        """Count what is left out without being wrong, such as a box of no area in COCO itself."""
        self.counts[kind] += 1
        self.first.setdefault(kind, record)

    def tell(self) -> Mapping[str, int]:
        """Say once what was left out, and how much of it.

        Returns:
            kind -> count.

        Warns:
            UserWarning: anything was left out.
        """
        if self.counts:
            parts = (f"{count} x {kind} (first: {self.first[kind]})" for kind, count in sorted(self.counts.items()))
            warnings.warn(f"{self.file}: left out: {'; '.join(parts)}.", stacklevel=2)
        return frozen(dict(sorted(self.counts.items())))
