"""Image files of one's own, with no labels."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from frozendict import frozendict

from fkit.data.dataset.indexed import Pipeline, checked, compose
from fkit.data.digest import digest_of_names
from fkit.data.transform.transform import Sample
from fkit.tree.check import expect
from fkit.tree.error import FkitFileNotFoundError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["ImageFiles"]


@dataclass(frozen=True)
class ImageFiles:
    """Image files of one's own, with no labels.

    Args:
        paths: of the images, in the order in which they are wanted.
        pipeline: transforms, the first of which reads ``img_path`` (LoadImageFromFile).
        metainfo: ``classes`` and the like.

    Raises:
        FkitValueError: no paths.
        FkitFileNotFoundError: a file is not there.

    Example:
        >>> ImageFiles(["a.png"])
        Traceback (most recent call last):
        fkit.tree.error.FkitFileNotFoundError: the image a.png is not there.
    """

    paths: Iterable[str | Path]
    pipeline: Pipeline = ()
    metainfo: Mapping[str, Any] = field(default=frozen({}), repr=False)

    def __post_init__(self) -> None:
        expect(self.metainfo, Mapping, "ImageFiles: metainfo is a mapping")
        several: Any = self.paths
        if isinstance(several, (str, Path)) or not isinstance(several, Iterable):
            raise FkitTypeError(f"ImageFiles: paths is a list of files, not {quoted(several)}.")
        paths = tuple(os.path.expanduser(str(path)) for path in cast("Iterable[Any]", several))
        if not paths:
            raise FkitValueError("no image was named.", repair="Name at least one image file.")
        for path in paths:
            if not os.path.isfile(path):
                what = "is a folder" if os.path.isdir(path) else "is not there"
                raise FkitFileNotFoundError(f"the image {path} {what}.")
        object.__setattr__(self, "paths", paths)
        object.__setattr__(self, "pipeline", compose(self.pipeline))
        object.__setattr__(self, "metainfo", frozen(self.metainfo))

    @property
    def fingerprint(self) -> str:
        """A digest of the files' names, told from the folder that holds them all, so that the data may move."""
        assert isinstance(self.paths, tuple)
        whole = [os.path.abspath(path) for path in self.paths]
        folder = os.path.commonpath([os.path.dirname(path) for path in whole])
        return digest_of_names(((path, None) for path in whole), folder)

    def __len__(self) -> int:
        assert isinstance(self.paths, tuple)
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        assert isinstance(self.paths, tuple)
        place = checked(index, len(self), "ImageFiles")
        return frozendict(img_path=self.paths[place], sample_idx=place)
