"""The language of config files, evaluated as Python evaluates it."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from fkit.config.config import load_config, load_string
from fkit.tree.canonical import canonical
from fkit.tree.error import FkitError, FkitTypeError

# what the evaluator gives must be what Python gives
SAME = """
a = [i ** 2 for i in range(5) if i % 2] + list(range(3))
b = {k: v for k, v in zip('abc', (1, 2, 3))}
c = (lambda x, y=2, *z, k=3, **w: (x, y, z, k, w))(1, 5, 6, k=7, q=8)
d = f'{3.14159:.2f} {"x"!r:>5} {a[0]}' + '%s-%03d' % ('a', 7) + '{0[x]} {1:{2}}'.format(dict(x=1), 'q', 4)
def scale(n, f=2):
    total = 0
    for i in range(n):
        if i == 3:
            continue
        if i > 5:
            break
        total += i * f
    else:
        total = -1
    return total
e = [scale(3), scale(10), scale(n=4, f=1)]
f, *g = sorted([3, 1, 2], key=lambda v: -v, reverse=True)
(h, (i, j)), k = (1, (2, 3)), 4
l = max([1, 5, 2]), min('b', 'a'), sum([[1], [2]], []), abs(-3), round(2.567, 1), divmod(7, 2), pow(2, 5), any([0, 1]), all([])
m = {'x': 1, **{'y': 2}, 'z': [*range(2), *'ab']}
n = dict(m, w=3, **dict(v=4))
o = 1 < 2 <= 2 != 3 and not (4 in [5]) or None
p = 'yes' if n.get('x') else 'no'
q = [[0] * 2 for _ in range(2)]
q[0][1] = 5
q[1][:] = [7, 8]
q.append([9])
r = dict(s=dict(t=[1]))
r['s']['t'].extend((2, 3))
r['s'].update(u=4)
r['s'].setdefault('v', []).append(1)
s = r['s'].pop('u'), list(r['s'].items()), 'a,b'.split(','), ' x '.strip().upper().replace('X', 'Y'), '-'.join(map(str, [1, 2]))
t = [x for row in [[1, 2], [3]] for x in row if x > 1]
u = {1, 2} | {3}, frozenset([1]) & {1}, -7 // 2, 7 % 3, 2 ** -1, ~5, 6 ^ 3, 1 << 4, True + 1, 10 / 4
v = [y := 5, y + 1]
w = 0
for _ in range(10):
    w += 3
    if w == 9:
        break
del _
x = a[::-1], a[1:3], 'hello'[-3:], (1, 2, 3)[1]
del h, i, j
z = isinstance(1, int), isinstance([], (list, tuple)), type('x') == str, list(enumerate('ab', 1)), list(reversed([1, 2])), list(filter(None, [0, 1]))
bb = 'done'
assert bb == 'done', 'no'
cc: int = 3
dd = [lambda: 1][0]()
def outer(a, *, b=2):
    def inner(c):
        return a + b * c
    return inner
