"""Facts of public data sets: names of classes and keypoints, colours, weights. They lie in fkit/data/metainfo."""

import importlib.resources
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np

from fkit.format.yaml import read_yaml
from fkit.tree.check import expect
from fkit.tree.error import FkitFileNotFoundError
from fkit.tree.frozen import frozen

__all__ = ["Facts", "fixed", "names_of_facts", "plain"]


class Facts(Mapping[str, Any]):
    """What is known of a public data set: a frozen mapping, read when it is first asked.

    Args:
        name: kind and name: "detection/coco", "segmentation/ade20k", "classification/imagenet", "pose/coco".

    Example:
        >>> coco = Facts("detection/coco")
        >>> coco["classes"][:2], coco["palette"][0]
        (('person', 'bicycle'), (220, 20, 60))
    """

    def __init__(self, name: str) -> None:
        expect(name, str, "Facts: a name is text such as 'detection/coco'")
        self.name = name

    @property
    def content(self) -> Mapping[str, Any]:
        """All of it.

        Raises:
            FkitFileNotFoundError: the kit knows no such data set.
        """
        kept: Any = vars(self).get("_content")
        if kept is None:
            kept = vars(self)["_content"] = _read(self.name)
        return kept

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.content)

    def __len__(self) -> int:
        return len(self.content)

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"Facts({self.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Facts, (self.name,)


def names_of_facts(kind: str) -> tuple[str, ...]:
    """The data sets of a kind that the kit knows, sorted.

    Example:
        >>> "coco_wholebody" in names_of_facts("pose")
        True
    """
    expect(kind, str, "`kind` is text such as 'pose'")
    folder = importlib.resources.files("fkit.data") / "metainfo" / kind
    if not kind or "/" in kind or not folder.is_dir():
        return ()
    return tuple(sorted(one.name.removesuffix(".yaml") for one in folder.iterdir() if one.name.endswith(".yaml")))


def fixed(value: Any) -> Any:
    """A value of metainfo as one that cannot change: tuples for lists, frozen mappings, read-only arrays.

    Example:
        >>> fixed({"classes": ["cat"]})
        frozendict.frozendict({'classes': ('cat',)})
    """
    if isinstance(value, Facts):
        return value.content
    if isinstance(value, Mapping):
        return frozen({key: fixed(item) for key, item in cast("Mapping[Any, Any]", value).items()})
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return tuple(fixed(item) for item in cast("Sequence[Any]", value))
    if isinstance(value, np.ndarray):
        copy: Any = value.copy()
        copy.setflags(write=False)
        return copy
    return value


def plain(value: Any) -> Any:
    """A value of metainfo as one that can be compared: `fixed`, with tuples in place of arrays.

    Example:
        >>> plain({"sigmas": np.zeros(2)})
        frozendict.frozendict({'sigmas': (0.0, 0.0)})
    """
    value = fixed(value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value)
    if isinstance(value, Mapping):
        return frozen({key: plain(item) for key, item in cast("Mapping[Any, Any]", value).items()})
    return tuple(plain(item) for item in cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else value


def _read(name: str) -> Mapping[str, Any]:
    kind, _, word = name.partition("/")
    file = importlib.resources.files("fkit.data") / "metainfo" / kind / f"{word}.yaml"
    if "/" in word or not kind or not file.is_file():
        names = names_of_facts(kind)
        raise FkitFileNotFoundError(f"there are no facts of {name!r}.", value=word, choices=names, label="Known")
    read = cast("dict[str, Any]", read_yaml(file.read_text(encoding="utf-8")))
    if isinstance(read.get("palette"), str):
        read["palette"] = [_colour(text) for text in read["palette"].split()]
    if kind == "pose":
        return fixed(_dataset_info(read))
    return fixed(read)


def _colour(text: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(text))


def _dataset_info(read: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of keypoints, in the form that OpenMMLab's ``dataset_info`` has."""
    points, links = read["keypoints"], read["links"]
    known = {"dataset_name", "keypoints", "links", "joint_weights", "sigmas"}
    return {
        "dataset_name": read["dataset_name"],
        "keypoint_info": {
            number: {"name": name, "id": number, "color": _colour(colour), "type": kind, "swap": swap}
            for number, (name, kind, swap, colour) in enumerate(points)
        },
        "skeleton_info": {
            number: {"link": (one, other), "id": number, "color": _colour(colour)}
            for number, (one, other, colour) in enumerate(links)
        },
        "joint_weights": read["joint_weights"],
        "sigmas": read["sigmas"],
        **({"stats_info": {key: read[key] for key in read if key not in known}} if set(read) - known else {}),
    }
