"""The picture of a set shows its pixels, large enough to look at, however many or large they are, and says what it leaves out."""

import jax
import numpy as np
import pytest
from helpers import small_data
from PIL import Image

import dcjax as dc
from experiments.pipeline import lettering, pictures

SIDE = 4
TILE = 100  # 25 times 4


def numbered(classes, count=1, side=SIDE, channels=1):
    """Images that are all of one shade, which is the number of their class."""
    shade = np.arange(classes, dtype=np.float32)[:, None, None, None, None] / classes
    return np.broadcast_to(shade, (classes, count, side, side, channels)), tuple(f"class {k}" for k in range(classes))


def shades(block):
    return (block.tiles[:, :, 0, 0, 0] / 255).round(2).tolist()


def test_at_one_image_of_each_all_classes_stand_side_by_side_and_else_each_has_a_row():
    one, several = (pictures.of_classes(*numbered(4, count)) for count in (1, 3))
    assert one.tiles.shape == (1, 4, TILE, TILE, 3)
    assert several.tiles.shape == (4, 3, TILE, TILE, 3)
    assert one.names == several.names == ("class 0", "class 1", "class 2", "class 3")
    assert shades(one) == [[0, 0.25, 0.5, 0.75]]
    assert shades(several)[2] == [0.5, 0.5, 0.5]
    assert one.notes == several.notes == ()


@pytest.mark.parametrize(("side", "expected"), [(8, 104), (28, 112), (32, 128), (99, 198), (100, 100), (224, 224)])
def test_every_pixel_is_a_square_and_no_image_smaller_than_a_hundred(side, expected):
    image = np.random.default_rng(0).uniform(-0.2, 1.2, (2, 1, side, side, 3)).astype(np.float32)
    tiles = pictures.of_classes(image, "ab").tiles
    assert tiles.shape[2:4] == (expected, expected)
    factor = expected // side
    np.testing.assert_array_equal(tiles[0, 1, ::factor, ::factor], np.round(255 * np.clip(image[1, 0], 0, 1)))
    np.testing.assert_array_equal(
        tiles[0, 1, factor - 1 :: factor, factor - 1 :: factor], tiles[0, 1, ::factor, ::factor]
    )


def test_of_many_classes_some_are_shown_beside_their_own_names():
    block = pictures.of_classes(*numbered(1000, 2))
    assert (len(block.names), block.notes) == (100, ("100 of 1000 classes",))
    assert (block.names[0], block.names[-1]) == ("class 0", "class 999")
    assert [f"class {round(1000 * shade)}" for shade in np.linspace(0, 999, 100).round() / 1000] == list(block.names)
    np.testing.assert_allclose(block.tiles[:, 0, 0, 0, 0], np.linspace(0, 999, 100).round() * 255 / 1000, atol=0.51)


def test_many_images_are_fewer_columns_and_then_fewer_classes():
    block = pictures.of_classes(*numbered(3, 50))
    assert (block.tiles.shape[:2], block.notes) == ((3, 20), ("the first 20 of 50 images of each",))
    block = pictures.of_classes(*numbered(200, 10, side=128))
    assert block.tiles.shape[:2] == (100, 10)
    block = pictures.of_classes(*numbered(200, 10, side=256))
    assert block.tiles.shape[:2] == (51, 5)
    assert block.notes == ("51 of 200 classes", "the first 5 of 10 images of each")


@pytest.mark.parametrize("shape", [(3100, 3100), (70000, 4)])
def test_images_of_any_size_are_drawn(shape, tmp_path):
    images = np.broadcast_to(np.float32(0.5), (2, 20, *shape, 1))
    pictures.image_grid(tmp_path / "x.png", images, ("a", "b"))
    drawn = Image.open(tmp_path / "x.png")
    assert max(drawn.size) < 12000
    (note,) = [note for note in pictures.of_classes(images[:, :1], ("a", "b")).notes if "along each side" in note]
    smaller = -(-shape[0] // 1024)
    assert note == f"one pixel of {smaller} along each side of images of {shape[0]}x{shape[1]}"


def test_a_name_that_the_font_cannot_write_gives_way_to_the_number():
    assert lettering.legible(3, "größe $x$ \n ёж") == "größe $x$ ёж"
    assert lettering.legible(3, "猫") == "class 3"
    assert lettering.legible(3, " ") == "class 3"


def test_a_long_name_takes_several_lines():
    assert lettering.wrapped("goldfish, Carassius auratus", 100) == ["goldfish,", "Carassius", "auratus"]
    assert lettering.wrapped("short", 100) == ["short"]
    lines = lettering.wrapped("x" * 100, 100)
    assert len(lines) == 3
    assert lines[-1].endswith("…")


def test_what_is_decoded_stands_below_what_is_stored(tmp_path):
    decoded, names = numbered(2, 4)
    stored = np.broadcast_to(np.float32([1, 0])[:, None, None, None, None], (2, 1, SIDE, SIDE, 1))
    pictures.image_grid(tmp_path / "alone.png", decoded, names)
    pictures.image_grid(tmp_path / "both.png", decoded, names, stored)
    alone, both = (np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int) for name in ("alone", "both"))
    above = both[: len(both) - len(alone) - pictures._LINE - pictures._GAP]
    np.testing.assert_array_equal(both[-len(alone) :, : alone.shape[1]], alone)
    tops = above[pictures._LINE + pictures._GAP + 50, [50, 50 + TILE + pictures._GAP], 0]
    assert tops.tolist() == [255, 0]


def learned(parameterization, data, key=0):
    real = data.sample(jax.random.key(1), 8)
    syn = parameterization.init(jax.random.key(key), real)
    return syn, np.asarray(data.train.denormalise(np.asarray(parameterization.decode(syn).image)))


def test_pixels_are_stored_as_they_are_shown_and_other_sets_are_not():
    data = small_data()

    def stored(parameterization):
        return pictures.what_is_stored(
            *learned(parameterization, data), lambda x: np.asarray(data.train.denormalise(x))
        )

    assert stored(dc.pixels(2, dc.from_real)) is None
    cut = stored(dc.multi_formation(2, 2, dc.from_mixed(2)))
    assert cut.shape == (3, 2, 8, 8, 1)
    assert -1e-6 < cut.min() < cut.max() < 1 + 1e-6, "pixels of real images"
    bases = stored(dc.addressable_memory(4, 8, 2))
    assert bases.shape == (1, 4, 4, 4, 1)
    np.testing.assert_allclose((bases.min((2, 3, 4)), bases.max((2, 3, 4))), ([[0] * 4], [[1] * 4]), atol=1e-6)
    assert stored(dc.hallucinated(2, 3)).shape == (3, 2, 8, 8, 1)
    block = pictures.shared(bases, ())
    assert (block.tiles.shape, block.names) == ((1, 4, TILE, TILE, 3), ())


def test_a_parameterization_of_other_arrays_has_no_picture_of_them():
    assert pictures.what_is_stored({"code": np.zeros(3)}, np.zeros((2, 1, 4, 4, 1)), lambda x: x) is None
