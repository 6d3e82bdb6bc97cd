"""What transformer layers are on both backends: how attention starts, what masks come to, in which order a layer works."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.catalog.build import Builder
from fkit.catalog.builtin import registry
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = [
    "Operation",
    "attention_mask",
    "attention_start",
    "check_grid",
    "check_heads",
    "check_positions",
    "configs",
    "masks_of",
    "old_dropout",
    "old_ffn",
    "operations",
    "parts_of",
]

OPERATIONS = ("self_attn", "cross_attn", "norm", "ffn")


def attention_start(bias: bool) -> tuple[Any, ...]:
    """How torch's MultiheadAttention starts: Xavier for ``in_proj_weight``, 0 for biases.

    Example:
        >>> [rule["override"]["name"] for rule in attention_start(False)]
        ['in_proj_weight', 'out_proj']
    """
    rules = [
        frozendict(type="Xavier", distribution="uniform", override=frozendict(name="in_proj_weight")),
        frozendict(
            type="Kaiming", a=5**0.5, mode="fan_in", nonlinearity="leaky_relu", distribution="uniform",
            override=frozendict(name="out_proj"),
        ),
    ]  # fmt: skip
    if bias:
        rules.append(frozendict(type="Constant", val=0, override=frozendict(name="in_proj_bias")))
    return tuple(rules)


def check_heads(name: str, width: int, heads: int) -> None:
    """Whether a width is a multiple of the heads.

    Raises:
        FkitValueError: it is not.
    """
    if heads < 1 or width % heads:
        raise FkitValueError(f"{name}: {width} channels are no multiple of {heads} heads.")


def attention_mask(xp: Ops, like: Any, heads: int, attn_mask: Any, key_padding_mask: Any) -> Any:
    """What is added to scores (N, heads, L, S), or None: numbers of a mask as they are, minus infinity where one is True.

    Args:
        like: an array whose kind the scores have.
        attn_mask: (L, S) or (N * heads, L, S), or None.
        key_padding_mask: (N, S), or None.

    Returns:
        (1 or N, 1 or heads, 1 or L, S).

    Raises:
        FkitValueError: a mask of another shape.
    """
    whole: Any = None
    if attn_mask is not None:
        shape = tuple(attn_mask.shape)
        if len(shape) not in (2, 3) or (len(shape) == 3 and shape[0] % heads):
            raise FkitValueError(
                f"attn_mask has the shape {shape}: (queries, keys), or (samples * {heads} heads, queries, keys)."
            )
        whole = _added(xp, like, attn_mask).reshape(-1, 1 if len(shape) == 2 else heads, *shape[-2:])
    if key_padding_mask is not None:
        if len(key_padding_mask.shape) != 2:
            raise FkitValueError(f"key_padding_mask has the shape {tuple(key_padding_mask.shape)}: (samples, keys).")
        more = _added(xp, like, key_padding_mask)[:, None, None]
        whole = more if whole is None else whole + more
    return whole


def _added(xp: Ops, like: Any, mask: Any) -> Any:
    if "float" in str(mask.dtype):
        return xp.cast(mask, like)
    zeros = xp.cast(mask, like) * 0
    return xp.lib.where(xp.cast(mask, "bool"), zeros - float("inf"), zeros)


class Operation(NamedTuple):
    """One step of a transformer layer: its name, and which of the layer's parts of that sort does it."""

    name: str
    place: int

    @property
    def attends(self) -> bool:
        """Whether it is an attention."""
        return self.name.endswith("attn")


def operations(order: Any) -> tuple[Operation, ...]:
    """The steps of a layer by mmcv's ``operation_order``.

    Raises:
        FkitError: it is no list of "self_attn", "cross_attn", "norm" and "ffn", or has no attention.

    Example:
        >>> [step.place for step in operations(("self_attn", "norm", "cross_attn", "norm", "ffn", "norm"))]
        [0, 0, 1, 1, 0, 2]
    """
    if not isinstance(order, (list, tuple)):
        raise FkitTypeError(f"operation_order={order!r:.80}: a list of {', '.join(OPERATIONS)}.")
    counts: dict[str, int] = {}
    steps: list[Operation] = []
    for name in cast("list[Any]", order):
        if name not in OPERATIONS:
            raise FkitValueError(
                f"operation_order: {name!r:.80} is no operation.",
                value=str(name),
                choices=OPERATIONS,
                label="Operations",
            )
        sort = "attn" if name.endswith("attn") else name
        steps.append(Operation(name, counts.get(sort, 0)))
        counts[sort] = counts.get(sort, 0) + 1
    if not counts.get("attn"):
        raise FkitValueError(f"operation_order={list(cast('list[Any]', order))}: no attention.")
    return tuple(steps)


