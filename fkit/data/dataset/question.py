"""Questions about images, and sentences that are true or false of them; MMPretrain's readers."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fkit.data.dataset.caption import Texts, weighed
from fkit.data.dataset.classification import check_split, need_root
from fkit.data.dataset.coco_file import read_coco
from fkit.data.dataset.joined import joined
from fkit.data.dataset.pickled import unpickled
from fkit.fileio.line import list_from_file
from fkit.fileio.operation import get, list_dir_or_file
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError
from fkit.tree.frozen import frozen

__all__ = [
    "GQA",
    "NLVR2",
    "OCRVQA",
    "VSR",
    "InfographicVQA",
    "MiniGPT4Dataset",
    "RefCOCO",
    "TextVQA",
    "VisualGenomeQA",
    "VizWiz",
]

_PARTS = frozen({1: "train", 2: "val", 3: "test"})
_TRUTH = frozen({"True": 1, "False": 0})
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class GQA(Texts):
    """GQA: a record has ``img_path``, ``question`` and ``gt_answer``."""

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        for row in self.content(list):
            yield {"img_path": self.path(row["image"]), "question": row["question"], "gt_answer": row["answer"]}


@dataclass(frozen=True)
class VSR(Texts):
    """Visual Spatial Reasoning: ``gt_answer`` is "yes" or "no"."""

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        for row in self.content(list):
            answer = "yes" if row["answer"] else "no"
            yield {"img_path": self.path(row["image"]), "question": row["question"], "gt_answer": answer}


@dataclass(frozen=True)
class InfographicVQA(Texts):
    """InfographicVQA: ``gt_answer`` lists the answers that count, where the file has them."""

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        for row in self.content(dict)["data"]:
            record = {"question": row["question"], "img_path": self.path(row["image_local_name"])}
            yield {**record, "gt_answer": row["answers"]} if "answers" in row else record


@dataclass(frozen=True)
class TextVQA(Texts):
    """TextVQA: ``gt_answer`` lists the different answers, ``gt_answer_weight`` their shares, where the file has them."""

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        for row in self.content(dict)["data"]:
            record = {key: row[key] for key in ("question", "question_id", "image_id")}
            record["img_path"] = self.path(f"{row['image_id']}.jpg")
            yield {**record, **(weighed(row["answers"]) if "answers" in row else {})}


@dataclass(frozen=True)
class VizWiz(Texts):
    """VizWiz: questions that can be answered, by the answers that people were sure of; all where the file has no answers."""

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        for row in self.content(list):
            record = {"question": row["question"], "img_path": self.path(row["image"])}
            if row.get("answerable", 1) != 1:
                continue
            sure = [
                one["answer"]
                for one in row.get("answers", ())
                if one["answer_confidence"] == "yes" and one["answer"] != "unanswerable"
            ]
            yield {**record, **(weighed(sure) if "answerable" in row else {})}


@dataclass(frozen=True)
class OCRVQA(Texts):
    """OCR-VQA, questions about covers of books: a record a question, with what is known of the book.

    Args:
        split: "train", "val" or "test".
    """

    split: str = ""

    def __post_init__(self) -> None:
        check_split(self.split, tuple(_PARTS.values()), "OCRVQA")
        super().__post_init__()

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        for key, row in self.content(dict).items():
            ending = os.path.splitext(row["imageURL"])[1]
            if _PARTS.get(row["split"]) != self.split or ending not in (".jpg", ".png"):
                continue
            book = {word: row[word] for word in ("imageURL", "title", "authorName", "genre")}
            head = {"img_path": self.path(key + ending), "gt_answer_weight": [1.0], **book}
            for question, answer in zip(row["questions"], row["answers"], strict=True):
                yield {**head, "question": question, "gt_answer": answer}


@dataclass(frozen=True)
class VisualGenomeQA(Texts):
    """Visual Genome's questions: ``gt_answer`` is a list of one."""

    data_prefix: Mapping[str, str] = frozen({"img_path": "image"})
    ann_file: str = "question_answers.json"

    def __post_init__(self) -> None:
        need_root(self.data_root, "VisualGenomeQA")
        super().__post_init__()

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        folder = self.data_prefix.get("img_path", "")
        numbers = ((_DIGITS.findall(name), name) for name in list_dir_or_file(folder, False))
        paths = {int(found[-1]): self.path(name) for found, name in numbers if found}
        for row in (one for image in self.content(list) for one in image["qas"]):
            number = row["image_id"]
            if number not in paths:
                self.faults.add("a question about an image that is not there", f"question {row.get('question_id')!r}")
                continue
            word = "quesiton" if "quesiton" in row else "question"  # MMPretrain reads the first
            said = {word: row[word], "question_id": row["question_id"], "image_id": number}
            yield {
                "img_path": paths[number],
                **said,
                "gt_answer": [row["answer"]],
            }


@dataclass(frozen=True)
class NLVR2(Texts):
    """NLVR2, a JSON a line: a sentence about two images (``img_path``, a list), ``gt_label`` 1 where it is true."""

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        for number, line in enumerate(list_from_file(self.source_file), 1):
            row: Any = json.loads(line)
            if row["label"] not in _TRUTH:
                self.faults.add("a label that is neither True nor False", f"line {number}", str(row["label"]))
                continue
            name = row["identifier"].rsplit("-", 1)[0]
            paths = [self.path(f"{name}-img{place}.png") for place in range(2)]
            yield {"text": row["sentence"], "gt_label": _TRUTH[row["label"]], "img_path": paths}


@dataclass(frozen=True)
class MiniGPT4Dataset(Texts):
    """MiniGPT-4's conversations about images, "image/ID.jpg" below ``data_root``; ``lang`` is "en" or "zh"."""

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        numbers: dict[str, int] = {}
        for row in self.content(list):
            chat, path = row["conversation"], os.path.join(self.data_root, "image", f"{row['id']}.jpg")
            number = numbers.setdefault(row["id"], len(numbers))
            language = "en" if chat.startswith("###Ask: ") else "zh"
            yield {"image_id": number, "img_path": path, "chat_content": chat, "lang": language}


@dataclass(frozen=True)
class RefCOCO(Texts):
    """RefCOCO: a record a sentence, ``text``, and the object that it means, ``gt_bboxes`` (1, 4).

    Args:
        split_file: which sentences mean which object, a pickle below ``data_root``.
        split: "train", "val", "testA", ...
    """

    split_file: str = ""
    split: str = "train"

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        for word in ("split_file", "split"):
            expect(getattr(self, word), str, f"RefCOCO: {word} is text")
        file = joined(self.data_root, self.split_file, "RefCOCO: split_file")
        content = read_coco(self.ann_file, self.faults)
        images = {image["id"]: image for image in content.images}
        objects = {row["id"]: row for rows in content.annotations.values() for row in rows}
        refers: Any = unpickled(get(file), file)
        rows = [one for one in refers if one["split"] == self.split]
        if not rows:
            raise FkitValueError(f"RefCOCO: {file} has no split {self.split!r}.", path="split")
        for refer in rows:
            row = objects.get(refer["ann_id"])
            if row is None:
                self.faults.add("an object that the file does not have", f"annotation {refer['ann_id']!r}")
                continue
            x, y, w, h = np.array(row["bbox"], np.float32)
            head = {"img_path": self.path(images[row["image_id"]]["file_name"]), "image_id": row["image_id"]}
            for sentence in refer["sentences"]:
                boxes = np.array([[x, y, x + w, y + h]], np.float32)
                yield {**head, "ann_id": row["id"], "text": sentence["sent"], "gt_bboxes": boxes}
