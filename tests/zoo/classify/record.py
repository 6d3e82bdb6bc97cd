"""Record what the reference computes of the networks in small.json: ``python record.py [NAME ...]`` where it is installed.

A network has the arguments of a released one, made small; recorded/NAME.json holds names, shapes, outputs and gradients in
float64. Without names, those are recorded that have no file yet.
"""

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def _module(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(names: list[str]) -> None:
    """Write the files."""
    numbers = _module("small", HERE / "small.py")
    cases = json.loads((HERE / "small.json").read_text())
    (HERE / "recorded").mkdir(exist_ok=True)
    for name, case in cases.items():
        path = HERE / "recorded" / f"{name}.json"
        if name not in names if names else path.exists():
            continue
        package = case.get("scope", "mmpretrain")
        importlib.import_module(f"{package}.models")
        registry = importlib.import_module(f"{package}.registry").MODELS
        found = numbers.found(registry.build(case["cfg"]), tuple(case["size"]), case.get("train", False))
        path.write_text(json.dumps(found, indent=None, separators=(",", ":")) + "\n")
        print(name, len(found["entries"]), [out["shape"] for out in found["outs"]], flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
