"""A model with its weights and its pipeline as one value, images through it, results drawn: the doors of mmdet, mmseg and mmpretrain."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.array.room import open as open_room
from fkit.catalog.builtin import registry as builtin
from fkit.catalog.registry import Registry
from fkit.config.config import Config, load_config
from fkit.config.schema import with_value
from fkit.data.dataset.facts import Facts
from fkit.edge.repeat import repeat
from fkit.edge.score import found_at, load_state
from fkit.recipe.inference import Pictures, open_pictures
from fkit.recipe.label import Names, class_names
from fkit.recipe.settings import Settings, read
from fkit.recipe.source import registry_of
from fkit.run.inference import predict_images
from fkit.run.plan import served
from fkit.structures.apart import data_samples
from fkit.structures.batch import Batch
from fkit.structures.content import is_array
from fkit.structures.sample import ClsDataSample, DataSample, DetDataSample, PoseDataSample, SegDataSample
from fkit.training.program import Program
from fkit.training.state import TrainState
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError, quoted
from fkit.visualize.result import show_result

__all__ = ["ServedModel", "inference_model", "init_model", "predicted", "show_result_pyplot"]

# mmdet's names of palettes, and whose they are; "" is the kit's
_PALETTES: Mapping[str, str] = frozendict(coco="coco", voc="voc", citys="cityscapes", none="", random="")
# what is predicted -> the sample that holds it
_KINDS: Mapping[str, type[DataSample]] = frozendict(
    pred_instances=DetDataSample, pred_sem_seg=SegDataSample, pred_label=ClsDataSample
)


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model that predicts: what `init_model` gives and `inference_model` takes.

    Attributes:
        cfg: its config.
        program, state: its functions and weights.
        names: of its classes.
        settings, registry: of its config.
        palette: a colour a class, or None: `show_result` takes the kit's.
    """

    cfg: Config
    program: Program
    state: TrainState
    names: Names
    settings: Settings
    registry: Registry
    palette: Any = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their labels; mmdet 2.x's ``model.CLASSES``."""
        return self.names.classes

    def show_result(self, img: str | Path | NDArray[Any], result: Any, score_thr: float = 0.3, **options: Any) -> Any:
        """Draw a result with this model's classes: `fkit.visualize.show_result`, whose arguments it takes."""
        words: dict[str, Any] = {"classes": self.classes or None, **options}
        words["palette"] = self.palette if words.get("palette") is None else _colours(words["palette"])
        return show_result(img, result, score_thr, **words)


def init_model(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    *,
    palette: Any = "none",
    backend: str | None = None,
    registry: Registry | None = None,
    weights: str | None = None,
) -> ServedModel:
    """A model with its weights, ready to predict; mmseg's and mmpose's ``init_model``, mmdet's ``init_detector``.

    Args:
        config: a config's path, or a Config.
        checkpoint: a .pth or .safetensors, an address, a checkpoint of the kit's or a work folder; None: the weights that
            the seed draws, which predict nothing yet.
        device: "cpu", "cuda:0"; None as the config says.
        cfg_options: changes of the config, as ``--cfg-options`` takes them.
        palette: of pictures of what is found: "coco", "voc" or "citys", whose colours they are; colours, one a class; "none" and
            "random" are the kit's.
        backend: "torch" or "jax"; None as the config says.
        registry: where the config's parts come from; by default the built-in one.
        weights: "own" or "ema", of a checkpoint that has both.

    Raises:
        FkitError: the config or the checkpoint cannot be read, or they are not of one model.

    Example::

        model = fkit.init_model("configs/fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py", "fcn.pth")
        sample = fkit.inference_model(model, "street.jpg")
        model.show_result("street.jpg", sample, out_file="out.png")
    """
    if not isinstance(config, Config):
        expect(config, (str, os.PathLike), "`config` is the path of a config, or a Config")
        config = load_config(config)
    colours = _colours(palette)
    expect({} if cfg_options is None else cfg_options, Mapping, "`cfg_options` is a mapping of changes")
    cfg = config.merge(dict(cfg_options)) if cfg_options else config
    tree: Any = with_value(cfg, "load_from", None) if cfg.get("load_from") is not None else cfg
    for key, value in (("device", device), ("backend", backend)):
        tree = tree if value is None else with_value(tree, key, value)
    cfg = cast("Config", tree)
    settings = read(cfg)
    reg = registry_of(settings, builtin() if registry is None else registry)
    repeat(settings)
    program = served(cfg, reg)
    if checkpoint is None:
        state = program.init(settings.seed or 0, pretrained=False)
        return ServedModel(cfg, program, state, class_names(settings, reg), settings, reg, colours)
    found = found_at(checkpoint, program, reg)
    state, _ = load_state(program, found, weights)
    names = class_names(settings, reg, found.meta.get("data"))
    return ServedModel(cfg, program, state, names, settings, reg, colours)


