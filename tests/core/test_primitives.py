"""What backpropagation does with each primitive that JAX has a derivative for; ``primitives.md`` shows it.

python tests/core/test_primitives.py --write    # writes the page anew, for the JAX that is installed
"""

import collections
import functools
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from core import derivatives, test_control_flow, test_rules
from jax import lax
from jax.interpreters import ad
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxnaive import control_flow, linear_rules, rules, tangents, walk

pytestmark = pytest.mark.xdist_group("primitives")

PAGE = Path(__file__).parent.parent / "primitives.md"
V, M = test_rules.V, test_rules.M
SPLIT = PartitionSpec("i")


def mesh():
    return jax.make_mesh((1,), ("i",), axis_types=(AxisType.Auto,))


def on_shards(function, out=SPLIT):
    return lambda x: jax.shard_map(function, mesh=mesh(), in_specs=SPLIT, out_specs=out)(x)


def widest(m):
    return lax.reduce_window(m, -np.inf, lax.max, (1, 2), (1, 2), "SAME") ** 3


# Those of one device among many, and others that no other table has. Name: function, arguments.
EXAMPLES = {
    "all_gather": (on_shards(lambda a: lax.all_gather(a, "i", tiled=True) ** 2 * a), V),
    "all_to_all": (on_shards(lambda a: lax.all_to_all(a[None], "i", 0, 0)[0] ** 2), V),
    "ppermute": (on_shards(lambda a: lax.ppermute(a, "i", [(0, 0)]) ** 2), V),
    "psum": (on_shards(lambda a: lax.psum(jnp.sin(a), "i"), PartitionSpec()), V),
    "psum_scatter": (on_shards(lambda a: lax.psum_scatter(a**2, "i", tiled=True)), V),
    "pcast": (on_shards(lambda a: a * lax.pcast(jnp.ones([]), "i", to="varying")), V),
    "with_sharding_constraint": (
        lambda x: lax.with_sharding_constraint(x**2, NamedSharding(mesh(), SPLIT)), V
    ),
    "device_put": (lambda x: jax.device_put(x**2, jax.devices()[0]), V),
    "approx_max_k": (lambda x: lax.approx_max_k(x, 2)[0], V),
    "linear_call": (
        lambda x: jax.custom_derivatives.linear_call(lambda r, x: r * x, lambda r, g: r * g, 2.0, x), V
    ),
    "gammainc": (lambda x: jax.scipy.special.gammainc(2.0, x) + jax.scipy.special.gammaincc(3.0, x), V),
    "tridiagonal_solve": (lambda x: lax.linalg.tridiagonal_solve(x, x + 5, x, x[:, None]), V),
    "max of windows, back": (jax.grad(lambda m: widest(m).sum()), M),
    "max of windows, tangents": (lambda m: jax.jvp(widest, (m,), (m,))[1], M),
    "min of windows": (lambda m: lax.reduce_window(m, np.inf, lax.min, (1, 2), (1, 2), "SAME"), M),
    "custom_root": (
        lambda a: lax.custom_root(lambda x: x**2 - a, a, lambda f, x: a**0.5, lambda g, y: y / g(1.0)), 2.0
    ),
}  # fmt: skip

ONCE = {  # those whose second derivative JAX does not have either
    "eigvals": (lambda m: jnp.abs(jnp.linalg.eigvals(m[:, :3] + jnp.diag(3 * jnp.arange(3.0)))), M),
    "gamma": (lambda a: jax.random.gamma(jax.random.key(0), a), V),
    "ragged_dot": (lambda m: lax.ragged_dot(jnp.asarray(M), m[None], jnp.array([3])), M.T),
}  # fmt: skip

