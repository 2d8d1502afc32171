# %% [markdown] lang="en"
# # Tensor operations
#
# Nearly all that a network does to its data is made of a few tensor operations: dot products, additions, relu.
# Here each is built from operations on single numbers, so that nothing about it is magic. Each is compared
# with NumPy, and the Python loop that says the same is timed.

# %% [markdown] lang="zh"
# # 张量运算
#
# 神经网络对数据做的一切，都由几种张量运算组成：点积、加法、relu。这一课从单个数的运算出发，
# 把它们逐个搭出来，一步都不含糊。每一个都和 NumPy 的结果核对，并且和同样功能的 Python 循环比一比速度。

# %%
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import jaxnaive as jn
from jaxnaive import operations, pictures
from jaxnaive.command import benchmark, compile_cache
from jaxnaive.pages import toys
from jaxnaive.pictures import drawings, palette

compile_cache.use()  # what JAX compiles is kept for the next time

# %% [markdown] lang="en"
# ## JAX in five words
#
# JAX takes functions and returns functions. `jax.jit(f)` is `f`, compiled. `jax.vmap(f)` is `f`, done for many
# inputs at once. `jax.grad(f)` is the derivative of `f`. `jax.make_jaxpr(f)` lists the operations of `f`. And a
# *pytree* is any nest of tuples, lists and dictionaries with arrays in it: `jax.tree.map` does something to each
# of these arrays.

# %% [markdown] lang="zh"
# ## JAX 的五个词
#
# JAX 接收函数，返回函数。`jax.jit(f)` 是编译过的 `f`；`jax.vmap(f)` 是同时处理许多输入的 `f`；
# `jax.grad(f)` 是 `f` 的导数；`jax.make_jaxpr(f)` 列出 `f` 的各个运算。
# *pytree* 是里面放着数组的、任意嵌套的元组、列表和字典：`jax.tree.map` 对其中的每个数组做同样的事。


# %%
def square(x):
    return x * x


print(
    "jit ", jax.jit(square)(3.0), " vmap", jax.vmap(square)(jnp.arange(4.0)), " grad", jax.grad(square)(3.0)
)
print("tree", jax.tree.map(square, {"w": 2.0, "b": (3.0, 4.0)}))
assert jax.grad(square)(3.0) == 6

# %% [markdown] lang="en"
# ## A layer, written down operation by operation
#
# JAX can run a function without numbers and write down which operations it applies. The list is called a
# jaxpr. It has one operation a line, with the dtype and the shape of the result: `f32[128,512]` is a
# `float32` matrix. A dense layer, for 128 images at once, is a dot product (`dot_general`), a broadcast, an
# addition (`add`) and relu (`max`). There is nothing else in it.

# %% [markdown] lang="zh"
# ## 把一层写成一个个运算
#
# JAX 可以不用具体的数，就把一个函数运行一遍，把它用到的运算记下来，这份记录叫作 jaxpr。每一行是一个运算，
# 并写明结果的数据类型和形状：`f32[128,512]` 是一个 `float32` 矩阵。对 128 张图像，
# 一个 Dense 层就是一次点积（`dot_general`）、一次广播、一次加法（`add`）和一次 relu（`max`），再没有别的。


# %% tags=["S23", "S24", "S25", "S26"]
def layer(x, w, b):
    return jnp.maximum(x @ w + b, 0)


listing = jax.make_jaxpr(layer)(jnp.ones((128, 784)), jnp.ones((784, 512)), jnp.ones(512))
print(listing)
names = [equation.primitive.name for equation in listing.eqns]
assert names == ["dot_general", "broadcast_in_dim", "add", "max"]

# %% [markdown] lang="en"
# The whole network of the notes, without its softmax, computes nothing else; what else is listed moves
# numbers around and changes none. (This project's relu is a comparison and a choice: `le` and `select_n`.
# You see why below.)

