"""What a reader should know of how a run is carried out."""

from fkit.recipe.settings import Settings
from fkit.training.program import Program
from fkit.tree.error import FkitKeyError

__all__ = ["remark"]


def remark(settings: Settings, program: Program) -> tuple[str, ...]:
    """What a reader should know of ``efficient_conv_bn_eval`` and ``scan_steps``.

    Raises:
        FkitKeyError: the model has no part of such a name.
    """
    return (*_folded(settings, program), *_scanned(settings, program))


def _folded(settings: Settings, program: Program) -> tuple[str, ...]:
    key = "efficient_conv_bn_eval"
    said = settings.tree.get(key)
    names = (said,) if isinstance(said, str) else said or ()
    for name in names:
        if not any(entry.name.startswith(f"{name}.") for entry in program.inventory.entries):
            raise FkitKeyError(f"{key}: the model has no part {name!r}.", path=key, value=name)
    if not names:
        return ()
    return (
        f"{key} changes nothing: a convolution and a batch norm whose statistics rest are one in each backward pass.",
    )


def _scanned(settings: Settings, program: Program) -> tuple[str, ...]:
    count = settings.scan_steps
    if count == 1:
        return ()
    if getattr(program.train_step, "several", None) is None:
        return (f"scan_steps = {count} is of no effect: only a step that JAX has compiled goes into a loop.",)
    if not getattr(program.train_step, "loops", False):
        why = "on the CPU a loop of convolutions is slower than the calls it saves"
        return (f"scan_steps = {count}: each step is a call of its own: {why}.",)
    return (f"scan_steps = {count}: up to {count} steps go into one call, as a loop on the device.",)
