"""What the README tells a newcomer to type works."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from experiments import cli
from experiments.ablation import Ablation
from experiments.command_line import parse
from experiments.compare import Compared
from experiments.evaluate import Evaluation
from experiments.export import Export
from experiments.report.__main__ import Report

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line
    for kind, text in BLOCKS
    for line in text.splitlines()
    if kind == "" and line.startswith("python -m experiments")
]
KINDS = {"ablation": Ablation, "compare": Compared, "evaluate": Evaluation, "export": Export, "report": Report}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, _, module, *words = shlex.split(command, comments=True)
    name = module.removeprefix("experiments.")
    if name == "run":
        config = parse(words)
        assert config.workdir.startswith(f"runs/{config.method}-")
    else:
        assert isinstance(cli.read(KINDS[name], words), KINDS[name])


def test_the_code_condenses():
    (code,) = [text for kind, text in BLOCKS if kind == "python" and "dc.condenser" in text]
    quick = {"epochs=50": "epochs=1", "range(20)": "range(1)", "num_students=20": "num_students=1"}
    quick |= {
        "num_classes=10)": "num_classes=10, width=4)",
        ", num_students=1": ", num_students=1, recipe=dc.dc_recipe(2)",
    }
    for full, short in quick.items():
        assert full in code
        code = code.replace(full, short)
    names = {}
    exec(code, names)
    assert names["condensed"].image.shape == (10, 10, 8, 8, 1)
    assert names["condensed"].label.shape == (10, 10, 10)
    assert 0 <= names["accuracy"][0] <= 1
    assert np.isfinite(names["metrics"]["loss"])
