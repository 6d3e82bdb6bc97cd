"""What a name in a config reaches: only what is meant to be built, and nothing that touches the world."""

import importlib
import json
import os
import subprocess
import sys
import types
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import fkit
from fkit import Built, FkitError, Registry
from fkit.catalog.allow import PARTS, Allowed, allowance, open_part
from fkit.catalog.build import maker_of
from fkit.catalog.plugin import include_custom, installed
from fkit.tree.error import FkitAttributeError, FkitImportError, FkitKeyError, FkitTypeError, FkitValueError

ROOT = Path(__file__).parents[2]

# each ran code, or deleted files, when a config named it; with the arguments that did
HOLES = (
    ("yaml.unsafe_load", {"stream": "!!python/object/apply:os.mkdir [FOLDER]"}),
    ("yaml.load", {"stream": "!!python/object/apply:os.mkdir [FOLDER]", "Loader": {"type": "yaml.UnsafeLoader"}}),
    ("numpy.load", {"file": "FOLDER.npy", "allow_pickle": True}),
    ("numpy.f2py.compile", {"source": ""}),
    ("numpy.lib.format.os.mkdir", {"path": "FOLDER"}),
    ("sympy.sympify", {"a": "__import__('os').mkdir('FOLDER')"}),
    ("fkit.config.read.trust.run_trusted", {"file": "FOLDER.py"}),
    ("fkit.fileio.operation.rmtree", {"path": "."}),
    ("fkit.fileio.rmtree", {"path": "."}),
    ("fkit.catalog.entry.Lazy", {"target": "os:mkdir"}),
    ("fkit.tree.name.open_name", {"name": "antigravity"}),
    ("fkit.catalog.plugin.include", {"module": "antigravity"}),
    ("torch.load", {"f": "FOLDER.pth", "weights_only": False}),
    ("torch.hub.load", {"repo_or_dir": "x/y", "model": "z"}),
    ("torch.utils.cpp_extension.load", {"name": "a", "sources": []}),
    ("torch.nn.modules.os.mkdir", {"path": "FOLDER"}),
    ("torch.nn.functional.warnings.sys.exit", {}),
    ("torch.nn.modules.module.functools.partial", {}),
    ("torch.nn.modules.torch.hub.load", {"repo_or_dir": "x/y", "model": "z"}),
    ("torch.nn.Module.load_state_dict", {}),
    ("torch.nn.parallel.DistributedDataParallel", {"module": None}),
    ("torch.optim.lr_scheduler.warnings.warn", {"message": "x"}),
    ("flax.linen.module.os.mkdir", {"path": "FOLDER"}),
    ("flax.linen.jit", {"target": None}),
    ("optax.experimental.sys.exit", {}),
    ("os.mkdir", {"path": "FOLDER"}),
    ("os.path.os.mkdir", {"path": "FOLDER"}),
    ("posix.mkdir", {"path": "FOLDER"}),
    ("subprocess.Popen", {"args": ["true"]}),
    ("builtins.eval", {"source": "1"}),
    ("collections.OrderedDict", {}),
    ("functools.partial", {}),
    ("__main__.exit", {}),
)


def test_every_name_that_text_reaches_touches_nothing_when_it_is_built() -> None:
    """All registered names, all that PARTS offer: no file, process or socket, by Python's audit events."""
    pytest.importorskip("flax")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("reach.py"))],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["names"] > 300 and told["built"] > 500
    # a dataset reads its data, which comes with the kit, and what is known of a public one
    shipped = [str(ROOT / "fkit" / "data" / name) for name in ("shipped/digits.npz", "metainfo/")]
    assert [row for row in told["touched"] if not any(row[1].startswith(f"open('{path}") for path in shipped)] == []


MODEL: Any = Built["models"]


def holder(part: MODEL) -> Any:
    return part


def asker(part: Any, *, build: Any) -> Any:
    return build("models", part)


