"""Holds every method of `--method`: one file for each paper, with its parts, its settings and its numbers.

A new paper is a file that describes it as a `Method`, and a line here.
"""

from experiments.methods.coresets import FORGETTING, HERDING, K_CENTER, KMEANS, RANDOM, WHOLE, WHOLE_NUMBERS
from experiments.methods.dc import DC
from experiments.methods.dm import DM
from experiments.methods.dsa import DSA
from experiments.methods.idc import IDC, IDC_I
from experiments.methods.method import Cell, Method, width
from experiments.methods.mtt import HABA, MTT, TESLA
from experiments.methods.unrolled import BPTT, DD, DD_KNOWN, LD, RTP

_LISTED = (
    DC,
    DSA,
    DM,
    IDC_I,
    IDC,
    DD,
    DD_KNOWN,
    LD,
    BPTT,
    RTP,
    MTT,
    TESLA,
    HABA,
    RANDOM,
    HERDING,
    K_CENTER,
    FORGETTING,
    KMEANS,
    WHOLE,
)
METHODS: dict[str, Method] = {method.name: method for method in _LISTED}
MATCHING_EXPERTS = (MTT.name, TESLA.name, HABA.name)
CORESETS = tuple(name for name, method in METHODS.items() if not method.condenses)


def preset(method: str, dataset: str, ipc: int, network: str) -> dict:
    """Gives the settings of a method that differ from the defaults; data sets without published ones get its usual ones."""
    return width(dataset, network) | METHODS[method].settings(dataset, ipc, network)


def paper_cell(method: str, dataset: str, ipc: int) -> dict[str, Cell]:
    """Gives the accuracies in percent that the paper reports for `condensed`, `random` and `whole`; some may be missing.

    Those of `random` and `whole` are from DC's table, measured by DC's evaluation.
    """
    condensed = METHODS[method].numbers.get(dataset, {}).get(ipc)
    if not condensed and method != "whole":
        return {}
    cell = {"condensed": condensed}
    if method in ("dc", *CORESETS):
        cell |= {"random": RANDOM.numbers.get(dataset, {}).get(ipc), "whole": WHOLE_NUMBERS.get(dataset)}
    return {name: value for name, value in cell.items() if value}


def table() -> str:
    """Writes the README's table of the methods that condense: what is learned, what is compared, where."""
    rows = [
        f"| **{m.title}** (`{m.name}`) | {m.learned} | {m.compared} | {m.where} | {m.source} |"
        for m in METHODS.values()
        if m.condenses
    ]
    head = "| method | what is learned | what is compared | where | source |"
    return "\n".join([head, "|---|---|---|---|---|", *rows, ""])
