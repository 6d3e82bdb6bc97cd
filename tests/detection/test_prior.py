"""Priors and their masks."""

import numpy as np
import pytest

from fkit.array.ops import Numpy
from fkit.detection.anchor import SSDAnchorGenerator, YOLOAnchorGenerator
from fkit.detection.prior import AnchorGenerator, MlvlPointGenerator, inside
from fkit.tree.error import FkitError
from tests.golden.replay.arithmetic import LIBRARIES, opened, plain


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AnchorGenerator([4, 8], [1.0], [8.0], base_sizes=[4]), "base_sizes"),
        (lambda: AnchorGenerator([4], [1.0], [8.0], octave_base_scale=4, scales_per_octave=3), "both"),
        (lambda: AnchorGenerator([4], [1.0]), "neither"),
        (lambda: AnchorGenerator([4], [1.0], [8.0], center_offset=2.0), "center_offset"),
        (lambda: AnchorGenerator([4], [1.0], [8.0], centers=[(0, 0)], center_offset=0.5), "centers"),
        (lambda: AnchorGenerator([(4, 8, 16)], [1.0], [8.0]), "neither a number nor a pair"),
        (lambda: AnchorGenerator(4, [1.0], [8.0]), "strides"),
        (lambda: SSDAnchorGenerator([8, 16, 32], [[2]] * 3, input_size=400), "input_size"),
        (lambda: SSDAnchorGenerator([8], [[2]], min_sizes=[20]), "go together"),
        (lambda: YOLOAnchorGenerator([8, 16], [[(1, 2)], [(1, 2), (3, 4)]]), "equally many"),
    ],
)
def test_strides_and_sizes_that_contradict_are_refused(make, message):
    with pytest.raises(FkitError, match=message):
        make()


def test_as_many_maps_as_strides():
    with pytest.raises(FkitError, match="strides of 2 feature maps, and got 1"):
        AnchorGenerator([4, 8], [1.0], [8.0]).priors(Numpy(), [(2, 2)])


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("pad", [(16, 24), (17, 9), (1, 1), (99, 99)])
def test_priors_count_where_a_padded_image_reaches(library, pad):
    xp, generator = opened(library), AnchorGenerator([8], [0.5, 1.0], [2.0])
    found = plain(generator.valid(xp, [(4, 5)], xp.asarray(np.array(pad), "int64"))[0]).reshape(4, 5, 2)
    rows, columns = min(-(-pad[0] // 8), 4), min(-(-pad[1] // 8), 5)
    assert found[:rows, :columns].all() and found.sum() == rows * columns * 2


@pytest.mark.parametrize("library", LIBRARIES)
def test_points_are_in_the_middle_of_their_cells(library):
    points, few = MlvlPointGenerator([8, (16, 4)]).priors(opened(library), [(2, 2), (1, 2)])
    assert plain(points).tolist() == [[4, 4], [12, 4], [4, 12], [12, 12]]
    assert plain(few).tolist() == [[8, 2], [24, 2]]


def test_a_negative_border_lets_all_pass():
    boxes, valid = np.array([[-50.0, 0, 9, 9], [0, 0, 9, 9]]), np.array([True, False])
    assert inside(Numpy(), boxes, valid, (10, 10), -1).tolist() == [True, False]
    assert inside(Numpy(), boxes, valid, (10, 10), 0).tolist() == [False, False]
