"""States accuracies as the files of published programs do: shares of test images, by the name of a network such as ConvNet."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import dcjax as dc
from experiments.parts.networks import NETWORKS
from experiments.parts.part import Part
from experiments.settings.networks import specified


def stated(condensed: dc.Condensed, network: Part) -> list[float]:
    """Gives the accuracies that the file of a set states for a network; none where it names no such network."""
    found = condensed.meta.get("accuracies", {}).items()
    return next((values for name, values in found if _named(name) == network), [])


def _named(name):
    try:
        return specified(name.lower())
    except dc.InputError:  # others have networks that are not among ours
        return None


def to_state(sets: Sequence[dc.Condensed]) -> dict[str, list[float]]:
    """Gives the accuracies of runs as one file states them, those of the first set before those of the next.

    There are none where sets have different networks or numbers of students, for a reader could not tell whose they are.
    """
    names = {_name(each.meta.get("recipe", {}).get("network", {})) for each in sets}
    values = [each.meta.get("accuracy", {}).get("condensed", {}).get("values", []) for each in sets]
    if len(names) > 1 or names == {None} or len({len(each) for each in values}) > 1 or not values[0]:
        return {}
    return {names.pop(): [value / 100 for each in values for value in each]}


def _name(network: dict[str, Any]) -> str | None:
    """Names a network as published programs do, or with its settings where these are not the published ones."""
    part = NETWORKS.members.get(network.get("network"))
    if part is None:
        return None
    usual = {field.name: field.default for field in dataclasses.fields(part)}
    odd = [f"{name}={value}" for name, value in network.items() if name in usual and value != usual[name]]
    return f"{network['network']}:{','.join(odd)}" if odd else part.__name__
