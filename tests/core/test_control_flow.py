"""The rules of calls, loops and branches: as those of arrays, and a user's rule is used inside them too."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from core import derivatives
from jax import lax

from jaxnaive import backprop, control_flow

# One worker compiles the table, for all tests of it.
pytestmark = pytest.mark.xdist_group("control flow")

RNG = np.random.default_rng(0)
V = RNG.uniform(0.2, 0.9, 5)  # away from the kinks, and from the ends of every function's domain
W = RNG.uniform(-0.9, -0.2, 5)
M = RNG.normal(size=(3, 4))
S = 0.7


@jax.custom_jvp
def with_own_jvp(x, y):
    return jnp.sin(x) * y


with_own_jvp.defjvp(
    lambda at, move: (with_own_jvp(*at), 3 * move[0] * at[1] + jnp.sin(at[0]) * move[1])
)  # 3 and not cos(x), so that a rule that looks into the function instead is found out


@jax.custom_jvp
def scaled_by_integer(x, n):
    return x * n.astype(x.dtype), n


scaled_by_integer.defjvp(
    lambda at, move: (scaled_by_integer(*at), (5 * move[0] * at[1].astype(at[0].dtype), move[1]))
)


@jax.custom_jvp
def linear_with_own_jvp(x):
    return 3 * x


linear_with_own_jvp.defjvp(lambda at, move: (linear_with_own_jvp(*at), linear_with_own_jvp(*move)))


@jax.custom_vjp
def with_own_vjp(x, n):
    return x * x, n


with_own_vjp.defvjp(lambda x, n: (with_own_vjp(x, n), x), lambda x, g: (7 * g[0] * x, None))


def power_by_scan(x, factors):
    def step(carry, factor):
        count, product = carry
        return (count + 1, product * x * factor), (jnp.sin(product), count)

    (_, product), (sines, _) = lax.scan(step, (0, jnp.ones_like(x)), factors)
    return product, sines


def scan_with_qr(x):
    fixed = jnp.eye(2)
    return lax.scan(lambda c, v: (c + v * jnp.linalg.qr(fixed)[1][0, 0], c), 0.0, x)


# Name: function, arguments. Every float among the arguments is differentiated by.
FUNCTIONS = {
    "jit": (jax.jit(lambda x, y: jnp.sin(x) * y), V, W),
    "checkpoint": (jax.checkpoint(lambda x: jnp.sin(jnp.sin(x))), V),
    "checkpoint with a policy": (
        jax.checkpoint(lambda x: jnp.sin(x @ x) * x, policy=jax.checkpoint_policies.dots_saveable), V
    ),
    "vmap": (jax.vmap(lambda row: jnp.dot(row, row) * row), M),
    "custom_jvp": (with_own_jvp, V, W),
    "custom_jvp with an integer": (lambda x: scaled_by_integer(x, jnp.array(2))[0], V),
    "custom_jvp, linear": (lambda x: linear_with_own_jvp(x) * x, V),
    "custom_vjp": (lambda x: with_own_vjp(x, jnp.array(2))[0], V),
    "jax.nn.relu": (jax.nn.relu, np.array([-1.0, 0.0, 2.0])),
    "jax.nn.gelu, silu, softmax": (lambda x: (jax.nn.gelu(x), jax.nn.silu(x), jax.nn.softmax(x)), W),
    "cond": (lambda x: lax.cond(x.sum() > 0, jnp.sin, lambda x: x**2, x), V),
    "switch": (lambda x, i: lax.switch(i, [jnp.sin, jnp.cos, jnp.exp], x), V, 2),
    "scan": (power_by_scan, S, V),
    "scan, outputs not used": (lambda x: lax.scan(lambda c, v: (c * v, jnp.sqrt(v * 0)), 1.0, x)[0], V),
    "scan, late": (lambda x: lax.scan(lambda c, v: ((c[1], c[0] * v), c), (1.0, 1.0), x), V),
    "scan, a constant without a rule": (scan_with_qr, V),
    "checkpoint, outputs not used": (lambda x: jax.checkpoint(lambda x: (x * 2, jnp.sqrt(x * 0)))(x)[0], V),
    "scan backwards": (lambda x: lax.scan(lambda c, v: (c * v + v, c), 1.0, x, reverse=True), V),
    "fori_loop": (lambda x: lax.fori_loop(0, 5, lambda i, y: y * jnp.cos(x) + i, x), S),
    "scan, a carry that stops": (lambda x: lax.scan(lambda c, _: ((0.0, 1.0), None), (x, 0.0), V)[0], S),
    "a while of constants": (lambda x: x * lax.while_loop(lambda n: n < 9.0, lambda n: n * 2, 1.0), V),
}  # fmt: skip
RULES = {name: rule for name, rule in control_flow.RULES.items() if name not in ("while", "jit")}


@functools.cache
def found():
    return derivatives.differentiate(FUNCTIONS)


@functools.cache
def found_with_broken_rules():
    return derivatives.differentiate_with_broken(RULES, FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_s61_s65_equal_to_jax_and_so_is_the_gradient_of_the_gradient(name):
    derivatives.check(found()[name])


@pytest.mark.parametrize("primitive", sorted(RULES))
def test_a_broken_rule_is_found_out(primitive):
    derivatives.check_that_it_fails(found_with_broken_rules()[primitive], found())


# --- rules of the user -------------------------------------------------------------------------------


@jax.custom_jvp
def of_square(x):
    return x * x


of_square.defjvp(lambda at, move: (of_square(*at), jnp.sin(at[0]) * move[0]))  # the motion is one product


INSIDE = {  # name: function of a number, whose derivative by JAX is the cosine
    "jit": jax.jit(lambda x: jnp.sin(x)),
    "jit in jit": jax.jit(lambda x: jax.jit(jnp.sin)(x)),
    "checkpoint": jax.checkpoint(jnp.sin),
    "cond": lambda x: lax.cond(x > 0, jnp.sin, jnp.cos, x),
    "switch": lambda x: lax.switch(1, [jnp.cos, jnp.sin], x),
    "scan": lambda x: lax.scan(lambda carry, _: (jnp.sin(carry), None), x, length=1)[0],
    "scan, of what is taken apart": lambda x: lax.scan(lambda _, x: (None, jnp.sin(x)), None, x[None])[1][0],
    "fori_loop": lambda x: lax.fori_loop(0, 1, lambda _, x: jnp.sin(x), x),
    "vmap": lambda x: jax.vmap(jnp.sin)(x[None])[0],
    "jit in scan in cond": lambda x: lax.cond(x > 0, INSIDE["scan"], jnp.cos, jax.jit(lambda x: x)(x)),
}


@functools.cache
def slopes_of_those():
    seven = {"sin": lambda g, y, x: [7 * g]}
    return derivatives.together(
        {
            name: lambda x, f=f: [backprop.grad(f, rules=rules)(x) for rules in (None, seven, None)]
            for name, f in INSIDE.items()
        },
        jnp.array(0.5),
    )


@pytest.mark.parametrize("name", INSIDE)
def test_a_users_rule_is_used_inside_and_by_this_call_alone(name):
    np.testing.assert_allclose(slopes_of_those()[name], [np.cos(0.5), 7, np.cos(0.5)], rtol=1e-6)


def test_a_users_rule_is_used_inside_the_motion_of_a_custom_jvp():
    seven = {"mul": lambda g, y, a, b: [7 * g * b, 7 * g * a]}
    for rules, expected in ((None, np.sin(0.5)), (seven, 7 * np.sin(0.5)), (None, np.sin(0.5))):
        np.testing.assert_allclose(backprop.grad(of_square, rules=rules)(0.5), expected, rtol=1e-6)


def test_a_user_can_give_a_rule_for_a_function_too():
    leaky = {"custom_jvp_call": lambda g, y, x: [jnp.where(x > 0, 1, 0.125) * g[0]]}
    assert backprop.grad(lambda x: 2 * jax.nn.relu(x), rules=leaky)(-3.0) == 0.25
    assert backprop.grad(lambda x: 2 * jax.nn.relu(x))(-3.0) == 0


def test_a_users_rule_that_would_not_be_used_is_refused():
    mesh = jax.make_mesh((1,), ("i",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("i")
    on_shards = jax.shard_map(jnp.sin, mesh=mesh, in_specs=spec, out_specs=spec)
    for rules in ({}, {"cos": lambda g, y, x: [7 * g]}):
        assert backprop.grad(lambda x: on_shards(x).sum(), rules=rules)(jnp.zeros(2)).tolist() == [1, 1]
    with pytest.raises(NotImplementedError, match=r"those of \['sin'\] are not used in 'shard_map'"):
        backprop.grad(lambda x: on_shards(x).sum(), rules={"sin": lambda g, y, x: [7 * g]})(jnp.zeros(2))
