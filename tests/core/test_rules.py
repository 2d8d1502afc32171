"""Each rule against ``jax.grad``: first and second derivatives, and that one that is 1 % off is found out."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from core import derivatives
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from jaxnaive import linear_rules, rules

# One worker compiles each table, for all tests of it.
pytestmark = pytest.mark.xdist_group("rules")

RNG = np.random.default_rng(0)
V = RNG.uniform(0.2, 0.9, 5)  # away from the kinks, and from the ends of every function's domain
W = RNG.uniform(-0.9, -0.2, 5)
M = RNG.normal(size=(3, 4))
N = RNG.normal(size=(4, 2))
T = RNG.normal(size=(2, 3, 4))
SMALL = M[:2, :3]
TIES = np.array([0.5, 0.2, 0.5, 0.2])
CUBES = RNG.normal(size=(3, 4, 3, 2))
INDICES = np.array([2, 0, 2, -1])
S = 0.7
ZERO_AND_ONE = np.array([0.0, 1.0])


def power_of_integers(a):
    with jax.numpy_dtype_promotion("standard"):
        return lax.pow(a, jnp.array([0, 1, 2, 3, -2]))


# --- the functions: name, function, arguments. Every float among the arguments is differentiated by. --

ONE_NUMBER = {
    "neg": (lambda x: -x, V),
    "abs": (jnp.abs, W),
    "abs at 0": (jnp.abs, 0.0),
    "square": (jnp.square, W),
    "integer_pow": (lambda x: x**3 + x**-2, W),
    "integer_pow 0, 1, 2 at 0": (lambda x: lax.integer_pow(x, 0) + lax.integer_pow(x, 1) + x**2, 0.0),
    "sqrt": (jnp.sqrt, V),
    "rsqrt": (lax.rsqrt, V),
    "cbrt": (jnp.cbrt, W),
    "exp": (jnp.exp, W),
    "exp2": (jnp.exp2, W),
    "expm1": (jnp.expm1, W),
    "log": (jnp.log, V),
    "log1p": (jnp.log1p, W),
    "logistic": (jax.nn.sigmoid, W),
    "sin, cos, tan": (lambda x: (jnp.sin(x), jnp.cos(x), jnp.tan(x)), W),
    "asin": (jnp.arcsin, W),
    "acos": (jnp.arccos, W),
    "atan": (jnp.arctan, W),
    "sinh": (jnp.sinh, W),
    "cosh": (jnp.cosh, W),
    "tanh": (jnp.tanh, W),
    "asinh": (jnp.arcsinh, W),
    "acosh": (lambda x: jnp.arccosh(1 + x), V),
    "atanh": (jnp.arctanh, W),
    "erf": (lax.erf, W),
    "erfc": (lax.erfc, W),
    "erf_inv": (lax.erf_inv, W),
    "bessel_i0e": (lax.bessel_i0e, W),
    "lgamma": (lax.lgamma, V),
    "polygamma": (lambda x: lax.polygamma(jnp.ones_like(x), x), V),
    "sign, floor, ceil, round": (lambda x: x * (jnp.sign(x) + jnp.floor(x) + jnp.ceil(x) + jnp.round(x)), W),
}  # fmt: skip

MORE_NUMBERS = {
    "add": (jnp.add, V, W),
    "sub": (jnp.subtract, V, W),
    "mul": (jnp.multiply, V, W),
    "div": (jnp.divide, V, W),
    "rem": (lambda a, b: lax.rem(4 * a, b), V, W),
    "atan2": (jnp.arctan2, V, W),
    "pow": (jnp.power, V, W),
    "pow of 0": (lambda b: jnp.power(jnp.zeros(5), b) + jnp.power(b, 0.0), V),
    "pow, integer exponents": (power_of_integers, W),
    "max": (jnp.maximum, V, V[::-1]),
    "min": (jnp.minimum, V, V[::-1]),
    "max at a tie": (lambda x: jnp.maximum(x, 0.5), TIES),
    "clamp": (lax.clamp, np.full(5, 0.3), V, np.full(5, 0.6)),
    "clamp, at its bounds": (lax.clamp, np.full(3, 0.3), np.array([0.3, 0.5, 0.6]), np.full(3, 0.6)),
    "clip by numbers": (lambda x: jnp.clip(x, -0.5, -0.3), W),
}  # fmt: skip

BROADCASTING = {
    "array + number": (jnp.add, V, S),
    "number * array": (jnp.multiply, S, V),
    "matrix + row": (jnp.add, M, M[0]),
    "column * row": (jnp.multiply, M[:, :1], M[:1]),
    "matrix / column": (jnp.divide, M, 3 + M[:, :1]),
    "number to matrix": (lambda s: jnp.broadcast_to(s, (3, 4)), S),
}  # fmt: skip

USES = {
    "one variable, used twice": (lambda x: x * x + x, 3.0),
    "one variable, used often": (lambda x: functools.reduce(lambda y, _: y * jnp.sin(x) + y, range(6), x), S),
    "an argument that is not used": (lambda x, y: x**2, V, W),
    "a constant": (lambda x: jnp.ones(3), V),
    "the argument itself": (lambda x: x, V),
    "an integer argument": (lambda x, n: x[n], V, np.array([1, 3])),
    "rounded to integers": (lambda x: x * x.astype(int).astype(x.dtype), 4 * V),
    "where": (lambda x: jnp.where(x > 0.5, x**2, jnp.sin(x)), V),
    "where with NaN in the dead branch": (lambda x: jnp.where(x > 0, jnp.log(x), x), W),
    "where with infinity in the dead branch": (lambda x: jnp.where(x > 0, jnp.sqrt(x), x), ZERO_AND_ONE),
    "where, both safe": (lambda x: jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1)), x), ZERO_AND_ONE),
    "select_n of three": (lambda a, b, c: lax.select_n(jnp.array([0, 1, 2, 1, 0]), a, b, c), V, W, V * W),
    "stop_gradient": (lambda x: lax.stop_gradient(x) * x, V),
    "nextafter of nothing": (lambda x: x + lax.nextafter(lax.stop_gradient(x), jnp.ones_like(x)), V),
    "a gradient by JAX inside": (jax.grad(lambda x: jnp.sum(x * x * jnp.sin(x))), V),
}  # fmt: skip

REDUCTIONS = {
    "sum": (lambda x: (x.sum(), x.sum(0), x.sum((0, 2))), T),
    "mean, variance": (lambda x: (x.mean(1), x.var(axis=(0, 2)), x.std()), T),
    "max and min of an axis": (lambda x: (x.max(1), x.min((0, 2)), x.max()), T),
    "max of equal ones": (jnp.max, TIES),
    "min of equal ones": (jnp.min, TIES),
    "prod": (lambda x: (x.prod(1), x.prod((0, 2))), T[:, :, :2]),
    "prod of all": (jnp.prod, SMALL),
    "prod with a zero": (jnp.prod, np.array([0.0, 2.0, 3.0])),
    "prod with two zeros": (jnp.prod, np.array([0.0, 2.0, 0.0, 3.0])),
    "prod of huge and tiny": (jnp.prod, np.array([1e200, 1e-200, 1e200, 1e-200, 1.0])),
    "cumsum": (lambda x: (jnp.cumsum(x, 1), lax.cumsum(x, 0, reverse=True)), M),
    "cumprod": (lambda x: (jnp.cumprod(x, 1), lax.cumprod(x, 0, reverse=True)),SMALL),
    "cumprod with a zero": (jnp.cumprod, np.array([2.0, 0.0, 3.0])),
    "cummax": (lambda x: (lax.cummax(x, 1), lax.cummax(x, 0, reverse=True)),SMALL),
    "cummin": (lambda x: lax.cummin(x, 1), M),
    "cumlogsumexp": (lambda x: (lax.cumlogsumexp(x, 1), lax.cumlogsumexp(x, 0, reverse=True)),SMALL),
    "norm": (jnp.linalg.norm, V),
    "logsumexp": (jax.nn.logsumexp, V),
    "product of nothing": (lambda x: (x.prod(0), x.prod(1)), np.zeros((0, 3))),
    "associative_scan": (lambda x: lax.associative_scan(jnp.multiply, x), V),
}  # fmt: skip

PRODUCTS = {
    "matrix @ matrix": (jnp.matmul, M, N),
    "matrix @ vector": (jnp.matmul, M, N[:, 0]),
    "vector @ vector": (jnp.dot, V, W),
    "batched": (jnp.matmul, T, RNG.normal(size=(2, 4, 2))),
    "einsum, axes in disorder": (lambda a, b: jnp.einsum("bij,kjib->kb", a, b), T, CUBES),
    "dot_general, two sums": (lambda a, b: lax.dot_general(a, b, (((2, 1), (2, 1)), ((), ()))), T, T[:1]),
    "outer": (jnp.outer, V, W),
}  # fmt: skip

SHAPES = {
    "reshape": (lambda x: x.reshape(6, 4), T),
    "squeeze": (lambda x: lax.squeeze(x, (0,)), T[:1]),
    "transpose": (lambda x: x.transpose(2, 0, 1), T),
    "rev": (lambda x: x[::-1, ::-1], M),
    "expand_dims": (lambda x: jnp.expand_dims(x, (0, 2)), M),
    "broadcast_in_dim": (lambda x: jnp.broadcast_to(x[:, :1, None], (2, 3, 4, 5)), M),
    "tile": (lambda x: jnp.tile(x, (2, 3)), M),
    "repeat": (lambda x: jnp.repeat(x, 2, axis=0), M),
    "concatenate": (lambda a, b: jnp.concatenate([a, b, a], axis=1), M, N.T[:1].repeat(3, 0)),
    "stack": (lambda a, b: jnp.stack([a, b, a * b], axis=1), V, W),
    "split": (lambda x: jnp.split(x, [1, 3], axis=1)[1:], M),
    "unstack": (lambda x: jnp.unstack(x, axis=1)[2:], M),
    "pad": (lambda x, v: lax.pad(x, v, [(1, 2, 1), (-1, 0, 2)]), M, S),
    "convert": (lambda x: x.astype(jnp.float32).astype(jnp.float64) ** 2, V),
    "reduce_precision": (lambda x: lax.reduce_precision(x, 8, 23), V),
    "copy": (jnp.copy, V),
    "name": (lambda x: checkpoint_name(x, "x") ** 2, V),
    "optimization_barrier": (lambda a, b: lax.optimization_barrier((a, b)), V, W),
    "device_put": (lambda x: jax.device_put(x) ** 2, V),
}  # fmt: skip

PLACES = {
    "slice": (lambda x: x[1:3, ::2], M),
    "one element": (lambda x: x[-1], V),
    "dynamic_slice": (lambda x, i: lax.dynamic_slice(x, (i, 1), (2, 2)), M, 1),
    "dynamic_slice past the end": (lambda x, i: lax.dynamic_slice(x, (i, 1), (2, 2)), M, 7),
    "dynamic_update_slice": (lambda x, u: lax.dynamic_update_slice(x, u, (1, 2)), M, N[:2]),
    "gather": (lambda x: x[INDICES], V),
    "gather rows": (lambda x: x[INDICES], M.T),
    "gather pairs": (lambda x: x[INDICES[:2], INDICES[1:3]], M),
    "take along": (lambda x: jnp.take_along_axis(x, jnp.argsort(x, axis=1), axis=1), M),
    "gather past the end": (lambda x: x.at[np.array([1, 9])].get(mode="fill", fill_value=2.0), V),
    "scatter": (lambda x, u: x.at[np.array([3, 0])].set(u), V, W[:2]),
    "scatter, one place twice": (lambda x, u: x.at[INDICES].set(u), V, W[:4]),
    "scatter rows": (lambda x, u: x.at[np.array([2, 0])].set(u), M, RNG.normal(size=(2, 4))),
    "scatter past the end": (lambda x, u: x.at[np.array([1, 9])].set(u), V, W[:2]),
    "scatter-add": (lambda x, u: x.at[INDICES].add(u), V, W[:4]),
    "scatter-add rows": (lambda x, u: x.at[INDICES].add(u), M, RNG.normal(size=(4, 4))),
    "scatter-sub": (lambda x, u: x.at[INDICES].subtract(u), V, W[:4]),
    "scatter-mul": (lambda x, u: x.at[np.array([3, 0])].multiply(u, unique_indices=True), V, W[:2]),
    "sort": (lambda x: jnp.sort(x, axis=0), M),
    "sort by a key": (lambda k, x: lax.sort((k, x, jnp.arange(5)), num_keys=1)[:2], V, W),
    "median": (jnp.median, V),
    "top_k": (lambda x: lax.top_k(x, 2)[0], M),
    "an empty slice": (lambda x: x[2:2:2], V),
}  # fmt: skip


def reduced(x):
    return lax.reduce_window(x, -np.inf, lax.max, (1, 2), (1, 2), "SAME")


COMPLEX = {  # of real arguments: complex ones are in test_backprop.py
    "real, imag, complex, conj": (lambda a, b: (jnp.conj(lax.complex(a, b)) ** 2).imag * a, V, W),
    "real part of a product": (lambda a, b: (lax.complex(a, b) * lax.complex(b, 2 * a)).real, V, W),
    "abs of complex": (lambda a, b: jnp.abs(lax.complex(a, b)), V, W),
    "abs of a complex 0": (lambda a: jnp.abs(lax.complex(a, 0.0)), 0.0),
    "to complex and back": (lambda x: (x.astype(complex) * (1 + 2j)).real.astype(float), V),
    "fft": (lambda x: jnp.abs(jnp.fft.fft(x)), V),
    "rfft": (lambda x: jnp.abs(jnp.fft.irfft(jnp.fft.rfft(x) * (2 + 1j))), M),
    "complex exponent": (lambda a, b: (lax.complex(a, b) ** (0.5 + 1j)).real, V, W),
}  # fmt: skip

IMAGES = RNG.normal(size=(2, 6, 7, 4))
KERNELS = RNG.normal(size=(3, 2, 4, 4))
NHWC = ("NHWC", "HWIO", "NHWC")


def convolved(strides, padding, **settings):
    return lambda x, k: lax.conv_general_dilated(x, k, strides, padding, dimension_numbers=NHWC, **settings)


WINDOWS = {
    "convolution": (convolved((1, 1), "VALID"), IMAGES, KERNELS),
    "convolution, strides": (convolved((2, 3), "SAME"), IMAGES, KERNELS),
    "convolution, dilated": (
        convolved((1, 2), [(2, 1), (-1, 3)], lhs_dilation=(2, 1), rhs_dilation=(1, 3)), IMAGES, KERNELS
    ),
    "convolution, groups": (convolved((1, 1), "SAME", feature_group_count=2), IMAGES, KERNELS[:, :, :2]),
    "convolution, groups of images": (convolved((1, 2), "SAME", batch_group_count=2), IMAGES, KERNELS),
    "convolution, transposed": (
        lambda x, k: lax.conv_transpose(x, k, (2, 2), "SAME", dimension_numbers=NHWC), IMAGES, KERNELS
    ),
    "convolution of one axis": (lambda x, k: jnp.convolve(x, k, mode="same"), M.ravel(), W),
    "convolution of nothing": (convolved((1, 1), "VALID"), IMAGES[:, :2], KERNELS),
    "sum of windows": (
        lambda x: lax.reduce_window(x, 0.0, lax.add, (2, 3), (2, 1), [(1, 0), (2, 2)], (1, 2), (2, 1)), M
    ),
    "max of windows": (reduced, M),
}  # fmt: skip


def symmetric(m):
    return m @ m.T + 3 * jnp.eye(3)


DERIVED = {  # from JAX's tangents
    "cholesky": (lambda m: jnp.linalg.cholesky(symmetric(m)), M),
    "solve": (lambda m, b: jnp.linalg.solve(symmetric(m), b), M, V[:3]),
    "solve, triangular": (lambda m, b: lax.linalg.triangular_solve(symmetric(m), b, left_side=True), M, M),
    "slogdet": (lambda m: jnp.linalg.slogdet(symmetric(m))[1], M),
    "qr": (lambda m: jnp.linalg.qr(m.T)[1], M),
    "svd": (lambda m: jnp.linalg.svd(m, compute_uv=False), M),
    "eigh": (lambda m: jnp.linalg.eigh(symmetric(m))[0], M),
    "bessel": (lambda x: jax.scipy.special.i1e(x), V),
    "betainc": (lambda x: jax.scipy.special.betainc(2.0, 3.0, x), V),
    "scatter-max": (lambda x, u: x.at[np.array([3, 0])].max(u), V, W[:2]),
    "scatter-min": (lambda x, u: x.at[np.array([3, 0])].min(u), V, W[:2]),
    "reduce": (lambda x: lax.reduce(x, 1.0, lambda a, b: a * b + a, (0,)), M),
    "conjugate gradients": (
        lambda m, b: jax.scipy.sparse.linalg.cg(lambda v: symmetric(m) @ v, b)[0], M, V[:3]
    ),
}  # fmt: skip

TABLES = {
    "one number at a time": ONE_NUMBER,
    "two or three numbers at a time": MORE_NUMBERS,
    "broadcasting pairs": BROADCASTING,
    "uses": USES,
    "reductions and running ones": REDUCTIONS,
    "products": PRODUCTS,
    "shapes and types": SHAPES,
    "places": PLACES,
    "complex numbers": COMPLEX,
    "windows": WINDOWS,
    "derived": DERIVED,
}

RULES = rules.RULES | linear_rules.RULES


@functools.cache
def found(table):
    return derivatives.differentiate(TABLES[table])


@functools.cache
def found_with_broken_rules():
    everything = {name: row for table in TABLES.values() for name, row in table.items()}
    return derivatives.differentiate_with_broken(RULES, everything)


@pytest.mark.parametrize(
    ("table", "name"),
    [pytest.param(table, name, id=name) for table, rows in TABLES.items() for name in rows],
)
def test_s61_s65_equal_to_jax_and_so_is_the_gradient_of_the_gradient(table, name):
    derivatives.check(found(table)[name])


@pytest.mark.parametrize("primitive", sorted(RULES))
def test_a_broken_rule_is_found_out(primitive):
    everywhere = {name: one for table in TABLES for name, one in found(table).items()}
    derivatives.check_that_it_fails(found_with_broken_rules()[primitive], everywhere)
