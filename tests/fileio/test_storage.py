"""The storages: one set of operations crossed over all, and what each refuses."""

import http.server
import importlib
import pickle
import shutil
import threading
import zipfile
from functools import partial

import pytest

import fkit
from fkit import fileio
from fkit.fileio import LocalStorage, Storage, get_file_backend
from fkit.tree.error import (
    FkitError,
    FkitFileNotFoundError,
    FkitImportError,
    FkitKeyError,
    FkitOSError,
    FkitTypeError,
    FkitValueError,
)


@pytest.fixture(params=["local", "memory", "lmdb"])
def place(request, tmp_path):
    """(a storage that can be written, the address of an empty folder in it)"""
    if request.param == "local":
        yield LocalStorage(), str(tmp_path / "root")
    elif request.param == "memory":
        memory = get_file_backend("memory://x")
        yield memory, f"memory://{request.node.name}"
        if memory.exists(f"memory://{request.node.name}"):
            memory.rmtree(f"memory://{request.node.name}")
    else:
        pytest.importorskip("lmdb")
        args = {"backend": "lmdb", "db_path": str(tmp_path / "a.lmdb"), "readonly": False}
        with get_file_backend(backend_args=args) as storage:
            yield storage, "root"


class TestEveryStorage:
    def test_put_and_get(self, place):
        storage, root = place
        path = storage.join_path(root, "a", "b.txt")
        assert not storage.exists(path)
        storage.put(b"\xc3\xa4", path)
        assert storage.get(path) == b"\xc3\xa4"
        assert storage.get_text(path) == "ä"
        storage.put_text("ö", path, encoding="latin-1")
        assert storage.get_text(path, encoding="latin-1") == "ö"
        with pytest.raises(FkitValueError, match=r"b\.txt: cannot be read as text"):
            storage.get_text(path)

    def test_what_is_there(self, place):
        storage, root = place
        path = storage.join_path(root, "a", "b.txt")
        storage.put(b"1", path)
        folder = storage.join_path(root, "a")
        assert [storage.exists(path), storage.isfile(path), storage.isdir(path)] == [True, True, False]
        assert [storage.exists(folder), storage.isfile(folder), storage.isdir(folder)] == [True, False, True]
        missing = storage.join_path(root, "c")
        assert [storage.exists(missing), storage.isfile(missing), storage.isdir(missing)] == [False, False, False]

    def test_listing(self, place):
        storage, root = place
        for name in ("b.txt", "a.jpg", "sub/c.txt", "sub/deep/d.jpg", ".hidden", ".git/e.txt"):
            storage.put(b"", storage.join_path(root, *name.split("/")))
        listed = partial(storage.list_dir_or_file, root)
        assert list(listed()) == ["a.jpg", "b.txt", "sub"]
        assert list(listed(list_dir=False)) == ["a.jpg", "b.txt"]
        assert list(listed(list_file=False, recursive=True)) == ["sub", "sub/deep"]
        assert list(listed(list_dir=False, suffix=".txt", recursive=True)) == ["b.txt", "sub/c.txt"]
        assert list(listed(list_dir=False, suffix=(".txt", ".jpg"), recursive=True)) == [
            "a.jpg", "b.txt", "sub/c.txt", "sub/deep/d.jpg",
        ]  # fmt: skip
        with pytest.raises(FkitTypeError, match="needs list_dir=False"):
            list(listed(suffix=".txt"))
        with pytest.raises(FkitTypeError, match="`suffix` is a str or a tuple of them, not 3"):
            list(listed(list_dir=False, suffix=3))
        with pytest.raises(FkitFileNotFoundError, match="nowhere: there is no such"):
            list(storage.list_dir_or_file(storage.join_path(root, "nowhere")))

    def test_copies_and_removal(self, place, tmp_path):
        storage, root = place
        path = storage.join_path(root, "a", "b.txt")
        storage.put(b"1", path)
        other = storage.copyfile(path, storage.join_path(root, "c.txt"))
        assert storage.get(other) == b"1"
        assert storage.get(storage.copyfile(other, storage.join_path(root, "a"))) == b"1"
        with pytest.raises(shutil.SameFileError, match="they are one file"):
            storage.copyfile(path, path)
        tree = storage.copytree(storage.join_path(root, "a"), storage.join_path(root, "d"))
        assert sorted(storage.list_dir_or_file(tree)) == ["b.txt", "c.txt"]
        with pytest.raises(FileExistsError, match="is there already"):
            storage.copytree(storage.join_path(root, "a"), tree)
        storage.remove(path)
        assert not storage.exists(path)
        with pytest.raises(FkitFileNotFoundError, match=r"b\.txt: there is no such file"):
            storage.remove(path)
        with pytest.raises(OSError, match=f"cannot be removed|{root}"):
            storage.remove(tree)
        storage.rmtree(tree)
        assert not storage.exists(tree)

    def test_to_and_from_the_disk(self, place, tmp_path):
        storage, root = place
        source = tmp_path / "source"
        (source / "x").mkdir(parents=True)
        (source / "a.txt").write_bytes(b"1")
        (source / "x" / "b.txt").write_bytes(b"2")
        assert storage.get(storage.copyfile_from_local(source / "a.txt", storage.join_path(root, "c.txt"))) == b"1"
        tree = storage.copytree_from_local(source, storage.join_path(root, "tree"))
        assert storage.get(storage.join_path(tree, "x", "b.txt")) == b"2"
        back = storage.copytree_to_local(tree, str(tmp_path / "back"))
        assert (tmp_path / "back" / "x" / "b.txt").read_bytes() == b"2" and back == str(tmp_path / "back")
        file = storage.copyfile_to_local(storage.join_path(tree, "a.txt"), str(tmp_path / "new" / "a.txt"))
        assert LocalStorage().get(file) == b"1"
        assert storage.copyfile_to_local(storage.join_path(tree, "a.txt"), str(source / "x")).endswith("a.txt")

    def test_local_path(self, place):
        storage, root = place
        path = storage.join_path(root, "a.txt")
        storage.put(b"1", path)
        with storage.get_local_path(path) as local:
            assert local.endswith(".txt")
            assert LocalStorage().get(local) == b"1"
        assert LocalStorage().exists(local) == (storage.name == "local")

    def test_missing(self, place):
        storage, root = place
        path = storage.join_path(root, "missing.txt")
        with pytest.raises(FileNotFoundError, match=r"missing\.txt: there is no such file"):
            storage.get(path)
        with pytest.raises(FkitFileNotFoundError):
            storage.get_text(path)

    def test_links(self, place):
        storage, root = place
        path, other = storage.join_path(root, "a.txt"), storage.join_path(root, "b.txt")
        storage.put(b"1", path)
        assert storage.copy_if_symlink_fails(path, other) == (storage.name == "local")
        assert storage.get(other) == b"1"


