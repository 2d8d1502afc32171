# %% [markdown] lang="en"
# # Backpropagation
#
# To make a loss smaller, one has to know how fast it grows with each of the network's weights.
# Backpropagation finds all of these slopes in one walk from the loss back to the weights. This lesson
# builds it in ten lines, watches it work, and compares it with JAX's own.

# %% [markdown] lang="zh"
# # 反向传播
#
# 要减小损失，先要知道损失随每一个权重变化得有多快。反向传播从损失出发往回走一遍，就得到全部这些斜率。
# 这一课用十行代码实现它，看它怎样工作，再与 JAX 自己的结果比较。

# %%
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import jaxnaive as jn
from jaxnaive import pictures
from jaxnaive.command import benchmark, compile_cache
from jaxnaive.graph import Operation, Output
from jaxnaive.jaxprs import trace
from jaxnaive.job import make_schedule
from jaxnaive.pages import toys
from jaxnaive.pictures import diagrams, palette

compile_cache.use()  # what JAX compiles is kept for the next time

# %% [markdown] lang="en"
# ## A computation as a graph
#
# The book's example is the smallest network there is: one weight `w`, one bias `b`, one input `x`, and the
# loss $|y_{true} - (x \cdot w + b)|$. JAX can run the function on stand-ins for the numbers and write down
# what it does to them. The list is a graph: each line is a node, and each number behind "of" is an edge
# to it. Every node
# takes only from nodes above it, so the graph has a direction and no cycle.

# %% [markdown] lang="zh"
# ## 计算是一张图
#
# 书中的例子是最小的网络：一个权重 `w`，一个偏置 `b`，一个输入 `x`，损失是 $|y_{true} - (x \cdot w + b)|$。
# JAX 可以拿占位的值把函数运行一遍，并记下对它们做了哪些运算。这份清单就是计算图：每一行是一个节点，
# “of”后面的每个数是指向它的一条边。每个节点只用到排在它上面的节点，所以图有方向，而且没有环：它是有向无环图。


# %% tags=["S60"]
def loss(x, w, b, y_true):
    return jnp.abs(y_true - (x * w + b))


numbers = (2.0, 3.0, 1.0, 4.0)
example = trace(loss, *numbers)
print(jn.graph.to_text(example))

# %%
for place, node in enumerate(example.nodes):
    assert all(operand.node < place for operand in node.operands)

# %% [markdown] lang="en"
# ## The graph is data
#
# A program can read the graph, for it is a list of nodes. The loop below computes what the function
# computes. Later another loop will compute something new from the same list: the gradient. `to_mermaid`
# writes the graph in a language that GitHub and many editors draw.

# %% [markdown] lang="zh"
# ## 图是数据
#
# 计算图不过是一串节点，程序可以读它。下面的循环算出函数本身的值；再往下的循环从同一串节点算出新的东西：
# 梯度。“将计算看作数据”就是这个意思。`to_mermaid` 把图写成 GitHub 和许多编辑器都能画出来的语言。


# %% tags=["S61"]
def forward(graph, *inputs):
    values = list(inputs)
    for node in graph.nodes[len(inputs) :]:
        values.append(node.apply(*[values[operand.node] for operand in node.operands])[0])
    return values


values = forward(example, *numbers)
for node, value in zip(example.nodes, values, strict=True):
    print(f"{node.name:8}{value:g}")
assert values[-1] == loss(*numbers)

# %%
print(jn.graph.to_mermaid(example))

# %% [markdown] lang="en"
# ## One rule for each operation
#
# Write $g$ for how fast the loss grows with the output of a node. How fast does it grow with the operands?
# That depends on the operation alone, and each has a short rule. For a product $a \cdot b$, the loss
# grows with $a$ at the rate $g \cdot b$. For a sum $a + b$, it grows with both at the rate $g$.

# %% [markdown] lang="zh"
# ## 每种运算一条规则
#
# 用 $g$ 表示损失随一个节点的输出变化得有多快。那么损失随它的操作数变化得有多快？这只取决于这个运算，
# 每种运算都有一条很短的规则。对于 $a \cdot b$，损失随 $a$ 变化的速度是 $g \cdot b$；对于 $a + b$，
# 损失随两者变化的速度都是 $g$。

# %%
rules = {
    "mul": lambda g, a, b: (g * b, g * a),
    "add": lambda g, a, b: (g, g),
    "sub": lambda g, a, b: (g, -g),
    "abs": lambda g, a: (g * jnp.sign(a),),
}

