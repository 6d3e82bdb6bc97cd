"""Where files lie: the home folder, names that are no UTF-8, what is no regular file; and how much of one is read."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import fkit
from fkit import fileio
from fkit.fileio import FkitFileExistsError, LocalStorage, dict_from_file, dump, get_file_backend, list_from_file, load
from fkit.fileio.backend import file_backends
from fkit.fileio.handler import adapt, file_handlers
from fkit.tree.error import FkitTypeError, FkitValueError

ROOT = Path(__file__).parents[2]

HOME = """
import os
from fkit import fileio
fileio.dump({"a": 1}, "~/new/a.json")
assert os.path.isfile(os.environ["HOME"] + "/new/a.json")
assert fileio.load("~/new/a.json") == {"a": 1} and fileio.exists("~/new/a.json") and fileio.isdir("~/new")
fileio.put_text("x\\ny\\n", "~/l.txt")
assert fileio.list_from_file("~/l.txt") == fileio.list_from_file("~/l.txt", max_num=2) == ["x", "y"]
assert list(fileio.list_dir_or_file("~")) == ["l.txt", "new"] and list(fileio.scandir("~")) == ["l.txt"]
assert fileio.copyfile("~/l.txt", "~/new") == os.environ["HOME"] + "/new/l.txt"
fileio.copyfile_to_local("~/l.txt", "~/c.txt")
fileio.put(b"1", "memory://home.txt")
fileio.copyfile_to_local("memory://home.txt", "~/d.txt")
assert fileio.get("~/d.txt") == b"1" and fileio.get_text("~/c.txt") == "x\\ny\\n"
fileio.copyfile_from_local("~/d.txt", "memory://back.txt")
fileio.mkdir_or_exist("~/e")
fileio.symlink("~/d.txt", "~/link")
assert fileio.get("~/link") == b"1"
fileio.check_file_exist("~/d.txt")
assert fileio.is_abs("~/d.txt")
with fileio.fopen("~/d.txt", "rb") as file:
    assert file.read() == b"1"
with fileio.get_file_backend(backend_args={"backend": "zip", "path": "~/a.zip", "mode": "w"}) as archive:
    archive.put(b"{}", "in.json")
