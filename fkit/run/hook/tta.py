"""PrepareTTAHook: predictions of several views, merged."""

from dataclasses import dataclass
from typing import Any

from fkit.catalog.entry import Built
from fkit.run.hook.hook import Hook
from fkit.training.merge import check_merger
from fkit.training.program import Program
from fkit.training.tta import with_tta

__all__ = ["PrepareTTAHook"]


@dataclass(frozen=True)
class PrepareTTAHook(Hook):
    """What the model predicts of a pipeline's views (TestTimeAug) is merged; mmengine's hook. `fkit test --tta` does the same
    of ``tta_model``, and changes the pipeline too.

    Args:
        tta_cfg: what merges, as ``tta_model`` has it: ``dict(type='SegTTAModel')``.

    Raises:
        FkitTypeError: that merges nothing.

    Example:
        >>> from fkit.training.merge import SegTTAModel
        >>> PrepareTTAHook(SegTTAModel()).tta_cfg.threshold
        0.3
    """

    tta_cfg: Built["models"]  # noqa: F821  no name, a kind

    def __post_init__(self) -> None:
        check_merger(self.tta_cfg)

    def wrap(self, program: Program) -> Program:
        """With its predictions merged."""
        merger: Any = self.tta_cfg
        return with_tta(program, None, merger.merge)
