"""What OpenMMLab's users know of files, one fact a test: those that no other file here shows."""

from pathlib import Path
from typing import Any

import pytest

import fkit
from fkit.fileio import FileClient, LocalStorage, dump, fopen, get_text, load, register_backend, register_handler
from fkit.tree.error import FkitTypeError


def test_a_file_client_is_the_storage_of_its_name_or_prefix(tmp_path: Path) -> None:
    client = FileClient("disk")
    assert isinstance(client, LocalStorage) and FileClient() == client == FileClient(backend="local")
    client.put(b"x", tmp_path / "new" / "a.txt")
    assert client.get(tmp_path / "new" / "a.txt") == b"x" and client.get_text(tmp_path / "new" / "a.txt") == "x"
    assert FileClient(prefix="memory").name == "memory"
    assert FileClient.infer_client(uri="memory://a").name == "memory"
    assert FileClient.infer_client({"backend": "disk"}, "memory://a").name == "local"
    assert (FileClient.parse_uri_prefix("cluster:s3://b/a"), FileClient.parse_uri_prefix("a/b")) == ("s3", None)


def test_handlers_and_backends_are_registered_in_a_value(tmp_path: Path) -> None:
    class Words:
        str_like = True

        def load_from_fileobj(self, file: Any) -> list[str]:
            return file.read().split()

        def dump_to_fileobj(self, obj: list[str], file: Any) -> None:
            file.write(" ".join(obj))

        def dump_to_str(self, obj: list[str]) -> str:
            return " ".join(obj)

    class Shout:
        def get_text(self, filepath: str, encoding: str = "utf-8") -> str:
            return filepath.upper()

    reg = register_backend(register_handler(fkit.registry(), Words, ["words", "wds"]), "shout", Shout, prefixes="loud")
    dump(["a", "b"], tmp_path / "x.wds", registry=reg)
    assert load(tmp_path / "x.wds", registry=reg) == load(tmp_path / "x.wds", "words", registry=reg) == ["a", "b"]
    assert get_text("loud://a", registry=reg) == "LOUD://A" and get_text("shout://a", registry=reg) == "SHOUT://A"
    assert get_text("a", backend_args={"backend": "shout"}, registry=reg) == "A"
    with pytest.raises(KeyError, match="'shout' is already registered"):
        register_backend(reg, "shout", Shout)
    assert register_backend(reg, "shout", dict, force=True).get("file_backends", "shout") is dict
    with pytest.raises(KeyError, match="'words' is already registered"):
        register_handler(reg, Words, "words")
    for call in (lambda: register_handler("words", Words, "words"), lambda: register_backend("shout", "shout", Shout)):
        with pytest.raises(FkitTypeError, match="nothing is registered globally"):
            call()
    with pytest.raises(FkitTypeError, match="nothing is registered globally"):
        FileClient.register_backend("shout", Shout)


def test_files_are_opened_by_path_or_address(tmp_path: Path) -> None:
    with fopen(tmp_path / "a.txt", "w") as file:
        file.write("ä\nb\n")
    with fopen(str(tmp_path / "a.txt")) as file:
        assert file.readlines() == ["ä\n", "b\n"]
    dump("x\ny\n", "memory://features/a.txt")
    with fopen("memory://features/a.txt", "rb") as file:
        assert file.read() == b"x\ny\n"
    with pytest.raises(FileNotFoundError, match=r"none\.txt: there is no such file"):
        fopen(tmp_path / "none.txt")
