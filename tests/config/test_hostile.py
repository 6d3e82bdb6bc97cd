"""Hostile configs: each gives one clear error, within 2 s of CPU time and 300 MB, and touches nothing.

They are read by child processes that set these limits on themselves; each child reads several, and takes its CPU time
anew for each.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fkit.config.config import Config, load_string
from fkit.tree.error import FkitError

CPU_SECONDS = 2
MEMORY = 300 * 2**20

CHILD = """
import json, os, resource, sys, time, warnings
warnings.simplefilter("ignore")
import fkit
from fkit.config.read import reader as load
resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
before = set(os.listdir("."))
for file in sys.argv[1:]:
    used = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + CPU_SECONDS + 2, resource.RLIM_INFINITY))
    try:
        cfg = fkit.load_config(file)
        answer = ["accepted", str(cfg)[:200]]
    except fkit.FkitError as error:
        answer = ["FkitError", str(error)]
    except BaseException as error:
        answer = [type(error).__name__, str(error)[:200]]
    spent = time.process_time() - used
    new = sorted(set(os.listdir(".")) - before)
    print(json.dumps([file, *answer, spent, new]), flush=True)
""".replace("MEMORY", str(MEMORY)).replace("CPU_SECONDS", str(CPU_SECONDS))

PYTHON: dict[str, str] = {
    "import_os_system": "import os\na = os.system('touch pwned')",
    "import_subprocess": "import subprocess\na = subprocess.run(['touch', 'pwned'])",
    "from_os_system": "from os import system\na = system('touch pwned')",
    "import_socket": "import socket\na = socket.socket()",
    "import_shutil": "from shutil import rmtree\na = rmtree('.')",
    "dunder_import": "a = __import__('os').system('touch pwned')",
    "importlib": "import importlib\na = importlib.import_module('os')",
    "eval": "a = eval('1 + 1')",
    "exec": "exec('a = 1')",
    "compile": "a = compile('1', '', 'eval')",
    "open_read": "a = open('/etc/passwd').read()",
    "open_write": "open('pwned', 'w').write('x')",
    "input": "a = input()",
    "globals": "a = globals()",
    "builtins": "a = __builtins__",
    "pathlib": "from pathlib import Path\na = Path('pwned').write_text('x')",
    "os_walk": "import os\na = list(os.walk('/'))",
    "os_remove": "import os\nos.remove('x')",
    "path_exists": "import os.path as osp\na = osp.exists('/etc/passwd')",
    "pickle": "import pickle\na = pickle.loads(b'cos\\nsystem\\n(S\"touch pwned\"\\ntR.')",
    "sys_modules": "import sys\na = sys.modules['os']",
    "class_walk": "a = ().__class__.__bases__[0].__subclasses__()",
    "class_walk_string": "a = ''.__class__.__mro__",
    "getattr_dunder": "a = getattr((), '__class__')",
    "lambda_globals": "f = lambda: 0\na = f.__globals__",
    "function_code": "def f():\n    pass\na = f.__code__",
    "method_self": "a = [].append.__self__",
    "math_loader": "import math\na = math.__loader__",
    "type_call": "a = type('X', (), {})",
    "type_mro": "a = type(1).mro()",
    "format_class": "a = '{0.__class__.__mro__}'.format(1)",
    "format_item_attribute": "a = '{0[0].__class__}'.format([1])",
    "format_map": "a = '{x.__class__}'.format_map(dict(x=1))",
    "fstring_dunder": "a = f'{(1).__class__}'",
    "operator_attrgetter": "import operator\na = operator.attrgetter('__class__')(1)",
    "functools_reduce_getattr": "from functools import reduce\na = reduce(getattr, ['__class__', '__mro__'], 1)",
    "map_eval": "a = list(map(eval, ['1']))",
    "class_statement": "class A:\n    def __init__(self):\n        self.x = 1\na = A()",
    "decorator": "@print\ndef f():\n    pass",
    "generator": "def f():\n    while True:\n        yield 1\na = list(f())",
    "giant_power": "a = 9 ** 9 ** 9",
    "giant_power_steps": "a = 10\nfor i in range(100):\n    a = a * a",
    "giant_shift": "a = 1 << 10 ** 10",
    "giant_pow_call": "a = pow(10, 10 ** 8)",
    "factorial": "import math\na = math.factorial(10 ** 7)",
    "giant_string": "a = 'x' * 10 ** 10",
    "giant_string_doubling": "a = 'x'\nwhile True:\n    a = a + a",
    "giant_list": "a = [0] * 10 ** 9",
    "giant_list_of_range": "a = list(range(10 ** 10))",
    "giant_tuple_product": "import itertools\na = list(itertools.product(range(1000), repeat=5))",
    "giant_join": "a = ('x' * 100000).join(['y'] * 100000)",
    "giant_replace": "a = ('x' * 100000).replace('x', 'y' * 100000)",
    "giant_ljust": "a = 'x'.ljust(10 ** 10)",
    "giant_zfill": "a = '1'.zfill(10 ** 10)",
    "giant_percent": "a = '%1000000000d' % 1",
    "giant_percent_star": "a = '%*d' % (10 ** 9, 1)",
    "giant_format": "a = '{:1000000000}'.format(1)",
    "giant_fstring": "a = f'{1:>1000000000}'",
    "giant_format_nested": "a = '{:{}}'.format(1, 10 ** 9)",
    "giant_expandtabs": "a = ('\\t' * 10000).expandtabs(100000)",
    "giant_bytes": "a = b'x' * 10 ** 10",
    "giant_set": "a = {i for i in range(10 ** 9)}",
    "giant_sum": "a = sum(range(10 ** 10))",
    "giant_sorted": "a = sorted(range(10 ** 10))",
    "endless_while": "while True:\n    pass",
    "endless_for_growing": "a = [1]\nfor i in a:\n    a.append(i)",
    "endless_recursion": "def f(n):\n    return f(n + 1)\na = f(0)",
    "endless_mutual": "def f():\n    return g()\ndef g():\n    return f()\na = f()",
    "endless_lambda": "f = lambda x: x(x)\na = f(f)",
    "exponential_function": "def f(n):\n    return 1 if n == 0 else f(n - 1) + f(n - 1)\na = f(40)",
    "exponential_list": "a = []\nfor i in range(60):\n    a = [a, a]",
    "exponential_dict": "a = {}\nfor i in range(60):\n    a = dict(x=a, y=a)",
    "exponential_tuple_key": "a = ()\nfor i in range(60):\n    a = (a, a)\nb = {a: 1}",
    "exponential_compare": "a, b = [], []\nfor i in range(60):\n    a, b = [a, a], [b, b]\nc = a == b",
    "exponential_str": "a = []\nfor i in range(60):\n    a = [a, a]\nb = str(a)",
    "exponential_deepcopy": "import copy\na = []\nfor i in range(60):\n    a = [a, a]\nb = copy.deepcopy(a)",
    "self_list": "a = []\na.append(a)",
    "self_dict": "a = {}\na['a'] = a",
    "deep_parentheses": "a = " + "(" * 5000 + ")" * 5000,
    "deep_brackets": "a = " + "[" * 150 + "]" * 150,
    "deep_sum": "a = " + "+".join(["1"] * 20000),
    "deep_attributes": "a = b" + ".c" * 20000,
    "deep_minus": "a = " + "-" * 20000 + "1",
    "deep_calls": "a = " + "dict(x=" * 3000 + "1" + ")" * 3000,
    "deep_lists_made": "a = []\nfor i in range(5000):\n    a = [a]",
    "long_or": "a = 0\nwhile a == 0:\n    a = " + " or ".join(["0"] * 5000),
    "nested_comprehension": "a = [0 for a in range(999) for b in range(999) for c in range(999)]",
    "null_byte": "a = '\x00'",
    "base_missing": "_base_ = 'nothing.py'",
    "base_itself": "_base_ = 'base_itself.py'",
    "base_number": "_base_ = 3",
    "base_device": "_base_ = '/dev/zero'",
    "base_device_py": "_base_ = '/dev/stdin'",
    "base_package": "_base_ = 'os::path/x.py'",
    "base_escape": "_base_ = 'mmdet::../../../etc/passwd'",
    "base_walk": "a = _base_.__class__",
    "lazy_call": "from os_extra import system\na = system('touch pwned')",
    "lazy_dunder": "import torch\na = torch.__dict__",
    "with_open": "with open('pwned', 'w') as f:\n    f.write('x')",
    "try_forever": "while True:\n    try:\n        a = 1 / 0\n    except Exception:\n        pass",
    "catch_limit": "try:\n    while True:\n        pass\nexcept BaseException:\n    a = 1",
    "async": "async def f():\n    pass\na = [x async for x in f()]",
    "star_import": "from os import *",
    "string_methods": "a = 'x'\nfor i in range(10 ** 9):\n    a = a.upper()",
    "int_of_digits": "a = int('9' * 100000)",
    "print_power": "print(2 ** (2 ** 40))",
    "hash_collisions": "a = {i * (2 ** 61 - 1): 0 for i in range(10 ** 6)}",
    "hash_collisions_set": "a = set([i * (2 ** 61 - 1) for i in range(20000)])",
    "hash_collisions_float": "a = set()\nfor i in range(50000):\n    a.add(float(i * (2 ** 61)))",
    "giant_divisions": "a = 2 ** 19999\nfor i in range(100000):\n    b = a // (a >> 9000)",
    "giant_modular_power": "a = pow(3 ** 10000, 3 ** 10000, 3 ** 10000 + 2)",
    "giant_permutations": "import itertools\na = list(itertools.permutations(range(64)))",
    "exponential_base_item": "a = []\nfor i in range(60):\n    a = [a, a]\n_base_['x'] = a",
    "exponential_base_attribute": "a = {}\nfor i in range(60):\n    a = dict(x=a, y=a)\n_base_.x = a",
    "exponential_base_update": "a = {}\nfor i in range(60):\n    a = dict(x=a, y=a)\n_base_.update(a)",
    "exponential_base_union": "a = {}\nfor i in range(60):\n    a = dict(x=a, y=a)\n_base_ |= a",
    "base_in_itself": "_base_.x = _base_",
    "giant_file": "a = [" + "1," * 500000 + "]",
    "giant_file_of_statements": "0\n" * 480000,
    "many_multiples": "import math\na = math.lcm(*range(1, 100000))",
    "long_targets": "for i in range(10 ** 9):\n    " + "a = " * 50000 + "1",
    "long_filters": "a = [0 for i in range(10 ** 9)" + " if True" * 40000 + "]",
    "long_keywords": "for i in range(10 ** 9):\n    print(" + ", ".join(f"a{i}=1" for i in range(30000)) + ")",
    "long_defaults": "for i in range(10 ** 9):\n    f = lambda " + ", ".join(f"a{i}=1" for i in range(30000)) + ": 0",
    "long_defaults_called": "f = lambda "
    + ", ".join(f"a{i}=1" for i in range(30000))
    + ": 0\nfor i in range(10 ** 9):\n    f()",
    "long_function": "for i in range(10 ** 9):\n    def f():\n        a = [" + "0, " * 60000 + "]",
    "long_imports": "for i in range(10 ** 9):\n    import " + ", ".join(["os"] * 60000),
    "long_attributes": "import numpy as n\nfor i in range(10 ** 9):\n    a = n" + ".b" * 100,
    "long_deletions": "a = {}\nfor i in range(10 ** 9):\n    b = 1\n    del b" + ", ()" * 60000,
    "long_unpacking": "a = dict(" + ", ".join(f"a{i}=1" for i in range(5000)) + ", **{}" * 60000 + ")",
    "long_conditions": "for i in range(10 ** 9):\n    a = " + "0 if 0 else " * 80 + "1",
    "long_sums": "for i in range(10 ** 9):\n    a = " + "1 + " * 90 + "1",
    "long_texts": "for i in range(10 ** 9):\n    a = f'" + "{1}" * 9000 + "'",
    "long_text_parsed": "a = f'" + "{1}" * 130000 + "'",
    "float_in_range": "a = 0.5 in range(10 ** 9)",
    "text_in_range": "a = 'x' not in range(10 ** 12)",
    "exponential_kinds": "k = int\nfor i in range(40):\n    k = (k, k)\na = isinstance(1, k)",
    "deep_kinds": "k = int\nfor i in range(20000):\n    k = (k,)\na = isinstance(1, k)",
    "exponential_except": "k = KeyError\nfor i in range(40):\n    k = (k, k)\ntry:\n    {}['x']\nexcept k:\n    pass",
    "punycode": "a = ('é' * 100000).encode('punycode')",
    "negative_repeat": "import itertools\na = itertools.repeat(0, -10 ** 15)\nfor i in range(10 ** 9):\n    pass",
    "negative_factorial": "import math\na = math.factorial(-10 ** 15)",
    "negative_comb": "import math\na = math.comb(10 ** 9, 10 ** 8)",
    "extend_range": "a = []\na += range(10 ** 8)",
    "extend_method_range": "a = []\na.extend(range(10 ** 8))",
    "slice_range": "a = []\na[:] = range(10 ** 8)",
    "unpack_range": "a, *b = range(10 ** 8)",
    "star_range": "a = [*range(10 ** 8)]",
    "percent_often": "a = ''\nfor i in range(10 ** 6):\n    a = '%9999d' * 10 % (1, 2, 3, 4, 5, 6, 7, 8, 9, 0)",
    "percent_mapping": "a = '%(x)s' * 100000 % dict(x='y' * 100000)",
    "percent_key": "a = '%(a(b))999999999d' % {'a(b)': 1}",
    "percent_precision": "a = '%.999999999f' % 1.5",
    "format_often": "for i in range(10 ** 6):\n    a = '{:9999}{:9999}{:9999}'.format(1, 2, 3)",
    "format_repeated": "a = ('{0}' * 100000).format('y' * 100000)",
    "ljust_often": "for i in range(10 ** 6):\n    a = 'x'.ljust(100000)",
    "counter_one_hash": "from collections import Counter\na = Counter([i * (2 ** 61 - 1) for i in range(30000)])",
    "one_hash_tuples": "a = [()]\nfor i in range(16):\n    a = [(*t, v) for t in a for v in (-1, -2)]\nb = set(a)",
    "one_hash_dict": "a = {}\nfor i in range(10 ** 6):\n    a[i * (2 ** 61 - 1)] = 0",
    "one_hash_union": "a = {1}.union([i * (2 ** 61 - 1) for i in range(30000)])",
    "big_integer_text": "a = 0x" + "f" * 5000,
    "big_integer_printed": "a = str(0x" + "f" * 100000 + ")",
    "big_integer_sum": "a = 0x" + "f" * 300000 + "\nfor i in range(10 ** 6):\n    a = a + a",
    "big_integer_made": "a = 10 ** 4299 * 10",
    "deep_hash": "t = ()\nfor i in range(100000):\n    t = (t,)\na = {t: 1}",
    "deep_equal": "a, b = [], []\nfor i in range(50000):\n    a, b = [a], [b]\nc = a == b",
    "deep_text": "a = []\nfor i in range(50000):\n    a = [a]\nb = str(a)",
    "rfind": "a = ('a' * 400000).rfind('b' + 'a' * 200000)",
    "rsplit": "a = ('a' * 400000).rsplit('b' + 'a' * 200000)",
    "strip_of_many": "a = ('a' * 400000).strip('b' * 200000 + 'a')",
    "pop_front": "a = [0] * 250000\nfor i in range(250000):\n    a.pop(0)",
    "insert_front": "a = []\nfor i in range(10 ** 6):\n    a.insert(0, i)",
    "delete_front": "a = [0] * 250000\nfor i in range(250000):\n    del a[0]",
    "endless_iter": "a = list(iter(int, 1))",
    "sorted_by_long_keys": "k = [0] * 100000\na = sorted(range(10000), key=lambda i: [*k, i])",
    "environment_items": "import os\na = list(os.environ)",
    "environment_set": "import os\nos.environ['FKIT_HOSTILE'] = '1'",
    "module_item": "import os\na = os[0]",
    "top_level_number": "_base_[2] = 1",
    "surrogate_names": "a = '\\ud800'.encode()",
}

YAML: dict[str, str] = {
    "yaml_python_object": "a: !!python/object/apply:os.system ['touch pwned']",
    "yaml_python_name": "a: !!python/name:os.system",
    "yaml_python_module": "a: !!python/module:subprocess",
    "yaml_python_new": "a: !!python/object/new:type {args: ['x', !!python/tuple [], {}]}",
    "yaml_unknown_tag": "a: !evil 1",
    "yaml_bomb": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "\n".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]" for i in range(9)),
    "yaml_merge_bomb": "a: &a {x: 1}\n"
    + "\n".join(f"{chr(98 + i)}: &{chr(98 + i)} {{<<: [{', '.join(['*' + chr(97 + i)] * 9)}]}}" for i in range(9)),
    "yaml_itself": "a: &a [*a]",
    "yaml_deep": "a: " + "[" * 20000 + "]" * 20000,
    "yaml_deep_block": "- " * 20000 + "1",
    "yaml_list": "- 1\n- 2",
    "yaml_broken": "a: [1, 2",
    "yaml_key": "? [1, 2]\n: 3",
}

JSON: dict[str, str] = {
    "json_huge_int": '{"a": ' + "9" * 100000 + "}",
    "json_deep": '{"a": ' + "[" * 100000 + "]" * 100000 + "}",
    "json_list": "[1, 2]",
    "json_broken": '{"a": 1,}',
}


def write(folder: Path) -> list[str]:
    """All the configs as files, and their names."""
    names: list[str] = []
    for table, suffix in ((PYTHON, ".py"), (YAML, ".yaml"), (JSON, ".json")):
        for name, text in table.items():
            (folder / (name + suffix)).write_text(text, encoding="utf-8")
            names.append(name + suffix)
    # two that go round in a circle, and one that is no text
    (folder / "circle_a.py").write_text("_base_ = 'circle_b.py'")
    (folder / "circle_b.py").write_text("_base_ = 'circle_a.py'")
    (folder / "binary.py").write_bytes(bytes(range(256)))
    for at in range(30):  # each base is read twice: 2^30 files
        (folder / f"twice_{at}.py").write_text(f"_base_ = ['twice_{at + 1}.py', 'twice_{at + 1}.py']")
    (folder / "twice_30.py").write_text("")
    return [*names, "circle_a.py", "binary.py", "twice_0.py"]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What reading each config came to: (class, message, CPU seconds, new files)."""
    folder = tmp_path_factory.mktemp("hostile")
    left = write(folder)
    found: dict[str, list[Any]] = {}
    while left:
        batch = left[:40]
        done = subprocess.run(
            # -P: files of the folder are named as modules of Python's, which the child imports
            [sys.executable, "-P", "-c", CHILD, *batch],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        for file, *outcome in answers:
            found[file] = outcome
        if len(answers) < len(batch):  # the child died of one: it is that one's outcome, and the rest go on
            found[batch[len(answers)]] = ["died", f"status {done.returncode}: {done.stderr[-300:]}", CPU_SECONDS, []]
        left = left[len(answers) + (len(answers) < len(batch)) :]
    return found


ALL = [
    *(n + ".py" for n in PYTHON), *(n + ".yaml" for n in YAML), *(n + ".json" for n in JSON), "circle_a.py", "binary.py", "twice_0.py"
]  # fmt: skip


@pytest.mark.parametrize("file", ALL)
def test_a_hostile_config_gives_one_clear_error_and_touches_nothing(file: str, outcomes: dict[str, list[Any]]) -> None:
    kind, message, seconds, new = outcomes[file]
    assert (kind, new) == ("FkitError", []), message
    assert seconds < CPU_SECONDS
    assert len(message) < 2000
    assert "Traceback" not in message
    assert "too much memory" not in message, "the limit of the process stopped it, not the reader's"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("round(1, -10 ** 8)", 0),
        ("round(12345, -3)", 12000),
        ("3 in range(10 ** 9)", True),
        ("len(range(10 ** 9))", 10**9),
        ("range(10 ** 15)[7]", 7),
        ("'%s-20210101.pth' % 'r50-99999999'", "r50-99999999-20210101.pth"),
        ("'100%%99999999 %d' % 3", "100%99999999 3"),
        ("'{}-20210101.pth'.format('r50-99999999')", "r50-99999999-20210101.pth"),
        ("(-1) ** 3 + 2 ** -1", -0.5),
        ("isinstance(1, (str, (int, float)))", True),
        ("{(i, j): i for i in range(40) for j in range(40)}[3, 4]", 3),
        ("'-'.join(str(i).zfill(3) for i in range(3))", "000-001-002"),
        ("10 ** 4299 > 0", True),
    ],
)
def test_what_looks_hostile_and_is_not_has_its_value(text: str, value: Any) -> None:
    assert Config.fromstring(f"a = {text}").a == value


@pytest.mark.parametrize("form", [".py", ".yaml", ".json"])
def test_a_text_is_no_longer_than_a_file_may_be(form: str) -> None:
    with pytest.raises(FkitError, match="have more than 250000 characters"):
        Config.fromstring("#" * 250_001, form)


@pytest.mark.parametrize(
    "use", ["x = d[1:2]", "x = d[1:2, 3]", "d[1:2] = 3", "del d[1:2]", "x = d[inf:1:deep]", "d[deep:, 1] = 3"]
)
def test_a_slice_is_no_key(use: str) -> None:
    """Python 3.12 hashes slices, and a deep one for ever; a config means the same on every Python."""
    lines = ("d = {1: 2}", "inf = float('inf')", "deep = 1", "for i in range(40):", "    deep = (deep, deep)", use)
    with pytest.raises(FkitError, match=r"<string>\.py:6: .*unhashable type: 'slice'"):
        load_string("\n".join(lines))
