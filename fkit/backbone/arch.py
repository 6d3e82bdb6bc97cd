"""Architectures by name, and which stages' outputs are given: what the arguments of many backbones share."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from frozendict import frozendict

from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["CONVNEXT", "DEIT3", "EVA02", "VIT", "arch_of", "outputs_of"]


def _rows(keys: Sequence[str], rows: Mapping[str, Sequence[Any]]) -> frozendict[str, frozendict[str, Any]]:
    """A table of architectures; a name may hold several, parted by spaces."""
    return frozendict(
        {word: frozendict(zip(keys, row, strict=True)) for names, row in rows.items() for word in names.split()}
    )


VIT = _rows(
    ("embed_dims", "num_layers", "num_heads", "feedforward_channels"),
    {
        "s small": (768, 8, 8, 2304),
        "b base deit-b deit-base": (768, 12, 12, 3072),
        "l large": (1024, 24, 16, 4096),
        "h huge": (1280, 32, 16, 5120),
        "eva-g eva-giant": (1408, 40, 16, 6144),
        "deit-t deit-tiny": (192, 12, 3, 768),
        "deit-s deit-small dinov2-s dinov2-small": (384, 12, 6, 1536),
        "dinov2-g dinov2-giant": (1536, 40, 24, 6144),
    },
)

DEIT3 = _rows(
    ("embed_dims", "num_layers", "num_heads", "feedforward_channels"),
    {
        "s small": (384, 12, 6, 1536),
        "m medium": (512, 12, 8, 2048),
        "b base": (768, 12, 12, 3072),
        "l large": (1024, 24, 16, 4096),
        "h huge": (1280, 32, 16, 5120),
    },
)
EVA02 = _rows(
    ("embed_dims", "num_layers", "num_heads", "feedforward_channels"),
    {
        "t ti tiny": (192, 12, 3, 512),
        "s small": (384, 12, 6, 1024),
        "b base": (768, 12, 12, 2048),
        "l large": (1024, 24, 16, 2730),
    },
)

_CHANNELS = ("depths", "channels")
CONVNEXT = _rows(
    _CHANNELS,
    {
        "atto": ((2, 2, 6, 2), (40, 80, 160, 320)),
        "femto": ((2, 2, 6, 2), (48, 96, 192, 384)),
        "pico": ((2, 2, 6, 2), (64, 128, 256, 512)),
        "nano": ((2, 2, 8, 2), (80, 160, 320, 640)),
        "tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
        "small": ((3, 3, 27, 3), (96, 192, 384, 768)),
        "base": ((3, 3, 27, 3), (128, 256, 512, 1024)),
        "large": ((3, 3, 27, 3), (192, 384, 768, 1536)),
        "xlarge": ((3, 3, 27, 3), (256, 512, 1024, 2048)),
        "huge": ((3, 3, 27, 3), (352, 704, 1408, 2816)),
    },
)


def arch_of(net: str, arch: Any, table: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """An architecture by its name, or a mapping that has what those of the table have.

    Args:
        net: the network, for messages.
        arch: a name, in any case, or a mapping.
        table: the known ones.

    Raises:
        FkitError: an unknown name, or a mapping that lacks something.

    Example:
        >>> arch_of("VisionTransformer", "B", VIT)["num_layers"]
        12
    """
    if isinstance(arch, str):
        if arch.lower() not in table:
            raise FkitValueError(f"{net}: arch={arch!r}.", value=arch.lower(), choices=table, label="Architectures")
        return table[arch.lower()]
    keys = tuple(next(iter(table.values())))
    if not isinstance(arch, Mapping):
        raise FkitTypeError(f"{net}: arch={arch!r:.80}: a name, or a mapping with {', '.join(keys)}.")
    lacking = [key for key in keys if key not in arch]
    if lacking:
        raise FkitValueError(f"{net}: arch has no {', '.join(lacking)}.", choices=keys, label="It has")
    return cast("Mapping[str, Any]", arch)


def outputs_of(net: str, indices: Any, count: int) -> tuple[int, ...]:
    """The stages whose outputs are given, sorted: one, or several; below 0 from the end.

    Raises:
        FkitError: there is no such stage.

    Example:
        >>> outputs_of("ConvNeXt", -1, 4), outputs_of("ConvNeXt", [3, 1], 4)
        ((3,), (1, 3))
    """
    several: Any = (indices,) if type(indices) is int else indices
    if not isinstance(several, (list, tuple)) or not all(type(i) is int for i in several):  # pyright: ignore[reportUnknownVariableType]
        raise FkitTypeError(f"{net}: out_indices={indices!r:.80}: a whole number, or several.")
    found = [i + count if i < 0 else i for i in cast("Sequence[int]", several)]
    if not all(0 <= i < count for i in found):
        raise FkitValueError(f"{net}: out_indices={indices!r:.80}, but there are {count} stages.")
    return tuple(sorted(found))
