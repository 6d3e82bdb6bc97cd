"""What a detector knows of each image: from targets, else from the inputs; on every library."""

import numpy as np
import torch

from fkit.array.ops import Numpy
from fkit.backend.torch.ops import Torch
from fkit.detection.image import shapes_of
from fkit.structures.batch import Samples
from fkit.training.preprocess import DetDataPreprocessor


def test_each_image_is_padded_to_the_divisor_by_itself():
    pre = DetDataPreprocessor(pad_size_divisor=32)
    samples = Samples(
        {"input_shape": np.array([[213, 320], [240, 320]]), "img_shape": np.array([[213, 320], [240, 320]])}
    )
    inputs, samples = pre(Numpy(), np.zeros((2, 3, 256, 320), np.float32), samples)
    assert samples.targets["pad_shape"].tolist() == [[224, 320], [256, 320]]
    shapes = shapes_of(Numpy(), samples, inputs)
    assert shapes.img.tolist() == [[213, 320], [240, 320]]
    assert shapes.pad.dtype == np.float32


def test_a_batch_that_says_nothing_has_the_sizes_of_its_inputs():
    shapes = shapes_of(Torch(), None, torch.zeros(2, 3, 8, 6, dtype=torch.float64))
    assert shapes.img.dtype == torch.float64
    assert [part.tolist() for part in shapes] == [[[8, 6]] * 2, [[8, 6]] * 2, [[1, 1]] * 2]
