"""Pipelines of mmcv 1.x's time: mmdet 2.x and mmseg 0.x, and whichever package's rules they are handed to."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from frozendict import frozendict

from fkit.config.dialect import classification, detection, pose
from fkit.config.dialect.row import Ledger, Row

__all__ = ["measured", "pipeline_of"]

Rule = Callable[[Ledger, Row], Any]

_RULES: Mapping[str, Mapping[str, Rule]] = frozendict(
    mmdet=detection.RULES,
    mmseg=detection.RULES,
    mmpretrain=classification.RULES,
    mmpose=pose.RULES,
)
_NESTED = ("transforms", "policies")
_LAST = ("ImageToTensor", "ToTensor", "DefaultFormatBundle", "Collect")
_MOVING = ("Resize", "RandomResize", "RandomChoiceResize", "RandomFlip")


def pipeline_of(ledger: Ledger, steps: Any) -> Any:
    """A pipeline in today's vocabulary; what is no list of mappings comes back as it is.

    Args:
        ledger: whose vocabulary it is; takes the warnings.
        steps: the old steps.
    """
    if not isinstance(steps, (list, tuple)):
        return steps
    new: list[Any] = []
    for step in cast("Sequence[Any]", steps):
        done = _step(ledger, step)
        new += done if isinstance(done, list) and not isinstance(step, (list, tuple)) else [done]
    if ledger.package == "mmpose":
        new = pose.normalized(ledger, new)
    if any(isinstance(step, dict) and cast(Any, step).get("type") == "LoadProposals" for step in new):
        new = _with_proposals(ledger, new)
    return tuple(new) if isinstance(steps, tuple) else new


def measured(ledger: Ledger, steps: Any, load: Mapping[str, Any] | None, keys: Sequence[str]) -> Any:
    """A pipeline for test images, which gives what they are measured against: datasets once looked it up by themselves.

    Args:
        ledger: see `pipeline_of`.
        steps: in today's vocabulary.
        load: the step that reads it, put behind what changes the image: it is measured at the image's own size.
        keys: that Collect packs, where a sample has them.
    """
    if not isinstance(steps, (list, tuple)):
        return steps
    new: list[Any] = []
    loaded = load is None
    for step in cast("Sequence[Any]", steps):
        several = isinstance(step, (list, tuple)) and len(cast("Sequence[Any]", step)) == 1  # of a TestTimeAug
        one: Any = step[0] if several else step
        name = one.get("type") if isinstance(one, dict) else None
        if name == "LoadAnnotations":
            loaded = True
        if name in _LAST and not loaded:
            new.append([load] if several else load)
            loaded = True
        if name == "TestTimeAug":
            row = ledger.row(one)
            one = row.put("transforms", measured(ledger, row.take("transforms"), load, keys)).node()
        elif name == "Collect":
            one = ledger.row(one).put("optional_keys", [key for key in keys if key not in one["keys"]], "keys").node()
        new.append([one] if several else one)
    return new


def _with_proposals(ledger: Ledger, steps: Sequence[Any]) -> list[Any]:
    """What moves boxes moved proposals too, which today are moved inside a ProposalBroadcaster."""
    new: list[Any] = []
    for step in steps:
        if not isinstance(step, dict) or cast(Any, step).get("type") not in _MOVING:
            new.append(step)
        elif new and new[-1].get("type") == "ProposalBroadcaster":
            new[-1] = ledger.new(
                ledger.row(step), type="ProposalBroadcaster", transforms=[*new[-1]["transforms"], step]
            )
        else:
            new.append(ledger.new(ledger.row(step), type="ProposalBroadcaster", transforms=[step]))
    return new


def _step(ledger: Ledger, step: Any) -> Any:
    """One step: a mapping, or a list of them where several take its place."""
    if isinstance(step, (list, tuple)):  # a policy of AutoAugment, a branch of a choice
        return pipeline_of(ledger, step)
    if not isinstance(step, dict) or not isinstance(step.get("type"), str):
        return step
    row = ledger.row(cast(Any, step))
    if row.name == "MultiScaleFlipAug":
        return _views(ledger, row)
    for key in _NESTED:
        if key in row.old and row.name not in ("Albu", "AlbumTransforms"):
            row.put(key, pipeline_of(ledger, row.take(key)))
    rule = _RULES.get(ledger.package or "", frozendict()).get(row.name)
    return row.node() if rule is None else rule(ledger, row)


def _views(ledger: Ledger, row: Row) -> Any:
    """MultiScaleFlipAug: its steps for one view, or a TestTimeAug of all."""
    flip, direction = row.take("flip", False), row.take("flip_direction", "horizontal")
    key, sizes = _sizes(row)
    several: list[list[Any]] = []
    for step in row.take("transforms", ()):
        inner = ledger.row(step)
        if inner.name in ("Resize", "RResize") and sizes:
            several.append([detection.resized(ledger.row(step), key, size) for size in sizes])
        elif inner.name in ("RandomFlip", "RRandomFlip"):
            flips = [ledger.new(inner, type="RandomFlip", prob=0.0)]
            for word in (direction if isinstance(direction, (list, tuple)) else [direction]) if flip else ():
                flips.append(ledger.new(inner, type="RandomFlip", prob=1.0, direction=word))
            several.append(flips)
        else:
            done = _step(ledger, step)
            several += [[one] for one in done] if isinstance(done, list) else [[done]]
    row.drop(*row.old.keys() - {"type"}, why="has no counterpart in a pipeline of today.")
    count = 1
    for steps in several:
        count *= len(steps)
    if count == 1:
        return [steps[0] for steps in several]
    ledger.say(row, "type", f"MultiScaleFlipAug gives {count} views of an image, whose predictions are merged.")
    return ledger.new(row, type="TestTimeAug", transforms=several)


def _sizes(row: Row) -> tuple[str, list[Any]]:
    """The sizes of the views, and the argument of Resize that takes them."""
    scale, factor, ratios = row.take("img_scale"), row.take("scale_factor"), row.take("img_ratios")
    several: list[Any] = [] if scale is None else [*scale] if isinstance(scale, list) else [scale]
    if ratios is not None:
        shares: list[Any] = list(ratios) if isinstance(ratios, (list, tuple)) else [ratios]
        if len(several) == 1 and isinstance(several[0], tuple):
            width, height = several[0]
            return "scale", [(int(width * share), int(height * share)) for share in shares]
        return ("scale_factor", shares) if not several else ("scale", several)
    if several:
        return "scale", several
    return "scale_factor", [] if factor is None else list(factor) if isinstance(factor, (list, tuple)) else [factor]
