"""What pyproject.toml says of the package; ``nox -s wheel`` builds it and runs what it holds."""

import re
import tomllib
from pathlib import Path

import yaml

import fkit

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HOOK = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]


def test_the_projects_address_is_one() -> None:
    address = PROJECT["project"]["urls"]["Repository"]
    text = (ROOT / "pyproject.toml").read_text()
    assert HOOK["substitutions"][0]["replacement"] == rf"\1{address}/raw/main/\2"
    assert re.findall(r"https?://[^\"'\s\\]+", text) == [address, f"{address}/raw/main/"]


def test_no_link_of_the_readme_is_relative_on_the_index() -> None:
    text = (ROOT / "README.md").read_text()
    rule = HOOK["substitutions"][0]
    there = re.sub(rule["pattern"], rule["replacement"], text)
    links = re.findall(r"\]\(([^)\s]+)|(?:src|href)=\"([^\"]+)", there)
    assert links and all(re.match(r"https?://|mailto:|#", a or b) for a, b in links)
    assert there.count("/raw/main/") >= 1 and "](tests/" in text  # a clone's stay relative


def test_the_version_stands_in_one_place() -> None:
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "fkit/tree/version.py"
    assert "version" in PROJECT["project"]["dynamic"] and "version" not in PROJECT["project"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", fkit.__version__)


def test_what_it_calls_itself() -> None:
    """`fkit` on the package index is a stranger's project: no message sends anyone there, and the README says so."""
    assert PROJECT["project"]["name"] == "fkit-vision"
    texts = [*ROOT.glob("fkit/**/*.py"), ROOT / "noxfile.py", *ROOT.glob("experiments/**/*.py")]
    pattern = re.compile(r"(?:pip|uv|pipx)\b[^\n]* (?:install|add) [^\n]*?['\"`\s]fkit(?![\w-])")
    assert [str(file) for file in texts if pattern.search(file.read_text())] == []
    assert "fkit-vision" in (ROOT / "README.md").read_text()
    assert pattern.search("pip install 'fkit[jax]'") and not pattern.search("pip install 'fkit-vision[jax]'")


def test_the_interpreters_are_those_that_it_names() -> None:
    rows = PROJECT["project"]["classifiers"]
    versions = [row.rpartition(" ")[2] for row in rows if re.fullmatch(r".* :: 3\.\d+", row)]
    lowest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert versions[0] == lowest and "Typing :: Typed" in rows and (ROOT / "fkit/py.typed").is_file()
    session = re.search(r"INTERPRETERS = \(([^)]*)\)", (ROOT / "noxfile.py").read_text())
    assert session is not None and re.findall(r"3\.\d+", session[1]) == versions


SESSIONS = set(re.findall(r"@nox\.session[^\n]*\ndef (\w+)\(", (ROOT / "noxfile.py").read_text()))


def _asked(text: str) -> set[str]:
    """The sessions that a text's commands name."""
    return {
        word.partition("-")[0]
        for line in re.findall(r"nox -s ([\w .-]+)", text)
        for word in line.partition(" --")[0].split()
    }


def test_ci_and_pre_commit_run_sessions_that_there_are() -> None:
    work = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    steps = [step.get("run", "") for job in work["jobs"].values() for step in job["steps"]]
    assert "bash .ci/run" in steps
    rows = work["jobs"]["versions"]["strategy"]["matrix"]["include"]
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    texts = [*steps, *(f"nox -s {row['session']}" for row in rows), *(hook["entry"] for hook in hooks)]
    asked = set.union(*(_asked(text) for text in texts))
    assert {"oldest", "interpreters", "coverage", "lint", "types", "tests"} == asked and asked <= SESSIONS


def test_contributing_names_what_is_there() -> None:
    text = (ROOT / ".github/CONTRIBUTING.md").read_text()
    named = re.findall(r"`((?:fkit|tests|experiments)/[\w/.{},*-]*)`", text)
    places = [p for name in named for p in ([name] if "{" not in name else _spread(name)) if "NAME" not in p]
    assert len(places) > 20
    assert [place for place in places if not list(ROOT.glob(place.rstrip("/")))] == []
    listed = re.search(r"other sessions: ([^.]+)\.", text)
    assert listed is not None and set(re.findall(r"`(\w+)`", listed[1])) <= SESSIONS


def _spread(name: str) -> list[str]:
    head, body, tail = re.fullmatch(r"(.*)\{(.*)\}(.*)", name).groups()  # pyright: ignore[reportOptionalMemberAccess]
    return [head + one + tail for one in body.split(",")]
