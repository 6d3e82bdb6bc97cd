"""Marks, register(registry), entry points, custom imports."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

import fkit
from fkit import Registry, component
from fkit.catalog.plugin import include_custom, installed
from fkit.tree.error import FkitError, FkitImportError, FkitTypeError

NETS = """
from fkit import component
from json import JSONEncoder

@component("models", name="Mine", scope="my", backend="torch")
@component("models", name=("Net", "OldNet"))
class Net:
    pass

class Heir(Net):
    pass

@component("hooks")
def make_hook(**kwargs):
    return kwargs

again = Net
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of modules on the path; what is imported from it is forgotten afterwards."""
    before = set(sys.modules)
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def write(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(text))


def test_a_mark_has_no_effect_of_its_own() -> None:
    class Net:
        pass

    assert component("models", name="Mine")(Net) is Net
    assert ("models", "Mine") not in Registry()


def test_include_collects_the_marks(folder: Path) -> None:
    write(folder, "plug_nets.py", NETS)
    reg = Registry().include("plug_nets")
    import plug_nets  # type: ignore[import-not-found]

    assert reg.names("models") == ("Net", "OldNet", "my.Mine")
    assert reg.find("models", "my.Mine").backend == "torch"
    assert reg.get("models", "Net") is plug_nets.Net
    assert reg.build("hooks", {"type": "make_hook", "a": 1}) == {"a": 1}
    assert len(reg) == 4  # neither the heir nor the second name of the class
    assert reg.include(plug_nets) is reg
    assert Registry().include(plug_nets) == reg


def test_a_package_offers_the_marks_it_gathers_and_not_those_it_borrows(folder: Path) -> None:
    write(folder, "plug_borrowed.py", NETS)
    write(folder, "plug_kit/nets.py", NETS)
    write(folder, "plug_kit/__init__.py", "from plug_kit.nets import Net\nfrom plug_borrowed import make_hook\n")
    reg = Registry().include("plug_kit")
    assert reg.names("models") == ("Net", "OldNet", "my.Mine")
    assert reg.names("hooks") == ()


PARTS = """
import fkit

class Rows(fkit.Dataset): ...
class Shift(fkit.Transform): ...
class Error(fkit.Metric): ...
class Stop(fkit.Hook): ...
class _Hidden(fkit.Hook): ...

