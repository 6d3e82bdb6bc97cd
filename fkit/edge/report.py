"""Predictions as they come: a line of results, a picture and a row for each image, and a bar for how far it is."""

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from fkit.edge.board import png
from fkit.edge.coco import COCO, Objects
from fkit.edge.gallery import ROWS, Gallery
from fkit.edge.output import OutputError
from fkit.edge.progress import Screen
from fkit.edge.watch import Pace
from fkit.format.json import finite, write_json
from fkit.image import imread
from fkit.recipe.label import Names
from fkit.run.inference import Prediction
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitTypeError
from fkit.visualize.prediction import Answer, answers_of

__all__ = ["Report"]


class Report:
    """Tells of predictions: a line on standard output, a picture, a row; how far it is, and what fails, on standard error.

    Args:
        gallery: where pictures and rows go.
        paths: of all images.
        checkpoint: that they are predicted by, for the rows.

    Attributes:
        screen: what a person watches.
    """

    def __init__(self, gallery: Gallery, paths: Sequence[str], checkpoint: str) -> None:
        expect(gallery, Gallery, "`gallery` is a folder of pictures (fkit.edge.gallery.Gallery(folder))")
        expect(paths, (list, tuple), "`paths` are those of images, in a list")
        self.screen = Screen()
        self._gallery = gallery
        self._paths = paths
        self._objects = Objects(paths)
        self._classes: tuple[str, ...] = ()
        self._checkpoint = checkpoint
        self._pace = Pace(len(paths), time.monotonic())
        self._due = time.monotonic() + self.screen.seconds
        self._done = self._failed = 0
        self._fault: str | None = None
        self._one_terminal = _one_terminal()
        self._lost: OutputError | BrokenPipeError | None = None

    def __enter__(self) -> "Report":
        return self

    def __exit__(self, *_: object) -> None:
        self.screen.close()
        self._gallery.close()

    def take(self, one: Prediction, names: Names, threshold: float) -> None:
        """Tell of a batch, image by image."""
        answers = () if one.outputs is None else answers_of(one.outputs, names.of, threshold)
        whole = tuple(index for index in one.indices if index not in one.errors)
        if len(answers) != len(whole):
            raise FkitTypeError(f"the model was given {len(whole)} images, and predicted {len(answers)}.")
        self._classes = names.classes
        self._objects.take(whole, one.outputs, one.metas, threshold)
        of = {**dict(zip(whole, answers, strict=True)), **one.errors}
        for index in one.indices:
            self._tell(self._paths[index], of[index])
            self._look()

    def end(self) -> int:
        """Say how it went; the exit code."""
        count, where = len(self._paths), self._gallery.folder
        if self._failed == count:
            where = where / ROWS
            if self._fault is not None:
                raise FkitError(self._fault, repair=f"Its row is in {where}.")
            raise FkitError(f"none of {count} images could be predicted.", repair=f"Their rows in {where} say why.")
        book = self._objects.book(self._classes)
        files = f"pictures and {ROWS}"
        if book["images"]:
            place = self._gallery.keep(COCO, (write_json(finite(book)) + "\n").encode())
            files = f"pictures, {ROWS} and {place.name}"
        self.screen.say(f"{count - self._failed} of {count} images predicted: {files} are in {where}")
        if self._failed:
            self.screen.say(
                f"fkit: {self._failed} of {count} images could not be predicted: their rows say why", "ERROR"
            )
        self.screen.close()
        if isinstance(self._lost, OutputError):
            raise self._lost
        return 1 if self._failed else 0

    def _tell(self, path: str, answer: Answer | FkitError) -> None:
        row: dict[str, Any] = {"image": path}
        line = ""
        if isinstance(answer, Answer):
            row |= answer.row
            try:
                image = imread(path, channel_order="rgb")
            except FkitError as error:  # the pipeline's reader can read it, and the one of pictures cannot
                answer = error
            else:
                place = self._gallery.hang(path, png(answer.draw(image)))
                row["picture"], line = str(place), f"{path}: {answer.words} -> {place}\n"
        if isinstance(answer, FkitError):
            self._failed += 1
            row["error"] = answer.what
            said = answer.what if path in answer.what else f"{path}: {answer.what}"
            if len(self._paths) == 1:  # it is the one message of the command
                self._fault = said
            else:
                self.screen.say(f"fkit: {said}", "ERROR")
        self._gallery.add({**row, "checkpoint": self._checkpoint})
        self._write(line)

    def _look(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now >= self._due:
            self._due = now + self.screen.seconds
            self.screen.show("infer", self._done, len(self._paths), self._pace.words(now, self._done))

    def _write(self, line: str) -> None:
        """A line of results. Where nobody takes them, the pictures and the rows are made all the same."""
        if self._lost is not None or not line:
            return
        if self._one_terminal:  # a line between the lines of the bar would tear it
            self.screen.say(line.rstrip("\n"))
            return
        try:
            sys.stdout.write(line)
            sys.stdout.flush()
        except (OutputError, BrokenPipeError) as error:
            self._lost = error
            drop = getattr(sys.stdout, "drop", None)
            if drop is not None:
                drop()


def _one_terminal() -> bool:
    """Whether results and what a person watches come to one terminal."""
    try:
        one, other = sys.stdout.fileno(), sys.stderr.fileno()
        return os.isatty(one) and os.isatty(other) and os.fstat(one).st_rdev == os.fstat(other).st_rdev
    except (OSError, ValueError, AttributeError):  # a stream that is closed, or is none of the system's
        return False
