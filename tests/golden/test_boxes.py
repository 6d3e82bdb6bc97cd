"""The book ``boxes``: the arithmetic of detection, on numpy, torch and JAX.

A case names what was called in ``fn``. The modules ``replay/boxes_*.py`` say how fkit is called for it: each has
``ADAPTERS``, functions ``(xp, args, case) -> result`` by ``fn``. ``args`` are the case's, decoded, with arrays of the
library; the result has the structure of the case's ``out``. A gradient (a key ``grad_...`` of ``out``) is None where
the library has none (`with_gradient`). ``TOLERANCES`` may hold another tolerance for a ``fn``.
What the masks of the book are is in ``test_masks.py``.
"""

from typing import Any

import numpy as np
import pytest
from frozendict import frozendict

from fkit.tree.error import FkitError
from tests.golden.replay import boxes_a, boxes_b, boxes_c, boxes_d, boxes_g, boxes_h
from tests.golden.replay.arithmetic import LIBRARIES, NO_GRADIENT, TOLERANCE, Reader, given, opened, same, width

BOOK = "boxes"
MODULES = (boxes_a, boxes_b, boxes_c, boxes_d, boxes_g, boxes_h)
ADAPTERS = frozendict({fn: adapter for module in MODULES for fn, adapter in module.ADAPTERS.items()})
TOLERANCES = frozendict({fn: one for module in MODULES for fn, one in getattr(module, "TOLERANCES", {}).items()})


def cases(book: dict[str, Any]) -> list[dict[str, Any]]:
    return [case for case in book["cases"] if case["fn"] != "masks"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_case(case: dict[str, Any], library: str, book_arrays: dict[str, np.ndarray]) -> None:
    fn = case["fn"]
    if fn not in ADAPTERS:
        pytest.skip(f"no adapter for {fn}")
    read, xp = Reader(book_arrays, (), absent=True), opened(library)
    args, case = read(case["args"]), {**case, "draws": read(case.get("draws", []))}
    with width(xp, args):
        if "raises" in case:
            with pytest.raises(FkitError):
                ADAPTERS[fn](xp, given(xp, args), case)
            return
        actual, recorded = ADAPTERS[fn](xp, given(xp, args), case), read(case["out"])
        if library in NO_GRADIENT and isinstance(recorded, dict):
            recorded = {key: None if key.startswith("grad_") else value for key, value in recorded.items()}
        same(actual, recorded, TOLERANCES.get(fn, TOLERANCE))
