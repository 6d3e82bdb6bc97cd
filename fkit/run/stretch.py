"""Several steps of training in one call, where no hook wants to see anything in between."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from fkit.run.event import Step, look
from fkit.run.state import Position
from fkit.run.tell import Fold
from fkit.structures.batch import Batch
from fkit.training.state import Hyperparams

__all__ = ["Pulled", "positions", "pulled", "steps_of"]


class Pulled(NamedTuple):
    """What a stretch of steps is made of.

    Attributes:
        positions: where the run is after each.
        batches, rows: of each, its batch and its hyperparameters.
        begun: seconds on the run's clock when the step before was issued; None where no clock is observed.
        arrived: those when the last batch had arrived.
        signal: the name of one that came meanwhile, or "".
    """

    positions: list[Position]
    batches: list[Batch]
    rows: list[Hyperparams]
    begun: float | None
    arrived: float | None
    signal: str


def positions(fold: Fold, after: Position) -> list[Position]:
    """Where the run is after each step of the stretch that begins with the one to ``after``: one at least, and no more
    than ``scan_steps``. No hook is due before another step than the first, nor after another than the last."""
    last = after.iteration + fold.stretch - 1
    last = min(last, fold.before.least - 1, fold.after.least)
    found = [after]
    while found[-1].iteration < last and not (found[-1].validate or found[-1].stop):
        word, following = fold.next(found[-1], fold.length)
        if word != "iterate":
            break
        found.append(following)
    return found


def pulled(
    fold: Fold,
    wanted: list[Position],
    batch: Batch,
    hyperparams: Hyperparams,
    arrived: float | None,
    pull: Callable[[Position], Batch],
) -> Pulled:
    """The batches of a stretch, pulled one after the other; a signal ends it before its time, but not where several processes
    have the same stretch.

    Args:
        wanted: its positions.
        batch, hyperparams, arrived: of its first step.
        pull: the position before a step -> its batch.
    """
    batches, rows, signal = [batch], [hyperparams], ""
    begun = arrived if fold.paused else fold.issued
    for at in wanted[:-1]:
        if signal and fold.agree is None:
            break
        batches.append(pull(at))
        arrived, came = look(fold.seen)
        signal = signal or came
        rows.append(next(fold.ahead, rows[-1]))
    return Pulled(wanted[: len(batches)], batches, rows, begun, arrived, signal)


def steps_of(stretch: Pulled, logs: list[Any], issued: float | None, paused: bool) -> Iterator[Step]:
    """What a run keeps of each step; each has taken its share of the time.

    Args:
        issued: seconds on the clock when the call was issued.
        paused: whether something else came before the first.

    Example:
        >>> two = Pulled([Position(iteration=1), Position(iteration=2)], [], [], 1.0, 2.0, "")
        >>> [(step.issued, step.arrived) for step in steps_of(two, [{}, {}], 5.0, False)]
        [(3.0, 1.5), (5.0, 3.5)]
    """
    count, start = len(stretch.positions), stretch.begun
    for place, (at, one) in enumerate(zip(stretch.positions, logs, strict=True)):
        if start is None or issued is None or stretch.arrived is None:
            yield Step(at.iteration, one, None, None, paused and place == 0)
            continue
        took, waited = (issued - start) / count, (stretch.arrived - start) / count
        before = start + took * place
        yield Step(at.iteration, one, before + took, before + waited, paused and place == 0)
