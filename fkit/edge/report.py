"""Predictions as they come: a line of results, a picture and a row for each image, and a bar for how far it is."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.edge.board import png
from fkit.edge.coco import COCO, Objects
from fkit.edge.film import Reel, frames_of
from fkit.edge.gallery import ROWS, Gallery, picture_name
from fkit.edge.output import OutputError
from fkit.edge.progress import Screen
from fkit.edge.watch import Pace
from fkit.format.json import finite, write_json
from fkit.image.io import imread
from fkit.image.video import VideoReader
from fkit.recipe.label import Names
from fkit.run.inference import Prediction
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitError, FkitOSError, FkitTypeError
from fkit.visualize.prediction import Answer, answers_of

__all__ = ["Report"]

_DRAWN = 0.3  # the least score of an object in a picture, where nobody says another


class Report:
    """Tells of predictions: a line on standard output, a picture, a row; how far it is, and what fails, on standard error.

    Args:
        gallery: where pictures and rows go.
        paths: of all images.
        checkpoint: that they are predicted by, for the rows.
        videos: how many are shown too, by `film`.
        threshold: the least score of what is told; None: 0.3 of objects in pictures and rows, and COCO's file has them all.
        board: a visualizer that draws, where it is one for this kind of prediction.

    Attributes:
        screen: what a person watches.
    """

    def __init__(
        self,
        gallery: Gallery,
        paths: Sequence[str],
        checkpoint: str,
        videos: int = 0,
        threshold: float | None = None,
        board: Any = None,
    ) -> None:
        expect(gallery, Gallery, "`gallery` is a folder of pictures (fkit.edge.gallery.Gallery(folder))")
        expect(paths, (list, tuple), "`paths` are those of images, in a list")
        expect_number(videos, "`videos`", whole=True)
        self.screen = Screen()
        self._gallery = gallery
        self._paths = paths
        self._count = len(paths) + videos
        self._noun, self._made = (
            ("images", "pictures")
            if not videos
            else ("images and videos", "pictures, videos")
            if paths
            else ("videos",) * 2
        )
        self._threshold, self._board = threshold, board
        self._objects = Objects()
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

    def take(self, one: Prediction, names: Names) -> None:
        """Tell of a batch, image by image."""
        of = self._answers(one, names, [{"file_name": self._paths[index]} for index in _whole(one)])
        for index in one.indices:
            self._tell(self._paths[index], of[index])
            self._look()

    def film(
        self, path: str, predict: Callable[[Sequence[NDArray[np.uint8]]], Iterator[Prediction]], names: Names, size: int
    ) -> None:
        """Tell of a video: a video of what is predicted of its frames, a row for each of them, and a line.

        Args:
            path: of the video.
            predict: frames (H, W, 3) uint8 BGR -> what is predicted of them.
            names: of the classes.
            size: frames of a batch, at most.
        """
        try:
            with VideoReader(path, cache_capacity=0) as reader:
                place = self._gallery.claim(picture_name(path, ending=".mp4"))
                reel = Reel(place, reader.fps)
                try:
                    count = self._frames(path, reader, reel, predict, names, size)
                    reel.end()
                except BaseException:
                    reel.drop()
                    raise
        except FkitOSError as error:
            self._fail(path, error, {"image": path, "checkpoint": self._checkpoint})
            return
        finally:
            self.screen.drop("infer")
        self._write(f"{path}: {count} frames -> {place}\n")

    def _frames(
        self,
        path: str,
        reader: VideoReader,
        reel: Reel,
        predict: Callable[[Sequence[NDArray[np.uint8]]], Iterator[Prediction]],
        names: Names,
        size: int,
    ) -> int:
        """The frames of a video through the model; how many."""
        number, total, done = self._objects.video(path, reader.fps), reader.frame_cnt, 0
        pace = Pace(total, time.monotonic())
        for frames in frames_of(reader, size):
            for one in predict(frames):
                for error in one.errors.values():
                    raise error
                of = self._answers(
                    one,
                    names,
                    [{"file_name": path, "video_id": number, "frame_id": done + at} for at in range(len(one.indices))],
                )
                for index, answer in of.items():
                    if isinstance(answer, FkitError):
                        raise answer
                    reel.add(answer.draw(np.ascontiguousarray(frames[index][..., ::-1])))
                    row = {"image": path, "frame": done, **answer.row, "picture": str(reel.place)}
                    self._gallery.add({**row, "checkpoint": self._checkpoint})
                    done += 1
                    self._show(done, total, pace)
        return done

    def _answers(
        self, one: Prediction, names: Names, images: Sequence[dict[str, Any]]
    ) -> dict[int, Answer | FkitError]:
        """What is said of each image of a batch, by its number; objects are kept for COCO's file."""
        least = self._threshold
        if least is None:
            least = _DRAWN if "pred_instances" in (one.outputs or ()) else 0.0
        answers = () if one.outputs is None else answers_of(one.outputs, names.of, least, board=self._board)
        whole = _whole(one)
        if len(answers) != len(whole):
            raise FkitTypeError(f"the model was given {len(whole)} images, and predicted {len(answers)}.")
        self._classes = names.classes
        self._objects.take(images, one.outputs, one.metas, self._threshold or 0.0)
        return {**dict(zip(whole, answers, strict=True)), **one.errors}

    def end(self) -> int:
        """Say how it went; the exit code."""
        count, where = self._count, self._gallery.folder
        if self._failed == count:
            where = where / ROWS
            if self._fault is not None:
                raise FkitError(self._fault, repair=f"Its row is in {where}.")
            raise FkitError(
                f"none of {count} {self._noun} could be predicted.", repair=f"Their rows in {where} say why."
            )
        book = self._objects.book(self._classes)
        files = f"{self._made} and {ROWS}"
        if book["images"]:
            place = self._gallery.keep(COCO, (write_json(finite(book)) + "\n").encode())
            files = f"{self._made}, {ROWS} and {place.name}"
        self.screen.say(f"{count - self._failed} of {count} {self._noun} predicted: {files} are in {where}")
        if self._failed:
            self.screen.say(
                f"fkit: {self._failed} of {count} {self._noun} could not be predicted: their rows say why", "ERROR"
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
        row["checkpoint"] = self._checkpoint
        if isinstance(answer, FkitError):
            self._fail(path, answer, row)
            return
        self._gallery.add(row)
        self._write(line)

    def _fail(self, path: str, error: FkitError, row: dict[str, Any]) -> None:
        """Say that nothing is predicted of a file."""
        self._failed += 1
        said = error.what if path in error.what else f"{path}: {error.what}"
        if self._count == 1:  # it is the one message of the command
            self._fault = said
        else:
            self.screen.say(f"fkit: {said}", "ERROR")
        self._gallery.add({**row, "error": error.what})

    def _look(self) -> None:
        self._done += 1
        self._show(self._done, len(self._paths), self._pace)

    def _show(self, done: int, total: int, pace: Pace) -> None:
        now = time.monotonic()
        if now >= self._due:
            self._due = now + self.screen.seconds
            self.screen.show("infer", done, total, pace.words(now, done))

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


def _whole(one: Prediction) -> tuple[int, ...]:
    """The images of a batch that could be read."""
    return tuple(index for index in one.indices if index not in one.errors)


def _one_terminal() -> bool:
    """Whether results and what a person watches come to one terminal."""
    try:
        one, other = sys.stdout.fileno(), sys.stderr.fileno()
        return os.isatty(one) and os.isatty(other) and os.fstat(one).st_rdev == os.fstat(other).st_rdev
    except (OSError, ValueError, AttributeError):  # a stream that is closed, or is none of the system's
        return False
