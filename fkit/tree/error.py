"""The one family of errors: what was wrong, where, what was allowed, the nearest name, the repair."""

import errno
import itertools
import re
from collections.abc import Iterable
from typing import Any

__all__ = [
    "FkitAttributeError",
    "FkitError",
    "FkitFileNotFoundError",
    "FkitImportError",
    "FkitIndexError",
    "FkitKeyError",
    "FkitNotImplementedError",
    "FkitOSError",
    "FkitRuntimeError",
    "FkitTypeError",
    "FkitValueError",
    "FrozenError",
    "RunError",
    "is_full",
    "like",
    "nearest",
    "slip_of",
    "slips",
]

_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")  # of a name: Cosine, Annealing, LR
_SHOWN = 6  # choices printed before "(N more)"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class FkitError(Exception):
    """Something the user can repair, said in one message.

    Args:
        what: one sentence: what was wrong and what was found.
        path: where in the config (``model.backbone.depth``); empty when there is none.
        origin: ``file:line`` that set the value, or a chain of them, newest first.
        value: the offending word; the nearest of ``choices`` is suggested for it.
        choices: what was allowed.
        label: what the choices are ("Registered", "Allowed", "Keys").
        more: the command that lists all choices, shown when they are cut.
        repair: what to do, one sentence.

    Example:
        >>> print(FkitError("model.type = 'ResNeet' is unknown.", origin="a.py:3", value="ResNeet",
        ...                 choices=["ResNet", "VGG"], label="Registered"))
        a.py:3: model.type = 'ResNeet' is unknown.
          Did you mean 'ResNet'? Registered: ResNet, VGG
    """

    parts: tuple[str, ...] = ()
    """The names of classes and functions in which it arose, the innermost first: who knows the config finds its part."""

    @property
    def exit_code(self) -> int:
        """What a command ends with: 2, the user's input is wrong; 1 where a disk is full, and for a `RunError`."""
        return 1 if is_full(self) else 2

    def __init__(
        self,
        what: str,
        *,
        path: str = "",
        origin: str | None = None,
        value: str | None = None,
        choices: Iterable[str] = (),
        label: str = "Allowed",
        more: str = "",
        repair: str = "",
    ) -> None:
        super().__init__(what)
        self.what = what
        self.path = path
        self.origin = origin
        self.value = value
        self.choices = tuple(choices)
        self.label = label
        self.more = more
        self.repair = repair

    def __str__(self) -> str:
        head = f"{self.origin}: {self.what}" if self.origin else self.what
        hint = " ".join(part for part in (self._suggestion(), self._choices()) if part)
        return "\n  ".join(part for part in (head, hint, self.repair) if part)

    def _suggestion(self) -> str:
        word = nearest(self.value, self.choices) if self.value is not None else None
        return f"Did you mean {word!r}?" if word is not None else ""

    def _choices(self) -> str:
        if not self.choices:
            return ""
        cut = len(self.choices) - _SHOWN
        more = f", ... ({cut} more{': `' + self.more + '`' if self.more else ''})" if cut > 0 else ""
        return f"{self.label}: {', '.join(self.choices[:_SHOWN])}{more}"


class FkitKeyError(FkitError, KeyError):
    """A name that is not there."""


class FkitAttributeError(FkitKeyError, AttributeError):
    """A name that is not there, asked for as an attribute or an item: ``hasattr`` answers False."""


class FkitIndexError(FkitError, IndexError):
    """A position outside a sequence."""


class FkitTypeError(FkitError, TypeError):
    """A value of the wrong kind, or an argument that nothing takes."""


class FrozenError(FkitTypeError, AttributeError):
    """An assignment to a value that is frozen; the message shows how to get a changed one."""


class FkitValueError(FkitError, ValueError):
    """A value outside what is allowed."""


class FkitOSError(FkitError, OSError):
    """A file or folder that cannot be read or written."""


class FkitFileNotFoundError(FkitError, FileNotFoundError):
    """A file or folder that is not there."""


class FkitImportError(FkitError, ImportError):
    """A package that is not installed, or fails to import."""


class FkitRuntimeError(FkitError, RuntimeError):
    """A call that the state of its object does not allow."""


class FkitNotImplementedError(FkitRuntimeError, NotImplementedError):
    """A method that a class was to write, and did not."""


class RunError(FkitRuntimeError):
    """A run that failed: a loss that is not finite, a full disk, a hook or a worker that raised."""

    @property
    def exit_code(self) -> int:
        """1, a run that failed."""
        return 1


_KINDS: tuple[type[FkitError], ...] = (
    # the general before the special: the first that has a class is the least that has it
    FkitKeyError,
    FkitAttributeError,
    FkitIndexError,
    FkitTypeError,
    FkitValueError,
    FkitOSError,
    FkitFileNotFoundError,
    FkitImportError,
    FkitRuntimeError,
)


