"""Folders of images: one folder a class."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from frozendict import frozendict

from fkit.data.dataset.indexed import Pipeline, checked, compose
from fkit.data.digest import digest_of_names
from fkit.data.transform.transform import Sample
from fkit.tree.check import expect
from fkit.tree.error import FkitFileNotFoundError, FkitOSError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["EXTENSIONS", "ImageFolder", "hidden"]

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
_LEFT_BEHIND = ("__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir", "$RECYCLE.BIN", "System Volume Information")
_SHOWN = 5


@dataclass(frozen=True)
class ImageFolder:
    """A folder with one folder of images a class: ``data_root/CLASS/.../NAME.png``.

    Args:
        data_root: the folder.
        classes: the classes in the order of their labels; None takes the folders' names, sorted.
        extensions: of the files taken, in any case.
        pipeline: transforms, the first of which reads ``img_path`` (LoadImageFromFile).
        metainfo: kept, with ``classes`` set.
        allow_empty: take classes that have no image, or no folder either, as torchvision's ImageFolder does.

    Files are sorted by class and path, so that a sample's number does not hang on the file system. Links to folders are
    followed. Hidden names (see `hidden`) are neither classes nor images, unless ``classes`` names them.

    Raises:
        FkitFileNotFoundError: the folder or a class's folder is not there, a class has no image, or a link leads nowhere.
        FkitOSError: a folder cannot be read.
        FkitValueError: no image at all, or a class twice.
    """

    data_root: str | Path
    classes: Sequence[str] | None = None
    extensions: Sequence[str] = EXTENSIONS
    pipeline: Pipeline = ()
    metainfo: Mapping[str, Any] = field(default=frozen({}), repr=False)
    allow_empty: bool = False
    records: tuple[tuple[str, int], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        expect(self.data_root, (str, Path), "ImageFolder: data_root is a path")
        expect(self.metainfo, Mapping, "ImageFolder: metainfo is a mapping")
        root, endings = Path(os.path.expanduser(self.data_root)), _endings(self.extensions)
        if not os.path.isdir(root):  # Path.is_dir raises where a folder above it is closed
            raise FkitFileNotFoundError(f"ImageFolder: data_root = {str(root)!r} is no folder that can be reached.")
        there = tuple(entry.name for entry in _entries(root) if entry.is_dir())
        names = there if self.classes is None else self._named(there)
        around = frozenset({os.path.realpath(root)})
        files = {name: tuple(_images(root / name, endings, around)) for name in names if os.path.isdir(root / name)}
        if not any(files.values()):
            raise FkitValueError(
                f"ImageFolder: {root} holds no images in folders of classes.",
                repair=f"Expected {root}/CLASS/NAME with one of {', '.join(endings)}.",
            )
        empty = [name for name in names if not files.get(name)]
        if empty and not self.allow_empty:
            more = f" and {len(empty) - _SHOWN} more" if len(empty) > _SHOWN else ""
            raise FkitFileNotFoundError(
                f"ImageFolder: no image in {root} of {', '.join(map(repr, empty[:_SHOWN]))}{more}"
                f" ({len(names)} classes; images end in {', '.join(endings)}).",
                repair="Remove an empty folder, name the classes with classes=[...], or set allow_empty=True.",
            )
        put = object.__setattr__
        put(self, "classes", names)
        put(self, "extensions", endings)
        put(self, "pipeline", compose(self.pipeline))
        put(self, "metainfo", frozen({**self.metainfo, "classes": names}))
        put(self, "records", tuple((path, label) for label, name in enumerate(names) for path in files.get(name, ())))

    @property
    def fingerprint(self) -> str:
        """A digest of the files' names, told from ``data_root``, and of their labels; the files are not read."""
        return digest_of_names(self.records, str(Path(os.path.expanduser(self.data_root))))

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        place = checked(index, len(self), "ImageFolder")
        path, label = self.records[place]
        return frozendict(img_path=path, gt_label=label, sample_idx=place)

    def _named(self, there: tuple[str, ...]) -> tuple[str, ...]:
        """The classes that were asked for."""
        expect(self.classes, (list, tuple), "ImageFolder: classes is a list of folders' names")
        names = tuple(cast("Sequence[Any]", self.classes))
        for place, name in enumerate(names):
            expect(name, str, "ImageFolder: a class is a folder's name")
            if name in names[:place]:
                raise FkitValueError(f"ImageFolder: classes names {name!r} twice.")
            if not self.allow_empty and not os.path.isdir(Path(os.path.expanduser(self.data_root), name)):
                raise FkitFileNotFoundError(
                    f"ImageFolder: {self.data_root} has no folder {name!r}.", value=name, choices=there, label="Folders"
                )
        return names


def hidden(name: str) -> bool:
    """Whether a name is one that tools and systems leave behind: it begins with a dot (``.ipynb_checkpoints``,
    ``.DS_Store``, ``._1.png``), or is ``__MACOSX``, ``Thumbs.db`` and the like.

    Example:
        >>> hidden("._1.png"), hidden("__MACOSX"), hidden("1.png")
        (True, True, False)
    """
    expect(name, str, "`name` is a file's name")
    return name.startswith(".") or name in _LEFT_BEHIND


def _endings(extensions: Any) -> tuple[str, ...]:
    expect(extensions, (list, tuple), "ImageFolder: extensions is a list such as ['.png']")
    for one in extensions:
        expect(one, str, "ImageFolder: an extension is text such as '.png'")
    return tuple("." + one.lower().removeprefix(".") for one in extensions)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder holds and is not hidden, by name."""
    try:
        with os.scandir(folder) as all_entries:
            entries = sorted((one for one in all_entries if not hidden(one.name)), key=lambda one: one.name)
    except OSError as cause:
        raise FkitOSError(f"ImageFolder: {folder} cannot be read: {cause.strerror}.") from cause
    for entry in entries:
        if entry.is_symlink() and not os.path.exists(entry.path):  # of a class, or of an image: it would be missing
            raise FkitFileNotFoundError(
                f"ImageFolder: the link {entry.path} leads nowhere.", repair="Repair it or remove it."
            )
    return entries


def _images(folder: Path, endings: tuple[str, ...], above: frozenset[str]) -> Iterator[str]:
    """The images below a folder, sorted by the parts of their paths; a folder that links to one above it is left out."""
    real = os.path.realpath(folder)
    if real in above:
        return
    for entry in _entries(folder):
        if entry.is_dir():
            yield from _images(Path(entry.path), endings, above | {real})
        elif entry.name.lower().endswith(endings):
            yield entry.path