@fkit.component("hooks", name="Other")
class Marked(fkit.Hook): ...
"""


def test_what_is_derived_from_the_kits_classes_needs_no_mark(folder: Path) -> None:
    write(folder, "plug_parts.py", PARTS)
    write(
        folder,
        "plug_explicit.py",
        PARTS + "\ndef register(registry):\n    return registry.register('hooks', Stop, name='End')\n",
    )
    reg = Registry().include("plug_parts")
    names = {kind: reg.names(kind) for kind in ("datasets", "transforms", "metrics", "hooks")}
    assert names == {"datasets": ("Rows",), "transforms": ("Shift",), "metrics": ("Error",), "hooks": ("Other", "Stop")}
    explicit = Registry().include("plug_explicit")
    assert explicit.names("hooks") == ("End", "Other") and explicit.names("datasets") == ("Rows",)


def test_a_part_whose_name_is_taken_says_what_to_do(folder: Path) -> None:
    write(folder, "plug_taken.py", "import fkit\nclass Resize(fkit.Transform): ...\n")
    with pytest.raises(FkitError, match=r"'Resize' is already registered(.|\n)*mark it: @fkit.component") as caught:
        include_custom(fkit.registry(), {"imports": "plug_taken"}, allow="plug_taken")
    assert "default_scope" not in str(caught.value)


def test_a_field_of_a_class_that_is_no_dataclass_says_so(folder: Path) -> None:
    write(folder, "plug_bare.py", "import fkit\nclass Stop(fkit.Hook):\n    patience: int = 3\n")
    with pytest.raises(
        FkitTypeError, match=r"takes no argument 'patience'.\n  Put @dataclass\(frozen=True\) above the class Stop"
    ):
        Registry().include("plug_bare").build("hooks", {"type": "Stop", "patience": 3})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(:\n    pass", ("SyntaxError: invalid syntax", 1)),
        (
            "import math\n\nmath.no",
            ("AttributeError: module 'math' has no attribute 'no'", 3),
        ),
        ("import no_such", ("it needs the package 'no_such', which is not installed", 1)),
        ("from math import no", ("cannot import name 'no' from 'math'", 1)),
        (
            "import fkit\nfrom dataclasses import dataclass\n\n@dataclass\nclass A(fkit.Metric):\n    a: int = 3",
            ("TypeError: cannot inherit non-frozen dataclass from a frozen one", 4),
        ),
    ],
)
def test_a_fault_of_a_users_module_says_its_line(folder: Path, text: str, said: tuple[str, int]) -> None:
    name = f"plug_bad{abs(hash(text))}"
    write(folder, f"{name}.py", text)
    for imports in ([name], []):
        with pytest.raises(FkitImportError) as caught:
            reg = include_custom(Registry(), {"imports": imports}, allow=name)
            reg.build("models", {"type": f"{name}.Net"})
        words = re.escape(said[0]) + rf".*\(\S*{name}.py:{said[1]}\)"
        assert re.search(rf"{name}\S* cannot be imported: {words}", str(caught.value)), caught.value
        assert "PYTHONPATH" not in str(caught.value)


def test_include_calls_register(folder: Path) -> None:
    write(
        folder,
        "plug_register.py",
        """
        def register(registry):
            return registry.child("kit").register("models", dict, name="Net", scope="kit")
        """,
    )
    start = Registry()
    reg = start.include("plug_register")
    assert reg.names("models") == ("kit.Net",)
    assert start == Registry()
    assert reg.included == {"plug_register"}


def test_a_register_that_forgets_to_return_is_an_error(folder: Path) -> None:
    write(folder, "plug_forgets.py", "def register(registry):\n    registry.register('models', dict)\n")
    with pytest.raises(FkitTypeError, match=r"plug_forgets.register\(registry\) returned NoneType") as caught:
        Registry().include("plug_forgets")
    assert "return registry.register(...)" in str(caught.value)


def test_a_conflict_between_modules_is_an_error(folder: Path) -> None:
    write(folder, "plug_one.py", NETS)
    write(folder, "plug_two.py", NETS)
    with pytest.raises(FkitError, match=r"'Net' is already registered in 'models'.*plug_one:Net"):
        Registry().include("plug_one").include("plug_two")


def test_custom_imports_include_modules(folder: Path) -> None:
    write(folder, "plug_custom.py", NETS)
    for imports in ("plug_custom", ["plug_custom"], ("plug_custom", "plug_custom")):
        reg = include_custom(Registry(), {"imports": imports, "allow_failed_imports": False}, allow="plug_custom")
        assert ("models", "Net") in reg
    assert include_custom(reg, None) is reg


def test_custom_imports_that_fail(folder: Path) -> None:
    with pytest.raises(FkitImportError, match="no_such_module cannot be imported: there is no module"):
        include_custom(Registry(), {"imports": ["no_such_module"]}, allow="no_such_module")
    with pytest.warns(UserWarning, match="custom_imports: no_such_module cannot be imported"):
        reg = include_custom(
            Registry().allow("no_such_module"),
            {"imports": ["no_such_module", "yaml"], "allow_failed_imports": True},
            allow=["yaml"],
        )
    assert reg.included == {"yaml"}
    with pytest.raises(FkitTypeError, match=r"custom_imports takes no key 'import'.\n  Did you mean 'imports'\?"):
        include_custom(Registry(), {"import": ["json"]})
    with pytest.raises(FkitTypeError, match=r"custom_imports.imports holds 5"):
        include_custom(Registry(), {"imports": [5]})
    with pytest.raises(FkitTypeError, match=r"custom_imports is a mapping with 'imports', not the list"):
        include_custom(Registry(), ["json"])  # type: ignore[arg-type]


def distribution(folder: Path, name: str, points: str) -> None:
    """An installed distribution, as pip leaves it: its metadata beside its modules."""
    write(folder, f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    write(folder, f"{name}-1.0.dist-info/entry_points.txt", points)


def test_entry_points_offer_modules_and_functions(folder: Path) -> None:
    write(folder, "plug_module.py", NETS)
    write(folder, "plug_function.py", "def offer(registry):\n    return registry.register('models', dict, name='F')\n")
    distribution(folder, "plug", "[fkit.plugins]\nmodule = plug_module\nfunction = plug_function:offer\n")
    reg = installed(Registry())
    assert {"Net", "F"} <= set(reg.names("models"))
    assert installed(reg) == reg


def test_a_broken_entry_point_names_itself(folder: Path) -> None:
    distribution(folder, "broken", "[fkit.plugins]\nbad = no_such_module:offer\n")
    with pytest.raises(FkitImportError, match=r"The plugin 'bad' \(no_such_module:offer\) cannot be loaded"):
        installed(Registry())
