"""Turns what runs and comparisons measured into rows of plain text, which Markdown and HTML share."""

from typing import NamedTuple

from experiments.methods import CORESETS
from experiments.report import words
from experiments.report.cells import of_run
from experiments.report.records import Comparison, Run


class Row(NamedTuple):
    """A run in the table of results: plain texts, empty where nothing is known."""

    data: str
    method: str
    ipc: str
    condensed: str
    paper: str
    difference: str
    random: str
    whole: str
    students: str
    network: str
    command: str
    machine: str
    notes: dict[str, str]  # notes beside the texts, by name
    failures: set[str]  # names of the texts that tell of a failure


_LONGER = {"ipc": "images per class", "machine": "hardware and time"}
HEADINGS = {name: _LONGER.get(name, name) for name in Row._fields if name not in ("notes", "failures")}


def difference(run: Run) -> float | None:
    """Computes our mean less the paper's in points, rounded as it is shown; None if the paper has no figure for the run."""
    paper = of_run(run).paper
    return round(run.accuracy[run.own]["mean"] - paper["mean"], 1) if paper else None


def row(run: Run) -> Row:
    config, ours, paper, failures = run.config, run.accuracy, run.paper, failed(run)
    figure = of_run(run)
    epochs = f", {run.whole_epochs} epochs" if run.whole_epochs and "whole" in ours else ""
    notes = {name: f"paper {words.accuracy(paper[name])}" for name in ours if name in paper and name != run.own}
    if figure.shortened:
        notes["method"] = "{} of {} iterations".format(*figure.shortened)
    gap = difference(run)
    return Row(
        data=words.dataset(config["dataset"]),
        method=words.method(config["method"]),
        ipc="all" if config["method"] == "whole" else str(config["ipc"]),
        condensed=words.accuracy(ours.get("condensed")),
        paper=words.accuracy(figure.paper),
        difference="" if gap is None else words.signed(gap),
        random=words.accuracy(ours.get("random")),
        whole=words.accuracy(ours.get("whole")) + epochs,
        students=str(ours[run.own].get("students", "")),
        network=words.condensing_network(config),
        command=run.result["command"],
        machine=", ".join(filter(None, (words.machine(run.result), time(run), run.result.get("note")))),
        notes={name: ", ".join(filter(None, [failures.get(name), notes.get(name)])) for name in {**notes, **failures}},
        failures=set(failures),
    )


def failed(run: Run) -> dict[str, str]:
    """Says what a run did not reach: the paper's mean, random images, which a condensation method is meant to beat, or its end."""
    ours, gap, found = run.accuracy, difference(run), {}
    if gap is not None and gap < 0:
        found["difference"] = "a miss"
    if run.config["method"] not in CORESETS and {"condensed", "random"} <= ours.keys():
        found |= {"condensed": "below random"} if ours["condensed"]["mean"] < ours["random"]["mean"] else {}
    return found | ({"method": run.state} if run.state else {})


def time(run: Run) -> str:
    """Says how long condensing or choosing took, and each iteration; unknown times are left out."""
    result = run.result
    spent = [words.duration(result[name]) for name in ("condense_seconds", "choose_seconds") if name in result]
    each = result.get("seconds_per_iteration")
    return ", ".join(spent + ([f"{words.duration(each)} an iteration"] if each else []))


def sizes(comparison: Comparison) -> list[int]:
    """Lists the numbers of images per class."""
    return sorted({row["ipc"] for row in comparison.rows} - {None})


def compared(comparison: Comparison) -> dict[str, list[dict | None]]:
    """Maps each method to its rows at every size; the whole training set has the same row at all."""
    found = {(row["method"], row["ipc"]): row for row in comparison.rows}
    methods = dict.fromkeys(row["method"] for row in comparison.rows)
    return {m: [found.get((m, ipc), found.get((m, None))) for ipc in sizes(comparison) or [None]] for m in methods}


def named(comparison: Comparison, method: str) -> str:
    """Names a row of a comparison; that of the whole training set says how long it was trained on."""
    epochs = comparison.result["evaluation"]["eval_epochs"]
    return f"{words.method(method)}, {epochs} epochs" if method == "whole" else words.method(method)


def overtaken(rows: list[dict]) -> list[str]:
    """Writes a sentence for every condensation method of a comparison that real images are above, at as many images per class."""
    sentences = []
    for row in rows:
        if row["method"] in CORESETS:
            continue
        rivals = [
            rival
            for rival in rows
            if rival["method"] in CORESETS and rival["ipc"] == row["ipc"] and rival["mean"] > row["mean"]
        ]
        above = [f"{words.method(rival['method'])} by {rival['mean'] - row['mean']:.1f}" for rival in rivals]
        if above:
            sentences.append(
                f"At {words.count(row['ipc'], 'image')} per class, real images are above {words.method(row['method'])}: "
                f"{', '.join(above)} points."
            )
    return sentences


def about(comparison: Comparison) -> str:
    """Writes what the numbers of a comparison are."""
    students = " or ".join(map(str, sorted({row["students"] for row in comparison.rows})))
    sets = sorted({len(row["set_means"]) for row in comparison.rows})
    several = " or ".join(words.count(number, "set") for number in sets)
    machine = words.machine(comparison.result)
    judged = comparison.result["evaluation"]
    augmented = "without augmentation" if judged["eval_augment"] == "none" else f"under {judged['eval_augment']}"
    text = (
        f"Test accuracy in percent, mean ± standard deviation over {students} students of {several}, each trained for "
    )
    text += f"{judged['eval_epochs']} epochs {augmented}"
    text = f"{text}; on {machine}." if machine else f"{text}."
    return " ".join([text, *filter(None, [comparison.result.get("note")])])


def compared_dataset(comparison: Comparison) -> str:
    """Names the dataset that the methods were compared on."""
    return words.dataset(comparison.result["dataset"])
