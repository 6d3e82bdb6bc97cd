"""What a program is made of, with no framework in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from fkit.fileio.weights import Content
from fkit.training.fleet import ALONE, Fleet, Parallel
from fkit.training.optimizer import Optimizer
from fkit.training.preprocess import Preprocess
from fkit.training.transform import Transform
from fkit.tree.error import FkitValueError

__all__ = ["DTYPES", "MEMORY_FORMATS", "Phase", "Spec", "check_spec"]

DTYPES = ("float32", "float64", "bfloat16", "float16", "half")
MEMORY_FORMATS = ("auto", "contiguous", "channels_last")


class Phase(NamedTuple):
    """One part of a training step: a loss, the optimizer that follows its gradient, on which parameters, how often.

    Phase p of step i draws its random numbers from ``fold(fold(state.key, i), p)``.

    Attributes:
        loss: the key of the losses to differentiate; None is the sum of all whose key contains "loss".
        optimizer: the name of the optimizer.
        params: a regular expression over parameter names (``re.search``); "" is all that are trainable.
        every: run the phase in every n-th step.
        mode: what the model is called with; a GAN's two halves have one each.
        name: what its losses are logged under, ``name/loss``, where a step has several phases; by default its
            optimizer's.
        transforms: what its gradient passes through before the update, in order.
    """

    loss: str | None = None
    optimizer: str = "main"
    params: str = ""
    every: int = 1
    mode: str = "loss"
    name: str = ""
    transforms: tuple[Transform, ...] = ()


@dataclass(frozen=True)
class Spec:
    """What a program is made of, with no framework in it; `fkit.run.plan.program` makes one of a config.

    Attributes:
        model: backend name -> a fresh module (torch.nn.Module, flax.linen.Module or flax.nnx.Module), made by the registry; or, for
            the last, a function of ``rngs`` that makes it, so that the run's seed decides its initial values.
        optimizers: {name: Optimizer}; "main" where there is one.
        phases: what a step does, in order.
        dtype: the compute type, "float32", "float64", "bfloat16", "float16", or "half": float16 on CUDA with torch, bfloat16
            elsewhere. float16 is torch's alone, and wants a transform that scales the loss.
        predict_dtype: what ``predict`` computes in, where it is another type; parameters are the same in all but float64.
        device: "cpu", "cuda", "cuda:1"; None lets the backend choose.
        memory_format: how a torch program lays out images and kernels: "contiguous", "channels_last", or "auto", which
            is channels_last on CUDA in bfloat16 where the model has convolutions. JAX's programs have their own.
        donate: whether a step may reuse the arrays of the state it is given.
        compile: whether the room compiles the step (torch.compile; JAX always does).
        masks: dropout's bits: "counter" (the run's own: equal on all backends) or "backend" (its generator: not).
        example: makes one batch of inputs; asked for by backends that learn shapes by tracing.
        total: steps of the whole run, for transforms that end with it; None where nobody knows.
        recomputed: paths of parts of the model that the backward pass computes again, to save memory; torch's alone.
        weights: address -> content of a checkpoint, for modules whose ``init_cfg`` names one; None reads it by the built-in
            schemes.
        preprocess: what a batch passes on the device before the model sees it; None: nothing.
        devices: of this process that share each batch, every one a part; the numbers are those of one, to rounding. JAX's alone.
        fleet: the processes that run it together.
        parallel: how they share a step, where there are several.
    """

    model: Callable[[str], Any]
    optimizers: Mapping[str, Optimizer]
    phases: tuple[Phase, ...] = (Phase(),)
    dtype: str = "float32"
    device: str | None = None
    memory_format: str = "auto"
    donate: bool = True
    compile: bool = False
    masks: str = "counter"
    example: Callable[[], Any] | None = None
    total: int | None = None
    weights: Callable[[str], Content] | None = None
    predict_dtype: str | None = None
    recomputed: tuple[str, ...] = ()
    preprocess: Preprocess | None = None
    devices: int = 1
    fleet: Fleet = ALONE
    parallel: Parallel = Parallel()  # noqa: RUF009  frozen


def check_spec(spec: Spec) -> None:
    """Refuse a compute type or a memory format that there is not.

    Raises:
        FkitValueError: with those that there are.
    """
    rows = [("dtype", spec.dtype, DTYPES), ("memory_format", spec.memory_format, MEMORY_FORMATS)]
    if spec.predict_dtype is not None:
        rows.append(("predict_dtype", spec.predict_dtype, DTYPES))
    for name, value, known in rows:
        if value not in known:
            raise FkitValueError(f"{name} = {value!r} is unknown.", value=str(value), choices=known)
    if "float64" in (spec.dtype, spec.predict_dtype) and spec.predict_dtype not in (None, spec.dtype):
        raise FkitValueError(
            f"dtype = {spec.dtype!r} and predict_dtype = {spec.predict_dtype!r}: float64's parameters are its own."
        )
