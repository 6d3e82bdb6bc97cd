"""What the image functions say when they refuse: one wording for OpenCV's errors and for arrays of the wrong form."""

from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.tree.error import FkitImportError, FkitTypeError, FkitValueError

__all__ = ["Image", "form", "image", "is_a", "looked_up", "one_of", "optional", "refused", "refusing"]

Image = NDArray[Any]  # (H, W) or (H, W, C); each function says which dtypes it takes


def form(value: object) -> str:
    """Shape and dtype of an array in words; the type of anything else.

    Example:
        >>> form(np.zeros((4, 6, 3), np.uint8)), form("a.png")
        ('(4, 6, 3) uint8', 'str')
    """
    array: Any = value
    return f"{array.shape} {array.dtype}" if isinstance(value, np.ndarray) else type(value).__name__


def is_a(value: object, *kinds: type) -> bool:
    """``isinstance`` for arguments whose annotation is not to be trusted: the caller may not check types.

    Example:
        >>> is_a(3, int, float), is_a("3", int, float)
        (True, False)
    """
    return isinstance(value, kinds)


def image(name: str, value: Any, repair: str = "") -> Image:
    """``value`` if it is an array of two or three axes; an error that names the function otherwise.

    Example:
        >>> image("imflip", np.zeros((4, 6))).shape
        (4, 6)
    """
    if is_a(value, np.ndarray) and value.ndim in (2, 3):
        return value
    raise FkitTypeError(f"{name} takes an image, a (H, W) or (H, W, C) array; got {form(value)}.", repair=repair)


def one_of(name: str, parameter: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise unless ``value`` is among ``choices``.

    Example:
        >>> one_of("imflip", "direction", "horizontal", ("horizontal", "vertical"))
    """
    if not is_a(value, str):
        raise FkitTypeError(f"{name}: {parameter} must be a string; got {form(value)}.", choices=choices)
    if value not in choices:
        raise FkitValueError(f"{name}: {parameter} = {value!r} is unknown.", value=str(value), choices=choices)


class refusing:  # a context manager that is named like the verb it is
    """Turn an error of OpenCV in the block into one that says which function refused which array.

    Args:
        name: the fkit function.
        value: the image it was given.

    Example:
        >>> with refusing("imresize", np.zeros((4, 6, 3), bool)):
        ...     cv2.resize(np.zeros((4, 6, 3), bool), (2, 2))
        Traceback (most recent call last):
        fkit.tree.error.FkitValueError: imresize: OpenCV refuses an image of (4, 6, 3) bool...
    """

    __slots__ = ("name", "value")

    def __init__(self, name: str, value: object) -> None:
        self.name = name
        self.value = value

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, cv2.error):
            raise refused(self.name, self.value, error) from error


def refused(name: str, value: object, cause: BaseException) -> FkitValueError:
    """The error for what OpenCV raised: ``refusing`` as an expression, for functions that take microseconds.

    Example:
        >>> str(refused("imresize", np.zeros((4, 6)), ValueError("no")))
        'imresize: OpenCV refuses an image of (4, 6) float64 with these arguments.\\n  no'
    """
    text = str(cause).strip().replace("\n", " ")
    return FkitValueError(f"{name}: OpenCV refuses an image of {form(value)} with these arguments.", repair=text)


def looked_up(name: str, img: Image, table: Image) -> Image:
    """``cv2.LUT``, but an empty image is refused: OpenCV answers None for it.

    Example:
        >>> looked_up("iminvert", np.uint8([[0, 9]]), np.arange(256, dtype=np.uint8)[::-1].copy()).tolist()
        [[255, 246]]
    """
    if not img.size:
        raise FkitValueError(f"{name}: the image is empty, {form(img)}.")
    with refusing(name, img):
        return cv2.LUT(img, table)


def optional(package: str, purpose: str) -> Any:
    """An installed package that fkit does not require, or an error that says how to get it.

    Example:
        >>> optional("PIL.Image", "backend='pillow'").__name__
        'PIL.Image'
    """
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as cause:
        root = package.split(".")[0]
        raise FkitImportError(f"{purpose} needs the package {root!r}.", repair=f"pip install {root}") from cause
