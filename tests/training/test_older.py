"""Weights of the original Swin transformer: converted, the model gives what the original arithmetic gives."""

import numpy as np
import pytest
import torch

import fkit
from fkit.backend.torch.template import inventory_of
from fkit.training.older import older


def _model(**options):
    small = {"depths": (1, 1), "num_heads": (1, 2), "strides": (4, 2), "out_indices": (0, 1), "embed_dim": 4}
    cfg = {"type": "SwinTransformer", "window_size": 2, **small, **options}
    return fkit.build(cfg, fkit.registry(), "models", backend="torch")


def _old(state, head):
    """Names and layouts as the original repository writes them."""
    answer = {}
    for name, value in state.items():
        array = np.random.default_rng(len(name)).normal(size=value.shape).astype(np.float32)
        name = name.replace("stages.", "layers.").replace("w_msa.", "").replace("projection", "proj")
        name = name.replace("ffn.layers.0.0.", "mlp.fc1.").replace("ffn.layers.1.", "mlp.fc2.")
        answer[head + name] = array
    return answer


@pytest.mark.parametrize("head", ["", "backbone."])
def test_names_of_the_original(head):
    model = _model()
    inventory = inventory_of(model, "float32")
    entries = tuple(entry._replace(name=head + entry.name) for entry in inventory.entries)
    weights = _old(model.state_dict(), head) | {f"{head}layers.0.blocks.0.attn_mask": np.zeros(3), "other": np.ones(2)}
    answer = older(inventory._replace(entries=entries), weights)
    assert set(answer) == {head + name for name in model.state_dict()} | {"other"}
    assert all(answer[entry.name].shape == entry.shape for entry in entries)


def test_a_merged_patch_is_the_original_s():
    """The original: the four pixels of a window, columns first, side by side, then norm and reduction."""
    model = _model().eval()
    weights = _old(model.state_dict(), "")
    answer = older(inventory_of(model, "float32"), weights)
    model.load_state_dict({name: torch.from_numpy(np.array(answer[name])) for name in model.state_dict()}, strict=True)
    x = torch.randn(1, 6, 4, 4)
    grid = x.reshape(1, 6, 4, 4)
    parts = [grid[:, 0::2, 0::2], grid[:, 1::2, 0::2], grid[:, 0::2, 1::2], grid[:, 1::2, 1::2]]
    norm = [torch.from_numpy(weights[f"layers.0.downsample.norm.{leaf}"]) for leaf in ("weight", "bias")]
    y = torch.nn.functional.layer_norm(torch.cat(parts, -1), (16,), *norm)
    want = y @ torch.from_numpy(weights["layers.0.downsample.reduction.weight"]).T
    got, size = model.stages[0].downsample(x.reshape(1, 24, 4), (6, 4))
    assert size == (3, 2)
    torch.testing.assert_close(got.reshape(1, 3, 2, 8), want, rtol=1e-5, atol=1e-5)


def test_tables_of_another_window_and_positions_as_maps():
    model = _model(window_size=4, ape=True, pretrain_img_size=16)
    inventory = inventory_of(model, "float32")
    table = np.random.default_rng(0).normal(size=(9, 1)).astype(np.float32)
    name = "stages.0.blocks.0.attn.w_msa.relative_position_bias_table"
    maps = np.random.default_rng(1).normal(size=(1, 4, 4, 4)).astype(np.float32)
    answer = older(inventory, {name: table, "absolute_pos_embed": maps})
    image = torch.from_numpy(table).T.reshape(1, 1, 3, 3)
    want = torch.nn.functional.interpolate(image, (7, 7), mode="bicubic").reshape(1, 49).T
    np.testing.assert_allclose(answer[name], want.numpy(), atol=1e-5)
    assert np.array_equal(answer["absolute_pos_embed"][0, 5], maps[0, :, 1, 1])
    same = {name: np.zeros((9, 3), np.float32)}
    assert older(inventory, same)[name].shape == (9, 3)
