"""Sets JAX up for the machine that a command runs on, and describes the machine for result files."""

import contextlib
import logging
import os
import platform
import resource
import sys
from importlib import metadata
from pathlib import Path

import jax

from dcjax.base import InputError
from dcjax.data.cache import cache_dir
from dcjax.sharding import device_count

# XLA ends the process if the cores of a CPU finish their shares (students, say) over a minute apart.
PATIENCE = {
    "xla_cpu_collective_call_warn_stuck_timeout_seconds": 3600,
    "xla_cpu_collective_call_terminate_timeout_seconds": 10**6,
}
MOST_CPU_DEVICES = 8  # each has a state and activations of its own, and there are seldom more classes than ten
MOST_MAPS = 30_000  # of the 65530 that Linux gives a process


def configure_jax(precision: str = "float32") -> None:
    """Sets up a device for each core, the precision of matrix products, and the cache of compiled programs."""
    _divide_cpu()
    for name in ("absl", "asyncio"):  # Orbax and its tasks log, with tracebacks, what it also raises
        logging.getLogger(name).setLevel(logging.CRITICAL)
    jax.config.update("jax_default_matmul_precision", precision)
    jax.config.update("jax_compilation_cache_dir", str(cache_dir() / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def check_precision(precision: str) -> None:
    """Refuses a precision that this machine does not have, so that no run is noted under one that it was not computed in."""
    if precision != "float32" and jax.default_backend() == "cpu":
        raise InputError(
            f"--precision {precision} changes nothing on a CPU, which computes in float32: leave it out, or run where there is a GPU or TPU."
        )


def _divide_cpu() -> None:
    """Makes each core a device unless JAX was told how many: cores that share every operation wait for each other's data."""
    flags = os.environ.get("XLA_FLAGS", "")
    patience = (f"--{flag}={seconds}" for flag, seconds in PATIENCE.items() if flag not in flags)
    os.environ["XLA_FLAGS"] = " ".join([flags, *patience]).strip()
    if jax.config.jax_num_cpu_devices >= 0 or "host_platform_device_count" in flags:
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with contextlib.suppress(RuntimeError):  # in a notebook JAX is in use already, and keeps the devices it has
        jax.config.update("jax_num_cpu_devices", min(cores, MOST_CPU_DEVICES))


def release_programs() -> None:
    """Lets go of all compiled programs, which JAX keeps, before they fill the memory maps of the process: on a CPU each takes hundreds."""
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()


def environment() -> dict:
    """Gives versions, hardware and peak memory for a result file."""
    device = jax.local_devices()[0]
    memory = device.memory_stats() or {}
    return {
        "versions": {name: metadata.version(name) for name in ("dcjax", "jax", "jaxlib", "flax", "optax")},
        "python": platform.python_version(),
        "hardware": f"{device_count()} x {device.device_kind} ({cpu_name()})",
        "processes": jax.process_count(),
        "peak_memory_gib": round(memory.get("peak_bytes_in_use", _peak_host_bytes()) / 2**30, 2),
    }


def cpu_name() -> str:
    """Names the processor and counts its cores."""
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
        return f"{len(names)} x {names[0]}"
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def _peak_host_bytes():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
