"""The text that bytes hold: UTF-8, or what a byte order mark says."""

import codecs

from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["decode", "encoding_of"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FIRST = frozenset(mark[:1] for mark, _ in _MARKS)


def decode(source: str | bytes, origin: str | None = None, encoding: str = "utf-8") -> str:
    """The text of a source, without its byte order mark.

    Args:
        source: a text, or its bytes.
        origin: the file, for errors.
        encoding: that of the bytes; a byte order mark has the last word where it is UTF-8.

    Raises:
        FkitTypeError: neither a str nor bytes.
        FkitValueError: bytes that are no such text, or an encoding that there is not.

    Example:
        >>> decode(b"\\xef\\xbb\\xbfcat"), decode("\\ufeffcat"), decode("Käse".encode("utf-16"))
        ('cat', 'cat', 'Käse')
    """
    if isinstance(source, str):
        return source.removeprefix("\ufeff")
    if not isinstance(source, (bytes, bytearray, memoryview)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"a text is a str or bytes, not a {type(source).__name__}.", origin=origin)
    data = bytes(source)
    encoding = encoding_of(data, encoding)
    try:
        return data.decode(encoding)
    except LookupError:
        raise FkitValueError(f"there is no encoding {encoding!r}.", origin=origin) from None
    except UnicodeError as cause:
        reason = getattr(cause, "reason", None) or str(cause)
        at = f" at byte {cause.start}" if isinstance(cause, UnicodeDecodeError) else ""
        raise FkitValueError(f"this is no text in {encoding}: {reason}{at}.", origin=origin) from None


def encoding_of(head: bytes, encoding: str = "utf-8") -> str:
    """The encoding of a text by its first bytes, which may be a byte order mark; another than UTF-8 stays.

    Args:
        head: the text's first four bytes, or more.
        encoding: what it is without a mark.

    Raises:
        FkitTypeError: the encoding is no str.

    Example:
        >>> encoding_of(b"cat"), encoding_of(b"\\xef\\xbb\\xbfcat"), encoding_of(b"\\xff\\xfec\\0"), encoding_of(b"c", "ascii")
        ('utf-8', 'utf-8-sig', 'utf-16', 'ascii')
    """
    if encoding == "utf-8" and head[:1] not in _FIRST:
        return encoding
    if not isinstance(encoding, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"an encoding is a str such as 'utf-8', not {quoted(encoding)}.")
    if encoding.lower().replace("_", "-") not in ("utf-8", "utf8"):
        return encoding
    return next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")
