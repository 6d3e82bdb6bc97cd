"""The toolbox against its peers in one run: `build`, files and structures against mmengine's, images against mmcv-lite's.

    nox -s bench -- toolbox                     # makes the environment of the peers
    python experiments/bench/toolbox.py --peer PYTHON [--quick]

``--peer`` is an interpreter that has fkit, mmengine 0.10.7 and mmcv-lite 2.2.0. The parts are scripts of their own
(``build.py``, ``fileio.py``, ``structure.py`` and ``image.py``), which say how they measure; this one runs them all and
fails when one does.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True, help="the interpreter that has the peers")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a look, not a figure to quote")
    words = parser.parse_args()
    rounds = ("5", "5", "5", "5") if words.quick else ("15", "15", "15", "31")
    codes: list[int] = []
    for name, count in zip(("build", "fileio", "structure", "image"), rounds, strict=True):
        print(f"\n## {name}\n", flush=True)
        line = [sys.executable, str(HERE / f"{name}.py"), "--peer", words.peer, "--rounds", count]
        codes.append(subprocess.run(line, check=False).returncode)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
