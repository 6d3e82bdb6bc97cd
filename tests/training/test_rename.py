"""Older names of weights: what is found under them, and what is left alone."""

import numpy as np

from fkit.training.rename import renamed


def arrays(*names: str) -> dict[str, np.ndarray]:
    return {name: np.full(1, place) for place, name in enumerate(names)}


def test_predictions_of_anchor_free_heads_had_their_method_s_name() -> None:
    wanted = [f"bbox_head.conv_{what}.{leaf}" for what in ("cls", "reg", "centerness") for leaf in ("weight", "bias")]
    old = arrays(*(name.replace("conv_", "fcos_") for name in wanted), "neck.conv.weight")
    found = renamed([*wanted, "neck.conv.weight"], old)
    assert list(found) == [*wanted, "neck.conv.weight"]
    assert [int(array[0]) for array in found.values()] == list(range(7))


def test_a_head_goes_by_the_name_that_the_detector_has_for_it() -> None:
    for mine, other in (("bbox_head", "rpn_head"), ("rpn_head", "bbox_head")):
        assert list(renamed([f"{mine}.rpn_cls.weight"], arrays(f"{other}.rpn_cls.weight"))) == [
            f"{mine}.rpn_cls.weight"
        ]


def test_what_is_wanted_keeps_its_name() -> None:
    both = arrays("bbox_head.conv_cls.weight", "bbox_head.fcos_cls.weight")
    assert list(renamed(["bbox_head.conv_cls.weight"], both)) == list(both)
    wanted = ["bbox_head.conv_cls.weight", "bbox_head.atss_cls.weight"]
    assert list(renamed(wanted, arrays("bbox_head.atss_cls.weight"))) == ["bbox_head.atss_cls.weight"]
    two = arrays("rpn_head.rpn_cls.weight", "bbox_head.fc_cls.weight")
    assert list(renamed(["bbox_head.rpn_cls.weight"], two)) == list(two)
