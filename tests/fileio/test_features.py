"""What OpenMMLab's users know of files, one fact a test: those that no other file here shows."""

from pathlib import Path

from fkit.fileio import FileClient, LocalStorage


def test_a_file_client_is_the_storage_of_its_name_or_prefix(tmp_path: Path) -> None:
    client = FileClient("disk")
    assert isinstance(client, LocalStorage) and FileClient() == client == FileClient(backend="local")
    client.put(b"x", tmp_path / "new" / "a.txt")
    assert client.get(tmp_path / "new" / "a.txt") == b"x" and client.get_text(tmp_path / "new" / "a.txt") == "x"
    assert FileClient(prefix="memory").name == "memory"
    assert FileClient.infer_client(uri="memory://a").name == "memory"
    assert FileClient.infer_client({"backend": "disk"}, "memory://a").name == "local"
    assert (FileClient.parse_uri_prefix("cluster:s3://b/a"), FileClient.parse_uri_prefix("a/b")) == ("s3", None)
