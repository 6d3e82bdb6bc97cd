"""Layer-wise decay on the parameters of released models: the learning rate of each by the rules of its package.

The names, shapes and frozen ones are those of ten released configs that name these constructors (mmdet 3.3, mmseg 1.2, mmpose 1.3,
mmpretrain 1.2), as the reference builds them.
"""

import gzip
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from frozendict import frozendict

from fkit.training.depth import depth_of, mmpose_layers, mmpretrain_layers, mmseg_layers, mmseg_vit_layers
from fkit.training.inventory import Entry, Inventory
from fkit.training.optimizer import Optimizer
from fkit.training.paramwise import forced_default, mmcv_default
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, FkitValueError

BASE = {"lr": 1.0, "weight_decay": 0.05}


@cache
def models() -> Mapping[str, Any]:
    file = Path(__file__).parent / "data" / "inventory.json.gz"
    return frozendict(json.loads(gzip.decompress(file.read_bytes())))


def inventory(name: str) -> Inventory:
    """Norms by their names, as these models have them."""
    model = models()[name]

    def kind(name: str) -> str:
        layer = name.rpartition(".")[0].rpartition(".")[2]
        return "norm" if layer.startswith(("norm", "ln", "bn")) else ""

    frozen = set(model["frozen"])
    return Inventory(
        tuple(
            Entry(name, tuple(shape), "float32", "", False, name not in frozen, kind(name))
            for name, shape in model["parameters"]
        )
    )


def settings(make: Any, model: str, **cfg: Any) -> dict[str, Mapping[str, Any]]:
    """{parameter: what is set of it}; every trained one has a row."""
    held = inventory(model)
    made = {row["params"]: row for row in make(held, BASE, cfg)}
    assert list(made) == [entry.name for entry in held.entries if entry.trainable]
    optimizer = Optimizer.of("AdamW", BASE, constructor=lambda inventory: make(inventory, BASE, cfg)).on(held, made)
    assert optimizer.count == len({(row["lr"], row["weight_decay"]) for row in made.values()})  # few, for hundreds
    return made


def rates(made: Mapping[str, Mapping[str, Any]], start: str) -> set[float]:
    """The learning rates of those whose names begin so."""
    found = {row["lr"] for name, row in made.items() if name.startswith(start)}
    assert found, start
    return found


@pytest.mark.parametrize("model", ["mmpretrain/vit-b", "mmpose/vit-s", "mmseg/beit-b"])
def test_a_vit_by_layer(model: str) -> None:
    """lr = base * rate ** (layers - 1 - depth), layers = 12 + 2: the stem 13 steps below the head, block i 12 - i."""
    make, cfg = {
        "mmpretrain/vit-b": (mmpretrain_layers, {"layer_decay_rate": 0.5}),
        "mmpose/vit-s": (mmpose_layers, {"layer_decay_rate": 0.5, "num_layers": 12}),
        "mmseg/beit-b": (mmseg_vit_layers, {"layer_decay_rate": 0.5, "num_layers": 12}),
    }[model]
    made = settings(make, model, **cfg)
    assert rates(made, "backbone.patch_embed") == {0.5**13}
    for block in range(12):
        assert rates(made, f"backbone.layers.{block}.") == {0.5 ** (12 - block)}
    if model != "mmpose/vit-s":
        assert rates(made, "backbone.cls_token") == {0.5**13}
    beside = [name for name in made if not name.startswith("backbone.")]
    assert {made[name]["lr"] for name in beside} == {1.0}
    final = [name for name in made if name.startswith(("backbone.ln", "backbone.norm"))]
    assert {made[name]["lr"] for name in final} <= {1.0}


