"""``init_cfg=dict(type='Pretrained', checkpoint=..., prefix=...)``: a part of a model that begins with weights of a file."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from frozendict import frozendict
from numpy.typing import NDArray

from fkit.fileio.weights import REVISE, Content, read_content, revised, weights_of
from fkit.training.inventory import Inventory
from fkit.training.older import older
from fkit.training.weight import Fit, fit
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["Pretrained", "Read", "init_cfg_of", "is_pretrained", "pretrained", "taken"]

Read = Callable[[str], Content]
"""What gives the content of a checkpoint by its address."""

_ARGUMENTS = ("checkpoint", "prefix", "map_location")


class Pretrained(NamedTuple):
    """A part of a model, and where its weights come from.

    Attributes:
        path: of the module; "" is the whole model.
        checkpoint: an address, as `fkit.fileio.weights` has them.
        prefix: take the names that begin so, without it.
    """

    path: str
    checkpoint: str
    prefix: str | None = None


def is_pretrained(spec: Any) -> bool:
    """Whether an ``init_cfg`` is one of type Pretrained, by any of its names.

    Example:
        >>> is_pretrained({"type": "mmengine.PretrainedInit", "checkpoint": "a.pth"}), is_pretrained({"type": "Normal"})
        (True, False)
    """
    kind: Any = cast("Mapping[str, Any]", spec).get("type") if isinstance(spec, Mapping) else None
    name = kind.__name__ if isinstance(kind, type) else str(kind)
    return name.rpartition(".")[2].removesuffix("Init") == "Pretrained"


def init_cfg_of(checkpoint: Any, init_cfg: Any, what: str) -> Any:
    """The ``init_cfg`` of a module that takes OpenMMLab's older argument ``pretrained`` too.

    Args:
        checkpoint: the value of ``pretrained``: an address, or None.
        init_cfg: that of the module.
        what: the module, for messages.

    Raises:
        FkitTypeError: ``pretrained`` is no text.
        FkitValueError: both are given.

    Example:
        >>> dict(init_cfg_of("torchvision://resnet50", None, "ResNet"))
        {'type': 'Pretrained', 'checkpoint': 'torchvision://resnet50'}
    """
    if checkpoint is None:
        return init_cfg
    if not isinstance(checkpoint, str):
        raise FkitTypeError(f"{what}: pretrained={checkpoint!r:.80}: a path or an address, or None.")
    if init_cfg is not None:
        raise FkitValueError(f"{what}: pretrained and init_cfg are both given.", repair="Leave pretrained out.")
    return frozendict(type="Pretrained", checkpoint=checkpoint)


def pretrained(inventory: Inventory) -> tuple[Pretrained, ...]:
    """Those of a model in the order they are applied, as mmengine's: after all rules, an outer module's after those of the
    modules in it.

    Raises:
        FkitError: one lacks its checkpoint, or has an argument that it does not take.
    """
    parts: list[Pretrained] = []
    for path, spec in reversed(inventory.rules):
        several = [spec] if isinstance(spec, Mapping) else list(spec or ())
        parts += [_part(path, cast("Mapping[str, Any]", one)) for one in several if is_pretrained(one)]
    return tuple(parts)


def taken(part: Pretrained, inventory: Inventory, read: Read | None = None) -> Fit:
    """What of a checkpoint fits a part of a model; paths and names are the whole model's.

    Args:
        read: gives what lies at an address; by default the built-in schemes do.

    Raises:
        FkitError: the checkpoint cannot be read, or nothing of it fits.
    """
    where, head = _where(part.path), f"{part.path}." if part.path else ""
    content = (read or read_content)(part.checkpoint)
    rules = () if part.prefix else REVISE
    weights = revised(weights_of(content), content.name, part.prefix, rules)
    entries = tuple(entry for entry in inventory.entries if entry.name.startswith(head))
    aliases = tuple(pair for pair in inventory.aliases if pair[1].startswith(head))
    named: dict[str, NDArray[Any]] = {head + name: array for name, array in weights.items()}
    part_of = Inventory(entries, (), aliases)
    answer = fit(part_of, older(part_of, named), strict=False, bare=True)
    answer = answer._replace(missing=tuple(n for n in answer.missing if not n.endswith("num_batches_tracked")))
    if not answer.arrays:
        raise FkitValueError(
            f"{where}: none of the weights in {content.name} fits.\n  {answer.report()}",
            repair="prefix='backbone' takes the names that begin so, without it.",
        )
    return answer


def _where(path: str) -> str:
    return f"init_cfg of {path or 'the model'}"


def _part(path: str, spec: Mapping[str, Any]) -> Pretrained:
    where = _where(path)
    for name in spec:
        if name not in ("type", *_ARGUMENTS):
            raise FkitTypeError(
                f"{where}: Pretrained takes no argument {name!r}.",
                value=str(name),
                choices=_ARGUMENTS,
                label="Arguments",
            )
    checkpoint, prefix = spec.get("checkpoint"), spec.get("prefix")
    if not isinstance(checkpoint, str) or not checkpoint:
        raise FkitTypeError(f"{where}: Pretrained needs 'checkpoint', a path or an address.")
    if prefix is not None and not isinstance(prefix, str):
        raise FkitTypeError(f"{where}: Pretrained's prefix is a text, the beginning of names.")
    if spec.get("map_location") not in (None, "cpu"):
        raise FkitValueError(
            f"{where}: map_location={spec['map_location']!r}: weights are read on the host, and go where the run's device is.",
            repair="Leave it out.",
        )
    return Pretrained(path, checkpoint, prefix or None)
