"""Paths and folders of the local disk."""

import os
from pathlib import Path

import pytest

from fkit.fileio import check_file_exist, find_vcs_root, is_abs, mkdir_or_exist, scandir, symlink
from fkit.tree.error import FkitFileNotFoundError, FkitOSError, FkitTypeError


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_scandir(tmp_path):
    fill(tmp_path, "b.txt", "a.JPG", ".hidden.txt", "sub/c.txt", ".git/d.txt", "sub/.e.txt")
    assert list(scandir(tmp_path)) == ["a.JPG", "b.txt"]
    assert list(scandir(str(tmp_path), recursive=True)) == [".git/d.txt", "a.JPG", "b.txt", "sub/c.txt"]
    assert list(scandir(tmp_path, ".jpg")) == []
    assert list(scandir(tmp_path, (".JPG", ".txt"))) == ["a.JPG", "b.txt"]
    assert list(scandir(tmp_path, ".jPg", case_sensitive=False)) == ["a.JPG"]
    with pytest.raises(FkitTypeError, match="`dir_path` is a str or a Path, not 3"):
        scandir(3)
    with pytest.raises(FkitTypeError, match=r"`suffix` is a str or a tuple of them, not \['a'\]"):
        scandir(tmp_path, ["a"])
    with pytest.raises(FkitFileNotFoundError, match="nowhere: there is no such file or folder"):
        list(scandir(tmp_path / "nowhere"))


def test_mkdir(tmp_path):
    mkdir_or_exist("")
    mkdir_or_exist(tmp_path / "a" / "b")
    mkdir_or_exist(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    fill(tmp_path, "file")
    with pytest.raises(FileExistsError, match="file: is there already, and is no folder"):
        mkdir_or_exist(tmp_path / "file")


def test_symlink(tmp_path):
    fill(tmp_path, "a", "b")
    symlink(tmp_path / "a", tmp_path / "link")
    symlink(tmp_path / "b", tmp_path / "link")
    assert (tmp_path / "link").read_text() == "b"
    symlink("missing", tmp_path / "link")  # over a link, and to nothing
    symlink("b", tmp_path / "link")
    assert os.readlink(tmp_path / "link") == "b"
    with pytest.raises(FileExistsError, match="link: is there already"):
        symlink("a", tmp_path / "link", overwrite=False)
    (tmp_path / "folder").mkdir()
    with pytest.raises(FkitOSError, match="folder: cannot be made a link to a"):
        symlink("a", tmp_path / "folder")


def test_questions(tmp_path):
    fill(tmp_path, "a")
    check_file_exist(tmp_path / "a")
    with pytest.raises(FileNotFoundError, match="no b here"):
        check_file_exist(tmp_path / "b", "no b here: {}")
    assert is_abs(tmp_path) and is_abs("s3://a/b") and not is_abs("a/b")


def test_find_vcs_root(tmp_path):
    fill(tmp_path, "repo/.git/x", "repo/a/b/c.txt", "repo/a/.hg/y")
    assert find_vcs_root(tmp_path / "repo" / "a" / "b") == str(tmp_path / "repo")
    assert find_vcs_root(tmp_path / "repo" / "a" / "b" / "c.txt") == str(tmp_path / "repo")
    assert find_vcs_root(tmp_path / "repo" / "a" / "b", markers=(".hg", ".git")) == str(tmp_path / "repo" / "a")
    assert find_vcs_root(tmp_path / "repo", markers=("no such marker",)) is None
