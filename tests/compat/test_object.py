"""Objects by name, packages by name, structures part by part."""

import collections
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from fkit.compat import (
    apply_to,
    get_installed_path,
    get_object_from_string,
    import_modules_from_strings,
    is_installed,
    obj_from_dict,
    package2module,
)
from fkit.compat.require import check_prerequisites
from fkit.tree.error import FkitAttributeError, FkitImportError, FkitKeyError, FkitRuntimeError, FkitTypeError


class Pair(NamedTuple):
    left: object
    right: object


def test_apply_to_reaches_every_part():
    data = {"a": [1, (2, "x")], "b": Pair(3, {"c": 4.0}), "d": {5}}
    done = apply_to(data, lambda part: isinstance(part, int), lambda part: part * 10)
    assert done == {"a": [10, (20, "x")], "b": Pair(30, {"c": 4.0}), "d": {5}} and type(done["b"]) is Pair
    assert data["a"] == [1, (2, "x")], "what was given stays"
    assert apply_to(data, lambda part: isinstance(part, list), len)["a"] == 2, "a container is a part too"
    with pytest.raises(FkitTypeError, match="`expr` is a function"):
        apply_to(1, None, abs)


CHILD = """
import math
import os
import subprocess
import sys
from fkit.compat import get_object_from_string, import_modules_from_strings

assert get_object_from_string("twofold.nms")() == "function"
assert get_object_from_string("twofold.other.Box.side") == 3
assert get_object_from_string("twofold.other") is sys.modules["twofold.other"]
assert get_object_from_string("twofold.other.Nope") is None and get_object_from_string("twofold.nope.Box") is None
assert import_modules_from_strings("twofold.other") is sys.modules["twofold.other"]
assert import_modules_from_strings(["twofold.nms", "math"]) == [sys.modules["twofold.nms"], sys.modules["math"]]
"""


def test_a_package_whose_function_and_module_share_a_name(tmp_path):
    """As mmcv.ops.nms do: a process of its own finds the package."""
    folder = tmp_path / "twofold"
    folder.mkdir()
    (folder / "__init__.py").write_text("from twofold.nms import nms\n")
    (folder / "nms.py").write_text("def nms(): return 'function'\n")
    (folder / "other.py").write_text("class Box:\n    side = 3\n")
    places = os.pathsep.join((str(tmp_path), str(Path(__file__).parents[2])))
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        env={**os.environ, "PYTHONPATH": places},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_objects_by_name():
    assert get_object_from_string("math.pi") == math.pi
    for name in ("math.nope", "no_such_package", "a b", ""):
        assert get_object_from_string(name) is None
    with pytest.raises(FkitTypeError, match="`obj_name` is a dotted name, not the int 3"):
        get_object_from_string(3)


def test_modules_by_name():
    assert import_modules_from_strings(None) is None and import_modules_from_strings([]) is None
    assert import_modules_from_strings("math") is math
    with pytest.raises(ImportError, match="there is no module 'no_such_package'"):
        import_modules_from_strings(["math", "no_such_package"])
    with pytest.warns(UserWarning, match="no_such_package"):
        assert import_modules_from_strings(["no_such_package"], allow_failed_imports=True) == [None]
    for wrong in (3, [3], {"a": 1}):
        with pytest.raises(FkitTypeError, match="`imports` is a module's name"):
            import_modules_from_strings(wrong)


def test_objects_of_dicts():
    assert obj_from_dict({"type": "OrderedDict", "a": 1}, collections) == {"a": 1}
    assert obj_from_dict({"type": dict, "a": 1}, default_args={"a": 2, "b": 3}) == {"a": 1, "b": 3}
    assert obj_from_dict({"type": "collections.OrderedDict"}) == {}
    info = {"type": dict, "a": 1}
    obj_from_dict(info)
    assert info == {"type": dict, "a": 1}
    with pytest.raises(FkitKeyError, match="has no `type`"):
        obj_from_dict({"a": 1})
    with pytest.raises(FkitAttributeError, match="Did you mean 'OrderedDict'"):
        obj_from_dict({"type": "OrderdDict"}, collections)
    with pytest.raises(FkitAttributeError, match=r"No module that is imported has 'no_such\.Thing'"):
        obj_from_dict({"type": "no_such.Thing"})
    with pytest.raises(FkitTypeError, match="`type` is a class or the name of one, not 3"):
        obj_from_dict({"type": 3})
    with pytest.raises(TypeError, match="cannot be made of"):
        obj_from_dict({"type": complex, "nope": 1})


def test_packages():
    assert is_installed("yaml") and is_installed("pyyaml") and not is_installed("no-such-package")
    assert package2module("pyyaml") == "yaml" and package2module("opencv-python") == "cv2"
    assert Path(get_installed_path("pyyaml"), "__init__.py").is_file()
    for call in (package2module, get_installed_path):
        with pytest.raises(FkitImportError, match="'no_such_package' is not installed"):
            call("no_such_package")


def test_prerequisites():
    there: set[str] = {"a"}

    @check_prerequisites(("a", "b"), there.__contains__)
    def call() -> int:
        return 1

    with pytest.raises(FkitRuntimeError, match="'b' are needed by 'call'"):
        call()
    there.add("b")
    assert call() == 1
    with pytest.raises(RuntimeError, match="lacks c!"):
        check_prerequisites("c", there.__contains__, "{1} lacks {0}!")(call)()
