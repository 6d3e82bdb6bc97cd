"""torch models of the kit, called as mmdet 2.x, mmseg 0.x and mmcls 0.x call theirs: ``model(img, img_metas, return_loss=True, ...)``.

For scripts with a loop of their own: ``model.train_step(data, optimizer)``, ``model(return_loss=False, img=[img], img_metas=[metas])``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from frozendict import frozendict
from torch import Tensor, nn

from fkit.backend.torch.interop import to_numpy
from fkit.backend.torch.loss import number
from fkit.edge.detection import bbox_results
from fkit.structures.apart import data_samples
from fkit.structures.batch import Batch, Samples
from fkit.structures.sample import DetDataSample, SegDataSample
from fkit.training.loss import numbers_of, total
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["FirstGeneration", "first_generation"]

_OBJECTS = frozendict(gt_bboxes="bboxes", gt_labels="labels", gt_masks="masks")
_IGNORED = frozendict(gt_bboxes_ignore="bboxes")
_MAPS = frozendict(gt_semantic_seg="gt_sem_seg")
_PLAIN = ("gt_label", "gt_score")


class FirstGeneration:
    """The methods of OpenMMLab's first generation, beside a model of the kit's; see `first_generation`."""

    def forward(self, img: Any, img_metas: Any = None, return_loss: bool = True, **truth: Any) -> Any:
        """The losses of a batch, or what is predicted: `forward_train`, `forward_test`."""
        return (
            self.forward_train(img, img_metas, **truth) if return_loss else self.forward_test(img, img_metas, **truth)
        )

    def forward_train(self, img: Tensor, img_metas: Sequence[Mapping[str, Any]] | None = None, **truth: Any) -> Any:
        """The losses by name.

        Args:
            img: (N, 3, H, W), normalised and padded.
            img_metas: of each image its ``img_shape``, ``ori_shape``, ``pad_shape``, ``scale_factor``.
            truth: ``gt_bboxes`` (N tensors (k, 4)), ``gt_labels`` (N tensors (k,)), ``gt_masks``, ``gt_bboxes_ignore``;
                ``gt_semantic_seg`` (N, 1, H, W); ``gt_label`` (N,).

        Raises:
            FkitKeyError: another word.
        """
        batch = _batch(img, img_metas)
        targets, valid = dict(batch.targets), dict(batch.valid)
        for name, value in truth.items():
            if name not in (*_OBJECTS, *_IGNORED, *_MAPS, *_PLAIN):
                raise FkitKeyError(
                    f"forward_train: {name} is no truth of a batch.", value=name, label="Truth",
                    choices=(*_OBJECTS, *_IGNORED, *_MAPS, *_PLAIN),
                )  # fmt: skip
            if name in _MAPS:
                targets[_MAPS[name]] = value.squeeze(1)
            elif name in _PLAIN:
                targets[name] = value
        for group, words in (("gt_instances", _OBJECTS), ("ignored_instances", _IGNORED)):
            fields = {mine: truth[name] for name, mine in words.items() if truth.get(name) is not None}
            if fields:
                targets[group], valid[group] = _padded(fields, img)
        return self._asked(img, Samples(frozen(targets), frozen(valid)), "loss")

    def forward_test(self, imgs: Any, img_metas: Any = None, **options: Any) -> Any:
        """What is predicted of images; `simple_test` of the one view that is given.

        Args:
            imgs: a list of one tensor (N, 3, H, W), or the tensor.
            img_metas: likewise a list of one list of metas.

        Raises:
            FkitValueError: there are several views.
        """
        views: Any = imgs if isinstance(imgs, (list, tuple)) else [imgs]
        if len(views) != 1:
            raise FkitValueError(
                f"forward_test: {len(views)} views of each image, and one is taken.",
                repair="fkit test --tta predicts several (tta_model, tta_pipeline).",
            )
        nested = isinstance(img_metas, (list, tuple)) and img_metas and isinstance(img_metas[0], (list, tuple))
        return self.simple_test(views[0], img_metas[0] if nested else img_metas, **options)

    def simple_test(
        self, img: Tensor, img_metas: Sequence[Mapping[str, Any]] | None = None, rescale: bool = True
    ) -> Any:
        """What is predicted: of a detector lists of (k, 5) arrays a class (and of masks), of a segmentor maps (H, W), of a
        classifier scores (K,); a list of one an image.

        Args:
            rescale: in the size of the original image; False: of ``img_shape``.
        """
        batch = _batch(img, img_metas)
        if not rescale:
            changed = {"ori_shape": batch.targets["img_shape"], "scale_factor": torch.ones(len(img), 2)}
            metas = tuple(frozen({**meta, "ori_shape": tuple(meta["img_shape"][:2])}) for meta in batch.meta)
            batch = Batch(batch.inputs, {**batch.targets, **changed}, batch.valid, metas)
        with torch.no_grad():
            outputs = self._asked(img, batch.samples, "predict")
        return _results(_host(outputs), batch, cast(Any, self))

    def train_step(self, data: Mapping[str, Any], optimizer: Any = None, **options: Any) -> dict[str, Any]:
        """A step's losses: ``{"loss": what is differentiated, "log_vars": {name: number}, "num_samples": N}``.

        Args:
            data: what a batch's loader gave: ``img``, ``img_metas`` and the truth.
            optimizer: of no use here, as in mmcv: OptimizerHook moves it.
        """
        losses = numbers_of(cast(Any, self)(**data), number)
        loss = total(losses)
        logged = {name: float(value.detach()) for name, value in losses.items()}
        return {"loss": loss, "log_vars": {**logged, "loss": float(loss.detach())}, "num_samples": len(data["img"])}

    def val_step(self, data: Mapping[str, Any], optimizer: Any = None, **options: Any) -> dict[str, Any]:
        """As `train_step`."""
        return self.train_step(data, optimizer)

    def _asked(self, img: Tensor, samples: Samples, mode: str) -> Any:
        return cast(Any, super()).forward(img, samples, mode=mode)


def first_generation(model: nn.Module) -> Any:
    """A model of the kit with the methods of mmdet 2.x, mmseg 0.x and mmcls 0.x; it shares its weights with the one given.

    Args:
        model: a torch model whose ``forward(inputs, samples, mode)`` is the kit's.

    Raises:
        FkitTypeError: it is none.

    Example::

        made = fkit.build(cfg["model"], fkit.registry(), "models", backend="torch")
        model = fkit.compat.first_generation(made)
        model.train_step(dict(img=img, img_metas=metas, gt_semantic_seg=truth))["loss"].backward()
    """
    given: Any = model
    if not isinstance(given, nn.Module) or isinstance(given, FirstGeneration):
        raise FkitTypeError(
            f"`model` is a torch model of the kit, not {quoted(model)}.",
            repair="fkit.build(cfg, registry, 'models', backend='torch') makes one.",
        )
    kind: Any = type(model)
    words = {"__module__": kind.__module__, "__doc__": kind.__doc__}
    mixed: Any = type(kind.__name__, (FirstGeneration, kind), words)
    again = mixed.__new__(mixed)
    vars(again).update(vars(model))
    return again


def _batch(img: Any, metas: Any) -> Batch:
    """Images and what their metas say, as a batch."""
    if not isinstance(img, Tensor) or img.dim() != 4:
        raise FkitTypeError(f"`img` is a tensor (N, 3, H, W), not {quoted(img)}.")
    whole = tuple(img.shape[-2:])
    rows: list[dict[str, Any]] = [dict(meta) for meta in metas] if metas is not None else [{} for _ in img]
    if len(rows) != len(img):
        raise FkitValueError(f"{len(rows)} `img_metas` of {len(img)} images.")
    for row in rows:
        size = tuple(row.get("img_shape", whole))[:2]
        row.update(img_shape=size, pad_shape=tuple(row.get("pad_shape", whole))[:2])
        row.update(ori_shape=tuple(row.get("ori_shape", size))[:2], scale_factor=_scale(row.get("scale_factor", 1.0)))
    sizes = {
        name: torch.tensor([row[name] for row in rows], device=img.device)
        for name in ("img_shape", "ori_shape", "pad_shape", "scale_factor")
    }
    return Batch(img, {**sizes, "input_shape": sizes["img_shape"]}, meta=tuple(map(frozen, rows)))


def _scale(value: Any) -> tuple[float, float]:
    """(width, height) factors of a number, of two or of four."""
    row = np.ravel(np.asarray(value, np.float64)).tolist()
    return (row[0], row[0]) if len(row) == 1 else (row[0], row[1])


def _padded(fields: Mapping[str, Sequence[Any]], img: Tensor) -> tuple[Mapping[str, Tensor], Tensor]:
    """Objects of each image in rows of one number, and which are real."""
    counts = [len(rows) for rows in next(iter(fields.values()))]
    most = max(1, *counts)
    joined: dict[str, Tensor] = {}
    for name, several in fields.items():
        tensors = [_tensor(rows, img.device) for rows in several]
        if [len(rows) for rows in tensors] != counts or len(counts) != len(img):
            raise FkitValueError(
                f"{name} of {[len(one) for one in tensors]} objects of {len(img)} images, beside {counts}."
            )
        shape = next((rows.shape[1:] for rows in tensors if len(rows)), tensors[0].shape[1:])
        blank = [rows.new_zeros((most - len(rows), *shape)) for rows in tensors]
        joined[name] = torch.stack(
            [torch.cat([rows.reshape(-1, *shape), more]) for rows, more in zip(tensors, blank, strict=True)]
        )
    real = torch.arange(most, device=img.device) < torch.tensor(counts, device=img.device)[:, None]
    return frozen(joined), real


def _tensor(rows: Any, device: torch.device) -> Tensor:
    rows = rows.to_ndarray() if hasattr(rows, "to_ndarray") else getattr(rows, "masks", rows)
    return torch.as_tensor(rows, device=device)


def _host(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _host(one) for name, one in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_host(one) for one in cast("Sequence[Any]", value)]
    return to_numpy(value) if isinstance(value, Tensor) else value


def _results(outputs: Any, batch: Batch, model: Any) -> list[Any]:
    """Results as the first generation has them."""
    names: Any = outputs[0] if isinstance(outputs, list) and outputs else outputs
    host = Batch(np.zeros((len(batch), 1)), meta=batch.meta)
    if "pred_instances" in names:
        classes = model.label_ranges["gt_instances.labels"]
        return [bbox_results(one, classes) for one in data_samples(host, outputs, DetDataSample)]
    if "pred_sem_seg" in names:
        return [np.asarray(one.pred_sem_seg.data).squeeze() for one in data_samples(host, outputs, SegDataSample)]
    return list(names["pred_score"])
