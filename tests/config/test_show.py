"""Text: what it looks like, and that it loads back to an equal config."""

import argparse
import enum
import json
import math
import shlex
from collections import OrderedDict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fkit
from fkit.config.change.action import add_option
from fkit.config.change.override import apply_words
from fkit.config.change.word import write_words
from fkit.config.config import load_config, load_string
from fkit.config.language.imported import Imported
from fkit.tree.error import FkitError, FkitFileNotFoundError, FkitOSError, FkitTypeError, FkitValueError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    # what Python normalises, lone surrogates, and what a reader would replace
    ["µm", "ﬀ", "{{fileBasename}}", "{{ _base_.model }}", "{{'$HOME:1'}}", "{{{{ fileExtname }}}}", "\ud800", "a\udfff", "\ud83d\ude00"]
) | st.sampled_from(
    ["it's", '"', "\\", "\n", "{{ fileDirname }}", "{x}", "\x00", "ü日", "None", "1", "#", "a: b", "- x", "{{$A:1}}", "'\"", "~", "1e5", "=", "<<"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.sampled_from([-0.0, math.nan, 10**400])
KEYS = TEXTS | st.sampled_from(["a", "type", "in", "b.c"])
HASHABLE = st.recursive(
    LEAVES, lambda below: st.lists(below, max_size=2).map(tuple) | st.frozensets(below, max_size=2), max_leaves=3
)
TREES = st.recursive(
    LEAVES | st.frozensets(HASHABLE, max_size=3),
    lambda below: (
        st.lists(below, max_size=4)
        | st.lists(below, max_size=4).map(tuple)
        | st.dictionaries(KEYS, below, max_size=4)
        | st.dictionaries(HASHABLE, below, max_size=2)
    ),
    max_leaves=10,
)
NAMES = st.sampled_from(["model", "data", "x_1", "naïve", "lr", "a-b", "class"]) | TEXTS.filter(
    lambda key: key[:2] != "__"
)
CONFIGS = st.dictionaries(NAMES, TREES, max_size=4).map(fkit.Config)


# what only Python text cannot hold at the top
ANY = st.dictionaries(KEYS.filter(lambda key: not key.startswith("__")), TREES, max_size=4).map(fkit.Config)


def back(text: str, suffix: str) -> fkit.Config:
    return load_string(text, suffix)


@settings(max_examples=150, deadline=None)
@given(CONFIGS)
def test_python_text_loads_back(cfg: fkit.Config) -> None:
    text = cfg.text("python")
    loaded = back(text, ".py")
    assert loaded == cfg
    assert loaded.text("python") == text
    assert loaded.text("canonical") == cfg.text("canonical")


@settings(max_examples=60, deadline=None)
@given(CONFIGS | ANY)
@pytest.mark.filterwarnings("ignore:The text has")
def test_json_text_loads_back(cfg: fkit.Config) -> None:
    assert back(cfg.text("json"), ".json") == cfg


@settings(max_examples=60, deadline=None)
@given(CONFIGS | ANY)
@pytest.mark.filterwarnings("ignore:The text has")
def test_yaml_text_loads_back(cfg: fkit.Config) -> None:
    assert back(cfg.text("yaml"), ".yaml") == cfg


@settings(max_examples=150, deadline=None)
@given(CONFIGS | ANY)
def test_words_give_the_config_back(cfg: fkit.Config) -> None:
    parser = argparse.ArgumentParser()
    add_option(parser)
    words = shlex.split(cfg.text("words"))
    argv = ["--cfg-options", *words] if words else []
    loaded = apply_words(fkit.Config({}), parser.parse_args(argv).cfg_options or ())
    assert loaded == cfg
    assert apply_words(cfg, words) == cfg  # and over itself they change nothing
    assert apply_words(fkit.Config({}), write_words(cfg)).text("canonical") == cfg.text("canonical")


def test_words_read_as_people_write_them() -> None:
    cfg = fkit.Config(
        {"a": {"path": "/my runs/a", "id": "7", "b.c": None}, "l": [(1, 2), "x"], "m": {1: {2}}, "f": [math.inf, -0.0]}
    )
    assert cfg.text("words").splitlines() == [
        "'a.path=/my runs/a'",
        """"a.id:='7'\"""",
        """"a['b.c']=None\"""",
        "'l=[(1,2),x]'",
        "'m[1]:={2}'",
        "'f=[inf,-0.0]'",
    ]


def test_python_text_is_laid_out_as_people_write_configs() -> None:
    cfg = fkit.Config(
        {
            "model": {
                "type": "ResNet",
                "depth": 50,
                "out_indices": (0, 1),
                "norm_cfg": {"type": "BN", "requires_grad": True},
            },
            "pipeline": [
                {"type": "LoadImageFromFile"},
                {"type": "Resize", "scale": (1333, 800), "keep_ratio": True, "x": None},
            ],
            "table": {"a-b": 1, 2: (3,)},
            "long": list(range(30)),
        }
    )
    assert cfg.pretty_text == (
        "model = dict(\n"
        "    type='ResNet',\n"
        "    depth=50,\n"
        "    out_indices=(0, 1),\n"
        "    norm_cfg=dict(type='BN', requires_grad=True))\n"
        "pipeline = [\n"
        "    dict(type='LoadImageFromFile'),\n"
        "    dict(type='Resize', scale=(1333, 800), keep_ratio=True, x=None)]\n"
        "table = {'a-b': 1, 2: (3,)}\n"
        "long = [\n"
        "    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,\n"
        "    23, 24, 25, 26, 27, 28, 29]\n"
    )
    assert all(len(line) <= 88 for line in cfg.pretty_text.splitlines())


def test_canonical_tags() -> None:
    cfg = fkit.Config({"t": (1,), "s": {2, 1}, "f": [math.inf, -math.inf, math.nan], "d": {1: "a"}, "c": dict})
    assert json.loads(cfg.text("canonical")) == {
        "t": {"__tuple__": [1]},
        "s": {"__set__": [1, 2]},
        "f": [{"__float__": "inf"}, {"__float__": "-inf"}, {"__float__": "nan"}],
        "d": {"__dict__": [[1, "a"]]},
        "c": {"__ref__": "builtins.dict"},
    }


@pytest.mark.parametrize("suffix", [".py", ".yaml", ".yml", ".json"])
def test_dump_and_load(tmp_path: Path, suffix: str) -> None:
    cfg = fkit.Config({"a": {"b": (1, [2, 1e-5])}, "c": {"x.y": None}})
    file = tmp_path / f"out{suffix}"
    cfg.dump(file)
    assert load_config(file) == cfg
    assert [p.name for p in tmp_path.iterdir()] == [file.name]


def test_dump_refuses_other_suffixes_and_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(FkitOSError, match="cannot be written"):
        fkit.Config({}).dump(tmp_path / "a.toml")
    with pytest.raises(FkitFileNotFoundError, match="No such file"):
        fkit.Config({}).dump(tmp_path / "none" / "a.py")
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_no_name_of_python(tmp_path: Path) -> None:
    cfg = fkit.Config({"a-b": {"x": [1] * 60}, "µm": 1, "class": 2, "{{fileBasename}}": 3, "": 4, "it's\n": 5, "x": 6})
    cfg.dump(tmp_path / "a.py")
    for trust in (False, True):
        loaded = load_config(tmp_path / "a.py", trust=trust)
        assert loaded == cfg and list(loaded) == list(cfg)
    assert str(load_config(tmp_path / "a.py").origin(("µm",))).endswith("a.py:6")
    for text in ("globals()[1] = 2", "x = globals()", "globals()['_base_'] = []", "globals().update(x=1)"):
        with pytest.raises(FkitError):
            load_string(text)


def test_what_has_no_text_is_an_error() -> None:
    with pytest.raises(FkitTypeError, match="A object has no text"):
        fkit.Config({"a": object()}).text("canonical")
    for key in ("_base_", "dict"):
        with pytest.raises(FkitValueError, match=f"{key!r} cannot be a variable"):
            fkit.Config({key: 1}).text("python")
    for form in ("python", "yaml", "json"):
        with pytest.raises(FkitValueError, match="'__a' is no variable of a config file"):
            fkit.Config({"__a": 1}).text(form)
    with pytest.raises(FkitValueError, match="no text of the form 'toml'"):
        fkit.Config({}).text("toml")


def test_lazy_names_are_imported_under_names_that_collide_with_nothing() -> None:
    text = "from a.b import X\nfrom c import X as Y\nX_ = dict(type=X, other=[Y])\n"
    cfg = load_string(text)
    assert cfg.text("canonical") == '{"X_": {"type": {"__lazy__": "a.b.X"}, "other": [{"__lazy__": "c.X"}]}}'
    assert load_string(cfg.text("python")) == cfg


def test_config_is_dumped_and_read_by_the_vocabulary_that_was_written() -> None:
    old = fkit.Config({"optimizer": {"type": "SGD"}, "total_epochs": 3})
    assert load_string(old.text("python")) == old


@given(st.text(max_size=30))
def test_any_text_gives_a_config_or_an_fkit_error(text: str) -> None:
    for suffix in (".py", ".yaml", ".json"):
        try:
            load_string(text, suffix)
        except FkitError:
            continue


class Kind(enum.IntEnum):
    ONE = 1


def test_names_that_stand_for_code_come_back_as_names() -> None:
    relu, torch = Imported("torch.nn.ReLU"), Imported("torch")
    cfg = fkit.Config(
        {"a": relu, "ReLU": 3, "s": {relu}, "k": {relu: 1, (torch,): [torch]}, "list": [list, dict], "torch": 2}
    )
    assert load_string(cfg.text("python")) == cfg
    assert apply_words(fkit.Config({}), shlex.split(cfg.text("words"))) == cfg
    kinds = fkit.Config({"a": Kind.ONE, "b": [OrderedDict], "c": math.nan})
    assert kinds.text("words").splitlines()[0] == f"\"a:=lazy('{__name__}.Kind.ONE')\""
    loaded = load_string(kinds.text("python"))
    assert loaded == kinds.merge({"a": Imported(f"{__name__}.Kind.ONE")}) and loaded.b[0] is OrderedDict
    for form, suffix in (("yaml", ".yaml"), ("json", ".json")):
        names = load_string(kinds.text(form), suffix)
        assert (names.a, names.b) == (f"{__name__}.Kind.ONE", ["collections.OrderedDict"])


@pytest.mark.parametrize("text", ["{\x1a\x16", "{{\x1a\x16{{ a }}"])
def test_what_stands_for_braces_inside_is_text_as_well(text: str) -> None:
    cfg = fkit.Config({text: 1, "a": {text: [text]}})
    for form in ("python", "yaml", "json"):
        assert load_string(cfg.text(form), ".py" if form == "python" else f".{form}") == cfg
