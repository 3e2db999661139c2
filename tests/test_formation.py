"""Multi-formation: many images from the bytes of one."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import golden, small_data

import dcjax as dc

DATA = small_data()
REAL = DATA.sample(jax.random.key(0), 10)


def decoded(parameterization, image):
    return parameterization.decode({"image": jnp.asarray(image)}).image


@pytest.mark.parametrize(("factor", "size"), [(2, 32), (3, 32), (2, 28)])
def test_decoding_is_the_published_one(factor, size):
    published = golden("idc_multiformation")
    images = published[f"images_f{factor}_{size}"]
    ours = decoded(dc.multi_formation(len(images), factor), images[None])
    chex.assert_trees_all_close(ours[0], published[f"decoded_f{factor}_{size}"], atol=1e-5)


def test_factor_one_is_pixels():
    formed, plain = dc.multi_formation(2, 1), dc.pixels(2, dc.from_real)
    key = jax.random.key(1)
    chex.assert_trees_all_equal(formed.init(key, REAL), plain.init(key, REAL))
    chex.assert_trees_all_equal(formed.decode(formed.init(key, REAL)), plain.decode(plain.init(key, REAL)))


def test_every_class_keeps_its_images_and_its_label():
    image = np.arange(3, dtype=np.float32)[:, None, None, None, None] * np.ones((3, 2, 8, 8, 1), np.float32)
    batch = dc.multi_formation(2, 2).decode({"image": jnp.asarray(image)})
    assert batch.image.shape == (3, 8, 8, 8, 1)
    for k in range(3):
        assert (batch.image[k] == k).all()
        assert (batch.label[k].argmax(-1) == k).all()


@pytest.mark.parametrize("size", [(8, 8), (12, 8)])
def test_cells_begin_as_real_images_made_smaller(size):
    image = jax.random.uniform(jax.random.key(0), (2, 9, *size, 1))
    start = dc.from_mixed(2)(jax.random.key(1), dc.Batch(image, None), 2)
    assert start.shape == (2, 2, *size, 1)
    half = (size[0] // 2, size[1] // 2)
    for cell, (top, left) in enumerate([(0, 0), (0, half[1]), (half[0], 0), half]):
        for i in range(2):  # the cell is the outer index, so that decoding gives the real images in their order
            small = image[:, 2 * cell + i, ::2, ::2]
            chex.assert_trees_all_equal(start[:, i, top : top + half[0], left : left + half[1]], small)


def test_a_factor_that_does_not_divide_is_filled_up_with_grey():
    image = jnp.zeros((1, 1, 8, 8, 1))
    cells = decoded(dc.multi_formation(1, 3), image)
    assert (cells[0, 0] == 0).all()
    assert cells[0, -1].max() == pytest.approx(0.5)
    mixed = dc.from_mixed(3)(jax.random.key(0), REAL, 1)[:, 0]
    thinned = REAL.image[:, 5, (0, 2, 5)][:, :, (0, 4)]  # the last cell has two columns
    chex.assert_trees_all_equal(mixed[:, 3:6, 6:], thinned)


def test_all_scales_are_the_single_scales_after_each_other():
    image = jax.random.uniform(jax.random.key(0), (3, 2, 8, 8, 1))
    expected = [decoded(dc.multi_formation(2, factor), image) for factor in (1, 2, 3)]
    chex.assert_trees_all_equal(decoded(dc.multi_scale_formation(2, 3), image), jnp.concatenate(expected, 1))


@pytest.mark.parametrize(
    ("ipc", "factor", "bound", "groups"),  # groups as the published program makes them: (factor, images)
    [
        (1, 2, 4, [(1, 1)]),
        (20, 3, 128, [(3, 12), (2, 3), (1, 5)]),
        (32, 2, 128, [(2, 24), (1, 8)]),
        (3, 2, 16, [(2, 3)]),
    ],
)
def test_a_bounded_formation_cuts_as_many_as_the_published_one(ipc, factor, bound, groups):
    image, start, expected = jax.random.uniform(jax.random.key(0), (1, ipc, 8, 8, 1)), 0, []
    for f, count in groups:
        expected.append(decoded(dc.multi_formation(count, f), image[:, start : start + count]))
        start += count
    found = decoded(dc.bounded_formation(ipc, factor, bound), image)
    assert found.shape[1] <= bound
    chex.assert_trees_all_equal(found, jnp.concatenate(expected, 1))


def test_pixel_space_is_left_when_images_are_decoded():
    wrapped = dc.in_pixel_space(dc.pixels(3, dc.from_real), DATA.train.normalisation)
    syn = wrapped.init(jax.random.key(0), REAL)
    chex.assert_trees_all_close(syn["image"], DATA.train.denormalise(REAL.image[:, :3]), atol=1e-6)
    chex.assert_trees_all_close(wrapped.decode(syn).image, REAL.image[:, :3], atol=1e-5)


def started(start):
    """Pixels [100, H, W, C] that images in pixel space begin as."""
    kept = dc.in_pixel_space(dc.pixels(100, start), DATA.train.normalisation)
    return np.asarray(kept.init(jax.random.key(0), REAL)["image"])


def test_uniform_noise_fills_the_range_of_pixels_evenly():
    noise = started(dc.from_grey_noise)
    assert 0 <= noise.min() < noise.max() < 1
    np.testing.assert_allclose(np.histogram(noise, 4, (0, 1))[0] / noise.size, 0.25, atol=0.02)


def test_idc_s_noise_is_normal_about_grey_and_clamped():
    noise = started(dc.from_clamped_noise)
    assert (noise.min(), noise.max()) == (0, 1)
    edges = np.array([-1.5, -1, -0.5, 0, 0.5, 1, 1.5])  # in deviations of a quarter from grey
    below = [float(jax.scipy.stats.norm.cdf(edge)) for edge in edges]
    np.testing.assert_allclose([(noise < 0.5 + edge / 4).mean() for edge in edges], below, atol=0.01)
    clamped = float(jax.scipy.stats.norm.cdf(-2.0))
    np.testing.assert_allclose([(noise == 0).mean(), (noise == 1).mean()], clamped, atol=0.005)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dc.multi_formation(1, 0), "at least 1"),
        (lambda: dc.multi_scale_formation(1, 0), "at least 1"),
        (lambda: dc.multi_formation(0, 2), "at least 1, not 0"),
        (lambda: dc.bounded_formation(1, 3, 8), "give at least 9"),
        (lambda: dc.bounded_formation(5, 2, 4), "give at least 5"),
        (lambda: dc.multi_formation(1, 5).init(jax.random.key(0), REAL), "cannot be cut into 5"),
        (
            lambda: dc.multi_formation(1, 4).init(
                jax.random.key(0), dc.Batch(jnp.zeros((2, 16, 8, 9, 1)), jnp.ones((2, 16, 2)))
            ),
            "Images of side 9 cannot be cut into 4",
        ),
        (lambda: dc.multi_formation(4, 2).init(jax.random.key(0), REAL), "factor^2 ipc = 16 of every class"),
    ],
)
def test_bad_input_gets_one_sentence(make, message):
    with pytest.raises(dc.InputError) as caught:
        make()
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