def test_the_functions_find_the_storage(tmp_path):
    path = str(tmp_path / "a" / "b.txt")
    fileio.put_text("x", path)
    assert fileio.get(path) == b"x" and fileio.exists(path) and fileio.isfile(path) and not fileio.isdir(path)
    assert fileio.get(f"file://{path}") == b"x"
    assert fileio.get(path, backend_args={"backend": "local"}) == b"x"
    assert list(fileio.list_dir_or_file(tmp_path)) == ["a"]
    assert fileio.join_path(str(tmp_path), "a") == str(tmp_path / "a")
    fileio.rmtree(tmp_path / "a")
    assert not fileio.exists(path)
    with pytest.raises(FkitOSError, match="cannot be read: it is a folder"):
        fileio.get(tmp_path)


class TestLookup:
    def test_by_prefix(self):
        assert isinstance(get_file_backend("a/b"), LocalStorage)
        assert get_file_backend("cluster:memory://a").name == "memory"
        assert get_file_backend("https://a.org").name == "http"
        assert get_file_backend("dir://x").name == "dir"  # fsspec's own, not registered here

    def test_unknown(self):
        with pytest.raises(FkitKeyError) as caught:
            get_file_backend("httq://a.org/b")
        assert "httq://a.org/b: no file backend is registered for 'httq'" in str(caught.value)
        assert "Did you mean 'http'? Registered: disk, file, http, https, lmdb, local" in str(caught.value)
        with pytest.raises(FkitKeyError, match="'petrol'"):
            get_file_backend("a", backend_args={"backend": "petrol"})
        with pytest.raises(FkitValueError, match="neither a path nor"):
            get_file_backend()

    def test_arguments(self):
        with pytest.raises(FkitTypeError, match=r"the file backend 'memory' does not take \['speed'\]"):
            get_file_backend("memory://a", backend_args={"speed": 3})
        with pytest.raises(FkitTypeError, match="backend_args is a mapping"):
            fileio.load("a.json", backend_args=["local"])
        mapped = get_file_backend("data/a", backend_args={"backend": "petrel", "path_mapping": {"data/": "s3://b/"}})
        assert mapped.name == "s3" and mapped.mapping == (("data/", "s3://b/"),)

    def test_own_backend_is_one_registration(self):
        class Constant:
            def __init__(self, value="?"):
                self.value = value

            def get_text(self, filepath, encoding="utf-8"):
                return f"{self.value} {filepath}"

        reg = fkit.registry().register("file_backends", Constant, name="const")
        assert fileio.get_text("const://a", registry=reg) == "? const://a"
        assert fileio.get_text("a", backend_args={"backend": "const", "value": "!"}, registry=reg) == "! a"
        with pytest.raises(FkitKeyError, match="'const'"):
            fileio.get_text("const://a")


