"""Mutated configs: nothing but an FkitError comes out. A longer run: FKIT_FUZZ_EXAMPLES=20000 in the environment."""

import os
import random
import warnings
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fkit.config.config import load_string
from fkit.tree.canonical import canonical
from fkit.tree.error import FkitError

EXAMPLES = int(os.environ.get("FKIT_FUZZ_EXAMPLES", "150"))
HERE = Path(__file__)
ROOT = HERE.parents[2]


def sources() -> list[str]:
    """Real configs: the project's own, those of the language test, and the blocks of the notes."""
    found = [file.read_text(encoding="utf-8") for file in sorted(ROOT.glob("configs/**/*.py"))]
    for name in ("test_evaluate.py", "test_dialect.py", "test_load.py"):
        text = HERE.with_name(name).read_text(encoding="utf-8")
        found += text.split('"""')[1::2]
    for seed in sorted(HERE.with_name("seeds").glob("*.txt")):
        found += [block.split("\n", 1)[-1] for block in seed.read_text(encoding="utf-8").split("```")[1::2]]
    return [text for text in found if len(text) > 20]


SOURCES = sources()
BITS = (
    "()", "[", "]", "{", "}", "**", "*", ":", "=", "==", ",", ".", "'", '"', "\n", " ", "    ", "lambda x: x", "for i in range(9)", "if x",
    "dict(", "None", "9 ** 9", "_base_", "{{_base_.a}}", "{{$A:}}", "__class__", "import os", "del ", "@", "%", "f'{x!r:>{y}}'", "\\", "\x00", "é",
    "while True:", "try:", "except:", "return", "yield", "async ", "with read_base():", "from .a import *", "x[1:2] = ", "global x", "-> int", "!!python/tuple",
)  # fmt: skip


def mutate(text: str, seed: int) -> str:
    """The text with some of it cut, moved, doubled or replaced."""
    draw = random.Random(seed)
    for _ in range(draw.randint(1, 6)):
        a, b = sorted((draw.randint(0, len(text)), draw.randint(0, len(text))))
        b = min(b, a + draw.randint(0, 40))
        kind = draw.randint(0, 4)
        if kind == 0:
            text = text[:a] + text[b:]
        elif kind == 1:
            text = text[:a] + draw.choice(BITS) + text[a:]
        elif kind == 2:
            text = text[:a] + draw.choice(BITS) + text[b:]
        elif kind == 3:
            text = text[:b] + text[a:b] + text[b:]
        else:
            other = draw.choice(SOURCES)
            at = draw.randint(0, len(other))
            text = text[:a] + other[at : at + 60] + text[b:]
    return text


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.integers(0, len(SOURCES) - 1), st.integers(0, 2**32), st.sampled_from([".py", ".py", ".py", ".yaml", ".json"])
)
def test_a_mutated_config_is_read_or_refused(which: int, seed: int, suffix: str) -> None:
    text = mutate(SOURCES[which], seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            cfg = load_string(text, suffix)
            canonical(cfg)
            assert cfg == cfg.merge({})
        except FkitError as error:
            assert str(error)
