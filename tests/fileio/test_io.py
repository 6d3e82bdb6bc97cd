"""load and dump: every format, to and from every place, and what goes wrong."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fkit
from fkit.fileio import FileHandler, dict_from_file, dump, dumps, list_from_file, load, loads
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError

ARRAYS = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "y": np.array([True, False])}
CASES = [
    ("json", {"a": [1, 2.5, None], "b": "é"}),
    ("yaml", {"a": [1, 2.5, None], "b": (1, (2, 3))}),
    ("yml", [1, "x"]),
    ("pickle", {"a": (1, {2})}),
    ("pkl", {"a": (1, {2})}),
    ("npy", ARRAYS["x"]),
    ("npz", ARRAYS),
    ("safetensors", ARRAYS),
    ("txt", "line\r\nother\n"),
]


def same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other


@pytest.mark.parametrize(("format", "value"), CASES, ids=[format for format, _ in CASES])
class TestEveryFormat:
    def test_path(self, format, value, tmp_path):
        path = tmp_path / "new" / f"file.{format}"
        assert dump(value, path, allow_pickle=True) is None
        assert same(load(path, allow_pickle=True), value)
        assert same(load(str(path), allow_pickle=True), value)
        assert [p.name for p in path.parent.iterdir()] == [path.name]  # nothing is left beside it

    def test_upper_case_ending(self, format, value, tmp_path):
        path = tmp_path / f"FILE.{format.upper()}"
        dump(value, path, allow_pickle=True)
        assert same(load(path, allow_pickle=True), value)

    def test_string(self, format, value):
        content = dump(value, file_format=format, allow_pickle=True)
        assert isinstance(content, str) == (format in ("json", "yaml", "yml", "txt"))
        assert same(loads(content, format, allow_pickle=True), value)
        if isinstance(content, bytes) or "\n" in content or content[0] in '{["':
            assert same(load(content, file_format=format, allow_pickle=True), value)

    def test_open_file(self, format, value, tmp_path):
        path = tmp_path / "file"
        with open(path, "wb") as file:
            dump(value, file, file_format=format, allow_pickle=True)
        with open(path, "rb") as file:
            assert same(load(file, file_format=format, allow_pickle=True), value)
        memory = io.BytesIO()
        dump(value, memory, file_format=format, allow_pickle=True)
        assert memory.getvalue() == path.read_bytes()

    def test_memory_storage(self, format, value):
        dump(value, f"memory://io/a.{format}", allow_pickle=True)
        assert same(load(f"memory://io/a.{format}", allow_pickle=True), value)


def test_text_streams(tmp_path):
    with open(tmp_path / "a.json", "w") as file:
        dump({"a": 1}, file, file_format="json")
    with open(tmp_path / "a.json") as file:
        assert load(file, file_format="json") == {"a": 1}
    with (
        open(tmp_path / "a.json", "w") as file,
        pytest.raises(FkitTypeError, match=r"a\.json: npy is no text: open .* 'wb'"),
    ):
        dump(ARRAYS["x"], file, file_format="npy")
    with open(tmp_path / "a.json") as file, pytest.raises(FkitTypeError, match=r"npy is no text: open .* 'rb'"):
        load(file, file_format="npy")


def test_a_str_is_a_path_unless_it_looks_like_content(tmp_path):
    Path(tmp_path, "list").write_text("[1]")
    assert load(str(tmp_path / "list"), file_format="json") == [1]
    assert load("[1]", file_format="json") == [1]
    with pytest.raises(FileNotFoundError, match="nothing: there is no such file"):
        load("nothing", file_format="yaml")


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(plain_values)
def test_json_round_trip(value):
    assert loads(dumps(value, "json"), "json") == value


yaml_texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co", "Zl", "Zp")), max_size=5)
yaml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | yaml_texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(yaml_texts, inner, max_size=3)
    ),
    max_leaves=8,
)


@given(yaml_values)
def test_yaml_round_trip_keeps_tuples(value):
    assert loads(dumps(value, "yaml"), "yaml") == value


@pytest.mark.parametrize("format", ["json", "yaml"])
def test_numpy_and_config_have_plain_forms(format):
    value = {"set": {1}, "range": range(2), "array": np.eye(2), "int": np.int64(3), "bool": np.bool_(True)}
    expected = {"range": [0, 1], "array": [[1.0, 0.0], [0.0, 1.0]], "int": 3, "bool": True}
    found = loads(dumps(value, format), format)
    assert found.pop("set") in ([1], {1})
    assert found == expected
    cfg = fkit.Config({"a": {"b": [1, {"c": 2}]}})
    assert loads(dumps(cfg, format), format) == {"a": {"b": [1, {"c": 2}]}}


def test_strided_arrays_keep_their_numbers():
    turned = np.arange(6.0).reshape(2, 3).T
    assert np.array_equal(loads(dumps({"x": turned}, "safetensors"), "safetensors")["x"], turned)


def test_options_reach_the_handler():
    assert dump({"b": 1, "a": 2}, file_format="json", indent=1, sort_keys=True) == '{\n "a": 2,\n "b": 1\n}'
    with pytest.raises(FkitTypeError) as caught:
        dump({}, file_format="json", indnt=1)
    assert str(caught.value).startswith(
        "<string>: cannot be written as json: there is no option 'indnt'.\n  Did you mean 'indent'?"
    )
    with pytest.raises(FkitTypeError, match="cannot be read as npy: there is no option 'mode'"):
        loads(dumps(np.ones(2), "npy"), "npy", mode=3)


class TestRefused:
    def test_pickle(self, tmp_path):
        path = tmp_path / "a.pkl"
        with pytest.raises(FkitValueError, match=r"a\.pkl: a pickle can run any code.*\n.*allow_pickle=True"):
            dump({}, path)
        assert not path.exists()
        dump({}, path, allow_pickle=True)
        with pytest.raises(FkitValueError, match="a pickle can run any code"):
            load(path)

    @pytest.mark.parametrize("format", ["npy", "npz"])
    def test_object_arrays(self, format, tmp_path):
        value = np.array([{"a": 1}], object)
        value = {"x": value} if format == "npz" else value
        with pytest.raises(FkitValueError, match=r"a\.np"):
            dump(value, tmp_path / f"a.{format}")
        dump(value, tmp_path / f"b.{format}", allow_pickle=True)
        with pytest.raises(FkitValueError, match=rf"b\.{format}: .*allow_pickle"):
            load(tmp_path / f"b.{format}")
        assert load(tmp_path / f"b.{format}", allow_pickle=True) is not None

    @pytest.mark.parametrize(
        "text",
        ["!!python/object/apply:os.system [ls]", "!!python/name:os.system", "a: !!python/object:x.Y {}", "!other 1"],
    )
    def test_yaml_tags(self, text, tmp_path):
        path = tmp_path / "a.yaml"
        path.write_text(text)
        with pytest.raises(FkitValueError, match=r"(?s)a\.yaml:1: The YAML tag !.* is not read.*Only plain data"):
            load(path)

    def test_values_without_a_form(self):
        with pytest.raises(FkitTypeError, match="<string>: a value of the class object has no form in this format"):
            dumps({"a": object()}, "json")
        with pytest.raises(FkitError, match="<string>: a value of the class object has no form"):
            dumps({"a": object()}, "yaml")
        with pytest.raises(FkitTypeError, match="npz holds arrays by name: pass a mapping, not a list"):
            dumps([1], "npz")
        with pytest.raises(FkitTypeError, match="the key 3 is no string"):
            dumps({3: np.ones(1)}, "safetensors")
        with pytest.raises(FkitTypeError, match="txt holds a str, not a int"):
            dumps(3, "txt")


BROKEN = [
    ("a.json", b'{"a": ', "a.json:1: This is no JSON: Expecting value, at column 7."),
    ("a.json", b"[" * 200_000, "a.json: The JSON is nested too deeply."),
    ("a.json", b"1" * 10_000, "a.json: The JSON has an integer of more than 4300 digits."),
    ("a.json", b"\xff\xfe\xfa", "a.json: this is no text in utf-16: "),
    ("a.json", b"", "a.json:1: This is no JSON: "),
    ("a.yaml", b"a: [1", "a.yaml:1: This is no YAML: "),
    ("a.yaml", b"[" * 50_000, "a.yaml:1: The YAML is nested more than 400 levels deep."),
    ("a.npy", b"", "a.npy: cannot be read as npy: "),
    ("a.npy", b"no array", "a.npy: "),
    ("a.npz", b"PK\x03\x04 cut", "a.npz: cannot be read as npz: "),
    ("a.safetensors", b"\xff" * 16, "a.safetensors: cannot be read as safetensors: "),
    ("a.safetensors", b"", "a.safetensors: cannot be read as safetensors: "),
    ("a.pkl", b"\x80\x04.", "a.pkl: cannot be read as pkl: "),
    ("a.txt", b"\xff\xfe\xfa", "a.txt: cannot be read as txt: "),
]


@pytest.mark.parametrize(("name", "data", "words"), BROKEN, ids=[f"{n}-{d[:6]!r}" for n, d, _ in BROKEN])
def test_broken_files_give_one_error_that_names_them(name, data, words, tmp_path):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(FkitError) as caught:
        load(path, allow_pickle=True)
    assert words in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in caught.value.what


@pytest.mark.parametrize("format", ["json", "yaml"])
@pytest.mark.parametrize("kind", ["list", "dict"])
def test_a_nested_value_is_no_crash(format, kind):
    deep: object = []
    for _ in range(100_000):
        deep = [deep] if kind == "list" else {"a": deep}
    with pytest.raises(FkitValueError, match=f"<string>: The value is nested too deeply for {format.upper()}"):
        dumps(deep, format)


@pytest.mark.parametrize("text", ["- " * 50_000, "? " * 50_000, "{a: " * 50_000, "&a {<<: *a}", "a: &a [*a, *a]"])
def test_odd_yaml_is_no_crash(text, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    try:
        load(path)
    except FkitError as error:
        assert f"{path}:1: The YAML" in str(error)


@pytest.mark.parametrize("format", ["json", "yaml", "npy", "npz", "safetensors", "txt"])
@given(data=st.data())
def test_any_bytes_are_read_or_refused(format, data):
    good = dumps({"json": {"a": 1}, "yaml": {"a": (1,)}, "npy": ARRAYS["x"], "txt": "x"}.get(format, ARRAYS), format)
    good = good.encode() if isinstance(good, str) else good
    at = data.draw(st.integers(0, len(good)))
    broken = data.draw(st.sampled_from([good[:at], good[at:]])) + data.draw(st.binary(max_size=8))
    try:
        loads(broken, format)
    except FkitError as error:
        assert str(error).startswith("<string>:")


class TestFormats:
    def test_unknown_ending_lists_what_is_registered(self, tmp_path):
        with pytest.raises(FkitTypeError) as caught:
            load(tmp_path / "a.jsn")
        assert "no file handler is registered for 'jsn'" in str(caught.value)
        assert "Did you mean 'json'? Registered: json, npy, npz, pickle, pkl, safetensors" in str(caught.value)

    def test_no_format(self, tmp_path):
        with pytest.raises(FkitValueError, match="file_format must be specified since file is None"):
            dump({})
        with pytest.raises(FkitTypeError, match="file_format must be specified"):
            load(io.StringIO("{}"))
        with pytest.raises(FkitTypeError, match="no file handler is registered for ''"):
            load(tmp_path / "noending")
        with pytest.raises(FkitTypeError, match="a path, an open file or bytes, not a int"):
            load(3)
        with pytest.raises(FkitTypeError, match="a path, an open file or None, not a int"):
            dump({}, 3, "json")

    def test_own_handler_is_one_registration(self, tmp_path):
        def words() -> FileHandler:
            return FileHandler(
                lambda data, *, sep=" ": data.decode().split(sep), lambda value: " ".join(value).encode(), text=True
            )

        reg = fkit.registry().register("file_handlers", words, name="words")
        dump(["a", "b"], tmp_path / "x.words", registry=reg)
        assert load(tmp_path / "x.words", registry=reg) == ["a", "b"]
        assert load(tmp_path / "x.words", registry=reg, sep="b") == ["a ", ""]
        with pytest.raises(FkitTypeError, match="'words'"):
            load(tmp_path / "x.words")

    def test_openmmlab_handler(self, tmp_path):
        class Npy:
            str_like = False

            def load_from_fileobj(self, file, **kwargs):
                return np.load(file, **kwargs)

            def dump_to_fileobj(self, obj, file, **kwargs):
                np.save(file, obj, **kwargs)

            def dump_to_str(self, obj, **kwargs):
                return obj.tobytes()

        reg = fkit.registry().register("file_handlers", Npy, name="array")
        dump(np.arange(3), tmp_path / "x.array", registry=reg)
        assert load(tmp_path / "x.array", registry=reg).tolist() == [0, 1, 2]

    def test_a_handler_that_is_none(self):
        reg = fkit.registry().register("file_handlers", dict, name="odd")
        with pytest.raises(FkitTypeError, match="The file handler 'odd' gives a dict, not a FileHandler"):
            loads("", "odd", registry=reg)


def test_a_failed_dump_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    dump({"a": 1}, path)
    with pytest.raises(FkitTypeError):
        dump({"a": object()}, path)
    assert json.loads(path.read_text()) == {"a": 1}
    with pytest.raises(FileExistsError, match=r"a\.json: is there already, and is no folder"):
        dump({}, path / "b.json")


class TestLists:
    @pytest.fixture
    def names(self, tmp_path):
        path = tmp_path / "names.txt"
        path.write_bytes("a \r\nb\n\nä\n".encode())
        return path

    def test_list(self, names):
        assert list_from_file(names) == ["a ", "b", "", "ä"]
        assert list_from_file(names, prefix="x/", offset=1, max_num=2) == ["x/b", "x/"]
        assert list_from_file(names, offset=9) == []
        assert list_from_file(names, encoding="latin-1")[3] == "Ã¤"
        with pytest.raises(FkitValueError, match=r"names\.txt: cannot be read as text"):
            list_from_file(names, encoding="ascii")

    def test_dict(self, tmp_path):
        path = tmp_path / "map.txt"
        path.write_text("1 cat\n2 dog cow\n")
        assert dict_from_file(path) == {"1": "cat", "2": ["dog", "cow"]}
        assert dict_from_file(path, key_type=int) == {1: "cat", 2: ["dog", "cow"]}
        path.write_text("1 cat\nalone\n")
        with pytest.raises(FkitValueError, match=r"map\.txt:2: a key and a value were expected, not 'alone'"):
            dict_from_file(path)
        path.write_text("x cat\n")
        with pytest.raises(FkitValueError, match=r"map\.txt:1: cannot be read: invalid literal"):
            dict_from_file(path, key_type=int)

    def test_both_names_of_the_backend_arguments(self, names):
        assert list_from_file(names, file_client_args={"backend": "disk"})[1] == "b"
        assert load(names, file_client_args={"backend": "local"}, file_format="txt").startswith("a ")
        with pytest.raises(
            FkitValueError, match='"file_client_args" and "backend_args" cannot be set at the same time'
        ):
            list_from_file(names, file_client_args={}, backend_args={})
