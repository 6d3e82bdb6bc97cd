"""Files from the net: fetched once, whole, known by their checksum; tried on a server of this machine."""

import hashlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fkit.fileio.fetch import cache_folder, fetch
from fkit.tree.error import FkitFileNotFoundError, FkitOSError, FkitTypeError, FkitValueError

from .served import serving

DATA = os.urandom(3 << 20)
HASHED = f"/models/net-{hashlib.sha256(DATA).hexdigest()[:8]}.pth"


@pytest.fixture
def server():
    with serving() as state:
        state.files = {HASHED: DATA, "/a.pth": b"a", "/net-00000000.pth": b"another", "/empty.pth": b""}
        yield state


def test_a_file_is_fetched_once(server, tmp_path, capsys):
    place = fetch(server.url + HASHED, tmp_path)
    assert place.read_bytes() == DATA and fetch(server.url + HASHED, tmp_path) == place
    assert place.relative_to(tmp_path).parts[1:] == ("models", HASHED.rpartition("/")[2])
    assert server.asked == [(HASHED, None)] and [p.name for p in place.parent.iterdir()] == [place.name]
    assert f"{place.name}: 3.1 MB of 3.1 MB" in capsys.readouterr().err


def test_files_of_one_name_are_kept_apart(server, tmp_path):
    server.files |= {"/b/a.pth": b"b"}
    places = [fetch(f"{server.url}{path}", tmp_path) for path in ("/a.pth", "/b/a.pth", "/a.pth?raw=1")]
    assert [place.read_bytes() for place in places] == [b"a", b"b", b"a"] and len(set(places)) == 3


def test_a_fetch_that_was_cut_off_goes_on(server, tmp_path):
    server.cut = 1 << 20
    with pytest.raises(FkitOSError, match=r"cannot be fetched: .*\n  Where there is no way to 127"):
        fetch(server.url + HASHED, tmp_path)
    assert not any(path.suffix == ".pth" for path in tmp_path.rglob("*"))
    assert fetch(server.url + HASHED, tmp_path).read_bytes() == DATA
    assert server.asked == [(HASHED, None), (HASHED, f"bytes={1 << 20}-")]


def test_without_a_checksum_it_starts_over(server, tmp_path):
    server.files["/a.pth"], server.cut = b"first" * 100, 5
    with pytest.raises(FkitOSError):
        fetch(f"{server.url}/a.pth", tmp_path)
    server.files["/a.pth"] = b"other" * 100
    assert fetch(f"{server.url}/a.pth", tmp_path).read_bytes() == b"other" * 100
    assert server.asked[-1] == ("/a.pth", None)


def test_what_comes_is_held_against_its_name(server, tmp_path):
    with pytest.raises(FkitValueError, match="its name says 00000000: it is another file"):
        fetch(f"{server.url}/net-00000000.pth", tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_errors(server, tmp_path):
    with pytest.raises(FkitFileNotFoundError, match=r"nothing\.pth: the server has no such file \(404\)"):
        fetch(f"{server.url}/nothing.pth", tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(
        FkitOSError, match=r"cannot be fetched: .*\n.*fetch it elsewhere and put it at .*a-12345678.pth"
    ):
        fetch(f"http://127.0.0.1:{port}/a-12345678.pth", tmp_path)
    for odd in ("ftp://a/b.pth", "a.pth", "http://", "http:///a", f"{server.url}/", f"{server.url}/%2e%2e/a.pth"):
        with pytest.raises(FkitValueError):
            fetch(odd, tmp_path)
    with pytest.raises(FkitTypeError):
        fetch(None)


def test_a_copy_put_there_by_hand_is_taken(tmp_path):
    place = tmp_path / "nowhere.invalid/a/b.pth"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"by hand")
    assert fetch("https://nowhere.invalid/a/b.pth", tmp_path) == place


def test_several_at_once_fetch_it_once(server, tmp_path):
    threads = [threading.Thread(target=fetch, args=(server.url + HASHED, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked) == 1


def test_where_they_are_kept(tmp_path):
    """In a child: the environment of the suite's process stays as it is."""
    code = "from fkit.fileio.fetch import cache_folder, fetch; print(cache_folder()); print(fetch('https://a.invalid/m-12345678.pth'))"
    hub = tmp_path / "hub/checkpoints"
    hub.mkdir(parents=True)
    name = f"net-{hashlib.sha256(b'x').hexdigest()[:8]}.pth"
    (hub / name).write_bytes(b"x")
    code = code.replace("m-12345678.pth", name)
    env = {**os.environ, "FKIT_CACHE": str(tmp_path / "kept"), "TORCH_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tmp_path / "kept"), str(hub / name)]
    assert cache_folder() == Path(os.environ.get("FKIT_CACHE") or cache_folder())
