"""What is known of a set of keypoints: names, symmetry, links, colours, weights; and boxes as centres and scales."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.config.config import load_config
from fkit.data.dataset.facts import Facts, fixed, names_of_facts
from fkit.tree.check import expect
from fkit.tree.error import FkitFileNotFoundError, FkitKeyError, FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["box_of_center", "is_parsed", "pose_metainfo", "says_keypoints"]

_NEEDED = ("dataset_name", "keypoint_info", "skeleton_info", "joint_weights", "sigmas")
_COLOUR, _LINK_COLOUR = (255, 128, 0), (96, 96, 255)
_TINY = float(np.finfo(np.float32).tiny)


def says_keypoints(metainfo: Mapping[str, Any]) -> bool:
    """Whether metainfo describes keypoints, in any of its forms.

    Example:
        >>> says_keypoints({"from_file": "coco.py"}), says_keypoints({"classes": ("person",)})
        (True, False)
    """
    expect(metainfo, Mapping, "`metainfo` is a mapping")
    return any(key in metainfo for key in ("from_file", "keypoint_info")) or is_parsed(metainfo)


def is_parsed(metainfo: Mapping[str, Any]) -> bool:
    """Whether metainfo is what `pose_metainfo` gives.

    Example:
        >>> is_parsed(pose_metainfo(Facts("pose/coco"))), is_parsed(Facts("pose/coco"))
        (True, False)
    """
    expect(metainfo, Mapping, "`metainfo` is a mapping")
    return "keypoint_id2name" in metainfo and "flip_indices" in metainfo


def pose_metainfo(metainfo: Mapping[str, Any]) -> Mapping[str, Any]:
    """The description of keypoints in the form that transforms, codecs and metrics read; MMPose's.

    Args:
        metainfo: ``dataset_info`` (dataset_name, keypoint_info, skeleton_info, joint_weights, sigmas), or
            ``{"from_file": PATH}`` of a config that has it; of a file that is not there the kit's own facts of its name are
            taken (configs/_base_/datasets/coco.py: "pose/coco"). What was parsed stays as it is.

    Returns:
        ``dataset_name``, ``num_keypoints`` K, ``keypoint_id2name``, ``keypoint_name2id``, ``upper_body_ids``,
        ``lower_body_ids``, ``flip_indices`` (K), ``flip_pairs``, ``keypoint_colors`` (K, 3) uint8, ``num_skeleton_links``,
        ``skeleton_links``, ``skeleton_link_colors`` (L, 3) uint8, ``dataset_keypoint_weights`` (K,) float32, ``sigmas``
        (K,) float32, and ``stats_info`` where there is one.

    Raises:
        FkitKeyError: a part is missing. FkitValueError: a link or a symmetry names no keypoint.
        FkitFileNotFoundError: there is no such file, and no facts of its name.

    Example:
        >>> coco = pose_metainfo({"from_file": "configs/_base_/datasets/coco.py"})
        >>> coco["num_keypoints"], coco["flip_indices"][:5], coco["skeleton_links"][0]
        (17, (0, 2, 1, 4, 3), (15, 13))
    """
    expect(metainfo, Mapping, "`metainfo` is a mapping")
    if is_parsed(metainfo):
        return metainfo
    info = _opened(metainfo["from_file"]) if "from_file" in metainfo else metainfo
    for key in _NEEDED:
        if key not in info:
            raise FkitKeyError(
                f"metainfo of keypoints has no {key!r}.", choices=map(str, info), label="Keys", path="metainfo"
            )
    points = {int(number): point for number, point in info["keypoint_info"].items()}
    _expect_points(points, info)
    ids = {point["name"]: number for number, point in points.items()}
    links = tuple(info["skeleton_info"].values())
    swaps = {name: points[number].get("swap") or name for name, number in ids.items()}
    pairs: list[tuple[int, int]] = []
    for name, other in swaps.items():
        pair = (_id(other, ids), _id(name, ids))
        if other != name and pair not in pairs:
            pairs.append(pair)
    parsed: dict[str, Any] = {
        "dataset_name": info["dataset_name"],
        "num_keypoints": len(points),
        "keypoint_id2name": {number: point["name"] for number, point in points.items()},
        "keypoint_name2id": ids,
        "upper_body_ids": [number for number, point in points.items() if point.get("type") == "upper"],
        "lower_body_ids": [number for number, point in points.items() if point.get("type") == "lower"],
        "flip_indices": [_id(other, ids) for other in swaps.values()],
        "flip_pairs": pairs,
        "keypoint_colors": _colours([point.get("color", _COLOUR) for point in points.values()]),
        "num_skeleton_links": len(links),
        "skeleton_links": [tuple(_id(name, ids) for name in link["link"]) for link in links],
        "skeleton_link_colors": _colours([link.get("color", _LINK_COLOUR) for link in links]),
        "dataset_keypoint_weights": np.array(info["joint_weights"], np.float32),
        "sigmas": np.array(info["sigmas"], np.float32),
    }
    if "stats_info" in info:
        parsed["stats_info"] = {name: np.array(row, np.float32) for name, row in info["stats_info"].items()}
    return frozen({key: fixed(value) for key, value in parsed.items()})


def _expect_points(points: Mapping[int, Any], info: Mapping[str, Any]) -> None:
    """Refuse keypoints of one name, partners that do not agree, links that join no two, and numbers that are none a keypoint."""
    names = [point["name"] for point in points.values()]
    partners = {point["name"]: point.get("swap") or point["name"] for point in points.values()}
    wrong = [f"two keypoints are called {name!r}" for name in partners if names.count(name) > 1]
    if not isinstance(info, Facts):  # of the kit's own, one set of the reference's has a partner that is none
        wrong += [
            f"the swap of {name!r} is {other!r}, and that of {other!r} is {partners[other]!r}"
            for name, other in partners.items()
            if other in partners and partners[other] != name
        ]
    wrong += [
        f"the link {tuple(one['link'])} joins no two keypoints"
        for one in info["skeleton_info"].values()
        if len(one["link"]) != 2
    ]
    for key, least, what in (("joint_weights", 0.0, "at least 0"), ("sigmas", _TINY, "above 0")):
        # their count is held where they are used: sets of the reference's differ in it
        numbers = np.array(info[key], np.float64)
        if not (np.isfinite(numbers) & (numbers >= least)).all():
            wrong.append(f"{key} is {quoted(info[key])}, and each is {what}")
    if wrong:
        raise FkitValueError(f"metainfo of keypoints: {wrong[0]}.", path="metainfo")


def _opened(file: Any) -> Mapping[str, Any]:
    expect(file, str, "metainfo['from_file'] is a path")
    if os.path.isfile(file):
        info: Any = load_config(file).get("dataset_info")
        expect(info, Mapping, f"{file}: dataset_info is a mapping")
        return cast("Mapping[str, Any]", info)
    name, known = os.path.splitext(os.path.basename(file))[0], names_of_facts("pose")
    if name not in known:
        raise FkitFileNotFoundError(
            f"the file of metainfo {file!r} is not there, and the kit knows no keypoints of {name!r}.",
            value=name,
            choices=known,
            label="Known",
            path="metainfo.from_file",
        )
    return Facts(f"pose/{name}")


def _id(name: str, ids: Mapping[str, int]) -> int:
    if name not in ids:
        raise FkitValueError(f"{name!r} is no keypoint.", value=name, choices=ids, label="Keypoints", path="metainfo")
    return ids[name]


def _colours(rows: Sequence[Any]) -> NDArray[np.uint8]:
    for row in rows:
        if isinstance(row, str) or len(row) != 3 or not all(0 <= one <= 255 for one in row):
            raise FkitValueError(
                f"metainfo of keypoints: the colour {quoted(row)} is not three numbers from 0 to 255.", path="metainfo"
            )
    return np.array([list(row) for row in rows], np.uint8).reshape(-1, 3)


def box_of_center(center: Any, scale: Any) -> NDArray[np.float32]:
    """Boxes (N, 4) as x1, y1, x2, y2 of centres (N, 2) and scales (N, 2), widths and heights.

    Example:
        >>> box_of_center([[10, 20]], [[4, 6]]).tolist()
        [[8.0, 17.0, 12.0, 23.0]]
    """
    try:
        middle, size = np.array(center, np.float32), np.array(scale, np.float32)
        corner = middle - size / 2
        return np.concatenate([corner, corner + size], axis=-1, dtype=np.float32)
    except (TypeError, ValueError) as cause:
        raise FkitValueError(f"a centre is (N, 2) numbers, and so is a scale: {cause}.") from cause
