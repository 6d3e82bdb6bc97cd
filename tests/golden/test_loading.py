"""The book ``loading``: mmdet's and mmseg's transforms of which the book ``transforms`` has no case (proposals, panoptic pictures,
videos, words, depth), recorded by experiments/record/loading.py.
"""

from pathlib import Path
from typing import Any

import numpy as np

import fkit
from fkit.data.transform.detection.text import Caption, RandomSamplingNegPos
from fkit.data.transform.detection.track import Frames, UniformRefFrameSample
from fkit.image.io import imwrite
from fkit.structures.mask import BitmapMasks
from fkit.tree.frozen import frozen
from tests.golden.decoding import Decoder, compare

BOOK = "loading"
EXTRA = frozenset({"img_max", "instances"})


class Words:
    def tokenize(self, text: str) -> list[str]:
        return text.split()


def params_of(transform: Any, sample: Any, draws: list[Any]) -> Any:
    """What the transform's ``draw`` would have given."""
    if isinstance(transform, UniformRefFrameSample):
        key = sample["key_frame_id"]
        ids = sorted([key, *(draws[0]["value"] if draws else [key] * transform.num_ref_imgs)])
        return Frames(tuple(ids), ids.index(key))
    if isinstance(transform, RandomSamplingNegPos) and draws:
        labels = tuple(draws[-1]["value"])
        names = {"0": "cat", "1": "sea lion ", "2": "dog", "3": "car", "4": "traffic light", "5": "tree"}
        kept = np.isin(sample["gt_bboxes_labels"], draws[0]["value"])
        return Caption(kept, labels, tuple(names[str(label)] for label in labels))
    return transform.draw(sample, None, None)


def test_case(case: dict[str, Any], book_arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    decode = Decoder(book_arrays, (), absent=True)
    cfg, given = decode(case["cfg"]), decode(case["input"])
    for key, picture in case["files"].items():
        path = tmp_path / f"{key}.png"
        imwrite(decode(picture), path)
        head, _, place = key.partition(".")
        given[head] = [*given.get(head, []), str(path)] if place else str(path)
    if cfg.get("tokenizer_name"):
        cfg["tokenizer_name"] = Words()
    transform = fkit.registry().build("transforms", cfg, scope=case["id"].rpartition(".")[0] or "mmdet")
    sample = frozen(given)
    done = transform.apply(sample, params_of(transform, sample, case["draws"]))
    actual = dict(done)
    if "targets" in actual:
        actual = {"inputs": actual["inputs"], "gt_label": actual["targets"]["gt_label"]}
    expected = decode(case["out"])
    names = {name for name in actual if not name.endswith("_path")} - EXTRA
    assert names == set(expected) - EXTRA
    for key, value in expected.items():
        here = np.asarray(actual[key].masks) if isinstance(actual[key], BitmapMasks) else actual[key]
        if isinstance(value, np.ndarray):
            compare(np.asarray(here), value, 0)
        elif key == "seg_fields":
            assert list(here) == value
        else:
            assert here == value, key
