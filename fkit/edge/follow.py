"""A run, followed to its end: every effect performed, and whatever ends it on record."""

from collections.abc import Mapping
from contextlib import nullcontext

import fkit.run.loop as loop
from fkit.data.source import Source
from fkit.edge.fleet import noticing
from fkit.edge.perform import Edge
from fkit.edge.repeat import telling
from fkit.edge.signal import Again, Inbox, again_in, inbox
from fkit.run.effect import SaveCheckpoint
from fkit.run.state import RunState
from fkit.tree.check import expect
from fkit.tree.error import RunError

__all__ = ["follow"]


def follow(edge: Edge, run: RunState, data: Mapping[str, Source], heard: Inbox | None = None) -> RunState:
    """Train, and perform what the run asks for, until it ends or a signal ends it.

    The first Ctrl-C or SIGTERM lets the step in progress end and the run be saved; more of them until then are said and
    survived, and one after that ends the process. For a run that repeats to the bit on CUDA too, call
    `fkit.edge.repeat.repeat` before the plan is made, as ``fkit train`` does: its flags are the process's.

    Args:
        edge: of the run's plan.
        run: where to start (`fkit.begin` or `fkit.restore`).
        data: the run's sources (`fkit.open_data`).
        heard: what it observes, where somebody else hears the signals; by default the process's.

    Returns:
        the run at its end; its ``signal`` is the name of the signal that ended it, or "".

    Raises:
        FkitError: what ended the run; run.json says "failed" then, and log.txt what and where.
    """
    expect(edge, Edge, "`edge` is the edge of a plan (fkit.edge.perform.Edge(folder, plan) makes one)")
    expect(data, Mapping, "`data` is a mapping of sources (fkit.open_data gives one)")
    try:
        ears_of = inbox(edge.plan.fleet.leads) if heard is None else nullcontext(heard)
        with ears_of as ears, telling(edge.plan.room), noticing(edge.plan.room, edge.plan.fleet):
            try:
                for run, effects in loop.train(edge.plan, run, edge.watched(data, run.iteration), ears):
                    for effect in effects:
                        edge.perform(effect, run)
                        if run.signal and isinstance(effect, SaveCheckpoint):
                            ears.saved()
                    if run.signal:
                        ears.saved()
                    edge.watch(run)
            except (Again, Exception) as stopped:
                again = again_in(stopped)
                if again is None:
                    raise
                ears.ended()
                edge.status(run.status)
                what = f"stopped after iteration {run.iteration}, at once by {again}"
                edge.say(f"{run.signal}: {what}; go on with --resume.", "WARNING")
    except SystemExit as cause:
        error = RunError(f"a part of the run called sys.exit({cause.code!r}) at iteration {run.iteration}.")
        error.__cause__ = cause
        edge.fail(error)
        raise error from cause
    except BaseException as error:
        edge.fail(error)
        raise
    finally:
        edge.close()
    return run