def test_the_weight_decay_of_each_package() -> None:
    """mmseg and mmpose: none for biases and one axis, in mmpose none for position embeddings; mmpretrain: by its keys."""
    seg = settings(mmseg_vit_layers, "mmseg/beit-b", layer_decay_rate=0.9, num_layers=12)
    pose = settings(mmpose_layers, "mmpose/vit-s", layer_decay_rate=0.9, num_layers=12)
    for made, model in ((seg, "mmseg/beit-b"), (pose, "mmpose/vit-s")):
        flat = {
            entry.name for entry in inventory(model).entries if len(entry.shape) == 1 or entry.name.endswith(".bias")
        }
        bare = {name for name, row in made.items() if row["weight_decay"] == 0.0}
        assert bare - flat == ({"backbone.pos_embed"} if made is pose else set()) and flat <= bare
    custom = {".ln": {"decay_mult": 0.0}, ".bias": {"decay_mult": 0.0}, ".cls_token": {"decay_mult": 0.0}}
    vit = settings(mmpretrain_layers, "mmpretrain/vit-b", layer_decay_rate=0.65, custom_keys=custom)
    expected = {name: 0.0 if any(key in name for key in custom) else 0.05 for name in vit}
    assert {name: row["weight_decay"] for name, row in vit.items()} == expected
    by_kind = settings(
        mmpretrain_layers, "mmpretrain/vit-b", norm_decay_mult=0.5, bias_decay_mult=0.25, flat_decay_mult=0.0
    )
    assert by_kind["backbone.layers.0.ln1.bias"]["weight_decay"] == 0.025  # norm before bias before flat
    assert by_kind["head.fc.bias"]["weight_decay"] == 0.0125
    assert by_kind["head.fc.weight"] == {"params": "head.fc.weight", "weight_decay": 0.05, "lr": 1.0}


def test_swin_counts_its_blocks_through_all_stages() -> None:
    """Depths 2, 2, 18, 2: 26 layers with stem and head; what merges patches goes with the last block of its stage."""
    made, firsts = settings(mmpretrain_layers, "mmpretrain/swin-b", layer_decay_rate=0.5), (0, 2, 4, 22)
    assert rates(made, "backbone.patch_embed") == {0.5**25} and rates(made, "head") == {1.0} == rates(
        made, "backbone.norm3"
    )
    for stage, first in enumerate(firsts):
        assert rates(made, f"backbone.stages.{stage}.blocks.0.") == {0.5 ** (24 - first)}
    assert rates(made, "backbone.stages.2.blocks.17.") == {0.5**3} == rates(made, "backbone.stages.2.downsample.")


def test_mixmim_has_its_last_norm_a_layer_below_the_head() -> None:
    made = settings(mmpretrain_layers, "mmpretrain/mixmim-b", layer_decay_rate=0.5)
    assert "backbone.absolute_pos_embed" not in made  # frozen
    assert rates(made, "backbone.patch_embed") == {0.5**25} and rates(made, "backbone.norm") == {0.5}
    assert rates(made, "backbone.layers.1.downsample.") == {0.5**21} == rates(made, "backbone.layers.1.blocks.1.")
    assert rates(made, "head") == {1.0} and depth_of(made)("neck.fc.weight") == (24, 26)


@pytest.mark.parametrize(
    ("make", "model", "cfg"),
    [
        (mmpretrain_layers, "mmpretrain/convnextv2-t", {"layer_decay_rate": 0.5}),
        (mmseg_layers, "mmdet/convnext-t", {"decay_rate": 0.5, "decay_type": "layer_wise", "num_layers": 6}),
    ],
)
def test_convnext_by_layer(make: Any, model: str, cfg: dict[str, Any]) -> None:
    """8 layers: stem, first stage, second, three blocks a layer in the third, the fourth whole, head."""
    made = settings(make, model, **cfg)
    expected = {
        "downsample_layers.0": 7, "downsample_layers.1": 5, "downsample_layers.2": 4, "downsample_layers.3": 1,
        "stages.0": 6, "stages.1": 5, "stages.2.0": 4, "stages.2.2": 4, "stages.2.3": 3, "stages.2.6": 2, "stages.2.8": 2,
        "stages.3": 1, "norm3": 0,
    }  # fmt: skip
    for start, below in expected.items():
        assert rates(made, f"backbone.{start}.") == {0.5**below}, start
    assert {row["lr"] for name, row in made.items() if not name.startswith("backbone.")} == {1.0}


def test_convnext_by_stage() -> None:
    """mmseg: the stem with every downsampling 7 steps below the head (num_layers 6 and 2), stage i 6 - i."""
    made = settings(mmseg_layers, "mmseg/convnext-t", decay_rate=0.5, decay_type="stage_wise", num_layers=6)
    assert rates(made, "backbone.downsample_layers.") == {0.5**7} and rates(made, "backbone.norm") == {1.0}
    assert [rates(made, f"backbone.stages.{i}.") for i in range(4)] == [{0.5 ** (6 - i)} for i in range(4)]


