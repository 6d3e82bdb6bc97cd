"""What OpenMMLab's users know of configs, one fact a test: those that no other file here shows."""

import copy
import math
import pickle
from pathlib import Path
from types import ModuleType

import pytest

import fkit
from fkit.config.config import load_config, load_string
from fkit.tree.error import FkitError, FkitFileNotFoundError, FkitKeyError, FkitTypeError

ROOT = Path(__file__).parents[2]


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_fromfile_takes_paths_and_openmmlabs_arguments(tmp_path: Path) -> None:
    write(tmp_path, "base.py", "x = dict(p=1, q=2)")
    file = write(tmp_path, "child.py", "_base_ = 'base.py'\nx = dict(q=3)\nname = '{{fileBasename}}'")
    assert fkit.Config.fromfile(file) == fkit.Config.fromfile(str(file)) == load_config(file)
    plain = fkit.Config.fromfile(
        file,
        use_predefined_variables=False,
        import_custom_modules=False,
        use_environment_variables=False,
        lazy_import=False,
        format_python_code=False,
    )
    assert plain == {"x": {"p": 1, "q": 3}, "name": "{{fileBasename}}"} and plain.filename == str(file)


def test_values_keep_their_types() -> None:
    cfg = load_string("a = (1, [2, (3,)])\nb = None\nc = {1, 2}\nd = dict\nfrom math import pi\ne = True\nf = b'x'")
    assert cfg.a == (1, [2, (3,)]) and type(cfg.a) is tuple and isinstance(cfg.a[1], list)
    assert cfg.b is None and cfg.c == frozenset({1, 2}) and cfg.d is dict and cfg.e is True and cfg.f == b"x"
    assert cfg.pi == math.pi


@pytest.mark.parametrize(("text", "suffix"), [("[1, 2]", ".json"), ("- 1\n- 2\n", ".yaml"), ("3", ".json")])
def test_a_file_is_a_mapping_at_the_top(text: str, suffix: str) -> None:
    with pytest.raises(FkitError, match="mapping"):
        load_string(text, suffix)


@pytest.mark.parametrize("name", ["c.py", "c.yaml", "c.json"])
def test_a_base_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    text = {"c.py": "_base_ = ['none.py']", "c.yaml": "_base_: none.py\n", "c.json": '{"_base_": "none.py"}'}[name]
    with pytest.raises(FkitFileNotFoundError, match=rf"{name}(:1)?: .*none\.py"):
        load_config(write(tmp_path, name, text))


def test_keys_named_like_methods_are_items() -> None:
    cfg = load_string("text = 'a'\nfilename = 'b'\npretty_text = 'c'\nenv_variables = 'd'")
    assert (cfg["text"], cfg["filename"], cfg["pretty_text"], cfg["env_variables"]) == ("a", "b", "c", "d")
    assert cfg.text("json") == fkit.Config(cfg.to_dict()).text("json") and cfg.filename != "b"


def test_delete_at_the_top_is_an_ordinary_key(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "x = 1")
    assert load_config(write(tmp_path, "b.py", "_base_ = 'a.py'\n_delete_ = True\ny = 2")) == {
        "x": 1,
        "_delete_": True,
        "y": 2,
    }


def test_what_goes_over_what(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "l = [dict(a=1), 2]\nt = (1, 2)\nd = dict(x=1)\ns = 1\nm = dict(x=dict(y=1), z=2)")
    child = "_base_ = 'a.py'\nl = [dict(b=1)]\nt = [3]\nd = None\ns = [4]\nm = dict(x=dict(w=2))"
    assert load_config(write(tmp_path, "b.py", child)) == {
        "l": [{"b": 1}],
        "t": [3],
        "d": None,
        "s": [4],
        "m": {"x": {"y": 1, "w": 2}, "z": 2},
    }
    with pytest.raises(FkitTypeError, match=r"s is 1 \(int\).*\n.*_delete_=True"):
        load_config(write(tmp_path, "c.py", "_base_ = 'a.py'\ns = dict(x=1)"))


def test_a_variable_of_a_base_is_no_link(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "train_pipeline = [1]\ndata = dict(train=dict(pipeline=train_pipeline))")
    cfg = load_config(write(tmp_path, "b.py", "_base_ = 'a.py'\ntrain_pipeline = [2]"))
    assert cfg.train_pipeline == [2] and cfg.data.train.pipeline == [1]
    again = load_config(
        write(
            tmp_path, "c.py", "_base_ = 'a.py'\ntrain_pipeline = [2]\ndata = dict(train=dict(pipeline=train_pipeline))"
        )
    )
    assert again.data.train.pipeline == [2]


