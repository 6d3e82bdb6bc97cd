"""MultiImageMixDataset: what its steps fetch, and that its batches are a function of the seed alone."""

from typing import Any

import numpy as np
import pytest

import fkit
from fkit.array.room import open as open_room
from fkit.data.dataset import Dataset
from fkit.data.dataset.mix import MultiImageMixDataset
from fkit.data.loader import open_loader
from fkit.data.transform.compose import Compose
from fkit.data.transform.composition import Mixed
from fkit.data.transform.distortion import YOLOXHSVRandomAug
from fkit.data.transform.formatting import PackInputs
from fkit.data.transform.mixup import MixUp
from fkit.data.transform.mosaic import Mosaic
from fkit.data.transform.transform import Transform, replaced
from fkit.tree.error import FkitError


class Note(Transform):
    """Notes that it was there, and with what it began."""

    def __init__(self, name: str) -> None:
        self.name = name

    def apply(self, sample: Any, params: Any) -> Any:
        return replaced(sample, notes=(*sample.get("notes", ()), self.name))


class Look(Transform):
    """Keeps a fetched sample."""

    def draw(self, sample: Any, rng: Any, fetch: Any) -> Any:
        return fetch(int(rng.integers(len(fetch))))

    def apply(self, sample: Any, params: Any) -> Any:
        return replaced(sample, seen=(*sample.get("seen", ()), params))


class Odd(Transform):
    def apply(self, sample: Any, params: Any) -> Any:
        return sample if sample["sample_idx"] % 2 else None


def boxes(pipeline: Any = (), count: int = 8) -> Dataset:
    """Pictures of one grey each, with one box."""
    rows = [
        {
            "img": np.full((24, 32, 3), 20 * n, np.uint8),
            "gt_bboxes": np.array([[4, 4, 20, 16 + n % 4]], np.float32),
            "gt_bboxes_labels": np.array([n]),
            "gt_ignore_flags": np.array([False]),
        }
        for n in range(count)
    ]
    return Dataset.of(rows, pipeline=pipeline, classes=tuple("abcdefgh"))


def opened(dataset: Any, workers: int = 0, **more: Any) -> Any:
    cfg = {"dataset": dataset, "batch_size": 2, "shuffle": True, "num_workers": workers, **more}
    return open_loader(cfg, lambda kind, part: part, seed=3, spread=open_room("torch").workers)


def test_steps_fetch_what_the_inner_dataset_gives():
    mixed = MultiImageMixDataset(boxes([Note("load")]), [Note("first"), Look(), Note("second"), Look()])
    done = mixed.pipeline(mixed[3], np.random.default_rng(0), _Raw(mixed))
    assert done["notes"] == ("load", "first", "second")
    assert [one["notes"] for one in done["seen"]] == [("load",), ("load",)]
    plain = Compose([Note("load"), Note("first"), Look(), Note("second"), Look()])
    done = plain(mixed[3], np.random.default_rng(0), _Raw(mixed))
    assert [one["notes"] for one in done["seen"]] == [("load", "first"), ("load", "first", "second")]


class _Raw:
    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __call__(self, index: int) -> Any:
        return self.dataset[index]


def test_it_is_a_dataset_like_the_one_it_wraps():
    inner = boxes()
    mixed = MultiImageMixDataset(inner, [Mosaic((32, 24)), MixUp((32, 24))], skip_type_keys=["mmdet.MixUp"])
    assert len(mixed) == 8 and mixed.metainfo == inner.metainfo and mixed.max_refetch == 15
    assert mixed[5]["sample_idx"] == 5 and mixed.get_data_info(5)["gt_bboxes_labels"].tolist() == [5]
    assert mixed.pipeline.steps == (Mixed((Mosaic((32, 24)),)),)
    assert mixed == MultiImageMixDataset(inner, [Mosaic((32, 24))])
    assert mixed.fingerprint == MultiImageMixDataset(boxes(), []).fingerprint


def test_batches_are_the_same_for_any_number_of_workers_and_after_resume():
    steps = [Mosaic((32, 24)), MixUp((64, 48)), YOLOXHSVRandomAug(), PackInputs()]
    mixed = MultiImageMixDataset(boxes(), steps)
    want = [batch.inputs for batch in opened(mixed).batches(1)]
    assert len(want) == 4 and want[0].shape == (2, 3, 48, 64)
    assert not np.array_equal(want[0], want[1])
    for workers in (1, 4):
        got = [batch.inputs for batch in opened(mixed, workers).batches(1)]
        assert all(np.array_equal(one, other) for one, other in zip(got, want, strict=True))
    rest = [batch.inputs for batch in opened(mixed).batches(1, 2)]
    assert all(np.array_equal(one, other) for one, other in zip(rest, want[2:], strict=True))


def test_a_sample_that_the_inner_pipeline_drops_is_neither_given_nor_mixed():
    mixed = MultiImageMixDataset(boxes([Odd()]), [Look(), PackInputs(meta_keys=("sample_idx", "seen"))])
    for batch in opened(mixed).batches(0):
        for meta in batch.meta:
            assert meta["sample_idx"] % 2 and meta["seen"][0]["sample_idx"] % 2


def test_configs_build_it():
    cfg = {
        "type": "MultiImageMixDataset",
        "dataset": {"type": "Digits", "split": "test", "pipeline": [{"type": "ToUnit"}]},
        "pipeline": [{"type": "Mosaic", "img_scale": (8, 8)}, {"type": "RandomFlip", "prob": 0.5}],
    }
    built = fkit.build(cfg, fkit.registry(), "datasets", scope="mmdet")
    assert [type(step).__name__ for step in built.pipeline.steps] == ["ToUnit", "Mixed"]
    assert len(built) == 360


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: MultiImageMixDataset(boxes(), 3), "transforms is a list of transforms, not 3"),  # type: ignore[arg-type]
        (lambda: MultiImageMixDataset({"type": "A"}, []), "is not a dataset|is no dataset|no length"),
        (lambda: MultiImageMixDataset(boxes(), [], skip_type_keys="Mosaic"), "skip_type_keys is a list of names"),
        (lambda: MultiImageMixDataset(boxes(), [], max_refetch=0), "max_refetch = 0: at least 1"),
    ],
)
def test_wrong_arguments_are_refused(make: Any, said: str):
    with pytest.raises(FkitError, match=said):
        make()
