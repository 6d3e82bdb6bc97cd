"""Building: what a maker gets, how parts are built, what an error says."""
# ruff: noqa: UP037 (the name of a kind in Built["models"] is a string, whether annotations are postponed or not)

from __future__ import annotations

import dataclasses
import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
from frozendict import frozendict

import fkit
from fkit import Built, Config, Registry
from fkit.catalog.openmmlab import build_backbone, build_detector, build_from_cfg
from fkit.tree.error import FkitError, FkitImportError, FkitKeyError, FkitTypeError, FkitValueError, RunError
from fkit.tree.node import Items, Node

ROOT = Path(__file__).parents[2]


class Conv:
    def __init__(self, width: int, bias: bool = True) -> None:
        if width < 0:
            raise ValueError(f"width {width} is negative")
        self.width, self.bias = width, bias


class Net:
    def __init__(self, stem: Any, stages: Any = (), *, build: Any) -> None:
        self.stem = build("models", stem, width=64)
        self.stages = [build("models", stage) for stage in stages]


class Wrapper:
    def __init__(self, net: Built["models"], heads: Built["models"] | None = None, extra: Any = None) -> None:
        self.net, self.heads, self.extra = net, heads, extra


@dataclasses.dataclass
class Record:
    head: fkit.Built["models"]
    size: int = 3


def keep(**kwargs: Any) -> dict[str, Any]:
    return kwargs


class Sequential:
    def __init__(self, *parts: Any) -> None:
        self.parts = parts


def models() -> Registry:
    reg = Registry()
    for maker in (Conv, Net, Wrapper, Record, keep, Sequential):
        reg = reg.register("models", maker)
    return reg


# ------------------------------------------------------------------------------------------ what a maker gets


@pytest.mark.parametrize("make", (dict, Config, OrderedDict, frozendict))
def test_any_mapping_builds(make: Any) -> None:
    assert fkit.build(make({"type": "Conv", "width": 3}), models(), "models").width == 3


def test_nested_values_arrive_as_they_are() -> None:
    cfg = Config({"type": "keep", "norm": {"type": "BN"}, "sizes": [1, [2]], "shape": (1, 2), "pair": ([1], {"a": 1})})
    got = fkit.build(cfg, models(), "models")
    assert got["norm"] is cfg["norm"]
    assert dict(**got["norm"]) == {"type": "BN"}
    assert (type(got["sizes"]), type(got["sizes"][1]), got["sizes"]) == (list, list, [1, [2]])
    assert got["shape"] is cfg["shape"]
    assert got["pair"] == ([1], {"a": 1}) and type(got["pair"]) is tuple and type(got["pair"][0]) is list
    got["sizes"].append(4)
    assert isinstance(cfg["sizes"], Items) and cfg["sizes"] == [1, [2]]


def test_a_plain_mapping_is_neither_shared_nor_changed() -> None:
    cfg = {"type": "keep", "norm": {"type": "BN", "deep": {"a": [1]}}, "many": [{"b": 1}]}
    got = fkit.build(cfg, models(), "models", defaults={"extra": 1})
    assert isinstance(got["norm"], Node) and got["norm"].deep.a == [1] and got["many"][0].b == 1
    assert cfg == {"type": "keep", "norm": {"type": "BN", "deep": {"a": [1]}}, "many": [{"b": 1}]}


def test_defaults_fill_what_the_config_lacks() -> None:
    got = fkit.build({"type": "keep", "a": None}, models(), "models", defaults={"a": 1, "b": 2})
    assert got == {"a": None, "b": 2}
    assert fkit.build({"a": 1}, models(), "models", defaults={"type": "keep"}) == {"a": 1}
    with pytest.raises(FkitTypeError, match=r"`defaults` is a mapping or None, not the list \[1\]"):
        fkit.build({"type": "keep"}, models(), "models", defaults=[1])  # type: ignore[arg-type]


