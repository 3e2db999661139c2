"""Finds the owner of a flag, so that the message about a flag of a part that is not chosen says whose it is."""

import dataclasses
from typing import Any

from experiments.methods import METHODS
from experiments.parts import AXES
from experiments.parts.values import flag
from experiments.settings.common import GROUPS
from experiments.settings.flags import flag_types, known_flags
from experiments.settings.settings import Settings


def explain(name: str, settings: Settings) -> str | None:
    """Says which choice brings the flag `name`, which `settings` do not have; gives None if no choice does."""
    setting = name.removeprefix("--").replace("-", "_")
    setting = setting if _owner(setting) else setting.removeprefix("no_")
    owner = _owner(setting)
    if owner is None:
        return None
    if owner in settings.names and setting != owner:
        members = [member for member, part in AXES[owner].members.items() if setting in _names(part)]
        choices, chosen = f"{flag(owner)} {', '.join(members)}", settings.names[owner]
    else:
        choices, chosen = f"--method {', '.join(_methods(owner))}", settings.method
    return f"{name} belongs to {choices}: choose one of them, or leave it out with {chosen}."


def all_flags() -> set[str]:
    """Gives the flags of all parts and groups, whether they are chosen or not."""
    parts = [*GROUPS.values(), *(part for axis in AXES.values() for part in axis.members.values())]
    return {*map(flag, AXES)}.union(*map(known_flags, parts))


def all_types() -> dict[str, Any]:
    """Gives the type of the value of every flag of all parts and groups; members of one axis that share a flag share its type."""
    parts = [*GROUPS.values(), *(part for axis in AXES.values() for part in axis.members.values())]
    names = {flag(name): str for name in AXES}
    return names | {name: of for part in parts for name, of in flag_types(part).items()}


def not_chosen(settings: Settings) -> list[str]:
    """Lists the flags of the parts that are not chosen, a line for each part that has some of its own."""
    lines = []
    for axis, chosen in settings.names.items():
        here = _names(AXES[axis].members[chosen])
        for member, part in AXES[axis].members.items():
            others = [flag(name) for name in _names(part) if name not in here]
            lines += [f"{flag(axis)} {member}: {' '.join(others)}"] if others else []
    kind = settings.about.kind
    absent = [name for name in (*AXES, *GROUPS) if name not in ("run", "launch", *kind.axes, *kind.groups)]
    return lines + [f"--method {', '.join(_methods(name))}: {' '.join(map(flag, _settings(name)))}" for name in absent]


def _methods(owner):
    return [m.name for m in METHODS.values() if owner in (*m.kind.axes, *m.kind.groups)]


def _settings(owner):
    """Names the settings of a group, or of all members of an axis."""
    if owner in GROUPS:
        return _names(GROUPS[owner])
    return [owner, *dict.fromkeys(name for part in AXES[owner].members.values() for name in _names(part))]


def _owner(setting):
    for axis in AXES.values():
        if setting == axis.name or any(setting in _names(part) for part in axis.members.values()):
            return axis.name
    return next((name for name, group in GROUPS.items() if setting in _names(group)), None)


def _names(part):
    return [field.name for field in dataclasses.fields(part)]
