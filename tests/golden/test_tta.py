"""The book ``tta``: how mmseg, mmpretrain and mmdet merge what is predicted of several views, recorded by
experiments/record/tta.py and det_tta.py; on every backend.
"""

from typing import Any

import jax
import numpy as np

import fkit
from fkit.array.ops import Numpy
from fkit.array.room import open as open_room
from fkit.array.view import map_scores
from fkit.structures.batch import Batch

BOOK = "tta"


def views_of(case: dict[str, Any]) -> list[Batch]:
    """The batches that the case's numbers are of; what they show is not looked at."""
    views: list[Batch] = []
    for rows, numbers in zip(case["metas"], case["seg_logits"], strict=True):
        sizes = np.array([row["img_shape"] for row in rows])
        images = np.zeros((len(rows), 1, *np.shape(numbers)[-2:]), np.float32)
        views.append(Batch(images, {"input_shape": sizes}, meta=tuple(rows)))
    return views


def test_case(case: dict[str, Any]) -> None:
    name = case["id"].partition("/")[0]
    options = {"tta_cfg": case["tta_cfg"]} if "tta_cfg" in case else {}
    merger: Any = fkit.registry().build("models", {"type": name, **options})
    for room in (None, open_room("torch"), open_room("jax")):
        xp, lift, host = (Numpy(), np.asarray, np.asarray) if room is None else (room.ops, room.asarray, room.numpy)
        with jax.enable_x64(True):
            check(name, case, merger, xp, lift, host)


def check(name: str, case: dict[str, Any], merger: Any, xp: Any, lift: Any, host: Any) -> None:
    if name == "AverageClsScoreTTA":
        scores = [{"pred_score": lift(np.array(one))} for one in case["scores"]]
        views = [Batch(np.zeros((2, 1)))] * len(scores)
        np.testing.assert_allclose(
            host(merger.merge(xp, scores, views)["pred_score"]), case["pred_score"], rtol=0, atol=1e-15
        )
        return
    if name == "DetTTAModel":
        check_boxes(case, merger, xp, lift, host)
        return
    views = views_of(case)
    logits = [lift(np.array(one)) for one in case["seg_logits"]]
    for one, rows, view in zip(logits, case["scores"], views, strict=True):
        for at, (meta, scores) in enumerate(zip(view.meta, rows, strict=True)):
            mine = map_scores(xp, one[at : at + 1], meta["img_shape"], meta["flip_direction"], meta["ori_shape"])
            np.testing.assert_allclose(host(mine)[0], scores, rtol=0, atol=1e-11)
    labels = host(merger.merge(xp, [{"seg_logits": one} for one in logits], views)["pred_sem_seg"])
    for mine, theirs in zip(labels, case["pred_sem_seg"], strict=True):
        height, width = np.shape(theirs)[-2:]
        np.testing.assert_array_equal(mine[:height, :width], theirs[0])


def check_boxes(case: dict[str, Any], merger: Any, xp: Any, lift: Any, host: Any) -> None:
    """Of one image, in float32 as the reference has it."""
    predictions, views = list[Any](), list[Batch]()
    for one in case["views"]:
        kinds = (("bboxes", np.float32), ("scores", np.float32), ("labels", np.int64))
        predictions.append({"pred_instances": {key: lift(np.array([one[key]], kind)) for key, kind in kinds}})
        views.append(Batch(np.zeros((1, 3, 4, 4)), meta=(one["meta"],)))
    said = merger.merge(xp, predictions, views)
    real = host(said["valid"]["pred_instances"])[0]
    mine = {key: host(value)[0][real] for key, value in said["pred_instances"].items()}
    np.testing.assert_array_equal(mine["labels"], case["pred_instances"]["labels"])
    for key in ("bboxes", "scores"):
        np.testing.assert_allclose(mine[key], case["pred_instances"][key], rtol=1e-5, atol=1e-5)