ee = [outer(1)(2), outer(1, b=5)(2)]
ff = ... is Ellipsis, 1_000, 0x10, 1e3, 'a' 'b'
"""


def test_the_language_is_pythons() -> None:
    names: dict[str, Any] = {}
    exec(SAME, names)
    kept = (k for k in names if not k.startswith("__") and not callable(names[k]))
    wanted = {k: names[k] for k in kept}
    assert json.loads(load_string(SAME).text("canonical")) == json.loads(canonical(wanted))


STANDARD = """
import math, copy, os
import os.path as osp
from collections import OrderedDict
from copy import deepcopy
a = math.floor(2.5), math.pi, math.sqrt(16), math.prod([2, 3]), math.factorial(5), math.gcd(12, 18)
b = osp.join('a', 'b', '../c.txt'), osp.basename('x/y.py'), osp.splitext('a.tar.gz'), os.path.dirname('a/b')
c = dict(x=[1])
d = deepcopy(c)
d['x'].append(2)
e = copy.copy(c)
f = list(map(str.upper, 'ab')), min([3, 1, 2], key=lambda v: -v), max('b', 'a'), sum([[1], [2]], [0])
g = OrderedDict(b=1, a=2)
h = dict.fromkeys('ab', 0)
del OrderedDict
"""


def test_the_pure_parts_of_the_standard_library() -> None:
    names: dict[str, Any] = {}
    exec(STANDARD, names)
    kept = "abcdefgh"
    loaded = load_string(STANDARD)
    assert {k: loaded[k] for k in kept} == {k: dict(names[k]) if k == "g" else names[k] for k in kept}
    assert math.isclose(loaded.a[1], 3.141592653589793)


def test_values_shared_in_a_file_change_together() -> None:
    assert load_string("a = dict(x=1)\nb = a\nb['x'] = 2\nc = [a, a]").text("canonical") == (
        '{"a": {"x": 2}, "b": {"x": 2}, "c": [{"x": 2}, {"x": 2}]}'
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = b", "<string>.py:1: NameError: name 'b' is not defined"),
        ("a = 1\n\nc = a + 'x'", "<string>.py:3: TypeError: unsupported operand"),
        ("a = dict(x=1)\nb = a['y']", "<string>.py:2: KeyError: 'y'"),
        ("a = dict(x=1)\na.x = 2", "<string>.py:2: AttributeError: 'dict' object has no attribute 'x'"),
        ("a = dict(x=1, x=2)", "<string>.py:1: .*multiple values|keyword argument repeated"),
        ("a = dict(x=1, **dict(x=2))", "multiple values for keyword argument 'x'"),
        ("a, b = [1]", "cannot unpack 1 values into 2 names"),
        ("a = [1][3]", "IndexError: list index out of range"),
        ("def f():\n    a += 1\na = 1\nf()", "<string>.py:2: UnboundLocalError"),
        ("def f(x):\n    return x\na = f(1, x=2)", r"f\(\) got multiple values for argument 'x'"),
        ("a = dict(b=1)\na()", "'dict' object is not callable"),
        ("a = 1 + dict(b=1)", r"for \+: 'int' and 'dict'"),
        ("a = sorted()", r"sorted\(\) does not take these arguments"),
        ("a = set(1, 2)", r"set\(\) does not take these arguments"),
        ("a = sorted([1, 2], key=lambda: 1)", r"<lambda>\(\) takes 0 positional arguments but 1 were given"),
        ("a = [1].sort(key=3)", "'int' object is not callable"),
        ("a = 1\nb = dict(c=0,\n  d=map(str, [1]))", "<string>.py:3: A value of the config is an iterator"),
        ("a = dict(f=lambda x: x)", "<string>.py:1: A value of the config is a function that the file defines"),
        ("a = dict(f=[].append)", "A value of the config is a method"),
        ("def f(x):\n    return x\na = f()", r"f\(\) missing required arguments: x"),
        ("a = (1)(2)", "'int' object is not callable"),
        ("return 1", "outside of a function"),
        ("assert 1 == 2, 'why'", "AssertionError: why"),
        ("a = 1\ndel b", "name 'b' is not defined"),
        ("class A:\n    pass", "ClassDef is not part of a config that is data"),
        ("import numpy as np\na = np.array([1])", r"numpy\.array is called, which is not imported"),
        ("a = open('x')", "open is not available to a config"),
        ("import random\na = random.random()", r"random\.random is not among the functions"),
    ],
)
def test_errors_have_a_line(text: str, message: str) -> None:
    with pytest.raises(FkitError, match=message):
        load_string(text)


def test_an_error_catches_as_pythons() -> None:
    for text, kind in (
        ("a = dict()['x']", KeyError),
        ("a = 1 + ''", TypeError),
        ("a = [][0]", IndexError),
        ("a = int('x')", ValueError),
    ):
        with pytest.raises(kind):
            load_string(text)


@pytest.mark.parametrize(
    "text",
    [
        "while False:\n    pass",
        "try:\n    b = 1\nexcept KeyError:\n    pass",
        "raise ValueError('no')",
        "def f():\n    global a\n    a = 1\nf()",
        "def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = 2\n    g()\nf()",
        "@len\ndef f():\n    pass",
        "class A:\n    pass",
        "a @= b",
        "import itertools\nx = itertools.chain([1])",
        "from collections import Counter\nx = Counter('aab')",
        "from functools import partial\nx = partial(max, 3)(1)",
        "import operator\nx = operator.add(1, 2)",
        "x = open('x')",
        "x = getattr(b, 'c')",
        "x = ValueError",
        "import os\nx = os.environ.copy()",
        "import os\nx = list(os.environ)",
        "import os\nos.environ['A'] = '1'",
    ],
)
def test_what_is_beyond_data_is_refused_with_its_line_and_what_runs_it(text: str) -> None:
    text = f"a = b = 1\n{text}"
    with pytest.raises(FkitError) as caught:
        load_string(text)
    message = str(caught.value)
    assert message.startswith("<string>.py:") and "--trust" in message
    assert 2 <= int(message.split(":")[1]) <= text.count("\n") + 1


def test_the_environment_is_read_and_remembered() -> None:
    text = """
