"""The keys of a dataloader, described once: mmengine's, torch's among them."""

from typing import Any

from frozendict import frozendict

from fkit.config.schema import FLAG, PART, Key, Shape, check, choice, either, origin_at, table, whole
from fkit.tree.error import FkitValueError
from fkit.tree.node import Node

__all__ = ["LOADER", "ON_ERROR", "check_loader"]

_DATASET = Shape("an object with __len__ and __getitem__", but=(str, bytes), methods=("__len__", "__getitem__"))
_SAMPLER = Shape("an object with endless, count and indices", methods=("endless", "count", "indices"))

_UNSAID = frozendict({"drop_last": (False,), "shuffle": (False,)})  # torch's defaults, which say nothing
ON_ERROR = ("raise", "skip")
"""What may become of a sample that cannot be made: the run ends, or another takes its place and is counted."""

LOADER = table(
    Key("dataset", either(PART, _DATASET), doc="what is read", required=True),
    Key("batch_size", whole(1), doc="samples a batch, on each device; 1 by default"),
    Key("global_batch_size", whole(1), doc="in its place: samples a batch, on all devices together"),
    Key("sampler", either(PART, _SAMPLER), doc="the order; DefaultSampler by default"),
    Key("shuffle", FLAG, doc="in place of a sampler: whether to shuffle"),
    Key(
        "batch_sampler",
        either(PART, Shape("an object with cut", methods=("cut",))),
        doc="how batches are cut from the sampler's order",
    ),
    Key("collate_fn", either(PART, Shape("a function", methods=("__call__",))), doc="samples -> a batch"),
    Key("drop_last", FLAG, False, "leave out a last batch that is not full"),
    Key("num_batch_per_epoch", whole(1), doc="batches an epoch, at most"),
    Key("on_error", choice(*ON_ERROR), doc="what becomes of a sample that cannot be made; 'raise' by default"),
    Key("num_workers", whole(0), 0, "processes that make batches; no batch depends on it"),
    Key("prefetch_factor", whole(1), 2, "batches that each of them makes ahead"),
    Key("persistent_workers", FLAG, doc="workers always live on from epoch to epoch, and change no batch"),
    Key("pin_memory", FLAG, doc="memory is pinned where that helps, and changes no batch"),
)
"""What a dataloader's table may hold."""


def check_loader(cfg: Any, path: str, whole: Node | None = None) -> None:
    """Refuse a dataloader's table with a key, a value or a combination that makes no batches.

    Args:
        path: where it stands in the whole config, ``whole``, which says the file and line.

    Raises:
        FkitError: as `fkit.config.schema.check`; two keys that exclude each other.
    """
    check(cfg, LOADER, (path,), whole)
    for one, other in (
        ("batch_size", "global_batch_size"),
        ("sampler", "shuffle"),
        ("batch_sampler", "shuffle"),
        ("batch_sampler", "drop_last"),
    ):
        if cfg.get(one) not in (None, False) and cfg.get(other) not in (None, *_UNSAID.get(other, ())):
            raise FkitValueError(
                f"{path}: {one} and {other} exclude each other.", path=path, origin=origin_at(whole, (path, other))
            )
