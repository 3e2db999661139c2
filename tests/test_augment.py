"""Each operator against NumPy or SciPy, and the two ways of drawing."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from dcjax import augment
from dcjax.augment import _resized_indices, _spline_sample

IMAGE = jax.random.uniform(jax.random.key(7), (12, 12, 2))


def test_crop_shows_the_shifted_image_and_its_mean():
    seen = set()
    for seed in range(40):
        out = np.asarray(augment.crop(2)(jax.random.key(seed))(IMAGE))
        fill = np.ones((16, 16, 2)) * np.asarray(IMAGE.mean((0, 1)))
        fill[2:14, 2:14] = IMAGE
        (shift,) = [(i, j) for i in range(4) for j in range(4) if np.allclose(out, fill[i : i + 12, j : j + 12])]
        seen.add(shift)
    assert len(seen) > 8  # of 16 shifts


@pytest.mark.parametrize(("size", "expected"), [(4, [0, 1, 2, 3]), (2, [-1, 0, 2, -1]), (6, [0, 1, 2, 2])])
def test_scale_reads_the_nearest_pixel_of_the_centred_image(size, expected):
    assert _resized_indices(4, size, max(size, 4)).tolist() == expected


def test_scale_by_nothing_is_the_identity():
    chex.assert_trees_all_equal(augment.scale(0.0)(jax.random.key(0))(IMAGE), IMAGE)


@pytest.mark.parametrize("degrees", [-45, -10, 0, 30])
def test_rotation_equals_scipy_s(degrees):
    angle = np.deg2rad(degrees)
    y, x = np.mgrid[:12, :12] - 5.5
    rows, columns = np.cos(angle) * y + np.sin(angle) * x + 5.5, -np.sin(angle) * y + np.cos(angle) * x + 5.5
    ours = _spline_sample(IMAGE, jnp.asarray(rows, jnp.float32), jnp.asarray(columns, jnp.float32), IMAGE.mean())
    theirs = scipy.ndimage.rotate(IMAGE, degrees, axes=(0, 1), reshape=False, order=3, cval=IMAGE.mean())
    # Where a turned pixel lands on the very border, rounding decides whether it is inside.
    border = np.minimum(np.minimum(rows, 11 - rows), np.minimum(columns, 11 - columns))
    clear = np.abs(border) > 1e-4
    assert clear.mean() > 0.6
    np.testing.assert_allclose(np.asarray(ours)[clear], theirs[clear], atol=2e-5)


def test_rotate_turns_within_its_range():
    out = [augment.rotate(45)(jax.random.key(seed))(IMAGE) for seed in range(3)]
    assert len({float(image.sum()) for image in out}) == 3
    chex.assert_tree_all_finite(out)


def test_one_of_draws_each():
    pick = augment.one_of([lambda key: lambda image: image + 1, lambda key: lambda image: image - 1])
    drawn = [float(pick(jax.random.key(seed))(jnp.zeros(()))) for seed in range(20)]
    assert set(drawn) == {-1.0, 1.0}


def test_one_draw_is_a_deterministic_function_and_independent_draws_differ():
    same = augment.dc_digits()(jax.random.key(3))
    chex.assert_trees_all_equal(same(IMAGE), same(IMAGE))
    batch = jnp.stack([IMAGE] * 8)
    out = augment.independent(augment.dc_digits(), jax.random.key(3), batch)
    assert len({float(image.sum()) for image in out}) > 4
    chex.assert_trees_all_equal(augment.independent(augment.identity, jax.random.key(3), batch), batch)
