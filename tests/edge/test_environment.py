"""collect_env, git hashes and the command `fkit env`."""

import json
import subprocess
import sys

import pytest

from fkit.cli.main import main
from fkit.edge.environment import collect_env, fkit_version, get_git_hash, get_host_info, get_time_str, package_version
from fkit.tree.error import FkitTypeError

ROWS = ("sys.platform", "Python", "CUDA available", "CUDA_HOME", "NVCC", "GCC", "MSVC", "PyTorch", "TorchVision",
        "OpenCV", "JAX", "jaxlib", "flax", "optax", "fkit")  # fmt: skip


@pytest.fixture(scope="module")
def env():
    return collect_env()


def test_rows_in_order(env):
    assert [name for name in env if name in ROWS] == list(ROWS)
    assert all(isinstance(value, str) and value for value in env.values())
    assert env["sys.platform"] == sys.platform and env["Python"].startswith(sys.version.split()[0])


def test_frameworks(env):
    torch = pytest.importorskip("torch")
    assert env["PyTorch"] == torch.__version__
    assert env["CUDA available"] == str(torch.cuda.is_available())
    assert env["PyTorch compiling details"].startswith("PyTorch built with:")
    assert sum(name.startswith("GPU ") for name in env) == torch.cuda.device_count()
    jax = pytest.importorskip("jax")
    assert env["JAX"] == jax.__version__ and len(jax.devices()) == int(env["JAX devices"].split(" x ")[0])


def test_without_frameworks_none_is_imported():
    code = "import sys; from fkit.edge.environment import collect_env; print(collect_env(frameworks=False)['PyTorch']); " \
           "print([name for name in ('torch', 'jax', 'cv2') if name in sys.modules])"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [package_version("torch") or "n/a", "[]"]


@pytest.fixture
def checkout(tmp_path):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    return tmp_path


def test_git_hash(checkout, tmp_path_factory):
    full = get_git_hash(cwd=checkout)
    assert len(full) == 40 and set(full) <= set("0123456789abcdef")
    assert get_git_hash(digits=7, cwd=checkout) == full[:7]
    (checkout / "inner").mkdir()
    assert get_git_hash(cwd=checkout / "inner") == full
    assert get_git_hash(cwd=checkout / "missing") == "unknown"


@pytest.mark.parametrize("words", [{"digits": "7"}, {"fallback": 3}, {"cwd": 5}], ids=["digits", "fallback", "cwd"])
def test_a_git_hash_of_wrong_arguments_is_one_clear_error(words, checkout):
    with pytest.raises(FkitTypeError, match=next(iter(words))):
        get_git_hash(**{"cwd": checkout, **words})


def test_git_hash_falls_back(tmp_path):
    if get_git_hash(cwd=tmp_path, fallback="") == "":  # the temporary folder itself may lie in a checkout
        assert get_git_hash(cwd=tmp_path) == "unknown" and get_git_hash("none", cwd=tmp_path) == "none"
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert get_git_hash(cwd=tmp_path) == "unknown"  # a checkout without a commit


def test_version_has_the_hash_of_its_own_checkout():
    version, _, commit = fkit_version().partition("+")
    assert version == package_version("fkit-vision")
    assert commit == "" or (len(commit) == 7 and int(commit, 16) >= 0)


def test_words():
    user, _, host = get_host_info().partition("@")
    assert user and host
    assert len(get_time_str(1e9)) == 15 and get_time_str(1e9)[8] == "_"


class TestCommand:
    def test_lines(self, capsys, env):
        assert main(["env"]) == 0
        out, err = capsys.readouterr()
        assert err == "" and out.splitlines()[0] == f"sys.platform: {sys.platform}"
        assert out.splitlines()[-1] == f"fkit: {env['fkit']}"

    def test_json(self, capsys, env):
        assert main(["env", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == env

    def test_help_has_an_example(self, capsys):
        assert main(["env", "--help"]) == 0
        assert "example:\n  fkit env" in capsys.readouterr().out
