"""The registry as a value: registering, looking up, scopes, backends, union."""

import contextlib
import copy
import pickle
import subprocess
import sys
import threading
import time
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fkit
from fkit import FkitError, Registry
from fkit.catalog.describe import describe
from fkit.catalog.entry import Lazy
from fkit.catalog.openmmlab import build_detector, build_from_cfg
from fkit.catalog.plugin import include_custom, installed
from fkit.catalog.table import Rows
from fkit.tree.error import FkitAttributeError, FkitImportError, FkitKeyError, FkitTypeError, FkitValueError


class Net:
    pass


def make_net() -> Net:
    return Net()


# ---------------------------------------------------------------------------------------------------- laws

words = st.sampled_from(("A", "B", "C", "Net"))
rows = st.tuples(
    st.sampled_from(("models", "hooks", "my_kind")),
    words,
    st.sampled_from((None, "my", "det")),
    st.sampled_from((None, "torch", "jax")),
    st.sampled_from((dict, list, "collections:OrderedDict")),
)


def filled(given_rows: list[tuple[str, str, str | None, str | None, object]]) -> Registry:
    reg = Registry()
    for kind, name, scope, backend, maker in given_rows:
        reg = reg.register(kind, maker, name=name, scope=scope, backend=backend, replace=True)
    return reg


@given(st.lists(rows, max_size=6), rows)
def test_registering_never_changes_an_existing_registry(before: list, row: tuple) -> None:
    reg = filled(before)
    seen = (copy.deepcopy(reg.children), reg.kinds, len(reg), {kind: reg.entries(kind) for kind in reg.kinds})
    kind, name, scope, backend, maker = row
    more = reg.register(kind, maker, name=name, scope=scope, backend=backend, replace=True)
    assert seen == (reg.children, reg.kinds, len(reg), {kind: reg.entries(kind) for kind in reg.kinds})
    assert reg == filled(before)
    assert more.find(kind, name if scope is None else f"{scope}.{name}", backend=backend).backend == backend


def union(a: Registry | None, b: Registry | None) -> Registry | None:
    """Their union; None where they are in conflict, or one of them is."""
    try:
        return None if a is None or b is None else a | b
    except FkitError:
        return None


@given(st.lists(rows, max_size=4), st.lists(rows, max_size=4), st.lists(rows, max_size=4))
def test_union_is_associative_and_commutative(a: list, b: list, c: list) -> None:
    x, y, z = filled(a), filled(b), filled(c)
    assert union(union(x, y), z) == union(x, union(y, z))
    assert union(x, y) == union(y, x)
    assert union(x, x) == x
    assert union(x, Registry()) == union(Registry(), x)


@given(st.lists(rows, max_size=5))
def test_a_registry_survives_a_pickle(given_rows: list) -> None:
    reg = filled(given_rows)
    assert pickle.loads(pickle.dumps(reg)) == reg


# ------------------------------------------------------------------------------------------------ registering


def test_register_takes_classes_functions_and_several_names() -> None:
    reg = Registry().register("models", Net).register("models", make_net, name=("make", "build_net"))
    assert reg.names("models") == ("Net", "build_net", "make")
    assert reg.get("models", "Net") is Net
    assert reg.get("models", "make") is reg.get("models", "build_net") is make_net
    assert len(reg) == 3


def test_a_taken_name_is_refused_unless_replaced() -> None:
    reg = Registry().register("models", Net)
    with pytest.raises(KeyError, match=r"'Net' is already registered in 'models'.*test_registry:Net") as caught:
        reg.register("models", dict, name="Net")
    assert "replace=True" in str(caught.value)
    assert reg.register("models", dict, name="Net", replace=True).get("models", "Net") is dict
    assert reg.get("models", "Net") is Net


def test_a_refused_registration_registers_none_of_its_names() -> None:
    reg = Registry().register("models", Net)
    with pytest.raises(FkitKeyError):
        reg.register("models", dict, name=("New", "Net"))
    assert ("models", "New") not in reg


