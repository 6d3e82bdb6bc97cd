"""The one family of errors: what was wrong, where, what was allowed, the nearest name, the repair."""

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = [
    "FkitAttributeError",
    "FkitError",
    "FkitFileNotFoundError",
    "FkitImportError",
    "FkitIndexError",
    "FkitKeyError",
    "FkitOSError",
    "FkitRuntimeError",
    "FkitTypeError",
    "FkitValueError",
    "FrozenError",
    "RunError",
    "like",
    "nearest",
]

_SHOWN = 6  # choices printed before "(N more)"


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

    exit_code = 2  # the user's input is wrong; 1 is a run that failed (RunError)

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


class RunError(FkitRuntimeError):
    """A run that failed: a loss that is not finite, a full disk, a hook or a worker that raised."""

    exit_code = 1


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


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice most like ``word`` (case aside), or None when none is close.

    Example:
        >>> nearest("resnet", ["ResNet", "VGG"])
        'ResNet'
    """
    if not isinstance(choices, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"`choices` are strings, not {quoted(choices)}.")
    by_lower = {str(choice).lower(): choice for choice in choices}
    matches = difflib.get_close_matches(str(word).lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else None


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
