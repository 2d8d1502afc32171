"""Large programs of tests, compiled sooner."""

import functools
from typing import Any

import jax


@functools.cache
def quick_options() -> Any:
    """Options of XLA for ``jax.jit`` with which a CPU compiles a large program in a fraction of the time.

    The kernels are of the older kind, and fewer conversions between dtypes are exact. If XLA no longer has
    the option, there is none.
    """
    options: Any = {"xla_cpu_use_fusion_emitters": False}
    try:
        jax.jit(lambda: 0, compiler_options=options)()
    except jax.errors.JaxRuntimeError:
        return {}
    return options
