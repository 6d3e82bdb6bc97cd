"""The book ``pose``: recorded codecs, transforms and metrics of mmpose that the book ``transforms`` does not have.

Made by ``experiments/record/pose.py``. What a transform drew is in the case's ``params``.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from frozendict import frozendict

import fkit
from fkit.data.codec.person import Jitter
from fkit.data.transform.mixup import Mixture
from fkit.data.transform.mosaic import Tiles
from fkit.data.transform.pose.bottomup import Whirl
from fkit.data.transform.pose.crop import Window
from fkit.tree.frozen import frozen
from tests.golden.decoding import CV2_MAJOR
from tests.golden.test_transforms import Values, same

BOOK = "pose"


def whirl(params: Any, others: Any) -> Whirl:
    shift, factor, degrees, shear = params
    return Whirl(shift, float(factor[0]), degrees, shear)


PARAMS: Mapping[str, Callable[..., Any]] = frozendict(
    BottomupRandomAffine=whirl,
    BottomupRandomCrop=lambda params, others: Window(*(tuple(one) for one in params)),
    PoseMosaic=lambda params, others: Tiles(tuple(others), tuple(params["centre"])),
    YOLOXMixUp=lambda params, others: Mixture(others[0], params["factor"], params["flip"], tuple(params["offset"])),
)


def test_case(case: dict[str, Any], book_arrays: dict[str, np.ndarray]) -> None:
    if case["cfg"]["type"].startswith(("Coco", "BottomupGetHeatmapMask")):
        pytest.importorskip("pycocotools")
    whole = Values(book_arrays, (), absent=False)(case)
    {"codec": a_codec, "transform": a_transform, "metric": a_metric}[case["kind"]](whole)


def a_codec(case: dict[str, Any]) -> None:
    codec = fkit.registry().build("codecs", case["cfg"], scope="mmpose")
    given: dict[str, Any] = case["given"]
    if given:
        rest = {name: value for name, value in given.items() if not name.startswith("keypoints")}
        if case["params"] is not None:
            shifts = np.stack(case["params"])
            rest["params"] = Jitter(shifts, np.arange(len(shifts)))
        encoded = codec.encode(given["keypoints"], given["keypoints_visible"], **rest)
        expected = case["out"]["encoded"]
        assert {name for name, value in encoded.items() if value is not None} == set(expected)
        for name, value in expected.items():
            # labels are int64 here, where the reference has int8, too few for as many classes as there may be
            same(encoded[name], value.astype(np.int64) if name == "bbox_labels" else value, 0, name)
    if "decoded" in case["out"]:
        same(codec.decode(*case["decode"]), case["out"]["decoded"], 0, "decoded")


def a_transform(case: dict[str, Any]) -> None:
    transform = fkit.registry().build("transforms", case["cfg"], scope="mmpose")
    others = [frozen(one) for one in case.get("others", ())]
    turn = PARAMS.get(type(transform).__name__, lambda params, others: params)
    before = {name: value.copy() for name, value in case["given"].items() if isinstance(value, np.ndarray)}
    done = transform.apply(frozen(case["given"]), turn(case["params"], others))
    for name, value in before.items():
        np.testing.assert_array_equal(case["given"][name], value, err_msg=f"the input's {name} was written to")
    if case["out"] is None:
        assert done is None
        return
    assert set(done) == set(case["out"])
    for name, value in case["out"].items():
        if name == "img" and CV2_MAJOR == 4 and "Affine" in case["cfg"]["type"]:
            # recorded with OpenCV 5, which warps by other weights between pixels
            assert abs(done[name].astype(int) - value.astype(int)).mean() < 1
            continue
        # the reference gives the image's whole shape after it mixed images
        same(done[name], tuple(value[:2]) if name == "img_shape" else value, 1, name)


def a_metric(case: dict[str, Any]) -> None:
    metric = fkit.registry().build("metrics", case["cfg"], scope="mmpose")
    if case["meta"]:
        metric = metric.informed(case["meta"])
    state = metric.empty()
    for place, sample in enumerate(case["given"]):  # one by one, the last first: neither tells
        place = len(case["given"]) - 1 - place
        state = metric.merge(state, metric.observe(metric.empty(), [case["given"][place]], {}, [place]))
    numbers = {name.rpartition("/")[2]: value for name, value in metric.compute(state).items()}
    assert numbers == pytest.approx(case["out"], rel=1e-6, abs=1e-6, nan_ok=True)
