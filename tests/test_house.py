"""The house itself: imports run downward, nothing at module level changes, importing fkit opens no framework."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (
    ("tree",),
    ("array", "format"),
    ("config",),
    ("catalog",),
    ("fileio",),
    ("image",),
    ("structures",),
    ("data", "backbone"),
    ("training", "metric", "detection", "segmentation", "pose"),
    ("visualize", "recipe"),
    ("run",),
    ("edge",),
    ("backend/torch", "backend/jax"),
    ("zoo/torch", "zoo/flax", "interop"),
    ("cli",),
    ("compat",),
)
HEAVY = ("torch", "jax", "jaxlib", "flax", "optax")
FILES = sorted(ROOT.glob("fkit/**/*.py"))


def room_of(parts):
    """(floor, room) of a path below fkit; None for the facade and for a package that holds rooms."""
    for number, rooms in enumerate(FLOORS):
        for room in rooms:
            if parts[: room.count("/") + 1] == tuple(room.split("/")):
                return number, room
    return None


def imported(tree):
    """Every module that a file imports, inside functions too; under TYPE_CHECKING as well."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module, node.lineno
            yield from ((f"{node.module}.{name.name}", node.lineno) for name in node.names)


def test_every_file_is_in_a_room():
    homeless = [
        str(file.relative_to(ROOT))
        for file in FILES
        if room_of(file.relative_to(ROOT / "fkit").parts) is None
        and file.relative_to(ROOT / "fkit").parts
        not in (("__init__.py",), ("__main__.py",), ("backend", "__init__.py"), ("zoo", "__init__.py"))
    ]
    assert homeless == []


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])
def test_imports_run_downward(file):
    here = room_of(file.relative_to(ROOT / "fkit").parts)
    if here is None:
        return
    floor, room = here
    for name, line in imported(ast.parse(file.read_text())):
        where = f"{file.relative_to(ROOT)}:{line} imports {name}"
        if floor < 12:
            assert name.split(".")[0] not in HEAVY, where
        if name.split(".")[0] != "fkit":
            continue
        there = room_of(tuple(name.split(".")[1:]))
        if there is None:
            assert name == "fkit" or name.split(".")[1] in ("tree", "backend", "zoo", "__version__") or floor == 14, (
                where
            )
        else:
            assert there[0] < floor or there[1] == room, where


def module_of(file):
    """The dotted name of a file's module."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def reached_by(tree, modules):
    """The modules that a file imports; of ``from package import module`` the module, not the package's own file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            for name in node.names:
                below = f"{node.module}.{name.name}"
                yield below if below in modules else node.module


def graph_of(sources):
    """Module -> the modules among them that it imports, inside functions and for types only too."""
    return {
        module: {name for name in reached_by(ast.parse(source), sources) if name in sources}
        for module, source in sources.items()
    }


def circles(graph):
    """The groups of modules of which each reaches every other (strongly connected components), sorted."""

    def reached(start):
        seen, stack = set(), [start]
        while stack:
            new = graph[stack.pop()] - seen
            seen |= new
            stack += new
        return seen

    reach = {module: reached(module) for module in graph}
    return sorted({tuple(sorted(m for m in reach[module] if module in reach[m])) for module in graph} - {()})


CIRCULAR = ()  # rooms that still have a circle


def test_no_circle():
    found = circles(graph_of({module_of(file): file.read_text() for file in FILES}))
    assert [circle for circle in found if not all(m.split(".")[1] in CIRCULAR for m in circle)] == []
    assert {m.split(".")[1] for circle in found for m in circle} == set(CIRCULAR), "a room without a circle is exempt"


def test_the_search_for_circles_finds_what_it_is_for():
    sources = {
        "a": "import b",
        "b": "def f():\n    from c import x",
        "c": "if TYPE_CHECKING:\n    import a",
        "d": "import a",
    }
    assert circles(graph_of(sources)) == [("a", "b", "c")]


def test_no_import_inside_a_function():
    late = {}
    for file in FILES:
        functions = [n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.FunctionDef | ast.Lambda)]
        lines = {line for f in functions for name, line in imported(f) if name.split(".")[0] == "fkit"}
        if lines:
            late[file.relative_to(ROOT / "fkit").as_posix()] = sorted(lines)
    assert late == {}


def test_no_file_passes_400_lines():
    long = [(str(file.relative_to(ROOT)), n) for file in FILES if (n := len(file.read_text().splitlines())) > 400]
    assert long == []


