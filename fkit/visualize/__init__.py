"""Floor 9: pictures. An image in, an image out; names are loaded when they are first asked for."""

from typing import TYPE_CHECKING, Any

from fkit.tree.facade import attribute

if TYPE_CHECKING:
    from fkit.visualize.canvas import Visualizer as Visualizer
    from fkit.visualize.curve import curves as curves
    from fkit.visualize.featmap import draw_featmap as draw_featmap
    from fkit.visualize.mistake import confusion as confusion
    from fkit.visualize.pose import PoseLocalVisualizer as PoseLocalVisualizer
    from fkit.visualize.result import show_result as show_result
    from fkit.visualize.space import Pose3dLocalVisualizer as Pose3dLocalVisualizer
    from fkit.visualize.task import DetLocalVisualizer as DetLocalVisualizer
    from fkit.visualize.task import SegLocalVisualizer as SegLocalVisualizer
    from fkit.visualize.task import TrackLocalVisualizer as TrackLocalVisualizer
    from fkit.visualize.universal import UniversalVisualizer as UniversalVisualizer
    from fkit.visualize.visualizer import draw_label as draw_label
    from fkit.visualize.visualizer import sheet as sheet

_FILES = (
    ("canvas", "Visualizer"),
    ("mistake", "confusion"),
    ("curve", "curves"),
    ("featmap", "draw_featmap"),
    ("pose", "PoseLocalVisualizer"),
    ("result", "show_result"),
    ("space", "Pose3dLocalVisualizer"),
    ("task", "DetLocalVisualizer SegLocalVisualizer TrackLocalVisualizer"),
    ("universal", "UniversalVisualizer"),
    ("visualizer", "draw_label sheet"),
)

_NAMES = tuple((name, f"fkit.visualize.{file}:{name}") for file, names in _FILES for name in names.split())

__all__ = tuple(name for name, _ in _NAMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    return attribute(__name__, name, _NAMES, (), ("fkit", "fkit.image"))


def __dir__() -> list[str]:
    return sorted(__all__)
