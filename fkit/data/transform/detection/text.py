"""MMDetection's transforms for detection by words: GLIP and Grounding DINO."""

import importlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.draw import needed
from fkit.data.transform.flip import RandomFlip
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.fileio.line import list_from_file
from fkit.tree.check import check_fields, expect
from fkit.tree.error import FkitImportError, FkitKeyError, FkitTypeError, FkitValueError, quoted

__all__ = ["Caption", "GTBoxSubOne_GLIP", "LoadTextAnnotations", "RandomFlip_GLIP", "RandomSamplingNegPos"]


@dataclass(frozen=True)
class GTBoxSubOne_GLIP(Transform):
    """One pixel off x2 and y2 of ``gt_bboxes``; mmdet's GTBoxSubOne_GLIP.

    Example:
        >>> GTBoxSubOne_GLIP()({"gt_bboxes": np.array([[0, 0, 4, 6]])})["gt_bboxes"].tolist()
        [[0, 0, 3, 5]]
    """

    def apply(self, sample: Sample, params: Any) -> Sample:
        if "gt_bboxes" not in sample:
            return sample
        boxes: NDArray[Any] = sample["gt_bboxes"]
        return replaced(sample, gt_bboxes=boxes - np.array((0, 0, 1, 1), boxes.dtype))


@dataclass(frozen=True)
class RandomFlip_GLIP(RandomFlip):
    """`fkit.data.transform.flip.RandomFlip`, which puts boxes that it flips horizontally one pixel to the left; mmdet's.

    Example:
        >>> sample = {"img": np.zeros((8, 10, 3)), "gt_bboxes": np.array([[0.0, 0.0, 4.0, 6.0]])}
        >>> RandomFlip_GLIP().apply(sample, "horizontal")["gt_bboxes"].tolist()
        [[5.0, 0.0, 9.0, 6.0]]
    """

    def apply(self, sample: Sample, params: str | None) -> Sample:
        done = super().apply(sample, params)
        if params != "horizontal" or done.get("gt_bboxes") is None:
            return done
        boxes: NDArray[Any] = done["gt_bboxes"]
        return replaced(done, gt_bboxes=boxes - np.array((1, 0, 1, 0), boxes.dtype))


@dataclass(frozen=True)
class LoadTextAnnotations(Transform):
    """The words of a sample as a list, or where its phrases stand; mmdet's LoadTextAnnotations.

    With ``phrases``: ``tokens_positive``, a list of each phrase's own. Otherwise ``text``, a mapping of labels to names,
    becomes the list of names.

    Example:
        >>> LoadTextAnnotations()({"text": {"0": "cat", "1": "dog"}})["text"]
        ['cat', 'dog']
    """

    def apply(self, sample: Sample, params: Any) -> Sample:
        if "phrases" in sample:
            phrases: Any = sample["phrases"]
            expect(phrases, Mapping, "`phrases` is a mapping of phrases")
            return replaced(sample, tokens_positive=[phrase["tokens_positive"] for phrase in phrases.values()])
        text: Any = sample["text"]
        expect(text, Mapping, "`text` is a mapping of labels to names")
        return replaced(sample, text=list(text.values()))


