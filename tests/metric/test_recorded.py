"""Laws of every metric that the book ``metric`` has, on its recorded samples: cost, merging, and inputs that are wrong."""

import gc
import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fkit
from fkit.tree.error import FkitError
from tests.golden.decoding import Decoder
from tests.golden.test_metric import laid

BOOKS = Path(__file__).parents[1] / "golden" / "books"
BOOK = json.loads((BOOKS / "metric.json").read_text(encoding="utf-8"))
KINDS = {case["id"].partition("/")[0]: case for case in reversed(BOOK["cases"])}
# what a metric does not look at, or what stands for a habit of its own: truth that was not measured is nan, ...
UNSEEN = ("Flickr30kMetric pred_instances.scores", "DepthMetric gt_depth_map.data", "Accuracy pred_score")


@pytest.fixture(scope="module")
def decode():
    with np.load(BOOKS / "metric.npz") as stored:
        return Decoder({key: stored[key] for key in stored.files}, (), absent=False)


@pytest.fixture(params=sorted(KINDS))
def made(request, decode, tmp_path):
    """A metric and its samples."""
    if "Coco" in request.param or "LVIS" in request.param:
        pytest.importorskip("pycocotools")
    case = KINDS[request.param]
    files = {key: laid(decode(BOOK["shared"][name]), tmp_path / key) for key, name in case["files"].items()}
    metric = fkit.registry().build("metrics", {**case["cfg"], **files}, scope=case["package"])
    return metric.informed(decode(case["meta"])), [decode(BOOK["shared"][name]) for name in case["given"]]


def test_order_split_repeats_and_processes_change_no_bit(made):
    metric, given = made
    ids = range(len(given))
    whole = metric.compute(metric.observe(metric.empty(), given, {}, ids))
    order = np.random.default_rng(3).permutation(len(given)).tolist()
    left, right = order[: len(order) // 2], order[len(order) // 2 :]
    states = [metric.observe(metric.empty(), [given[at] for at in part], {}, part) for part in (left, right, left[:2])]
    a, b, again = (pickle.loads(pickle.dumps(state)) for state in states)  # as other processes hand them over
    first, second = metric.merge(metric.merge(again, b), a), metric.merge(b, metric.merge(a, again))
    assert repr(metric.compute(first)) == repr(metric.compute(second)) == repr(whole)


def test_observing_costs_as_many_calls_however_much_was_seen(made):
    metric, given = made
    sample = given[:1]

    def calls(state: Any, number: int) -> int:
        count = 0

        def heard(frame: Any, event: str, argument: Any) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        gc.disable()  # others' callbacks of a collection would be counted
        sys.setprofile(heard)
        try:
            metric.observe(state, sample, {}, [number])
        finally:
            sys.setprofile(None)
            gc.enable()
        return count

    state = metric.observe(metric.empty(), sample, {}, [0])
    early = calls(state, 1)
    for number in range(1, 60):
        state = metric.observe(state, sample, {}, [number])
    assert calls(state, 60) == early


def test_what_is_wrong_is_one_clear_error(made):
    metric, given = made
    kind = type(metric).__name__
    for path, array in leaves(given[0]):
        wrong = {
            "nothing": None,
            "a word": "x",
            "objects": np.array([{}, None], object),
            "form": np.zeros((3, 5, 7, 2), array.dtype),
        }
        if array.dtype.kind == "f" and array.size:
            wrong["nan"] = array.copy()
            wrong["nan"].reshape(-1)[0] = np.nan
        for what, value in wrong.items():
            said = scored(metric, replaced(given[0], path, value))
            name = f"{kind} {'.'.join(path)}"
            assert said or name in UNSEEN or path[-1] in ("image_level_labels", "gt_label"), f"{name}: {what} is taken"


def leaves(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    for name, part in node.items():
        if isinstance(part, dict):
            yield from leaves(part, (*path, name))
        elif isinstance(part, np.ndarray):
            yield (*path, name), part


def replaced(node: Any, path: tuple[str, ...], value: Any) -> Any:
    rest = value if len(path) == 1 else replaced(node[path[0]], path[1:], value)
    return {**node, path[0]: rest}


def scored(metric: Any, sample: Any) -> str:
    """What is said of a sample that is wrong; any other error than the kit's fails the test."""
    try:
        metric.compute(metric.observe(metric.empty(), [sample], {}, [0]))
    except FkitError as error:
        return str(error)
    return ""
