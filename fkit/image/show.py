"""Windows: the one place here that touches a screen."""

import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.image.flow import flowread
from fkit.image.io import imread
from fkit.image.refuse import Image
from fkit.image.wheel import flow2rgb
from fkit.tree.error import FkitRuntimeError

__all__ = ["flowshow", "imshow", "window_trouble"]


def imshow(img: Image | str | Path, win_name: str = "", wait_time: int = 0) -> None:
    """Show a picture in a window of OpenCV.

    Args:
        img: (H, W) or (H, W, 3) uint8 BGR, or a path.
        win_name: the window's title.
        wait_time: milliseconds; 0 waits until a key is pressed or the window is closed.

    Raises:
        FkitRuntimeError: OpenCV was built without windows (opencv-python-headless), or there is no display.

    Example:
        >>> imshow("absent.png", "result", wait_time=500)
        Traceback (most recent call last):
        fkit.tree.error.FkitFileNotFoundError: absent.png is not there.
    """
    picture = imread(img)
    trouble = window_trouble(cv2.getBuildInformation(), dict(os.environ), sys.platform)
    if trouble:
        raise FkitRuntimeError(f"imshow cannot open a window: {trouble}.", repair="write a file: fkit.image.imwrite")
    cv2.imshow(win_name, picture)
    if wait_time == 0:
        while cv2.waitKey(1) < 0 and cv2.getWindowProperty(win_name, cv2.WND_PROP_VISIBLE) >= 1:
            pass
    else:
        cv2.waitKey(wait_time)


def window_trouble(build: str, environ: dict[str, str], platform: str) -> str:
    """Why no window can be opened, or "". Asked first, for Qt ends the whole process where there is no display.

    Args:
        build: what ``cv2.getBuildInformation()`` says.
        environ: the environment.
        platform: ``sys.platform``.

    Example:
        >>> window_trouble("  GUI:   QT5", {}, "linux")
        'neither DISPLAY nor WAYLAND_DISPLAY is set'
    """
    gui = next(
        (line.split(":", 1)[1].strip() for line in build.splitlines() if line.strip().startswith("GUI:")), "NONE"
    )
    if gui.upper() in ("", "NONE"):
        return "this OpenCV has no windows (opencv-python-headless); install opencv-python"
    if platform.startswith("linux") and not (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        return "neither DISPLAY nor WAYLAND_DISPLAY is set"
    return ""


def flowshow(flow: NDArray[Any] | str | Path, win_name: str = "", wait_time: int = 0) -> None:
    """Show an optical flow as colours in a window.

    Args:
        flow: (H, W, 2), or the path of a ``.flo`` file.
        win_name: the window's title.
        wait_time: milliseconds; 0 waits until a key is pressed.

    Raises:
        FkitRuntimeError: no window can be opened.

    Example:
        >>> flowshow("absent.flo")
        Traceback (most recent call last):
        fkit.tree.error.FkitFileNotFoundError: absent.flo is not there.
    """
    colours = flow2rgb(flowread(flow))[..., ::-1]
    imshow(np.ascontiguousarray(np.rint(colours * 255).astype(np.uint8)), win_name, wait_time)