def test_defaults_are_handed_as_the_config_is() -> None:
    shared = {"x": 1, "rows": [1]}
    got = fkit.build({"type": "keep"}, models(), "models", defaults={"hub": shared, "rows": shared["rows"]})
    assert isinstance(got["hub"], Node) and got["hub"].x == 1 and got["hub"].rows == [1]
    assert got["rows"] == [1] and got["rows"] is not shared["rows"] and shared == {"x": 1, "rows": [1]}


def test_a_class_a_function_or_a_path_builds_in_place_of_a_name() -> None:
    assert fkit.build({"type": Conv, "width": 1}, Registry(), "models").width == 1
    assert fkit.build({"type": keep, "a": 1}, Registry(), "models") == {"a": 1}
    made = fkit.build({"type": "torch.nn.Identity"}, Registry(), "models")
    assert type(made).__name__ == "Identity"
    assert fkit.build({"type": models().get("models", "Conv"), "width": 1}, Registry(), "models").width == 1
    lazy = Registry().register("models", "collections:Counter").get("models", "Counter")
    assert fkit.build({"type": lazy, "a": 1}, Registry(), "models") == {"a": 1}


def test_a_path_into_a_scope_is_that_scopes_part() -> None:
    reg = fkit.registry().register("optimizers", keep, name="SGD", replace=True)
    assert reg.build("optimizers", {"type": "torch.optim.SGD", "lr": 1}) == {"lr": 1}
    assert reg.build("optimizers", {"type": "torch.optim.sgd.SGD", "lr": 1}) == {"lr": 1}
    reg = fkit.registry().register("models", keep, name="Mine")
    assert reg.build("models", {"type": "mmdet.models.necks.Mine"}) == {}
    assert reg.build("models", {"type": "not_installed.models.Mine"}) == {}
    with pytest.raises(
        FkitKeyError,
        match=r"'nowhere.Mine' is not in the registry 'models', and no module .* it.\n  Did you mean 'Mine'",
    ):
        reg.build("models", {"type": "nowhere.Mine"})


def test_a_name_that_a_new_style_config_imported_builds(tmp_path: Path) -> None:
    file = tmp_path / "new.py"
    file.write_text(
        "from mmdet.models import Conv\nfrom torch.nn import Identity\nfrom no_such_package import Net\n"
        "model = dict(type=Conv, width=5)\nother = dict(type=Identity)\nbroken = dict(type=Net)\n"
    )
    cfg = fkit.load_config(file)
    assert fkit.build(cfg.model, fkit.registry().register("models", Conv), "models").width == 5
    torch = pytest.importorskip("torch")
    assert type(fkit.build(cfg.other, fkit.registry(), "models", backend="torch")) is torch.nn.Identity
    with pytest.raises(
        FkitKeyError, match=r"new.py:6: broken.type = 'no_such_package.Net' .* no module that can be imported has it"
    ):
        fkit.build(cfg.broken, fkit.registry(), "models", path="broken")


# ------------------------------------------------------------------------------------------------------- parts


def test_build_makes_the_parts() -> None:
    net = fkit.build(
        {"type": "Net", "stem": {"type": "Conv"}, "stages": [{"type": "Conv", "width": 8}]}, models(), "models"
    )
    assert (net.stem.width, net.stages[0].width) == (64, 8)


def test_built_parameters_are_built_before_the_call() -> None:
    conv = {"type": "Conv", "width": 1}
    made = fkit.build({"type": "Wrapper", "net": conv, "heads": [conv, conv], "extra": conv}, models(), "models")
    assert isinstance(made.net, Conv)
    assert [type(head) for head in made.heads] == [Conv, Conv]
    assert made.extra == conv
    ready = Conv(2)
    assert fkit.build({"type": "Wrapper", "net": ready, "heads": None}, models(), "models").net is ready


def test_built_works_on_dataclass_fields() -> None:
    made = fkit.build({"type": "Record", "head": {"type": "Conv", "width": 4}}, models(), "models")
    assert (made.head.width, made.size) == (4, 3)


