"""What a reader should know of how a run is carried out."""

from fkit.recipe.settings import Settings
from fkit.training.program import Program

__all__ = ["remark"]


def remark(settings: Settings, program: Program) -> tuple[str, ...]:
    """What a reader should know of ``scan_steps``."""
    count = settings.scan_steps
    if count == 1:
        return ()
    if getattr(program.train_step, "several", None) is None:
        return (f"scan_steps = {count} is of no effect: only a step that JAX has compiled goes into a loop.",)
    if not getattr(program.train_step, "loops", False):
        why = "on the CPU a loop of convolutions is slower than the calls it saves"
        return (f"scan_steps = {count}: each step is a call of its own: {why}.",)
    return (f"scan_steps = {count}: up to {count} steps go into one call, as a loop on the device.",)
