"""Folders of images: names that systems leave behind, links, empty classes."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fkit.data.dataset import ImageFiles
from fkit.data.folder import ImageFolder
from fkit.data.transform.loading import LoadImageFromFile
from fkit.image.io import imwrite
from fkit.tree.error import FkitError, FkitFileNotFoundError


def folder(root: Path) -> Path:
    """Three images in two classes; cats written first."""
    for name, value in (("dog/b.png", 9), ("cat/a.png", 7), ("dog/a.PNG", 8), ("dog/notes.txt", None)):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        if value is None:
            path.write_text("not an image")
        else:
            assert imwrite(np.full((4, 6, 3), value, np.uint8), path)
    return root


def test_a_folder_is_sorted_by_class_and_name(tmp_path: Path):
    found = ImageFolder(folder(tmp_path), pipeline=[LoadImageFromFile()])
    assert found.metainfo["classes"] == ("cat", "dog")
    names = [(Path(one["img_path"]).name, one["gt_label"], one["sample_idx"]) for one in found]
    assert names == [("a.png", 0, 0), ("a.PNG", 1, 1), ("b.png", 1, 2)]
    assert found.pipeline(found[2])["img"][0, 0].tolist() == [9, 9, 9]


def test_classes_give_the_labels(tmp_path: Path):
    found = ImageFolder(folder(tmp_path), classes=["dog", "cat"])
    assert [one["gt_label"] for one in found] == [0, 0, 1]
    with pytest.raises(FkitFileNotFoundError, match=r"has no folder 'dgo'.\n  Did you mean 'dog'\?"):
        ImageFolder(tmp_path, classes=["dgo"])


def test_a_folder_without_images_is_an_error(tmp_path: Path):
    with pytest.raises(FkitError, match="holds no images in folders of classes"):
        ImageFolder(tmp_path)
    with pytest.raises(FileNotFoundError, match="is no folder"):
        ImageFolder(tmp_path / "absent")


def rows(found: ImageFolder) -> list[tuple[str, int]]:
    return [(os.path.relpath(path, found.data_root), label) for path, label in found.records]


def test_what_tools_leave_behind_is_neither_class_nor_image(tmp_path: Path):
    """Each of these shifted every label, or was read as an image."""
    clean = rows(ImageFolder(folder(tmp_path)))
    for name in (".ipynb_checkpoints", "__MACOSX", "@eaDir", ".git"):
        (tmp_path / name / "dog").mkdir(parents=True)
        (tmp_path / name / "dog" / "a.png").write_bytes(b"junk")
    for name in ("dog/._a.png", "cat/.ipynb_checkpoints/a-checkpoint.png", "cat/__MACOSX/a.png", "dog/.DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"junk")
    found = ImageFolder(tmp_path)
    assert found.metainfo["classes"] == ("cat", "dog") and rows(found) == clean


def test_a_hidden_folder_that_is_named_is_taken(tmp_path: Path):
    (folder(tmp_path) / "cat").rename(tmp_path / ".cat")
    assert rows(ImageFolder(tmp_path, classes=["dog", ".cat"]))[-1] == (".cat/a.png", 1)


def test_empty_classes_are_said(tmp_path: Path):
    (folder(tmp_path) / "bird").mkdir()
    with pytest.raises(
        FileNotFoundError, match=r"no image in .* of 'bird' \(3 classes; .*\n.*allow_empty=True"
    ) as caught:
        ImageFolder(tmp_path)
    assert isinstance(caught.value, FkitError)
    found = ImageFolder(tmp_path, allow_empty=True)
    assert found.classes == ("bird", "cat", "dog") and [label for _, label in rows(found)] == [1, 2, 2]
    assert [label for _, label in rows(ImageFolder(tmp_path, classes=["ant", "cat"], allow_empty=True))] == [1]


def test_links_to_folders_are_followed_and_loops_left_out(tmp_path: Path):
    away = tmp_path / "away"
    away.mkdir()
    folder(away)
    root = tmp_path / "root"
    root.mkdir()
    (root / "cat").symlink_to(away / "cat")
    (root / "dog").mkdir()
    (root / "dog" / "more").symlink_to(away / "dog")
    (away / "dog" / "again").symlink_to(root / "dog")
    (away / "dog" / "all").symlink_to(root)
    assert rows(ImageFolder(root)) == [("cat/a.png", 0), ("dog/more/a.PNG", 1), ("dog/more/b.png", 1)]


@pytest.mark.parametrize("name", ["cat/z.png", "bird"])
def test_a_link_that_leads_nowhere_is_said(tmp_path: Path, name: str):
    """An image would be missing, or a class and with it every label after it."""
    (folder(tmp_path) / name).symlink_to(tmp_path / "gone")
    with pytest.raises(FkitFileNotFoundError, match=f"the link .*{name} leads nowhere"):
        ImageFolder(tmp_path)


@contextmanager
def anybody() -> Iterator[Path]:
    """A folder that anybody may read, and, where this is root, to whom nothing is closed, the rights of nobody."""
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        was = os.geteuid()
        folder(Path(root))
        try:
            (Path(root) / "cat").chmod(0)
            if was == 0:
                os.seteuid(65534)
            yield Path(root)
        finally:
            os.seteuid(was)
            (Path(root) / "cat").chmod(0o755)


def test_a_folder_that_is_closed_is_said():
    with anybody() as root:
        with pytest.raises(FkitError, match="cat cannot be read: Permission denied"):
            ImageFolder(root)
        with pytest.raises(FileNotFoundError, match="cat/more' is no folder that can be reached"):
            ImageFolder(root / "cat" / "more")
        with pytest.raises(FileNotFoundError, match="is not there"):
            ImageFiles([root / "cat" / "a.png"])


def test_extensions_are_taken_with_and_without_dot(tmp_path: Path):
    assert len(ImageFolder(folder(tmp_path), extensions=["PNG"])) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": "cat"}, "classes is a list of folders' names, not the str 'cat'"),
        ({"classes": ["cat", "cat"]}, "classes names 'cat' twice"),
        ({"classes": ["cat", 3]}, "a class is a folder's name, not the int 3"),
        ({"extensions": "png"}, "extensions is a list"),
        ({"data_root": None}, "data_root is a path, not None"),
    ],
)
def test_wrong_arguments_are_said(tmp_path: Path, changes: dict[str, Any], said: str):
    with pytest.raises(FkitError, match=said):
        ImageFolder(**{"data_root": folder(tmp_path), **changes})
