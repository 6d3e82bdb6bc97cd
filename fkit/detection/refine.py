"""What the twins of Deformable DETR share: configs of their parts, and how their weights start."""

from collections.abc import Mapping
from typing import Any, Final, cast

from frozendict import frozendict

from fkit.detection.denoise import Denoising
from fkit.detection.query import ConditionalDETRHead, DeformableDETRHead
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = [
    "all_rules",
    "branch_rules",
    "branches_of",
    "denoising_of",
    "detector_rules",
    "dino_rules",
    "no_norm",
    "projection_rules",
    "referred_rules",
    "sampling_rules",
]

_SET: Final = ("share_pred_layer", "num_pred_layer", "as_two_stage")
_XAVIER: Final = frozendict(type="Xavier", distribution="uniform")
# how a linear layer starts by itself, for a rule that sets its bias alone
_LINEAR: Final = frozendict(
    type="Kaiming", a=5**0.5, mode="fan_in", nonlinearity="leaky_relu", distribution="uniform"
)  # fmt: skip
_RARE: Final = 0.01
_SMALL: Final = -2.0  # of the sides of boxes, before the sigmoid


def all_rules(init_cfg: Any, *more: Any) -> tuple[Any, ...]:
    """Rules for initial weights of an ``init_cfg``, and others after them."""
    own = () if init_cfg is None else (init_cfg,) if isinstance(init_cfg, Mapping) else tuple(init_cfg)
    return (*own, *more)


def _for(rule: Mapping[str, Any], *names: str, **more: Any) -> Any:
    return frozendict({**rule, **more, "override": tuple(frozendict(name=name) for name in names)})


def sampling_rules(init_cfg: Any, places: tuple[float, ...]) -> tuple[Any, ...]:
    """How attention at a few places starts: at fixed ``places`` of equal weights."""
    constant = {"type": "Constant", "val": 0.0}
    return all_rules(
        init_cfg,
        _for(constant, "sampling_offsets", bias=places),
        _for(constant, "attention_weights"),
        _for(_XAVIER, "value_proj", "output_proj"),
    )


def branch_rules(logic: DeformableDETRHead) -> tuple[Any, ...]:
    """How a head of branches starts: classes rare, boxes at their references."""
    count = 1 if logic.share_pred_layer else logic.num_pred_layer
    last = 2 * logic.num_reg_fcs
    boxes = [f"reg_branches.{at}.{last}" for at in range(count)]
    rules: list[Any] = [_for({"type": "Constant", "val": 0.0}, *boxes)]
    if not logic.as_two_stage:
        rules.append(_for({"type": "Constant", "val": 0.0}, boxes[0], bias=(0.0, 0.0, _SMALL, _SMALL)))
    if logic.use_sigmoid:
        rules.append(_for(_LINEAR, *(f"cls_branches.{at}" for at in range(count)), bias_prob=_RARE))
    return all_rules(logic.init_cfg, *rules)


def referred_rules(logic: ConditionalDETRHead, last: str | None = None) -> tuple[Any, ...]:
    """How a head whose boxes are told from references starts: classes rare, and boxes there.

    Args:
        last: the name of the last layer of boxes; None leaves it as it is.
    """
    boxes = () if last is None else (_for({"type": "Constant", "val": 0.0}, last),)
    rare = (_for(_LINEAR, "fc_cls", bias_prob=_RARE),) if logic.use_sigmoid else ()
    return all_rules(logic.init_cfg, *rare, *boxes)


def projection_rules(init_cfg: Any) -> tuple[Any, ...]:
    """How attention by content and places starts: its last projection without a bias."""
    return all_rules(init_cfg, _for(_LINEAR, "out_proj"))


def detector_rules(init_cfg: Any, two_stage: bool) -> tuple[Any, ...]:
    """How the layers beside the coders start."""
    level = _for({"type": "Normal"}, "level_embed")
    if two_stage:
        return all_rules(init_cfg, _for(_XAVIER, "memory_trans_fc", "pos_trans_fc", bias=None), level)
    return all_rules(init_cfg, _for(_XAVIER, "reference_points_fc"), level)


def dino_rules(init_cfg: Any) -> tuple[Any, ...]:
    """How the layers beside DINO's coders start."""
    level = _for({"type": "Normal"}, "level_embed")
    return all_rules(init_cfg, _for(_XAVIER, "memory_trans_fc", bias=None), _for(_XAVIER, "query_embedding"), level)


def branches_of(bbox_head: Any, decoder: Any, refine: bool, two_stage: bool) -> dict[str, Any]:
    """The config of a head, with how many branches the decoder and the encoder ask for.

    Raises:
        FkitError: it is no config, or says so itself.

    Example:
        >>> branches_of({"type": "DeformableDETRHead"}, {"num_layers": 6}, True, True)["num_pred_layer"]
        7
    """
    for name, cfg in (("bbox_head", bbox_head), ("decoder", decoder)):
        if not isinstance(cfg, Mapping):
            raise FkitTypeError(f"{name}={cfg!r:.60}: a config.", repair=f"{name} = dict(...)")
    head = dict(cast("Mapping[str, Any]", bbox_head))
    for name in _SET:
        if name in head:
            raise FkitValueError(f"bbox_head.{name} is set by the detector.", repair=f"Leave {name} out.")
    layers: int = decoder.get("num_layers", 0)
    return {**head, "share_pred_layer": not refine, "num_pred_layer": layers + two_stage, "as_two_stage": two_stage}


def no_norm(cfg: Any) -> None:
    """Refuses a norm after the decoder.

    Raises:
        FkitValueError: there is one.
    """
    if cfg is not None:
        raise FkitValueError("decoder: queries that have references have no norm.", repair="post_norm_cfg = None")


def denoising_of(dn_cfg: Any, num_classes: int, whole: bool) -> Denoising:
    """What queries near objects are drawn by.

    Args:
        whole: whether the detector refines boxes and has two stages.

    Raises:
        FkitError: it has not, or an argument that is none.
    """
    if not whole:
        raise FkitValueError("DINO refines boxes and has two stages.", repair="with_box_refine = as_two_stage = True")
    cfg = dict(cast("Mapping[str, Any]", dn_cfg or {}))
    known = ("label_noise_scale", "box_noise_scale", "group_cfg")
    for name in cfg:
        if name not in known:
            raise FkitTypeError(f"dn_cfg takes no argument {name!r}.", value=name, choices=known, label="Arguments")
    return Denoising(num_classes, **cfg)