# %% [markdown] lang="en"
# ## The walk backwards
#
# Start at the loss, which grows with itself at the rate 1. Take the nodes from the last to the first, and
# ask the rule of each. Where a value is used more than once, add. That is all of backpropagation.

# %% [markdown] lang="zh"
# ## 往回走
#
# 从损失开始：它对自己的变化率是 1。从最后一个节点走到第一个，在每个节点用它的规则；
# 一个值被用了不止一次时，把各处得到的数相加。反向传播的全部内容就是这些。


# %% tags=["S63"]
def backward(graph, values):
    slopes = {graph.outputs[0].node: 1.0}
    for place in reversed(range(len(graph.nodes))):
        node = graph.nodes[place]
        if isinstance(node, Operation) and place in slopes:
            operands = [operand.node for operand in node.operands]
            found = rules[node.name](slopes[place], *[values[operand] for operand in operands])
            for operand, slope in zip(operands, found, strict=True):
                slopes[operand] = slopes.get(operand, 0) + slope
    return slopes


slopes = backward(example, values)
for place, node in enumerate(example.nodes):
    print(f"{node.name:8}{values[place]:4g}   d loss / d {node.name:7} = {slopes[place]:g}")

# %%
expected = jax.grad(loss, argnums=(0, 1, 2, 3))(*numbers)
assert [slopes[place] for place in range(4)] == list(expected)
assert slopes[1] == 2 and slopes[2] == 1  # the book's numbers, for w and b

# %% [markdown] lang="en"
# The package has the same walk, with about a hundred rules. Where it has none, it asks JAX how the outputs of
# the operation move when its operands do, and walks back along that; `tests/primitives.md` lists what is done
# with each operation. `diagrams.backprop` draws the walk for any function of yours that returns one number. Here
# it draws the book's example. Above each edge is the value, in grey; below it is how fast the loss grows with
# it, in bold red. `distance` is a function of its own, so that the picture has the book's nodes. In pictures `add`
# is + and `mul` is ×; with `names=jn.graph.label` they have JAX's names.

# %% [markdown] lang="zh"
# `jaxnaive` 里有同样的反向遍历，带有大约一百条规则。没有规则的运算，就问 JAX：操作数变动时输出怎样变动，
# 再沿着这个线性函数往回走；`tests/primitives.md` 列出了每种运算的处理方式。只要你的函数返回一个数，
# `diagrams.backprop` 就能画出它的反向传播。下面画的是书中的例子：
# 边上方的灰字是流过的值，下方的红色粗体字是损失随它变化得有多快。`distance` 单独写成一个函数，这样图中的节点就与书中的相同。
# 图中把 `add` 写成 +，`mul` 写成 ×；加上 `names=jn.graph.label` 就显示 JAX 的名称。


# %%
@jax.jit
def distance(y_true, y):
    return jnp.abs(y_true - y)


def is_opened(call):
    return call.primitive == "jit" and call.name not in ("distance", "relu", "cross_entropy")


# %% tags=["S63"] alt="The graph of the book's example: x = 2 and w = 3 make 6, with b = 1 it is 7, and its distance to 4 is 3. In red below the edges back from the loss: 1 on the three edges from distance to b, 3 for x, 2 for w." alt_zh="书中例子的计算图：x = 2 与 w = 3 相乘得 6，加 b = 1 得 7，与 4 的距离是 3；从损失往回的每条边下方用红字标着导数，到 b 为止都是 1，x 是 3，w 是 2。"
def book_loss(x, w, b, y_true):
    return distance(y_true, x * w + b)


pictures.show(diagrams.backprop(book_loss, *numbers, to_the_right=True, opened=is_opened))

# %% [markdown] lang="en"
# Play with it: change the numbers or the expression, and walk forwards and backwards one step at a time.

# %% [markdown] lang="zh"
# 可以自己试：改变数或表达式，一步一步地向前算、往回走。

# %% tags=["S63", "S64"]
toys.play("graph", expression="abs(y_true - (x * w + b))", leaves={"x": 2, "w": 3, "b": 1, "y_true": 4})

# %% [markdown] lang="en"
# ## The chain rule: multiply along a path, add the paths
#
# From `w` there is one path to the loss, over the product and the sum. The slopes of its edges are 2, 1 and
# 1, and their product is 2: raise `w` by 0.01, and the loss rises by about 0.02.

