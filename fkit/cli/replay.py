"""``fkit replay RUN``: a run executed again, and held against what it left."""

import argparse
import sys
from typing import Any

from fkit.cli.command import add_command, whole
from fkit.cli.finding import named, noted, plural, said_row
from fkit.cli.option import add_launcher, add_trust
from fkit.cli.reach import open_registry
from fkit.cli.spawn import launched, spawned_again
from fkit.edge.past import read_past
from fkit.edge.replay import Replay, replay_on
from fkit.edge.work import screened

__all__ = ["add", "report"]


def add(commands: Any) -> None:
    """Add the command to the command line."""
    command = add_command(
        commands,
        "replay",
        "Execute a run again, from its beginning or from a checkpoint, and compare each line of metrics.jsonl and each "
        "checkpoint to the bit. Nothing is written. Exit code 1 where something differs. A run of several processes is executed "
        "again by as many, which this command starts where no launcher has.",
        [
            "fkit replay work_dirs/convnet",
            ("fkit replay work_dirs/convnet --from 230 --to 276", "from its checkpoint of step 230"),
        ],
    )
    command.add_argument("folder", metavar="RUN", help="the work folder of a run")
    command.add_argument(
        "--from", dest="start", type=whole, default=0, metavar="STEP", help="begin from its checkpoint of this step"
    )
    command.add_argument(
        "--to", type=whole, metavar="STEP", help="the last step compared; by default the last on record"
    )
    add_launcher(command)
    add_trust(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    past = read_past(arguments.folder, arguments.trust)
    code = spawned_again("replay", arguments, (past,))
    if code is not None:
        return code
    past, registry = launched(past, arguments), open_registry(arguments)
    with screened() as screen:
        done = replay_on(screen, past, registry, start=arguments.start, to=arguments.to)
        screen.close()
    if not done.leads:
        return 0
    sys.stdout.write(report(done))
    return 0 if done.equal else 1


def report(done: Replay) -> str:
    """What came of a replay, as a person reads it: the verdict, what differs, and what else is other than it was."""
    verdict = done.verdict
    compared = f"{plural(verdict.lines, 'line')} of metrics.jsonl and {plural(len(verdict.checkpoints), 'checkpoint')} are equal"
    if verdict.equal:
        lines = [f"{done.folder}: equal from step {verdict.start} to step {verdict.end}, to the bit: {compared}"]
        return "\n".join((*lines, *noted(done.notes))) + "\n"
    lines = [f"{done.folder}: differs at step {verdict.first} ({_before(done)})"]
    if verdict.row is not None:
        lines += said_row(verdict.row, ("recorded", "now"))
    if verdict.step is not None:
        lines += [f"  checkpoint of step {verdict.step}:", *named(verdict.differences, ("record", "replay"))]
    elif verdict.row is not None:
        after = [step for step in verdict.checkpoints if step >= verdict.row.step]
        lines.append(
            f"  the checkpoint of step {after[0]} is equal: the line alone differs"
            if after
            else "  no checkpoint after it was compared, which would say what of the state differs"
        )
    if verdict.failure:
        lines.append(f"  it fails after step {verdict.end}, as the run did not: {verdict.failure}")
    lines += _samples(done)
    lines.append(f"  before: {compared}")
    return "\n".join((*lines, *noted(done.notes))) + "\n"


def _samples(done: Replay) -> list[str]:
    """Whether it is the order of the data."""
    if done.strayed is None:
        return []
    first, last = done.strayed
    if not last:
        return [
            f"  its steps up to step {done.verdict.first} take the samples that they took: it is not the data's order"
        ]
    steps = f"step {first} takes" if first == last else f"steps {first} to {last} take"
    return [f"  {steps} other samples than then: so it is the data's order (sampler, seed, or how many there are)"]


def _before(done: Replay) -> str:
    verdict = done.verdict
    if verdict.known == verdict.first:
        return "its lines of metrics are equal"
    if verdict.known == verdict.start:
        return f"begun at step {verdict.start}; nothing on record between"
    return f"all on record up to step {verdict.known} is equal"
