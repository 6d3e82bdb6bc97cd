"""One door: every name of the facade opens, and one that is missing says what to write."""

import io
import subprocess
import sys

import pytest

import fkit
import fkit.compat
from fkit.compat import ProgressBar
from fkit.tree.error import FkitAttributeError, FkitTypeError, FkitValueError


def test_every_name_opens():
    opened = {name: getattr(fkit.compat, name) for name in fkit.compat.__all__}
    assert all(callable(value) for value in opened.values()) and len(opened) > 45
    assert set(opened) == set(dir(fkit.compat))


def test_looking_opens_nothing():
    code = "import fkit.compat, sys; print([m for m in ('numpy', 'multiprocessing', 'yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("load_confg", "Did you mean 'load_config'"),
        ("build_from_cfg", r"Write fkit\.build\(cfg, registry, kind\)"),
        ("Runner", "`fkit train CONFIG`"),
        ("MODELS", r"reg = fkit\.registry\(\)"),
        ("VISBACKENDS", r"reg = fkit\.registry\(\)"),
        ("PARAM_SCHEDULERS", r"reg = fkit\.registry\(\)"),
        ("ConfigDict", r"Write fkit\.Config"),
        ("imread", r"It is fkit\.image\.imread here"),
        ("dump", r"It is fkit\.fileio\.dump here"),
        ("track_progress", r"It is fkit\.compat\.track_progress here"),
        ("InstanceData", r"It is fkit\.structures\.InstanceData here"),
    ],
)
def test_a_missing_name_says_what_to_write(name, text):
    with pytest.raises(FkitAttributeError, match=text) as caught:
        getattr(fkit, name)
    assert isinstance(caught.value, AttributeError) and not hasattr(fkit, name)


def test_a_missing_name_of_this_door():
    for name, text in (
        ("track_progres", "Did you mean 'track_progress'"),
        ("set_random_seed", "A seed is an argument"),
        ("imread", r"It is fkit\.image\.imread here"),
        ("Config", r"It is fkit\.Config here"),
    ):
        with pytest.raises(FkitAttributeError, match=text):
            getattr(fkit.compat, name)
    with pytest.raises(ImportError, match="track_progres"):
        from fkit.compat import track_progres  # noqa: F401


@pytest.mark.parametrize("owner", [fkit.Registry, fkit.Registry()], ids=["class", "value"])
def test_a_registry_says_what_its_method_is_called(owner):
    for name, text in (
        ("register_module", r"Registry has no 'register_module'\.\n  reg = reg\.register\(kind, Maker\)"),
        ("module_dict", r"reg\.names\(kind\)"),
    ):
        assert not hasattr(owner, name)
        with pytest.raises(FkitAttributeError, match=text):
            getattr(owner, name)
    assert "register" in dir(owner) and "register_module" not in dir(fkit.Registry())


def test_a_bar_is_told():
    out = io.StringIO()
    with ProgressBar(3, file=out) as bar:
        bar.update()
        bar.update(2)
    assert bar.completed == 3 and "3 of 3" in out.getvalue()
    idle = ProgressBar(start=False, file=out)
    idle.update(5)
    idle.close()
    assert idle.completed == 5 and "progress: 5," in out.getvalue()
    for wrong, kind in ((-1, FkitValueError), ("x", FkitTypeError), (None, FkitTypeError)):
        with pytest.raises(kind, match="task_num"):
            ProgressBar(wrong)
    with pytest.raises(FkitValueError, match="at least one task"):
        bar.update(0)
    with pytest.raises(FkitTypeError, match="`file` is an open text file"):
        ProgressBar(1, file="x")