class TestZip:
    @pytest.fixture
    def archive(self, tmp_path):
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("top.json", '{"a": 1}')
            file.writestr("in/b.txt", "hello")
        return path

    def test_reading(self, archive, tmp_path):
        assert fileio.load(f"zip://top.json::{archive}") == {"a": 1}
        args = {"backend": "zip", "path": str(archive)}
        assert fileio.get_text("in/b.txt", backend_args=args) == "hello"
        assert list(fileio.list_dir_or_file("", backend_args=args, recursive=True)) == ["in", "in/b.txt", "top.json"]
        assert fileio.isdir("in", backend_args=args) and not fileio.exists("no", backend_args=args)
        fileio.copytree_to_local("in", tmp_path / "out", backend_args=args)
        assert (tmp_path / "out" / "b.txt").read_text() == "hello"
        with fileio.get_local_path(f"zip://in/b.txt::{archive}") as path:
            assert path.endswith(".txt") and fileio.get_text(path) == "hello"

    def test_writing(self, tmp_path):
        args = {"backend": "zip", "path": str(tmp_path / "new.zip"), "mode": "w"}
        with get_file_backend(backend_args=args) as storage:
            storage.put(b"1", "x/a.txt")
        assert zipfile.ZipFile(tmp_path / "new.zip").read("x/a.txt") == b"1"

    def test_a_rewritten_archive_is_read_anew(self, archive):
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("top.json", '{"a": 2}')
        assert fileio.load(f"zip://top.json::{archive}") == {"a": 2}

    @pytest.mark.parametrize("path", ["../secret.txt", "in/../../secret.txt", "/etc/passwd", "..\\secret.txt"])
    def test_a_path_that_leaves_it_is_refused(self, archive, path):
        (archive.parent / "secret.txt").write_text("secret")
        for call in (fileio.get, fileio.exists, fileio.isfile):
            with pytest.raises(FkitValueError, match="the path leaves the archive; it is refused"):
                call(f"zip://{path}::{archive}")

    @pytest.mark.parametrize("name", ["../evil.txt", "in/../../evil.txt", "in/..\\..\\evil.txt"])
    def test_a_member_that_leaves_the_folder_is_refused(self, archive, name, tmp_path):
        with zipfile.ZipFile(archive, "a") as file:
            file.writestr(name, "evil")
        args = {"backend": "zip", "path": str(archive)}
        folder = tmp_path / "deep" / "out"
        with pytest.raises(FkitValueError, match="leaves the archive; it is refused"):
            fileio.copytree_to_local("", folder, backend_args=args)
        assert not folder.exists() and not list(tmp_path.rglob("evil.txt"))

    def test_errors(self, archive, tmp_path):
        with pytest.raises(FkitFileNotFoundError, match=r"zip://no\.json::.*: there is no such file"):
            fileio.load(f"zip://no.json::{archive}")
        with pytest.raises(FkitFileNotFoundError):
            fileio.get(f"zip://a::{tmp_path}/no.zip")
        with pytest.raises(FkitTypeError, match=r"needs the archive.*\n.*zip://inner/path::archive\.zip"):
            fileio.get("zip://a.txt")
        (tmp_path / "bad.zip").write_bytes(b"no zip")
        with pytest.raises(FkitOSError, match=r"bad\.zip: cannot be opened: File is not a zip file"):
            fileio.get(f"zip://a::{tmp_path}/bad.zip")


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves two files, one of them long, and one that breaks off."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(send=False)

    def do_GET(self):
        self.answer(send=True)

    def answer(self, send):
        content = {"/a.json": b'{"a": 1}', "/long.bin": bytes(17 << 20), "/cut.bin": b"abc"}.get(
            self.path.partition("?")[0]
        )
        self.send_response(404 if content is None else 200)
        content = content or b""
        self.send_header("Content-Length", str(len(content) + (5 if self.path == "/cut.bin" else 0)))
        self.end_headers()
        if send:
            self.wfile.write(content)
            self.close_connection = self.path == "/cut.bin"

    def log_message(self, *_):
        """Silent."""


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()
        thread.join()


