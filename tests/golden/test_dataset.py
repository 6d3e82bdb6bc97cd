"""The book ``dataset``: what the datasets of mmdet, mmseg, mmpose and mmpretrain read from made-up files of every form, and what
they know of public data sets; recorded by experiments/record/dataset.py, whose files the book holds.
"""

import base64
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fkit
from fkit.catalog.entry import Lazy
from fkit.data.dataset.facts import fixed
from fkit.data.dataset.keypoints import pose_metainfo

BOOK = "dataset"
EXTRA = frozenset(("dataset_slot", "dataset_source", "img_max"))  # what fkit's records say more
# recorded, and not offered
NOT_OFFERED = frozenset(
    (
        "mmdet/ADE20KSegDataset",
        "mmdet/CocoCaptionDataset",
        "mmdet/CocoSegDataset",
        "mmdet/RefCocoDataset",
        "mmpose/H36MWholeBodyDataset",
        "mmpose/PoseTrack18VideoDataset",
        "mmpose/UBody3dDataset",
        "mmpretrain/Caltech101",
        "mmpretrain/DTD",
        "mmpretrain/MultiTaskDataset",
        "mmpretrain/StanfordCars",
        "mmseg/DecathlonDataset",
    )
)
SAID = ("upper_body_ids", "lower_body_ids", "flip_pairs", "dataset_keypoint_weights", "flip_indices", "skeleton_links")


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(plain(value), sort_keys=True).encode()).hexdigest()[:8]


def digests(meta: Any) -> dict[str, str]:
    """Of each value; of more than six, of all in one."""
    return {key: digest(value) for key, value in meta.items()} if len(meta) <= 6 else {"all": digest(dict(meta))}


def plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"$a": value.tolist(), "dtype": str(value.dtype), "shape": list(value.shape) if value.size else []}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def short(value: Any) -> Any:
    """As the book has it: long arrays and lists as digests."""
    if (isinstance(value, np.ndarray) and value.size > 12) or (isinstance(value, (list, tuple)) and len(value) > 24):
        return {"$d": digest(value)}
    if isinstance(value, dict):
        return {str(key): short(one) for key, one in value.items()}
    return [short(one) for one in value] if isinstance(value, (list, tuple)) else plain(value)


def shortened(record: Any) -> dict[str, Any]:
    raw = {"raw_ann_info": digest(record["raw_ann_info"])} if "raw_ann_info" in record else {}
    said = {key: record[key] for key in SAID if key in record}
    left = {key: value for key, value in record.items() if key not in SAID and key not in EXTRA}
    return {**short({**left, **raw}), **({"said": digest(said)} if said else {})}


def cases(book: Any) -> list[dict[str, Any]]:
    """Those of the datasets that are offered."""
    names = ((case, case.get("name") or case["cfg"]["type"]) for case in book["cases"])
    return [case for case, name in names if f"{case['scope']}/{name}" not in NOT_OFFERED]


def cls_of(case: dict[str, Any]) -> Any:
    entry: Any = fkit.registry().get("datasets", case["name"], scope=case["scope"])
    return entry.load() if isinstance(entry, Lazy) else entry


def known(cls: Any, scope: str) -> Any:
    return pose_metainfo(cls.METAINFO) if scope == "mmpose" else fixed(cls.METAINFO)


def laid(tree: dict[str, Any]) -> None:
    for path, content in tree.items():
        file = Path("data") / path
        file.parent.mkdir(parents=True, exist_ok=True)
        whole = content.encode() if isinstance(content, str) else zlib.decompress(base64.b64decode(content["$z"]))
        file.write_bytes(whole)


@pytest.mark.filterwarnings("ignore")  # of what is left out and counted
def test_case(case: dict[str, Any], book: Any, here: Path) -> None:
    registry = fkit.registry()
    if "name" in case:
        assert digests(known(cls_of(case), case["scope"])) == case["metainfo"]
        return
    laid(book["trees"][case["tree"]])
    dataset: Any = registry.build("datasets", case["cfg"], scope=case["scope"])
    expected = case["out"]
    assert len(dataset) == expected["len"]
    for at, recorded in enumerate(expected["records"]):
        record = shortened(dataset.get_data_info(at))
        if {"dataset", "datasets"} & set(case["cfg"]):  # a wrapper's place, where the reference says the part's
            record, recorded = ({**one, "sample_idx": at} for one in (record, recorded))
        assert record == recorded
    if expected["cat_ids"] is not None:
        assert [list(dataset.get_cat_ids(at)) for at in range(len(dataset))] == expected["cat_ids"]
    if expected["metainfo"] is not None:
        assert digests(dataset.metainfo) == expected["metainfo"]
