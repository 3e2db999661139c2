"""Writes the names of classes in pictures: in a font that has their characters, in several lines."""

import functools
import textwrap

from matplotlib import font_manager, ft2font
from PIL import ImageFont

LETTER = 8.5  # pixels that a letter is wide, on average
LINES = 3  # of a name


@functools.cache
def font(size: int = 14) -> ImageFont.FreeTypeFont:
    """Gives matplotlib's own font, so many pixels high."""
    return ImageFont.truetype(_path(), size)


@functools.cache
def _charted():
    return frozenset(ft2font.FT2Font(_path()).get_charmap())


def _path():
    return font_manager.findfont("DejaVu Sans")


def legible(number: int, name: str) -> str:
    """Gives the name of a class, or its number where the font lacks a character of it."""
    name = " ".join(name.split())
    return name if name and {*map(ord, name)} <= _charted() else f"class {number}"


def wrapped(name: str, width: int) -> list[str]:
    """Breaks a name into lines of so many pixels, three at most."""
    lines = textwrap.wrap(name, max(int(width / LETTER), 4))
    return lines if len(lines) <= LINES else [*lines[: LINES - 1], f"{lines[LINES - 1][:-1]}…"]