@pytest.mark.parametrize(("name", "arguments"), HOLES, ids=[name for name, _ in HOLES])
def test_no_hole_is_open(name: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    """As a part of each kind, as a part of a part, in a list, with a scope, in each spelling."""
    text = json.dumps({"type": name, **arguments}).replace("FOLDER", str(tmp_path / "made"))
    cfg = json.loads(text)
    reg = fkit.registry().register("models", holder).register("models", asker)
    trials = [(kind, cfg) for kind in reg.kinds]
    trials += [("models", {"type": maker, "part": cfg}) for maker in ("holder", "asker")]
    trials += [("models", [cfg]), ("models", {**cfg, "_scope_": "torch"}), ("models", {**cfg, "_scope_": "mmdet"})]
    for kind, node in trials:
        for spelled in (node, fkit.Config({"a": node}).a):
            with pytest.raises(FkitError):
                reg.build(kind, spelled, path="a")
    with pytest.raises(FkitError):
        reg.build("models", {"a": 1}, defaults=cfg)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", [name for name, _ in HOLES])
def test_a_new_style_config_opens_no_hole(name: str, tmp_path: Path) -> None:
    module, _, word = name.rpartition(".")
    (tmp_path / "a.py").write_text(
        f"from mmengine.config import read_base\nfrom {module} import {word}\n\nmodel = dict(type={word})\n"
    )
    with pytest.raises(FkitError):
        fkit.build(fkit.load_config(tmp_path / "a.py").model, fkit.registry(), "models", path="model")


@pytest.mark.parametrize(
    "word", ("bytes", "print", "dict", "type", "range", "sorted", "math.sqrt", "len", "os.path.join")
)
def test_what_the_language_of_configs_lends_is_not_built(word: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"import math, os\nmodel = dict(type={word}, source=10)\n")
    cfg = fkit.load_config(tmp_path / "a.py")
    with pytest.raises(FkitValueError, match=r"a.py:2: model.type = '.*' is of Python's library"):
        fkit.build(cfg.model, fkit.registry(), "models", path="model")
    mine = cfg.merge({"model": {"type": dict}})  # what a caller puts in is his
    assert fkit.build(mine.model, fkit.registry(), "models", path="model") == {"source": 10}


@pytest.mark.parametrize(
    "name",
    (
        "torch.nn.ReLU", "torch.nn.modules.activation.ReLU", "torch.nn.modules.ReLU", "torch.optim.SGD",
        "torch.optim.sgd.SGD", "torch.optim.lr_scheduler.StepLR", "flax.linen.Dense", "flax.linen.linear.Dense",
        "optax.adam", "optax.cosine_decay_schedule",
    ),
)  # fmt: skip
def test_what_is_meant_to_be_built_is(name: str) -> None:
    pytest.importorskip(name.partition(".")[0])
    assert open_part(name, Allowed()).__name__ == name.rpartition(".")[2]


def test_parts_are_public_and_at_home_in_their_package() -> None:
    pytest.importorskip("flax")
    for path in ("torch.nn.nowhere.ReLU", "torch.optim.adam.SGD", "torch.nn._reduction.Module", "flax.linen.Nope"):
        with pytest.raises(FkitValueError):
            open_part(path, Allowed())
    offered = [(module, name) for module, _ in PARTS for name in dir(importlib.import_module(module))]
    for module, name in offered:
        if not isinstance(getattr(sys.modules[module], name), type | types.FunctionType):
            with pytest.raises(FkitValueError, match=r"(is not among what|of Python's library)"):
                open_part(f"{module}.{name}", Allowed())
    assert len(offered) > 500


# ------------------------------------------------------------------------------------------- a user's package

NETS = """
import os
from functools import partial
from os import mkdir
from shutil import rmtree
from numpy import load
from torch.nn import ReLU, Linear

class Net:
    def __init__(self, width=1):
        self.width = width

    @classmethod
    def wide(cls):
        return cls(9)

def make(width):
    return Net(width)

Narrow = partial(Net, width=0)
Line = partial(Linear, 2, 3)
wipe = partial(rmtree, ignore_errors=True)
"""


@pytest.fixture
def package(tmp_path: Path) -> Any:
    """A package of the user's on the path; forgotten afterwards."""
    folder = tmp_path / "reach_pkg"
    folder.mkdir()
    (folder / "__init__.py").write_text("from reach_pkg.nets import Net\n")
    (folder / "nets.py").write_text(NETS)
    sys.path.insert(0, str(tmp_path))
    yield folder
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.split(".")[0] == "reach_pkg"]:
        del sys.modules[name]