# %% [markdown] lang="zh"
# ## 链式法则：沿路径相乘，各路径相加
#
# 从 `w` 到损失只有一条路径，经过乘法、加法和 `distance`。路径上各条边的导数是 2、1、1，乘积是 2：`w` 增加 0.01，
# 损失大约增加 0.02。

# %% tags=["S64"]
book = trace(book_loss, *numbers, opened=is_opened)
book_values = jn.graph.evaluate(book, *numbers)
for place, name in enumerate(("x", "w", "b", "y_true")):
    for path in jn.walk.paths(book, book_values, Output(place)):
        way = " > ".join([name, *(book.nodes[node].name for node, _ in path.edges)])
        print(f"{way:28}{' * '.join(f'{slope:g}' for slope in path.slopes):>10} = {path.product:g}")

# %% [markdown] lang="en"
# In $x \cdot x + x$ there are three ways from $x$ to the result: through either factor, and through the
# term. At $x = 3$ they give 3, 3 and 1. So the gradient is 7, as $2x + 1$ says.

# %% [markdown] lang="zh"
# 在 $x \cdot x + x$ 中，从 $x$ 到结果有三条路径：经过两个因子各一条，经过加项一条。
# 在 $x = 3$ 处它们分别给出 3、3、1，所以梯度是 7，与 $2x + 1$ 相符。

# %% tags=["S64"]
two_uses = trace(lambda x: x * x + x, 3.0)
paths = jn.walk.paths(two_uses, jn.graph.evaluate(two_uses, 3.0), Output(0))
products = [path.product for path in paths]
print(" + ".join(f"{product:g}" for product in products), "=", f"{sum(products):g}")
assert sum(products) == backward(two_uses, forward(two_uses, 3.0))[0] == 7

# %% [markdown] lang="en"
# A graph can have as many paths as 2 to the power of its depth. The walk never lists them: it adds where
# they meet, and so takes each edge once. That is the whole difference between the chain rule and
# backpropagation.

# %% [markdown] lang="zh"
# 深度为 $n$ 时，路径可以多达 $2^n$ 条。往回走的时候并不列出它们：路径相遇处先相加，所以每条边只走一次。
# 链式法则与反向传播的区别就在这里。


# %% tags=["S64"]
def deep(x):
    for _ in range(7):
        x = x * 0.5 + x * 0.5
    return x


graph = trace(deep, 1.0)
deep_values = jn.graph.evaluate(graph, 1.0)
print(f"{len(jn.walk.paths(graph, deep_values, Output(0))):,} paths,", end=" ")
print(f"{len(jn.walk.backward(graph, deep_values, [1.0]).edges)} edges")

# %% [markdown] lang="en"
# ## The network of the notes as a graph
#
# The second figure of the notes is the graph of a model with two layers. Here it is drawn from the code:
# $x$, two matrices, two biases, and the loss of a batch, with the shape of every value. `relu` and
# `cross_entropy` stay one node each.

# %% [markdown] lang="zh"
# ## 笔记中的网络的计算图
#
# 笔记的图表 2 是双层模型的计算图。这里直接由代码画出：$x$、两个矩阵、两个偏置，以及一个批量的损失，
# 每条边上写着值的形状。`relu` 和 `cross_entropy` 各自保持为一个节点。

# %%
dataset = jn.data.load()
inputs, classes = dataset.num_features, len(dataset.class_names)
relu, cross_entropy = jax.jit(jn.layers.relu), jax.jit(jn.losses.cross_entropy)
model = jn.layers.sequential(jn.layers.dense(inputs, 512, relu), jn.layers.dense(512, classes))
params = model.init(jax.random.key(0))
x = jn.batches.as_features(dataset.train.images[:128])
y = jnp.asarray(dataset.train.labels[:128])
print(f"{dataset.name}: {jn.layers.count(params):,} weights")


# %% tags=["S62"] alt="The graph of the network's loss: the images and w of layer 1 go into dot, then plus b, relu, dot with w of layer 2, plus b, cross entropy with the labels, and the mean; each edge has the shape of its value." alt_zh="网络损失的计算图：图像与第 1 层的 w 做点积，加 b，经过 relu，与第 2 层的 w 做点积，加 b，再与标签算交叉熵并取平均；每条边上写着值的形状。"
def network_loss(layer1, layer2, x, y):
    return cross_entropy(model.forward((layer1, layer2), x), y).mean()


