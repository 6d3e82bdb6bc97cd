"""Answers to questions, held against those that people gave."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.format.json import write_json
from fkit.metric.gathered import Gathered
from fkit.metric.sample import Sample, field
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError, quoted
from fkit.tree.write import atomic_write

__all__ = ["ANLS", "GQAAcc", "ReportVQA", "ScienceQAMetric", "VQAAcc", "edits", "plain_answer"]

_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_NUMBERS = frozendict(
    {
        word: str(number)
        for number, word in enumerate(
            ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
        )
    }
    | {"none": "0"}
)
_ARTICLES = ("a", "an", "the")
_CONTRACTIONS = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've he's how'd
how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've o'clock oughtn't
'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll
someone's something'd something'd've something'll that's there'd there'd've there're there's they'd they'd've they'll they're
they've 'twas wasn't we'd've we've weren't what'll what're what's what've when's where'd where's where've who'd who'd've who'll
who's who've why'll why're why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
"""  # each is also written with one of its apostrophes forgotten


def _forgotten() -> Iterator[tuple[str, str]]:
    """Contractions with one of their apostrophes forgotten, and as they are written."""
    for word in _CONTRACTIONS.split():
        for at, letter in enumerate(word):
            if letter == "'":
                yield word[:at] + word[at + 1 :], word
    yield "somebody'd", "somebodyd"  # as the rules have it


_WRITTEN = frozendict(_forgotten())
_SUBJECTS = frozendict({"natural science": "natural", "social science": "social", "language science": "language"})


@dataclass(frozen=True)
class _Answered(Gathered):
    """A row a sample: what is predicted, and the answers."""

    def record(self, sample: Sample) -> Any:
        who = type(self).__name__
        said, real = field(sample, "pred_answer", who), field(sample, "gt_answer", who)
        several = (real,) if isinstance(real, str) else real
        if not isinstance(several, (list, tuple)) or not several:
            raise FkitTypeError(f"{who}: gt_answer of a sample is an answer or a list of answers, not {quoted(real)}.")
        for one in (said, *cast("Sequence[Any]", several)):
            expect(one, str, f"{who}: an answer is text")
        return {
            "said": said,
            "real": list(cast("Sequence[str]", several)),
            **self.weights(sample, len(cast("Any", several))),
        }

    def weights(self, sample: Sample, count: int) -> Mapping[str, Any]:
        """What is kept besides."""
        return {}


@dataclass(frozen=True)
class VQAAcc(_Answered):
    """How many questions are answered as people did; mmpretrain's VQAAcc, whose per cent are a fraction here.

    A sample has ``pred_answer``, and ``gt_answer``, one or several with ``gt_answer_weight`` (1 over their number by default).
    Answers are compared as `plain_answer` writes them.

    Args:
        full_score_weight: a question whose answer has this weight, or more, counts whole; one that has less, in part.

    Example:
        >>> metric = VQAAcc()
        >>> outputs, targets = {"pred_answer": ["Two dogs."]}, {"gt_answer": [["2 dogs", "dogs"]], "gt_answer_weight": [[0.15, 0.85]]}
        >>> metric.compute(metric.observe(metric.empty(), outputs, targets, [0]))
        {'VQA/acc': 0.5}
    """

    default_prefix: ClassVar[str | None] = "VQA"

    full_score_weight: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_number(self.full_score_weight, "VQAAcc: full_score_weight")
        if self.full_score_weight <= 0:
            raise FkitValueError(f"VQAAcc: full_score_weight = {self.full_score_weight}: above 0.")

    def weights(self, sample: Sample, count: int) -> Mapping[str, Any]:
        given: Any = sample.get("gt_answer_weight")
        several = np.full(count, 1 / count) if given is None else np.asarray(given, np.float64).reshape(-1)
        if len(several) != count:
            raise FkitValueError(f"VQAAcc: {len(several)} gt_answer_weight for {count} answers: one each.")
        return {"weights": several}

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        each: list[float] = []
        for row in rows:
            said = plain_answer(row["said"])
            whole = sum(
                w for one, w in zip(row["real"], row["weights"].tolist(), strict=True) if plain_answer(one) == said
            )
            each.append(min(1.0, whole / self.full_score_weight))
        return {"acc": float(np.mean(each))}


@dataclass(frozen=True)
class GQAAcc(_Answered):
    """The fraction of questions whose answer is the one that is known; mmpretrain's GQAAcc.

    A sample has ``pred_answer`` and ``gt_answer``, compared as `plain_answer` writes them.

    Example:
        >>> metric = GQAAcc()
        >>> metric.compute(metric.observe(metric.empty(), {"pred_answer": ["The cat", "no"]}, {"gt_answer": ["cat", "yes"]}, [0, 1]))
        {'GQA/acc': 0.5}
    """

    default_prefix: ClassVar[str | None] = "GQA"

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        return {"acc": float(np.mean([plain_answer(row["said"]) == plain_answer(row["real"][0]) for row in rows]))}