@pytest.mark.parametrize(
    ("maker", "options", "error", "text"),
    [
        (3, {"name": "V"}, FkitTypeError, "A maker of 'models' is a class, a function or 'module:attribute', not 3"),
        (Net, {"name": 5}, FkitTypeError, "A name in 'models' is a string, or several; got 5"),
        (Net, {"name": ["a", 5]}, FkitTypeError, "is a string, or several"),
        (Net, {"replace": "yes"}, FkitTypeError, "`replace` is a bool, not the str 'yes'"),
        ("no_colon", {}, FkitValueError, "A lazy entry is 'module:attribute', not 'no_colon'"),
        (Net, {"scope": "a.b"}, FkitValueError, "A scope is one word without dots, not 'a.b'"),
    ],
)
def test_wrong_registrations_say_what_is_wrong(maker: object, options: dict, error: type, text: str) -> None:
    with pytest.raises(error, match=text.replace("(", r"\(")):
        Registry().register("models", maker, **options)  # type: ignore[arg-type]


def test_a_maker_without_a_name_needs_one() -> None:
    import functools

    part = functools.partial(dict, a=1)
    with pytest.raises(FkitTypeError, match="has no name of its own"):
        Registry().register("models", part)
    assert Registry().register("models", part, name="P").build("models", {"type": "P"}) == {"a": 1}


def test_two_versions_live_side_by_side() -> None:
    one = Registry().register("models", dict, name="Net")
    two = one.register("models", OrderedDict, name="Net", replace=True)
    assert type(one.build("models", {"type": "Net"})) is dict
    assert type(two.build("models", {"type": "Net"})) is OrderedDict


def test_threads_register_and_build_without_seeing_each_other() -> None:
    start = Registry().register("models", dict, name="Shared")
    ends: list[tuple[int, tuple[str, ...]]] = []

    def work(number: int) -> None:
        reg = start
        for index in range(50):
            reg = reg.register("models", dict, name=f"N{number}_{index}")
            assert reg.build("models", {"type": "Shared", "n": number}) == {"n": number}
        ends.append((number, reg.names("models")))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert start.names("models") == ("Shared",)
    assert sorted(number for number, _ in ends) == [0, 1, 2, 3]
    for number, names in ends:
        assert set(names) == {"Shared", *(f"N{number}_{index}" for index in range(50))}


def test_kinds_not_touched_are_shared() -> None:
    reg = fkit.registry()
    more = reg.register("hooks", Net)
    assert all(more.tables[kind] is reg.tables[kind] for kind in reg.kinds if kind != "hooks")


# ------------------------------------------------------------------------------------------------ looking up


