"""Images with texts: captions, retrieval by captions, questions and answers; MMPretrain's readers of COCO and Flickr30k."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fkit.data.dataset.classification import BaseClsDataset, check_split
from fkit.data.dataset.joined import joined
from fkit.fileio.io import load
from fkit.fileio.operation import list_dir_or_file
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = [
    "COCOVQA",
    "COCOCaption",
    "COCORetrieval",
    "Flickr30kCaption",
    "Flickr30kRetrieval",
    "NoCaps",
    "Texts",
    "weighed",
]

_NUMBER = re.compile(r"([0-9]+)\.[a-zA-Z]+$")


@dataclass(frozen=True)
class Texts(BaseClsDataset):
    """A JSON of texts about images below ``data_prefix["img_path"]``."""

    def content(self, kind: type[Any], file: str = "") -> Any:
        """What a file holds; the annotation file's where none is named.

        Raises:
            FkitTypeError: it is of another kind.
        """
        path = file or self.source_file
        value = load(path, "json")
        if not isinstance(value, kind):
            raise FkitTypeError(f"{path}: it holds a {type(value).__name__}, and not a {kind.__name__}.")
        return value

    def path(self, *parts: str) -> str:
        """An image's file."""
        return os.path.join(self.data_prefix.get("img_path", ""), *parts)


@dataclass(frozen=True)
class COCOCaption(Texts):
    """COCO's captions, of a list of {"image", "caption"}: a record has ``image_id``, ``img_path`` and ``gt_caption``."""

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        for place, row in enumerate(self.content(list)):
            if not isinstance(row, Mapping) or "image" not in row or "caption" not in row:
                self.faults.add("a record without an image or a caption", f"record {place}")
                continue
            number = os.path.splitext(os.path.basename(row["image"]))[0].split("_")[-1]
            yield {"image_id": number, "img_path": self.path(row["image"]), "gt_caption": row["caption"]}


@dataclass(frozen=True)
class NoCaps(Texts):
    """NoCaps, in COCO's form: images to be described; a record an annotation, ``gt_caption`` None."""

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        content = self.content(dict)
        names = {image["id"]: image["file_name"] for image in content["images"]}
        for row in content["annotations"]:
            number = row["image_id"]
            if number not in names:
                self.faults.add(
                    "an annotation of an image that the file does not have", f"annotation {row.get('id')!r}"
                )
                continue
            yield {"image_id": number, "img_path": self.path(names[number]), "gt_caption": None}


@dataclass(frozen=True)
class Flickr30kCaption(Texts):
    """Flickr30k's captions, of Karpathy's JSON: a record a sentence.

    Args:
        split: "train", "val" or "test".
    """

    split: str = ""

    def __post_init__(self) -> None:
        check_split(self.split, ("train", "val", "test"), type(self).__name__)
        super().__post_init__()

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        for image in self.content(dict)["images"]:
            for sentence in image["sentences"] if image["split"] == self.split else ():
                head = {"image_id": image["imgid"], "img_path": self.path(image["filename"])}
                yield {**head, "gt_caption": sentence["raw"]}


@dataclass(frozen=True)
class Flickr30kRetrieval(Flickr30kCaption):
    """Flickr30k's captions for retrieval: in training a record a caption, in tests a record an image with all its captions.

    Images and captions of the split are numbered from 0 in the file's order, as in `COCORetrieval`.
    """

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        images: list[dict[str, Any]] = []
        captions: list[dict[str, Any]] = []
        for row in self.content(dict)["images"]:
            if row["split"] != self.split:
                continue
            number, path = len(images), self.path(row["filename"])
            texts = {len(captions) + place: sentence for place, sentence in enumerate(row["sentences"])}
            head = {"ori_id": row["imgid"], "image_id": number, "img_path": path}
            raw = {"text": [sentence["raw"] for sentence in texts.values()], "gt_text_id": list(texts)}
            images.append({**head, **raw, "gt_image_id": [number] * len(texts)})
            same = {"image_ori_id": row["imgid"], "image_id": number, "img_path": path, "is_matched": True}
            captions += [
                {"text": sentence["raw"], "ori_id": sentence["sentid"], "text_id": place, **same}
                for place, sentence in texts.items()
            ]
        return images if self.test_mode else captions