@dataclass(frozen=True)
class ANLS(_Answered):
    """How near answers are in letters: 1 less the edits over the length, of the nearest answer; mmpretrain's ANLS.

    Args:
        threshold: an answer that is less alike counts as 0.

    Example:
        >>> metric = ANLS()
        >>> round(metric.compute(metric.observe(metric.empty(), {"pred_answer": ["hose"]}, {"gt_answer": [["horse"]]}, [0]))["ANLS/ANLS"], 6)
        0.8
    """

    default_prefix: ClassVar[str | None] = "ANLS"

    threshold: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_number(self.threshold, "ANLS: threshold")

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        each: list[float] = []
        for row in rows:
            said = " ".join(row["said"].lower().split())
            several = [" ".join(one.lower().split()) for one in row["real"]]
            lengths = [max(len(one), len(row["said"])) for one in several]
            alike = 1 - min(edits(one, said) / max(length, 1) for one, length in zip(several, lengths, strict=True))
            each.append(alike if alike >= self.threshold else 0.0)
        return {"ANLS": float(np.mean(each))}


@dataclass(frozen=True)
class ReportVQA(Gathered):
    """Write answers as VQA's servers take them: a JSON list of ``question_id`` and ``answer``; mmpretrain's ReportVQA.

    Args:
        file_path: a .json, written when the numbers of the others are computed, in the order of the samples.

    It gives no number.
    """

    file_path: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if Path(self.file_path).suffix != ".json":
            raise FkitValueError(f"ReportVQA: file_path = {self.file_path!r} ends in .json.")

    def record(self, sample: Sample) -> Any:
        said = field(sample, "pred_answer", "ReportVQA")
        expect(said, str, "ReportVQA: an answer is text")
        return {"question_id": int(field(sample, "question_id", "ReportVQA")), "answer": said}

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        Path(self.file_path).parent.mkdir(parents=True, exist_ok=True)
        atomic_write(Path(self.file_path), write_json([dict(row) for row in rows]).encode())
        return {}


@dataclass(frozen=True)
class ScienceQAMetric(Gathered):
    """The fraction of questions whose choice is right, over all and by kind; mmpretrain's ScienceQAMetric.

    A sample has ``pred_answer`` ("B"), ``choices``, ``gt_answer`` (the place of the right one), ``subject``, ``grade``
    ("grade3"), ``hint``, ``has_image``. An answer that is no option is wrong (the reference draws one).

    Args:
        options: what choices are called.

    Numbers: ``all_acc``, ``acc_natural``, ``acc_social``, ``acc_language``, ``acc_has_text``, ``acc_has_image``,
    ``acc_no_context``, ``acc_grade_1_6``, ``acc_grade_7_12``, those that there are.
    """

    default_prefix: ClassVar[str | None] = ""

    options: Sequence[str] = ("A", "B", "C", "D", "E")

    def __post_init__(self) -> None:
        super().__post_init__()
        expect(self.options, (list, tuple), "ScienceQAMetric: options is a list of names")
        object.__setattr__(self, "options", tuple(self.options))

    def record(self, sample: Sample) -> Any:
        who = "ScienceQAMetric"
        said, hint, picture = (
            field(sample, "pred_answer", who),
            str(sample.get("hint") or ""),
            bool(sample.get("has_image")),
        )
        options = tuple(self.options)[: len(field(sample, "choices", who))]
        grade = str(sample.get("grade", "")).removeprefix("grade")
        kinds = [
            _SUBJECTS.get(str(sample.get("subject")), ""),
            "has_text" if hint else "has_image" if picture else "no_context",
        ]
        if grade.isdecimal() and 1 <= int(grade) <= 12:
            kinds.append("grade_1_6" if int(grade) <= 6 else "grade_7_12")
        right = said in options and options.index(said) == int(field(sample, "gt_answer", who))
        return {"right": right, "kinds": [kind for kind in kinds if kind]}

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        kinds: dict[str, list[bool]] = {}
        for row in rows:
            for kind in row["kinds"]:
                kinds.setdefault(f"acc_{kind}", []).append(row["right"])
        return {
            "all_acc": float(np.mean([row["right"] for row in rows])),
            **{kind: float(np.mean(one)) for kind, one in kinds.items()},
        }


def plain_answer(text: str) -> str:
    """An answer without punctuation, articles, capitals; numbers as figures, contractions with their apostrophes: by the rules
    of VQA's evaluation.

    Example:
        >>> plain_answer("The two dogs, dont they?")
        "2 dogs don't they"
    """
    expect(text, str, "`text` is an answer")
    text = text.replace("\n", " ").replace("\t", " ").strip()
    thousands, plain = re.search(r"\d,\d", text) is not None, text
    for mark in _MARKS:
        beside = f"{mark} " in text or f" {mark}" in text or thousands
        plain = plain.replace(mark, "" if beside else " ")
    words = re.sub(r"\.(?!\d)", "", plain).lower().split()
    words = [word for word in (_NUMBERS.get(word, word) for word in words) if word not in _ARTICLES]
    return " ".join(_WRITTEN.get(word, word) for word in words)


def edits(one: str, other: str) -> int:
    """How many letters are put in, left out or changed to make one text of another.

    Example:
        >>> edits("horse", "hose")
        1
    """
    expect(one, str, "`one` is text")
    expect(other, str, "`other` is text")
    row = list(range(len(one) + 1))
    for at, letter in enumerate(other):
        before, row[0] = row[0], at + 1
        for place, mine in enumerate(one):
            before, row[place + 1] = row[place + 1], min(row[place + 1] + 1, row[place] + 1, before + (mine != letter))
    return row[-1]