def test_lookup_imports_nothing_and_building_does() -> None:
    code = (
        "import sys, fkit\n"
        "reg = fkit.Registry().register('models', 'colorsys:rgb_to_hsv')\n"
        "assert ('models', 'rgb_to_hsv') in reg and reg.get('models', 'rgb_to_hsv') and reg.names('models')\n"
        "assert 'colorsys' not in sys.modules\n"
        "print(reg.build('models', dict(type='rgb_to_hsv', r=0.0, g=0.0, b=1.0)))\n"
        "assert 'colorsys' in sys.modules and 'torch' not in sys.modules and 'jax' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(0.6666666666666666, 1.0, 1.0)"


def test_a_lazy_entry_that_cannot_be_imported_says_so() -> None:
    reg = Registry().register("models", "no_such_package.nets:Net").register("models", "math:no_such", name="Math")
    assert reg.get("models", "Net") == Lazy("no_such_package.nets:Net")
    with pytest.raises(FkitImportError, match=r"model.type = 'Net': no_such_package.nets:Net cannot be imported") as e:
        reg.build("models", {"type": "Net"}, path="model")
    assert "there is no module 'no_such_package'" in str(e.value)
    with pytest.raises(FkitAttributeError, match="type = 'Math': math has no 'no_such'"):
        reg.build("models", {"type": "Math"})


def test_unknown_names_list_the_nearest_and_the_registered() -> None:
    reg = Registry()
    for name in ("FPN", "FasterRCNN", "ResNet", "RPNHead", "Swin", "UPerHead", "VGG", "YOLO"):
        reg = reg.register("models", dict, name=name)
    with pytest.raises(KeyError) as caught:
        reg.get("models", "ResNeet")
    assert str(caught.value) == (
        "'ResNeet' is not in the registry 'models'.\n"
        "  Did you mean 'ResNet'? Registered: FPN, FasterRCNN, RPNHead, ResNet, Swin, UPerHead, "
        "... (2 more: `fkit registry models`)"
    )


def test_unknown_kinds_name_the_nearest() -> None:
    with pytest.raises(FkitKeyError, match=r"There is no kind 'modles' in this registry.\n  Did you mean 'models'\?"):
        fkit.registry().names("modles")
    assert ("modles", "Net") not in fkit.registry()


def test_old_kinds_are_aliases_of_models() -> None:
    reg = Registry().register("backbones", Net)
    for kind in ("models", "necks", "roi_extractors", "shared_heads", "heads", "losses", "detectors", "segmentors"):
        assert reg.get(kind, "Net") is Net
        assert (kind, "Net") in reg
    assert reg.kinds == Registry().kinds
    assert Registry().register("pipelines", Net).names("transforms") == ("Net",)


def test_the_backends_own_maker_goes_before_one_for_any() -> None:
    reg = Registry().register("models", dict, name="Net").register("models", list, name="Net", backend="torch")
    assert reg.get("models", "Net", backend="torch") is list
    assert reg.get("models", "Net", backend="jax") is dict
    assert reg.get("models", "Net") is dict


def test_without_a_backend_the_only_maker_is_taken_and_two_are_an_error() -> None:
    one = Registry().register("models", dict, name="Net", backend="torch")
    two = one.register("models", list, name="Net", backend="jax")
    assert one.get("models", "Net") is dict
    assert ("models", "Net") in two
    assert two.names("models") == ("Net",)
    assert len(two) == 1
    with pytest.raises(FkitKeyError, match=r"for several backends, and none was said.\n  Backends: jax, torch"):
        two.get("models", "Net")
    with pytest.raises(FkitKeyError, match=r"but not for the backend 'numpy'.\n  Backends: jax, torch"):
        two.get("models", "Net", backend="numpy")


def test_scopes_fall_back_to_their_parents() -> None:
    reg = fkit.registry().child("my", parent="mmdet").register("models", Net, scope="my")
    reg = reg.register("models", dict, name="Root").register("models", list, name="Det", scope="mmdet")
    assert {"Root", "mmdet.Det", "mmdet.my.Net"} <= set(reg.names("models"))
    assert reg.get("models", "mmdet.my.Net") is reg.get("models", "my.Net", scope="mmdet") is Net
    assert reg.get("models", "Net", scope="my") is Net
    assert reg.get("models", "Det", scope="my") is list
    assert reg.get("models", "Root", scope="my") is dict
    assert reg.children["my"] == "mmdet"
    with pytest.raises(
        FkitKeyError, match=r"'my.Net' is not in the registry 'models'.\n  Did you mean 'mmdet.my.Net'\?"
    ):
        reg.get("models", "my.Net")


@pytest.mark.parametrize("scope", ("mmcv", "mmengine", "mmdet", "mmseg", "mmpose", "mmpretrain", "mmcls", "fkit"))
def test_openmmlabs_names_mean_the_kits_parts(scope: str) -> None:
    reg = fkit.registry().register("models", Net)
    assert reg.get("models", f"{scope}.Net") is Net
    assert reg.get("models", f"{scope}.Net", scope=scope) is Net
    assert reg.get("models", f"{scope}.Net", scope="mmdet") is Net


def test_a_packages_own_part_goes_before_the_roots() -> None:
    reg = fkit.registry().register("models", dict, name="Net").register("models", list, name="Net", scope="mmpretrain")
    assert reg.get("models", "mmpretrain.Net") is list
    assert reg.get("models", "Net", scope="mmpretrain") is list
    assert reg.get("models", "mmdet.Net") is dict


def test_scopes_are_declared_once_under_a_declared_parent() -> None:
    reg = Registry().register("models", Net, scope="my")
    assert reg.children["my"] == "fkit"
    declared = Registry().child("det").register("models", Net, scope="my").child("my", parent="det")
    assert declared.children["my"] == "det"
    with pytest.raises(FkitValueError, match="The scope 'my' is declared already"):
        declared.child("my")
    with pytest.raises(
        FkitValueError, match=r"The parent 'dett' of the scope 'x' is not declared.\n  Did you mean 'det'"
    ):
        declared.child("x", parent="dett")


def test_names_of_one_scope_are_bare() -> None:
    reg = Registry().register("models", Net, scope="my").register("models", dict, name="Root")
    assert reg.names("models") == ("Root", "my.Net")
    assert reg.names("models", scope="my") == ("Net",)
    assert reg.names("models", scope="fkit") == ("Root",)


# ------------------------------------------------------------------------------------------------------ union


def test_union_holds_both_and_refuses_a_conflict() -> None:
    a = Registry().register("models", dict, name="A").child("my")
    b = Registry().register("models", list, name="B").register("models", dict, name="A")
    assert (a | b).names("models") == ("A", "B")
    assert "my" in (a | b).children
    with pytest.raises(FkitKeyError, match=r"Both registries have 'A' in 'models' \(scope 'fkit'\): builtins:dict and"):
        a | Registry().register("models", list, name="A")
    with pytest.raises(FkitValueError, match="different roots"):
        a | Registry("other")
    with pytest.raises(FkitValueError, match=r"Both registries declare the scope 'my': under 'fkit' and under 'det'"):
        a | Registry().child("det").child("my", parent="det")
    with pytest.raises(FkitValueError, match="a build function of their own for 'k'"):
        Registry().declare("k", build=make_net) | Registry().declare("k", build=dict)
    with pytest.raises(TypeError):
        a | {}  # type: ignore[operator]


def test_twins_from_two_registries_share_a_name() -> None:
    torch = Registry().register("models", dict, name="Net", backend="torch")
    jax = Registry().register("models", list, name="Net", backend="jax")
    assert (torch | jax).get("models", "Net", backend="jax") is list
    assert torch | jax == jax | torch


def test_a_registry_is_frozen_and_shows_its_counts() -> None:
    reg = Registry().register("models", Net)
    with pytest.raises(AttributeError):
        reg.scope = "x"  # type: ignore[misc]
    assert repr(reg) == "Registry(fkit; models: 1)"
    assert repr(Registry()) == "Registry(fkit; empty)"
    assert bool(Registry()) and ("models",) not in reg and 3 not in reg
    assert hash(reg) == hash(Registry().register("models", Net))


# ---------------------------------------------------------------------------------------- wrong arguments, cost


@pytest.mark.parametrize("name", ("", "a.b", ".", "a.", ".b", (), ["Net", ""], ("Net", "a.b")))
def test_empty_and_dotted_names_are_refused(name: object) -> None:
    with pytest.raises(FkitError, match=r"(is empty|is no name for 'models'|got \(\))"):
        Registry().register("models", Net, name=name)  # type: ignore[arg-type]
    with pytest.raises(FkitError):
        fkit.component("models", name=name)  # type: ignore[arg-type]


def test_a_kind_is_not_empty() -> None:
    with pytest.raises(FkitValueError, match="`kind` is a word such as 'models', and is empty"):
        Registry().register("", Net)


def test_a_dotted_name_shows_the_scope_to_give() -> None:
    with pytest.raises(FkitValueError, match=r"'det.Net' is no name .*\n  Register 'Net' with scope='det'"):
        Registry().register("models", Net, name="det.Net")


ODD = (None, 3, "x", [], {"a": 1}, 1.5, object())


def walked(reg: Registry) -> dict[str, tuple[object, tuple[object, ...], dict[str, object]]]:
    """Each public function with arguments that it takes."""
    entry = reg.find("models", "Net")
    return {
        "register": (
            reg.register,
            ("models", Net, "Other"),
            {"scope": "my", "backend": "torch", "deprecated": "'Net'"},
        ),
        "declare": (reg.declare, ("mine",), {"build": make_net}),
        "child": (reg.child, ("mine", "fkit"), {"open": True}),
        "allow": (reg.allow, ("mypkg",), {"trust": True}),
        "include": (reg.include, ("yaml",), {}),
        "add": (reg.add, ([entry],), {"replace": True}),
        "find": (reg.find, ("models", "Net", "my", "torch"), {}),
        "look": (reg.look, ("models", "Net", "my", "torch"), {}),
        "get": (reg.get, ("models", "Net", "my", "torch"), {}),
        "entries": (reg.entries, ("models", "my", "torch"), {}),
        "names": (reg.names, ("models", "my", "torch"), {}),
        "table": (reg.table, ("models",), {}),
        "full_name": (reg.full_name, (entry,), {}),
        "build": (
            reg.build,
            ("models", {"type": "Net"}),
            {"backend": "torch", "defaults": {}, "scope": "my", "path": "a"},
        ),
        "fkit.build": (
            fkit.build,
            ({"type": "Net"}, reg, "models"),
            {"backend": None, "defaults": {}, "allow": "mypkg"},
        ),
        "component": (fkit.component, ("models", "Net", "torch", "my"), {}),
        "include_custom": (include_custom, (reg, {"imports": "yaml"}, "yaml"), {}),
        "installed": (installed, (reg, "fkit.plugins"), {}),
        "describe": (describe, (entry, "Net"), {}),
        "build_detector": (build_detector, ({"type": "dict"}, reg), {"train_cfg": {}, "test_cfg": {}}),
        "build_from_cfg": (build_from_cfg, ({"type": "Net"}, reg, "models", {}), {}),
    }


@pytest.mark.parametrize("name", walked(Registry().register("models", Net)))
def test_wrong_arguments_are_one_clear_error(name: str) -> None:
    """Each argument in turn, with the others right: an answer or an FkitError, never a raw error."""
    reg = Registry().child("my").register("models", Net).register("models", dict, backend="torch")
    function, args, kwargs = walked(reg)[name]
    function(*args, **kwargs)  # type: ignore[operator]
    for odd in ODD:
        trials = [((*args[:at], odd, *args[at + 1 :]), kwargs) for at in range(len(args))]
        trials += [(args, {**kwargs, key: odd}) for key in kwargs]
        for given_args, given_kwargs in trials:
            with contextlib.suppress(FkitError):
                function(*given_args, **given_kwargs)  # type: ignore[operator]


def spent(count: int) -> float:
    """The seconds that it takes to register so many names, one after another."""
    reg = Registry()
    start = time.perf_counter()
    for index in range(count):
        reg = reg.register("models", dict, name=f"N{index}")
    end = time.perf_counter()
    assert len(reg) == count and reg.get("models", f"N{count // 2}") is dict
    return end - start


def test_registering_many_names_is_not_quadratic() -> None:
    assert min(spent(4000) for _ in range(3)) < 1
    few, many = (min(spent(count) for _ in range(3)) for count in (1000, 8000))
    assert many / few < 30  # 8 were it linear, 64 were each a copy of all


@given(st.lists(st.tuples(st.integers(0, 40), st.integers()), max_size=120))
def test_rows_are_those_of_a_dict(steps: list) -> None:
    rows, plain = Rows(), {}
    for name, entry in steps:
        key = ("fkit", str(name))
        before = dict(rows)
        more = rows.having({key: (entry,)})
        assert dict(rows) == before
        rows, plain = more, {**plain, key: (entry,)}
        assert rows == plain and len(rows) == len(plain) and rows[key] == rows.get(key) == (entry,) and key in rows
    assert rows == Rows().having(plain) and hash(rows) == hash(Rows().having(plain))
    assert ("fkit", "none") not in rows and rows.get(("fkit", "none")) is None
