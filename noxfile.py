"""What a newcomer, a developer and CI run: ``nox -s train``, ``nox -s tests``, ``nox -s lint types``, ``nox -s wheel``,
``nox -s interpreters``, ``nox -s oldest``, ``nox -s coverage``, ``nox -s bench``, ``nox -s fuzz``, ``nox -s writers``,
``nox -s detect``, ``nox -s inventory``, ``nox -s networks``, ``nox -s peers``."""

import os
import shlex
import shutil
from pathlib import Path

import nox

nox.options.sessions = ["tests", "lint", "types"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False  # a session whose Python is not there is skipped, with a word

PINNED = ("-c", "constraints.txt")
INTERPRETERS = ("3.11", "3.12", "3.13", "3.14")
# two workers, each with whole modules for as long as it can: what JAX compiled for one test serves its neighbours
SUITE = ("python", "-m", "pytest", "-n", "2", "--dist", "worksteal")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@nox.session
def train(session: nox.Session) -> None:
    """Train the digit classifier: ``nox -s train``, or ``nox -s train -- --backend jax``."""
    session.install(*PINNED, "-e", ".[jax]")
    asked = {word.partition("=")[0] for word in session.posargs}
    place = () if "--work-dir" in asked else ("--work-dir", _folder(session.posargs))
    words = (*place, *session.posargs)
    try:
        # Ctrl-C reaches the run too, which saves itself: nox waits for it, however long that takes
        session.run("fkit", "train", "configs/digits/convnet.py", *words, interrupt_timeout=None)
    except KeyboardInterrupt:
        again = (*session.posargs, *(() if "--resume" in asked else ("--resume",)))
        session.log(f"go on with: nox -s train -- {shlex.join(again)}")
        raise


def _folder(words: list[str]) -> str:
    """A work folder that holds no run yet, so that the job can be run again, and on each backend; the last one to resume."""
    name = "work_dirs/convnet_jax" if "jax" in words else "work_dirs/convnet"
    names = [name, *(f"{name}_{n}" for n in range(2, 10_000))]
    free = next(n for n, path in enumerate(names) if not os.path.exists(path))
    return names[max(free - 1, 0) if "--resume" in words else free]


@nox.session
def tests(session: nox.Session) -> None:
    """The whole suite: ``nox -s tests``; arguments go to pytest."""
    session.install(*PINNED, "-e", ".[jax,test]")
    session.run(*SUITE, *session.posargs, env=ONE_THREAD)


@nox.session(python=INTERPRETERS)
def interpreters(session: nox.Session) -> None:
    """The suite on every supported Python that is there: ``nox -s interpreters``, or ``nox -s interpreters-3.13``.

    On Linux, pip takes builds of torch for CUDA, which run without a GPU too: some gigabytes to download for each.
    """
    session.install(*PINNED, "-e", ".[jax,test]")
    session.run(*SUITE, *session.posargs, env=ONE_THREAD)


@nox.session(python=INTERPRETERS[0])
def oldest(session: nox.Session) -> None:
    """The suite on the oldest versions that pyproject admits (tests/oldest.txt): ``nox -s oldest``.

    Of torch 2.6 the package index has builds for CUDA alone, which run without a GPU too: some gigabytes to download, once.
    """
    session.install("-c", "tests/oldest.txt", "-e", ".[jax,test]")
    session.run(*SUITE, *session.posargs, env=ONE_THREAD)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the package, install its wheel, and do the README's jobs in an empty folder, without the clone."""
    session.install(*PINNED, "build", "twine")
    folder = Path(session.create_tmp()).resolve()
    for name in ("dist", "empty"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "empty").mkdir()
    session.run("python", "-m", "build", "--outdir", str(folder / "dist"), ".")
    built = sorted(str(file) for file in (folder / "dist").iterdir())
    session.run("twine", "check", "--strict", *built)
    package = next(file for file in built if file.endswith(".whl"))
    python = str(folder / "fresh" / "bin" / "python")
    session.run("python", "-m", "venv", "--clear", str(folder / "fresh"))
    session.run(python, "-m", "pip", "install", "-q", *PINNED, f"{package}[jax]", "pytest", external=True)
    job = str(Path("tests/package/job.py").resolve())
    sources = next(file for file in built if file.endswith(".tar.gz"))
    with session.chdir(folder / "empty"):
        session.run(python, "-I", job, sources, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff: rules, and format."""
    session.install(*PINNED, "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """pyright, strict on floors 0 to 11."""
    session.install(*PINNED, "-e", ".[jax,test]", "pyright[nodejs]")
    session.run("pyright")


@nox.session
def coverage(session: nox.Session) -> None:
    """Which lines the suite runs, child processes counted in: ``nox -s coverage``; a page a file in .nox/coverage/lines/html.

    Tests that count the seconds of a child process fail where each of its lines is counted; the figure is of the lines.
    """
    session.install(*PINNED, "-e", ".[jax,test]", "coverage", "pytest-cov")
    folder = Path(session.virtualenv.location, "lines").resolve()  # a temporary folder of nox would be the tests' too
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    env = {**ONE_THREAD, "COVERAGE_FILE": str(folder / "data")}
    words = ("--cov=fkit", "--cov-report=", *session.posargs)
    session.run(*SUITE, *words, env=env, success_codes=(0, 1))
    session.run("coverage", "report", "--skip-covered", "--sort=cover", env=env)
    session.run("coverage", "html", "-q", "-d", str(folder / "html"), env=env)


@nox.session
def writers(session: nox.Session) -> None:
    """The writers with their services' real packages, offline: ``nox -s writers``; some 2 GB to download, once, and minutes.

    They live in an environment of their own, for they pin other packages; the newest of each is taken, or what SERVICES says.
    """
    services = os.environ.get("SERVICES", "tensorboard wandb mlflow dvclive clearml neptune aim").split()
    session.install("-e", ".[test]", *services)
    session.run("python", "-m", "pip", "list")
    words = ("-W", "default", "-q", "-rs", "tests/edge/test_service.py", "tests/edge/test_writer.py", *session.posargs)
    session.run("python", "-m", "pytest", *words, env=ONE_THREAD)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Mutated configs, for longer than the suite does: ``nox -s fuzz -- 20000`` examples."""
    session.install(*PINNED, "-e", ".[test]")
    env = {"FKIT_FUZZ_EXAMPLES": session.posargs[0] if session.posargs else "5000"}
    session.run("python", "-m", "pytest", "tests/config", "-k", "fuzz", "-q", env=env)


LEAST = ("477", "648", "355", "372")  # of configs/README.md's table, which may only grow


@nox.session
def count(session: nox.Session) -> None:
    """How many of OpenMMLab's released configs find all that their runs are made of: ``nox -s count``; and their transforms,
    datasets and metrics: ``nox -s count -- data``, which downloads four wheels for their configs. More arguments go to
    experiments/count.py (``--inventory FILE`` among them) or experiments/count_data.py."""
    session.install(*PINNED, "-e", ".[coco]")
    if session.posargs[:1] != ["data"]:
        session.run("python", "experiments/count.py", "--least", "2340", *session.posargs, env=ONE_THREAD)
        return
    folder = _packages(session)
    least = ("--least", "2150", "2050", "2150")
    session.run("python", "experiments/count_data.py", str(folder), *least, *session.posargs[1:], env=ONE_THREAD)


def _packages(session: nox.Session) -> Path:
    """A folder with the four packages, unpacked for the configs that they ship: nothing of them is imported."""
    folder = Path(session.create_tmp()).resolve() / "packages"
    wheels = ("mmdet==3.3.0", "mmsegmentation==1.2.2", "mmpose==1.3.2", "mmpretrain==1.2.0")
    if not folder.exists():
        session.run("python", "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), *wheels)
    return folder


@nox.session
def inventory(session: nox.Session) -> None:
    """How many of OpenMMLab's released configs build to the reference's parameters, by name and shape: ``nox -s inventory``.

    Downloads four wheels for their configs; arguments go to experiments/inventory.py (``--why``, ``--package mmdet``)."""
    session.install(*PINNED, "-e", ".")
    folder = _packages(session)
    session.run("python", "experiments/inventory.py", str(folder), "--least", *LEAST, *session.posargs, env=ONE_THREAD)


PEERS = (
    "opencv-python-headless==5.0.0.93",
    *(
        "pillow",
        "pyyaml",
        "addict",
        "yapf",
        "termcolor",
        "rich",
        "regex",
        "ftfy",
        "einops",
        "terminaltables",
        "shapely",
    ),
    *("scipy", "matplotlib", "pycocotools", "munkres", "json_tricks", "mat4py", "tqdm", "six", "click", "markdown"),
    *("importlib_metadata", "setuptools<81", "numpy==2.4.6", "frozendict", "safetensors", "fsspec", "scikit-learn"),
)


@nox.session
def peers(session: nox.Session) -> None:
    """MMDetection 3.3 and its kin over a compiled mmcv 2.1, for experiments/bench and experiments/record: ``nox -s peers``.

    Builds an environment of its own (about 12 minutes on two cores; needs a C++ compiler) and prints where its interpreter is.
    mmcv 2.1 wants one word changed to build beside torch 2.13, whose headers are C++20.
    """
    home = Path(session.create_tmp()).resolve()
    python = str(home / "venv" / "bin" / "python")

    def pip(*words: str) -> None:
        session.run(python, "-m", "pip", *words, external=True)

    if not (home / "done").exists():
        session.run("python", "-m", "venv", "--clear", str(home / "venv"))
        pip("install", "-q", "setuptools<81", "wheel", "ninja", "packaging", "psutil")
        pip("install", "-q", "torch==2.13.0", "numpy==2.4.6")
        pip("install", "-q", *PEERS)
        pip("install", "-q", "--no-deps", "mmengine==0.10.7", "model-index", "ordered-set")
        pip("install", "-q", "--no-deps", "mmdet==3.3.0", "mmsegmentation==1.2.2", "mmpose==1.3.2", "mmpretrain==1.2.0")
        pip("install", "-q", "--no-deps", "torchvision==0.28.0")
        source = ("download", "-q", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "mmcv==2.1.0")
        pip(*source, "-d", str(home))
        shutil.unpack_archive(home / "mmcv-2.1.0.tar.gz", home)
        setup = home / "mmcv-2.1.0" / "setup.py"
        setup.write_text(setup.read_text().replace("-std=c++17", "-std=c++20"))
        env = {"MMCV_WITH_OPS": "1", "FORCE_CUDA": "0", "MAX_JOBS": str(os.cpu_count() or 2)}
        build = (python, "-m", "pip", "install", "--no-deps", "--no-build-isolation", str(setup.parent))
        session.run(*build, external=True, env=env)
        (home / "done").touch()
    session.log(f"the interpreter: {python}")


@nox.session
def detect(session: nox.Session) -> None:
    """Train a small detector on blood cells and test it: ``nox -s detect``, or ``nox -s detect -- --backend jax``.

    Leaves pictures of the held-out cells with what was found, and the truth beside, in the work folder."""
    session.install(*PINNED, "-e", ".[jax,coco]")
    name = "cells_jax" if "jax" in session.posargs else "cells"
    folder = next(
        place
        for n in range(1, 10_000)
        if not (place := Path(f"work_dirs/{name}" + (f"_{n}" if n > 1 else ""))).exists()
    )
    session.run(
        "python", "experiments/cells/run.py", "--work-dir", str(folder), *session.posargs, interrupt_timeout=None
    )


@nox.session
def networks(session: nox.Session) -> None:
    """Recorded networks that the suite leaves out for their time: ``nox -s networks``, or ``nox -s networks -- -k "torch and swin"``.

    A folder of one's own: ``nox -s networks -- --books DIR``, with the networks in DIR/models."""
    session.install(*PINNED, "-e", ".[jax,coco,test]")
    books = () if "--books" in session.posargs else ("--books", "tests/golden/books/networks")
    session.run(
        "python",
        "-m",
        "pytest",
        "tests/golden/test_models.py",
        "tests/golden/test_pose_models.py",
        "-q",
        *books,
        *session.posargs,
    )


@nox.session
def bench(session: nox.Session) -> None:
    """A benchmark of experiments/bench against its peers: ``nox -s bench -- loop``; arguments go to the script.

    The peers live in an environment of their own, for they pin other packages. ``nox -s bench -- gpu`` has none, and ``nox -s
    bench -- network --peer PYTHON`` takes that of ``nox -s peers``, beside one that it makes for `transformers`.
    """
    session.install(*PINNED, "-e", ".[jax,test]")
    name, *rest = session.posargs or ["loop"]
    if name == "gpu":
        session.run("python", "experiments/bench/gpu.py", *rest)
        return
    peer = os.path.join(session.create_tmp(), "peer")
    python = os.path.join(peer, "bin", "python")
    if not os.path.exists(python):
        session.run("python", "-m", "venv", peer)
        pinned = ("torch==2.13.0", "numpy==2.4.6", "opencv-python==5.0.0.93")
        session.run(
            python,
            "-m",
            "pip",
            "install",
            "-q",
            *pinned,
            "mmengine==0.10.7",
            "mmcv-lite==2.2.0",
            "setuptools<81",
            external=True,
        )
        session.run(python, "-m", "pip", "install", "-q", *PINNED, "-e", ".", external=True)
    further = _transformers(session) if name == "network" else ()
    session.run("python", f"experiments/bench/{name}.py", "--peer", python, *further, *rest, env=ONE_THREAD)


def _transformers(session: nox.Session) -> tuple[str, str]:
    """An environment with `transformers`, for what network.py holds beside its DETR: the argument that says where it is."""
    home = os.path.join(session.create_tmp(), "transformers")
    python = os.path.join(home, "bin", "python")
    if not os.path.exists(python):
        session.run("python", "-m", "venv", home)
        pinned = ("torch==2.13.0", "numpy==2.4.6", "transformers==5.24.0")
        session.run(python, "-m", "pip", "install", "-q", *pinned, external=True)
    return "--transformers", python