import os
from os import environ, getenv
a = os.environ["PATH"], environ.get("FKIT_NOWHERE", 3), getenv("FKIT_NOWHERE"), os.getenv("PATH", "y")
b = "PATH" in os.environ, "FKIT_NOWHERE" in environ, "FKIT_NOWHERE" not in environ
del environ, getenv
"""
    path = os.environ["PATH"]
    cfg = load_string(text)
    assert cfg.a == (path, 3, None, path) and cfg.b == (True, False, True)
    assert cfg.env_variables == {"PATH": path}
    cfg = load_string("from torch.nn import ReLU\nimport os\na = os.environ['PATH']")  # of the new style
    assert cfg.a == path and cfg.env_variables == {"PATH": path}
    with pytest.raises(KeyError, match=r"<string>\.py:2: The environment variable FKIT_NOWHERE is not set"):
        load_string("import os\na = os.environ['FKIT_NOWHERE']")


@pytest.mark.parametrize(
    "text", ["os[0]", "os[:1]", "len(os)", "'os' in os", "[*os]", "os + os", "sorted(os)", "dict(**os)"]
)
def test_a_module_is_no_sequence(text: str) -> None:
    with pytest.raises(TypeError, match=r"<string>\.py:2: TypeError: .*module"):
        load_string(f"import os\na = {text}")
    with pytest.raises(TypeError, match="'module'"):
        load_string("import os\na, b = os")


def test_an_integer_of_more_digits_than_python_writes_is_refused() -> None:
    assert load_string(f"a = {'9' * 4300}").a == int("9" * 4300)
    for text in ("a = 0x" + "f" * 4000, "a = [dict(b=10 ** 4299 * 10)]", "a = 2 ** 20000", "a = 1 << 20000"):
        with pytest.raises(FkitError, match=r"<string>\.py:1: .*integer of more than 4300 digits"):
            load_string(text)


def test_a_function_of_a_base_has_the_lines_of_the_base(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text("def half(x):\n    y = dict(z=1 / x)\n    return y\n")
    text = "from mmengine.config import read_base\n\nwith read_base():\n    from .base import half\n\na = half({})\n"
    (tmp_path / "good.py").write_text(text.format(4))
    assert load_config(tmp_path / "good.py").origin("a.z") == f"{tmp_path}/base.py:2"
    (tmp_path / "bad.py").write_text(text.format(0))
    with pytest.raises(FkitError, match=r"base\.py:2: ZeroDivisionError"):
        load_config(tmp_path / "bad.py")


@pytest.mark.parametrize("text", ["ReLU[0]", "'x' in ReLU", "len(ReLU)", "[*ReLU]", "ReLU + 1"])
def test_an_imported_name_is_called_so_in_errors(text: str) -> None:
    with pytest.raises(FkitTypeError, match="imported name"):
        load_string(f"from torch.nn import ReLU\na = {text}")


def test_parts_of_a_config_go_by_names_that_a_user_knows() -> None:
    cfg = load_string("from torch.nn import ReLU\nact = ReLU\na = [1]")
    assert repr(cfg.act) == "<torch.nn.ReLU>"
    for text, call in (("'list' object", lambda: cfg.a.nothing), ("'imported name' object", lambda: cfg.act.nothing)):
        with pytest.raises(AttributeError, match=text):
            call()
