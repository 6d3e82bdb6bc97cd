"""The book ``pretrain``: recorded calls of mmpretrain's transforms, in the form of the book ``transforms``.

Recorded by experiments/record/pretrain.py. The reference's ``img_shape`` has the channels too; here it is (height, width).
"""

from pathlib import Path
from typing import Any

import numpy as np

from tests.golden.decoding import CV2_MAJOR
from tests.golden.replay.recorded import Recorded
from tests.golden.test_transforms import Values, held, levels, run

BOOK = "pretrain"


def test_case(case: dict[str, Any], book_arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    decode = Values(book_arrays, (), absent=False)
    out = case["opencv4"]["out"] if CV2_MAJOR == 4 and "opencv4" in case else case["out"]
    expected = decode(out)
    if "img_shape" in expected:
        expected["img_shape"] = sides(expected["img_shape"])
    recorded = Recorded("mmpretrain", decode(case["draws"]), decode(case["params"]))
    held(run(case, decode, recorded, tmp_path), expected, levels(case))


def sides(shape: Any) -> Any:
    """(height, width) of a shape, or of each of a list of them."""
    return [sides(one) for one in shape] if isinstance(shape, list) else shape[:2]