def test_built_works_on_flax_modules() -> None:
    linen = pytest.importorskip("flax.linen")

    class Outer(linen.Module):
        inner: fkit.Built["models"]  # read as text: this file postpones annotations
        width: int = 2

    class Inner(linen.Module):
        features: int = 1

    reg = Registry().register("models", Outer, backend="jax").register("models", Inner, backend="jax")
    made = fkit.build({"type": "Outer", "inner": {"type": "Inner", "features": 7}}, reg, "models", backend="jax")
    assert made.inner == Inner(features=7)


def test_a_list_of_models_is_a_sequential_of_them() -> None:
    made = fkit.build([{"type": "Conv", "width": 1}, {"type": "Conv", "width": 2}], models(), "backbones")
    assert isinstance(made, Sequential) and [part.width for part in made.parts] == [1, 2]
    with pytest.raises(FkitTypeError, match=r"train: a config of 'hooks' is a mapping with 'type', not list: \[\]"):
        fkit.build([], models(), "hooks", path="train")
    with pytest.raises(FkitKeyError, match="'Sequential' is not in the registry 'models'"):
        fkit.build([{"type": "Conv", "width": 1}], Registry().register("models", Conv), "models")


def test_torchs_sequential_is_the_built_in_one() -> None:
    torch = pytest.importorskip("torch")
    cfg = [{"type": "torch.nn.Linear", "in_features": 2, "out_features": 3}, {"type": "torch.nn.ReLU"}]
    made = fkit.build(cfg, fkit.registry(), "models", backend="torch")
    assert isinstance(made, torch.nn.Sequential) and made(torch.zeros(1, 2)).shape == (1, 3)


def test_parts_inherit_scope_and_backend() -> None:
    reg = fkit.registry().register("models", Net, scope="mmdet")
    reg = reg.register("models", keep, name="Head", scope="mmdet", backend="torch")
    reg = reg.register("models", OrderedDict, name="Head", scope="mmdet", backend="jax")
    cfg = {"type": "mmdet.Net", "stem": {"type": "Head"}}
    assert type(fkit.build(cfg, reg, "models", scope="mmdet", backend="jax").stem) is OrderedDict
    assert type(fkit.build({**cfg, "_scope_": "mmdet"}, reg, "models", backend="torch").stem) is dict
    with pytest.raises(FkitKeyError, match="'Head' is not in the registry"):
        fkit.build(cfg, reg, "models")


def test_a_kind_may_have_its_own_build_function() -> None:
    def tagged(cfg: Any, registry: Registry, kind: str, *, scope: Any, **_: Any) -> Any:
        return (kind, dict(cfg), scope)

    reg = Registry().declare("pairs", build=tagged).child("my")
    assert reg.build("pairs", {"a": 1}, scope="my") == ("pairs", {"a": 1}, "my")
    broken = Registry().declare("pairs", build=lambda *_, **__: 1 / 0)
    with pytest.raises(
        FkitError, match=r"cfg.pair: the build function of 'pairs' could not be built: ZeroDivisionError"
    ):
        broken.build("pairs", {"a": 1}, path="cfg.pair")


def test_a_deprecated_name_builds_and_says_what_to_use() -> None:
    reg = Registry().register("models", Conv).register("models", Conv, name="OldConv", deprecated="'Conv'")
    assert reg.get("models", "OldConv") is Conv
    with pytest.warns(DeprecationWarning, match=r"model.type = 'OldConv' is deprecated: use 'Conv'"):
        reg.build("models", {"type": "OldConv", "width": 1}, path="model")


# ------------------------------------------------------------------------------------------------------ errors

FILE = """model = dict(
    type='Net',
    stem=dict(
        type='Conv',
        bias=False,
    ),
    stages=[
        dict(type='Conv', width=8),
        dict(
            type='Conv',
            width=16,
        ),
    ],
)
"""


def build_file(folder: Path, old: str, new: str) -> Any:
    """The error of building FILE with a fault in it."""
    file = folder / "net.py"
    assert old in FILE
    file.write_text(FILE.replace(old, new, 1))
    cfg = fkit.load_config(file)
    with pytest.raises(FkitError) as caught:
        fkit.build(cfg.model, models(), "models", path="model")
    return caught.value, str(caught.value).replace(f"{folder}{os.sep}", "")