def test_reading() -> None:
    cfg = fkit.Config({"a": {"b": [1, {"c": 2}]}, "d": 3})
    assert cfg.a.b[1].c == cfg["a"]["b"][1]["c"] == cfg.get("a.b.1.c") == 2 and cfg.get("x", 7) == 7
    assert (len(cfg), list(cfg), list(cfg.keys()), "a" in cfg, "x" in cfg) == (2, ["a", "d"], ["a", "d"], True, False)
    assert list(cfg.values())[1] == 3 and list(cfg.items())[1] == ("d", 3)
    assert dict(**cfg.a) == {"b": [1, {"c": 2}]} and type(cfg.a) is type(cfg.a.b[1]) is fkit.Config
    with pytest.raises(KeyError):
        cfg["x"]
    with pytest.raises(AttributeError):
        _ = cfg.a.x


def test_pop_gives_the_rest_and_the_value() -> None:
    cfg = fkit.Config({"a": {"b": 1}, "c": 2})
    rest, value = cfg.pop("a")
    assert (rest, value, cfg) == ({"c": 2}, {"b": 1}, {"a": {"b": 1}, "c": 2})
    assert cfg.pop("a.b")[0] == {"a": {}, "c": 2} and cfg.pop("x", 7) == (cfg, 7)
    with pytest.raises(FkitKeyError):
        cfg.pop("x")


def test_repr_names_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "a.py", "x = dict(y=1)")
    assert repr(load_config(file)) == f"Config (path: {file}): {{'x': {{'y': 1}}}}"


def test_copies_are_the_config_and_keep_what_is_known_of_it(tmp_path: Path) -> None:
    file = write(tmp_path, "a.py", "from torch.nn import ReLU\nact = dict(type=ReLU)\nx = (1,)")
    cfg = load_config(file)
    assert copy.copy(cfg) is copy.deepcopy(cfg) is cfg.copy() is cfg
    home = load_config(write(tmp_path, "b.py", "h = '{{$PATH:x}}'"))
    for one in (cfg, home):
        again = pickle.loads(pickle.dumps(one))
        assert again == one and again.text("python") == one.text("python")
        assert (again.filename, again.env_variables) == (one.filename, one.env_variables)
        assert again.origin("x") == one.origin("x")


def test_keys_are_written_in_their_order() -> None:
    assert fkit.Config({"b": 1, "a": {"d": 2, "c": 3}}).pretty_text == "b = 1\na = dict(d=2, c=3)\n"


def test_a_run_of_a_config_reads_what_it_dumps(tmp_path: Path) -> None:
    cfg = fkit.Config({"t": (1, [2]), "inf": math.inf, "nan": math.nan, "s": "it's"})
    for suffix in (".py", ".yaml", ".json"):
        cfg.dump(tmp_path / f"a{suffix}")
        assert load_config(tmp_path / f"a{suffix}") == cfg
    assert "inf = float('inf')" in cfg.pretty_text and '"it\'s"' in cfg.pretty_text


def test_the_four_primitives_make_a_config() -> None:
    """Each file of configs/_base_ has one subject and is read alone; the shipped configs are made of them."""
    folders = {path.name: sorted(path.glob("*.py")) for path in (ROOT / "configs/_base_").iterdir() if path.is_dir()}
    assert set(folders) == {"datasets", "models", "schedules"} and all(folders.values())
    assert (ROOT / "configs/_base_/default_runtime.py").is_file()
    cfg = load_config(ROOT / "configs/digits/convnet.py")
    for name in ("models/convnet", "datasets/digits", "schedules/adamw_20e", "default_runtime"):
        part = load_config(ROOT / f"configs/_base_/{name}.py")
        assert part and all(cfg[key] == part[key] for key in part)


def test_a_name_stays_a_name_until_something_is_built(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    import sys

    write(tmp_path, "fkit_features_part.py", "raise RuntimeError('it was imported')")
    sys.path.insert(0, str(tmp_path))
    request.addfinalizer(lambda: sys.path.remove(str(tmp_path)))
    cfg = load_config(write(tmp_path, "a.py", "from fkit_features_part import Net\nmodel = dict(type=Net)"))
    assert not isinstance(cfg.model.type, (type, ModuleType)) and list(cfg.model.items())
    assert "fkit_features_part" not in sys.modules
    assert cfg.to_dict() == {"model": {"type": "fkit_features_part.Net"}}
