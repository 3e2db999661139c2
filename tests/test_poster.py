"""A poster shows all training images, each as the mean of its pixels, and the condensed ones below them."""

import numpy as np
import pytest
from PIL import Image

import dcjax as dc
from experiments import export
from experiments.pipeline import poster


def test_a_smaller_image_is_the_mean_over_what_its_pixels_cover():
    image = np.arange(6 * 9, dtype=np.uint8).reshape(1, 6, 9, 1)
    small = poster._shrunk(image, (3, 3))
    np.testing.assert_allclose(small[0, :, :, 0], image.reshape(3, 2, 3, 3).mean((1, 3)), atol=0.51)  # rounded
    np.testing.assert_allclose(poster._coverage(28, 3).sum(1), 1, rtol=1e-6)
    np.testing.assert_array_equal(poster._shrunk(np.full((2, 2, 2, 3), 7, np.uint8), (5, 4)), 7)


@pytest.mark.parametrize(("count", "channels", "condensed"), [(3, 1, 2), (5000, 3, 25), (60_000, 1, 10)])
def test_every_training_image_has_its_place(count, channels, condensed, tmp_path):
    values = (np.arange(count) % 200 + 1).astype(np.uint8)
    training = np.broadcast_to(values[:, None, None, None], (count, 4, 6, channels))
    poster.poster(tmp_path / "p.png", training, np.zeros((condensed, 4, 6, channels)), ("all", "few"))
    shown = np.asarray(Image.open(tmp_path / "p.png").convert("L"))
    assert shown.shape[1] == poster.WIDTH
    width = max(round((poster._SHARE * poster.WIDTH**2 / count) ** 0.5), 1)
    columns, height = poster.WIDTH // width, max(round(width * 4 / 6), 1)
    for i in (0, count // 2, count - 1):
        row, column = divmod(i, columns)
        assert shown[poster._LINE + row * height, column * width] == values[i]


def test_other_channels_are_refused(tmp_path):
    images = np.zeros((2, 4, 4, 2), np.uint8)
    with pytest.raises(dc.InputError, match="but these have 2 channels"):
        poster.poster(tmp_path / "p.png", images, images / 255, ("all", "few"))


def test_a_caption_says_how_an_accuracy_came_about():
    assert poster.caption(60_000, "images", None) == "60 000 images"
    score = {"mean": 99.04, "std": 0.1, "students": 3, "epochs": 30}
    assert poster.caption(7, "images", score).endswith("reach 99.0 ± 0.1 % after 30 epochs on the test images")


def test_a_set_that_comes_with_dcjax_has_a_poster(tmp_path, capsys):
    export.run(["dc-digits-1", "--format", "poster", "--workdir", str(tmp_path)])
    with Image.open(tmp_path / "dc-digits-1-poster.png") as image:
        assert image.width == poster.WIDTH
    assert "The poster is" in capsys.readouterr().out
