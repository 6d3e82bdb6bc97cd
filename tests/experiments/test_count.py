"""OpenMMLab's released configs find all that their runs are made of: counted from facts, each part built."""

import gzip
import json
import runpy
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "experiments/count.py"
COUNT = runpy.run_path(str(SCRIPT))

# of single model families, and of several processes: they come with them
LATER = {
    "MeanTeacherHook", "TeacherStudentValLoop", "SimSiamHook", "SwAVHook", "WarmupParamHook", "RetrievalValLoop",
    "RetrievalTestLoop", "PrepareProtoBeforeValLoopHook", "DeepSpeedOptimWrapper", "LARS", "Lamb",
}  # fmt: skip


def test_of_2404_released_configs_at_least_2340_find_all():
    counted = COUNT["count"](COUNT["facts"](COUNT["FACTS"]))
    assert counted.whole == {"mmdet": 801, "mmseg": 681, "mmpose": 407, "mmpretrain": 515}
    assert sum(counted.found.values()) >= 2340
    assert {name for _, name in counted.missing} <= LATER
    text = COUNT["table"](counted)
    assert f"| all | 2404 | {sum(counted.found.values())} |" in text and "| mmseg | 681 | 681 |" in text


def test_a_part_that_is_not_there_or_cannot_be_built_counts_as_lacking():
    assert "'EMAHok' is not in the registry" in COUNT["lacking"]("hooks", "EMAHok")
    assert COUNT["lacking"]("optim", "Sgd") and COUNT["lacking"]("optim", "DeepSpeedOptimWrapper")
    assert not COUNT["lacking"]("optim", "mmengine.optim.LinearLR") and not COUNT["lacking"]("hooks", "mmdet.EMAHook")
    rows = [COUNT["Row"]("mmdet", 3, {"hooks": ("EMAHok", "EMAHook")}), COUNT["Row"]("mmseg", 2, {"hooks": ()})]
    counted = COUNT["count"](rows)
    assert (counted.found, counted.missing) == ({"mmdet": 0, "mmseg": 2}, {("hooks", "EMAHok"): 3})
    assert counted.alone == {("hooks", "EMAHok"): 3}


def test_facts_are_gathered_from_an_inventory(tmp_path, capsys):
    lines = [
        {"package": "mmdet", "hooks": ["EMAHook"], "optim": ["SGD", "AdamW"], "loops": []},
        {"package": "mmdet", "hooks": ["EMAHook"], "optim": ["AdamW", "SGD"], "loops": []},
        {"package": "mmseg", "hooks": ["EMAHook"], "error": "config: FileNotFoundError"},
        {"package": "mmseg", "hooks": []},
    ]
    with gzip.open(tmp_path / "configs.jsonl.gz", "wt") as file:
        file.write("\n".join(map(json.dumps, lines)))
    words = ["--inventory", str(tmp_path / "configs.jsonl.gz"), "--facts", str(tmp_path / "facts.json"), "--least", "3"]
    assert COUNT["main"](words) == 1
    assert "| mmdet | 2 | 2 |" in capsys.readouterr().out
    [row] = COUNT["facts"](tmp_path / "facts.json")
    assert row == ("mmdet", 2, {"hooks": ("EMAHook",), "optim": ("AdamW", "SGD"), "loops": ()})