@dataclass(frozen=True)
class COCORetrieval(Texts):
    """COCO's captions for retrieval: in training a record a caption, in tests a record an image with all its captions.

    Images and captions are numbered from 0 in the file's order: ``image_id``, ``text_id``; a record of an image lists
    ``text``, ``gt_text_id`` and ``gt_image_id``.
    """

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        content = self.content(dict)
        images: dict[Any, dict[str, Any]] = {}
        for place, image in enumerate(content["images"]):
            path = self.path(*image["coco_url"].rsplit("/", 2)[-2:])
            head = {"ori_id": image["id"], "image_id": place, "img_path": path}
            images.setdefault(image["id"], {**head, "text": [], "gt_text_id": [], "gt_image_id": []})
        captions: list[dict[str, Any]] = []
        for place, row in enumerate(content["annotations"]):
            image = images.get(row["image_id"])
            if image is None:
                self.faults.add("a caption of an image that the file does not have", f"annotation {row.get('id')!r}")
                continue
            captions.append(
                {
                    **{key: value for key, value in row.items() if key not in ("caption", "id")},
                    "text": row["caption"],
                    "ori_id": row["id"],
                    "text_id": place,
                    "img_path": image["img_path"],
                    "image_ori_id": image["ori_id"],
                    "image_id": image["image_id"],
                    "is_matched": True,
                }
            )
            for key, value in (("gt_text_id", place), ("text", row["caption"]), ("gt_image_id", image["image_id"])):
                image[key].append(value)
        return list(images.values()) if self.test_mode else captions


@dataclass(frozen=True)
class COCOVQA(Texts):
    """VQA on COCO's images: a record a question, with ``gt_answer``, the different answers, and ``gt_answer_weight``, their
    shares; without ``ann_file`` there are none.

    Args:
        question_file: {"questions": [{"image_id", "question", "question_id"}]}, below ``data_root``.
    """

    question_file: str = ""

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        expect(self.question_file, str, "COCOVQA: question_file is a path")
        if not self.question_file:
            raise FkitValueError("COCOVQA: question_file says where the questions are.", path="question_file")
        file = joined(self.data_root, self.question_file, "COCOVQA: question_file")
        questions = self.content(dict, file)["questions"]
        answers: list[Any] = self.content(dict)["annotations"] if self.ann_file else [None] * len(questions)
        if len(answers) != len(questions):
            raise FkitValueError(f"{self.ann_file}: {len(answers)} answers to {len(questions)} questions.")
        paths = self._paths()
        for question, answer in zip(questions, answers, strict=True):
            name = f"question {question['question_id']!r}"
            if question["image_id"] not in paths:
                self.faults.add(
                    "a question about an image that is not there", name, f"image_id {question['image_id']!r}"
                )
                continue
            record = {**question, "img_path": paths[question["image_id"]]}
            if answer is not None:
                if answer["question_id"] != question["question_id"]:
                    self.faults.add("an answer to another question", name)
                    continue
                record |= weighed([row["answer"] for row in answer["answers"]])
                record |= {key: value for key, value in answer.items() if key != "answers"}
            yield record

    def _paths(self) -> dict[int, str]:
        """The images' files by their number, the last one in a name."""
        folder = self.data_prefix.get("img_path", "")
        names = list_dir_or_file(folder, False, True, None, True) if folder else ()
        numbered = ((_NUMBER.search(name), name) for name in names)
        return {int(match.group(1)): os.path.join(folder, name) for match, name in numbered if match}


def weighed(answers: Sequence[str]) -> dict[str, Any]:
    """The different answers, and their shares.

    Example:
        >>> weighed(["dog", "cat", "dog", "dog"])
        {'gt_answer': ['dog', 'cat'], 'gt_answer_weight': [0.75, 0.25]}
    """
    expect(answers, (list, tuple), "`answers` is a list of texts")
    counts = Counter(answers)
    return {"gt_answer": list(counts), "gt_answer_weight": [count / len(answers) for count in counts.values()]}
