"""Reading config files: bases, variables, formats, styles, errors."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import fkit
from fkit.config.config import load_config, load_string
from fkit.tree.error import FkitError, FkitFileNotFoundError, FkitKeyError, FkitOSError, FkitTypeError, FkitValueError


def write(folder: Path, **files: str) -> Path:
    """Files by name, two underscores before the suffix; the path of the last."""
    path = folder
    for name, text in files.items():
        path = folder / (name.replace("__", ".") if "__" in name else f"{name}.py")
        path.write_text(text, encoding="utf-8")
    return path


def canonical(path: Path, **options: Any) -> Any:
    return json.loads(load_config(path, **options).text("canonical"))


def test_bases_as_string_list_and_inline(tmp_path: Path) -> None:
    child = write(tmp_path, a="x = dict(p=1, q=2)", b="y = [1]", c="_base_ = ['a.py', './b.py']\nx = dict(q=3)\nz = x")
    assert canonical(child) == {"x": {"p": 1, "q": 3}, "y": [1], "z": {"q": 3}}
    assert canonical(write(tmp_path, d="_base_ = 'c.py'\ny = None")) == {
        "x": {"p": 1, "q": 3},
        "y": None,
        "z": {"q": 3},
    }


def test_delete_replaces_and_stays_where_nothing_was(tmp_path: Path) -> None:
    child = write(
        tmp_path,
        a="m = dict(x=dict(p=1), l=[dict(k=1)])",
        b="_base_ = 'a.py'\nm = dict(x=dict(_delete_=True, q=dict(_delete_=True)), l=[dict(_delete_=True)], n=dict(_delete_=True))",
    )
    assert canonical(child) == {
        "m": {"x": {"q": {"_delete_": True}}, "l": [{"_delete_": True}], "n": {"_delete_": True}}
    }


def test_sibling_bases_may_not_share_a_key(tmp_path: Path) -> None:
    child = write(tmp_path, a="x = 1", b="x = 1", c="_base_ = ['a.py', 'b.py']")
    with pytest.raises(FkitKeyError, match=r"c\.py:1: The bases have keys in common: x\."):
        load_config(child)


def test_yaml_and_json_under_python_and_the_reverse(tmp_path: Path) -> None:
    write(tmp_path, a__yaml="m: {x: 1, y: !!python/tuple [1, 2]}\n", b="_base_ = 'a.yaml'\nm = dict(x=2)")
    child = write(tmp_path, c__json='{"_base_": ["./b.py"], "m": {"z": {{_base_.m.y}}}}')
    assert canonical(child) == {"m": {"x": 2, "y": {"__tuple__": [1, 2]}, "z": {"__tuple__": [1, 2]}}}


def test_base_variables(tmp_path: Path) -> None:
    write(tmp_path, a="n = 80\nm = dict(k=[1, (2, 3)])\ns = 'data'")
    child = write(
        tmp_path,
        b="_base_ = 'a.py'\nhead = dict(n={{_base_.n}}, k=[{{ _base_.m.k }}])\nroot = '{{_base_.s}}/img'\nn = 3\nw = \"{{_base_.n}}\"",
    )
    assert canonical(child) == {
        "n": 3,
        "m": {"k": [1, {"__tuple__": [2, 3]}]},
        "s": "data",
        "head": {"n": 80, "k": [[1, {"__tuple__": [2, 3]}]]},
        "root": "data/img",
        "w": "80",
    }
    yaml = write(tmp_path, c__yaml="_base_: a.py\nhead: {{_base_.m.k}}\nroot: '{{_base_.s}}/x'\n")
    assert canonical(yaml)["head"] == [1, {"__tuple__": [2, 3]}]
    assert canonical(yaml)["root"] == "data/x"
    with pytest.raises(FkitKeyError, match=r"_base_\.nothing.*is in no base"):
        load_config(write(tmp_path, d="_base_ = 'a.py'\nx = {{_base_.nothing}}"))


def test_base_attributes(tmp_path: Path) -> None:
    write(tmp_path, a="m = dict(x=1, y=dict(z=2))\nl = [1]")
    child = write(tmp_path, b="_base_ = 'a.py'\nw = _base_.m.y\nw.z = 5\n_base_.m.x = 7\nl = _base_.l + [2]")
    assert canonical(child) == {"m": {"x": 7, "y": {"z": 5}}, "l": [1, 2], "w": {"z": 5}}
    with pytest.raises(FkitError, match=r"c\.py:2: .*no attribute 'q'"):
        load_config(write(tmp_path, c="_base_ = 'a.py'\nx = _base_.q"))


def test_the_base_expression_sees_no_other_name(tmp_path: Path) -> None:
    with pytest.raises(FkitError, match="name 'where' is not defined"):
        load_config(write(tmp_path, a="where = 'b.py'\n_base_ = where"))


def test_file_variables(tmp_path: Path) -> None:
    text = "a = '{{ fileDirname }}'\nb = '{{fileBasename}}'\nc = '{{ fileBasenameNoExtension }}'\nd = '{{fileExtname}}'"
    file = write(tmp_path, some=text)
    assert canonical(file) == {"a": str(tmp_path), "b": "some.py", "c": "some", "d": ".py"}
    assert canonical(file, use_predefined_variables=False)["b"] == "{{fileBasename}}"


def test_environment_variables(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    text = "a = '{{$FKIT_TEST_NOWHERE:80}}'\nb = {{'$FKIT_TEST_NOWHERE:80'}}\nc = '{{$PATH:x}}'"
    cfg = load_config(write(tmp_path, a=text))
    assert (cfg.a, cfg.b) == ("80", 80)
    assert cfg.env_variables == {"PATH": cfg.c}
    with pytest.raises(FkitKeyError, match=r"b\.py:2: The environment variable FKIT_TEST_NOWHERE is not set"):
        load_config(write(tmp_path, b="x = 1\ny = {{'$FKIT_TEST_NOWHERE:'}}"))


def test_deprecation_warns_and_goes(tmp_path: Path) -> None:
    file = write(tmp_path, a="_deprecation_ = dict(expected='new.py', reference='http://x')\ny = 1")
    with pytest.warns(DeprecationWarning, match=r"will be deprecated.*use new\.py instead.*http://x"):
        assert canonical(file) == {"y": 1}


def test_custom_imports_are_data(tmp_path: Path) -> None:
    file = write(tmp_path, a="custom_imports = dict(imports=['no.such.module'], allow_failed_imports=False)")
    assert load_config(file).custom_imports.imports == ["no.such.module"]


def test_modules_functions_and_private_names_go(tmp_path: Path) -> None:
    file = write(
        tmp_path, a="import os\nfrom copy import deepcopy\ndef f():\n    return 1\n__x = 1\n_y = f()\nz = lambda: 2"
    )
    assert canonical(file) == {"_y": 1}


def test_package_bases(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    import sys

    package = tmp_path / "mmyolo"
    (package / ".mim" / "configs" / "_base_").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('it was imported')")
    (package / ".mim" / "model-index.yml").write_text("Import: []\n")
    (package / ".mim" / "configs" / "_base_" / "m.py").write_text(
        "model = dict(type='A', neck=dict(type='B'))\nplain = dict(x=dict(type='C'))"
    )
    sys.path.insert(0, str(tmp_path))
    request.addfinalizer(lambda: sys.path.remove(str(tmp_path)))
    child = write(tmp_path, c="_base_ = 'mmyolo::_base_/m.py'\nmodel = dict(neck=None)")
    assert canonical(child) == {
        "model": {"type": "A", "neck": None, "_scope_": "mmyolo"},
        "plain": {"x": {"type": "C", "_scope_": "mmyolo"}},
    }
    with pytest.raises(FkitFileNotFoundError, match="There is no config file"):
        load_config(write(tmp_path, d="_base_ = 'mmyolo::_base_/none.py'"))
    with pytest.raises(FkitError, match="names an unknown package"):
        load_config(write(tmp_path, e="_base_ = 'mmnothing::_base_/m.py'"))


def test_new_style(tmp_path: Path) -> None:
    write(
        tmp_path,
        base="from mmdet.models import ResNet, FPN as Neck\nmodel = dict(type=ResNet, neck=dict(type=Neck, k=1))\nsize = (1, 2)",
    )
    child = write(
        tmp_path,
        child="import torch.nn as nn\nfrom mmengine.config import read_base\n\nwith read_base():\n    from .base import *\n    from .base import model as other\n\n"
        "model.neck.k = 2\nmodel.update(dict(act=nn.ReLU))\nother.merge(dict(neck=dict(_delete_=True, z=1)))\nkind = ResNet",
    )
    assert canonical(child) == {
        "model": {"type": {"__lazy__": "mmdet.models.ResNet"}, "neck": {"z": 1}, "act": {"__lazy__": "torch.nn.ReLU"}},
        "size": {"__tuple__": [1, 2]},
        "other": {"type": {"__lazy__": "mmdet.models.ResNet"}, "neck": {"z": 1}, "act": {"__lazy__": "torch.nn.ReLU"}},
        "kind": {"__lazy__": "mmdet.models.ResNet"},
    }
    cfg = load_config(child)
    assert load_string(cfg.text("python")) == cfg


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from mmdet.models import *", "stands outside of"),
        ("with read_base():\n    from .nothing import *", "There is no base '.nothing'"),
        ("with read_base():\n    import base", "Only `from module import"),
        ("with read_base():\n    from .old import *", "old style"),
        ("with read_base():\n    from .base import nothing", "has no 'nothing'"),
        ("with read_base():\n    a = 1", "Only `from module import"),
        ("from mmdet.models import ResNet\nnet = ResNet(depth=50)", r"mmdet\.models\.ResNet is called"),
        ("import torch, numpy", "one module a line"),
        ("with open('x') as f:\n    pass", "Only `with read_base"),
    ],
)
def test_new_style_errors(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, base="a = 1", old="_base_ = 'base.py'")
    with pytest.raises(FkitError, match=message):
        load_config(write(tmp_path, child=text))


def test_a_call_of_another_library_names_trust(tmp_path: Path) -> None:
    with pytest.raises(FkitValueError, match=r"a\.py:2: time\.time is not among .*\n.*--trust"):
        load_config(write(tmp_path, a="import time\nx = time.time()"))


def test_trust_runs_the_file_in_another_process(tmp_path: Path) -> None:
    write(tmp_path, base="m = dict(x=(1, 2))")
    file = write(
        tmp_path,
        a="_base_ = 'base.py'\nimport os, time\npid = os.getpid()\nt = time.time() > 0\nm = dict(y=dict, z={1, 2})",
    )
    cfg = load_config(file, "m.w:=1", trust=True)
    assert cfg.pid != __import__("os").getpid()
    assert cfg.t is True and cfg.m.x == (1, 2) and cfg.m.z == frozenset({1, 2}) and cfg.m.w == 1
    with pytest.raises(FkitError, match=r"b\.py:2: ZeroDivisionError"):
        load_config(write(tmp_path, b="import time\nx = 1 / 0"), trust=True)


def test_trust_reads_as_it_is_told(tmp_path: Path) -> None:
    file = write(tmp_path, a="import time\nt = time.time() > 0\na = '{{fileBasename}}'\nb = '{{$PATH:x}}'")
    cfg = load_config(file, trust=True)
    assert (cfg.a, cfg.t, cfg.env_variables) == ("a.py", True, {"PATH": cfg.b})
    left = load_config(file, trust=True, use_predefined_variables=False, use_environment_variables=False)
    assert (left.a, left.b, left.env_variables) == ("{{fileBasename}}", "{{$PATH:x}}", {})


def test_trust_keeps_the_class_of_an_error(tmp_path: Path) -> None:
    with pytest.raises(FkitFileNotFoundError, match=r"There is no config file .*none\.py"):
        load_config(tmp_path / "none.py", trust=True)
    write(tmp_path, base="a = 1")
    with pytest.raises(FkitKeyError, match="has no 'aa'"):
        load_config(write(tmp_path, b="with read_base():\n    from .base import aa"), trust=True)


def test_other_suffixes_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(FkitOSError, match="is not a config file"):
        load_config(write(tmp_path, a__toml="x = 1"))
    with pytest.raises(FkitFileNotFoundError):
        load_config(tmp_path / "none.py")
    with pytest.raises(FkitValueError, match=r"a\.py:2: This is no Python"):
        load_config(write(tmp_path, a="x = 1\ny = ="))


def test_fromstring(tmp_path: Path) -> None:
    assert fkit.Config.fromstring("a = (1, 2)").a == (1, 2)
    assert fkit.Config.fromstring("a: [1, 2]", ".yaml").a == [1, 2]
    with pytest.raises(FkitOSError, match="no format of configs"):
        fkit.Config.fromstring("a = 1", ".xml")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fkit.Config.fromstring("a: dict(x=1)", ".yaml")
    assert "has `dict(`" in str(caught[0].message)


def test_values_are_read_the_same_warm_as_cold(tmp_path: Path) -> None:
    file = write(tmp_path, a="x = dict(a=[1])\nx['a'].append(2)")
    assert canonical(file) == canonical(file) == {"x": {"a": [1, 2]}}


def test_origins_through_bases_merges_and_words(tmp_path: Path) -> None:
    write(tmp_path, a="m = dict(\n    x=1,\n    y=dict(z=2))")
    file = write(tmp_path, b="_base_ = 'a.py'\nm = dict(x=3)")
    cfg = load_config(file, "m.x=4")
    places = [
        (Path(s.place.split(":")[0]).name + ":" + s.place.split(":")[1] if ".py" in s.place else s.place, s.value)
        for s in cfg.origins("m.x")
    ]
    assert places == [("--cfg-options m.x=4", 4), ("b.py:2", 3), ("a.py:2", 1)]
    assert str(cfg.origin("m.y.z")).endswith("a.py:3")
    assert cfg.origin("nothing") is None
    assert cfg == fkit.Config(json.loads(cfg.text("json")))
    assert cfg.fingerprint == fkit.Config(json.loads(cfg.text("json"))).fingerprint


def test_origins_through_a_replaced_mapping(tmp_path: Path) -> None:
    write(tmp_path, a="m = dict(\n    b=dict(\n        x=1))")
    file = write(tmp_path, b="_base_ = 'a.py'\nm = dict(\n    b=dict(_delete_=True, x=2))")
    assert [s.value for s in load_config(file).origins("m.b.x")] == [2, 1]


READ = "import sys, fkit\ntry: print(fkit.load_config(sys.argv[1]).text('canonical'))\nexcept fkit.FkitError as error: print(error)"


def test_a_tilde_is_the_home_folder(tmp_path: Path) -> None:
    write(tmp_path, a="x = 1", b="_base_ = '~/a.py'", c__yaml="_base_: ['~/a.py']\n")
    for name in ("~/a.py", "~/b.py", "~/c.yaml"):
        done = subprocess.run(
            [sys.executable, "-c", READ, name], capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)}, check=True
        )  # fmt: skip
        assert json.loads(done.stdout) == {"x": 1}


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    for name, text in (("a.py", "x = 1"), ("a.json", '{"x": 1}'), ("a.yaml", "x: 1\n")):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert canonical(tmp_path / name) == {"x": 1}


def test_what_is_no_text_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes("x = 'é'".encode("latin-1"))
    with pytest.raises(FkitValueError, match="is not UTF-8"):
        load_config(tmp_path / "a.py")
    with pytest.raises(FkitOSError, match="is a folder"):
        load_config(tmp_path)
    (tmp_path / "b.py").mkdir()
    with pytest.raises(FkitOSError, match="is a folder"):
        load_config(tmp_path / "b.py")
    with pytest.raises(FkitOSError, match=r"c\.py:1: .*is a folder"):
        load_config(write(tmp_path, c="_base_ = 'b.py'"))
    os.mkfifo(tmp_path / "d.py")
    with pytest.raises(FkitOSError, match="no regular file"):
        load_config(tmp_path / "d.py")


@pytest.mark.parametrize("path", [None, 3, [], b"x.py"])
def test_a_path_is_a_path(path: Any) -> None:
    with pytest.raises(FkitTypeError, match="is named by a path"):
        load_config(path)
    with pytest.raises(FkitTypeError, match="is a string"):
        load_string(path)


def test_an_annotated_base_is_a_base(tmp_path: Path) -> None:
    assert canonical(write(tmp_path, a="x = 1", b="_base_: list = ['a.py']\ny: int = 2")) == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("_base_ = 'a.py'\n_base_ = 'b.py'", r"c\.py:2: _base_ is set twice"),
        ("if True:\n    _base_ = 'a.py'", "names no bases"),
        ("_base_ = bases = ['a.py']", "names no bases"),
        ("_base_, x = ['a.py'], 1", "names no bases"),
        ("for _base_ in ['a.py']:\n    pass", "names no bases"),
        ("_base_ = []\n_base_ += ['a.py']", r"c\.py:2: "),
        ("x = (_base_ := ['a.py'])", "names no bases"),
    ],
)
@pytest.mark.parametrize("trust", [False, True])
def test_a_base_that_would_be_dropped_is_an_error(tmp_path: Path, text: str, message: str, trust: bool) -> None:
    with pytest.raises(FkitError, match=message):
        load_config(write(tmp_path, a="x = 1", b="y = 1", c=text), trust=trust)


def test_a_key_twice_is_told(tmp_path: Path) -> None:
    file = write(tmp_path, a="x = {\n    'a': 1,\n    'b': 2,\n    'a': 3}")
    with pytest.warns(UserWarning, match="The key 'a' stands twice in one dict") as caught:
        assert canonical(file) == {"x": {"a": 3, "b": 2}}
    assert (Path(caught[0].filename).name, caught[0].lineno) == ("a.py", 4)
    assert canonical(write(tmp_path, b="y = {'a': 1}\nx = {'a': 0, **y, 'b': 1}")) == {
        "y": {"a": 1},
        "x": {"a": 1, "b": 1},
    }
    for text in ("x = dict(a=1, a=2)", "def f(a):\n    return a\nx = f(a=1, a=2)"):
        with pytest.raises(FkitError, match="multiple values for"):
            load_config(write(tmp_path, c=text))
    for name, text in (("d__json", '{"x": {"a": 1, "a": 2}}'), ("e__yaml", "x:\n  a: 1\n  a: 2\n")):
        with pytest.raises(FkitError, match="'a'"):
            load_config(write(tmp_path, **{name: text}))


HUGE = "9" * 5000


@pytest.mark.parametrize(
    "files",
    [
        {"a": f"x = 1\ny = {HUGE}"},
        {"a": "x = 1\ny = 0x" + "f" * 5000},
        {"a": "x = 1\ny = 10 ** 4500"},
        {"a": "x = 1\ny = dict(z=[1 << 16000])"},
        {"a__json": f'{{"x": 1, "y": {HUGE}}}'},
        {"a__yaml": f"x: 1\ny: {HUGE}\n"},
        {"a__yaml": "x: 1\ny: 0x" + "f" * 5000 + "\n"},
        {"a": "x = 1", "b": "_base_ = 'a.py'\ny = 0x" + "f" * 5000},
    ],
)
def test_an_integer_without_a_text_is_refused_at_load(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(FkitError, match=r"\.(py:2|json|yaml:2): .* integer of more than 4300 digits"):
        load_config(write(tmp_path, **files))


def test_keys_that_python_normalises_keep_their_text(tmp_path: Path) -> None:
    file = write(tmp_path, a__yaml="m: {µm: 1, ﬁ: 2, 'ſ': 3}\n")
    cfg = load_config(file)
    assert list(cfg.m) == ["µm", "ﬁ", "ſ"]
    assert load_config(write(tmp_path, b=cfg.text("python"))) == cfg
    assert load_config(write(tmp_path, c="m = dict(µm=1)")).m == {"μm": 1}  # as Python reads a name


def test_a_path_with_two_colons_that_is_there_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "run::1").mkdir()
    assert canonical(write(tmp_path / "run::1", a="x = 1")) == {"x": 1}


GONE = """
import os, sys, fkit
from fkit.config.config import load_config, load_string
os.rmdir(os.getcwd())
print(load_config(sys.argv[1]).x, load_config(sys.argv[1], trust=True).x, load_string("x = 3").x)
for read in (lambda: load_config("a.py"), lambda: load_config("a.py", trust=True), lambda: load_string("_base_ = 'a.py'")):
    try: read()
    except fkit.FkitError as error: print(error)
"""


def test_a_working_folder_that_is_gone(tmp_path: Path) -> None:
    file = write(tmp_path, a="x = 1")
    (tmp_path / "gone").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(fkit.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", GONE, str(file)], capture_output=True, text=True, cwd=tmp_path / "gone", env=environment, check=False
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[0] == "1 1 3", done.stderr
    assert len(lines) == 4 and all(
        "There is no config file a.py: the working folder has been deleted" in line for line in lines[1:]
    )
