"""Saves and loads settings as one flat JSON object, whatever parts they are of."""

from pathlib import Path
from typing import Any

from dcjax import InputError, files
from experiments.parts import AXES
from experiments.parts.part import known_settings
from experiments.parts.values import Mark, flag
from experiments.settings.settings import Settings, marked, paper_values, resolve

_BEFORE = {
    "statistics": "own"
}  # what all runs had before there was the setting, which some methods now give another value


def dump(settings: Settings) -> dict[str, Any]:
    """Gives the settings to save: all but how the run was launched."""
    launch = marked(settings, Mark.LAUNCH)
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in settings.values().items()
        if name not in launch
    }


def load(path: Path) -> Settings:
    """Reads saved settings, also those of an older version: a setting that they lack is the method's own."""
    advice = remedy(path.parent, "start the run again in another --workdir")
    return restored(files.read_json(path, advice), path, advice)


def restored(fields: dict[str, Any], path: Path, advice: str) -> Settings:
    """Makes settings of what `dump` gave, which was read from `path`; `advice` says what to do if they cannot be used."""
    unknown = [name for name in fields if name not in known_settings() | set(AXES)]
    if unknown:
        raise InputError(
            f"{path} has settings that this version does not know ({files.first_line(', '.join(unknown))}): resume the run with the version that made it, "
            f"or {advice}."
        )
    try:
        return _completed({name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"there is no {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise InputError(f"{path} cannot be used ({files.first_line(reason, 300)}): {advice}.") from None


def remedy(run: Path, otherwise: str) -> str:
    """Says how to get back the `config.json` of a run: from its newest checkpoint, which holds it too; or else says `otherwise`."""
    kept = [path for path in run.glob("checkpoints/*/config/metadata") if path.parts[-3].isdigit()]
    if not kept:
        return otherwise
    newest = max(kept, key=lambda path: int(path.parts[-3]))
    return f"copy {newest} to {run / 'config.json'}"


def _completed(fields):
    lacking = [name for name in ("method", "dataset", "ipc") if name not in fields]
    if lacking:
        raise ValueError(f"it lacks {', '.join(lacking)}, which every run has")
    if "statistics" not in fields and fields.get("image_space") == "pixel" and fields.get("start") == "noise":
        fields = {**fields, "start": "uniform"}  # which the word meant before the program of IDC gave it its own
    network = {name: fields[name] for name in ("network",) if name in fields}
    return resolve({**paper_values(fields["method"], fields["dataset"], fields["ipc"], network), **_BEFORE, **fields})


def check_method(saved: Settings, method: str) -> None:
    """Refuses to resume a run with another method, whose settings have other names."""
    if method != saved.method:
        raise InputError(
            f"This run was started with other settings (--method was {saved.method}, is {method}): resume it with its own."
        )


def check_resumable(settings: Settings, saved: Settings) -> None:
    """Refuses to resume a run with other settings than it was started with."""
    ours, theirs = settings.values(), saved.values()
    free = marked(settings, Mark.FREE) | marked(saved, Mark.FREE)
    different = [
        f"{flag(name)} was {theirs.get(name, 'not there')}, is {ours.get(name, 'not there')}"
        for name in {**theirs, **ours}
        if name not in free and theirs.get(name) != ours.get(name)
    ]
    if different:
        raise InputError(f"This run was started with other settings ({'; '.join(different)}): resume it with its own.")