network = trace(network_loss, *params, x, y, opened=is_opened)
pictures.show(diagrams.draw(network, title="The loss of a batch of 128: the shape of every value"))

# %% [markdown] lang="en"
# ## One gradient for each weight array
#
# The notes ask whether the result is a list with one gradient for each entry of `model.weights`. Yes: in
# the same order and shapes. In JAX the gradients come in the same structure as the parameters, so nothing
# has to be lined up.

# %% [markdown] lang="zh"
# ## 每个权重数组一个梯度
#
# 笔记问：输出的 gradients 是不是一个列表，每个元素对应 `model.weights` 中的一个权重？是的，
# 顺序和形状都相同。在 JAX 中，梯度的结构与参数的结构相同，不需要自己去对应。

# %% tags=["S86", "S61"]
by_hand = jax.jit(jn.backprop.grad(network_loss, argnums=(0, 1)))(*params, x, y)
by_jax = jax.jit(jax.grad(network_loss, argnums=(0, 1)))(*params, x, y)
for layer, (ours, theirs) in enumerate(zip(by_hand, by_jax, strict=True)):
    for name in ours:
        apart = jnp.abs(ours[name] - theirs[name]).max() / jnp.abs(theirs[name]).max()
        print(f"layer {layer + 1}  {name}  {ours[name].shape!s:12} from JAX's: {apart:.0e}")
        assert ours[name].shape == params[layer][name].shape and apart < 1e-5

# %% [markdown] lang="en"
# ## What is GradientTape?
#
# The notes ask this of TensorFlow. A tape records the operations on Variables while the `with` block runs,
# which makes the graph of this lesson; `tape.gradient` is the walk backwards along it. In JAX no tape
# stands in the code. One hands over a function and gets another function, which returns the loss and its
# gradient.

# %% [markdown] lang="zh"
# ## GradientTape 是什么？
#
# 这是笔记里关于 TensorFlow 的提问。“磁带”记录 `with` 块运行时对 Variable 做的运算，得到的就是这一课的计算图；
# `tape.gradient` 就是沿着它往回走。在 JAX 的代码里没有磁带：交出一个函数，得到另一个函数，
# 它返回损失和梯度。

# %% tags=["S83", "S65"]
value, gradients = jax.value_and_grad(network_loss, argnums=(0, 1))(*params, x, y)
print(f"loss {value:.3f}; gradients:", jax.tree.map(jnp.shape, gradients))
assert jax.tree.structure(gradients) == jax.tree.structure(params)

# %% [markdown] lang="en"
# ## A real step, edge by edge
#
# The same picture as for the book's example, with a batch of 128 digits. Each edge has the mean and the
# spread of the values that flow forwards (above, grey) and of the gradients that flow back (below, bold red).
# Labels have no gradient: they are not floats.

# %% [markdown] lang="zh"
# ## 真实的一步，逐条边看
#
# 与书中例子同样的图，这次是 128 张数字图像的批量。
# 每条边上写着向前流动的值（上，灰色）和往回流动的梯度（下，红色粗体）的平均值与标准差。标签没有梯度：它们不是浮点数。

# %% tags=["S62", "S63"] alt="The graph of the network's loss with the mean and standard deviation of the values, in grey, and below them of the gradients, in bold red, on every edge." alt_zh="网络损失的计算图，每条边上用灰字写着值的均值与标准差，下面用红色粗体字写着梯度的均值与标准差。"
title = "Mean ± deviation; above: of the values; below, bold: of the gradients"
pictures.show(diagrams.backprop(network_loss, *params, x, y, title=title, opened=is_opened))

# %% [markdown] lang="en"
# relu's gradient is 0 wherever its output is 0: what did not pass forwards gets no blame backwards.

# %% [markdown] lang="zh"
# relu 的输出为 0 的地方，梯度也是 0：前向没有通过的值，反向也得不到梯度。

# %% tags=["S63"]
step_values = jn.graph.evaluate(network, *jax.tree.leaves((*params, x, y)))
step = jn.walk.backward(network, step_values, [jnp.ones([])])
place = next(place for place, node in enumerate(network.nodes) if node.name == "relu")
into_relu, out_of_relu = step.edges[place, 0], step_values[place][0]
zeros = [float((array == 0).mean()) for array in (out_of_relu, into_relu)]
print("zeros: {:.0%} of relu's values, {:.0%} of its gradients".format(*zeros))
assert (into_relu[out_of_relu == 0] == 0).all()

