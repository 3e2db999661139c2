"""Writes the names of classes in pictures: in a font that has their characters, in several lines."""

import functools
import textwrap

from matplotlib import font_manager, ft2font
from PIL import ImageFont

LETTER = 8.5  # pixels that a letter is wide, on average
LINES = 3  # of a name


def font() -> ImageFont.FreeTypeFont:
    """Gives matplotlib's own font."""
    return _charted()[0]


@functools.cache
def _charted():
    path = font_manager.findfont("DejaVu Sans")
    return ImageFont.truetype(path, 14), frozenset(ft2font.FT2Font(path).get_charmap())


def legible(number: int, name: str) -> str:
    """Gives the name of a class, or its number where the font lacks a character of it."""
    name = " ".join(name.split())
    return name if name and {*map(ord, name)} <= _charted()[1] else f"class {number}"


def wrapped(name: str, width: int) -> list[str]:
    """Breaks a name into lines of so many pixels, three at most."""
    lines = textwrap.wrap(name, max(int(width / LETTER), 4))
    return lines if len(lines) <= LINES else [*lines[: LINES - 1], f"{lines[LINES - 1][:-1]}…"]