def configs(what: str, cfg: Any, count: int, **defaults: Any) -> tuple[dict[str, Any], ...]:
    """Configs of several parts, each with defaults: of one config for all, or a list of one each.

    Raises:
        FkitError: another number of configs, or what is no config.

    Example:
        >>> configs("ffn_cfgs", {"type": "FFN"}, 2, embed_dims=8)[1]
        {'embed_dims': 8, 'type': 'FFN'}
    """
    several = [cfg] * count if isinstance(cfg, Mapping) else cfg
    if not isinstance(several, (list, tuple)) or not all(
        isinstance(one, Mapping) for one in cast("list[Any]", several)
    ):
        raise FkitTypeError(f"{what}={cfg!r:.80}: a config, or a list of configs.")
    rows = cast("list[Mapping[str, Any]]", several)
    if len(rows) != count:
        raise FkitValueError(f"{what}: {len(rows)} configs for {count} parts.")
    for row in rows:
        for name, value in defaults.items():
            if name != "type" and row.get(name, value) != value:
                raise FkitValueError(f"{what}: {name}={row[name]!r}, where the layer has {value!r}.")
    return tuple({**defaults, **row} for row in rows)


def old_dropout(rate: float | None, attention: float, cfg: Any) -> tuple[float, Any]:
    """Rates of mmcv's attention where they are given by its older argument ``dropout``: that of the attention, and the config of
    the branch.

    Example:
        >>> old_dropout(0.1, 0.0, {"type": "Dropout"})
        (0.1, {'type': 'Dropout', 'drop_prob': 0.1})
    """
    return (attention, cfg) if rate is None else (rate, {**(cfg or {"type": "Dropout"}), "drop_prob": rate})


def check_positions(mask: Any, maps: Any) -> None:
    """Whether there is something that tells the places.

    Raises:
        FkitTypeError: there is neither a mask nor maps.
    """
    if mask is None and maps is None:
        raise FkitTypeError("SinePositionalEncoding: mask and input are both None.", repair="Give one of them.")


def check_grid(size: tuple[int, int], most: tuple[int, int]) -> None:
    """Whether maps have no more rows and columns than there are learnt vectors.

    Raises:
        FkitValueError: they have.
    """
    if size[0] > most[0] or size[1] > most[1]:
        raise FkitValueError(
            f"LearnedPositionalEncoding: maps of {size[0]} x {size[1]}, but there are {most[0]} rows and {most[1]} columns.",
            repair="Give row_num_embed and col_num_embed that suffice.",
        )


def old_ffn(cfg: Any, width: Any, rate: Any, layers: Any) -> Any:
    """Configs of feed-forward networks with mmcv's older arguments of a layer: ``feedforward_channels``, ``ffn_dropout`` and
    ``ffn_num_fcs``; None is what is not given.

    Example:
        >>> old_ffn({"type": "FFN"}, 64, None, None)
        {'type': 'FFN', 'feedforward_channels': 64}
    """
    older = {"feedforward_channels": width, "ffn_drop": rate, "num_fcs": layers}
    older = {name: value for name, value in older.items() if value is not None}
    return {**cfg, **older} if older and isinstance(cfg, Mapping) else cfg


def masks_of(masks: Any, count: int) -> tuple[Any, ...]:
    """The masks of a layer's attentions: of one for all, a list of one each, or None.

    Raises:
        FkitValueError: another number of masks.

    Example:
        >>> masks_of(None, 2)
        (None, None)
    """
    if not isinstance(masks, (list, tuple)):
        return (masks,) * count
    several = tuple(cast("list[Any]", masks))
    if len(several) != count:
        raise FkitValueError(f"attn_masks: {len(several)} masks for {count} attentions.")
    return several


def parts_of(build: Builder | None, backend: str) -> Builder:
    """What builds a layer's parts: what its maker was given, or the built-in registry for a backend."""
    if build is not None:
        return build

    def built(kind: str, cfg: Any, /, **defaults: Any) -> Any:
        return registry().build(kind, cfg, backend=backend, defaults=defaults)

    return built
