"""YAML's scalars: what a plain word means, and which words must be quoted to stay text.

The rule is PyYAML's, so OpenMMLab's (YAML 1.1: ``yes`` is True, ``010`` is 8, ``1:30`` is 90), but for two:

- ``1e-3`` is the number that YAML 1.2 reads, where PyYAML gives the text "1e-3": a learning rate stays no text.
- A date is the text that stands there, as in JSON: values of a config are plain data. Quoted or not is one.
"""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from frozendict import frozendict

from fkit.tree.error import FkitValueError

__all__ = ["PREFIX", "is_text", "of_tag", "of_word", "shown_tag", "unread_tag", "word_of_float"]

_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")


def _cases(word: str) -> tuple[str, ...]:
    return (word, word.capitalize(), word.upper())


_WORDS = frozendict[str, Any](
    {
        **dict.fromkeys(("", "~", *_cases("null")), None),
        **{case: True for word in _TRUE for case in _cases(word)},
        **{case: False for word in _FALSE for case in _cases(word)},
        **{sign + case: float(f"{sign}inf") for sign in ("", "+", "-") for case in (".inf", ".Inf", ".INF")},
        **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    }
)
_FIRST = frozenset("0123456789+-.") | {word[:1] for word in _WORDS}
_INT = re.compile(r"[-+]?(?:0b[01_]+|0[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)")
_EXPONENT = r"[eE][-+]?[0-9]+"
_FLOAT = re.compile(rf"[-+]?(?:(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:{_EXPONENT})?|[0-9]+{_EXPONENT})")
_SIXTIES = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:.*)?")
_DIGITS = 4300  # Python's own limit, beyond which a number cannot be printed
_HUGE = 10**_DIGITS
PREFIX = "tag:yaml.org,2002:"


def of_word(word: str) -> Any:
    """The value of a plain scalar.

    Raises:
        FkitValueError: an integer of more than 4,300 digits.

    Example:
        >>> [of_word(word) for word in ("1e-3", "yes", "010", "1:30", "2024-01-02", "~", "cat")]
        [0.001, True, 8, 90, '2024-01-02', None, 'cat']
    """
    if word[:1] not in _FIRST:
        return word
    if word in _WORDS:
        return _WORDS[word]
    if _INT.fullmatch(word):
        return _integer(word)
    if _FLOAT.fullmatch(word):
        return float(word.replace("_", ""))
    if ":" in word and _SIXTIES.fullmatch(word) and (word.lstrip("+-")[0] != "0" or "." in word):
        return _sixties(word)
    return word


def is_text(word: str) -> bool:
    """Whether a plain word is read as the text it is, here and by PyYAML.

    Example:
        >>> is_text("cat"), is_text("no"), is_text("1e3"), is_text("2024-01-02")
        (True, False, False, False)
    """
    if word[:1] not in _FIRST:
        return word not in ("=", "<<")
    if word in _WORDS or _INT.fullmatch(word) or _FLOAT.fullmatch(word) or _DATE.fullmatch(word):
        return False
    return not (":" in word and _SIXTIES.fullmatch(word))


def word_of_float(value: float) -> str:
    """A float as all readers of YAML take it for one.

    Example:
        >>> word_of_float(1e-05), word_of_float(float("-inf")), word_of_float(2.0)
        ('1.0e-05', '-.inf', '2.0')
    """
    word = repr(value)
    if "n" in word:
        return word.replace("nan", ".nan").replace("inf", ".inf")
    # YAML 1.1 takes 1e-05 for text
    return word.replace("e", ".0e", 1) if "e" in word and "." not in word else word


def of_tag(tag: str, text: str) -> Any:
    """The value of a scalar with a tag.

    Raises:
        FkitValueError: the tag is not read, or the text is none of it.

    Example:
        >>> of_tag("tag:yaml.org,2002:float", "3"), of_tag("tag:yaml.org,2002:str", "3")
        (3.0, '3')
    """
    make = _TAGS.get(tag.removeprefix(PREFIX))
    if make is None:
        raise unread_tag(tag)
    try:
        return make(text)
    except FkitValueError:
        raise
    except ValueError:  # what int, float and base64 raise
        raise FkitValueError(f"{text!r:.80} is no value of the YAML tag {shown_tag(tag)}.") from None


def unread_tag(tag: str) -> FkitValueError:
    """The error of a tag that would construct what is no plain data."""
    return FkitValueError(
        f"The YAML tag {shown_tag(tag)} is not read.",
        repair="Only plain data is read, and of Python's tags !!python/tuple alone.",
    )


def shown_tag(tag: str) -> str:
    """A tag as people write it.

    Example:
        >>> shown_tag("tag:yaml.org,2002:python/name:os.system"), shown_tag("!other")
        ('!!python/name:os.system', '!other')
    """
    return f"!!{tag.removeprefix(PREFIX)}" if tag.startswith(PREFIX) else tag


def _integer(word: str) -> int:
    digits = word.replace("_", "").lower()
    sign = -1 if digits[0] == "-" else 1
    digits = digits.lstrip("+-")
    if len(digits) > 4 * _DIGITS:
        raise _too_long()
    if digits.startswith(("0x", "0b")):
        value = int(digits, 0)
    elif digits[0] == "0":
        value = int(digits, 8)
    elif len(digits) > _DIGITS:
        raise _too_long()
    else:
        return sign * int(digits)
    if value >= _HUGE:
        raise _too_long()
    return sign * value


def _sixties(word: str) -> int | float:
    """YAML 1.1's numbers to the base of 60: ``1:30:00`` is 5400."""
    if len(word) > _DIGITS:  # each step multiplies a number that grows
        raise _too_long()
    sign = -1 if word[0] == "-" else 1
    *parts, last = word.replace("_", "").lstrip("+-").split(":")
    total = 0
    for part in parts:
        total = 60 * total + int(part)
    if "." not in last:
        return sign * (60 * total + int(last))
    if total >= 10**300:  # beyond what a float holds
        raise FkitValueError(f"The YAML number {word:.40} is too large.")
    return sign * (60.0 * total + float(last))


def _too_long() -> FkitValueError:
    return FkitValueError(f"The YAML has an integer of more than {_DIGITS} digits.")


def _as_bool(text: str) -> bool:
    value = _WORDS.get(text)
    if not isinstance(value, bool):
        raise ValueError
    return value


def _as_int(text: str) -> int:
    value = of_word(text)
    if type(value) is not int:
        raise ValueError
    return value


def _as_float(text: str) -> float:
    value = of_word(text)
    if type(value) is int and abs(value) < 10**300:
        return float(value)
    if type(value) is not float:
        raise ValueError
    return value


def _as_bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"))
    except (UnicodeError, binascii.Error):
        raise ValueError from None


def _as_text(text: str) -> str:
    return text


def _as_none(_: str) -> None:
    return None


_TAGS = frozendict[str, Callable[[str], Any]](
    {
        "!": _as_text,
        "str": _as_text,
        "timestamp": _as_text,
        "null": _as_none,
        "bool": _as_bool,
        "int": _as_int,
        "float": _as_float,
        "binary": _as_bytes,
    }
)
