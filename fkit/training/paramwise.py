"""``paramwise_cfg``: settings of parameters by the names and kinds of their layers, in mmengine's rules and in mmcv 1.x's.

A constructor is a pure function ``(inventory, options, paramwise_cfg) -> rows``: each row a mapping with ``params`` (a name or a
list of names) and what is set of them, as a torch parameter group has it. ``options`` are those of the optimizer that the config
gives. A parameter in no row has the optimizer's own options.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fkit.config.schema import ANYTHING, FLAG, Key, Shape, check, mapped, number, table
from fkit.training.inventory import Entry, Inventory
from fkit.tree.error import FkitValueError, quoted

__all__ = [
    "DEFAULT_KEYS",
    "Place",
    "Rows",
    "base_of",
    "check_paramwise",
    "custom_key",
    "forced_default",
    "mmcv_default",
    "mmengine_default",
    "places",
    "refuse_shared",
    "scaled",
]

Rows = list[dict[str, Any]]

_FACTOR = number()
_CUSTOM = mapped(
    mapped(ANYTHING, "a mapping such as dict(lr_mult=0.1)"), "a mapping of parts of names to their settings"
)
DEFAULT_KEYS: tuple[Key, ...] = (
    Key("custom_keys", _CUSTOM, doc="`{'backbone': dict(lr_mult=0.1, decay_mult=0.0)}`: by a part of the name; the longest that fits counts, and no other key then"),
    Key("norm_decay_mult", _FACTOR, doc="weight decay of normalisation layers, times this"),
    Key("bias_decay_mult", _FACTOR, doc="weight decay of biases, times this"),
    Key("bias_lr_mult", _FACTOR, doc="learning rate of biases outside normalisation, times this"),
    Key("dwconv_decay_mult", _FACTOR, doc="weight decay of depth-wise convolutions, times this"),
    Key("flat_decay_mult", _FACTOR, doc="weight decay of all parameters of one axis, times this; mmengine's rules alone"),
    Key("dcn_offset_lr_mult", _FACTOR, doc="learning rate of the offsets of deformable convolutions, times this"),
    Key("bypass_duplicate", FLAG, False, "take a parameter that two layers share once, under its first name"),
)  # fmt: skip
"""The keys of ``paramwise_cfg`` that mmengine's and mmcv 1.x's own constructors know."""

_PARAMWISE = table(*DEFAULT_KEYS)
_FORCED = table(*DEFAULT_KEYS, Key("force_default_settings", FLAG, False, "the other keys go over `custom_keys` too"))


class Place(NamedTuple):
    """A parameter as the rules see it.

    Attributes:
        entry: of the inventory.
        path: of its layer; "" is the model itself.
        leaf: its name there: "weight", "bias", "gamma".
    """

    entry: Entry
    path: str
    leaf: str


def places(inventory: Inventory) -> Iterator[Place]:
    """The parameters of a model, in order; frozen ones too, tied ones once."""
    for entry in inventory.entries:
        if not entry.buffer:
            path, _, leaf = entry.name.rpartition(".")
            yield Place(entry, path, leaf)


def mmengine_default(inventory: Inventory, options: Mapping[str, Any], paramwise_cfg: Mapping[str, Any]) -> Rows:
    """mmengine's ``DefaultOptimWrapperConstructor``: one of ``custom_keys``, or else the learning rate by `_rates` and the weight
    decay by the first of norm, bias, depth-wise, flat that is set and fits. Frozen parameters have no row.

    Raises:
        FkitError: an unknown key, or one of another shape; a decay to multiply and no ``weight_decay``; a parameter that two
            layers share, without ``bypass_duplicate``.

    Example:
        >>> model = Inventory((Entry("bn.weight", (4,), "float32", "BatchNorm2d", kind="norm"), Entry("fc.weight", (2, 4), "float32", "Linear")))
        >>> mmengine_default(model, {"lr": 0.1, "weight_decay": 0.01}, {"norm_decay_mult": 0.0})
        [{'params': 'bn.weight', 'weight_decay': 0.0}, {'params': 'fc.weight'}]
    """
    check_paramwise(paramwise_cfg, _PARAMWISE)
    return _mmengine(inventory, options, paramwise_cfg, forced=False)


def forced_default(inventory: Inventory, options: Mapping[str, Any], paramwise_cfg: Mapping[str, Any]) -> Rows:
    """mmpose's and mmseg's ``ForceDefaultOptimWrapperConstructor``: `mmengine_default`, where with ``force_default_settings`` the
    other keys go over what one of ``custom_keys`` sets.

    Raises:
        FkitError: as `mmengine_default`.
    """
    check_paramwise(paramwise_cfg, _FORCED)
    return _mmengine(inventory, options, paramwise_cfg, forced=bool(paramwise_cfg.get("force_default_settings")))


def _mmengine(inventory: Inventory, options: Mapping[str, Any], cfg: Mapping[str, Any], forced: bool) -> Rows:
    if not cfg:
        return []
    base = _based(options, cfg)
    refuse_shared(inventory, cfg)
    rows: Rows = []
    for place in places(inventory):
        if not place.entry.trainable:
            continue
        row: dict[str, Any] = {"params": place.entry.name}
        key = custom_key(cfg, f"{place.path}.{place.leaf}")
        if key is not None:
            row |= _custom(base, cfg["custom_keys"][key])
            row |= {
                name: value for name, value in cfg["custom_keys"][key].items() if name not in ("lr_mult", "decay_mult")
            }
        if key is None or forced:
            row |= _rates(place, base, cfg)
            factor = _decay(place, cfg)
            if base["weight_decay"] is not None and factor is not None:
                row["weight_decay"] = base["weight_decay"] * factor
        rows.append(row)
    return rows


def _decay(place: Place, cfg: Mapping[str, Any]) -> float | None:
    """What mmengine multiplies a parameter's weight decay by, custom keys aside."""
    kind = place.entry.kind
    deformed = kind in ("dcn", "offset")
    fitting = (
        ("norm_decay_mult", kind == "norm"),
        ("bias_decay_mult", place.leaf == "bias" and not deformed),
        ("dwconv_decay_mult", kind == "dwconv"),
        ("flat_decay_mult", len(place.entry.shape) == 1 and not deformed),
    )
    return next((cfg[name] for name, fits in fitting if fits and cfg.get(name) is not None), None)


