"""Files are written whole or not at all."""

import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fkit.tree.error import FkitError, FkitOSError
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


def test_what_is_no_regular_file_stays_what_it_is(tmp_path: Path) -> None:
    # a terminal, and not /dev/null: a fault here, met by root, would cost the whole machine its /dev/null
    master, slave = os.openpty()
    terminal = os.ttyname(slave)
    atomic_write(terminal, b"shown")
    assert os.read(master, 99) == b"shown" and stat.S_ISCHR(os.stat(terminal).st_mode)
    os.close(master), os.close(slave)
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    for path in (fifo, link):
        found: list[bytes] = []
        reader = threading.Thread(target=lambda found=found: found.append(fifo.read_bytes()))
        reader.start()
        atomic_write(path, b"through")
        reader.join(10)
        assert found == [b"through"] and stat.S_ISFIFO(os.stat(fifo).st_mode)
    assert sorted(os.listdir(tmp_path)) == ["fifo", "link"]


def test_a_folder_and_a_socket_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(FkitOSError, match="folder: cannot be written: it is a folder"):
        atomic_write(tmp_path / "folder", b"x")
    here = os.getcwd()
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(tmp_path)  # the name of a socket has at most 107 characters
        try:
            server.bind("socket")
        finally:
            os.chdir(here)
        with pytest.raises(FkitOSError, match="it is a socket"):
            atomic_write(tmp_path / "socket", b"x")


@pytest.mark.parametrize("to_file", [True, False])
def test_standard_output_is_written_into(tmp_path: Path, to_file: bool) -> None:
    code = "from fkit.tree.write import atomic_write as w; print('one', flush=True); w('/dev/stdout', b'two\\n')"
    code += "; w('/dev/fd/1', b'three\\n')"
    file = tmp_path / "out.txt"
    with open(file, "wb") as out:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=out if to_file else subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert (file.read_bytes() if to_file else done.stdout) == b"one\ntwo\nthree\n"


def test_the_umask_is_not_touched(tmp_path: Path) -> None:
    """To ask for it is to set it for a moment, in which another thread's new file would be open to all."""
    calls: list[object] = []
    sys.setprofile(lambda _frame, event, what: calls.append(what) if event == "c_call" else None)
    try:
        atomic_write(tmp_path / "b.txt", b"x")
    finally:
        sys.setprofile(None)
    assert os.replace in calls and os.umask not in calls


def test_errors_are_of_the_family_and_keep_the_systems_words(tmp_path: Path) -> None:
    with pytest.raises(FkitError, match=r"none/a\.txt: cannot be written: No such file") as caught:
        atomic_write(tmp_path / "none" / "a.txt", b"x")
    assert isinstance(caught.value, FileNotFoundError) and caught.value.strerror == "No such file or directory"
    with pytest.raises(FkitError, match="is no path of a file"):
        atomic_write("a\0b", b"x")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limit[1]))  # as a disk that is full
    try:
        with pytest.raises(FkitOSError, match=r"big\.txt: cannot be written: File too large"):
            atomic_write(tmp_path / "big.txt", b"x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    for wrong in (None, 3, []):
        with pytest.raises(FkitError, match="`path` is the path of a file"):
            atomic_write(wrong, b"x")  # type: ignore[arg-type]
        with pytest.raises(FkitError, match="`data` are bytes"):
            atomic_write(tmp_path / "c", wrong)  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == []
