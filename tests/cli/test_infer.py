"""`fkit infer` as a user meets it: what it takes for images, what it writes and what it leaves alone, how it fails."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fkit
from fkit.cli.main import main
from fkit.data.dataset import read_digits
from tests.cli.test_terminal import Terminal

ROOT = Path(__file__).parents[2]
CONVNET = str(ROOT / "configs/digits/convnet.py")
SHORT = ["train_cfg.max_epochs=2", "param_scheduler.1.end=2", "param_scheduler.1.T_max=1"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work") / "digits"
    assert main(["train", CONVNET, "--work-dir", str(folder), "--cfg-options", *SHORT]) == 0
    return folder


@pytest.fixture
def photos(here):
    """A working folder with digits 1.png, 2.png, 10.png in ``photos``."""
    (here / "photos").mkdir()
    for name, digit in (("1", 0), ("2", 1), ("10", 2)):
        write_digit(here / "photos" / f"{name}.png", digit)
    return here / "photos"


def write_digit(path, digit=0):
    image = (read_digits("test").images[digit, ..., 0] * (255 / 16)).astype(np.uint8)
    Image.fromarray(image).resize((32, 32), 0).save(path)


def infer(capsys, trained, *words, config=CONVNET):
    """(exit code, lines of standard output, standard error)."""
    capsys.readouterr()
    code = main(["infer", str(config), str(trained), *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err


def rows(folder="vis"):
    return [json.loads(line) for line in (Path(folder) / "predictions.jsonl").read_text().splitlines()]


def names(folder="vis"):
    return [Path(row["image"]).name for row in rows(folder)]


def contents(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_a_row_and_a_picture_for_each_image(trained, photos, capsys):
    code, out, err = infer(capsys, trained, "photos/2.png", "photos/1.png")
    assert code == 0 and "2 of 2 images predicted: pictures and predictions.jsonl are in vis" in err
    first, second = rows()
    assert set(first) == {"image", "label", "score", "picture", "checkpoint"}
    assert (first["image"], second["image"]) == ("photos/2.png", "photos/1.png")
    assert out[0] == f"photos/2.png: {first['label']} {first['score']:.4f} -> vis/2.png"
    assert Path(first["checkpoint"]) == trained / "checkpoints" / "step_00000046"
    with Image.open(first["picture"]) as picture:
        assert picture.size == (256, 396)
    truth = read_digits("test").labels
    assert [row["label"] for row in (second, first)] == [str(label) for label in truth[:2]]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_batches_change_nothing(trained, photos, capsys, size):
    (photos / "5.png").write_bytes(b"no picture")
    assert infer(capsys, trained, "photos", "--batch-size", size)[0] == 1
    assert names() == ["1.png", "2.png", "5.png", "10.png"]
    assert infer(capsys, trained, "photos/1.png", "--out", "one")[0] == 0
    assert abs(rows()[0]["score"] - rows("one")[0]["score"]) < 1e-6


# ---------------------------------------------------------------- nothing is lost


def test_a_picture_is_not_written_onto_an_image(trained, photos, capsys):
    before = contents(photos)
    for words in (["2.png"], ["../photos/2.png"], ["../photos"], [photos / "2.png"], ["*.png"]):
        with contextlib.chdir(photos):
            code, out, err = infer(capsys, trained, *words, "--out", ".")
        assert (code, out) == (2, []) and "would be written onto" in err and "Traceback" not in err
    assert contents(photos) == before


def test_files_are_compared_and_not_their_names(trained, photos, capsys):
    Path("linked").symlink_to("photos", target_is_directory=True)
    Path("soft").mkdir()
    Path("soft/1.png").symlink_to("../photos/1.png")
    Path("hard").mkdir()
    os.link("photos/1.png", "hard/1.png")
    before = contents(photos)
    for out in ("linked", "soft", "hard", "hard/../soft"):
        code, _, err = infer(capsys, trained, "photos/1.png", "--out", out)
        assert code == 2 and "would be written onto" in err, out
    assert contents(photos) == before


def test_neither_the_config_nor_the_list_is_written_onto(trained, photos, capsys):
    Path("vis").mkdir()
    Path("vis/predictions.jsonl").write_text("photos/1.png\n")
    code, _, err = infer(capsys, trained, "--list", "vis/predictions.jsonl")
    assert code == 2 and "would be written onto" in err


def test_images_of_one_stem_are_kept_apart(trained, photos, capsys):
    Path("more").mkdir()
    write_digit("more/1.png", 3)
    write_digit("more/1.jpg", 4)
    code, out, _ = infer(capsys, trained, "photos/1.png", "more/1.png", "more/1.jpg")
    assert code == 0 and [line.rpartition(" ")[2] for line in out] == ["vis/1.png", "vis/1_2.png", "vis/1_3.png"]
    assert len({Path(row["picture"]).read_bytes() for row in rows()}) == 3


def test_a_later_call_writes_over_nothing(trained, photos, capsys):
    infer(capsys, trained, "photos/1.png")
    Path("vis/1_2.png").write_text("mine")
    before = contents("vis")
    assert infer(capsys, trained, "photos/1.png", "photos/2.png")[0] == 0
    after = contents("vis")
    assert after.pop(Path("vis/predictions.jsonl")).startswith(before.pop(Path("vis/predictions.jsonl")))
    assert before.items() <= after.items() and set(after) - set(before) == {Path("vis/1_3.png"), Path("vis/2.png")}
    assert names() == ["1.png", "1.png", "2.png"]


def test_a_row_that_was_cut_stays_a_line_of_its_own(trained, photos, capsys):
    Path("vis").mkdir()
    Path("vis/predictions.jsonl").write_bytes(b'{"image": "a.p')
    infer(capsys, trained, "photos/1.png")
    lines = Path("vis/predictions.jsonl").read_text().splitlines()
    assert len(lines) == 2 and json.loads(lines[1])["image"] == "photos/1.png"


@pytest.mark.parametrize("place", ["file", "file/below", "/dev/null", "/proc/x", "dangling"])
def test_a_place_for_no_folder_is_said_before_the_work(trained, photos, capsys, place):
    Path("file").touch()
    Path("dangling").symlink_to("nowhere")
    code, out, err = infer(capsys, trained, "photos", "--out", place)
    assert (code, out) == (2, []) and err.startswith(f"fkit: --out {place}: ") and err.count("fkit:") == 1


def test_rows_where_a_folder_has_their_name(trained, photos, capsys):
    Path("vis/predictions.jsonl").mkdir(parents=True)
    code, out, err = infer(capsys, trained, "photos")
    assert (code, out) == (2, []) and "predictions.jsonl: is a folder" in err


# ---------------------------------------------------------------- what stands for images


def test_a_folder_a_pattern_and_a_list(trained, photos, capsys):
    (photos / "below").mkdir()
    write_digit(photos / "below" / "3.png")
    (photos / "notes.txt").touch()
    (photos / "._1.png").touch()
    Path("list.txt").write_text("photos/10.png\r\n\nphotos/below\n")
    for words, want in (
        (["photos"], ["1.png", "2.png", "10.png"]),
        (["photos/*.png"], ["1.png", "2.png", "10.png"]),
        (["photos/**"], ["1.png", "2.png", "10.png", "3.png"]),
        (["photos/**/3.*"], ["3.png"]),
        (["--list", "list.txt"], ["10.png", "3.png"]),
        (["photos/2.png", "--list", "list.txt"], ["2.png", "10.png", "3.png"]),
        (["photos/2.png", "photos", "./photos/../photos/1.png"], ["2.png", "1.png", "10.png"]),
    ):
        out = f"vis{len(os.listdir())}"
        assert infer(capsys, trained, *words, "--out", out)[0] == 0
        assert names(out) == want, words


def test_names_come_from_standard_input(trained, photos):
    done = subprocess.run(
        [sys.executable, "-m", "fkit", "infer", CONVNET, str(trained), "--list", "-"],
        input=b"photos/2.png\n",
        cwd=photos.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0 and names() == ["2.png"]


def test_options_may_stand_before_the_images(trained, photos, capsys):
    assert main(["infer", CONVNET, str(trained), "--out", "before", "photos/1.png"]) == 0
    assert names("before") == ["1.png"]


def test_a_name_that_looks_like_a_pattern(trained, photos, capsys):
    write_digit("a[1].png")
    assert infer(capsys, trained, "a[1].png")[0] == 0
    assert names() == ["a[1].png"]


# ---------------------------------------------------------------- images that are at fault


def test_one_bad_file_ends_nothing(trained, photos, capsys):
    whole = (photos / "1.png").read_bytes()
    (photos / "3.png").write_bytes(whole[: len(whole) // 2])
    (photos / "4.png").touch()
    (photos / "5.png").write_text("no picture")
    (photos / "6.png").symlink_to("nowhere")
    code, out, err = infer(capsys, trained, "photos", "missing.png")
    assert code == 1 and len(out) == 3 and "5 of 8 images could not be predicted" in err
    told = {Path(row["image"]).name: row.get("error", "") for row in rows()}
    assert list(told) == ["1.png", "2.png", "3.png", "4.png", "5.png", "6.png", "10.png", "missing.png"]
    for name, words in (
        ("1.png", ""),
        ("3.png", "cut short"),
        ("4.png", "is empty: it has 0 bytes"),
        ("5.png", "no picture format"),
        ("6.png", "leads nowhere"),
        ("10.png", ""),
        ("missing.png", "is not there"),
    ):
        assert words in told[name] and bool(words) == bool(told[name])
        assert not words or f"{name}" in err
    assert "Traceback" not in err


def test_images_that_are_all_bad(trained, photos, capsys):
    for name in ("1", "2"):
        (photos / f"{name}.png").write_text("no picture")
    code, out, err = infer(capsys, trained, "photos/1.png", "photos/2.png")
    assert (code, out) == (2, []) and "none of 2 images could be predicted" in err
    assert ["error" in row for row in rows()] == [True, True]


@pytest.mark.parametrize(
    ("words", "want"),
    [
        (["nowhere.png"], "the image nowhere.png is not there"),
        (["photos/3.png"], "Did you mean 'photos/1.png'?"),
        (["nofolder/1.png"], "there is no folder nofolder"),
        (["a.png", "b.png"], "none of 2 images is there: a.png, b.png"),
        (["empty"], "the folder empty holds no image"),
        (["."], "For those in folders below it: './**', in quotes"),
        (["*.jpg"], "the pattern '*.jpg' matches no file"),
        (["note*"], "matches 1 file, which is no image"),
        ([""], "the name of an image is empty"),
        ([], "`fkit infer` needs IMAGE, or --list FILE"),
        (["--list", "nothere.txt"], "--list nothere.txt: is not there"),
        (["--list", "photos"], "--list photos: cannot be read: Is a directory"),
        (["--list", "notes.txt"], "--list notes.txt: names no image"),
        (["photos", "--score-thr", "2"], "--score-thr 2.0: a score is from 0 to 1"),
        (["photos", "--score-thr", "nan"], "--score-thr: 'nan' is no number"),
        (["photos", "--batch-size", "0"], "--batch-size 0: at least 1"),
    ],
)
def test_wrong_words_are_one_message_and_write_nothing(words, want, trained, photos, capsys):
    Path("empty").mkdir()
    Path("notes.txt").touch()
    before = contents(".")
    code, out, err = infer(capsys, trained, *words)
    assert (code, out) == (2, []) and want in err and err.startswith("fkit: ") and "Traceback" not in err
    assert contents(".") == before and not Path("vis").exists()


# ---------------------------------------------------------------- the config


@pytest.mark.parametrize(
    ("words", "want"),
    [
        (["test_dataloader.dataset.metainfo.classes:=[a,b,c,d,e,f,g,h,i,j]"], "abcdefghij"),
        (["val_dataloader.dataset.metainfo.classes:=[a,b,c]"], "abc3456789"),
        ([], "0123456789"),
    ],
)
def test_classes_are_named_by_the_config_or_the_checkpoint(words, want, trained, photos, capsys):
    options = ["--cfg-options", *words] if words else []
    code, _, err = infer(capsys, trained, "photos", *options)
    truth = read_digits("test").labels[:3]
    assert code == 0 and [row["label"] for row in rows()] == [want[label] for label in truth]
    assert ("the checkpoint was trained on others (0, 1, 2, 3, 4, ...)" in err) == bool(words)


def pipeline(path, *steps):
    path.write_text(f"_base_ = {CONVNET!r}\ntest_dataloader = dict(dataset=dict(pipeline=[{', '.join(steps)}]))\n")
    return path


LOAD = "dict(type='LoadImageFromFile', color_type='grayscale')"
RESIZE = "dict(type='Resize', scale=(8, 8), interpolation='area')"
REST = ("dict(type='ToUnit')", "dict(type='Normalize', mean=[0.3054], std=[0.3759])", "dict(type='PackInputs')")


def test_what_loads_targets_is_left_out_and_said(trained, photos, capsys):
    cfg = pipeline(Path("cfg.py"), LOAD, "dict(type='mmdet.LoadAnnotations', with_bbox=True)", RESIZE, *REST)
    code, _, err = infer(capsys, trained, "photos", config=cfg)
    assert code == 0 and "left out test_dataloader.dataset.pipeline[1] (LoadAnnotations): it loads targets" in err


def test_what_reads_a_target_is_named_with_its_place(trained, photos, capsys):
    pack = "dict(type='PackInputs', algorithm_keys=['mask'])"
    cfg = pipeline(Path("cfg.py"), LOAD, RESIZE, *REST[:2], pack)
    code, out, err = infer(capsys, trained, "photos", config=cfg)
    assert (code, out) == (2, []) and not Path("vis").exists()
    assert "cfg.py:2: test_dataloader.dataset.pipeline[4]: PackInputs reads 'mask'" in err
    assert "--cfg-options 'test_dataloader.dataset.pipeline=[...]'" in err


def test_validations_pipeline_is_taken_and_said(trained, photos, capsys):
    rest, _ = fkit.load_config(CONVNET).pop("test_dataloader")
    rest.dump("cfg.py")
    code, _, err = infer(capsys, trained, "photos", config="cfg.py")
    assert code == 0 and "test_dataloader says no pipeline: images are read by val_dataloader.dataset.pipeline\n" in err


def test_a_pipeline_that_reads_no_files(trained, photos, capsys):
    cfg = pipeline(Path("cfg.py"), *REST)
    code, _, err = infer(capsys, trained, "photos", config=cfg)
    assert code == 2 and "pipeline[0]: ToUnit reads 'img'" in err and "LoadImageFromFile" in err


def test_images_of_several_sizes_need_no_resize(trained, photos, capsys):
    Image.fromarray(np.zeros((16, 24), np.uint8)).save(photos / "3.png")
    cfg = pipeline(Path("cfg.py"), LOAD, *REST)
    assert infer(capsys, trained, "photos", config=cfg)[0] == 0
    assert names() == ["1.png", "2.png", "3.png", "10.png"]


# ---------------------------------------------------------------- its output


def test_a_reader_that_goes_ends_nothing(trained, photos):
    line = (
        f"{sys.executable} -m fkit infer {CONVNET} {trained} photos --batch-size 1 | head -n 1; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=photos.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[1:] == ["0"] and "Traceback" not in done.stderr
    assert names() == ["1.png", "2.png", "10.png"] and len(list(Path("vis").glob("*.png"))) == 3


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_is_a_run_that_failed(trained, photos, capsys):
    Path("full").mkdir()
    Path("full/predictions.jsonl").symlink_to("/dev/full")
    assert main(["infer", CONVNET, str(trained), "photos", "--out", "full"]) == 1
    said = capsys.readouterr().err
    assert "predictions.jsonl: cannot be written: No space left on device" in said and "Traceback" not in said


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_results_that_nothing_takes_are_said_at_the_end(trained, photos):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "fkit", "infer", CONVNET, str(trained), "photos"],
            cwd=photos.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1 and "standard output cannot be written: No space left on device" in done.stderr
    assert names() == ["1.png", "2.png", "10.png"]


OWN = """
import numpy as np
from torch import nn
from fkit import Transform

