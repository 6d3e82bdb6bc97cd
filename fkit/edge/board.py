"""Writers into the work folder, with mmengine's names and arguments: lines of JSON, and TensorBoard's event files."""

import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fkit.config.config import Config
from fkit.edge.files import place_of
from fkit.edge.gallery import picture_place
from fkit.edge.writer import Writer
from fkit.tree.check import check_fields, expect
from fkit.tree.error import FkitValueError
from fkit.tree.name import open_module, open_name

__all__ = ["LocalVisBackend", "TensorboardVisBackend", "place_for", "png"]

_DATA = "vis_data"


def place_for(save_dir: str | None, folder: Path) -> Path:
    """Where a writer writes: what its config says, or a folder in the work folder."""
    expect(save_dir, (str, type(None)), "`save_dir` is the path of a folder")
    place = Path(save_dir).expanduser() if save_dir else place_of(folder, "`folder` is the work folder") / _DATA
    place.mkdir(parents=True, exist_ok=True)
    return place


def png(image: NDArray[Any]) -> bytes:
    """A picture, (H, W, 3) uint8 RGB, as the bytes of a PNG file."""
    from PIL import Image

    expect(image, np.ndarray, "`image` is an array, (H, W, 3) uint8")
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=3)  # of large pictures, twice as fast as 6
    return buffer.getvalue()


@dataclass(frozen=True)
class LocalVisBackend:
    """Files in the work folder, as mmengine lays them: lines of JSON, the config, pictures.

    Args:
        save_dir: the folder; by default vis_data in the work folder.
        img_save_dir: in it, of pictures.
        config_save_file: in it, the config.
        scalar_save_file: in it, a JSON object a line: the tags of a line of the log, and its step.
    """

    save_dir: str | None = None
    img_save_dir: str = "vis_image"
    config_save_file: str = "config.py"
    scalar_save_file: str = "scalars.json"

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.scalar_save_file.endswith(".json") or not self.config_save_file.endswith(".py"):
            raise FkitValueError(
                f"LocalVisBackend: scalar_save_file={self.scalar_save_file!r} is a .json, "
                f"config_save_file={self.config_save_file!r} a .py."
            )

    def open(self, folder: Path, name: str) -> Writer:
        place = place_for(self.save_dir, folder)

        def scalars(tags: Mapping[str, float], step: int) -> None:
            with open(place / self.scalar_save_file, "a", encoding="utf-8") as file:
                file.write(json.dumps({**tags, "step": step}) + "\n")

        def config(cfg: Config) -> None:
            (place / self.config_save_file).write_text(cfg.text("python"), encoding="utf-8")

        def image(name: str, image: NDArray[Any], step: int) -> None:
            path = place / self.img_save_dir / picture_place(name, step)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(image))

        return Writer(scalars, config, image)


@dataclass(frozen=True)
class TensorboardVisBackend:
    """TensorBoard's event files, written by the package tensorboard alone.

    Args:
        save_dir: the folder; by default vis_data in the work folder.
    """

    needs: ClassVar[str] = "tensorboard"
    save_dir: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    def open(self, folder: Path, name: str) -> Writer:
        file = open_name("tensorboard.summary.writer.event_file_writer:EventFileWriter")(
            str(place_for(self.save_dir, folder))
        )
        event_pb2 = open_module("tensorboard.compat.proto.event_pb2")
        summary_pb2 = open_module("tensorboard.compat.proto.summary_pb2")

        def add(step: int, values: list[Any]) -> None:
            file.add_event(event_pb2.Event(wall_time=time.time(), step=step, summary=summary_pb2.Summary(value=values)))
            file.flush()

        def scalars(tags: Mapping[str, float], step: int) -> None:
            add(step, [summary_pb2.Summary.Value(tag=tag, simple_value=value) for tag, value in tags.items()])

        def config(cfg: Config) -> None:
            add(0, [_text(summary_pb2, "config", cfg.text("python"))])

        def image(name: str, image: NDArray[Any], step: int) -> None:
            height, width = image.shape[:2]
            data = summary_pb2.Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png(image))
            add(step, [summary_pb2.Summary.Value(tag=name, image=data)])

        return Writer(scalars, config, image, file.close)


def _text(summary_pb2: Any, tag: str, text: str) -> Any:
    """A value of TensorBoard's tab of texts."""
    tensor = open_name("tensorboard.compat.proto.tensor_pb2:TensorProto")
    kind = open_name("tensorboard.compat.proto.types_pb2:DT_STRING")
    content = tensor(dtype=kind, string_val=[f"```\n{text}\n```".encode()])
    plugin = summary_pb2.SummaryMetadata.PluginData(plugin_name="text")
    metadata = summary_pb2.SummaryMetadata(plugin_data=plugin)
    return summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=content)