# %% [markdown] lang="zh"
# 去掉 softmax，笔记里的整个两层网络也没有别的计算；其余几个（如 `transpose`）只是移动数，不改变数值。（这个项目的 relu 由一次比较和一次选择组成：`le` 和 `select_n`。
# 原因见下文。）

# %% tags=["S23"]
network = jn.layers.mlp(784, 512, 10)
params = network.init(jax.random.key(0))
graph = jn.jaxprs.trace(network.forward, params, jnp.ones((128, 784)))
used = {node.primitive for node in graph.nodes if hasattr(node, "primitive")}
print(sorted(used))
rearranging = {"broadcast_in_dim", "transpose", "reshape", "optimization_barrier"}
assert used - rearranging == {"dot_general", "add", "le", "select_n"}

# %% [markdown] lang="en"
# ## Element-wise operations
#
# Addition and relu are element-wise: they do the same to every entry, and no entry of the result depends on
# the neighbours. So it is enough to say what happens to **one number**. `jax.vmap` lifts a function of one
# number to a vector, and applied twice, to a matrix.

# %% [markdown] lang="zh"
# ## 逐元素运算
#
# 加法和 relu 是逐元素运算：对每个元素做同样的事，结果的一个元素和相邻的元素无关。
# 所以只要说清对**一个数**做什么就够了。`jax.vmap` 把处理一个数的函数提升为处理向量的函数；用两次，
# 就能处理矩阵。


# %% tags=["S25", "S26", "S27"]
def relu_of_a_number(a):
    return jnp.where(a > 0, a, 0.0)


relu = jax.vmap(jax.vmap(relu_of_a_number))
x = jnp.array([[-2.0, -0.5, 0.0], [0.5, 1.0, 3.0]])
print(relu(x))
np.testing.assert_array_equal(relu(x), np.maximum(x, 0))
np.testing.assert_array_equal(operations.add(x, x), np.add(x, x))

# %% [markdown] lang="en"
# Here is the test that an operation is element-wise. Change one entry, and see which entries of the result
# change. With relu it is at most that one. With a dot product it is a whole row.

# %% [markdown] lang="zh"
# 怎样检验一个运算是不是逐元素的？改一个元素，看结果里哪些元素变了。relu 最多变这一个；点积会变一整行。

# %% tags=["S27"]
moved = x.at[1, 2].add(10.0)
w = jnp.ones((3, 4))
print("relu", (relu(moved) != relu(x)).astype(int).tolist())
print("dot ", (moved @ w != x @ w).astype(int).tolist())
assert (relu(moved) != relu(x)).sum() == 1 and (moved @ w != x @ w).sum() == 4

# %% [markdown] lang="en"
# ### The slope of relu at 0
#
# Relu has a corner at 0 and no derivative there; to the left it is 0, to the right 1. A program has to take
# something. JAX's relu and the one of this project take 0. `jnp.maximum(x, 0)` gives 1/2, because at a tie
# `maximum` shares the derivative between its two arguments. A network seldom notices. A comparison of two
# implementations does.

# %% [markdown] lang="zh"
# ### relu 在 0 处的导数
#
# relu 在 0 处有一个折角，那里没有导数：左边是 0，右边是 1。程序总得取一个值。
# JAX 的 relu 和这个项目的 relu 都取 0。`jnp.maximum(x, 0)` 得到 1/2，因为两个参数相等时，
# `maximum` 把导数平分给它们。网络很少会受影响，但比较两个实现时，这个差别会显出来。

# %% tags=["S26"]
for name, f in (
    ("jax.nn.relu", jax.nn.relu),
    ("operations.relu", operations.relu),
    ("jnp.maximum(x, 0)", lambda a: jnp.maximum(a, 0.0)),
):
    print(f"{name:18} slope at -1, 0, 1:", [float(jax.grad(f)(a)) for a in (-1.0, 0.0, 1.0)])
assert jax.grad(operations.relu)(0.0) == 0

# %% [markdown] lang="en"
# ## Broadcasting
#
# To add a vector to every row of a matrix you need not repeat it yourself. The smaller tensor is broadcast,
# in two steps: it gets new axes in front, of length 1, until the ranks agree; then it is repeated along its
# axes of length 1 until the shapes agree.

# %% [markdown] lang="zh"
# ## 广播
#
# 要给矩阵的每一行加上同一个向量，不必自己把向量重复一遍。较小的张量会被广播，分两步：
# 先在前面添加长度为 1 的轴（广播轴），直到阶相同；再沿长度为 1 的轴重复，直到形状相同。

# %% tags=["S28"] alt="A vector of three entries becomes a matrix of one row, which is repeated four times and added to a matrix of four rows, box by box." alt_zh="有三个元素的向量变成一行的矩阵，重复四次，再与一个四行的矩阵逐格相加。"
x, y = np.arange(1, 13).reshape(4, 3), np.array([10, 20, 30])
pictures.show(drawings.broadcasting(x, y))

# %% tags=["S28"]
x, y = jnp.arange(320.0).reshape(32, 10), jnp.arange(10.0)
step_1 = operations.add_axes(y, rank=2)
step_2 = operations.repeat(step_1, (32, 10))
print(y.shape, "->", step_1.shape, "->", step_2.shape)
np.testing.assert_array_equal(x + step_2, x + y)
np.testing.assert_array_equal(step_2, np.broadcast_to(y, (32, 10)))

# %% [markdown] lang="en"
# The rule, for any two shapes: write them one below the other, aligned at the **last** axis. Two lengths
# fit if they are equal or if one of them is 1. An axis that is missing counts as 1.

# %% [markdown] lang="zh"
# 对任意两个形状，规则是：把它们上下对齐写好，以**最后**一个轴为准。两个长度相等，或者有一个是 1，就可以。
# 缺少的轴当作 1。

# %% tags=["S28"]
pairs = [((32, 10), (10,)), ((64, 3, 32, 10), (32, 10)), ((3, 1), (4,)), ((3, 2), (3,))]
for a, b in pairs:
    try:
        print(f"{a!s:16} {b!s:9} -> {operations.broadcast_shape(a, b)}")
        assert operations.broadcast_shape(a, b) == np.broadcast_shapes(a, b)
    except ValueError as error:
        print(f"{a!s:16} {b!s:9} -> {error}")

# %% [markdown] lang="en"
# Look at the third line. A column of 3 and a vector of 4 make a table of 12, and nobody asked whether you
# meant that. A loss that subtracts `(128, 1)` from `(128,)` averages over 16,384 differences, of which
# 128 are meant, without an error. JAX can refuse to add axes on its own:

# %% [markdown] lang="zh"
# 看第三行：3 行的一列和长度为 4 的向量，得到 12 个数的一张表，没有人问你是不是这个意思。
# 损失函数里用 `(128,)` 减去 `(128, 1)`，就会对 16,384 个错误的数取平均，而且不报错。
# 可以让 JAX 不许自动添加轴：

# %% tags=["S28"]
predictions, targets = jnp.zeros((128, 1)), jnp.zeros(128)
print("no error:", (predictions - targets).shape)
with jax.numpy_rank_promotion("raise"):
    try:
        predictions - targets
    except ValueError as error:
        print("ValueError:", str(error).split(". For")[0])

# %% [markdown] lang="en"
# "Repeat" is what it means, not what the machine does. Compiled, the repeated matrix is never made. A
# vector added to a matrix of 512 by 1024 needs no memory besides the operands and the result; a copy would
# be 2 MB.

# %% [markdown] lang="zh"
# “重复”说的是意思，机器并不真的这样做。编译之后，重复出来的矩阵根本不会生成。512×1024 的矩阵加一个向量，
# 除了操作数和结果，不需要别的内存；真的复制一份，要 2 MB。

# %% tags=["S28"]
shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((512, 1024), (1024,))]
memory = jax.jit(operations.add).lower(*shapes).compile().memory_analysis()
assert memory is not None and memory.temp_size_in_bytes < 20_000
print("extra memory:", memory.temp_size_in_bytes, "bytes; a copy:", 4 * 512 * 1024)

# %% [markdown] lang="en"
# Try shapes of your own. Type two of them, and follow broadcasting or the dot product step by step, or see
# which rule they break.

# %% [markdown] lang="zh"
# 换成你自己的形状试一试：输入两个形状，一步一步看广播或点积，或者看它们违反了哪条规则。

# %% tags=["S28", "S30"]
toys.play("shapes")

# %% [markdown] lang="en"
# ## The dot product
#
# Of two vectors of one length: multiply entry by entry, and add up.
#
# $$x \cdot y = \sum_i x_i y_i$$
#
# Everything else is this, many times. A matrix and a vector: once for each row. Two matrices: for each row
# of the first and each column of the second.

# %% [markdown] lang="zh"
# ## 点积
#
# 两个长度相同的向量：逐元素相乘，再求和。
#
# $$x \cdot y = \sum_i x_i y_i$$
#
# 其他情况都是把它做许多次。矩阵和向量：对每一行做一次。两个矩阵：对第一个的每一行和第二个的每一列做一次。


# %% tags=["S24", "S29"]
def dot(x, y):
    return jnp.sum(x * y)


matrix_vector = jax.vmap(dot, in_axes=(0, None))  # over the rows of x
matmul = jax.vmap(matrix_vector, in_axes=(None, 1), out_axes=1)  # and the columns of y
x, y = jnp.array([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]]), jnp.arange(12.0).reshape(3, 4)
print(matmul(x, y))
np.testing.assert_allclose(matmul(x, y), np.asarray(x) @ np.asarray(y))

# %% tags=["S31"] alt="A matrix of four rows and three columns to the left, one of three rows and five columns above, and their product: the entry in row 2 and column 2 is the marked row times the marked column." alt_zh="左边是四行三列的矩阵，上面是三行五列的矩阵，右下是它们的点积：第 2 行第 2 列的元素，等于标出的那一行乘标出的那一列。"
x, y = np.array([[1, 2, 0], [0, 1, 3], [2, 1, 4], [3, 0, 1]]), np.arange(15).reshape(3, 5) % 8
pictures.show(drawings.dot_product(x, y))

# %% [markdown] lang="en"
# ### What comes out is not always a vector
#
# The notes say that the dot product is mostly applied to two matrices and that the result is a vector. The
# first half is right. Of two matrices you get a **matrix**, as the notes themselves say one sentence later.
# A vector is what a matrix and a vector give, and two vectors give a single number. With more axes, the
# last axis of the first meets the first axis of the second, and both are gone.

# %% [markdown] lang="zh"
# ### 结果不一定是向量
#
# 笔记里写：点积“最常见的是应用于两个矩阵，得到的结果是向量”。前半句对，后半句不对：
# 两个矩阵的点积是**矩阵**，笔记自己在后面一句也是这么说的。矩阵和向量得到向量，两个向量得到一个数。
# 轴更多的时候，第一个张量的最后一个轴和第二个张量（向量或矩阵）的第一个轴相乘求和，这两个轴就消失了。

# %% tags=["S24", "S29"]
for kind, a, b in (
    ("vector . vector", (3,), (3,)),
    ("matrix . vector", (2, 3), (3,)),
    ("matrix . matrix", (2, 3), (3, 4)),
    ("tensor . matrix", (2, 3, 4, 5), (5, 6)),
):
    shape = operations.tensor_dot(jnp.ones(a), jnp.ones(b)).shape
    print(f"{kind}   {a!s:12} . {b!s:6} -> {shape}")
    assert shape == np.dot(np.ones(a), np.ones(b)).shape

# %% [markdown] lang="en"
# ### Not `*`, and not in any order
#
# `x * y` multiplies entry by entry; the shapes must be equal, or fit by broadcasting. `x @ y` wants
# `x.shape[1] == y.shape[0]`; the result has the shape `(x.shape[0], y.shape[1])`. In general `x @ y` and
# `y @ x` differ, even where both exist.

# %% [markdown] lang="zh"
# ### 点积不是 `*`，顺序也不能换
#
# ``x * y` 是逐元素乘积，两个形状要相同，或者可以广播。两个矩阵的 `x @ y` 要求 `x.shape[1] == y.shape[0]`，
# 结果的形状是 `(x.shape[0], y.shape[1])`。一般来说 `x @ y` 和 `y @ x` 不同，哪怕两个都能算。

# %% tags=["S30"]
x, y = jnp.array([[1, 2], [3, 4]]), jnp.array([[0, 1], [1, 0]])
for name, result in (("x * y", x * y), ("x @ y", x @ y), ("y @ x", y @ x)):
    print(name, result.tolist())
assert not jnp.array_equal(x @ y, y @ x)
np.testing.assert_array_equal(operations.loop_matmul(np.asarray(x), np.asarray(y)), x @ y)

# %% tags=["S30"]
for product in (jnp.matmul, operations.matmul):
    try:
        product(jnp.ones((128, 784)), jnp.ones((512, 10)))
    except (TypeError, ValueError) as error:
        print(f"{type(error).__name__}: {error}")

# %% [markdown] lang="en"
# ## What a Python loop costs
#
# The book writes these operations as Python loops first. Here are the loops of this project beside the
# functions lifted by `vmap`, and beside `jax.numpy`. The last two are compiled with `jax.jit`. The three
# results agree; the times do not.

# %% [markdown] lang="zh"
# ## Python 循环有多慢
#
# 书中先用 Python 循环写这些运算。下面把循环、用 `vmap` 提升的函数和 `jax.numpy` 放在一起，
# 后两种用 `jax.jit` 编译。三种写法的结果一致，时间却相差很多。


# %%
def microseconds(loop, lifted, library, *shapes):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape, np.float32) for shape in shapes]
    lifted, library = jax.jit(lifted), jax.jit(library)
    np.testing.assert_allclose(lifted(*arrays), loop(*arrays), rtol=1e-4, atol=1e-4)
    on_device = [jnp.asarray(array) for array in arrays]
    calls = [partial(loop, *arrays), partial(lifted, *on_device), partial(library, *on_device)]
    return [1e6 * t for t in benchmark.medians(*calls, rounds=5, calls=(1, 100, 100))]


# %% tags=["S27"]
ops = operations
costs = {
    "relu(x + y)": microseconds(
        lambda x, y: ops.loop_relu(ops.loop_add(x, y)),
        lambda x, y: ops.relu(ops.add(x, y)),
        lambda x, y: jnp.maximum(x + y, 0.0),
        *((20, 100), (20, 100)),
    )
}
print({name: [f"{t:,.0f}" for t in times] for name, times in costs.items()})

# %% [markdown] lang="en"
# That is the book's own demonstration, on matrices of 20 by 100. Now the others.

# %% [markdown] lang="zh"
# 这是书中的例子，20×100 的矩阵。再看其他几种。


# %% tags=["S27", "S28", "S30"]
def loop_add(x, y):
    return ops.loop_add(x, ops.loop_broadcast(y, x.shape))


costs["x + y, broadcast"] = microseconds(loop_add, ops.add, jnp.add, (32, 10), (10,))
costs["vector . vector"] = microseconds(ops.loop_dot, ops.dot, jnp.dot, (784,), (784,))
costs["matrix . vector"] = microseconds(ops.loop_matrix_vector, ops.matrix_vector, jnp.dot, (64, 784), (784,))
costs["matrix . matrix"] = microseconds(ops.loop_matmul, ops.matmul, jnp.dot, (64, 784), (784, 10))
for name, (loop, lifted, library) in costs.items():
    print(
        f"{name:18} loop {loop:9,.0f} µs, lifted {lifted:5,.0f}, jax.numpy {library:5,.0f}: {loop / lifted:6,.0f} x"
    )
assert costs["matrix . matrix"][0] > 20 * costs["matrix . matrix"][1]

# %% tags=["S27"] alt="Microseconds of five operations on a logarithmic axis: the bar of the Python loop is the longest in each." alt_zh="五种运算各用多少微秒（对数坐标）：每一种里，Python 循环的那一条都最长。"
figure = pictures.new(8.0, 3.2)
axes = figure.subplots()
ways = (
    ("Python loop", palette.VERMILION, "//"),
    ("lifted by vmap", palette.BLUE, ""),
    ("jax.numpy", palette.FAINT, ".."),
)
for k, (name, colour, hatch) in enumerate(ways):
    places = np.arange(len(costs)) + 0.27 * k
    style = {"facecolor": colour, "hatch": hatch, "edgecolor": palette.WHITE, "label": name}
    axes.barh(places, [times[k] for times in costs.values()], 0.25, **style)
axes.set(xscale="log", xlabel="microseconds", yticks=np.arange(len(costs)) + 0.27, yticklabels=list(costs))
axes.invert_yaxis()
axes.legend()
pictures.show(figure)

# %% [markdown] lang="en"
# The loop says what to do and also in which order. `vmap` says only what to do, so a compiler may do it for
# many entries at a time. Small arrays mostly pay for the call.

# %% [markdown] lang="zh"
# 循环除了说做什么，还规定了先后顺序。`vmap` 只说做什么，所以编译器可以一次处理许多元素。数组很小的时候，时间主要花在调用上。

# %% [markdown] lang="en"
# ## Reshape
#
# Reshaping gives the same entries another shape. Read row by row, their order stays what it was. This is
# how an image becomes a row of 784 features.

# %% [markdown] lang="zh"
# ## 张量变形
#
# 变形就是把同样的元素排成另一个形状。逐行读下来，顺序不变。一张图像就是这样变成 784 个特征的一行。

# %% tags=["S32"]
x = jnp.array([[0, 1], [2, 3], [4, 5]])
print(x.shape, x.tolist())
for shape in ((6, 1), (2, 3)):
    print(shape, operations.reshape(x, shape).tolist())
    np.testing.assert_array_equal(operations.reshape(x, shape), np.reshape(x, shape))
print(jnp.zeros((600, 28, 28), jnp.uint8).reshape(600, 28 * 28).shape)

# %% [markdown] lang="en"
# ## A transpose is not a reshape
#
# The notes call the transpose a special reshape. It has the *shape* of one: `(3, 2)` becomes `(2, 3)`. But
# it changes the order of the entries, which a reshape keeps. Whoever reshapes where a transpose is meant
# gets no error and the wrong matrix.

# %% [markdown] lang="zh"
# ## 转置不是变形
#
# 笔记把转置叫作一种特殊的张量变形。从*形状*看是这样：`(3, 2)` 变成 `(2, 3)`。但转置会改变元素的顺序，
# 变形不会。该用转置的地方用了变形，不会报错，只会得到错误的矩阵。

# %% tags=["S33"] alt="Three tables with the numbers 0 to 5. Reshaped from three rows to two, the numbers still run 0 1 2 3 4 5 row by row. Transposed, they run 0 2 4 1 3 5." alt_zh="三张表，都是 0 到 5。变形之后逐行读还是 0 1 2 3 4 5；转置之后逐行读是 0 2 4 1 3 5。"
x = np.arange(6).reshape(3, 2)
pictures.show(drawings.rearranged(x, {"x": x, "x.reshape(2, 3)": x.reshape(2, 3), "x.T": x.T}))

# %% tags=["S33"]
reshaped, transposed = operations.reshape(jnp.asarray(x), (2, 3)), operations.transpose(jnp.asarray(x))
print("reshape  ", reshaped.tolist())
print("transpose", transposed.tolist())
print(operations.transpose(jnp.ones((300, 20))).shape)
np.testing.assert_array_equal(transposed, x.T)
assert reshaped.shape == transposed.shape and not jnp.array_equal(reshaped, transposed)

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** In `layer`, replace `x @ w + b` by `x @ (w + b)`. Predict: does it still run, and is the result the
# same?
#
# <details><summary>Answer</summary>
#
# It runs, since `(784, 512) + (512,)` broadcasts. The result is another one: each entry of `b` is now added
# to 784 weights, and is multiplied by the sum of the pixels.
#
# </details>