def test_an_unknown_type_says_where_and_what_else(tmp_path: Path) -> None:
    error, text = build_file(tmp_path, "type='Conv',\n            width=16", "type='Cnov',\n            width=16")
    assert isinstance(error, KeyError)
    assert text == (
        "net.py:10: model.stages[1].type = 'Cnov' is not in the registry 'models'.\n"
        "  Did you mean 'Conv'? Registered: Conv, Net, Record, Sequential, Wrapper, keep"
    )
    assert error.path == "model.stages[1]"


def test_an_unknown_argument_names_the_nearest(tmp_path: Path) -> None:
    error, text = build_file(tmp_path, "bias=False", "bais=False")
    assert isinstance(error, TypeError) and isinstance(error.__cause__, TypeError)
    assert text == (
        "net.py:5: model.stem.bais = False: 'Conv' takes no argument 'bais'.\n"
        "  Did you mean 'bias'? Arguments: width, bias\n"
        "  Signature: Conv(width: 'int', bias: 'bool' = True) -> 'None'"
    )


def test_a_missing_argument_is_named(tmp_path: Path) -> None:
    error, text = build_file(tmp_path, "width=16", "bias=True")
    assert isinstance(error, TypeError)
    assert text.splitlines()[0] == "net.py:10: model.stages[1]: 'Conv' needs the argument 'width'."


def test_a_constructor_that_raises_keeps_its_class_and_cause(tmp_path: Path) -> None:
    error, text = build_file(tmp_path, "width=16", "width=-16")
    assert isinstance(error, FkitValueError) and isinstance(error.__cause__, ValueError)
    line = Conv.__init__.__code__.co_firstlineno + 2
    assert text == (
        "net.py:10: model.stages[1]: 'Conv' could not be built: ValueError: width -16 is negative "
        f"({os.path.relpath(__file__)}:{line}, in Conv.__init__)\n"
        "  Given: width=-16\n"
        "  Signature: Conv(width: 'int', bias: 'bool' = True) -> 'None'"
    )


def test_a_missing_type_is_said(tmp_path: Path) -> None:
    error, text = build_file(tmp_path, "dict(type='Conv', width=8)", "dict(tpye='Conv', width=8)")
    assert isinstance(error, KeyError)
    assert text == (
        "net.py:8: model.stages[0] has no key 'type', so nothing says which of 'models' it is: "
        "{'tpye': 'Conv', 'width': 8}.\n  Is 'tpye' meant to be 'type'?"
    )


@pytest.mark.parametrize("kind", (5, None, 1.5))
def test_a_type_that_is_no_type_is_said(kind: Any) -> None:
    with pytest.raises(
        FkitTypeError, match=rf"^model.type = {kind}: a type is a name in 'models', a class or a function"
    ):
        fkit.build({"type": kind}, models(), "models", path="model")


def test_a_type_error_of_the_constructors_own_is_not_taken_for_an_argument() -> None:
    def fails(a: int) -> None:
        raise TypeError("inside")

    with pytest.raises(
        FkitTypeError, match=r"'fails' could not be built: TypeError: inside \(\S+, in fails\)\n  Given: a=1"
    ):
        Registry().register("models", fails).build("models", {"type": "fails", "a": 1})


def test_a_parts_error_keeps_its_own_path_through_the_whole() -> None:
    cfg = {"type": "Wrapper", "net": {"type": "Net", "stem": {"type": "Conv", "wdith": 1}}}
    with pytest.raises(FkitTypeError, match=r"^cfg\[0\].net.stem.wdith = 1: 'Conv' takes no argument 'wdith'"):
        fkit.build(cfg, models(), "models", path="cfg[0]")


def test_a_changed_copy_of_a_part_is_found_by_its_type() -> None:
    def changes(part: Any, *, build: Any) -> Any:
        return build("models", {**part, "width": -1})

    reg = models().register("models", changes)
    with pytest.raises(FkitValueError, match=r"^model.part: 'Conv' could not be built"):
        reg.build("models", {"type": "changes", "part": {"type": "Conv"}}, path="model")


