"""Holds all settings of a run: some groups, and one part for each axis that the method's parts are chosen along."""

import dataclasses
from typing import Any

from dcjax import InputError
from experiments.methods import METHODS, Method, paper_cell, preset
from experiments.parts import AXES
from experiments.parts.values import Mark, check_ranges, flag, marks
from experiments.settings.common import GROUPS


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of one run. Each can be read by its own name: `settings.width`, `settings.trajectory`.

    Attributes:
        names: axis -> the member that was chosen.
        parts: group or axis -> the dataclass with its settings, in the order of `--help`.
    """

    names: dict[str, str]
    parts: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        values = {} if name.startswith("__") else self.values()
        if name not in values:
            raise AttributeError(f"These settings have no {name!r}.")
        return values[name]

    def values(self) -> dict[str, Any]:
        """Gives every setting by its name, those of the run as a whole first."""
        first, *others = self.parts.values()
        return vars(first) | self.names | {name: value for part in others for name, value in vars(part).items()}

    def replace(self, **changes: Any) -> "Settings":
        """Gives checked settings with some changes, which may choose other parts."""
        return resolve({**self.values(), **changes})

    @property
    def about(self) -> Method:
        """Gives the description of the method."""
        return METHODS[self.method]


def resolve(values: dict[str, Any]) -> Settings:
    """Builds the parts that values by name choose, and checks them; a setting without a value has its default.

    Values of parts that are not chosen are ignored.
    """
    settings = unchecked(values)
    for part in settings.parts.values():
        check_ranges(part)
    for part in settings.parts.values():
        part.check(settings)
    _check_use(settings)
    return settings


def unchecked(values: dict[str, Any]) -> Settings:
    """Builds settings as `resolve` does but without checks, for flags that are still to override some."""
    kind = METHODS[values["method"]].kind
    names = {axis: values[axis] for axis in kind.axes}
    kinds = {"run": GROUPS["run"], **{group: GROUPS[group] for group in kind.groups}}
    kinds |= {axis: AXES[axis].members[name] for axis, name in names.items()} | {"launch": GROUPS["launch"]}
    return Settings(names, {name: _filled(part, values) for name, part in kinds.items()})


def _filled(part, values):
    return part(**{field.name: values[field.name] for field in dataclasses.fields(part) if field.name in values})


def defaults(method: str, dataset: str, ipc: int, **names: str) -> Settings:
    """Gives the settings of a run without further flags: the paper's, if it has some.

    Args:
        method: name of the method, in `METHODS`.
        dataset: the data set's name.
        ipc: images per class.
        names: axis -> member that takes the place of the method's own.
    """
    return resolve(paper_values(method, dataset, ipc, names))


def paper_settings(method: str, dataset: str, ipc: int, names: dict[str, str]) -> Settings:
    """Gives `defaults` without checks: flags may still change what does not fit together."""
    return unchecked(paper_values(method, dataset, ipc, names))


_USUAL = {  # parts of a method whose own settings name no others
    "network": "convnet",
    "parameterization": "pixels",
    "objective": "gradient_matching",
    "trajectory": "on_synthetic",
    "eval_recipe": "dc",
}


def paper_values(method: str, dataset: str, ipc: int, names: dict[str, str]) -> dict[str, Any]:
    """Gives a method's own values by name, also those of parts that are not chosen; the others are defaults."""
    own = preset(method, dataset, ipc, names.get("network", _USUAL["network"]))
    return {**_USUAL, **own, "method": method, "dataset": dataset, "ipc": ipc, **names}


def _check_use(settings):
    """Refuses a setting that would change nothing."""
    own = paper_values(settings.method, settings.dataset, settings.ipc, {"network": settings.network})
    values = settings.values()
    for part in settings.parts.values():
        unchanged = {field.name: field.default for field in dataclasses.fields(part)}
        for name, reason in part.idle(settings).items():
            default = unchanged.get(name, _USUAL.get(name))
            if values[name] not in (default, own.get(name, default)):
                raise InputError(f"{flag(name)} changes nothing with {reason}: leave it out.")


def marked(settings: Settings, mark: Mark) -> set[str]:
    """Names the settings that have a mark; the recipe of the students is as free as its own settings."""
    found = {name for part in settings.parts.values() for name, beside in marks(type(part)) if mark in beside}
    return found | ({"eval_recipe"} if mark is Mark.FREE else set())


def published(settings: Settings) -> dict[str, tuple[float, float | None]]:
    """Gives the paper's accuracies for a run; none if it departs from the paper's settings.

    That of the whole training set is for as many epochs as the paper trains for, which are more than the usual ones of `--method whole`.
    """
    paper = defaults(settings.method, settings.dataset, settings.ipc).values()
    if settings.about.takes_all:
        paper["eval_epochs"] = whole_epochs(settings.dataset)
    aside = marked(settings, Mark.ASIDE)
    ours = {name: value for name, value in settings.values().items() if name not in aside}
    if ours != {name: value for name, value in paper.items() if name not in aside}:
        return {}
    return paper_cell(settings.method, settings.dataset, settings.ipc)


def whole_epochs(dataset: str) -> int:
    """Gives the epochs for which the papers train on the whole training set, by DC's evaluation."""
    return defaults("random", dataset, 1).eval_epochs
