"""Makes names of folders of the names of classes."""

import itertools
import re
from collections.abc import Sequence


def folder_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """Gives a folder for every class: its name, changed only where a file system would refuse it or take two for one."""
    names = []
    for name in class_names:
        safe = re.sub(r'[<>:"/\\|?*\x00-\x1f\x7f]', "_", name)[:60].strip(" .") or "_"
        safe = re.sub(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)", r"_\1", safe)  # names of devices, on Windows
        taken = {other.casefold() for other in names}
        candidates = itertools.chain([safe], (f"{safe}_{i}" for i in itertools.count(2)))
        names.append(next(name for name in candidates if name.casefold() not in taken))
    return tuple(names)
