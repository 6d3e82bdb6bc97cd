"""Captions and questions: mmpretrain's."""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from fkit.data.transform.formatting import names_of
from fkit.data.transform.transform import Sample, Transform, replaced
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitTypeError, quoted

__all__ = ["CleanCaption", "OFAAddObjects"]


@dataclass(frozen=True)
class CleanCaption(Transform):
    """Texts without punctuation, in lower case; mmpretrain's CleanCaption.

    Args:
        keys: of texts, or of lists of them.
        remove_chars: characters that go.
        lowercase: whether to write them small.
        remove_dup_space: whether several spaces become one.
        strip: whether spaces at the ends go.

    Example:
        >>> CleanCaption()({"gt_caption": " A dog,  asleep."})["gt_caption"]
        'a dog asleep'
    """

    keys: str | Sequence[str] = "gt_caption"
    remove_chars: str = string.punctuation
    lowercase: bool = True
    remove_dup_space: bool = True
    strip: bool = True

    def __post_init__(self) -> None:
        keys = (self.keys,) if isinstance(self.keys, str) else self.keys
        object.__setattr__(self, "keys", names_of(keys, "CleanCaption: keys"))
        expect(self.remove_chars, str, "CleanCaption: remove_chars is text")
        for word in ("lowercase", "remove_dup_space", "strip"):
            expect(getattr(self, word), bool, f"CleanCaption: {word} is True or False")

    def apply(self, sample: Sample, params: Any) -> Sample:
        changes: dict[str, Any] = {}
        for key in self.keys:
            if key not in sample:
                raise FkitKeyError(f"the sample has no {key!r}.", value=key, choices=sample, label="It has")
            text: Any = sample[key]
            if isinstance(text, (list, tuple)):
                changes[key] = tuple(self.clean(one) for one in cast("Sequence[Any]", text))
            else:
                changes[key] = self.clean(text)
        return replaced(sample, **changes)

    def clean(self, text: str) -> str:
        """One text, cleaned."""
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise FkitTypeError(f"CleanCaption: a caption is text, or a list of texts, not {quoted(text)}.")
        text = text.strip() if self.strip else text
        text = text.translate(dict.fromkeys(map(ord, self.remove_chars)))
        text = re.sub(r"\s{2,}", " ", text) if self.remove_dup_space else text
        return text.lower() if self.lowercase else text


@dataclass(frozen=True)
class OFAAddObjects(Transform):
    """A question with the objects that were seen in the picture, for OFA; mmpretrain's OFAAddObjects.

    Where the sample has a ``question`` and ``objects``, a list of words, sets ``question`` and ``decoder_prompt``. The
    reference forgets to return the sample, so that none is left; here it goes on.

    Example:
        >>> OFAAddObjects()({"question": "what is it?", "objects": ["dog", "sofa"]})["question"]
        'what is it? object: dog sofa'
    """

    def apply(self, sample: Sample, params: Any) -> Sample:
        if "objects" not in sample:
            raise FkitKeyError(
                "the sample has no 'objects', the words that a detector gave.",
                value="objects",
                choices=sample,
                label="It has",
            )
        if "question" not in sample:
            return sample
        text = f"{sample['question']} object: {' '.join(sample['objects'])}"
        return replaced(sample, question=text, decoder_prompt=text)
