"""The facade: every name is there, and none is loaded before it is asked for."""

import inspect
import subprocess
import sys

import pytest

import fkit.image
from fkit.tree.error import FkitError


@pytest.mark.parametrize("name", [name for name in fkit.image.__all__ if name != "supported_backends"])
def test_each_name_is_what_its_name_says_and_documented(name: str) -> None:
    thing = getattr(fkit.image, name)
    assert thing.__name__ == name
    assert ">>>" in inspect.getdoc(thing)


def test_a_name_stays_what_it_is_when_asked_twice() -> None:
    assert fkit.image.preprocess is fkit.image.preprocess
    assert not inspect.ismodule(fkit.image.preprocess)


def test_importing_loads_neither_opencv_nor_pillow() -> None:
    loaded = (
        "import sys, fkit.image; dir(fkit.image); print([m for m in ('cv2', 'PIL', 'tifffile') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", loaded], check=True, capture_output=True, text=True).stdout
    assert said.strip() == "[]"


def test_asking_for_a_name_that_is_not_there_suggests_one() -> None:
    with pytest.raises(AttributeError, match=r"(?s)no attribute 'imreed'.*Did you mean 'imread'\?"):
        fkit.image.imreed  # noqa: B018
    assert not hasattr(fkit.image, "imreed")


def test_the_global_switch_of_mmcv_is_an_argument() -> None:
    with pytest.raises(FkitError, match=r"(?s)no attribute 'use_backend'.*Pass backend='pillow'"):
        fkit.image.use_backend  # noqa: B018
