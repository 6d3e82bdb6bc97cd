"""The book ``odd``, in the form of the book ``transforms``: cases that a search among random arguments and samples found telling.

Recorded by experiments/record/odd.py with OpenCV 5: warps of OpenCV 4 have other grey levels.
"""

from typing import Any

import numpy as np
import pytest

from tests.golden.decoding import CV2_MAJOR
from tests.golden.test_transforms import test_case as held

BOOK = "odd"
WARPS = ("TopdownAffine", "Rotate")


def test_case(case: dict[str, Any], book_arrays: dict[str, np.ndarray], tmp_path: Any) -> None:
    if CV2_MAJOR == 4 and any(word in str(case["cfg"]) for word in WARPS):
        pytest.skip("recorded with OpenCV 5, which warps by other weights between pixels")
    held(case, book_arrays, (), tmp_path)
