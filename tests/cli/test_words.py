"""What a run says at its beginning and at its end: the seed that was drawn, where its curves are, what may come next."""

import re
import shlex

from tests.cli.test_run import ROOT, run

MLP = str(ROOT / "configs/digits/mlp.py")
SHORT = ["--cfg-options", "train_cfg.max_epochs=1", "seed=None"]


def test_a_run_says_its_drawn_seed_and_what_it_left(tmp_path, capsys):
    folder = tmp_path / "a run"
    code, out, err = run(capsys, "train", MLP, "--work-dir", folder, *SHORT)
    assert code == 0
    [seed] = re.findall(r"^seed (\d+) \(drawn; --seed \1 repeats the run\)$", err, re.MULTILINE)
    assert f"seed {seed} (drawn; --seed {seed} repeats the run)" in (folder / "log.txt").read_text()
    line = rf"{re.escape(str(folder))}: 23 iterations; accuracy/top1 0\.\d{{4}}; curves in (.+)\n"
    assert re.fullmatch(line, out)[1] == str(folder / "curves.png") and (folder / "curves.png").exists()

    [words] = re.findall(r"^next: fkit (.+), or fkit infer .+ IMAGE$", err, re.MULTILINE)
    code, scored, _ = run(capsys, *shlex.split(words))
    assert code == 0 and re.search(r"accuracy/top1 0\.\d{4}", out)[0] == scored.strip()

    code, again, err = run(capsys, "train", MLP, "--work-dir", tmp_path / "b", "--seed", seed, *SHORT[:2])
    assert code == 0 and again.split(";")[1] == out.split(";")[1] and "(drawn" not in err


def test_the_next_command_has_the_permissions_that_this_one_had(here, capsys):
    (here / "mine.py").write_text("def register(registry):\n    return registry\n")
    (here / "a.py").write_text(f"_base_ = {MLP!r}\ncustom_imports = dict(imports=['mine'])\n")
    code, out, err = run(capsys, "train", "a.py", "--allow", "mine", *SHORT[:2])
    assert code == 0
    tests, infers = re.findall(r"^next: fkit (.+), or fkit (infer .+) IMAGE$", err, re.MULTILINE)[0]
    code, scored, _ = run(capsys, *shlex.split(tests))
    assert code == 0 and re.search(r"accuracy/top1 0\.\d{4}", out)[0] == scored.strip()
    code, _, err = run(capsys, *shlex.split(infers), "nothere.png")
    assert "nothere.png is not there" in err and "--allow" not in err
