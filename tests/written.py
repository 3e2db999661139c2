"""Writes result files as commands leave them, and reads the tables that a report makes of them."""

import json
import re

from experiments.report import records


def score(mean, std=0.5, students=20):
    return {"mean": mean, "std": std, "students": students, "values": []}


def result(method="dc", dataset="mnist", ipc=1, accuracy=None, paper=None, **others):
    config = {"method": method, "dataset": dataset, "ipc": ipc, "network": "convnet", "width": 128, "iterations": 4}
    return {
        "command": f"python -m experiments.run --method {method} --ipc {ipc}",
        "accuracy": accuracy or {"condensed": score(91.89), "random": score(67.0)},
        "paper": {"condensed": {"mean": 91.7, "std": 0.5}} if paper is None else paper,
        "hardware": "1 x cpu",
        "config": config,
        **others,
    }


def write(path, name, content):
    path.mkdir(parents=True, exist_ok=True)
    (path / name).write_text(json.dumps(content))
    return path


def find(*paths):
    return records.find([str(path) for path in paths])


def cell(method, ipc, mean):
    return {"method": method, "ipc": ipc, "mean": mean, "std": 1.0, "set_means": [mean, mean], "students": 4}


COMPARISON = {
    "command": "python -m experiments.compare --dataset=cifar10 --ipc 1,10",
    "dataset": "cifar10",
    "evaluation": {"eval_epochs": 300, "eval_augment": "none"},
    "rows": [
        *(cell("herding", 1, 70.0), cell("herding", 10, 80.0), cell("random", 1, 68.5)),
        *(cell("dc", 1, 68.0), cell("dc", 10, 90.0), cell("whole", None, 99.0)),
    ],
    "hardware": "1 x cpu",
}


def compared(path, rows, command="", evaluation=None, dataset="cifar10"):
    content = {**COMPARISON, "rows": rows, "dataset": dataset, "evaluation": evaluation or COMPARISON["evaluation"]}
    command = f"python -m experiments.compare --dataset {dataset} {command}".strip()
    return write(path, "comparison.json", {**content, "command": command})


def tabulated(text):
    """The lines of each table, in cells."""
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[line[2:-2].split(" | ") for line in block.splitlines()] for block in blocks]


def measured(tmp_path, **fields):
    """A run of which only result.json is there."""
    (run,) = find(write(tmp_path / "run", "result.json", result(**fields))).runs
    return run
