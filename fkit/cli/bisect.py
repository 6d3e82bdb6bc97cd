"""``fkit bisect RUN_A RUN_B``: the step at which two runs part, and what differs there."""

import argparse
import sys
from typing import Any

from fkit.cli.command import add_command, number
from fkit.cli.finding import named, noted, plural, said_changes, said_row
from fkit.cli.option import add_launcher, add_trust
from fkit.cli.reach import open_registry
from fkit.cli.spawn import launched, spawned_again
from fkit.edge.parting import Parting, bisect_on
from fkit.edge.past import read_past
from fkit.edge.work import screened

__all__ = ["add", "report"]

_SAMPLES = 12
_BACKWARD = ("grad_norm", "grad_value")  # what a step logs of its gradients


def add(commands: Any) -> None:
    """Add the command to the command line."""
    command = add_command(
        commands,
        "bisect",
        "Find the first step at which two runs part, and what differs there: the batch, the hyperparameters, the losses, the "
        "tensors. Checkpoints that both have are compared by halves, then the steps between them, executed again by halves. "
        "Nothing is written. Exit code 1 where they part. Runs of several processes are executed again by as many.",
        [
            "fkit bisect work_dirs/a work_dirs/b",
            ("fkit bisect work_dirs/torch work_dirs/jax --tolerance 1e-4", "of two backends"),
        ],
    )
    command.add_argument("first", metavar="RUN_A", help="the work folder of a run")
    command.add_argument("second", metavar="RUN_B", help="that of another")
    command.add_argument(
        "--tolerance",
        type=number,
        default=0.0,
        metavar="X",
        help="numbers that differ by so much at most count as equal; by default they are compared to the bit",
    )
    add_launcher(command)
    add_trust(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    pasts = [read_past(folder, arguments.trust) for folder in (arguments.first, arguments.second)]
    code = spawned_again("bisect", arguments, pasts)
    if code is not None:
        return code
    first, second = (launched(past, arguments) for past in pasts)
    registry = open_registry(arguments)
    with screened() as screen:
        found = bisect_on(screen, first, second, registry, tolerance=arguments.tolerance)
        screen.close()
    if not found.leads:
        return 0
    sys.stdout.write(report(found))
    return 0 if found.equal else 1


def report(found: Parting) -> str:
    """What a search came to, as a person reads it."""
    return "\n".join((*_lines(found), *noted(found.notes))) + "\n"


def _lines(found: Parting) -> list[str]:
    first, second = found.folders
    how = f"to {found.tolerance:g}" if found.tolerance else "to the bit"
    if found.astray:
        return _astray(found)
    if found.step is None:
        again = f", by {plural(found.replays, 'replay')}" if found.replays else ""
        return [f"{first} and {second}: equal up to step {found.end}, as far as both go, {how}{again}"]
    sides = (f"in {first}", f"in {second}")
    what = f"{plural(len(found.differences), 'part')} of the state differ{'s' * (len(found.differences) == 1)}"
    if found.step == 0:
        head = f"{first} and {second}: apart from the start (step 0)"
        return [head, f"  {what} before the first step:", *named(found.differences, sides)]
    searched = (
        f"  searched from step {found.between[0]} to step {found.between[1]} by {plural(found.replays, 'replay')}"
    )
    if found.after:
        head = f"{first} and {second}: part at step {found.step}, in what follows it: the step itself leaves both equal"
        return [head, f"  {what} in its checkpoint:", *named(found.differences, sides), searched]
    lines = [f"{first} and {second}: part at step {found.step}; equal after step {found.known}, {how}"]
    lines += _batch(found, sides)
    if found.logs:
        lines += [f"  losses of step {found.step}:", *said_changes(found.logs, sides)]
    lines += [f"  {what} after it:", *named(found.differences, sides)]
    if found.tolerance and not found.batch:  # equal states are not quite equal, and neither are their losses
        return [*lines, searched]
    return [*lines, f"  {_where(found)}", searched]


def _batch(found: Parting, sides: tuple[str, str]) -> list[str]:
    if not found.batch:
        return [f"  the batches of step {found.step} are equal"]
    lines = [f"  the batches of step {found.step} differ:", *named(found.batch, sides)]
    first, second = found.samples
    for side, samples in zip(sides, found.samples, strict=True):
        if samples and first != second:
            more = f", ... ({len(samples)})" if len(samples) > _SAMPLES else ""
            lines.append(f"    samples {side}: {', '.join(samples[:_SAMPLES])}{more}")
    return lines


def _where(found: Parting) -> str:
    """What in the step it lies in, as far as that can be told from outside."""
    if found.batch:
        return "so it is the data: their order, their files, or what their pipeline makes of them"
    if any(row.name.startswith("hyperparams/") for row in found.differences):
        return "so it is the schedule, or what else sets hyperparameters"
    if any(change.name.rpartition("/")[2] not in _BACKWARD for change in found.logs):
        return "so it is the forward pass: the model's or the loss's code, versions, device, or random draws"
    return "so it is what follows the losses: the backward pass, the optimizer, or what changes the state after it"


def _astray(found: Parting) -> list[str]:
    (first, second), (low, high), several = found.folders, found.between, len(found.astray) > 1
    who = " and ".join(str(one.folder) for one in found.astray)
    what = "do not reproduce what they left" if several else "does not reproduce what it left"
    lines = [
        f"{first} and {second}: where they part cannot be told: {who} {what}",
        f"  what they left is equal at step {low}, and they were executed again from there to step {high}",
    ]
    for one in found.astray:
        verdict = one.verdict
        if verdict.equal:
            lines.append(f"  {one.folder}: ends at step {verdict.end}")
            continue
        lines.append(f"  {one.folder}: differs from its own record at step {verdict.first}:")
        if verdict.row is not None:
            lines += said_row(verdict.row, ("recorded", "now"))
        lines += named(verdict.differences, ("record", "replay"))
        if verdict.failure:
            lines.append(f"    {verdict.failure}")
    again = [
        f"  look at it first: fkit replay {one.folder}" + (f" --from {low}" if low else "") for one in found.astray
    ]
    return [*lines, *again]
