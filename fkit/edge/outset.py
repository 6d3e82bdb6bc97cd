"""The run before its first step: begun, and with the weights that its config takes from files."""

from fkit.edge.progress import Screen
from fkit.run.plan import Plan
from fkit.run.state import RunState
from fkit.training.load import load_from
from fkit.training.pretrained import pretrained, taken
from fkit.tree.check import expect

__all__ = ["outset"]


def outset(plan: Plan, run: RunState, screen: Screen) -> RunState:
    """The run with the weights of ``load_from``, where the config has one; what of files does not fit is said.

    Args:
        plan: of the run.
        run: before its first event (`fkit.begin`).
        screen: what a person watches.
    """
    expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
    expect(run, RunState, "`run` is a run's state (fkit.begin gives one)")
    expect(screen, Screen, "`screen` is what a person watches")
    for part in pretrained(plan.program.inventory):
        report = taken(part, plan.program.inventory, plan.program.spec.weights).report()
        where = part.path or "the model"
        screen.say(f"{where}: begins with the weights of {part.checkpoint}" + (f".\n  {report}" if report else ""))
    source = plan.settings.load_from
    if source is None:
        return run
    loaded = load_from(plan.program, run.train, source, plan.registry)
    for text in loaded.said:
        screen.say(text)
    if loaded.fit.report():
        screen.say(f"{source.path}: not all weights fit.\n  {loaded.fit.report()}", "WARNING")
    return run._replace(train=loaded.state, restored=True)