NO_FLOATS = [
    "and", "argmax", "argmin", "bitcast_convert_type", "eq", "eq_to", "ge", "gt", "is_finite", "le", "le_to",
    "lt", "lt_to", "mulhi", "ne", "not", "or", "random_bits", "random_fold_in", "random_seed", "random_split",
    "random_unwrap", "random_wrap", "shift_left", "shift_right_arithmetic", "shift_right_logical", "xor",
]  # fmt: skip
REFS = [
    "accum_grad_in_ref", "addupdate", "empty_ref", "free_ref", "freeze", "get", "new_ref", "run_state", "swap"
]  # fmt: skip
REFUSED = {
    **dict.fromkeys(REFS, "a ref: a graph has no place for values that are overwritten"),
    **dict.fromkeys(("io_callback", "pure_callback"), "a function outside of JAX, which refuses it too"),
    **dict.fromkeys(("composite", "custom_vmap_call", "ffi_call", "reduce_window"), "JAX refuses it too"),
    "while": "the number of steps is not known beforehand; JAX refuses it too",
}
EXPERIMENTAL = (  # how those begin that are there only once jax.experimental.sparse, pallas, ... are imported
    "bcoo_", "bcsr_", "coo_", "csr_", "global_array_to_", "host_local_array_to_", "masked_", "mpmd_",
    "pallas_", "spsolve", "todense",
)  # fmt: skip
DEAD_CODE = ("debug_callback", "debug_print", "check", "inspect_sharding")


@functools.cache
def rows_by_primitive():
    """For every primitive the examples in the tests that use it."""
    tables = [*test_rules.TABLES.values(), test_control_flow.FUNCTIONS, EXAMPLES, ONCE]
    with jax.enable_x64(True):
        return derivatives.functions_by_primitive({n: row for table in tables for n, row in table.items()})


def treatment(primitive):
    """How the walk gets past a primitive, in words; and where that stands."""
    for module in (rules, linear_rules, control_flow):
        rule = module.RULES.get(primitive)
        if rule is not None and rule is not tangents.by_tangents:
            kind = "flat" if rule is rules.flat else "rule"
            return kind, f"`{module.__name__.removeprefix('jaxnaive.')}`"
    if primitive in REFUSED:
        return "refused", REFUSED[primitive]
    if primitive in NO_FLOATS:
        return "no gradient", "the result is no float, or does not change with the operands"
    if primitive in DEAD_CODE:
        return "left out", "it has no result"
    if primitive in rows_by_primitive():
        return "derived", f"from JAX's tangents; tested by “{rows_by_primitive()[primitive][0]}”"
    return "derived", "from JAX's tangents; no example in the tests"


def page():
    primitives = sorted({p.name for p in (*ad.primitive_jvps, *ad.primitive_transposes)} | {*walk.RULES})
    found = {name: treatment(name) for name in primitives if not name.startswith(EXPERIMENTAL)}
    counts = collections.Counter(kind for kind, _ in found.values()).most_common()
    return "\n".join(
        [
            "# Every primitive that JAX differentiates",
            "",
            "What `jaxnaive.backprop` does with it, of JAX " + jax.__version__ + ": "
            + ", ".join(f"{count} {kind}" for kind, count in counts) + ".",
            "",
            "- **rule**: a rule by hand, in the table of the file that is named.",
            "- **flat**: a rule too, which says that the slope is 0.",
            "- **derived**: no rule by hand. The walk goes backwards along the tangents that JAX knows.",
            "- **no gradient**, **left out**, **refused**: with the reason.",
            "",
            "`python tests/core/test_primitives.py --write` writes this page; a test compares it.",
            "",
            "| primitive | how | where, or why |",
            "|---|---|---|",
            *(f"| `{primitive}` | {kind} | {where} |" for primitive, (kind, where) in found.items()),
            "",
        ]
    )  # fmt: skip


def test_the_page_is_what_the_tables_say():
    text = PAGE.read_text()
    if f"of JAX {jax.__version__}:" not in text:
        pytest.skip(f"the page is of another JAX than {jax.__version__}")
    assert text == page(), "run: python tests/core/test_primitives.py --write"


@functools.cache
def found():
    return derivatives.differentiate(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_derived_is_equal_to_jax_and_so_is_its_gradient(name):
    derivatives.check(found()[name])


@pytest.mark.parametrize("name", ONCE)
def test_what_is_derived_once_is_equal_to_jax(name):
    function, *args = ONCE[name]
    with jax.enable_x64(True):
        ours, by_jax = (derivatives.gradients(grad, function, args, 1) for grad in derivatives.GRADS)
        derivatives.check(derivatives.Derivatives(ours, by_jax))


def test_no_primitive_is_said_to_be_two_things():
    told = [*REFUSED, *NO_FLOATS, *DEAD_CODE]
    assert len(told) == len({*told}) and not {*told} & {*walk.RULES}


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/core/test_primitives.py --write")
    PAGE.write_text(page())
