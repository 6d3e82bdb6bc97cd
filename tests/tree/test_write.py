"""Files are written whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from fkit.tree.write import atomic_write


def test_it_writes_and_replaces(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    atomic_write(file, b"one")
    atomic_write(str(file), b"two")
    assert file.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_failure_leaves_what_was_there_and_no_litter(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    atomic_write(file, b"one")
    with pytest.raises(TypeError):
        atomic_write(file, "text")  # type: ignore[arg-type]
    assert file.read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["a.txt"]
    with pytest.raises(FileNotFoundError):
        atomic_write(tmp_path / "none" / "a.txt", b"x")


def test_a_link_stays_a_link_and_modes_stay(tmp_path: Path) -> None:
    file, link = tmp_path / "a.txt", tmp_path / "b.txt"
    file.write_bytes(b"one")
    file.chmod(0o640)
    link.symlink_to(file)
    atomic_write(link, b"two")
    assert link.is_symlink() and file.read_bytes() == b"two"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_new_file_can_be_read_by_others_as_the_umask_says(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        atomic_write(tmp_path / "a.txt", b"x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644