def test_a_module_that_nothing_allows_is_not_imported(package: Path) -> None:
    with pytest.raises(FkitValueError) as caught:
        fkit.build({"type": "reach_pkg.nets.Net"}, fkit.registry(), "models", path="model")
    assert str(caught.value) == (
        "model.type = 'reach_pkg.nets.Net' is code of the package 'reach_pkg', which nothing allows.\n"
        "  If you trust that package: --allow reach_pkg. In Python: registry.allow('reach_pkg')."
    )
    mine = fkit.registry().register("models", dict, name="Net")  # one of that name does not stand in for what is there
    with pytest.raises(FkitValueError, match="--allow reach_pkg"):
        mine.build("models", {"type": "reach_pkg.nets.Net"})
    assert "reach_pkg" not in sys.modules


@pytest.mark.parametrize("allowed", ("reach_pkg", "reach_pkg.nets"))
def test_an_allowed_module_builds_what_it_defines(package: Path, allowed: str) -> None:
    reg = fkit.registry().allow(allowed)
    assert reg.build("models", {"type": "reach_pkg.nets.Net", "width": 3}).width == 3
    assert reg.build("models", {"type": "reach_pkg.nets.make", "width": 4}).width == 4
    assert reg.build("models", {"type": "reach_pkg.nets.Net.wide"}).width == 9
    assert reg.build("models", {"type": "reach_pkg.nets.Narrow"}).width == 0
    assert reg.build("models", {"type": "reach_pkg.nets.Line"}).in_features == 2
    assert type(reg.build("models", {"type": "reach_pkg.nets.ReLU"})).__name__ == "ReLU"
    assert maker_of({"type": "reach_pkg.nets.make"}, reg, "datasets").__name__ == "make"
    with pytest.raises(FkitValueError, match="--allow reach_pkg"):
        maker_of({"type": "reach_pkg.nets.make"}, fkit.registry(), "datasets")
    assert fkit.registry().allowed == Allowed()


def test_an_allowed_submodule_does_not_open_its_package(package: Path) -> None:
    with pytest.raises(FkitValueError, match=r"--allow reach_pkg\."):
        fkit.registry().allow("reach_pkg.nets").build("models", {"type": "reach_pkg.Net"})


@pytest.mark.parametrize("reg", (fkit.registry().allow("reach_pkg"), fkit.registry().allow(trust=True)))
def test_an_allowed_module_opens_no_other(package: Path, reg: Registry, tmp_path: Path) -> None:
    for name in ("os.mkdir", "mkdir", "rmtree", "wipe", "partial", "os.path.os.mkdir"):
        with pytest.raises(FkitValueError, match="Python's library"):
            reg.build("models", {"type": f"reach_pkg.nets.{name}", "path": str(tmp_path)})
    with pytest.raises(FkitAttributeError, match=r"type = 'reach_pkg.nets.Nope': reach_pkg.nets has no 'Nope'"):
        reg.build("models", {"type": "reach_pkg.nets.Nope"})
    with pytest.raises(FkitKeyError, match="not in the registry"):
        reg.build("models", {"type": "reach_pkg.nets"})
    if not reg.allowed.trust:
        with pytest.raises(FkitValueError, match="of the package 'numpy', which nothing allows"):
            reg.build("models", {"type": "reach_pkg.nets.load", "file": "x"})


def test_the_callers_own_objects_are_bound_by_no_rule() -> None:
    reg = fkit.registry()
    assert reg.build("models", {"type": os.path.join, "a": "x"}) == "x"
    assert reg.build("models", fkit.Config({"type": os.path.join, "a": "x"})) == "x"
    lazy = reg.register("hooks", "os.path:join").get("hooks", "join")
    assert reg.build("hooks", {"type": lazy, "a": "x"}) == "x"
    assert reg.register("hooks", "os.path:join").build("hooks", {"type": "join", "a": "x"}) == "x"


def test_allow_is_given_where_a_config_is_built(package: Path) -> None:
    cfg = fkit.Config({"model": {"type": "reach_pkg.nets.Net"}})
    assert fkit.build(cfg.model, fkit.registry(), "models", allow="reach_pkg").width == 1
    assert fkit.build(cfg.model, fkit.registry(), "models", allow=["reach_pkg"]).width == 1
    reg = fkit.registry().include("reach_pkg")
    assert reg.allowed.modules == {"reach_pkg"} and reg.build("models", cfg.model).width == 1


