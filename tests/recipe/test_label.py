"""The names of classes: one rule, in a stated order."""

from dataclasses import dataclass, field

import pytest

from fkit.catalog.builtin import registry
from fkit.config.config import Config
from fkit.recipe.label import class_names
from fkit.recipe.settings import read

RECORD = {"train": {"classes": ["learned", "too"]}, "val": {"classes": ["other"]}}


class OfItsClass:
    """mmengine's spelling; its files are not there."""

    METAINFO = {"classes": ("of", "class")}

    def __init__(self, **_):
        raise OSError("no files")


@dataclass(frozen=True)
class OfItsInstance:
    prefix: str = "i"
    pipeline: tuple = ()
    metainfo: dict = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "metainfo", {"classes": [self.prefix + "1", self.prefix + "2"]})


REGISTRY = registry().register("datasets", OfItsClass).register("datasets", OfItsInstance)


def names(record=None, **datasets):
    loaders = {f"{part}_dataloader": {"dataset": dataset} for part, dataset in datasets.items()}
    return class_names(read(Config(loaders)), REGISTRY, record)


@pytest.mark.parametrize(
    ("datasets", "record", "classes", "source"),
    [
        ({"test": {"type": "A", "classes": ["x"]}}, RECORD, ("x",), "test_dataloader.dataset.classes"),
        ({"test": {"type": "A", "classes": ["x"], "metainfo": {"classes": ["y"]}}}, None, ("x",), None),
        ({"test": {"type": "A", "metainfo": {"classes": ["y"]}}}, RECORD, ("y",), None),
        ({"test": {"type": "A"}, "val": {"type": "A", "classes": ["v"]}}, None, ("v",), None),
        ({"train": {"type": "A", "classes": ["t"]}, "val": {"type": "A", "classes": ["v"]}}, None, ("v",), None),
        ({"test": {"type": "Wrap", "dataset": {"type": "A", "classes": ["in"]}}}, None, ("in",), None),
        ({"test": {"type": "A", "classes": "names.txt"}}, RECORD, ("learned", "too"), "the checkpoint"),
        ({"test": {"type": "Digits"}}, RECORD, ("learned", "too"), "the checkpoint"),
        ({"test": {"type": "Digits"}}, {"val": {"classes": ["v"]}}, ("v",), "the checkpoint"),
        ({"test": {"type": "Digits"}}, {"train": {"samples": 3}}, tuple("0123456789"), "test_dataloader.dataset"),
        ({"test": {"type": "OfItsInstance", "prefix": "p"}}, None, ("p1", "p2"), "test_dataloader.dataset"),
        ({"test": {"type": "OfItsClass"}}, None, ("of", "class"), "test_dataloader.dataset"),
        (
            {"test": {"type": "NotThere"}, "val": {"type": "OfItsClass"}},
            None,
            ("of", "class"),
            "val_dataloader.dataset",
        ),
        ({"test": {"type": "NotThere"}}, None, (), ""),
        ({}, "no record", (), ""),
    ],
)
def test_the_first_that_knows_says_all(datasets, record, classes, source):
    found = names(record, **datasets)
    assert found.classes == classes and source in (None, found.source)


def test_what_was_learned_is_told_where_it_is_another():
    dataset = {"type": "A", "classes": ["x", "y"]}
    assert names(RECORD, test=dataset).learned == ("learned", "too")
    assert names({"train": {"classes": ["x", "y"]}}, test=dataset).learned == ()
    assert names(None, test=dataset).learned == ()


def test_a_label_without_a_name_is_its_number():
    found = names(None, test={"type": "A", "classes": ["x"]})
    assert (found.of(0), found.of(1)) == ("x", "1")
