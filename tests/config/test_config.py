"""The class itself: how it is made, OpenMMLab's names for what it does, and wrong arguments."""

import copy
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

import fkit
from fkit import Config
from fkit.tree.error import FkitAttributeError, FkitError, FkitTypeError, FrozenError
from fkit.tree.node import Node

METHODS = ("get", "pop", "merge", "text", "dump", "origin", "origins", "diff", "fromfile", "fromstring")


def test_making_one_as_openmmlab_does(tmp_path: Path) -> None:
    cfg = Config(cfg_dict={"a": {"b": 1}}, cfg_text="a = dict(b=1)", filename="x/y.py")
    assert cfg.a.b == 1 and cfg.cfg_text == "a = dict(b=1)" and cfg.filename == "x/y.py"
    assert repr(cfg).startswith("Config (path: x/y.py): ")
    assert Config() == Config(None) == Config({}) == {}
    assert Config({"a": 1}, filename=tmp_path / "c.py").filename == str(tmp_path / "c.py")
    loaded = fkit.load_config(write(tmp_path, "a = 1"))
    assert Config(loaded) is loaded
    renamed = Config(loaded, filename="other.py")
    assert renamed.filename == "other.py" and renamed.origin("a") == loaded.origin("a")
    assert pickle.loads(pickle.dumps(cfg)).cfg_text == cfg.cfg_text
    assert copy.deepcopy(cfg) is cfg and copy.copy(cfg) is cfg


def write(folder: Path, text: str, name: str = "a.py") -> Path:
    file = folder / name
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("name", "text"), [("a.py", "a = (1, 2)\n"), ("a.yaml", "a: [1, 2]\n"), ("a.json", '{"a": [1, 2]}')]
)
def test_dump_without_a_path_gives_the_format_that_was_read(tmp_path: Path, name: str, text: str) -> None:
    cfg = fkit.load_config(write(tmp_path, text, name))
    form = {"py": "python", "yaml": "yaml", "json": "json"}[name.split(".")[1]]
    assert cfg.dump() == cfg.text(form)
    assert cfg.merge({"b": 1}).dump() == cfg.merge({"b": 1}).text(form)
    assert Config.fromstring(text, "." + name.split(".")[1]).dump() == cfg.text(form)


def test_diff_takes_configs_and_files(tmp_path: Path) -> None:
    old, new = write(tmp_path, "a = 1\nb = 2\n"), write(tmp_path, "a = 1\nb = 3\n", "b.py")
    text = Config.diff(str(old), fkit.load_config(new))
    assert text.splitlines() == [f"- b = 2  [{old}:2]", f"+ b = 3  [{new}:2]"]
    assert Config.diff(old, old) == ""


def test_to_dict_gives_imported_names_as_text() -> None:
    cfg = Config.fromstring("from torch.nn import ReLU\nfrom torch import nn\na = [dict(type=ReLU)]\nb = (nn.GELU,)\n")
    assert cfg.to_dict() == {"a": [{"type": "torch.nn.ReLU"}], "b": ("torch.nn.GELU",)}
    assert cfg.to_dict(keep_imported=True) == {"ReLU": "torch.nn.ReLU", "nn": "torch.nn", **cfg.to_dict()}
    for form, suffix in (("yaml", ".yaml"), ("json", ".json")):
        assert Config.fromstring(cfg.text(form), suffix) == cfg.to_dict()
    assert type(cfg.to_dict()) is dict and type(cfg.to_dict()["a"][0]) is dict


@pytest.mark.parametrize(
    "name", ["merge_from_dict", "_cfg_dict", "set", "deepcopy", "auto_argparser", "_merge_a_into_b", "build_lazy"]
)
def test_openmmlabs_names_say_what_to_write_and_hide_no_key(name: str) -> None:
    with pytest.raises(FkitAttributeError, match=rf"A config has no '{name}'.*\n  \S"):
        getattr(Config({"a": 1}), name)
    assert not hasattr(Config({}), name)
    assert getattr(Config({name: 5}), name) == 5 and Config({name: 5})[name] == 5


@pytest.mark.parametrize("name", ["update", "setdefault", "clear", "popitem"])
def test_what_would_change_a_config_shows_merge(name: str) -> None:
    cfg = Config({"a": 1})
    with pytest.raises(FrozenError, match="merge"):
        getattr(cfg, name)({"a": 2})
    assert cfg == {"a": 1}


def test_env_variables_come_with_their_values() -> None:
    cfg = Config.fromstring("a = '{{$PATH:/x}}'\nb = '{{$FKIT_TEST_NONE:z}}'")
    assert cfg == {"a": os.environ["PATH"], "b": "z"}
    assert cfg.env_variables["PATH"] == os.environ["PATH"]
    assert pickle.loads(pickle.dumps(cfg.merge({"c": 1}))).env_variables == cfg.env_variables


def test_keys_that_are_no_paths_are_found_as_keys() -> None:
    cfg = Config({"": 1, "a": {"": 2}, 3: 4, "x[": 5})
    assert (cfg.get(""), cfg.get(3), cfg.get("x["), cfg.get(("a", "")), cfg.get((), 7)) == (1, 4, 5, 2, 7)


def named(value):
    """An id that is the same in every process."""
    return "object" if type(value) is object else repr(value)


@pytest.mark.parametrize("wrong", [None, 3, "x", [], {}, (), [[]], "[", object()], ids=named)
@pytest.mark.parametrize("method", METHODS)
def test_wrong_arguments_give_fkit_errors(method: str, wrong: Any) -> None:
    cfg = Config({"a": {"b": [1]}})
    call = getattr(cfg, method)
    for words in ((wrong,), (wrong, wrong)):
        try:
            call(*words)
        except FkitError:
            continue
        except TypeError as error:
            if "positional argument" not in str(error):
                raise


@pytest.mark.parametrize("wrong", [3, "x", [], object()], ids=named)
def test_what_is_no_mapping_makes_no_config(wrong: Any) -> None:
    for call in (
        lambda: Config(wrong),
        lambda: Config({}, wrong if wrong != "x" else 3),
        lambda: Config({}, None, wrong if wrong != "x" else 3),
    ):
        with pytest.raises(FkitTypeError):
            call()
    with pytest.raises(FkitError):
        fkit.load_config(wrong)


def test_no_mapping_of_the_family_loses_a_key_in_place() -> None:
    node = Node({"a": 1})
    with pytest.raises(FrozenError, match="pop"):
        node.pop("a")
    assert node == {"a": 1} and node.a == 1
    for call in (lambda: Config.of(3), lambda: Config.of("x"), lambda: Config.fromkeys(3)):
        with pytest.raises(FkitTypeError):
            call()