@pytest.mark.parametrize("module", ("os", "os.path", "builtins", "fkit", "fkit.fileio"))
def test_pythons_library_and_the_kit_cannot_be_allowed(module: str) -> None:
    with pytest.raises(
        FkitValueError, match=f"'{module}' cannot be allowed: it is of (Python's library|the kit itself)"
    ):
        fkit.registry().allow(module)


@pytest.mark.parametrize("modules", (3, None, ["a", 3], [None]))
def test_allow_wants_names(modules: Any) -> None:
    with pytest.raises(FkitTypeError):
        allowance(modules)
    with pytest.raises(FkitValueError):
        allowance(["not a name"])
    with pytest.raises(FkitTypeError):
        allowance("a", trust=1)  # type: ignore[arg-type]


def test_permissions_add_up_and_are_part_of_the_value() -> None:
    a, b = fkit.registry().allow("a"), fkit.registry().allow("b", "c.d")
    assert (a | b).allowed == a.allow("b", "c.d").allowed == Allowed(frozenset({"a", "b", "c.d"}))
    assert (a | b).allow(trust=True).allow("e").allowed.trust
    assert a != fkit.registry() and a.allow("a") == a


# --------------------------------------------------------------------------------------------- custom_imports


def test_custom_imports_need_a_permission(package: Path) -> None:
    cfg = {"imports": ["reach_pkg.nets"], "allow_failed_imports": True}
    with pytest.raises(FkitValueError) as caught:
        include_custom(fkit.registry(), cfg)
    assert str(caught.value) == (
        "custom_imports = 'reach_pkg.nets' is code of the package 'reach_pkg', which nothing allows.\n"
        "  If you trust that package: --allow reach_pkg. In Python: registry.allow('reach_pkg')."
    )
    assert "reach_pkg" not in sys.modules
    assert include_custom(fkit.registry(), cfg, allow="reach_pkg").included == {"reach_pkg.nets"}
    assert include_custom(fkit.registry().allow(trust=True), cfg).included == {"reach_pkg.nets"}
    included = fkit.registry().include("reach_pkg")
    assert include_custom(included, cfg).included == {"reach_pkg", "reach_pkg.nets"}


def test_custom_imports_of_pythons_library_are_refused() -> None:
    for module in ("os", "antigravity", "fkit.config.read.trusted"):
        with pytest.raises(FkitValueError, match=r"(Python's library|the kit itself)"):
            include_custom(fkit.registry().allow(trust=True), {"imports": module})
    assert "antigravity" not in sys.modules


def test_custom_imports_of_openmmlabs_packages_need_nothing() -> None:
    """As mmdet's and mmpose's configs have them: the kit's own parts answer to their names."""
    for module in ("mmpretrain.models", "mmcls.models", "mmpose.engine.optim_wrappers.layer_decay_optim_wrapper"):
        reg = include_custom(fkit.registry(), {"imports": [module], "allow_failed_imports": False})
        assert reg == fkit.registry()
        with pytest.raises(FkitImportError):
            include_custom(fkit.registry(), {"imports": [module]}, allow=module.partition(".")[0])


def test_the_line_of_custom_imports_is_told(package: Path, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\ncustom_imports = dict(imports=['reach_pkg'])\n")
    cfg = fkit.load_config(tmp_path / "a.py")
    with pytest.raises(FkitValueError, match=r"a.py:2: custom_imports = 'reach_pkg' is code"):
        include_custom(fkit.registry(), cfg.custom_imports)


def test_an_installed_plugin_allows_what_its_entry_point_names(package: Path, tmp_path: Path) -> None:
    info = tmp_path / "reach-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: reach\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fkit.plugins]\nreach = reach_pkg\n")
    reg = installed(fkit.registry())
    assert reg.build("models", {"type": "reach_pkg.nets.Net"}).width == 1
    assert include_custom(reg, {"imports": "reach_pkg.nets"}).included >= {"reach_pkg.nets"}


def test_plan_and_program_take_the_permission(package: Path) -> None:
    cfg = fkit.load_config(ROOT / "configs/digits/convnet.py").merge({"custom_imports": {"imports": ["reach_pkg"]}})
    for make in (fkit.plan, fkit.program):
        with pytest.raises(FkitValueError, match="--allow reach_pkg"):
            make(cfg)
        assert "reach_pkg" not in sys.modules
    assert "reach_pkg" in fkit.plan(cfg, allow="reach_pkg").registry.included
    assert fkit.program(cfg, fkit.registry().allow("reach_pkg")).backend == "torch"


