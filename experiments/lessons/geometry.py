# %% [markdown] lang="en"
# # Geometry
#
# Two numbers are a point in the plane, and 784 numbers are a point in a space of 784 dimensions. So whatever
# a network computes moves points. This lesson says which moves there are, which of them deserve the name
# linear, why layers without relu are one layer, and how layers with relu take apart two classes that no line
# separates.

# %% [markdown] lang="zh"
# # 几何
#
# 两个数是平面上的一个点，784 个数是 784 维空间中的一个点。所以网络的计算就是移动点。
# 这一课讲有哪些移动方式，其中哪些才叫线性变换，为什么没有 relu 的多层等于一层，
# 以及有 relu 的层怎样把任何直线都分不开的两类点分开。

# %%
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import jaxnaive as jn
from jaxnaive import geometry, manifold, pictures
from jaxnaive.command import compile_cache
from jaxnaive.pages import toys
from jaxnaive.pictures import drawings, palette

compile_cache.use()  # what JAX compiles is kept for the next time

# %% [markdown] lang="en"
# ## Entries are coordinates
#
# Here is a letter as a tensor. Each `#` becomes a row with two entries, its two coordinates: a matrix of
# shape (points, 2). All that follows is done to such matrices.

# %% [markdown] lang="zh"
# ## 元素就是坐标
#
# 下面把一个字母写成张量。每个 `#` 成为矩阵的一行，两个元素就是它的两个坐标，矩阵的形状是（点数, 2）。
# 后面的一切都是对这样的矩阵做运算。

# %% tags=["S34"]
drawn = "######## ######## ##...... ##...... ######.. ######.. ##...... ##...... ##...... ##......"
lines = list(enumerate(reversed(drawn.split())))
print("\n".join(drawn.split()))
letter = jnp.array([(x / 8, y / 8) for y, line in lines for x, mark in enumerate(line) if mark == "#"])
print(letter.shape, "first points:", letter[:3].tolist())

# %% [markdown] lang="en"
# ## Translation adds a vector
#
# Adding the vector $B$ to a point $A$ moves the point by $B$. Added to the matrix, $B$ is broadcast: every
# point moves by the same vector, and the figure keeps its form.

# %% [markdown] lang="zh"
# ## 平移就是加一个向量
#
# 给点 $A$ 加上向量 $B$，点就移动了 $B$。与矩阵相加时，$B$ 会被广播：每个点都移动同一个向量，图形的形状不变。

# %% tags=["S35", "S34"]
a, b = jnp.array([0.5, 1.0]), jnp.array([1.0, 0.25])
print("A + B =", a + b)
moved = letter + b
assert (a + b).tolist() == [1.5, 1.25]
assert np.ptp(np.asarray(moved - letter), axis=0).max() < 1e-6  # the same for every point