def mmcv_default(inventory: Inventory, options: Mapping[str, Any], paramwise_cfg: Mapping[str, Any]) -> Rows:
    """mmcv 1.x's ``DefaultOptimizerConstructor``: as `mmengine_default`, but the weight decay follows the kind of layer alone,
    norm before depth-wise before bias, whether that kind's key is set or not; one of ``custom_keys`` sets the two multiples and
    nothing else; and there is no ``flat_decay_mult``. Frozen parameters have a row, which moves nothing.

    Raises:
        FkitError: as `mmengine_default`.
    """
    check_paramwise(paramwise_cfg, _PARAMWISE)
    if not paramwise_cfg:
        return []
    base = _based(options, paramwise_cfg)
    refuse_shared(inventory, paramwise_cfg)
    rows: Rows = []
    for place in places(inventory):
        row: dict[str, Any] = {"params": place.entry.name}
        key = custom_key(paramwise_cfg, f"{place.path}.{place.leaf}") if place.entry.trainable else None
        if key is not None:
            row |= _custom(base, paramwise_cfg["custom_keys"][key])
        elif place.entry.trainable:
            row |= _rates(place, base, paramwise_cfg)
            name = _mmcv_key(place)
            factor = paramwise_cfg.get(name) if name else None
            if base["weight_decay"] is not None and factor is not None:
                row["weight_decay"] = base["weight_decay"] * factor
        rows.append(row)
    return rows


def _mmcv_key(place: Place) -> str:
    """The key that a parameter's weight decay follows in mmcv 1.x."""
    if place.entry.kind in ("norm", "dwconv"):
        return f"{place.entry.kind}_decay_mult"
    return "bias_decay_mult" if place.leaf == "bias" and place.entry.kind not in ("dcn", "offset") else ""