def test_no_function_passes_60_lines():
    long = []
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                if body and node.end_lineno - body[0].lineno >= 60:
                    long.append(f"{file.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert long == []


ALLOWED = {
    ("fkit/config/read/syntax.py", "_parsed"),  # DESIGN: the memo of parsed files, keyed by content
    ("fkit/edge/beside.py", "_maker"),  # what a worker process was sent, keyed by content
}
MUTABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
MAKERS = {
    "list",
    "dict",
    "set",
    "bytearray",
    "defaultdict",
    "OrderedDict",
    "Counter",
    "deque",
    "ContextVar",
    "local",
    "count",
}
CACHES = {"cache", "lru_cache"}


def called_name(node):
    target = node.func if isinstance(node, ast.Call) else node
    return target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", None)


def changing(statements):
    """(line, what) of each value at module (or class) level that can change."""
    for node in statements:
        if isinstance(node, ast.If | ast.Try | ast.With):
            for field in ("body", "orelse", "finalbody"):
                yield from changing(getattr(node, field, ()))
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is not None:
            names = [
                called_name(target) for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            ]
            if isinstance(node, ast.Assign) and any(
                name in ("__all__", "__slots__", "__match_args__") for name in names
            ):
                continue
            if isinstance(node.value, MUTABLE) or (
                called_name(node.value) in MAKERS and isinstance(node.value, ast.Call)
            ):
                yield node.lineno, names[0]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                if called_name(decorator) in CACHES:
                    yield node.lineno, node.name
        elif isinstance(node, ast.ClassDef):
            yield from changing(node.body)


def globals_written(tree):
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Global)]


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])
def test_nothing_at_module_level_changes(file):
    tree = ast.parse(file.read_text())
    name = str(file.relative_to(ROOT))
    assert [row for row in changing(tree.body) if (name, row[1]) not in ALLOWED] == []
    assert globals_written(tree) == []


def test_the_check_finds_what_it_is_for():
    source = "A = []\nB = dict()\n@functools.cache\ndef f(): ...\nclass C:\n    rows = {}\nD = ()\n__all__ = ['A']"
    assert [what for _, what in changing(ast.parse(source).body)] == ["A", "B", "f", "rows"]


@pytest.mark.parametrize(
    "statement", ["import fkit", "import fkit; fkit.load_config; fkit.registry(); fkit.Batch; fkit.interop"]
)
def test_importing_fkit_opens_no_framework(statement):
    code = f"{statement}\nimport sys\nprint(*[m for m in ('torch', 'jax', 'cv2', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


def test_top_level_is_what_was_agreed():
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=False).stdout.split()
    tops = {name.split("/")[0] for name in listed} or {entry.name for entry in ROOT.iterdir()}
    allowed = {
        "fkit", "configs", "experiments", "tests", "pyproject.toml", "noxfile.py", "README.md", "LICENSE", "CHANGELOG.md",
        "constraints.txt",
    }  # fmt: skip
    assert {name for name in tops if not name.startswith(".")} <= allowed | {"build", "work_dirs"}


def test_the_oldest_versions_are_those_that_pyproject_admits():
    """tests/oldest.txt, which `nox -s oldest` installs, against the lower bounds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    bounds = [re.fullmatch(r"([\w-]+)(?:\[.*\])?(?:>=([\d.]+))?", line) for line in
              (*project["dependencies"], *extras["jax"], *extras["test"])]  # fmt: skip
    lowest = {match[1]: match[2] for match in bounds if match is not None and match[2]}
    lines = [line for line in (ROOT / "tests/oldest.txt").read_text().splitlines() if "==" in line]
    pinned = dict(line.split("==") for line in lines)
    assert len(lowest) == 18 and set(lowest) <= set(pinned)
    for name, bound in lowest.items():
        assert f"{pinned[name]}.".startswith(f"{bound}."), f"{name}>={bound}, but {pinned[name]} is tested"


def test_the_facade_gives_plain_functions():
    """A name that is a module's of its room too is the function all the same, whatever was imported."""
    import importlib
    import types

    import fkit

    for folder in (path.parent for path in ROOT.glob("fkit/**/__init__.py")):
        room = importlib.import_module(".".join(folder.relative_to(ROOT).parts))
        modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
        for name in modules & set(getattr(room, "__all__", ())) - {"interop"}:  # a room under its own name
            importlib.import_module(f"{room.__name__}.{name}")
            assert not isinstance(getattr(room, name), types.ModuleType), f"{room.__name__}.{name}"
    assert isinstance(fkit.train, types.FunctionType) and isinstance(fkit.registry, types.FunctionType)
    assert [str(file) for file in FILES if "__class__ =" in file.read_text()] == []
