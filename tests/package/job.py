"""The README's jobs, done with an installed wheel in an empty folder: ``python -I job.py SDIST``, by ``nox -s wheel``."""

import email
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path

HERE = Path.cwd()
BIN = Path(sys.executable).parent
LINK = re.compile(r"\]\(([^)\s]+)|(?:src|href)=\"([^\"]+)")


def check(right, *what):
    """An error that says what was seen."""
    if not right:
        sys.exit("job.py: " + " ".join(str(word) for word in what))


def fkit(*words, code=0, program="fkit", folder=HERE):
    """A command of the wheel, without the clone; its standard output."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FKIT"))}
    env["PATH"] = f"{BIN}{os.pathsep}{env['PATH']}"
    start = time.monotonic()
    done = subprocess.run([BIN / program, *words], cwd=folder, env=env, capture_output=True, text=True, check=False)
    print(f"{time.monotonic() - start:6.1f} s  {program} {' '.join(words)}", flush=True)
    check(
        done.returncode == code,
        program,
        *words,
        "ended with",
        done.returncode,
        done.stdout[-3000:],
        done.stderr[-3000:],
    )
    check("Traceback" not in done.stderr, done.stderr)
    return done.stdout if code == 0 else done.stderr


def metadata(sdist):
    """What the package says of itself, and what lies in it."""
    import fkit as package

    there = Path(package.__file__).parent
    check(there.is_relative_to(sys.prefix), "not the wheel's:", there)
    check((there / "py.typed").is_file(), "no py.typed")
    message = email.message_from_string(str(importlib.metadata.distribution("fkit-vision").read_text("METADATA")))
    check(message["Version"] == package.__version__, message["Version"])
    for field in ("Project-URL", "Classifier", "License-Expression", "License-File", "Keywords", "Requires-Python"):
        check(message[field], "no", field)
    links = [a or b for a, b in LINK.findall(message.get_payload())]
    check(links and all(link.startswith(("https://", "http://", "#")) for link in links), "relative links:", links)
    tops = {name.split("/")[0] for name in (str(f) for f in importlib.metadata.files("fkit-vision") or ())}
    check(tops <= {"fkit", "..", f"fkit_vision-{package.__version__}.dist-info"}, "strangers in the wheel:", tops)
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = (
        "configs/digits/convnet.py",
        "tests/conftest.py",
        "experiments/own/own.py",
        "noxfile.py",
        "constraints.txt",
    )
    check(set(wanted) <= names, "not in the sdist:", set(wanted) - names)
    check(not any("__pycache__" in name for name in names), "caches in the sdist")


def jobs():
    """The commands that a newcomer types."""
    check("commands:" in fkit("--help") and "0." in fkit("--version"), "no help")
    check("digits/convnet" in fkit("configs"), "no configs")
    check("AdamW" in fkit("config", "show", "digits/convnet") and "fkit: " in fkit("env"), "no config")
    check("'digits/convnet'" in fkit("train", "digits/convent", code=2), "no suggestion")
    fkit("train", "digits/convnet")
    fkit("train", "digits/convnet", "--backend", "jax", "--work-dir", "work_dirs/convnet_jax")
    for name in ("convnet", "convnet_jax"):
        folder = HERE / "work_dirs" / name
        record = json.loads((folder / "run.json").read_text())
        check(record["status"] == "finished" and (folder / "curves.png").stat().st_size > 1000, record)
        best = max(
            json.loads(row).get("accuracy/top1", 0) for row in (folder / "metrics.jsonl").read_text().splitlines()
        )
        check(best > 0.97, name, "scores", best)
    scored(fkit("test", "digits/convnet", "work_dirs/convnet"))
    scored(fkit("test", "digits/convnet", "work_dirs/convnet_jax", "--backend", "jax"))
    picture()
    check(": 7 " in fkit("infer", "digits/convnet", "work_dirs/convnet", "seven.png", "--out", "vis"), "not a seven")
    (HERE / "mine.py").write_text('_base_ = "fkit::digits/mlp.py"\nseed = 1\ntrain_cfg = dict(max_epochs=2)\n')
    fkit("train", "mine.py")


def scored(text):
    """The accuracy that ``fkit test`` prints is that of a trained net."""
    found = re.search(r"accuracy/top1 ([\d.]+)", text)
    check(found is not None and float(found[1]) > 0.97, "no score:", text)


def picture():
    """A picture of a digit, the first seven that is held out."""
    from PIL import Image

    from fkit import load_config, open_data, plan

    batch = next(open_data(plan(load_config("digits/convnet")))["val"].batches(0, 0))
    index = batch.targets["gt_label"].tolist().index(7)
    image = batch.inputs[index, 0] * 0.3759 + 0.3054
    Image.fromarray((image * 255).round().clip(0, 255).astype("uint8")).resize((64, 64)).save(HERE / "seven.png")


def template():
    """``fkit new``, and what it says to do next."""
    check("config.py" in fkit("new", "study"), "no template")
    fkit("train", "config.py", folder=HERE / "study")
    check((HERE / "study/work_dirs/config/curves.png").is_file(), "no curves")
    fkit("-q", program="pytest", folder=HERE / "study")


if __name__ == "__main__":
    check(not list(HERE.iterdir()), HERE, "is not empty")
    metadata(sys.argv[1])
    jobs()
    template()
