"""The picture of a set stays of a size that can be drawn and looked at, however many classes there are."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from experiments.pipeline import figures


@pytest.fixture(name="drawn")
def _drawn(monkeypatch):
    """The arrays and the labels that a grid was made of."""
    seen = {}

    def save(figure, path, dpi):
        (axes,) = figure.axes
        (image,) = axes.images
        names = [label.get_text() for label in axes.get_yticklabels()]
        seen.update(grid=np.asarray(image.get_array()), names=names, below=axes.get_xlabel(), dpi=dpi)
        plt.close(figure)

    monkeypatch.setattr(figures, "_save", save)
    return seen


def numbered(classes, count=1, side=4):
    """Images that are all of one shade, which is the number of their class."""
    shade = np.arange(classes, dtype=np.float32)[:, None, None, None, None] / classes
    return np.broadcast_to(shade, (classes, count, side, side, 1)), tuple(f"class {k}" for k in range(classes))


def test_few_classes_are_all_shown(drawn):
    figures.image_grid(None, *numbered(100, count=3))
    assert drawn["grid"].shape == (100 * 6, 3 * 6)
    assert drawn["names"] == [f"class {k}" for k in range(100)]
    assert drawn["below"] == ""


def test_of_many_classes_some_are_shown_beside_their_own_names(drawn):
    images, names = numbered(1000)
    figures.image_grid(None, images, names)
    assert (len(drawn["names"]), drawn["below"]) == (100, "100 of 1000 classes")
    assert (drawn["names"][0], drawn["names"][-1]) == ("class 0", "class 999")
    shades = drawn["grid"][3::6, 3]
    assert [f"class {round(1000 * shade)}" for shade in shades] == drawn["names"]


def test_large_images_are_fewer_and_keep_their_pixels(drawn):
    images, names = numbered(200, count=10, side=128)
    figures.image_grid(None, images, names)
    assert len(drawn["names"]) == 51
    assert 0.55 * drawn["dpi"] >= 130  # pixels of the file for each image and its frame


def test_a_grid_is_written(tmp_path):
    figures.image_grid(tmp_path / "x.png", *numbered(3))
    assert Image.open(tmp_path / "x.png").size[1] > 3 * 80
