"""Arrays by name against a model: what fits, what does not."""

import numpy as np
import pytest

from fkit.training.inventory import Entry, Inventory
from fkit.training.weight import fit
from fkit.tree.error import FkitValueError

INVENTORY = Inventory(
    (
        Entry("fc.weight", (2, 3), "float32", "Linear"),
        Entry("bn.running_mean", (2,), "float32", "BatchNorm2d", True, False),
    ),
    (),
    (("head.weight", "fc.weight"),),
)
GOOD = {"fc.weight": np.ones((2, 3)), "bn.running_mean": np.zeros(2)}


def test_bare_names_become_paths() -> None:
    found = fit(INVENTORY, GOOD, bare=True)
    assert set(found.arrays) == {"params/fc.weight", "buffers/bn.running_mean"}
    assert found.report() == ""


def test_paths_of_other_kinds_pass_through() -> None:
    arrays = {
        "params/fc.weight": np.ones((2, 3)),
        "buffers/bn.running_mean": np.zeros(2),
        "opt/main/step/x": np.ones(()),
    }
    assert set(fit(INVENTORY, arrays).arrays) == set(arrays)


def test_a_tied_weight_goes_by_either_name() -> None:
    arrays = {"head.weight": np.full((2, 3), 4.0), "bn.running_mean": np.zeros(2)}
    assert fit(INVENTORY, arrays, bare=True).arrays["params/fc.weight"][0, 0] == 4


def test_strict_lists_everything_that_does_not_fit() -> None:
    arrays = {"fc.weight": np.ones((3, 2)), "fc.wieght": np.ones(1)}
    with pytest.raises(FkitValueError) as caught:
        fit(INVENTORY, arrays, bare=True)
    text = str(caught.value)
    assert "missing (1): bn.running_mean" in text
    assert "unexpected (1): fc.wieght" in text
    assert "fc.weight: model (2, 3), file (3, 2)" in text


def test_not_strict_takes_what_fits_and_tells_the_rest() -> None:
    found = fit(INVENTORY, {"bn.running_mean": np.zeros(2), "y": np.ones(1), "x": np.ones(1)}, strict=False, bare=True)
    assert set(found.arrays) == {"buffers/bn.running_mean"}
    assert found.missing == ("fc.weight",) and found.unexpected == ("x", "y") and found.misshapen == ()


def test_long_lists_are_cut() -> None:
    arrays = {**GOOD, **{f"x{i}": np.ones(1) for i in range(20)}}
    with pytest.raises(FkitValueError, match=r"\(12 more\)"):
        fit(INVENTORY, arrays, bare=True)