class TestHttp:
    def test_reading(self, server):
        pytest.importorskip("aiohttp")
        assert fileio.load(f"{server}/a.json") == {"a": 1}
        assert fileio.load(f"{server}/a.json?raw=1") == {"a": 1}
        assert fileio.exists(f"{server}/a.json") and not fileio.exists(f"{server}/b.json")

    def test_a_long_download_shows_its_progress(self, server, capsys):
        pytest.importorskip("aiohttp")
        assert len(fileio.get(f"{server}/long.bin")) == 17 << 20
        assert "long.bin: 17.8 MB of 17.8 MB" in capsys.readouterr().err

    def test_errors(self, server):
        pytest.importorskip("aiohttp")
        with pytest.raises(FkitFileNotFoundError, match=r"b\.json: there is no such file"):
            fileio.get(f"{server}/b.json")
        with pytest.raises(FkitOSError, match=r"cut\.bin: cannot be read"):
            fileio.get(f"{server}/cut.bin")
        with pytest.raises(FkitOSError, match="cannot be read"):
            fileio.get("http://127.0.0.1:9/a.json")
        # a newer fsspec asks the server; the oldest has no way to write
        with pytest.raises(FkitError, match=r"cannot be written: (501|its storage does not offer that)"):
            fileio.put(b"", f"{server}/new.txt")


def test_lmdb_by_address(tmp_path):
    pytest.importorskip("lmdb")
    args = {"backend": "lmdb", "db_path": str(tmp_path / "a.lmdb")}
    with get_file_backend(backend_args={**args, "readonly": False}) as storage:
        storage.put(b"1", "key")
    assert fileio.get("key", backend_args=args) == b"1"
    with pytest.raises(FkitFileNotFoundError, match=r"other: there is no such file"):
        fileio.get("other", backend_args=args)
    with pytest.raises(FkitFileNotFoundError, match=r"no\.lmdb: there is no such file"):
        fileio.get("key", backend_args={"backend": "lmdb", "db_path": str(tmp_path / "no.lmdb")})


def test_a_missing_package_is_named():
    with (
        pytest.raises(FkitImportError, match=r"x://a: cannot be read: a package is missing"),
        fileio.error.FileErrors("x://a", "read"),
    ):
        importlib.import_module("no_such_package_of_anybody")


def test_storages_are_values(tmp_path):
    one = Storage("memory")
    one.put(b"1", "memory://values/a")
    assert one == Storage("memory") and hash(one) == hash(Storage("memory"))
    again = pickle.loads(pickle.dumps(one))
    assert again == one and again.get("memory://values/a") == b"1"
    one.rmtree("memory://values")
