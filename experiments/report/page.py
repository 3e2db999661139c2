"""Writes one page of HTML that needs nothing outside itself: pictures are data URIs, charts are inline SVG."""

from typing import NamedTuple

import jinja2

from experiments.methods import CORESETS
from experiments.report import charts, documents, heat, merged, pictures, tables, times, words
from experiments.report.cells import Figure, Setting, rows_of
from experiments.report.records import Comparison, Found, Run

_CLASSES_SHOWN = 20  # the others are folded away
_PAGE = jinja2.Environment(
    loader=jinja2.PackageLoader("experiments.report", "."),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


class Fact(NamedTuple):
    """A figure of a run, with a note beside it."""

    name: str
    text: str
    note: str
    is_failure: bool


def html(found: Found) -> str:
    """Writes the page of runs and comparisons; everything that comes from files is escaped."""
    runs = found.runs
    gaps = [gap for gap in map(tables.difference, runs) if gap is not None]
    sections = [section(run) for run in runs]
    rows = [tables.row(run) for run in runs]
    below = ("command", "machine")  # shown with every run instead
    names = [name for name in tables.HEADINGS if name not in below and any(getattr(row, name) for row in rows)]
    return _PAGE.get_template("report.html.j2").render(
        headings={name: tables.HEADINGS[name] for name in names},
        rows=rows,
        sections=sections,
        missed=sum(gap < 0 for gap in gaps),
        reached=sum(gap >= 0 for gap in gaps),
        comparisons=[compared(*each) for each in documents.grouped(found.comparisons)],
        timed=times.tables(found.comparisons),
        across=heat.across(runs),
        charts=charts,
        classes_shown=_CLASSES_SHOWN,
        count=words.count,
    )


def section(run: Run) -> dict:
    """Collects what the template shows of one run."""
    config, result = run.config, run.result
    kind = "chosen" if config["method"] in CORESETS else "condensed"
    images = pictures.by_class(run.condensed, kind) if run.condensed else []
    fallback = run.picture and not images
    of_each = run.condensed.batch.image.shape[1] if images else 0
    heats = heat.networks(run.evaluation) if run.evaluation and run.evaluation["rows"] else None
    environment = {"hardware": result.get("hardware"), "Python": result.get("python"), **result.get("versions", {})}
    return {
        "name": run.path.resolve().name,
        "title": title(run),
        "facts": facts(run),
        "kind": kind,
        "pictures": images,
        "note": f"The first {pictures.SHOWN} of {of_each} images of every class." if of_each > pictures.SHOWN else "",
        "grid": pictures.whole(run.picture, f"The {kind} images, a row for every class") if fallback else None,
        "charts": list(filter(None, (charts.loss(run), charts.accuracy(run)))),
        "heat": heats,
        "left_out": heats.left_out if heats else [],
        "tested": list(dict.fromkeys(row["command"] for row in run.evaluation["rows"])) if run.evaluation else [],
        "command": result["command"],
        "settings": {name: _plain(value) for name, value in config.items()},
        "environment": {name: value for name, value in environment.items() if value},
    }


def title(run: Run) -> str:
    data, method = words.dataset(run.config["dataset"]), words.method(run.config["method"])
    if run.config["method"] == "whole":
        return f"The whole training set of {data}"
    return f"{method} on {data}, {words.count(run.config['ipc'], 'image')} per class"


def facts(run: Run) -> list[Fact]:
    """Lists the figures above a run's pictures, without those that are not known."""
    row = tables.row(run)
    names = ("condensed", "paper", "difference", "random", "whole", "students", "network")
    found = [Fact(name, getattr(row, name), row.notes.get(name, ""), name in row.failures) for name in names]
    stored = run.condensed.meta.get("bytes", {}).get("compact") if run.condensed else None
    memory = run.result.get("peak_memory_gib")
    verdict = run.result.get("against_random", {}).get("sentence", "")
    others = {
        "beyond noise": verdict,
        "state": run.state,
        "seed": str(run.config.get("seed", "")),
        "stored": words.size(stored) if stored else "",
        "time": tables.time(run),
        "peak memory": f"{memory:.2f} GiB" if memory else "",
    }
    found += [Fact(name, text, "", name == "state") for name, text in others.items()]
    return [fact for fact in found if fact.text]


def compared(setting: Setting, figures: list[Figure], comparisons: list[Comparison]) -> dict:
    """Collects what the template shows of comparisons in one setting; the best set of every size is marked."""
    table = merged.table(figures)
    columns, highest = merged.columns(table, ""), merged.best(table)
    is_best = [{i for i, line in enumerate(table.lines) if line.means[k] == highest[k]} for k in range(len(highest))]
    marked = {heading: best for heading, best in zip([f"{ipc} per class" for ipc in table.sizes], is_best)}
    return {
        "title": ", ".join(
            [f"Methods compared on {words.dataset(setting.dataset)}", setting.network, setting.evaluation]
        ),
        "columns": [
            heading.replace(" per", " image per" if heading == "1 per class" else " images per")
            for heading, _ in columns
        ],
        "rows": [
            (
                line.label,
                {"whole": "all real images"}.get(
                    line.method, "real images" if line.method in CORESETS else "condensed"
                ),
                [(texts[i], i in marked.get(heading, ())) for heading, texts in columns],
            )
            for i, line in enumerate(table.lines)
        ],
        "overtaken": [sentence for each in comparisons for sentence in tables.overtaken(rows_of(setting, each))],
        "sources": [(each.command, tables.about(each)) for each in comparisons],
        "pictures": [
            pictures.whole(png, f"The images of {name}", name) for each in comparisons for name, png in each.pictures()
        ],
    }


def _plain(value):
    if value is None:
        return "not set"
    return " ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
