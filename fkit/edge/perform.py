"""Effects to actions, one function an effect: the only place where a run touches the world."""

import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fkit.data.source import Source
from fkit.edge.board import png
from fkit.edge.failure import is_input, write_failure, write_record
from fkit.edge.files import Files, place_of
from fkit.edge.gallery import picture_place
from fkit.edge.journal import Journal, level_number, read_rows
from fkit.edge.keep import Keeper
from fkit.edge.machine import Recorder, memory_now
from fkit.edge.output import printable
from fkit.edge.progress import Screen
from fkit.edge.watch import Watch
from fkit.edge.writer import Writers
from fkit.fileio.operation import join_path, put
from fkit.run.attempt import raised
from fkit.run.effect import (
    CopyLogs,
    DeleteCheckpoint,
    DrawCurves,
    DrawMatrix,
    EmptyCache,
    ExportWeights,
    Fail,
    NameCheckpoint,
    Profile,
    ReportMemory,
    SaveCheckpoint,
    WriteConfig,
    WriteImage,
    WriteScalars,
    WriteStatus,
    WriteTags,
    WriteText,
)
from fkit.run.held import length_of, source_of
from fkit.run.plan import Plan
from fkit.run.state import RunState
from fkit.tree.check import expect
from fkit.tree.contract import expect_fit, title
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError
from fkit.tree.name import open_name

__all__ = ["PERFORMERS", "Edge", "matrix_name"]

PERFORMERS = "performers"
"""The kind under which a registry has the functions that perform effects of one's own, by the name of their class."""

Performer = Callable[[Any, RunState], None]
_PERFORMED = "effect, run, edge"