# %% [markdown] lang="en"
# ## Training with it
#
# A recipe may name its own `value_and_grad`. A hundred steps with ours and with JAX's have the same loss
# curve.

# %% [markdown] lang="zh"
# ## 用它来训练
#
# 配方（`Recipe`）里可以指定 `value_and_grad`。用我们自己的和用 JAX 的各训练一百步，损失曲线相同。

# %% tags=["S61"] alt="The loss of a hundred training steps with backpropagation by hand and with JAX's: the two curves lie on each other." alt_zh="分别用自己实现的反向传播和 JAX 的反向传播训练一百步的损失：两条曲线重合。"
recipe = jn.training.Recipe(model, jn.optimizers.nesterov(0.1), cross_entropy)
some, _ = jn.splits.split(dataset.train, 12_800)
epochs = 100 // jn.batches.num_batches(len(some.labels), 128)
curves = {}
for name, value_and_grad in (("JAX", jax.value_and_grad), ("by hand", jn.backprop.value_and_grad)):
    own = recipe._replace(value_and_grad=value_and_grad)
    curves[name] = jn.training.train(jax.random.key(0), some, own, epochs)[1].loss.ravel()
figure = pictures.new(6, 3)
axes = figure.subplots()
axes.plot(curves["JAX"], linewidth=4, color=palette.FAINT, label="jax.value_and_grad")
axes.plot(curves["by hand"], linewidth=1, color=palette.VERMILION, label="backprop.value_and_grad")
axes.set(xlabel="step", ylabel="loss of the batch")
axes.legend()
pictures.show(figure)
assert np.abs(curves["JAX"] - curves["by hand"]).max() < 1e-3

# %% [markdown] lang="en"
# ## What it saves
#
# Without derivatives one would have to try each weight alone: a little higher, a little lower, and a
# forward pass for each. For the book's network of 407,050 weights these are 814,100 passes for one step.
# The gradient costs less than three. Here 100 of the weights are really tried; for all of them the time is
# extrapolated.

# %% [markdown] lang="zh"
# ## 它省下了什么
#
# 没有导数，就只能用控制变量法逐个试权重：调高一点，调低一点，各做一次前向传播。
# 书中的网络有 407,050 个权重，一步就要 814,100 次前向传播；而求一次梯度只相当于几次。
# 下面真的试 100 个权重，全部权重所需的时间由此推算。

# %% tags=["S51"]
places = np.linspace(0, jn.layers.count(params) - 1, 100).astype(int)
tried = jax.jit(
    lambda params, x, y: jn.descent.one_at_a_time(lambda p: network_loss(p[0], p[1], x, y), params, places)
)
flat, _ = ravel_pytree(by_jax)
print(f"largest difference: {np.abs(tried(params, x, y) - flat[places]).max():.0e}")
np.testing.assert_allclose(tried(params, x, y), flat[places], atol=2e-3)

# %% tags=["S51"]
pass_forward = jax.jit(network_loss)
gradient = jax.jit(jn.backprop.value_and_grad(network_loss, argnums=(0, 1)))
forwards, backwards, hundred = benchmark.medians(
    lambda: pass_forward(*params, x, y),
    lambda: gradient(*params, x, y),
    lambda: tried(params, x, y),
    rounds=5, calls=(10, 10, 1),
)  # fmt: skip
all_of_them = hundred / 100 * jn.layers.count(params)
print(f"loss: {1e3 * forwards:.1f} ms; loss and gradient: {1e3 * backwards:.1f} ms")
print(
    f"each weight alone: {all_of_them:,.0f} s, {all_of_them / backwards:,.0f} times as long as the gradient"
)
assert backwards < 20 * forwards and all_of_them > 100 * backwards

# %% [markdown] lang="en"
# ## A convolutional network
#
# A dense layer does not know which pixels are neighbours. A convolution takes a small window of the image
# and its dot with a few kernels of the same size, and does the same at every place of the image. So an edge
# is found by the same weights wherever it is. `jn.operations.convolution` is that dot, mapped over the places
# by `vmap`. The network has two such layers and, on what they find, a dense network.