# ------------------------------------------------------------------------------------------- the command line


def fkit_command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from fkit.cli.main import main; sys.path.remove(''); sys.exit(main())",
            *words,
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


EVIL = (
    "custom_imports = dict(imports=['evil_mod'], allow_failed_imports=True)",
    "custom_hooks = [dict(type='evil_mod.Hook')]",
    "custom_hooks = [dict(type='yaml.unsafe_load', stream='!!python/object/apply:os.mkdir [made]')]",
    "custom_hooks = [dict(type='fkit.config.read.trust.run_trusted', file='evil_mod.py')]",
    "val_evaluator = dict(type='evil_mod.Hook')",
    "train_dataloader = dict(dataset=dict(type='evil_mod.Hook', _delete_=True))",
    "train_dataloader = dict(sampler=dict(type='evil_mod.Hook', _delete_=True))",
    "train_dataloader = dict(collate_fn=dict(type='evil_mod.Hook'))",
    "model = dict(head=dict(type='evil_mod.Hook'))",
    "param_scheduler = [dict(type='evil_mod.Hook')]",
)
EACH = """
import contextlib, io, json, sys
from fkit.cli.main import main

rows = []
for name in sys.argv[1:]:
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = main(["train", name, "--work-dir", name[:-3]])
    rows.append([code, said.getvalue()])
print(json.dumps(rows))
"""


def test_fkit_train_runs_no_code_of_a_config(tmp_path: Path) -> None:
    """The module lies where Python finds it, and would leave a folder were it imported."""
    (tmp_path / "evil_mod.py").write_text("import os\nos.mkdir('made')\nclass Hook:\n    pass\n")
    base = str(ROOT / "configs/digits/convnet.py")
    names = [f"evil_{index}.py" for index in range(len(EVIL))]
    for name, line in zip(names, EVIL, strict=True):
        (tmp_path / name).write_text(f"_base_ = {base!r}\n{line}\n")
    done = subprocess.run(
        [sys.executable, "-c", EACH, *names],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path)))},
        capture_output=True,
        text=True,
        check=False,
    )
    for line, (code, said) in zip(EVIL, json.loads(done.stdout), strict=True):
        assert code == 2 and ("--allow" in said or "the kit itself" in said), (line, code, said)
    assert not (tmp_path / "made").exists()


def test_the_word_that_an_error_says_is_enough(tmp_path: Path) -> None:
    (tmp_path / "mypkg.py").write_text(
        dedent(
            """
            from pathlib import Path
            from fkit import component
            from fkit.run.hook.timer import IterTimerHook

            Path("made").touch()
            Mine = component("hooks", name="Mine")(type("Mine", (IterTimerHook,), {}))
            """
        )
    )
    base = str(ROOT / "configs/digits/convnet.py")
    (tmp_path / "a.py").write_text(
        f"_base_ = {base!r}\ncustom_imports = dict(imports=['mypkg'])\ncustom_hooks = [dict(type='Mine')]\n"
        "train_cfg = dict(max_epochs=2)\n"
    )
    words = ("train", "a.py", "--cfg-options", "param_scheduler.1.end=2", "param_scheduler.1.T_max=1")
    refused = fkit_command(tmp_path, *words)
    assert refused.returncode == 2 and "--allow mypkg" in refused.stderr and not (tmp_path / "made").exists()
    assert fkit_command(tmp_path, *words, "--allow", "mypkg").returncode == 0
    assert (tmp_path / "made").exists()
    (tmp_path / "pyproject.toml").write_text("[tool.fkit]\nallow = ['mypkg']\n")
    shown = fkit_command(tmp_path, *words, "--work-dir", "other")
    assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    (
        ("[tool.fkit\n", "pyproject.toml is no TOML"),
        ("[tool.fkit]\nallow = 3\n", r"allow = 3: a list of names of modules is needed"),
        ("[tool.fkit]\nalow = ['a']\n", r"takes no key 'alow'"),
        ("[tool.fkit]\nallow = ['os']\n", "'os' cannot be allowed"),
    ),
)
def test_a_wrong_pyproject_is_one_error(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    done = fkit_command(tmp_path, "train", str(ROOT / "configs/digits/convnet.py"))
    assert done.returncode == 2 and message in done.stderr
