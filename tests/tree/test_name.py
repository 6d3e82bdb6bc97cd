"""Names are opened in one way, and what cannot be opened says why."""

import math
import sys
from pathlib import Path
from typing import Any

import pytest

from fkit.tree.error import FkitAttributeError, FkitError, FkitImportError, FkitTypeError, FkitValueError
from fkit.tree.name import open_module, open_name


@pytest.mark.parametrize("name", ["math:sqrt", "math.sqrt"])
def test_both_forms_open_one_object(name: str) -> None:
    assert open_name(name) is math.sqrt


def test_attributes_have_dots_and_a_module_is_itself() -> None:
    assert open_name("collections:OrderedDict.fromkeys") == open_name("collections.OrderedDict.fromkeys")
    assert open_name("os.path") is sys.modules["os.path"] is open_module("os.path")


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("math:sqr", FkitAttributeError, r"math has no 'sqr'\.\n  Did you mean 'sqrt'"),
        ("math.sqr", FkitAttributeError, r"math has no 'sqr'"),
        ("math:pi.real.x", FkitAttributeError, r"math\.pi\.real has no 'x'"),
        ("no_such:thing", FkitImportError, r"no_such:thing cannot be imported: there is no module 'no_such'"),
        ("no_such.thing", FkitImportError, r"there is no module 'no_such'"),
        ("json.no_such:thing", FkitImportError, r"there is no module 'json\.no_such'"),
        ("a b", FkitValueError, "is no name"),
        ("", FkitValueError, "is no name"),
        (".a", FkitValueError, "is no name"),
        ("math:", FkitValueError, "is no name"),
        (None, FkitTypeError, "A name is a string"),
        (3, FkitTypeError, "A name is a string"),
    ],
)
def test_what_cannot_be_opened_says_why(name: Any, kind: type[FkitError], text: str) -> None:
    with pytest.raises(kind, match=text):
        open_name(name)


@pytest.mark.parametrize("form", ["{}:Net", "{}.Net"])
def test_a_module_that_lacks_a_package_names_the_package(tmp_path: Path, form: str) -> None:
    (tmp_path / "needs_what_is_missing.py").write_text("import no_such_package\nNet = 1\n")
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(FkitImportError, match="it needs the package 'no_such_package', which is not installed"):
            open_name(form.format("needs_what_is_missing"))
    finally:
        sys.path.remove(str(tmp_path))
