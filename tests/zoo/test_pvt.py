"""Pyramid vision transformers: names and numbers, equal on torch and JAX."""

from typing import Any

import numpy as np
import pytest

import fkit
from fkit.backend.torch.template import inventory_of
from fkit.training.initialise import initial
from fkit.training.older import older
from fkit.tree.error import FkitError

_SMALL: dict[str, Any] = {
    "num_layers": [2, 1], "num_stages": 2, "embed_dims": 4, "num_heads": [1, 2], "strides": [4, 2], "sr_ratios": [2, 1],
    "mlp_ratios": [2, 2], "out_indices": [0, 1],
}  # fmt: skip
_FIRST = {"patch_sizes": [4, 2], "paddings": [0, 0], "pretrain_img_size": (24, 32)}
_SECOND = {"patch_sizes": [7, 3], "paddings": [3, 1]}


def _v1(**more: Any) -> dict[str, Any]:
    return {"type": "PyramidVisionTransformer", **_SMALL, **_FIRST, **more}


def _v2(**more: Any) -> dict[str, Any]:
    more = {"use_abs_pos_embed": False, "norm_after_stage": True, "use_conv_ffn": True, **more}
    return {"type": "PyramidVisionTransformer", **_SMALL, **_SECOND, **more}


@pytest.mark.parametrize(
    "cfg",
    [_v1(), _v1(qkv_bias=False, act_cfg={"type": "ReLU"}), _v2(out_indices=[1])],
    ids=["first", "no bias", "second"],
)
def test_twins(cfg: Any, built_twins: Any, maps: Any) -> None:
    built_twins(cfg, maps((3,), (24, 20))[0])


def test_the_second_version() -> None:
    model = fkit.build(
        {"type": "PyramidVisionTransformerV2", "embed_dims": 8}, fkit.registry(), "models", backend="torch"
    )
    names = list(model.state_dict())
    assert "layers.0.1.0.ffn.layers.1.weight" in names and "layers.3.2.weight" in names
    assert not any("pos_embed" in name for name in names)
    assert model.layers[0][0].projection.kernel_size == (7, 7)
    cfg = {"type": "PyramidVisionTransformerV2", "init_cfg": {"checkpoint": "pvt_v2_b0.pth"}}
    made = [fkit.build(cfg, fkit.registry(), "models", backend=backend) for backend in ("torch", "jax")]
    assert dict(made[0].init_cfg) == dict(made[1].init_rules) == {"type": "Pretrained", "checkpoint": "pvt_v2_b0.pth"}


def _start(cfg: Any) -> Any:
    made = fkit.build(cfg, fkit.registry(), "models", backend="torch")
    return initial(inventory_of(made, "float32"), lambda seed: {}, 0)


def test_where_it_starts() -> None:
    first = _start(_v1(embed_dims=32))
    places, inner = first["params/layers.0.1.0.pos_embed"], first["params/layers.1.1.1.attn.attn.in_proj_weight"]
    assert 0.015 < places.std() < 0.025 and abs(inner).max() <= (6 / (4 * 64)) ** 0.5 and inner.std() > 0.08
    assert 0.015 < first["params/layers.1.1.1.attn.attn.out_proj.weight"].std() < 0.025
    second = _start(_v2(embed_dims=32))
    # a filter a channel: the fan is 9, whatever the number of channels
    assert second["params/layers.1.1.0.ffn.layers.1.weight"].std() == pytest.approx((2 / 9) ** 0.5, rel=0.1)
    assert second["params/layers.1.1.0.ffn.layers.0.weight"].std() == pytest.approx((2 / 128) ** 0.5, rel=0.1)


def test_weights_of_the_original_repository() -> None:
    for cfg, version in ((_v1(), 1), (_v2(), 2)):
        model = fkit.build(cfg, fkit.registry(), "models", backend="torch")
        state = {name: array.numpy() for name, array in model.state_dict().items()}
        rng = np.random.default_rng(0)
        state = {name: rng.normal(size=array.shape).astype(np.float32) for name, array in state.items()}
        found = older(inventory_of(model, "float32"), _original(state, version))
        assert set(found) == set(state)
        for name, array in state.items():
            np.testing.assert_array_equal(found[name], array)


def _original(state: dict[str, Any], version: int) -> dict[str, Any]:
    """A state under the original repository's names, with a classifier's."""
    old: dict[str, Any] = {"head.weight": np.zeros(1), "cls_token": np.zeros(1), "norm.weight": np.zeros(1)}
    for name, array in state.items():
        _, stage, part, *more = name.split(".")
        number, leaf = int(stage) + 1, ".".join(more)
        if part == "0":
            old[f"patch_embed{number}.{leaf.replace('projection', 'proj')}"] = array
        elif part == "2":
            old[f"norm{number}.{leaf}"] = array
        elif leaf == "0.pos_embed":
            old[f"pos_embed{number}"] = array
        else:
            block, _, inner = leaf.partition(".")
            head = f"block{number}.{int(block) - (version == 1)}."
            if "in_proj" in inner:
                at, kind = array.shape[0] // 3, inner.rpartition("_")[2]
                old[f"{head}attn.q.{kind}"], old[f"{head}attn.kv.{kind}"] = array[:at], array[at:]
                continue
            last = "4" if version == 2 else "3"
            inner = inner.replace("attn.attn.out_proj", "attn.proj").replace("ffn.layers.0.", "mlp.fc1.")
            inner = inner.replace(f"ffn.layers.{last}.", "mlp.fc2.").replace("ffn.layers.1.", "mlp.dwconv.dwconv.")
            old[head + inner] = (
                array.reshape(array.shape[:2]) if inner.endswith(("fc1.weight", "fc2.weight")) else array
            )
    return old


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"strides": [4]}, "strides=\\[4\\]: one of each of the 2 stages"),
        ({"out_indices": [2]}, "but there are 2 stages"),
        ({"num_heads": [0, 2]}, "at least 1"),
        ({"act_cfg": {"type": "GLU"}}, "Did you mean 'GELU'"),
        ({"pretrained": "a.pth", "init_cfg": {"type": "Pretrained", "checkpoint": "b.pth"}}, "both given"),
    ],
)
def test_errors(backend: str, more: Any, text: str) -> None:
    with pytest.raises(FkitError, match=text):
        fkit.build(_v1(**more), fkit.registry(), "models", backend=backend)
