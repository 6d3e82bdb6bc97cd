"""The picture of a confusion matrix by value, and where a user finds it."""

import numpy as np
import pytest

import fkit
from fkit.edge.follow import follow
from fkit.edge.perform import Edge
from fkit.image import imread
from fkit.run.effect import DrawMatrix
from fkit.tree.error import FkitError
from fkit.visualize.mistake import confusion
from tests.run.small import config, registry


def shades(picture: np.ndarray) -> tuple[int, int]:
    """(pixels that are deep blue, that are red)."""
    red, _, blue = (picture[..., channel].astype(int) for channel in range(3))
    return int(((blue - red) > 90).sum()), int(((red - blue) > 25).sum())


def test_what_is_right_is_blue_and_what_is_wrong_is_red() -> None:
    right, wrong, some = (
        shades(confusion(matrix)) for matrix in ([[9, 0], [0, 9]], [[0, 9], [9, 0]], [[9, 0], [1, 8]])
    )
    assert right[0] > 5000 > right[1] == 0
    assert wrong[1] > 5000 > wrong[0] == 0
    assert 0 < some[1] < wrong[1]


@pytest.mark.parametrize("count", [1, 2, 10, 20, 80, 300])
def test_it_is_as_large_as_its_classes_need_and_no_larger(count: int) -> None:
    picture = confusion(
        np.eye(count, dtype=int) * 7, [f"a class of a very long name {number}" for number in range(count)]
    )
    assert 400 < picture.shape[0] < 1800
    assert 600 < picture.shape[1] < 1800
    assert (picture[:, -1] == 255).all()
    assert (picture[-1] == 255).all()
    assert shades(picture)[0] > 1000


@pytest.mark.parametrize(
    ("matrix", "classes", "said"),
    [
        ([[1, 2]], None, r"is \(K, K\) numbers"),
        ([["a"]], None, r"is \(K, K\) numbers"),
        ([[1, -2], [0, 1]], None, "0 or more"),
        ([[1, 0], [0, 1]], ("a",), "2 classes, and 1 names"),
    ],
    ids=["wide", "text", "negative", "names"],
)
def test_what_is_no_matrix_is_one_clear_error(
    matrix: list[list[int]], classes: tuple[str, ...] | None, said: str
) -> None:
    with pytest.raises(FkitError, match=said):
        confusion(matrix, classes)


def test_a_run_leaves_that_of_its_last_validation_beside_its_curves(tmp_path) -> None:  # pyright: ignore
    metrics = [dict(type="Accuracy"), dict(type="ConfusionMatrix", num_classes=10)]
    plan = fkit.plan(config(val_evaluator=metrics), registry())
    run, asked = fkit.begin(plan), []
    for _, effects in fkit.train(plan, run, fkit.open_data(plan)):
        asked += [effect for effect in effects if isinstance(effect, DrawMatrix)]
    assert [effect.step for effect in asked] == sorted({effect.step for effect in asked})
    assert asked[-1].matrix.shape == (10, 10)
    follow(Edge(tmp_path, plan, {"seed": plan.seed}), fkit.begin(plan), fkit.open_data(plan))
    assert (tmp_path / "curves.png").is_file()
    title = f"{tmp_path.name} · confusion matrix"
    drawn = confusion(asked[-1].matrix, asked[-1].classes, title)
    assert (imread(str(tmp_path / "confusion_matrix.png"), channel_order="rgb") == drawn).all()