def _rates(place: Place, base: Mapping[str, Any], cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The learning rate that both rules give: biases outside norms, and the offsets of deformable convolutions."""
    row: dict[str, Any] = {}
    if (
        place.leaf == "bias"
        and not place.entry.kind.startswith(("norm", "dcn", "offset"))
        and cfg.get("bias_lr_mult") is not None
    ):
        row["lr"] = scaled(base, cfg["bias_lr_mult"], "bias_lr_mult")
    if place.entry.kind == "offset" and cfg.get("dcn_offset_lr_mult") is not None:
        row["lr"] = scaled(base, cfg["dcn_offset_lr_mult"], "dcn_offset_lr_mult")
    return row


def custom_key(cfg: Mapping[str, Any], name: str) -> str | None:
    """The one of ``custom_keys`` that is for a parameter: the longest that its name contains, of equals the first by alphabet.

    Example:
        >>> custom_key({"custom_keys": {"backbone": {}, "backbone.layer1": {}}}, "backbone.layer10.weight")
        'backbone.layer1'
    """
    keys: Sequence[str] = sorted(cfg.get("custom_keys") or (), key=lambda key: (-len(key), key))
    return next((key for key in keys if key in name), None)


def _custom(base: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if settings.get("lr_mult") is not None:
        row["lr"] = scaled(base, settings["lr_mult"], "lr_mult")
    if settings.get("decay_mult") is not None and base["weight_decay"] is not None:
        row["weight_decay"] = base["weight_decay"] * settings["decay_mult"]
    return row


def check_paramwise(cfg: Any, shape: Shape) -> None:
    """Refuse a ``paramwise_cfg`` that a constructor does not take.

    Raises:
        FkitError: see `fkit.config.schema.check`.
    """
    check(cfg, shape, ("paramwise_cfg",))
    for key, settings in (cfg.get("custom_keys") or {}).items():
        for name in ("lr_mult", "decay_mult"):
            if settings.get(name) is not None:
                check(settings[name], _FACTOR, ("paramwise_cfg", "custom_keys", key, name))


def base_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The learning rate and the weight decay that a config gives an optimizer; None where it gives none."""
    return {"lr": options.get("lr"), "weight_decay": options.get("weight_decay")}


def _based(options: Mapping[str, Any], cfg: Mapping[str, Any]) -> dict[str, Any]:
    """`base_of`, refused without a weight decay where a multiple of it is asked for, as both packages do."""
    base = base_of(options)
    asked = [
        f"paramwise_cfg.{name}"
        for name in ("bias_decay_mult", "norm_decay_mult", "dwconv_decay_mult")
        if cfg.get(name) is not None
    ]
    custom: Mapping[str, Any] = cfg.get("custom_keys") or {}
    asked += [
        f"paramwise_cfg.custom_keys[{key!r}].decay_mult"
        for key, settings in custom.items()
        if settings.get("decay_mult") is not None
    ]
    if asked and base["weight_decay"] is None:
        raise FkitValueError(
            f"{asked[0]} multiplies the optimizer's weight_decay, and the config gives none.",
            path="paramwise_cfg",
            repair="Give the optimizer its weight_decay: optimizer=dict(type='SGD', lr=0.01, weight_decay=0.0005).",
        )  # fmt: skip
    return base


def scaled(base: Mapping[str, Any], factor: float, name: str) -> float:
    """The base learning rate times a factor.

    Args:
        name: the key that asks for it.

    Raises:
        FkitValueError: the config gives the optimizer no learning rate.
    """
    if base["lr"] is None:
        raise FkitValueError(
            f"paramwise_cfg: {name} = {quoted(factor)} multiplies the optimizer's lr, and the config gives none.",
            path="paramwise_cfg",
            repair="Give the optimizer its lr: optimizer=dict(type='SGD', lr=0.01).",
        )
    return base["lr"] * factor


def refuse_shared(inventory: Inventory, cfg: Mapping[str, Any]) -> None:
    """Refuse a trainable parameter that two layers share, as torch does where each of them gives it a group.

    A layer that stands twice in one list is one layer, and its parameters are met once.

    Raises:
        FkitValueError: with both names.
    """
    if cfg.get("bypass_duplicate"):
        return
    trained = {entry.name for entry in inventory.entries if entry.trainable and not entry.buffer}
    for other, first in inventory.aliases:
        if first in trained and not any(other.startswith(f"{path}.") for path in inventory.repeats):
            raise FkitValueError(
                f"parameter {first!r} is {other!r} too: with paramwise_cfg it would have two groups.",
                path="paramwise_cfg",
                repair="Set paramwise_cfg.bypass_duplicate=True: its first name counts.",
            )
