"""Paths told from a folder, which remember how they were told: joined again, they are told from another."""

import os
from collections.abc import Mapping
from typing import Any

from fkit.fileio.path import is_abs
from fkit.tree.check import expect
from fkit.tree.frozen import frozen

__all__ = ["Joined", "joined", "prefixes_of"]


class Joined(str):
    """A path below a folder; ``told`` is the part that was said, so that ``dataclasses.replace`` may set another folder."""

    __slots__ = ("told",)

    told: str

    def __reduce__(self) -> tuple[Any, ...]:
        return _joined, (str(self), self.told)


def joined(folder: str, path: Any, what: str) -> str:
    """``path`` below ``folder``, unless it is absolute or an address.

    Raises:
        FkitTypeError: it is no path.

    Example:
        >>> joined("data/coco", "train2017", "x"), joined("data/coco", "/train", "x")
        ('data/coco/train2017', '/train')
        >>> joined("other", joined("data", "train", "x"), "x")
        'other/train'
    """
    expect(path, (str, os.PathLike), f"{what} is a path")
    expect(folder, (str, os.PathLike), "`folder` is a path")
    told = path.told if isinstance(path, Joined) else os.fspath(path)
    if not isinstance(told, str):
        expect(told, str, f"{what} is a path")
    whole = os.path.expanduser(told)
    if folder and not is_abs(whole):
        whole = os.path.join(folder, whole)
    return _joined(whole, told)


def prefixes_of(folder: str, prefixes: Any, what: str) -> Mapping[str, str]:
    """The folders of ``data_prefix``, each below ``folder``; text is that of ``img_path``.

    Raises:
        FkitTypeError: they are no mapping, or one is no path.

    Example:
        >>> prefixes_of("data", {"img": "train"}, "x")["img"]
        'data/train'
    """
    if isinstance(prefixes, str):
        prefixes = {"img_path": prefixes}
    expect(prefixes, Mapping, f"{what} is a mapping of folders")
    return frozen({str(key): joined(folder, prefix, f"{what}[{key!r}]") for key, prefix in prefixes.items()})


def _joined(whole: str, told: str) -> str:
    path = Joined(whole)
    path.told = told
    return path