class Oracle(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer
        self.layer = nn.Linear(64, 10)

    def forward(self, inputs, samples=None, mode="tensor"):
        scores = self.layer(inputs.flatten(1))
        if mode == "loss":
            return {"loss": nn.functional.cross_entropy(scores, samples.targets["gt_label"])}
        if mode != "predict":
            return scores
        if self.answer == "raise":
            raise ValueError("no answer")
        if self.answer == "boxes":
            return {"boxes": scores[:, :4]}
        if self.answer == "few":
            return {"pred_score": scores[:1]}
        if self.answer == "flat":
            return {"pred_score": scores.argmax(1)}
        return {"pred_score": scores * float(self.answer)}

class Cheat(Transform):
    def apply(self, sample, params):
        return {**sample, "img": sample["img"] * (sample["gt_label"] >= 0)}

class Broken(Transform):
    def apply(self, sample, params):
        return {**sample, "img": sample["img"].reshape(7)} if sample["sample_idx"] == 1 else sample

class Picky(Transform):
    def apply(self, sample, params):
        return None if sample["img"].mean() > 1e9 or sample["sample_idx"] == 1 else sample
"""


@pytest.fixture
def own(photos):
    """A config of one's own model and transforms, and a checkpoint of it."""
    (photos.parent / "own.py").write_text(OWN)
    (photos.parent / "cfg.py").write_text(
        f"_base_ = {CONVNET!r}\nmodel = dict(_delete_=True, type='own.Oracle', answer='1')\n"
    )
    sys.path.insert(0, str(photos.parent))
    words = ["--work-dir", "work", "--allow", "own", "--cfg-options", *SHORT]
    assert main(["train", "cfg.py", *words]) == 0
    yield "work"
    sys.path.remove(str(photos.parent))
    sys.modules.pop("own", None)


@pytest.mark.parametrize(
    ("answer", "code", "want"),
    [
        ("boxes", 2, "the model predicts 'boxes'; what can be drawn is a mapping"),
        ("flat", 2, "pred_score is int64(3,): the scores of a classifier are (images, classes)"),
        ("few", 2, "the model was given 3 images, and predicted 1"),
        ("raise", 1, "image 1, batch of 3: the model raised ValueError: no answer"),
        ("nan", 2, "none of 3 images could be predicted"),
    ],
)
def test_a_model_that_is_no_classifier_is_one_message(answer, code, want, own, capsys):
    words = ["photos", "--allow", "own", "--cfg-options", f"model.answer:='{answer}'"]
    got, out, err = infer(capsys, own, *words, config="cfg.py")
    assert (got, out) == (code, []) and want in err and "Traceback" not in err
    assert Path("vis").exists() == (answer == "nan")
    if answer == "nan":
        assert all(row["error"] == "the model's scores are not finite." for row in rows())


def test_transforms_of_ones_own(own, capsys):
    cfg = Path("cfg.py").read_text()
    here = "test_dataloader.dataset.pipeline[2]"
    for step, code, want in (
        ("dict(type='own.Cheat')", 2, f"later.py:3: {here}: Cheat reads 'gt_label', which a sample of an image that"),
        ("dict(type='Compose', transforms=[dict(type='own.Cheat')])", 2, f"{here}: Compose reads 'gt_label'"),
        ("dict(type='own.Picky')", 1, f"photos/2.png: {here} (Picky)"),
        ("dict(type='own.Broken')", 1, "into shape (7,) (own.py:34, in Broken.apply)"),
    ):
        steps = ", ".join((LOAD, RESIZE, step, *REST))
        Path("later.py").write_text(f"{cfg}test_dataloader = dict(dataset=dict(pipeline=[{steps}]))\n")
        got, _, err = infer(capsys, own, "photos", "--allow", "own", config="later.py")
        assert got == code and want in err and "Traceback" not in err, err
    assert ["error" in row for row in rows()] == [False, True, False] * 2


def test_what_scores_little_is_unsure_and_of_what(trained, photos, capsys):
    assert infer(capsys, trained, "photos/1.png", "--score-thr", "1")[0] == 0
    assert infer(capsys, trained, "photos/1.png", "--out", "sure")[0] == 0
    (row,), (sure,) = rows(), rows("sure")
    assert (row["label"], row["score"]) == ("unsure", sure["score"]) and sure["label"] != "unsure"
    with Image.open(row["picture"]) as unsure, Image.open(sure["picture"]) as other:
        assert unsure.size[1] - other.size[1] == 34  # the picture says of what


def test_images_of_a_storage(trained, photos, capsys):
    from fkit import fileio

    fileio.put((photos / "1.png").read_bytes(), "memory://infer/1.png")
    code, out, _ = infer(capsys, trained, "memory://infer/1.png", "memory://infer/nothere.png")
    assert code == 1 and out[0].startswith("memory://infer/1.png: ") and out[0].endswith(" -> vis/1.png")
    assert ["error" in row for row in rows()] == [False, True]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_call_that_is_ended_leaves_whole_lines(number, code, trained, photos):
    for other in range(11, 400):
        os.link(photos / "1.png", photos / f"{other}.png")
    words = [sys.executable, "-m", "fkit", "infer", CONVNET, str(trained), "photos"]
    child = subprocess.Popen(
        words, cwd=photos.parent, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    )
    child.stdout.readline()
    child.send_signal(number)
    child.communicate()
    assert child.returncode == code and 1 <= len(rows()) < 392
    assert all(Path(row["picture"]).stat().st_size > 0 for row in rows())


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no pseudoterminals")
def test_lines_and_the_bar_share_a_terminal(trained, photos):
    for number in range(11, 311):
        os.link(photos / "1.png", photos / f"{number}.png")
    command = (sys.executable, "-m", "fkit", "infer", CONVNET, trained, photos, "--out", photos.parent / "vis")
    terminal = Terminal(*command)
    terminal.read()
    assert terminal.code() == 0
    shown = terminal.seen.decode()
    assert "303 of 303 images predicted" in shown and "infer" in shown.replace(str(photos.parent), "")
    for row in rows():
        assert shown.count(f"{row['image']}: {row['label']} ") == 1


def test_standard_input_that_is_closed(trained, photos):
    line = f"{sys.executable} -m fkit infer {CONVNET} {trained} --list - <&-"
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=photos.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "fkit: --list -: standard input is closed.\n")