def test_makers_own_errors_get_a_path_once() -> None:
    def refuse(depth: int) -> None:
        raise FkitValueError("depth is odd.", repair="Take an even one.")

    reg = models().register("models", refuse)
    with pytest.raises(FkitValueError) as caught:
        reg.build("models", {"type": "Wrapper", "net": {"type": "refuse", "depth": 3}}, path="m")
    text = str(caught.value)
    assert text.startswith("m.net: 'refuse' could not be built: depth is odd.\n  Take an even one.\n  Given: depth=3")
    assert text.count("could not be built") == 1


def test_signature_free_makers_report_their_error() -> None:
    with pytest.raises(FkitTypeError, match=r"'max' could not be built: TypeError"):
        Registry().register("models", max).build("models", {"type": "max", "a": 1})


# ------------------------------------------------------------------------------------------------- OpenMMLab's


def test_openmmlabs_builders_build_models() -> None:
    reg = models()
    assert build_backbone({"type": "Conv", "width": 1}, reg).width == 1
    assert build_from_cfg({"width": 1}, reg, "backbones", {"type": "Conv"}).width == 1
    detector = build_detector({"type": "keep"}, reg, train_cfg={"a": 1})
    assert detector == {"train_cfg": {"a": 1}, "test_cfg": None}
    with pytest.raises(FkitValueError, match="train_cfg is given both inside the model's config and outside it"):
        build_detector({"type": "keep", "train_cfg": {"b": 1}}, reg, train_cfg={"a": 1})


