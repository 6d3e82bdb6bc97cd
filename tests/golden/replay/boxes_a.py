"""How fkit is called for cases of the book ``boxes``: overlaps, boxes, suppression."""

from collections.abc import Callable, Mapping
from typing import Any

from frozendict import frozendict

from fkit.array.overlap import overlaps


def call_overlaps(xp: Any, args: Any, case: Any) -> Any:
    return overlaps(xp, args["bboxes1"], args["bboxes2"], args.get("mode", "iou"), args.get("is_aligned", False), args.get("eps", 1e-6))  # fmt: skip


ADAPTERS: Mapping[str, Callable[[Any, Any, Any], Any]] = frozendict(overlaps=call_overlaps)