assert fileio.load("zip://in.json::~/a.zip") == {}
fileio.remove("~/d.txt")
fileio.rmtree("~/e")
assert not os.path.exists("~") and sorted(os.listdir(os.environ["HOME"])) == ["a.zip", "c.txt", "l.txt", "link", "new"]
"""


def test_the_home_folder_is_written_out_everywhere(tmp_path: Path) -> None:
    env = {**os.environ, "HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", HOME], env=env, cwd=tmp_path / "here", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", [str, Path, os.fsencode], ids=["str", "Path", "bytes"])
def test_a_folder_whose_name_is_no_utf8(tmp_path: Path, kind: type) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/b\xe4d")
    if kind is os.fsencode:
        with pytest.raises(FkitTypeError, match="A path is a str or a Path, not b'"):
            fileio.exists(os.fsencode(folder))
        return
    path = kind(f"{folder}/\udcff.json")
    dump({"a": 1}, path)
    assert load(path) == {"a": 1} and fileio.exists(path) and os.listdir(os.fsencode(folder)) == [b"\xff.json"]
    assert list(fileio.scandir(folder)) == list(fileio.list_dir_or_file(folder)) == ["\udcff.json"]
    assert load(fileio.copyfile(path, f"{folder}/c.json")) == {"a": 1}
    with pytest.raises(FileNotFoundError) as caught:
        load(f"{folder}/none.json")
    assert "none.json: there is no such file" in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="no devices in the file system")
def test_a_device_stays_one(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    before = os.stat("/dev/null").st_mode
    assert fileio.copyfile(tmp_path / "a.txt", "/dev/null") == "/dev/null"
    dump({"a": 1}, "/dev/null", "json")
    with pytest.raises(OSError, match="/dev/full: cannot be written: No space left on device"):
        dump({"a": 1}, "/dev/full", "json")
    assert stat.S_ISCHR(before) and os.stat("/dev/null").st_mode == before
    with pytest.raises(FkitFileExistsError, match=r"/dev/null: .* is neither a link nor a file"):
        fileio.symlink("x", "/dev/null")
    assert os.stat("/dev/null").st_mode == before


@pytest.mark.skipif(os.name == "nt", reason="no pipes in the file system")
def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.txt").write_text("x")
    contents: list[str] = []
    reader = threading.Thread(target=lambda: contents.append((tmp_path / "pipe").read_text()), daemon=True)
    reader.start()
    fileio.copyfile(tmp_path / "a.txt", tmp_path / "pipe")
    reader.join(10)
    assert contents == ["x"]
    reader = threading.Thread(target=lambda: contents.append((tmp_path / "pipe").read_text()), daemon=True)
    reader.start()
    dump([1], tmp_path / "pipe", "json")
    reader.join(10)
    assert contents == ["x", "[1]"]
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)


def test_a_copy_is_whole_and_keeps_permissions_and_links(tmp_path: Path) -> None:
    source, target, link = tmp_path / "a.sh", tmp_path / "b.sh", tmp_path / "link"
    source.write_text("new")
    source.chmod(0o750)
    target.write_text("old")
    link.symlink_to("b.sh")
    assert fileio.copyfile(source, link) == str(link)
    assert link.is_symlink() and target.read_text() == "new" and stat.S_IMODE(target.stat().st_mode) == 0o750
    assert sorted(os.listdir(tmp_path)) == ["a.sh", "b.sh", "link"]


class TestLists:
    def test_no_more_is_read_than_asked(self, tmp_path: Path) -> None:
        path = tmp_path / "long.txt"
        path.write_text("".join(f"{n}\n" for n in range(9)))
        os.truncate(path, 1 << 42)  # 4 TB of nothing: no memory holds it
        assert list_from_file(path, max_num=5) == ["0", "1", "2", "3", "4"]
        assert list_from_file(path, max_num=2, offset=6) == ["6", "7"]

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_a_byte_order_mark_is_no_part_of_the_first_line(self, tmp_path: Path, encoding: str) -> None:
        path = tmp_path / "a.txt"
        path.write_bytes("ä 1\nb 2\n".encode(encoding))
        assert list_from_file(path) == ["ä 1", "b 2"] and list_from_file(path, max_num=1) == ["ä 1"]
        assert dict_from_file(path) == {"ä": "1", "b": "2"}

    def test_a_byte_order_mark_at_an_address(self) -> None:
        fileio.put("cat\n".encode("utf-8-sig"), "memory://mark.txt")
        assert list_from_file("memory://mark.txt") == list_from_file("memory://mark.txt", max_num=1) == ["cat"]

    @pytest.mark.parametrize("name", ["json", "yaml"])
    def test_a_byte_order_mark_of_a_value(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / f"a.{name}"
        for encoding in ("utf-8-sig", "utf-16"):
            path.write_bytes('{"ä": 1}'.encode(encoding))
            assert load(path) == {"ä": 1}

    def test_wrong_arguments(self, tmp_path: Path) -> None:
        path = tmp_path / "a.txt"
        path.write_text("a 1\n")
        for options, words in (
            ({"max_num": "5"}, "`max_num` is a number of lines, not '5'"),
            ({"offset": 1.5}, "`offset` is a number of lines, not 1.5"),
            ({"prefix": 3}, "`prefix` is a str, not 3"),
            ({"encoding": 3}, "an encoding is a str such as 'utf-8', not 3"),
            ({"registry": "x"}, "`registry` is a fkit.Registry or None, not 'x'"),
            ({"backend_args": {"backend": 3}}, "is the name of a file backend, not 3"),
        ):
            with pytest.raises(FkitTypeError, match=words):
                list_from_file(path, **options)
        with pytest.raises(FkitValueError, match=r"a\.txt: cannot be read as text: unknown encoding: nothing"):
            list_from_file(path, encoding="nothing")
        with pytest.raises(FkitTypeError, match="`key_type` is a class or a function, not 3"):
            dict_from_file(path, key_type=3)


def test_the_constant_tables_are_the_built_in_registry() -> None:
    reg = fkit.registry()
    assert sorted(file_handlers) == sorted(reg.names("file_handlers"))
    assert sorted(file_backends) == sorted(reg.names("file_backends"))
    assert all(adapt(reg.get("file_handlers", name)(), name) == handler for name, handler in file_handlers.items())
    for name in file_backends:
        args = {"backend": name, **{"zip": {"path": "a.zip"}, "lmdb": {"db_path": "a.lmdb"}}.get(name, {})}
        assert get_file_backend(backend_args=args, registry=reg) == get_file_backend(backend_args=args)


def test_reading_builds_no_registry(tmp_path: Path) -> None:
    dump({"a": 1}, tmp_path / "a.json")
    code = f"import sys\nfrom fkit import fileio\nfileio.load({str(tmp_path / 'a.json')!r})\nfileio.dump(1, {str(tmp_path / 'b.yaml')!r})\n"
    code += "print(*[name for name in ('fkit.catalog.builtin', 'fsspec', 'rich') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize("storage", [LocalStorage(), fileio.get_file_backend("memory://a")], ids=["local", "memory"])
def test_only_bytes_and_text_are_written(storage: object, tmp_path: Path) -> None:
    path = "memory://only/a" if storage != LocalStorage() else str(tmp_path / "a")
    for value in (3, "x", None, [], np.zeros(2)):
        with pytest.raises(FkitTypeError, match=r"a: a file is written of bytes, not of a"):
            storage.put(value, path)
    for value in (3, b"x", None, []):
        with pytest.raises(FkitTypeError, match=r"a: a text file is written of a str, not of a"):
            storage.put_text(value, path)
    assert not storage.exists(path)
    storage.put(memoryview(b"12"), path)
    assert storage.get(path) == b"12"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("BaseFileHandler", "to register_handler"),
        ("JsonHandler", r"file_handlers\['json'\]"),
        ("PetrelBackend", "s3://"),
        ("lod", "Did you mean 'load'"),
    ],
)
def test_names_that_are_not_here_say_what_to_write(name: str, words: str) -> None:
    with pytest.raises(AttributeError, match=words):
        getattr(fileio, name)
    assert not hasattr(fileio, name)