def test_building_loads_no_framework() -> None:
    code = (
        "import sys, fkit\n"
        "reg = fkit.registry().register('models', dict, name='Mine')\n"
        "assert fkit.build({'type': 'Mine', 'a': 1}, reg, 'models') == {'a': 1}\n"
        "print([name for name in ('torch', 'jax', 'cv2', 'matplotlib') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ------------------------------------------------------------------------------------- what a maker raises


class Wide(Exception):
    """An error of a user's own, whose constructor wants more than a message."""

    def __init__(self, width: int, *, limit: int) -> None:
        super().__init__(f"{width} over {limit}")
        self.width, self.limit = width, limit

    def __str__(self) -> str:
        return f"{self.width} is over {self.limit}"


class Bad(ValueError):
    pass


class Gone(FileNotFoundError):
    pass


def raising(error: Exception) -> Registry:
    def fails() -> None:
        raise error

    return models().register("models", fails)


OWN_ERRORS = (
    Wide(7, limit=5), Bad("no"), Gone(2, "gone", "a.txt"), ZeroDivisionError("by nought"), AssertionError("never"),
    NotImplementedError("later"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no start"), RecursionError("deep"),
    RunError("loss is nan"), FkitImportError("no pandas."), FkitValueError("odd."),
)  # fmt: skip


@pytest.mark.parametrize("error", OWN_ERRORS, ids=lambda error: type(error).__name__)
def test_the_class_of_an_error_is_catchable_around_a_build(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        raising(error).build("models", {"type": "Wrapper", "net": {"type": "fails"}}, path="model")
    assert isinstance(caught.value, FkitError) and caught.value.__cause__ is error
    assert str(caught.value).startswith("model.net: 'fails' could not be built: ")
    if isinstance(error, FkitError):
        assert type(caught.value) is type(error) and caught.value.exit_code == error.exit_code
    for name, value in vars(error).items():
        assert name in vars(FkitError("")) or getattr(caught.value, name) == value


@pytest.mark.parametrize("error", OWN_ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_of_a_build_passes_between_processes(error: Exception) -> None:
    with pytest.raises(FkitError) as caught:
        raising(error).build("models", {"type": "fails"}, path="model")
    back = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(back, type(error)) and str(back) == str(caught.value) and vars(back) == vars(caught.value)


def test_an_error_that_makes_its_own_instances_is_still_said() -> None:
    with pytest.raises(FkitError, match=r"'fails' could not be built: ExceptionGroup: several \(1 sub-exception\)"):
        raising(ExceptionGroup("several", [ValueError("a")])).build("models", {"type": "fails"})


def test_delete_that_reaches_a_build_says_what_to_do() -> None:
    with pytest.raises(FkitValueError) as caught:
        models().build("models", fkit.Config({"type": "keep", "_delete_": True, "a": 1}), path="model.neck")
    text = str(caught.value)
    assert text.startswith("model.neck._delete_ reached a build: it says that this dict takes the place of a base's")
    assert "Take it out; or merge first: load the file with fkit.load_config" in text


def test_scopes_that_are_not_declared_are_errors() -> None:
    reg = fkit.registry().register("models", keep)
    for cfg, options in (({"_scope_": "mmdt"}, {}), ({}, {"scope": "mmdt"})):
        with pytest.raises(FkitKeyError, match=r"There is no scope 'mmdt' in this registry.\n  Did you mean 'mmdet'\?"):
            reg.build("models", {"type": "keep", **cfg}, path="model", **options)
    with pytest.raises(FkitKeyError, match=r"^model._scope_ = 'mmdt': There is no scope"):
        reg.build("models", {"type": "keep", "_scope_": "mmdt"}, path="model")
    with pytest.raises(FkitTypeError, match=r"^model._scope_ = 3: `scope` is a word or None"):
        reg.build("models", {"type": "keep", "_scope_": 3}, path="model")
    for scope in ("mmdet", "mmpretrain", "fkit", None):
        assert reg.build("models", {"type": "keep", "_scope_": scope}) == {}
        assert reg.build("models", {"type": "keep"}, scope=scope) == {}
    cfg = fkit.load_config(ROOT / "configs/digits/convnet.py").merge({"default_scope": "mmdt"})
    with pytest.raises(
        FkitKeyError, match=r"^merge\(\): default_scope = 'mmdt': There is no .*\n.*Did you mean 'mmdet'"
    ):
        fkit.plan(cfg)
    assert fkit.plan(cfg.merge({"default_scope": "mmdet"})).backend == "torch"


def test_optimizers_go_by_torchs_paths_too() -> None:
    torch = pytest.importorskip("torch")
    rest, _ = fkit.load_config(ROOT / "configs/digits/convnet.py").pop("optim_wrapper")
    for name in ("torch.optim.AdamW", "torch.optim.adamw.AdamW", torch.optim.AdamW):
        cfg = Config({**rest, "optim_wrapper": {"optimizer": {"type": name, "lr": 0.1}}})
        assert fkit.program(cfg).init(0).iteration == 0
    for backend, name in (("torch", "torch.optim.lr_scheduler.warnings.warn"), ("jax", "optax.jax.jit")):
        pytest.importorskip(backend)
        with pytest.raises(FkitError, match="optimizer"):
            cfg = Config({**rest, "optim_wrapper": {"optimizer": {"type": name, "lr": 0.1}}})
            fkit.program(cfg, backend=backend).init(0)


@pytest.mark.parametrize(
    ("line", "where"),
    (
        ("train_dataloader = dict(dataset=dict(type='Digitss'))", "train_dataloader.dataset.type = 'Digitss'"),
        ("train_dataloader = dict(sampler=dict(type='Samplr'))", "train_dataloader.sampler.type = 'Samplr'"),
        ("val_evaluator = [dict(type='Accuracy'), dict(type='Acuracy')]", "val_evaluator[1].type = 'Acuracy'"),
        ("custom_hooks = [dict(type='Hok', priority=3)]", "custom_hooks[0].type = 'Hok'"),
        ("param_scheduler = [dict(type='StpLR', step_size=1)]", "param_scheduler[0].type = 'StpLR'"),
        ("model = dict(head=dict(type='Had'))", "model.head.type = 'Had'"),
    ),
)
def test_a_plan_says_where_each_part_stands(line: str, where: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"_base_ = {str(ROOT / 'configs/digits/convnet.py')!r}\n\n{line}\n")
    cfg = fkit.load_config(tmp_path / "a.py")
    with pytest.raises(FkitKeyError) as caught:
        plan = fkit.plan(cfg)
        plan.program.init(0)
        fkit.open_data(plan)
    assert str(caught.value).startswith(f"{tmp_path}{os.sep}a.py:3: {where} is not in the registry")