# %% [markdown] lang="zh"
# ## 卷积网络
#
# 密集层不知道哪些像素彼此相邻。卷积取图像的一个小窗口，让它与几个同样大小的卷积核做点积，
# 并在图像的每个位置上做同样的事。所以一条边缘无论在哪里，都由同样的权重找到。
# `jn.operations.convolution` 就是这个点积，用 `vmap` 映射到所有位置。
# 这个网络有两个这样的层，它们的输出再交给一个密集网络。

# %%
side = dataset.train.images.shape[1]
width, stride = (5, 2) if side == 28 else (3, 1)  # of a window; from one to the next


def convolutional(side, channels, kernels):
    def init(key):
        w = jn.layers.he_normal(key, (width * width * channels, kernels))
        return {"w": w.reshape(width, width, channels, kernels), "b": jnp.zeros(kernels)}

    def forward(params, x):
        images = x.reshape(-1, side, side, channels)
        maps = jax.vmap(lambda image: jn.operations.convolution(image, params["w"], stride))(images)
        return jn.layers.relu(maps + params["b"]).reshape(len(x), -1)

    return jn.layers.Layer(init, forward)


places = (side - width) // stride + 1  # of a window, in each direction
two = convolutional(side, 1, 32), convolutional(places, 32, 64)
cnn = jn.layers.sequential(*two, jn.layers.mlp(4 * 4 * 64, 128, classes))

# %% [markdown] lang="en"
# The first layer has few weights, as it uses the same at every place. A dense layer with as many outputs
# needs one for each pair of a pixel and an output.

# %% [markdown] lang="zh"
# 第一层的权重很少，因为每个位置用的都是同样的权重。输出一样多的密集层，对每一对像素和输出都需要一个权重。

# %%
cnn_params = cnn.init(jax.random.key(0))
as_dense = jn.layers.count(jax.eval_shape(jn.layers.dense(inputs, places**2 * 32).init, jax.random.key(0)))
print(f"first layer: {jn.layers.count(cnn_params[0]):,} weights, as a dense layer {as_dense:,}")
print(f"all: {jn.layers.count(cnn_params):,} weights, the dense network {jn.layers.count(params):,}")
assert jn.layers.count(cnn_params[0]) < as_dense / 200

# %% [markdown] lang="en"
# The walk needs nothing new for it. The graph has slices and dots, and their rules are there.

# %% [markdown] lang="zh"
# 反向传播不需要为它添加任何东西：计算图里是切片和点积，它们的规则已经有了。


# %% tags=["S61"]
def cnn_loss(cnn_params):
    return cross_entropy(cnn.forward(cnn_params, x), y).mean()


by_hand, by_jax = (jax.jit(grad(cnn_loss))(cnn_params) for grad in (jn.backprop.grad, jax.grad))
apart = jax.tree.map(lambda a, b: jnp.abs(a - b).max() / jnp.abs(b).max(), by_hand, by_jax)
print(f"largest difference from JAX's: {max(jax.tree.leaves(apart)):.0e}")
assert max(jax.tree.leaves(apart)) < 1e-4

# %% [markdown] lang="en"
# It is trained on the images and on copies of them, moved by one pixel in all eight directions: they show
# the same digits. (`np.roll` brings back on one side what leaves on the other. In MNIST that is almost
# always black.) On MNIST one epoch of these is enough for 99 %. The recipe was chosen on images held out of
# the training set.

# %% [markdown] lang="zh"
# 训练用的是原图，以及向八个方向各移动一个像素的副本：数字还是同样的数字。
# （`np.roll` 把从一边移出的像素放回另一边；在 MNIST 中它们几乎总是黑的。）
# 在 MNIST 上，把这些图像看一遍就足以达到 99 %。这份配方是用从训练集中留出的图像选定的。

# %% tags=["S61"]
epochs, promised = (1, 0.99) if side == 28 else (6, 0.97)
shifts = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
moved = jn.batches.Examples(
    np.concatenate([np.roll(dataset.train.images, shift, axis=(1, 2)) for shift in shifts]),
    np.tile(dataset.train.labels, len(shifts)),
)
rate = make_schedule("one-cycle", 0.003, epochs * jn.batches.num_batches(len(moved.labels), 64))
recipe = jn.training.Recipe(
    cnn, jn.optimizers.adam(rate), batch_size=64, value_and_grad=jn.backprop.value_and_grad
)
cnn_params, _ = jn.training.train(jax.random.key(0), moved, recipe, epochs)
accuracy = jn.training.evaluate(cnn_params, dataset.test, recipe).accuracy
print(f"accuracy on the test set: {accuracy:.2%}")
assert accuracy >= promised

