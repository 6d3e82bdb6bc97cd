"""What DETR's twins share: configs of their layers, how their weights start, the names of what they give."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

from frozendict import frozendict

from fkit.catalog.build import Builder
from fkit.detection.part import part
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = [
    "ATTENTION",
    "FFN",
    "LAYER_NORM",
    "Asked",
    "Said",
    "attention",
    "check_map",
    "check_queries",
    "check_width",
    "layer_config",
    "started",
    "typed",
]

ATTENTION: Final = frozendict(embed_dims=256, num_heads=8, dropout=0.0)
FFN: Final = frozendict(
    embed_dims=256, feedforward_channels=1024, num_fcs=2, ffn_drop=0.0, act_cfg=frozendict(type="ReLU")
)  # fmt: skip
LAYER_NORM: Final = frozendict(type="LN")

# matrices by their fans; biases stay as their layers make them
_XAVIER: Final = frozendict(type="Xavier", layer=("Linear", "Embedding"), distribution="uniform", bias=None)


class Said(NamedTuple):
    """What a decoder gives a head.

    Attributes:
        states: (L, N, Q, C) the queries of each layer.
        references: what boxes are told from, of each layer, (N, Q, 2) or (N, Q, 4); None where they are told as a whole.
        first: the number of the first layer that is here.
        encoded: (N, P, K) logits and (N, P, 4) boxes of what the encoder proposes, in training; else None.
        noise: a `fkit.detection.denoise.Noise`, whose slots stand before the queries, in training; else None.
    """

    states: Any
    references: tuple[Any, ...] | None = None
    first: int = 0
    encoded: tuple[Any, Any] | None = None
    noise: Any = None

    def last(self) -> "Said":
        """The last layer alone."""
        layers = self.states.shape[0]
        kept = None if self.references is None else self.references[layers - 1 : layers]
        return Said(self.states[-1:], kept, self.first + layers - 1)


class Asked(NamedTuple):
    """What a decoder begins with.

    Attributes:
        query, query_pos: (N, Q, C) queries and their positions, which may be None.
        references: (N, Q, 2) or (N, Q, 4).
        encoded, noise: see `Said`.
        mask: (Q, Q), True where a query must not see another, or None.
    """

    query: Any
    query_pos: Any
    references: Any
    encoded: tuple[Any, Any] | None = None
    noise: Any = None
    mask: Any = None


def started(init_cfg: Any) -> Any:
    """Rules for the initial weights of an encoder or decoder: its own, and Xavier's for matrices.

    Example:
        >>> started(None)[0]["type"]
        'Xavier'
    """
    own = () if init_cfg is None else (init_cfg,) if isinstance(init_cfg, Mapping) else tuple(init_cfg)
    return (*own, _XAVIER)


def typed(cfg: Any, kind: str, what: str) -> dict[str, Any]:
    """A config whose type is known already, with it.

    Raises:
        FkitTypeError: it is no config.

    Example:
        >>> typed({"num_feats": 4}, "SinePositionalEncoding", "positional_encoding")
        {'type': 'SinePositionalEncoding', 'num_feats': 4}
    """
    if not isinstance(cfg, Mapping):
        raise FkitTypeError(f"{what}={quoted(cfg, 60)}: a config.", repair=f"{what} = dict(...)")
    return {"type": kind, **cast("Mapping[str, Any]", cfg)}


def attention(build: Builder, cfg: Any, what: str, kind: str = "MultiheadAttention") -> Any:
    """An attention of arrays (N, L, C).

    Raises:
        FkitError: it is to have another order of axes, or an argument that is none.
    """
    full = typed(cfg, kind, what)
    if full.setdefault("batch_first", True) is not True:
        raise FkitValueError(f"{what}: batch_first=False, but arrays are (samples, queries, channels).")
    return part(build, "models", full)


def layer_config(cfg: Any, kind: str, count: int, what: str) -> list[dict[str, Any]]:
    """The configs of ``count`` layers that are alike.

    Raises:
        FkitError: it is no config, or there is no layer.
    """
    if count < 1:
        raise FkitValueError(f"{what}: num_layers={count}: at least 1.")
    return [typed(cfg, kind, f"{what}.layer_cfg")] * count


def check_queries(name: str, number: Any) -> None:
    """Whether there are queries.

    Raises:
        FkitValueError: ``num_queries`` is no count from 1.
    """
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise FkitValueError(f"{name}: num_queries={quoted(number)}, but it counts queries, from 1.")


def check_map(name: str, channels: int, width: int) -> None:
    """Whether the map that is encoded is as wide as queries.

    Raises:
        FkitValueError: it is not.
    """
    if channels != width:
        raise FkitValueError(
            f"{name}: queries have {width} channels, but the neck's map {channels}.",
            repair=f"neck.out_channels = {width}",
        )


def check_width(name: str, width: int, places: int, decoder: Any, head: Any) -> None:
    """Whether positions, the decoder and the head are as wide as queries.

    Args:
        name: of the detector.
        width: of queries.
        places: of positions.
        decoder, head: built.

    Raises:
        FkitValueError: they are not.
    """
    for what, other in (("decoder", decoder), ("bbox_head", getattr(head, "logic", None))):
        wide = getattr(other, "embed_dims", width)
        if wide != width:
            raise FkitValueError(
                f"{name}: the encoder has {width} channels, but {what} {wide}.", repair=f"{what}: embed_dims={width}"
            )
    if width != places:
        raise FkitValueError(
            f"{name}: queries have {width} channels, but positions {places}.",
            repair=f"positional_encoding.num_feats = {width // 2}",
        )
