"""Tabulates in Markdown what continual learning, architecture searches and tests on other networks came to."""

from pathlib import Path

from experiments.report import heat, markdown, words
from experiments.report.records import Run


def continual(path: Path, result: dict) -> str:
    """Writes the accuracies after every step, from `continual.json`."""
    names = result["data"]
    steps = len(result["rows"][0]["accuracy"])
    labels = [f"step {t + 1} of {steps}" for t in range(steps)]
    if len(names) > 1:
        labels = [f"{'+ ' if t else ''}{words.dataset(name)}" for t, name in enumerate(names)]
    heading = ["memory", "training", *labels, "forgetting", "bytes at the end"]
    lines = [
        [
            markdown.escape(words.method(row["method"])),
            markdown.escape(row["training"]),
            *(words.accuracy({**score, "students": row["orders"]}) for score in (*row["accuracy"], row["forgetting"])),
            words.size(row["bytes"][-1]),
        ]
        for row in result["rows"]
    ]
    orders = words.count(result["rows"][0]["orders"], "order")
    title = f"### {markdown.escape(path.name)}\n\nTest accuracy (%) after every step, mean and deviation over {orders}"
    return f"{title}; {source(result)}\n\n{markdown.table(heading, lines)}"


def search(path: Path, result: dict) -> str:
    """Writes how far each proxy ranks networks as the whole training set does, from `architectures.json`."""
    heading = ["trained on", "correlation, best ten", "correlation, all", "chosen", "accuracy (%)", "minutes", "images"]
    lines = [
        [
            markdown.escape(row["proxy"]),
            _correlation(row.get("top")),
            _correlation(row.get("all")),
            markdown.escape(row.get("chosen", "").removeprefix("convnet:")),
            "" if row.get("chosen_accuracy") is None else f"{row['chosen_accuracy']:.1f}",
            f"{row.get('seconds', 0) / 60:.1f}",
            str(row.get("images", "")),
        ]
        for row in result["rows"]
    ]
    done = min((row.get("candidates", 0) for row in result["rows"]), default=0)
    state = "" if result.get("complete", True) else f" (not complete: {done} of them so far)"
    tried = f"{words.count(result['asked_for'], 'network')} on {words.dataset(result['dataset'])}{state}"
    title = f"### {markdown.escape(path.name)}\n\n{markdown.escape(tried)}; {source(result)} {result.get('note', '')}".rstrip()
    return f"{title}\n\n{markdown.table(heading, lines)}"


def _correlation(found):
    return "{value:.2f} ({low:.2f} to {high:.2f})".format(**found) if found else ""


def tested(run: Run) -> str:
    """Writes what one set came to on other networks and under other recipes, from its `evaluation.json`."""
    found = heat.networks(run.evaluation)
    rows = [
        [markdown.escape(network), markdown.escape(recipe), *(cell.text for cell in cells)]
        for network, recipe, cells in found.rows
    ]
    commands = dict.fromkeys(row["command"] for row in run.evaluation["rows"])
    by = "".join(f"- {markdown.code(command)}\n" for command in commands)
    reasons = "".join(f"\n{markdown.escape(sentence)}\n" for sentence in found.left_out)
    machine = words.machine(run.evaluation)
    made = f"Measured{f' on {markdown.escape(machine)}' if machine else ''} by\n\n{by}"
    table = markdown.table(["network", "recipe", *found.columns], rows)
    return f"### {markdown.escape(run.path.name)} on other networks\n\n{made}\n{table}{reasons}"


def source(result: dict) -> str:
    """Writes the command behind a result, and the machine."""
    machine = words.machine(result)
    time = words.duration(result["seconds"]) if "seconds" in result else ""
    return (
        ", ".join(filter(None, [markdown.code(result["command"]), machine and markdown.escape(f"on {machine}"), time]))
        + "."
    )
