"""What the image functions check of their arguments at the door: numbers, sizes, arrays and paths."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.image.refuse import form
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = [
    "array",
    "bytes_of",
    "dtype_of",
    "finite",
    "generator",
    "local",
    "number",
    "numbers",
    "pair",
    "text",
    "whole",
]


_REAL: tuple[type[Any], ...] = (float, int, np.integer, np.floating)
_LARGEST = 2**31 - 1  # OpenCV counts in 32 bits


def number(name: str, parameter: str, value: Any, nan: bool = False) -> float:
    """``value`` if it is a real number; ``nan`` says whether nan is one.

    Example:
        >>> number("imrotate", "angle", 90)
        90
        >>> number("imrotate", "angle", "90")
        Traceback (most recent call last):
        fkit.tree.error.FkitTypeError: imrotate: angle must be a number; got str '90'.
    """
    if type(value) is not int and not isinstance(value, _REAL):
        raise FkitTypeError(f"{name}: {parameter} must be a number; got {_shown(value)}.")
    if value != value and not nan:
        raise FkitValueError(f"{name}: {parameter} must be a number; got nan.")
    return value


def whole(name: str, parameter: str, value: Any, least: int | None = None) -> int:
    """``value`` as an ``int`` if it is a whole number, numpy's included, of at least ``least``.

    Example:
        >>> whole("impad_to_multiple", "divisor", np.int64(32), 1)
        32
        >>> whole("impad_to_multiple", "divisor", 0, 1)
        Traceback (most recent call last):
        fkit.tree.error.FkitValueError: impad_to_multiple: divisor must be 1 or more; got 0.
    """
    if type(value) is not int and not isinstance(value, (int, np.integer)):
        raise FkitTypeError(f"{name}: {parameter} must be a whole number; got {_shown(value)}.")
    if least is not None and value < least:
        raise FkitValueError(f"{name}: {parameter} must be {least} or more; got {value}.")
    if not -_LARGEST <= value <= _LARGEST:
        raise FkitValueError(f"{name}: {parameter} is larger than any picture or video; got {value}.")
    return int(value)


def pair(name: str, parameter: str, value: Any) -> tuple[float, float]:
    """The two numbers of a size, a shape, a pair of factors.

    Example:
        >>> pair("imresize", "size", [640, 480])
        (640, 480)
    """
    if not (isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim == 1)) or len(value) != 2:
        raise FkitTypeError(f"{name}: {parameter} must be two numbers; got {_shown(value)}.")
    first, second = value
    return number(name, parameter, first), number(name, parameter, second)


def numbers(name: str, parameter: str, value: Any) -> NDArray[np.float64]:
    """A number or a sequence of numbers as a vector.

    Example:
        >>> numbers("imnormalize", "mean", (1, 2)).tolist()
        [1.0, 2.0]
    """
    if isinstance(value, (int, float, Sequence, np.ndarray, np.number)) and not isinstance(value, (str, bytes)):
        try:
            vector = np.asarray(value, np.float64).reshape(-1)
        except (TypeError, ValueError, OverflowError):
            pass
        else:
            if vector.size:
                return vector
    raise FkitTypeError(f"{name}: {parameter} must be a number or a sequence of numbers; got {_shown(value)}.")


def array(name: str, parameter: str, value: Any) -> NDArray[Any]:
    """``value`` if it is a numpy array of real numbers.

    Example:
        >>> array("bbox_clip", "bboxes", np.zeros((1, 4))).shape
        (1, 4)
    """
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        raise FkitTypeError(f"{name}: {parameter} must be a numpy array of numbers; got {form(value)}.")
    return value


def generator(name: str, value: Any) -> np.random.Generator:
    """``value`` if it is numpy's source of random numbers.

    Example:
        >>> _ = generator("cutout", np.random.default_rng(0))
    """
    if not isinstance(value, np.random.Generator):
        raise FkitTypeError(
            f"{name}: rng must be a numpy Generator; got {_shown(value)}.", repair="pass np.random.default_rng(seed)"
        )
    return value


def text(name: str, parameter: str, value: Any) -> str:
    """``value`` if it is a string.

    Example:
        >>> text("frames2video", "filename_tmpl", "{:06d}.jpg")
        '{:06d}.jpg'
    """
    if not isinstance(value, str):
        raise FkitTypeError(f"{name}: {parameter} must be a string; got {_shown(value)}.")
    return value


def bytes_of(name: str, value: Any) -> bytes:
    """``value`` as bytes, if it is a buffer of them.

    Example:
        >>> bytes_of("imfrombytes", bytearray(b"ab"))
        b'ab'
    """
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise FkitTypeError(f"{name}: content must be bytes; got {_shown(value)}.")
    return value if isinstance(value, bytes) else bytes(value)


def dtype_of(name: str, value: Any) -> np.dtype[Any]:
    """A numpy dtype of real numbers.

    Example:
        >>> dtype_of("quantize", np.uint8)
        dtype('uint8')
    """
    try:
        dtype = np.dtype(value)
    except (TypeError, ValueError, SyntaxError) as cause:
        raise FkitTypeError(f"{name}: dtype = {value!r} is no dtype of numpy.") from cause
    if dtype.kind not in "iuf":
        raise FkitTypeError(f"{name}: dtype must be of numbers; got {dtype}.")
    return dtype


def local(name: str, parameter: str, value: Any) -> str:
    """A path as a string, ``~`` being the user's own folder.

    Example:
        >>> local("imread", "img_or_path", Path("a") / "b.png")
        'a/b.png'
        >>> local("imread", "img_or_path", "~/b.png") == os.path.join(os.path.expanduser("~"), "b.png")
        True
    """
    if not isinstance(value, (str, Path)):
        raise FkitTypeError(f"{name}: {parameter} must be a path; got {_shown(value)}.")
    if not value or "\0" in str(value):
        raise FkitValueError(f"{name}: {parameter} must be a path; got {str(value)!r}.")
    return os.path.expanduser(value)


def finite(name: str, parameter: str, value: Any) -> float:
    """``number`` that is not infinite either.

    Example:
        >>> finite("rescale_size", "scale", 0.5)
        0.5
    """
    if not math.isfinite(number(name, parameter, value)):
        raise FkitValueError(f"{name}: {parameter} must be finite; got {value}.")
    return value


def _shown(value: Any) -> str:
    """Type and value, the value only where it is short."""
    text = repr(value) if isinstance(value, (str, int, float, bool)) else ""
    return f"{form(value)} {text}".strip() if 0 < len(text) <= 40 else "None" if value is None else form(value)