# %% tags=["S35"] alt="The letter F made of grey points, and the same letter in blue, further to the right and a little higher. Orange arrows lead from the origin to A, from there by B to A + B." alt_zh="灰色点组成的字母 F，右上方是同样的蓝色字母。橙色箭头从原点到 A，再经过 B 到 A + B。"
figure = pictures.new(5, 3.2)
axes = figure.subplots()
axes.plot(*letter.T, ".", color=palette.BEFORE, label="before")
axes.plot(*moved.T, ".", color=palette.AFTER, label="after adding B")
arrow = {"arrowstyle": "->", "color": palette.VERMILION, "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
for name, start, end, at in (
    ("A", 0 * a, a, (0.27, 0.7)),
    ("B", a, a + b, (0.66, 1.12)),
    ("A + B", 0 * a, a + b, (0.45, 0.17)),
):
    axes.annotate("", end, start, arrowprops=arrow)
    axes.text(*at, name, fontsize=13)
axes.set(aspect="equal", xlim=(-0.1, 3.0), xlabel="$x_0$", ylabel="$x_1$")
axes.legend(loc="right")
pictures.show(figure)

# %% [markdown] lang="en"
# ## Rotation multiplies by a matrix
#
# To rotate the plane counter-clockwise by the angle $\theta$, multiply by
#
# $$R = \begin{pmatrix} \cos\theta & -\sin\theta \\ \sin\theta & \cos\theta \end{pmatrix}$$
#
# In this formula a point is a column. In data a point is a row, so there it is `points @ R.T`.

# %% [markdown] lang="zh"
# ## 旋转就是乘一个矩阵
#
# 要把平面逆时针旋转 $\theta$ 角，乘以
#
# $$R = \begin{pmatrix} \cos\theta & -\sin\theta \\ \sin\theta & \cos\theta \end{pmatrix}$$
#
# 这个公式里点是一列；而在数据里点是一行，所以写成 `points @ R.T`。


# %% tags=["S36"]
def rotation(angle):
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.array([[cos, -sin], [sin, cos]])


turned = letter @ rotation(jnp.pi / 2).T
print("(1, 0) goes to", (rotation(jnp.pi / 2) @ jnp.array([1.0, 0.0])).round(3) + 0)
lengths, before = jnp.linalg.norm(turned, axis=1), jnp.linalg.norm(letter, axis=1)
print("largest change of a length:", f"{jnp.abs(lengths - before).max():.0e}")

# %% [markdown] lang="en"
# Two rotations in a row are one, by the sum of the angles. And a second opinion: multiplying the complex
# number $x + iy$ by $e^{i\theta}$ rotates it too.

# %% [markdown] lang="zh"
# 接连做两次旋转等于做一次，角度相加。再换一种算法核对：复数 $x + iy$ 乘以 $e^{i\theta}$ 也是旋转。

# %% tags=["S36"]
apart = rotation(0.3) @ rotation(0.4) - rotation(0.7)
print(f"R(0.3) R(0.4) and R(0.7) differ by {jnp.abs(apart).max():.0e}")
by_complex = (np.asarray(letter) @ [1, 1j]) * np.exp(1j * np.pi / 2)
np.testing.assert_allclose(turned, np.column_stack([by_complex.real, by_complex.imag]), atol=1e-5)
assert jnp.abs(apart).max() < 1e-6
np.testing.assert_allclose(lengths, before, atol=1e-5)

# %% [markdown] lang="en"
# ## Scaling, which the notes leave out
#
# A diagonal matrix stretches each coordinate by a factor of its own. A matrix with 1 on the diagonal and one
# other entry shears: it moves a point sideways in proportion to its height. The package has all these maps.
# Each is a pair of a matrix and an offset, for $x \mapsto A x + t$.

# %% [markdown] lang="zh"
# ## 笔记里没有的缩放
#
# 对角矩阵把每个坐标各乘一个倍数，这是缩放。对角线上是 1、另有一个元素不为 0 的矩阵产生剪切：
# 点向旁边移动，移动量与高度成正比。`这些变换 `jaxnaive` 里都有，每个都由一个矩阵和一个偏移组成：$x \mapsto A x + t$。

# %% tags=["S37", "S36", "S35"]
maps = {
    "rotation by 30 degrees": geometry.rotation(np.pi / 6),
    "scaling by 1.5 and 0.5": geometry.scaling(jnp.array([1.5, 0.5])),
    "shear by 0.5": geometry.shear(0.5),
    "translation by (1, 0.5)": geometry.translation(jnp.array([1.0, 0.5])),
}
for name, f in maps.items():
    matrix = np.asarray(f.matrix, np.float64).round(2).tolist()
    print(f"{name:24} matrix {matrix!s:28} offset {f.offset.tolist()}")

# %% tags=["S34", "S35", "S36", "S37"] alt="Four panels with a square grid and the letter F, in grey before and in blue after a map: turned, stretched to the side and flattened, slanted, and moved as it is. In all but the last the origin stays where it was." alt_zh="四幅图，灰色是变换前的方格和字母 F，蓝色是变换后的：旋转、横向拉长并压扁、倾斜、整体移动。除最后一幅外，原点都没有动。"
pictures.show(drawings.maps(maps))

# %% [markdown] lang="en"
# ## What linear means
#
# A map is linear if it keeps sums and multiples: for all points $x$, $y$ and all numbers $a$, $b$
#
# $$f(a x + b y) = a f(x) + b f(y)$$
#
# The notes say that a product with any matrix is linear, which is right, and that the translation and the
# rotation above are examples. The translation is not. No 2 × 2 matrix does it alone, and it breaks the law:
# $f(x + y)$ is $x + y + t$, but $f(x) + f(y)$ is $x + y + 2t$. The book's examples are rotation and scaling.

# %% [markdown] lang="zh"
# ## 什么叫线性
#
# 如果一个变换保持加法和数乘，它就是线性的：对所有的点 $x$、$y$ 和所有的数 $a$、$b$，都有
#
# $$f(a x + b y) = a f(x) + b f(y)$$
#
# 笔记说，与任意矩阵做点积都是线性变换，这是对的；又说“上面的平移和旋转就是线性变换”，其中平移不是。
# 平移不是乘一个矩阵，也不满足这个等式：$f(x + y)$ 是 $x + y + t$，而 $f(x) + f(y)$ 是 $x + y + 2t$。
# 书中举的例子是旋转和缩放。

# %% tags=["S37"]
x, y = jnp.array([1.0, 0.2]), jnp.array([0.3, 0.9])
for name, f in maps.items():
    of_sum = geometry.apply(f, 2 * x - 3 * y)
    sum_of = 2 * geometry.apply(f, x) - 3 * geometry.apply(f, y)
    gap = float(jnp.abs(of_sum - sum_of).max())
    left, right = ("({:5.2f}, {:5.2f})".format(*point) for point in (of_sum, sum_of))
    print(f"{name:24} f(2x - 3y) = {left}   2f(x) - 3f(y) = {right}   gap {gap:.0e}")
    assert (gap < 1e-5) == (not f.offset.any())  # linear exactly when nothing is added

# %% tags=["S37"] alt="Two panels. Under a rotation, f(x + y) and f(x) + f(y) are the same point. Under a translation they are two points, and the second lies further away by the vector of the translation." alt_zh="两幅图。旋转时，f(x + y) 与 f(x) + f(y) 是同一个点；平移时它们是两个点，相差的正是平移的向量。"
figure = pictures.new(8, 3.2)
for axes, name in zip(
    figure.subplots(1, 2), ("rotation by 30 degrees", "translation by (1, 0.5)"), strict=True
):
    fx, fy, fxy = (geometry.apply(maps[name], point) for point in (x, y, x + y))
    for text, point in (("f(x)", fx), ("f(y)", fy)):
        axes.plot(*point, "o", color=palette.MUTED)
        axes.annotate(text, point + 0.06)
    axes.plot(*fxy, "o", color=palette.BLUE, markersize=11, label="f(x + y)")
    axes.plot(*(fx + fy), "x", color=palette.VERMILION, markersize=11, markeredgewidth=3, label="f(x) + f(y)")
    axes.set(title=name, xlim=(-0.5, 4), ylim=(-0.2, 2.6), aspect="equal", xlabel="$x_0$", ylabel="$x_1$")
    axes.plot(0, 0, "+", color=palette.BLACK)
    axes.legend(loc="lower right")
pictures.show(figure)

# %% [markdown] lang="en"
# A quick test: a linear map leaves the origin where it is, since $f(0) = f(0 \cdot x) = 0 \cdot f(x) = 0$. A
# translation moves it, so it is not linear. (A map that leaves it there need not be linear: relu does.)
#
# And whatever is linear is a product with a matrix. The columns of the matrix are the places to which the
# unit vectors go.

# %% [markdown] lang="zh"
# 一个快速的检验：线性变换不移动原点，因为 $f(0) = f(0 \cdot x) = 0 \cdot f(x) = 0$。平移会移动原点，
# 所以不是线性的。（反过来不成立：relu 也不移动原点，却不是线性的。）
#
# 反过来，线性变换都是与某个矩阵做点积。矩阵的各列就是各个单位向量的像。

# %% tags=["S37"]
for name, f in maps.items():
    print(f"{name:24} the origin goes to", geometry.apply(f, jnp.zeros(2)))
f = maps["shear by 0.5"]
columns = jnp.column_stack([geometry.apply(f, unit) for unit in jnp.eye(2)])
derivatives = jax.jacobian(lambda point: geometry.apply(f, point))(jnp.ones(2))
assert (columns == f.matrix).all() and (derivatives == f.matrix).all()

# %% [markdown] lang="en"
# ## Affine: linear, and then a translation
#
# $x \mapsto A x + t$ is called affine. It breaks the law too, but it keeps every weighted mean: with $a + b = 1$
# the law holds, since $a t + b t = t$. So lines stay lines, and parallels stay parallel.

# %% [markdown] lang="zh"
# ## 仿射：先线性变换，再平移
#
# $x \mapsto A x + t$ 叫作仿射变换。它也不满足线性的等式，但保持系数之和为 1 的组合（例如平均）：当 $a + b = 1$ 时等式成立，
# 因为两份偏移合起来正好是一份。所以直线仍是直线，平行的仍然平行。

# %% tags=["S38", "S37"]
affine = geometry.compose(maps["translation by (1, 0.5)"], maps["rotation by 30 degrees"])
for name, f in {**maps, "affine": affine}.items():
    gaps = [
        float(jnp.abs(geometry.linearity_gap(lambda p, f=f: geometry.apply(f, p), x, y, a, b)).max())
        for a, b in ((2.0, -3.0), (4.0, -3.0))
    ]
    verdict = "linear" if gaps[0] < 1e-5 else "affine, not linear" if gaps[1] < 1e-5 else "neither"
    print(f"{name:24} gap for 2, -3: {gaps[0]:5.2f}   for 4, -3: {gaps[1]:5.2f}   {verdict}")
    assert gaps[1] < 1e-5

# %% [markdown] lang="en"
# The order matters. Turn and then move, or move and then turn: the letter ends at different places, because
# the second rotation turns the offset too.

# %% [markdown] lang="zh"
# 顺序很重要。先旋转再平移，与先平移再旋转，字母停在不同的地方，因为后一种情形里偏移也被旋转了。

# %% tags=["S38"] alt="The letter F turned by 90 degrees and then moved to the right; beside it the letter moved to the right and then turned, which ends above the origin." alt_zh="字母 F 先旋转 90 度再向右移；旁边是先向右移再旋转，最后停在原点上方。"
turn, move = geometry.rotation(np.pi / 2), geometry.translation(jnp.array([1.5, 0.0]))
both = {"turn, then move": geometry.compose(move, turn), "move, then turn": geometry.compose(turn, move)}
pictures.show(drawings.maps(both))
for name, f in both.items():
    print(f"{name}: offset {(f.offset.round(3) + 0).tolist()}")

# %% [markdown] lang="en"
# A trick turns an affine map into a matrix after all. Give each point one more coordinate, always 1, and the
# offset becomes a column of the matrix. Graphics cards use it.

# %% [markdown] lang="zh"
# 有一个办法能把仿射变换也写成矩阵：给每个点添一个恒为 1 的坐标，偏移就成为矩阵的一列。显卡就是这样做的。

# %% tags=["S38"]
with_one = jnp.column_stack([letter, jnp.ones(len(letter))])
print(geometry.homogeneous(affine).round(2))
by_matrix = with_one @ geometry.homogeneous(affine).T
np.testing.assert_allclose(by_matrix[:, :2], geometry.apply(affine, letter), atol=1e-5)

# %% [markdown] lang="en"
# ## A dense layer without activation is affine
#
# A dense layer computes $x W + b$. Points are rows, so its $W$ is our matrix transposed; its $b$ is the
# offset. A layer with 784 inputs and 10 units is an affine map from a space of 784 dimensions to one of 10.

# %% [markdown] lang="zh"
# ## 没有激活函数的 Dense 层是仿射变换
#
# Dense 层计算 $x W + b$。点是行，所以它的 $W$ 是上面的矩阵的转置，它的 $b$ 就是偏移。
# 一个有 784 个输入、10 个单元的层，是从 784 维空间到 10 维空间的仿射变换。

# %% tags=["S39"]
layer = jn.layers.dense(784, 10)
params = layer.init(jax.random.key(0))
images = jax.random.uniform(jax.random.key(1), (5, 784))
f = geometry.of_dense(params)
print("matrix", f.matrix.shape, "offset", f.offset.shape)
np.testing.assert_allclose(layer.forward(params, images), geometry.apply(f, images), atol=1e-5)
np.testing.assert_allclose(layer.forward(params, images), images @ params["w"] + params["b"], atol=1e-5)

# %% [markdown] lang="en"
# ## Any number of affine layers are one
#
# Put the first layer into the second and multiply out:
#
# $$(x W_1 + b_1) W_2 + b_2 = x (W_1 W_2) + (b_1 W_2 + b_2)$$
#
# That is one layer again. Repeat it, and a chain of any length is one layer.

# %% [markdown] lang="zh"
# ## 再多仿射层也等于一层
#
# 把第一层代入第二层，展开：
#
# $$(x W_1 + b_1) W_2 + b_2 = x (W_1 W_2) + (b_1 W_2 + b_2)$$
#
# 这又是一层。反复这样做，任意长的一串都等于一层。

# %% tags=["S40"]
chain = jn.layers.sequential(*(jn.layers.dense(*sizes) for sizes in ((784, 64), (64, 32), (32, 10))))
first, second, third = params = chain.init(jax.random.key(0))
w, b = first["w"], first["b"]
for layer in (second, third):
    w, b = w @ layer["w"], b @ layer["w"] + layer["b"]
print(f"{jn.layers.count(params):,} numbers became {w.size + b.size:,}")
np.testing.assert_allclose(images @ w + b, chain.forward(params, images), atol=1e-5)
np.testing.assert_allclose(w, geometry.collapse(params)["w"], atol=1e-5)

# %% [markdown] lang="en"
# ### They learn no more than one
#
# If three layers are one layer, they can learn no more than one. Here three networks are trained from the
# same data, twice each: one dense layer, three without relu, and the same three with relu in between. On
# MNIST the first two get about 92 % of the test images right. With relu it is 96 to 97 % after these few
# epochs, and the wider network of the notes reaches 97.8 %. The small digits of scikit-learn do not show
# it: one layer recognises nearly all of them.

# %% [markdown] lang="zh"
# ### 它们学到的也不比一层多
#
# 既然三层等于一层，三层能学到的就不会比一层多。下面用同样的数据训练三个网络，每个训练两次：一个 Dense 层；
# 没有 relu 的三层；同样的三层，中间加上 relu。在 MNIST 上，前两个大约答对 92% 的测试图像；加上 relu，
# 训练这么几轮就有 96% 到 97%，书中更宽的网络换一种训练方法，能到 97.8%。scikit-learn 的小图像看不出这个差别：
# 一层就几乎全能认出来。

# %%
dataset = jn.data.load()
inputs, classes = dataset.num_features, len(dataset.class_names)
dense, sizes = jn.layers.dense, ((inputs, 128), (128, 64), (64, classes))
networks = {
    "one dense layer": dense(inputs, classes),
    "three, no relu": jn.layers.sequential(*(dense(*size) for size in sizes)),
    "three, with relu": jn.layers.mlp(inputs, 128, 64, classes),
}

# %% tags=["S40", "S41"]
epochs = jn.job.epochs_for(1400, len(dataset.train.labels), 128, at_least=3)
print(f"{dataset.name}, {epochs} epochs: test accuracy of two runs")
trained, accuracy = {}, {}
for name, network in networks.items():
    recipe = jn.training.Recipe(network, jn.optimizers.nesterov(0.02))
    runs = [jn.training.train(jax.random.key(seed), dataset.train, recipe, epochs)[0] for seed in range(2)]
    accuracy[name] = [float(jn.training.evaluate(run, dataset.test, recipe).accuracy) for run in runs]
    trained[name] = runs[0]
    print(f"{name:18}", *(f"{a:.3f}" for a in accuracy[name]))

# %% tags=["S40"]
one, three, relu = map(np.mean, accuracy.values())
single = geometry.collapse(trained["three, no relu"])
logits = jn.training.predict(trained["three, no relu"], dataset.test.images, networks["three, no relu"])
collapsed = jn.training.predict(single, dataset.test.images, networks["one dense layer"])
print(f"the trained three, collapsed into one: logits differ by {jnp.abs(logits - collapsed).max():.0e}")
assert jnp.abs(logits - collapsed).max() < 1e-3
assert abs(three - one) < 0.015
assert relu > max(one, three) + 0.03 or dataset.name != "mnist"

# %% [markdown] lang="en"
# ## Relu stops the collapse
#
# Relu is neither linear nor affine: the law fails even where $a + b = 1$. So layers with relu in between do
# not become one. What relu does can be seen. A dense layer with two units moves the plane. Then relu sets
# negative coordinates to 0: it presses three quarters of the plane onto the two axes and their corner.
# Straight lines get corners.

# %% [markdown] lang="zh"
# ## relu 使多层不再等于一层
#
# relu 既不是线性的，也不是仿射的：即使 $a + b = 1$，等式也不成立。所以中间有 relu 的层不能合成一层。
# relu 的作用可以画出来。有两个单元的 Dense 层移动平面，然后 relu 把负的坐标变成 0：
# 平面的四分之三被压到两条坐标轴和它们的交点上，直线有了折角。

# %% tags=["S41"]
shear, relu = maps["shear by 0.5"], jn.layers.relu
gap = geometry.linearity_gap(lambda p: relu(geometry.apply(shear, p)), x, y, 4.0, -3.0)
print("gap with relu, for 4 and -3:", gap.round(2))
assert jnp.abs(gap).max() > 0.1

# %% tags=["S41"] alt="Three panels of a square grid: as it is, turned by a dense layer, and after relu. After relu only the upper right quarter is left as it was, and all other lines lie on its two edges." alt_zh="三幅方格图：原样、经过 Dense 层旋转之后、再经过 relu 之后。relu 之后只有右上四分之一保持不变，其余的线都落在它的两条边上。"
grid = geometry.grid_lines(-1, 1, 9)
turned = geometry.apply(geometry.rotation(np.pi / 6), grid)
stages = {"the plane": grid, "dense layer": turned, "relu": relu(turned)}
figure = pictures.new(9, 3)
for axes, (title, lines) in zip(figure.subplots(1, 3), stages.items(), strict=True):
    for n, line in enumerate(lines):
        axes.plot(*line.T, linewidth=1.2, **palette.LINES[n // 9])
    axes.set(title=title, xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal", xlabel="$x_0$", ylabel="$x_1$")
pictures.show(figure)

# %% [markdown] lang="en"
# ### What this is good for
#
# A classifier without relu divides the plane by one straight line, however many layers it has. Two moons
# need a bent one. Put relu between the same layers, and the border can bend wherever a unit of relu goes
# from 0 to more.

# %% [markdown] lang="zh"
# ### 这有什么用
#
# 没有 relu 的分类器，不管有多少层，都只能用一条直线划分平面。两个月牙需要一条弯的分界线。
# 在同样的层之间加上 relu，凡是某个单元由 0 变为正数的地方，分界线都可以转弯。

# %%
moons, dense = manifold.moons(jax.random.key(0), 400), jn.layers.dense
networks = {
    "one layer": dense(2, 2),
    "three, no relu": jn.layers.sequential(dense(2, 16), dense(16, 16), dense(16, 2)),
    "three, with relu": jn.layers.mlp(2, 16, 16, 2),
}


def difference(network, params, points):
    logits = network.forward(params, points)
    return logits[:, 1] - logits[:, 0]  # positive where the network says 1


# %% tags=["S41"] alt="The two moons three times, on the regions of the two classes. One layer and three layers without relu divide them by a straight line through both moons; three layers with relu divide them by a bent line between the moons." alt_zh="三幅两个月牙的图，底色是网络判断的类别。一层以及没有 relu 的三层用一条直线划分，直线穿过两个月牙；有 relu 的三层用一条弯曲的线从两个月牙之间分开。"
panels, accuracy = {}, {}
for name, network in networks.items():
    recipe = jn.training.Recipe(network, jn.optimizers.nesterov(0.05), batch_size=50)
    params, _ = jn.training.train(jax.random.key(1), moons, recipe, epochs=40)
    accuracy[name] = float(jn.training.evaluate(params, moons, recipe).accuracy)
    for_class_1 = partial(difference, network, params)
    panels[f"{name}: {accuracy[name]:.1%} right"] = for_class_1, np.asarray(moons.images)
pictures.show(drawings.regions(panels, np.asarray(moons.labels)))
assert accuracy["three, with relu"] > 0.97 > 0.92 > max(accuracy["one layer"], accuracy["three, no relu"])

# %% [markdown] lang="en"
# All the functions that the weights of a network can make are its hypothesis space. Without activations this
# space holds affine maps only, whatever the depth. With relu it grows with every layer.
#
# Play with the plane: turn, scale, shear and move it, watch the law, and let layers collapse until relu
# stops them.

# %% [markdown] lang="zh"
# 网络的权重取遍所有的值，能得到的全部函数就是它的假设空间。没有激活函数，不管多深，
# 假设空间里都只有仿射变换；有了 relu，每加一层，假设空间就更丰富。
#
# 可以自己试：旋转、缩放、剪切、平移这个平面，看线性的等式是否成立；再让几层合成一层，直到 relu 不让它们合并。

# %% tags=["S34", "S37", "S40", "S41"]
outline = [[0, 0], [0, 6], [4, 6], [4, 5], [1, 5], [1, 3.5], [3, 3.5], [3, 2.5], [1, 2.5], [1, 0]]
toys.play("plane", points=[[x / 3 - 0.6, y / 3 - 1] for x, y in outline])

# %% [markdown] lang="en"
# ## A crumpled manifold, smoothed out
#
# A manifold is a continuous surface in space, such as a sheet of paper. The images of one digit lie close
# to such a surface, and those of the ten digits are crumpled into one another, like ten sheets in one
# ball. The notes call a network a complicated geometric transformation that finds a simple form for them.
# It is made of simple ones: each layer moves, stretches and folds.
#
# In the plane this can be watched. Two spirals are interleaved, and no line separates them. A network with
# three hidden layers of 16 units learns to tell them apart. Each hidden layer is drawn on the two directions
# in which its outputs spread most. The number above each picture is the accuracy of a **linear** classifier that sees
# only this layer's output, on points that are new to it.

# %% [markdown] lang="zh"
# ## 展开揉成一团的流形
#
# 流形是空间中一个连续的表面，例如一张纸。同一个数字的图像大致位于一个这样的表面上，
# 十个数字的表面互相折叠，就像十张纸揉成一团。笔记说，神经网络可以解释为高维空间中非常复杂的几何变换，
# 为这些流形找到简洁的表示。复杂的变换由简单的组成：每一层平移、拉伸、折叠。
#
# 在平面上可以亲眼看到。两条螺旋线互相缠绕，没有直线能把它们分开。一个有三个隐藏层、每层 16 个单元的网络学习区分它们。
# 每个隐藏层的输出画在它伸展得最开的两个方向上。图上的百分数是一个**线性**分类器的准确率：
# 它只看这一层的输出，用的是它没见过的点。

# %% tags=["S42"]
key_train, key_test, key = jax.random.split(jax.random.key(0), 3)
train, test = manifold.spirals(key_train, 1000), manifold.spirals(key_test, 1000)
film = manifold.watch(key, train, test)
print(f"{'epoch':>5}  input  layer 1  layer 2  layer 3")
for epoch, row in zip(manifold.EPOCHS, film.accuracy, strict=True):
    print(f"{epoch:5}  {row[0]:5.2f}{row[1]:9.2f}{row[2]:9.2f}{row[3]:9.2f}")

# %% [markdown] lang="en"
# Read a column from top to bottom: training makes every hidden layer easier to separate. Read one of the
# later lines from left to right: the deeper the layer, the easier. The input stays what it is.

# %% [markdown] lang="zh"
# 竖着看：训练使两类点在每个隐藏层里越来越容易分开。横着看靠后的几行：层越深，越容易分开。输入则一直是原来的样子。

# %%
first, last = film.accuracy[0], film.accuracy[-1]
assert (film.accuracy[:, 0] == first[0]).all() and first.max() < 0.75
assert last[1] > 0.9 and last[2:].min() > 0.97

# %% tags=["S42"] alt="Four rows for epochs 0, 4, 10 and 100, and four columns for the input and three hidden layers. The input is two interleaved spirals in every row. In the last row the hidden layers show the two classes pulled apart, in the third layer into two separate groups." alt_zh="四行是第 0、4、10、100 轮，四列是输入和三个隐藏层。输入在每一行都是两条缠绕的螺旋线。最后一行里，各隐藏层把两类点拉开，第三层里已成为分开的两团。"
rows = []
for row, epoch in enumerate(manifold.EPOCHS):
    if epoch in (0, 4, 10, 100):
        words = [f"{name}, epoch {epoch}" for name in ("input", "layer 1", "layer 2", "layer 3")]
        titles = [f"{name}\nlinear: {a:.0%}" for name, a in zip(words, film.accuracy[row], strict=True)]
        shown = zip(titles, film.points, film.grids, strict=True)
        rows.append([drawings.Plane(title, np.asarray(p[row]), np.asarray(g[row])) for title, p, g in shown])
pictures.show(drawings.manifold(rows, np.asarray(train.labels)))

# %% [markdown] lang="en"
# Move through epochs and layers yourself.

# %% [markdown] lang="zh"
# 可以自己在各轮、各层之间切换。

# %% tags=["S42"]
points = np.stack([p[:, :120] for p in film.points], axis=1).astype(np.float64).round(3)
accuracy, labels = np.asarray(film.accuracy, np.float64).round(3), train.labels[:120]
numbers = {"points": points, "classes": labels, "accuracy": accuracy}
toys.play(
    "manifold", epochs=list(manifold.EPOCHS), **{name: array.tolist() for name, array in numbers.items()}
)

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** Set the vector of the translation to (0, 0). What does the law say now?
#
# <details><summary>Answer</summary>
#
# It holds: this translation moves nothing, so it is the product with the identity matrix. Every other
# translation moves the origin, and breaks the law.
#
# </details>
#
# **2.** Does it matter whether you rotate first or scale first? Try the factors 1.5 and 0.5, and then 1.5
# and 1.5.
#
# <details><summary>Answer</summary>
#
# With different factors it does: products of matrices depend on the order. With equal factors it does not,
# since the plane is stretched equally in every direction: the matrix is 1.5 times the identity.
#
# </details>
#
# **3.** Train a chain without relu whose first layer has only 2 units: `dense(inputs, 2)` and
# `dense(2, classes)`. Is it as good as one layer?
#
# <details><summary>Answer</summary>
#
# No. It still collapses into one layer, but into a worse one: every image becomes a point in a plane, and
# the product of the two matrices has rank 2. On MNIST it gets about 68 % right. Affine layers can lose; they
# cannot gain.
#
# </details>
#
# **4.** Watch the spirals with `hidden=(16,)`, and then with `hidden=(2, 2, 2)`. Which separates them better?
#
# <details><summary>Answer</summary>
#
# One layer with 16 units reaches 97 %; three layers with 2 units stay below 70 %. Two units can bend the
# plane and press it flat, but never lift it: in a plane the two spirals stay interleaved. In 16 dimensions
# there is room to pull them apart.
#
# </details>

# %% [markdown] lang="zh"
# ## 练习
#
# **1.** 把平移的向量改成 (0, 0)。线性的等式还成立吗？
#
# <details><summary>答案</summary>
#
# 成立。这个平移什么也没有移动，就是与单位矩阵做点积。其他的平移都会移动原点，等式都不成立。
#
# </details>
#
# **2.** 先旋转还是先缩放，结果一样吗？先试倍数 1.5 和 0.5，再试 1.5 和 1.5。
#
# <details><summary>答案</summary>
#
# 倍数不同时不一样：矩阵的乘积与顺序有关。倍数相同时一样，因为各个方向上都拉伸得同样多，
# 它的矩阵是单位矩阵的 1.5 倍。
#
# </details>
#
# **3.** 训练一个没有 relu、第一层只有 2 个单元的网络：`dense(inputs, 2)` 和 `dense(2, classes)`。它和一层一样好吗？
#
# <details><summary>答案</summary>
#
# 不如一层。它仍然等于一层，但是更差的一层：每张图像都要先变成平面上的一个点，两个矩阵的乘积的秩只有 2。
# 在 MNIST 上大约答对 68%。仿射层可能丢失信息，却不会带来新的能力。
#
# </details>
#
# **4.** 用 `hidden=(16,)` 观察螺旋线，再用 `hidden=(2, 2, 2)`。哪一个分得更好？
#
# <details><summary>答案</summary>
#
# 一层 16 个单元达到 97%；三层、每层 2 个单元不到 70%。两个单元只能弯折、压扁平面，不能把它提起来：
# 在平面里，两条螺旋线始终缠绕在一起。在 16 维空间里才有地方把它们拉开。
#
# </details>
