"""SwinTransformer: both vocabularies, names, freezing, initial weights."""

from typing import Any

import numpy as np
import pytest
import torch

import fkit
from fkit.backend.torch.template import inventory_of
from fkit.training.initialise import initial
from fkit.tree.error import FkitError

_SMALL = {"type": "SwinTransformer", "depths": [2, 2], "num_heads": [1, 2], "strides": (4, 2), "out_indices": (0, 1)}


def made(**arguments: Any) -> Any:
    return fkit.build({**_SMALL, **arguments}, fkit.registry(), "models", backend="torch")


def test_both_vocabularies_make_one_model() -> None:
    new = made(embed_dims=8, use_abs_pos_embed=True, with_cp=True)
    old = made(embed_dim=8, ape=True, use_checkpoint=True)
    shapes = [{name: tuple(array.shape) for name, array in part.state_dict().items()} for part in (new, old)]
    assert shapes[0] == shapes[1] and shapes[0]["absolute_pos_embed"] == (1, 56 * 56, 8)
    assert new.stages[0].blocks[0].with_cp and old.stages[0].blocks[0].with_cp
    with pytest.raises(FkitError, match="one argument by two names"):
        made(embed_dims=8, embed_dim=8)


def test_a_pixel_sees_its_window_and_after_a_shift_the_windows_beside_it() -> None:
    """A change of one patch reaches, in one block, its window alone; of the shifted block's mask nothing crosses the edge."""
    model = made(embed_dims=8, window_size=4, out_indices=(0,), patch_norm=False).double().eval()
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    other = x.clone()
    other[..., :4, :4] += 1  # the first patch
    apart = (model(x)[0] != model(other)[0]).any(1)[0]
    # the first window in the first block; from there the shifted windows that meet it: 6 x 6, and no wrapped-round pixels
    assert apart[:6, :6].all() and apart.sum() == 36


@pytest.mark.parametrize("size", [(56, 56), (40, 72), (33, 50)])
def test_maps_of_any_size(size: tuple[int, int]) -> None:
    maps = made(embed_dims=8, use_abs_pos_embed=True, pretrain_img_size=56)(torch.zeros(1, 3, *size))
    rows, columns = -(-size[0] // 4), -(-size[1] // 4)
    assert [tuple(x.shape) for x in maps] == [(1, 8, rows, columns), (1, 16, -(-rows // 2), -(-columns // 2))]


def test_frozen_stages() -> None:
    model = made(embed_dims=8, frozen_stages=1, use_abs_pos_embed=True).train()
    still = {
        name.split(".")[0] + name.split(".")[1]
        for name, p in model.named_parameters()
        if "." in name and not p.requires_grad
    }
    assert still == {"patch_embedprojection", "patch_embednorm", "stages0", "norm0weight", "norm0bias"}
    assert not model.absolute_pos_embed.requires_grad and not model.stages[0].training and model.stages[1].training


def test_initial_weights() -> None:
    model = made(embed_dims=8, ape=True)
    own = {
        f"{'buffers' if name.endswith('index') else 'params'}/{name}": array.detach().numpy()
        for name, array in model.state_dict().items()
    }
    arrays = initial(inventory_of(model, "float32"), lambda _: own, 0)
    assert abs(arrays["params/stages.0.blocks.0.attn.w_msa.qkv.weight"].std() - 0.02) < 0.004
    assert abs(arrays["params/absolute_pos_embed"].std() - 0.02) < 0.001
    assert not arrays["params/stages.0.blocks.0.attn.w_msa.relative_position_bias_table"].any()
    assert np.array_equal(arrays["params/norm0.weight"], np.ones(8, np.float32))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_heads": [1]}, "2 depths, 1 num_heads"),
        ({"strides": (2, 2)}, "do not overlap"),
        ({"out_indices": (2,)}, "there are 2 stages"),
        ({"embed_dims": 9, "num_heads": [2, 2]}, "no multiple of its 2 heads"),
        ({"window_size": 0}, "at least 1"),
        ({"act_cfg": {"type": "GLU"}}, "Did you mean 'GELU'"),
    ],
)
def test_wrong_arguments(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(FkitError, match=told):
        made(**{"embed_dims": 8, **changes})