def test_resnet_by_pairs_and_threes_of_blocks() -> None:
    """ResNet-50: stem, layer1, two of layer2, two of layer3, layer4, head: 8 layers."""
    made = settings(mmpretrain_layers, "mmpretrain/resnet50", layer_decay_rate=0.5)
    expected = {
        "conv1": 7, "bn1": 7, "layer1": 6, "layer2.0": 5, "layer2.1": 5, "layer2.2": 4, "layer2.3": 4,
        "layer3.2": 3, "layer3.3": 2, "layer3.5": 2, "layer4": 1,
    }  # fmt: skip
    for start, below in expected.items():
        assert rates(made, f"backbone.{start}.") == {0.5**below}, start
    assert rates(made, "head") == {1.0}


def test_rtmo_by_the_forced_default() -> None:
    made = settings_of_rtmo()
    inside = {name: row for name, row in made.items() if "neck.encoder" in name}
    assert inside and all(row["lr"] == 0.05 for row in inside.values())
    assert all("lr" not in row for name, row in made.items() if name not in inside)
    biases = [name for name in made if name.endswith(".bias")]
    assert {made[name].get("weight_decay") for name in biases} == {0.0}


def settings_of_rtmo() -> dict[str, Mapping[str, Any]]:
    cfg = {
        "norm_decay_mult": 0, "bias_decay_mult": 0, "bypass_duplicate": True, "force_default_settings": True,
        "custom_keys": {"neck.encoder": {"lr_mult": 0.05}},
    }  # fmt: skip
    return {row["params"]: row for row in forced_default(inventory("mmpose/rtmo-s"), BASE, cfg)}


@pytest.mark.parametrize(
    ("make", "model", "options", "cfg", "error", "text"),
    [
        (mmseg_layers, "mmdet/convnext-t", BASE, {"decay_rate": 0.9}, FkitKeyError, "paramwise_cfg.num_layers is missing"),
        (mmseg_layers, "mmdet/convnext-t", BASE, {"decay_rate": 0.9, "num_layer": 6}, FkitTypeError, "Did you mean 'num_layers'"),
        (mmseg_layers, "mmdet/convnext-t", {"lr": 1.0}, {"decay_rate": 0.9, "num_layers": 6}, FkitValueError, "gives the optimizer none"),
        (mmseg_layers, "mmdet/convnext-t", {"weight_decay": 0.1}, {"decay_rate": 0.9, "num_layers": 6}, FkitValueError, "optimizer's lr"),
        (mmseg_layers, "mmpretrain/swin-b", BASE, {"decay_rate": 0.9, "num_layers": 6}, FkitValueError, "knows ConvNeXt"),
        (mmseg_layers, "mmseg/beit-b", BASE, {"decay_rate": 0.9, "num_layers": 12, "decay_type": "stage_wise"}, FkitValueError, "does not know the layers"),
        (mmpretrain_layers, "mmpose/rtmo-s", BASE, {"layer_decay_rate": 0.9}, FkitValueError, "Register a constructor of your own"),
        (mmpretrain_layers, "mmpretrain/vit-b", BASE, {"layer_decay_rate": 0}, FkitValueError, "layer_decay_rate = 0 is not a number above 0"),
    ],
)  # fmt: skip
def test_what_is_refused(make: Any, model: str, options: Any, cfg: Any, error: type[FkitError], text: str) -> None:
    with pytest.raises(error, match=text):
        make(inventory(model), options, cfg)


def test_the_keys_of_swins_released_configs_by_mmcvs_rule() -> None:
    """No decay for norms and bias tables: the key is a part of the name, and no other key counts where one fits."""
    keys = {name: {"decay_mult": 0.0} for name in ("absolute_pos_embed", "relative_position_bias_table", "norm")}
    made = {row["params"]: row for row in mmcv_default(inventory("mmpretrain/swin-b"), BASE, {"custom_keys": keys})}
    bare = {name for name, row in made.items() if row.get("weight_decay") == 0.0}
    assert bare == {name for name in made if any(key in name for key in keys)} and len(bare) > 40
    assert all(set(row) == {"params"} for name, row in made.items() if name not in bare)
