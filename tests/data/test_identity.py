"""What data a source gives, as a resumed run compares it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from fkit.data.dataset import Digits, ImageFiles
from fkit.data.digest import digest_of_arrays
from fkit.data.folder import ImageFolder
from fkit.data.identity import changes, describe
from fkit.data.loader import Loader
from fkit.data.source import Source
from fkit.structures.batch import Batch
from fkit.tree.error import FkitError


def tree(root: Path, names: tuple[str, ...] = ("cat/a.png", "dog/b.png", "dog/c.png")) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def said(dataset: Any) -> dict[str, Any]:
    return json.loads(json.dumps(describe(Loader(dataset))))


def test_a_folder_is_known_by_its_files_and_may_move(tmp_path: Path):
    before = said(ImageFolder(tree(tmp_path / "a")))
    assert before.items() >= {"batches": 3, "samples": 3, "classes": ["cat", "dog"]}.items()
    shutil.move(tmp_path / "a", tmp_path / "b")
    moved = said(ImageFolder(str(tmp_path / "b") + "/"))
    assert moved == before and changes(before, moved) == ()
    files = [tmp_path / "b/cat/a.png", tmp_path / "b/dog/b.png"]
    then = said(ImageFiles(files))
    shutil.move(tmp_path / "b", tmp_path / "c")
    assert said(ImageFiles([str(path).replace("/b/", "/c/", 1) for path in files])) == then


@pytest.mark.parametrize(
    ("names", "lines"),
    [
        (
            ("cat/a.png", "dog/b.png", "dog/c.png", "emu/a.png"),
            ("classes: 'emu' is new", "samples: 3 -> 4", "batches: 3 -> 4"),
        ),
        (("cat/a.png", "fox/b.png", "fox/c.png"), ("classes: 'dog' is gone, 'fox' is new",)),
        (("cat/a.png", "dog/b.png"), ("samples: 3 -> 2", "batches: 3 -> 2")),
        (("cat/a.png", "dog/b.png", "dog/d.png"), ("the samples are others, as many as before (digest",)),
        (("cat/a.png", "cat/c.png", "dog/b.png"), ("the samples are others, as many as before (digest",)),
    ],
)
def test_what_changed_is_shown(tmp_path: Path, names: tuple[str, ...], lines: tuple[str, ...]):
    before, now = said(ImageFolder(tree(tmp_path / "a"))), said(ImageFolder(tree(tmp_path / "b", names)))
    found = changes(before, now)
    assert len(found) == len(lines) and all(a.startswith(b) for a, b in zip(found, lines, strict=True))


def test_classes_in_another_order_are_shown(tmp_path: Path):
    root = tree(tmp_path)
    before, now = said(ImageFolder(root)), said(ImageFolder(root, classes=["dog", "cat"]))
    assert changes(before, now) == ("classes: they are in another order, so labels mean others",)


def test_many_classes_are_cut(tmp_path: Path):
    old, new = {"classes": [str(n) for n in range(40)]}, {"classes": ["0"]}
    assert changes(old, new) == (
        "classes: '1' is gone, '2' is gone, '3' is gone, '4' is gone, '5' is gone, and 34 more",
    )


def test_arrays_are_known_by_their_bytes():
    train, test = said(Digits("train")), said(Digits("test"))
    assert train == said(Digits("train")) and train["digest"] != test["digest"]
    batches = [Batch(np.full((2, 1), n), {"gt_label": np.array([0, 1])}) for n in range(3)]
    before = describe(Source.of(batches))
    assert before.items() >= {"batches": 3, "samples": 6}.items() and "classes" not in before
    assert before == describe(Source.of([Batch(one.inputs.copy(), one.targets) for one in batches]))
    other = [*batches[:2], replace(batches[2], targets={"gt_label": np.array([0, 2])})]
    assert changes(before, describe(Source.of(other)))[0].startswith("the samples are others")


def test_of_large_arrays_first_and_last_are_read():
    large = np.zeros((5, 1 << 22), np.uint8)
    before = digest_of_arrays([large])
    for place in ((0, 0), (4, -1)):
        large[place] = 1
        assert digest_of_arrays([large]) != before
        large[place] = 0
    assert digest_of_arrays([large]) == before
    strided = np.zeros((1 << 22, 10), np.uint8)[:, ::2]
    assert digest_of_arrays([strided]) == digest_of_arrays([strided.copy()])
    assert digest_of_arrays([np.zeros(2, np.int32)]) != digest_of_arrays([np.zeros(1, np.int64)])


class Own:
    """A dataset as others write them."""

    classes = ("a", "b")

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        return np.float32([index]), 0


class Marked(Own):
    def __init__(self, fingerprint: Any) -> None:
        self.fingerprint = fingerprint


def test_of_a_users_dataset_what_it_says_is_taken():
    assert said(Own()) == {"batches": 4, "samples": 4, "classes": ["a", "b"]}
    assert said(Marked("v1"))["digest"] == "v1" == said(Marked(lambda: "v1"))["digest"]
    assert changes(said(Own()), said(Marked("v1"))) == ()
    with pytest.raises(FkitError, match=r"Marked\.fingerprint is 3, not text"):
        describe(Loader(Marked(3)))


class Kept(Own):
    """A dataset that keeps something by torchvision's custom."""

    def __init__(self, **kept: Any) -> None:
        vars(self).update(kept)


def test_torchs_and_torchvisions_datasets_are_known_by_what_they_keep():
    numbers = torch.arange(4.0)[:, None], torch.arange(4)
    one, same, other = (said(TensorDataset(*numbers[:1], numbers[1] % k)) for k in (4, 5, 3))
    assert one == same and changes(one, other)[0].startswith("the samples are others")
    folder, moved = (said(Kept(root=root, samples=[(f"{root}/cat/a.png", 0)])) for root in ("/a", "/b"))
    relabelled = said(Kept(root="/a", samples=[("/a/cat/a.png", 1)]))
    assert folder == moved != relabelled and len(folder["digest"]) == 32
    arrays, targets = np.zeros((4, 8, 8), np.uint8), [0, 1, 2, 3]
    assert said(Kept(data=arrays, targets=targets)) != said(Kept(data=arrays, targets=[0, 1, 2, 2]))
    assert "digest" not in said(Kept(samples=[({"path": "a.png"}, 0)])) and "digest" not in said(Kept(data=[1, 2]))


class Stream(Source):
    """A user's source."""

    @property
    def length(self) -> int:
        return 2

    def batches(self, epoch: int, start: int = 0) -> Any:
        return iter([Batch(np.zeros((1, 1)))] * (2 - start))


def test_of_a_users_source_its_length_is_taken():
    assert describe(Stream()) == {"batches": 2}
    with pytest.raises(FkitError, match="`source` is a source"):
        describe([1])  # type: ignore[arg-type]
