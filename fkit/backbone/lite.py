"""The plan of Lite-HRNet (Yu et al. 2021): its stem and stages."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["LiteStage", "LiteStem", "lite_plan"]

_WORDS = ("num_modules", "num_branches", "num_blocks", "reduce_ratios", "with_fuse", "module_type", "num_channels")


class LiteStem(NamedTuple):
    """Channels of the stem: after its first convolution, inside of its second branch, and those that it gives."""

    stem: int
    middle: int
    out: int

    @property
    def half(self) -> int:
        """Channels of a branch."""
        return self.stem // 2

    @property
    def first(self) -> int:
        """What the first branch gives."""
        return self.out - (self.half if self.stem == self.out else self.stem)

    @property
    def second(self) -> int:
        """What the second branch gives."""
        return self.half if self.stem == self.out else self.stem


class LiteStage(NamedTuple):
    """A stage: ``modules`` times ``blocks`` blocks over branches of these widths; ``lite``: weighted, else shuffled."""

    modules: int
    blocks: int
    widths: tuple[int, ...]
    ratio: int
    fuse: bool
    lite: bool


def lite_plan(extra: Any) -> tuple[LiteStem, tuple[LiteStage, ...], bool]:
    """The stem, the stages, and whether there is a head layer.

    Raises:
        FkitError: ``extra`` lacks a word, or its numbers do not fit together.
    """
    whole = _mapping(extra, "extra", ("stem", "num_stages", "stages_spec", "with_head"))
    stem = _mapping(whole["stem"], "extra.stem", ("stem_channels", "out_channels", "expand_ratio"))
    spec = _mapping(whole["stages_spec"], "extra.stages_spec", _WORDS)
    stages: list[LiteStage] = []
    for i in range(whole["num_stages"]):
        modules, branches, blocks, ratio, fuse, kind, widths = (spec[word][i] for word in _WORDS)
        if len(widths) != branches or str(kind).upper() not in ("LITE", "NAIVE"):
            raise FkitValueError(
                f"LiteHRNet: stage {i} has {branches} num_branches and the num_channels {widths}; module_type {kind!r}.",
                repair="Give one width a branch, and the type 'LITE' or 'NAIVE'.",
            )
        stages.append(LiteStage(modules, blocks, tuple(widths), ratio, bool(fuse), str(kind).upper() == "LITE"))
    width = stem["stem_channels"]
    return LiteStem(width, round(width * stem["expand_ratio"]), stem["out_channels"]), tuple(stages), whole["with_head"]


def _mapping(value: Any, name: str, words: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or any(word not in value for word in words):
        raise FkitTypeError(f"LiteHRNet: {name} is a mapping with {', '.join(words)}; not {value!r:.60}.")
    return cast("Mapping[str, Any]", value)
