"""Strictness for every test: no silent broadcasting, no key used twice, four CPU devices."""

import os

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_disable_most_optimizations", True)  # most of the time would be spent compiling
jax.config.update("jax_default_matmul_precision", "float32")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Decoded images and compiled programs of the tests' own, and processes that compile as little as they do."""
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "true"
    os.environ["DCJAX_CACHE"] = str(tmp_path_factory.mktemp("cache"))