class Caption(NamedTuple):
    """What `RandomSamplingNegPos` decided for a sample of detection.

    Attributes:
        kept: (N,) bool, the boxes whose names have a place in the caption.
        labels: in the order of the caption.
        names: of those labels, as they are written.
    """

    kept: NDArray[np.bool_]
    labels: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class RandomSamplingNegPos(Transform):
    """A caption of the names that are in the picture and of some that are not, in any order; mmdet's RandomSamplingNegPos.

    Args:
        tokenizer_name: of the package transformers, which counts a name's tokens; or what has ``tokenize(text) -> list``.
        num_sample_negative: the most names that are not in the picture.
        max_tokens: of the caption.
        full_sampling_prob: of taking as many such names as are allowed; otherwise their number is drawn.
        label_map_file: JSON file of labels to names, for samples without ``text``.

    A sample of detection has ``gt_bboxes``, ``gt_bboxes_labels``, and names of all labels: ``text``, a mapping whose keys are
    labels as text; of a name "a/b" one is drawn. Then ``text`` is the caption, ``tokens_positive`` says from which letter to
    which each name in the picture stands, and labels are places in the caption. A sample with ``phrases`` keeps its text.

    Params: a `Caption`; None for a sample with phrases.

    Example:
        >>> class Words:
        ...     def tokenize(self, text): return text.split()
        >>> sample = {"gt_bboxes": np.zeros((1, 4)), "gt_bboxes_labels": np.array([1]), "text": {"0": "cat", "1": "dog"}}
        >>> done = RandomSamplingNegPos(Words()).apply(sample, Caption(np.array([True]), (0, 1), ("cat", "dog")))
        >>> done["text"], done["gt_bboxes_labels"].tolist(), done["tokens_positive"]
        ('cat. dog. ', [1], {1: [[5, 8]]})
    """

    tokenizer_name: Any
    num_sample_negative: int = 85
    max_tokens: int = 256
    full_sampling_prob: float = 0.5
    label_map_file: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if not isinstance(self.tokenizer_name, str) and not callable(getattr(self.tokenizer_name, "tokenize", None)):
            raise FkitTypeError(
                f"RandomSamplingNegPos: tokenizer_name is a name or has a method tokenize, not {quoted(self.tokenizer_name, 60)}."
            )

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Caption | None:
        if "phrases" in sample:
            return None
        rng = needed(rng, self)
        names = {key: _one_of(name, rng) for key, name in self._names(sample).items()}
        length = _Counter(self.tokenizer_name)
        labels = np.asarray(sample["gt_bboxes_labels"], np.int64)
        there, used = list[int](), 0
        for label in rng.permutation(np.unique(labels)).tolist():
            used += length(_name(names, label))
            if used > self.max_tokens:
                break
            there.append(label)
        most = min(self.num_sample_negative, len(names))
        count = most if rng.random() < self.full_sampling_prob else int(rng.integers(max(1, most))) + 1
        drawn = rng.choice(sorted(names), size=min(count, len(names)), replace=False).tolist()
        others, left = list[int](), self.max_tokens - used
        for label in rng.permutation([int(key) for key in drawn if int(key) not in there]).tolist():
            left -= length(_name(names, label))
            if left <= 0:
                break
            others.append(label)
        order = [int(one) for one in rng.permutation([*others, *there]).tolist()]
        return Caption(np.isin(labels, there), tuple(order), tuple(_name(names, label) for label in order))

    def apply(self, sample: Sample, params: Caption | None) -> Sample:
        if params is None:
            return self._phrases(sample)
        text, spans = "", list[list[int]]()
        for name in params.names:
            spans.append([len(text), len(text) + len(name)])
            text += f"{name}. "
        place = {label: at for at, label in enumerate(params.labels)}
        labels = np.asarray(sample["gt_bboxes_labels"])[params.kept]
        at = np.array([place[int(label)] for label in labels], np.int64)
        positive = {int(one): [spans[int(one)]] for one in np.unique(at)}
        return replaced(
            sample, gt_bboxes=sample["gt_bboxes"][params.kept], gt_bboxes_labels=at, text=text, tokens_positive=positive
        )

    def _phrases(self, sample: Sample) -> Sample:
        text = str(sample["text"]).lower().strip()
        labels = np.unique(sample["gt_bboxes_labels"]).tolist()
        positive = {label: sample["phrases"][label]["tokens_positive"] for label in labels}
        return replaced(sample, text=text if text.endswith(".") else f"{text}. ", tokens_positive=positive)

    def _names(self, sample: Sample) -> Mapping[str, str]:
        if "text" in sample:
            names: Any = sample["text"]
        elif self.label_map_file is not None:
            names = json.loads("\n".join(list_from_file(self.label_map_file)))
        else:
            raise FkitKeyError(
                "the sample has no 'text', the names of all labels.",
                repair="Give label_map_file, or 'text' in the samples.",
            )
        expect(names, Mapping, "names are a mapping of labels, as text, to names")
        return cast("Mapping[str, str]", names)


class _Counter:
    """Tokens of a name as it stands in a caption; the tokenizer is opened when it is first asked."""

    def __init__(self, tokenizer: Any) -> None:
        if isinstance(tokenizer, str):
            try:
                transformers: Any = importlib.import_module("transformers")
            except ImportError as cause:
                raise FkitImportError(
                    f"the tokenizer {tokenizer!r} needs the package transformers.", repair="pip install transformers"
                ) from cause
            tokenizer = transformers.AutoTokenizer.from_pretrained(tokenizer)
        self.tokenizer = tokenizer

    def __call__(self, name: str) -> int:
        return len(self.tokenizer.tokenize(f"{name}. "))


def _one_of(name: str, rng: np.random.Generator) -> str:
    several: Sequence[str] = name.split("/")
    return several[0] if len(several) == 1 else several[int(rng.integers(len(several)))].strip()


def _name(names: Mapping[str, str], label: int) -> str:
    """A name as captions have it: lower case, without what is in brackets, blanks for underscores."""
    if str(label) not in names:
        raise FkitValueError(f"the label {label} has no name.", value=str(label), choices=names)
    return re.sub(r"  ", " ", re.sub(r"_", " ", re.sub(r"\(.*\)", "", names[str(label)]))).lower()