def like(cause: BaseException) -> type[FkitError]:
    """The class of the family that a handler for ``cause``'s class catches too.

    Example:
        >>> like(ValueError("x")).__name__
        'FkitValueError'
        >>> like(ZeroDivisionError("x")).__name__
        'FkitError'
    """
    builtin = (
        AttributeError,
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        FileNotFoundError,
        OSError,
        ImportError,
        RuntimeError,
    )
    for kind in builtin:
        if isinstance(cause, kind):
            return next(k for k in _KINDS if issubclass(k, kind))
    return FkitError


def is_full(error: BaseException | None) -> bool:
    """Whether an error is, or came of, a disk or a quota that is full.

    Example:
        >>> is_full(OSError(errno.ENOSPC, "No space left on device")), is_full(FkitError("no such key"))
        (True, False)
    """
    seen: set[int] = set()  # an error that is raised again may be the cause of its own cause
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        seen.add(id(error))
        error = error.__cause__
    return False


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that ``word`` is a slip for, case aside, or None when none is near.

    Near is a name with a third of its letters wrong at most, or one that has all of the word's parts (``CosineLR`` and
    ``CosineAnnealingLR``) where these are two, or half of its letters; or one that the word is the beginning of.

    Example:
        >>> nearest("resnet", ["ResNet", "VGG"]), nearest("width", ["depth", "height"])
        ('ResNet', None)
        >>> nearest("epochs", ["max_epochs", "max_iters"])
        'max_epochs'
        >>> nearest("ConvNett", ["ConvNeXt", "ConvNet"])  # of equally near ones that which begins alike for longer
        'ConvNet'
    """
    if not isinstance(choices, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"`choices` are strings, not {quoted(choices)}.")
    text = str(word)
    ranked = ((_far(text, str(choice)), -_begins(text, str(choice)), choice) for choice in choices)
    return min((row for row in ranked if row[0] <= 1), key=lambda row: row[:2], default=(1, 0, None))[2]


def _begins(word: str, choice: str) -> int:
    """How many letters two words begin with alike, case aside."""
    pairs = zip(word.lower(), choice.lower(), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def slip_of(name: str, keys: Iterable[Any]) -> str:
    """Which of the keys of a table that lacks ``name`` may be a slip for it, as a question; empty where none is near.

    Example:
        >>> slip_of("type", ["tpye", "lr"])
        "Is 'tpye' meant to be 'type'?"
    """
    close = nearest(name, [str(key) for key in keys])
    return f"Is {close!r} meant to be {name!r}?" if close else ""


def _far(word: str, choice: str) -> float:
    """How far a choice is from a word: 0 is the same, up to a third slips, 1 has the word's parts, above it is not near."""
    one, other = word.lower(), choice.lower()
    long = max(len(one), len(other))
    if abs(len(one) - len(other)) <= long // 3:
        count = slips(one, other)
        if count <= long // 3:
            return count / max(long, 1)
    parts, others = (frozenset(part.lower() for part in _PART.findall(name)) for name in (word, choice))
    within = bool(parts) and (parts < others or others < parts)
    short = min(len(one), len(other))
    if short > 3 and other.startswith(one) and 5 * short >= 2 * long:
        return 0.9 if choice.startswith(word) else 1  # of two beginnings the one in the word's own case
    return 1 if within and short > 3 and (min(len(parts), len(others)) > 1 or 2 * short >= long) else 2


def slips(word: str, other: str) -> int:
    """How many letters added, dropped, changed or swapped with their neighbour make a word of the other (Damerau, 1964;
    no letter is touched twice).

    Example:
        >>> slips("modle", "model"), slips("my_model", "model"), slips("SDG", "SGD")
        (1, 3, 1)
    """
    one, two = str(word), str(other)
    before: list[int] = []
    row = list(range(len(two) + 1))
    for i, letter in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, theirs in enumerate(two, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != theirs))
            if i > 1 and j > 1 and letter == two[j - 2] and one[i - 2] == theirs:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]


def quoted(value: Any, limit: int = 80) -> str:
    """``repr`` of a value, cut to ``limit`` characters for a message; where it has none, its kind.

    Example:
        >>> quoted("a" * 90, 12), quoted(10**5000)
        ("'aaaaaaaa...", '<a long int>')
    """
    try:
        text = repr(value)
    except RecursionError:
        text = f"<a deep {type(value).__name__}>"
    except ValueError:  # a whole number of more than 4,300 digits, which Python does not write
        text = f"<a long {type(value).__name__}>"
    return text if len(text) <= limit else text[: limit - 3] + "..."
