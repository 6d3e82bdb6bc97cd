"""Recorded pose estimators: outputs of their parts on pictures and mirrored pictures, and keypoints. Their training steps are
those of every network: `tests.golden.test_models`."""

import hashlib
import re
from typing import Any

import numpy as np
import pytest

import fkit
from fkit.structures.apart import data_samples
from tests.golden import test_models as models
from tests.golden.network import Book, near, program, sampled, tensor, without_weights
from tests.golden.person import where
from tests.golden.test_models import BACKENDS, FLOAT32, PIXEL, flat, host, loaded, only, raw

COORDINATES = ("RegressionLabel", "IntegralRegressionLabel")

book, weights = models.book, models.weights
pytest_generate_tests = models.pytest_generate_tests


@pytest.mark.parametrize("backend", BACKENDS)
def test_pose_parts(book: Book, weights: dict[str, np.ndarray], backend: str) -> None:
    only(book, "pose")
    images = tensor(book, book.facts["test"])
    assert hashlib.sha256(images.tobytes()).hexdigest() == book.facts["test_tensor"]["sha256"]
    for pictures, calls in (
        (images, ("backbone", "neck", "head")),
        (images[..., ::-1], ("backbone@1", "head_flipped")),
    ):
        if calls[0] not in {path.removeprefix("test/").partition(".")[0] for path in book.arrays}:
            continue  # test_cfg asks for no mirrored pictures
        found = raw(book, weights, backend, {}, {}, np.ascontiguousarray(pictures))
        for call in calls:
            recorded = {path for path in book.arrays if re.fullmatch(rf"test/{call}(\.\d+)*", path)}
            value = found.get(call.partition("@")[0].partition("_")[0]) if recorded else None
            parts = () if value is None else as_recorded(book, call, value)
            if f"test/{call}.0.0" in recorded and not isinstance(parts[0], (list, tuple)):
                parts = [parts]  # a list is recorded as the one thing that a head gives
            arrays = dict(flat(f"test/{call}", parts))
            assert arrays.keys() == recorded, call
            for path, array in arrays.items():
                assert list(array.shape) == book.facts["stats"][path]["shape"], path
                group = path.partition(".")[0].partition("@")[0]
                near(sampled(array, 256), book.arrays[path], book.tolerance(group), path)


def as_recorded(book: Book, call: str, value: Any) -> Any:
    """What a head of coordinates says, as it is recorded: the reference has changed it in place by then. Deviations have
    passed their sigmoid; of mirrored pictures they have not, but places across are mirrored back."""
    parts = list(value) if isinstance(value, (list, tuple)) else [value]
    if not call.startswith("head") or book.cfg["head"].get("decoder", {}).get("type") not in COORDINATES:
        return parts
    places, deviations = parts[0][..., :2], parts[0][..., 2:]
    if call == "head_flipped":
        width = book.pictures[book.facts["test"][0]["key"]].shape[1]
        shift = 1 / width if book.cfg["test_cfg"].get("shift_coords", True) else 0.0
        places = np.concatenate([1 - places[..., :1] - shift, places[..., 1:]], axis=-1)
    else:
        deviations = 1 / (1 + np.exp(-deviations))
    return [np.concatenate([places, deviations], axis=-1), *parts[1:]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_keypoints(book: Book, weights: dict[str, np.ndarray], backend: str) -> None:
    only(book, "pose")
    cfg = without_weights(book.cfg)
    maps = "test0/pred.heatmaps" in book.arrays
    cfg["test_cfg"] = {**cfg.get("test_cfg", {}), "output_heatmaps": maps}
    made = program(cfg, backend, "float32", book.scope)
    batch = fkit.Batch(tensor(book, book.facts["test"]), where(book))
    found = host(backend, made.predict(loaded(made, book, weights), batch))
    for i, sample in enumerate(data_samples(batch, found)):
        one = sample.pred_instances
        points, scores = (book.arrays[f"test{i}/pred.{name}"] for name in ("keypoints", "keypoint_scores"))
        within = max(PIXEL / 100, book.tolerance("test/pred.keypoints") * np.abs(points).max())
        assert np.abs(one.keypoints[0] - points).max() < within
        near(one.keypoint_scores[0], scores, max(book.tolerance("test/pred.keypoint_scores"), FLOAT32), "scores")
        if maps:
            near(
                sampled(sample.pred_fields.heatmaps, 256), book.arrays[f"test{i}/pred.heatmaps"],
                book.tolerance("test/pred.heatmaps"), "maps",
            )  # fmt: skip