class Edge:
    """Performs a run's effects in its work folder.

    An effect of one's own, a value of any class, is performed by the function that the plan's registry has for it:
    ``reg.register("performers", function, name="ItsClass")``, called as ``function(effect, run, edge)``.

    Args:
        folder: the work folder, made when the first effect needs it.
        plan: of the run.
        record: what run.json says beside the status (versions, command, ...); its ``data`` and ``threads`` stand in every
            checkpoint.
        files: the operations on the disk; a test passes some that die.
        screen: what a person watches; None shows nothing.
        rows: lines of metrics.jsonl that count, from the checkpoint that the run goes on from.
        background: write checkpoints in the background, whatever their hook says: other runs of this process wait meanwhile.

    Raises:
        FkitValueError: a performer has the name of one of the kit's own effects.
    """

    def __init__(
        self,
        folder: str | Path,
        plan: Plan,
        record: Mapping[str, Any] | None = None,
        files: Files | None = None,
        screen: Screen | None = None,
        rows: int = 0,
        background: bool = False,
    ) -> None:
        expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
        self.folder = place_of(folder, "`folder` is the path of a work folder")
        self.plan = plan
        self.files = files or Files()
        self.screen = screen
        self.journal = Journal(self.folder, self.files)
        name = plan.settings.log.name
        self.name = name or self.folder.absolute().name
        self._record = {**(record or {}), **({"experiment_name": name} if name else {}), "status": ""}
        self._least = level_number(plan.settings.log.level)
        self._writers = Writers(plan.writers, self.folder, self.name, self.say)
        self._rows, self._background = rows, background
        self._begun = False
        self._losses: tuple[str, ...] = ()
        self._said = ""
        self._notes: list[tuple[str, str]] = []
        self._watch = Watch(screen) if screen is not None else None
        self._recorder = Recorder(plan.room, self.folder, self.say)
        self._keeper = Keeper(self.folder, plan, self._record, self.files, self.say)
        self._performers: dict[type[Any], Performer] = {
            WriteScalars: self._write,
            WriteText: self._say,
            WriteTags: self._tag,
            WriteImage: self._hang,
            CopyLogs: self._copy,
            SaveCheckpoint: self._save,
            NameCheckpoint: lambda effect, run: self._keeper.after(partial(self._keeper.name, effect)),
            DeleteCheckpoint: lambda effect, run: self._keeper.after(partial(self._keeper.delete, effect)),
            ExportWeights: lambda effect, run: self._keeper.after(partial(self._keeper.export, effect)),
            DrawCurves: self._draw,
            DrawMatrix: self._matrix,
            WriteConfig: self._config,
            WriteStatus: self._stand,
            Fail: self._fail,
            EmptyCache: lambda effect, run: plan.room.empty_cache(),
            ReportMemory: lambda effect, run: self.say(memory_now()),
            Profile: self._recorder.perform,
        }
        for kind in self._performers:
            if (PERFORMERS, kind.__name__) in plan.registry:
                raise FkitValueError(
                    f"the registry has a performer {kind.__name__!r}, and that effect is performed by the kit.",
                    repair="Give your effect's class, and its performer, a name of their own.",
                )

    def perform(self, effect: Any, run: RunState) -> None:
        """Do what an effect asks.

        Args:
            effect: one of `fkit.run.effect`, or one's own.
            run: that asked for it.

        Raises:
            RunError: the disk is full, a weight is not finite, or a performer of one's own raised.
            FkitTypeError: nothing performs this effect.
        """
        performer = self._performers.get(type(effect))
        if performer is None:
            performer = self._performers[type(effect)] = self._other(effect)
        performer(effect, run)

    def watch(self, run: RunState) -> None:
        """Show how far the run is, when the time has come; a look at the clock where it has not."""
        if self._watch is not None:
            self._watch.look(run.position.iteration)

    def watched(self, data: Mapping[str, Source], step: int = 0) -> dict[str, Source]:
        """A run's sources, with a bar for what is validated; from them the edge learns how long the run is, and which samples
        it takes.

        Args:
            step: of the run as it begins here.
        """
        self._keeper.begin(data, step)
        if self._watch is None:
            return dict(data)
        if "train" in data:
            self._watch.total = self.plan.course.total(length_of(source_of(data, "train"), "train") or 0)
        over = self._watch.over
        return {
            name: source if name.partition(":")[0] == "train" else over(source, name) for name, source in data.items()
        }

    def say(self, text: str, level: str = "INFO") -> None:
        """A line to the log and to the screen, unless the run's ``log_level`` is above its level."""
        if level_number(level) < self._least:
            return
        self.journal.say(text, level)
        if self.screen is not None:
            self.screen.say(text, level)
            self._tell_losses(self.screen)

    def _tell_losses(self, screen: Screen) -> None:
        """What is shown no more is said once, where it can still be said."""
        for loss in screen.losses:
            if loss not in self._losses:
                self._losses += (loss,)
                self.journal.say(f"{loss}: the run goes on without it", "WARNING")

    def note(self, text: str, level: str = "INFO", shown: bool = True) -> None:
        """A line to the screen now, unless it is not ``shown``, and to the log when the run has begun in its folder; as
        `say`."""
        if level_number(level) < self._least:
            return
        self._notes.append((text, level))
        if shown and self.screen is not None:
            self.screen.say(text, level)

    def status(self, status: str) -> None:
        """Record how the run stands; one that has ended, when all of it is written."""
        self._begin()
        if status != "running":
            self._keeper.finish()
        if self._record.get("status") != status:
            write_record(self.folder, {**self._record, "status": status}, self.files)
            self._record["status"] = status

    def fail(self, error: BaseException) -> None:
        """Put on record what ended the run, where the disk still takes it: run.json, and log.txt with where it was raised.

        Wrong input that is found before the run has begun leaves the folder as it was.
        """
        if self._begun or not is_input(error):
            write_failure(self.folder, self._record, error, self.files, self._said)

    def close(self) -> None:
        """Let the writers end, leave the screen as it was, and let go of the files."""
        with contextlib.suppress(FkitError):
            self._keeper.finish()
        with contextlib.suppress(FkitError):
            self._recorder.end()
            self._writers.close()
        if self.screen is not None:
            self.screen.close()
            if self._begun:
                with contextlib.suppress(FkitError):  # a full disk: what ended the run is what is shown
                    self._tell_losses(self.screen)
        self.files.close()

    def _other(self, effect: Any) -> Performer:
        """What performs an effect that is not the kit's own."""
        name, registry = type(effect).__name__, self.plan.registry
        entry = (
            registry.look(PERFORMERS, name, self.plan.settings.default_scope) if PERFORMERS in registry.kinds else None
        )
        if entry is None:
            raise FkitTypeError(
                f"nothing performs the effect {name} ({type(effect).__module__}).",
                value=name,
                choices=(*(kind.__name__ for kind in self._performers), *_names(registry)),
                label="Effects",
                repair=f"Register what does: reg.register({PERFORMERS!r}, function, name={name!r}); "
                "it is called as function(effect, run, edge).",
            )
        function: Any = entry.maker
        what = f"the performer of {name} ({entry.where}) is called with three arguments: its"
        expect_fit(function, title(function), _PERFORMED, what, "Its first is the effect, the last this edge.")

        def perform(effect: Any, run: RunState) -> None:
            try:
                function(effect, run, self)
            except FkitError:
                raise
            except Exception as cause:
                what = f"the performer of {name} ({entry.where}) raised {type(cause).__name__}: {cause}"
                raise raised(what, cause) from cause

        return perform

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self.files.make_folder(self.folder)
            self.journal.keep(self._rows)

    def _config(self, effect: WriteConfig, run: RunState) -> None:
        self.status("running")  # first of all: it says whose folder this is
        self.files.replace(self.folder / "config.py", self.plan.config.text("python").encode())
        while self._notes:
            self.journal.say(*self._notes.pop(0))
        self._writers.config(self.plan.config)

    def _write(self, effect: WriteScalars, run: RunState) -> None:
        self.journal.write(effect)
        if self._watch is not None and effect.mode == "train":
            self._watch.values = effect.scalars

    def _say(self, effect: WriteText, run: RunState) -> None:
        self._said = effect.text
        self.say(effect.text, effect.level)

    def _tag(self, effect: WriteTags, run: RunState) -> None:
        self._writers.scalars(effect.tags, effect.step)

    def _hang(self, effect: WriteImage, run: RunState) -> None:
        image = open_name("fkit.visualize.visualizer:picture")(effect.image)
        path = self.folder / "vis" / picture_place(effect.name, effect.step)
        self.files.make_folder(path.parent)
        self.files.replace(path, png(image))
        self._writers.image(effect.name, image, effect.step)

    def _copy(self, effect: CopyLogs, run: RunState) -> None:
        files = [
            path for path in sorted(self.folder.iterdir()) if path.is_file() and path.name.endswith(effect.suffixes)
        ]
        try:
            for path in files:
                place = join_path(effect.out_dir, self.folder.absolute().name, path.name, backend_args=effect.storage)
                put(path.read_bytes(), place, effect.storage)
        except (FkitError, OSError) as error:  # the run itself is whole
            self.say(f"the logs were not all copied to {effect.out_dir}: {error}", "WARNING")
            return
        self.say(f"the logs are in {effect.out_dir}")
        for path in () if effect.keep_local else files:
            if path.name in ("log.txt", "metrics.jsonl"):
                self.files.remove(path)

    def _save(self, effect: SaveCheckpoint, run: RunState) -> None:
        if self._background and not effect.reason:
            effect = effect._replace(background=True)
        seconds = self._keeper.save(effect, run, self.journal.rows)
        if self._watch is not None:
            self._watch.aside(seconds)

    def _stand(self, effect: WriteStatus, run: RunState) -> None:
        self.status(effect.status)

    def _fail(self, effect: Fail, run: RunState) -> None:
        if effect.what != self._said:
            self._say(WriteText(effect.what, "ERROR"), run)
        self._draw(effect, run)
        self.status("failed")

    def _draw(self, effect: Any, run: RunState) -> None:
        rows = read_rows(self.folder / "metrics.jsonl")
        if rows:
            curves = open_name("fkit.visualize.curve:curves")  # matplotlib takes half a second: at the end only
            title = f"{printable(self.folder.name)} · {self.plan.backend} · seed {self.plan.seed}"
            self.files.replace(self.folder / "curves.png", png(curves(rows, title)))

    def _matrix(self, effect: DrawMatrix, run: RunState) -> None:
        draw = open_name("fkit.visualize.mistake:confusion")
        image = draw(effect.matrix, effect.classes, f"{printable(self.folder.name)} · {effect.name.replace('_', ' ')}")
        self.files.make_folder(self.folder)
        self.files.replace(self.folder / matrix_name(effect.name), png(image))
        self._writers.image(effect.name, image, effect.step)


def matrix_name(name: str) -> str:
    """The name of the picture of a confusion matrix in a work folder.

    Example:
        >>> matrix_name("confusion_matrix"), matrix_name("a/b")
        ('confusion_matrix.png', 'a_b.png')
    """
    expect(name, str, "`name` is that of a metric")
    return picture_place(name.replace("/", "_"), 0).name.removesuffix("_0.png") + ".png"


def _names(registry: Any) -> tuple[str, ...]:
    return registry.names(PERFORMERS) if PERFORMERS in registry.kinds else ()