def _colours(palette: Any) -> Any:
    """The colours of a palette by its name in mmdet, or None."""
    if not isinstance(palette, str):
        if palette is not None and not is_array(palette):
            expect(palette, (list, tuple), "`palette` is a palette's name, or colours in a list")
        return palette
    if palette not in _PALETTES:
        raise FkitValueError(f"palette={palette!r}.", value=palette, choices=_PALETTES, label="Palettes")
    return Facts(f"detection/{_PALETTES[palette]}")["palette"] if _PALETTES[palette] else None


def inference_model(
    model: ServedModel,
    imgs: str | Path | NDArray[Any] | Sequence[str | Path | NDArray[Any]],
    test_pipeline: Sequence[Mapping[str, Any]] | None = None,
    *,
    batch_size: int = 1,
) -> Any:
    """What a model says of images; mmseg's and mmpretrain's ``inference_model``, mmdet's ``inference_detector``.

    Args:
        model: of `init_model`.
        imgs: the path or address of an image, an image (H, W, C) uint8 BGR, or a list of these.
        test_pipeline: configs of the steps that images pass, in place of those of the config.
        batch_size: how many the model is given at once, at most.

    Returns:
        a sample of what the model predicts; a list gives a list. Of a segmentor `SegDataSample` with ``pred_sem_seg`` (1, H, W) in
        the size of the image, of a classifier `ClsDataSample` with ``pred_label.label`` (1,) and ``pred_label.score`` (K,), of a detector
        `DetDataSample` with ``pred_instances`` (``bboxes`` (K, 4) xyxy in pixels of the image, ``scores`` (K,), ``labels``
        (K,), ``masks`` where the model has any), best first.

    Raises:
        FkitError: an image cannot be read.
    """
    expect(model, ServedModel, "`model` is a model with its weights (fkit.init_model makes one)")
    expect_number(batch_size, "batch_size", whole=True)
    alone = isinstance(imgs, (str, os.PathLike)) or is_array(imgs)
    if not alone:
        expect(imgs, (list, tuple), "`imgs` is the path of an image, an image (H, W, C), or a list of these")
    several: Any = (imgs,) if alone else imgs
    for place, one in enumerate(several):
        if not is_array(one):
            expect(one, (str, os.PathLike), f"`imgs[{place}]` is the path of an image, or an image (H, W, C)")
    images = [one if is_array(one) else os.fspath(one) for one in several]
    if test_pipeline is not None:
        expect(test_pipeline, (list, tuple), "`test_pipeline` is a list of configs of steps")
        for place, step in enumerate(cast("Sequence[Any]", test_pipeline)):
            if not isinstance(step, Mapping) or "type" not in step:
                raise FkitTypeError(f"test_pipeline[{place}] is a mapping with 'type', not {quoted(step, 60)}.")
    samples = predicted(model, open_pictures(model.settings, model.registry, images, test_pipeline), batch_size)
    return samples[0] if alone else samples


def predicted(model: ServedModel, pictures: Pictures, batch_size: int = 1) -> list[Any]:
    """What a model says of pictures that its pipeline reads, a sample each.

    Raises:
        FkitError: a picture cannot be read.
    """
    expect(model, ServedModel, "`model` is a model with its weights (fkit.init_model makes one)")
    samples: list[DataSample] = []
    for one in predict_images(model.program, open_room(model.program.backend), model.state, pictures, batch_size):
        for error in one.errors.values():
            raise error
        batch = Batch(np.zeros((len(one.metas), 1)), meta=one.metas)
        samples += data_samples(batch, one.outputs, _kind(one.outputs))
    return samples


def _kind(outputs: Any) -> type[DataSample]:
    """The class of samples that hold such outputs."""
    names: Any = outputs[0] if isinstance(outputs, (list, tuple)) and outputs else outputs
    if "keypoints" in ((names or {}).get("pred_instances") or ()):
        return PoseDataSample
    return next((kind for name, kind in _KINDS.items() if name in (names or ())), DataSample)


def show_result_pyplot(
    model: ServedModel,
    img: str | Path | NDArray[Any],
    result: Any,
    score_thr: float = 0.3,
    title: str = "result",
    wait_time: float = 0,
    palette: Any = None,
    out_file: str | Path | None = None,
) -> NDArray[np.uint8]:
    """Show what a model found in an image in a window, or write it; mmdet 2.x's and mmseg's function.

    Args:
        model: of `init_model`.
        img: the image, (H, W, 3) uint8 BGR, or the path of its file.
        result: of `inference_model`, or mmdet 2.x's lists of arrays.
        score_thr: the least score of an object that is drawn.
        title: of the window.
        wait_time: for how many milliseconds it stays open; 0: until a key is pressed.
        palette: as of `init_model`; None: the model's.
        out_file: where the picture is written, in place of a window.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        FkitRuntimeError: there is no window system, and no ``out_file`` is named.

    Example::

        found = fkit.inference_model(model, "street.jpg")
        fkit.edge.served.show_result_pyplot(model, "street.jpg", found, out_file="found.png")
    """
    expect(model, ServedModel, "`model` is a model with its weights (fkit.init_model makes one)")
    window: dict[str, Any] = {"win_name": title, "show": out_file is None, "wait_time": wait_time}
    return model.show_result(img, result, score_thr, palette=palette, out_file=out_file, **window)
