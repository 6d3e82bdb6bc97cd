"""What the listing says of an entry, read from its source."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fkit import Registry
from fkit.catalog.describe import describe

SOURCE = '''
raise RuntimeError("this module must not be run")

class Plain:
    """A plain one.

    More.
    """

    def __init__(self, a, b: int = 2, *rest, c="x", **more):
        pass

class Heir(Plain):
    pass

class Orphan(Elsewhere):
    pass

@dataclass(frozen=True)
class Record:
    size: int
    names: tuple[str, ...] = ()

class Flax(nn.Module):
    features: int = 3

class Outer:
    class Inner:
        def __init__(self, deep):
            pass

Preset = partial(Plain, b=3)

def make(a, /, b=1, *, build):
    pass
'''


@pytest.fixture
def module(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "described").mkdir()
    (tmp_path / "described" / "__init__.py").write_text("raise RuntimeError('nor this')")
    (tmp_path / "described" / "parts.py").write_text(SOURCE)
    sys.path.insert(0, str(tmp_path))
    yield "described.parts"
    sys.path.remove(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "signature", "line"),
    [
        ("Plain", "(a, b: int=2, *rest, c='x', **more)", 4),
        ("Heir", "(a, b: int=2, *rest, c='x', **more)", 13),
        ("Orphan", "(...)", 16),
        ("Record", "(size: int, names: tuple[str, ...] = ())", 20),
        ("Flax", "(features: int = 3)", 24),
        ("Outer.Inner", "(deep)", 28),
        ("Preset", "(a, b: int=2, *rest, c='x', **more)", 32),
        ("make", "(a, /, b=1, *, build)", 34),
    ],
)
def test_a_lazy_maker_is_read_and_never_run(module: str, name: str, signature: str, line: int) -> None:
    found = describe(Registry().register("models", f"{module}:{name}", name="X").find("models", "X"))
    assert found.signature == signature
    assert found.where.endswith(f"parts.py:{line}")
    assert module not in sys.modules


def test_what_cannot_be_read_keeps_its_target(module: str) -> None:
    for target in (f"{module}:NoSuch", "no_such_package.nets:Net", "math:sqrt"):
        found = describe(Registry().register("models", target, name="X").find("models", "X"))
        assert (found.where, found.signature) == (target, "(...)")


def test_a_maker_at_hand_is_inspected() -> None:
    def net(depth: int = 18) -> None:
        """A net."""

    found = describe(Registry().register("models", net, scope="my").find("models", "my.net"), "my.net")
    assert (found.name, found.signature, found.summary) == ("my.net", "(depth: int = 18) -> None", "A net.")
    assert Path(found.where.rpartition(":")[0]).name == "test_describe.py"
    assert describe(Registry().register("models", max).find("models", "max")).where == "builtins:max"
