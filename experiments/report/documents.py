"""Writes the two Markdown documents: a table of results for each data set, and all that was measured with commands and machines."""

import itertools

from experiments.methods import CORESETS
from experiments.report import cells, markdown, merged, others, tables, times, words
from experiments.report.cells import Figure
from experiments.report.records import DATASETS, Comparison, Found

_READING = (
    "Test accuracy in percent, mean ± standard deviation over students; a figure without one is of a single student. Beside ours stands the "
    "paper's figure, where it has one for the same setting, and that of as many random real images under the same evaluation. A run that made "
    "fewer iterations than the paper's says how many."
)

_MACHINES = (
    "Hardware is named as JAX's devices and, in brackets, all cores of the machine: `1 x cpu (2 x ...)` is one core of two, but both of them "
    "where dcjax 0.1.0 is named beside it."
)


def readme(found: Found, details: str | None = None) -> str:
    """Writes a table for each data set: methods at their own settings x images per class, without what `times` shows.

    Args:
        found: what was measured.
        details: address of the other document, for a link to it.
    """
    own = merged.settings(each for each in _all(found) if each.method and each.is_own)
    figures = [each for group in own.values() if not _is_beside_nothing(group) for each in group]
    parts = [f"{_READING}\n"]
    for dataset, group in itertools.groupby(sorted(figures, key=_by_dataset), key=lambda each: each.setting.dataset):
        parts.append(f"**{markdown.escape(words.dataset(dataset))}**\n\n{_of_dataset(merged.table(group))}")
    if details:
        parts.append(
            f"What replacing parts and varying settings came to, and the command and the machine behind every figure: [{details}]({details}).\n"
        )
    return "\n".join(parts)


def details(found: Found) -> str:
    """Writes everything that was measured, each figure with its command and its machine."""
    sections = {
        "Runs": [markdown.results(found.runs)] if found.runs else [],
        "Sets on other networks": [
            others.tested(run) for run in found.runs if run.evaluation and run.evaluation["rows"]
        ],
        "Comparisons": comparisons(found.comparisons),
        "Accuracy after some minutes": [times.tabulated(found.comparisons)]
        if any(map(times.is_timed, found.comparisons))
        else [],
        "Continual learning": [others.continual(*each) for each in found.continual],
        "Architecture search": [others.search(*each) for each in found.searches],
    }
    parts = [f"## {title}\n\n" + "\n".join(texts) for title, texts in sections.items() if texts]
    return "\n".join(["# What was measured\n", f"Written by `experiments.report`. {_READING} {_MACHINES}\n", *parts])


def comparisons(found: list[Comparison]) -> list[str]:
    """Writes a table for each setting, with all comparisons of it."""
    return [_comparison(*each) for each in grouped(found)]


def grouped(found: list[Comparison]) -> list[tuple[cells.Setting, list[Figure], list[Comparison]]]:
    """Groups comparisons of the same data, network and evaluation, with their figures."""
    groups: dict[cells.Setting, tuple[list[Figure], list[Comparison]]] = {}
    for each in found:
        for setting, figures in merged.settings(cells.of_comparison(each)).items():
            group = groups.setdefault(setting, ([], []))
            group[0].extend(figures)
            group[1].append(each)
    return [(setting, *group) for setting, group in sorted(groups.items(), key=lambda item: _order(item[0].dataset))]


def _comparison(setting, figures, found):
    table = merged.table(figures)
    listed = merged.columns(table)
    rows = [[markdown.escape(line.label), *(texts[i] for _, texts in listed)] for i, line in enumerate(table.lines)]
    title = ", ".join([words.dataset(setting.dataset), setting.network, setting.evaluation])
    sources = "".join(f"- {markdown.code(each.command)}: {markdown.escape(tables.about(each))}\n" for each in found)
    verdicts = "".join(
        f"\n{markdown.escape(sentence)}\n"
        for each in found
        for sentence in tables.overtaken(cells.rows_of(setting, each))
    )
    return f"### {markdown.escape(title)}\n\n{markdown.table(['method', *(name for name, _ in listed)], rows)}{verdicts}\n{sources}"


def _of_dataset(table):
    """Writes the table of one data set."""
    listed = merged.columns(table)
    heading = ["method", "network", "training of students", *(name for name, _ in listed)]
    rows = []
    for i, line in enumerate(table.lines):
        own = [markdown.escape(text) for text in (line.label, line.setting.network, line.setting.evaluation)]
        rows.append([*own, *(texts[i] for _, texts in listed)])
    return markdown.table(heading, rows)


def _is_beside_nothing(figures):
    """Tells whether there are random images alone, with no figure of a paper."""
    return all(each.method == "random" and not each.paper for each in figures)


def _all(found):
    """Yields all figures but those that `times` shows: of sets that were evaluated after some minutes, and of what stands beside them."""
    yield from map(cells.of_run, found.runs)
    for each in found.comparisons:
        timed = times.is_timed(each)
        for row, figure in zip(each.rows, cells.of_comparison(each)):
            if not (timed and (row.get("by_minutes") or (row["method"] in CORESETS and row["method"] != "whole"))):
                yield figure


def _by_dataset(figure):
    return _order(figure.setting.dataset)


def _order(dataset):
    return DATASETS.index(dataset) if dataset in DATASETS else len(DATASETS), dataset
