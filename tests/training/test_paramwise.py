"""``paramwise_cfg``: what the book ``optim`` does not hold; deformable convolutions, shared layers, what is refused."""

from typing import Any

import pytest

from fkit.training.inventory import Entry, Inventory, is_deformable, kind_of
from fkit.training.paramwise import forced_default, mmcv_default, mmengine_default
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError

BASE = {"lr": 0.1, "weight_decay": 0.01}
RULES = [mmengine_default, mmcv_default, forced_default]


def entry(name: str, shape: tuple[int, ...] = (4, 4), kind: str = "", trainable: bool = True) -> Entry:
    return Entry(name, shape, "float32", "", False, trainable, kind)


DEFORMED = Inventory(
    (
        entry("conv2.weight"),
        entry("conv2.bias", (4,)),
        entry("conv2.conv_offset.weight", kind="offset"),
        entry("conv2.conv_offset.bias", (4,), kind="offset"),
        entry("bn.bias", (4,), kind="norm"),
    )
)


def rows(rule: Any, inventory: Inventory, **cfg: Any) -> dict[str, dict[str, Any]]:
    return {row.pop("params"): row for row in rule(inventory, BASE, cfg)}


@pytest.mark.parametrize("rule", RULES)
def test_offsets_have_a_rate_of_their_own_and_no_key_of_biases(rule: Any) -> None:
    made = rows(rule, DEFORMED, dcn_offset_lr_mult=0.5, bias_lr_mult=2.0, bias_decay_mult=0.0)
    assert made["conv2.conv_offset.weight"] == made["conv2.conv_offset.bias"] == {"lr": 0.05}
    assert made["conv2.bias"] == {"lr": 0.2, "weight_decay": 0.0}  # the deformable convolution's own
    assert made["conv2.weight"] == {} and "lr" not in made["bn.bias"]


def test_kinds_of_layers() -> None:
    offset = {"norm": False, "conv": True, "depthwise": False, "deformed": True}
    assert kind_of("a.conv_offset", **offset) == "offset" and kind_of("a.mask", **offset) == "dcn"
    assert kind_of("a", norm=False, conv=True, depthwise=True, deformed=False) == "dwconv"

    class DeformConv2d: ...

    class Pack(DeformConv2d): ...

    assert is_deformable(Pack) and not is_deformable(dict)


@pytest.mark.parametrize("rule", RULES)
def test_a_layer_twice_in_one_list_is_one_layer(rule: Any) -> None:
    """Deformable DETR's heads: one layer, several times in a ModuleList; torch meets its parameters once."""
    entries = (entry("head.0.weight"), entry("head.0.bias", (4,)), entry("other.weight"))
    aliases = (("head.1.weight", "head.0.weight"), ("head.1.bias", "head.0.bias"))
    once = Inventory(entries, (), aliases, repeats=("head.1",))
    assert set(rows(rule, once, bias_lr_mult=2.0)) == {"head.0.weight", "head.0.bias", "other.weight"}
    with pytest.raises(FkitValueError, match=r"'head.0.weight' is 'head.1.weight' too(.|\n)*bypass_duplicate=True"):
        rows(rule, Inventory(entries, (), aliases), bias_lr_mult=2.0)
    assert rows(rule, Inventory(entries, (), aliases), bias_lr_mult=2.0, bypass_duplicate=True)["head.0.bias"] == {
        "lr": 0.2
    }


def test_forced_defaults_go_over_custom_keys() -> None:
    """RTMO's configs: the rate by the key, the decay of norms and biases by their kind all the same."""
    model = Inventory(
        (entry("neck.encoder.norm.weight", (4,), "norm"), entry("neck.encoder.fc.weight"), entry("fc.bias", (4,)))
    )
    cfg = {"norm_decay_mult": 0, "bias_decay_mult": 0, "custom_keys": {"neck.encoder": {"lr_mult": 0.05}}}
    made = rows(forced_default, model, force_default_settings=True, **cfg)
    assert made["neck.encoder.norm.weight"] == {"lr": 0.1 * 0.05, "weight_decay": 0}
    assert made["neck.encoder.fc.weight"] == {"lr": 0.1 * 0.05} and made["fc.bias"] == {"weight_decay": 0}
    assert "weight_decay" not in rows(forced_default, model, **cfg)["neck.encoder.norm.weight"]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("options", "cfg", "error", "text"),
    [
        (BASE, {"norm_decay_mul": 0}, FkitTypeError, "norm_decay_mul is unknown(.|\n)*Did you mean 'norm_decay_mult'"),
        (BASE, {"bias_lr_mult": "2"}, FkitTypeError, "paramwise_cfg.bias_lr_mult = '2' is text"),
        (BASE, {"custom_keys": {"a": 0.1}}, FkitTypeError, "custom_keys.a = 0.1 is not a mapping"),
        (BASE, {"custom_keys": {"a": {"lr_mult": "x"}}}, FkitTypeError, "custom_keys.a.lr_mult = 'x' is text"),
        ({"lr": 0.1}, {"norm_decay_mult": 0}, FkitValueError, "norm_decay_mult multiplies the optimizer's weight_decay"),
        ({"weight_decay": 0.1}, {"bias_lr_mult": 2}, FkitValueError, "bias_lr_mult = 2 multiplies the optimizer's lr"),
    ],
)  # fmt: skip
def test_what_is_refused(rule: Any, options: Any, cfg: Any, error: type[FkitError], text: str) -> None:
    with pytest.raises(error, match=text):
        rule(DEFORMED, options, cfg)