# %% [markdown] lang="zh"
# ## 练习
#
# **1.** 在 `layer` 里把 `x @ w + b` 换成 `x @ (w + b)`。预测一下：还能运行吗？结果一样吗？
#
# <details><summary>答案</summary>
#
# 能运行，因为 `(784, 512) + (512,)` 可以广播。结果不一样：`b` 的每个元素现在加到了 784 个权重上，
# 于是要乘以所有像素之和。
#
# </details>

# %% [markdown] lang="en"
# **2.** `y` has the shape `(32,)` and `x` has `(32, 10)`. You want to add `y[i]` to all of row `i`. `x + y`
# fails. What do you write?
#
# <details><summary>Answer</summary>
#
# `x + y[:, None]`. Broadcasting adds axes in front only, so `(32,)` would become `(1, 32)`, and 32 does not
# fit 10. With `None` you add the axis yourself, behind: `(32, 1)`.
#
# </details>

# %% [markdown] lang="zh"
# **2.** `y` 的形状是 `(32,)`，`x` 的形状是 `(32, 10)`。想把 `y[i]` 加到第 `i` 行的每个元素上。
# `x + y` 会报错，该怎么写？
#
# <details><summary>答案</summary>
#
# `x + y[:, None]`。广播只在前面添加轴，`(32,)` 会变成 `(1, 32)`，而 32 和 10 不匹配。
# 用 `None` 可以自己在后面加一个轴：`(32, 1)`。
#
# </details>

# %% [markdown] lang="en"
# **3.** How many multiplications are in the dot product of `(128, 784)` and `(784, 512)`? And in `(x @ w) @
# v` against `x @ (w @ v)`, with `v` of the shape `(512, 10)` and `x` with a single row?
#
# <details><summary>Answer</summary>
#
# 128 · 784 · 512 = 51,380,224: the sum has 784 terms for each of 128 · 512 entries. For one row, `(x @ w) @
# v` takes 784 · 512 + 512 · 10 = 406,528 and `x @ (w @ v)` takes 784 · 512 · 10 + 784 · 10 = 4,021,920. The
# results are equal up to rounding, the work is not.
#
# </details>

# %% [markdown] lang="zh"
# **3.** `(128, 784)` 和 `(784, 512)` 的点积要做多少次乘法？如果 `v` 的形状是 `(512, 10)`，`x` 只有一行，
# `(x @ w) @ v` 和 `x @ (w @ v)` 各要多少次？
#
# <details><summary>答案</summary>
#
# 128 · 784 · 512 = 51,380,224 次：结果有 128 · 512 个元素，每个是 784 项之和。只有一行时，
# `(x @ w) @ v` 要 784 · 512 + 512 · 10 = 406,528 次，
# `x @ (w @ v)` 要 784 · 512 · 10 + 784 · 10 = 4,021,920 次。除了舍入误差，结果相等，计算量不等。
#
# </details>

# %% [markdown] lang="en"
# **4.** Predict `x.T.reshape(3, 2)` for the `x` of the last cell. Is it `x`?
#
# <details><summary>Answer</summary>
#
# `[[0, 2], [4, 1], [3, 5]]`. It has the shape of `x` and is not `x`. The transpose put the entries into the
# order 0 2 4 1 3 5, and reshaping keeps that order. Only `x.T.T` is `x` again.
#
# </details>

# %% [markdown] lang="zh"
# **4.** 对上面最后一个单元格里的 `x``，预测 `x.T.reshape(3, 2)`。它等于 `x` 吗？
#
# <details><summary>答案</summary>
#
# `[[0, 2], [4, 1], [3, 5]]`。形状和 `x` 一样，但不是 `x`。转置把元素排成了 0 2 4 1 3 5，变形保持这个顺序。
# 只有 `x.T.T` 才又是 `x`。
#
# </details>