# %% [markdown] lang="en"
# ## Nobody has to write it
#
# Today `jax.grad` does all this. A gradient is a function like any other, so it has a gradient too. The
# first is the slope. The second is how fast the slope changes: the curvature. The notes (and the book) say
# that a gradient describes the curvature nearby; what it describes is the slope.

# %% [markdown] lang="zh"
# ## 现在不需要自己写
#
# 今天这些都由 `jax.grad` 完成。梯度也是一个函数，所以它还可以再求梯度：一阶的是斜率，
# 二阶的是斜率变化的快慢，也就是曲率。笔记（和书）说梯度反映的是附近的“曲率”；它反映的其实是斜率。

# %% tags=["S65", "S52"]
fall = lambda t: 4.9 * t**2  # noqa: E731  the metres that a stone falls in t seconds
for grad in (jax.grad, jn.backprop.grad):
    print(f"2x + 3: {grad(lambda x: 2 * x + 3)(5.0):g};  ", end="")
    print(f"4.9 t² at 1: slope {grad(fall)(1.0):.3g}, curvature {grad(grad(fall))(1.0):.3g}")
    assert grad(lambda x: 2 * x + 3)(5.0) == 2 and abs(grad(grad(fall))(1.0) - 9.8) < 1e-6

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** Set `y_true` to 10 in the book's example. What is the gradient with respect to `w`?
#
# <details><summary>Answer</summary>
#
# −2. The output 7 is now too small, so the loss falls when `w` grows. The edge from `add` into `distance`
# gets −1, and that from `y_true` gets 1. So all four gradients change their sign.
#
# </details>
#
# **2.** Replace `slopes.get(operand, 0) + slope` by `slope`. For which of this lesson's functions is the
# result still right?
#
# <details><summary>Answer</summary>
#
# For all in which each value is used once, such as the book's example. For $x \cdot x + x$ it gives 3
# instead of 7: only the last of the three paths that arrive counts.
#
# </details>
#
# **3.** Add a rule for `tanh`, and differentiate `jnp.tanh(x * w)` with your walk.
#
# <details><summary>Answer</summary>
#
# `rules["tanh"] = lambda g, a: (g * (1 - jnp.tanh(a) ** 2),)`. At `x = 2`, `w = 0` the gradient by `w` is
# 2, since tanh has the slope 1 at 0. Compare with `jax.grad`.
#
# </details>
#
# **4.** Start the network with weights that are all 0. Which gradients are 0?
#
# <details><summary>Answer</summary>
#
# All but that of the last bias. The hidden units are relu of 0, so the last matrix gets no gradient; and
# what flows back to the first layer is multiplied by the last matrix, which is 0.
#
# </details>

# %% [markdown] lang="zh"
# ## 练习
#
# **1.** 把书中例子的 `y_true` 改成 10。损失对 `w` 的梯度是多少？
#
# <details><summary>答案</summary>
#
# −2。现在输出 7 太小了，`w` 变大时损失变小。进入 `distance` 的那条边上是 −1 而不是 1，
# 从它再往回的所有导数都变号。
#
# </details>
#
# **2.** 把 `slopes.get(operand, 0) + slope` 换成 `slope`。对这一课的哪些函数，结果仍然正确？
#
# <details><summary>答案</summary>
#
# 对书中的例子仍然正确，因为那里每个值只用了一次。对 $x \cdot x + x$ 则得到 3 而不是 7：
# 三条路径中只有最后到达的那条算数。
#
# </details>
#
# **3.** 给 `tanh` 加一条规则，用自己写的 `backward` 求 `jnp.tanh(x * w)` 的导数。
#
# <details><summary>答案</summary>
#
# `rules["tanh"] = lambda g, a: (g * (1 - jnp.tanh(a) ** 2),)`。在 `x = 2`、`w = 0` 处对 `w` 的梯度是 2，
# 因为 tanh 在 0 处的斜率是 1。可以与 `jax.grad` 比较。
#
# </details>
#
# **4.** 让网络的权重全部从 0 开始。哪些梯度是 0？
#
# <details><summary>答案</summary>
#
# 除了最后一层的偏置，全部是 0。隐藏单元是 relu(0)，所以最后的矩阵得不到梯度；
# 流回第一层的量要乘以最后的矩阵，而它是 0。
#
# </details>
