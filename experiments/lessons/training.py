# %% [markdown] lang="en"
# # The training loop and gradient descent
#
# A network begins with random weights and knows nothing. Training changes them a little at a time until the
# loss is small. This lesson takes the loop apart, finds out which of its four steps is the hard one, and
# measures what the learning rate and the batch size do.

# %% [markdown] lang="zh"
# # 训练循环与梯度下降
#
# 网络一开始只有随机的权重，什么也不会。训练就是一点一点地调节权重，直到损失足够小。
# 这一课把训练循环拆开来看，找出四个步骤中难的是哪一个，并测量学习率和批量大小的作用。

# %%
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import jaxnaive as jn
from jaxnaive import pictures
from jaxnaive.batches import Batch
from jaxnaive.command import benchmark, compile_cache, step_costs
from jaxnaive.disk import checkpoints, files
from jaxnaive.pages import toys
from jaxnaive.pictures import palette, plots
from jaxnaive.splits import split

compile_cache.use()  # what JAX compiles is kept for the next time

# %% [markdown] lang="en"
# The data are pictures of handwritten digits, and a batch is 128 of them with their labels.

# %% [markdown] lang="zh"
# 数据是手写数字的图像。一个批量是其中的 128 张，连同它们的标签。

# %% alt="Twelve handwritten digits in a row." alt_zh="一排十二个手写数字。"
dataset = jn.data.load()
train, test = split(dataset.train, 6000)[0], split(dataset.test, 2000)[0]
inputs, classes = dataset.num_features, len(dataset.class_names)
print(dataset.name, train.images.shape, "labels:", *train.labels[:12])
figure = pictures.new(7, 0.8)
axes = figure.subplots()
axes.imshow(np.hstack([np.squeeze(image) for image in train.images[:12]]), cmap="gray_r")
axes.axis("off")
pictures.show(figure)

# %% [markdown] lang="en"
# ## A layer is a filter
#
# A layer computes $relu(x \cdot W + b)$. An image goes into the first layer as numbers, and what comes out of
# the last one is a score for each class. Every layer keeps what is useful for that and drops the rest. $W$
# and $b$ belong to the layer. They are its weights, or trainable parameters.
#
# The notes ask whether they are the attributes `kernel` and `bias` of Keras. Yes. Here they are the entries
# `w` and `b` of a dictionary. They are stored nowhere else, and nothing changes them in place.

# %% [markdown] lang="zh"
# ## 层是过滤器
#
# 一层计算的是 $relu(x \cdot W + b)$。图像以一串数的形式进入第一层，最后一层输出每个类别的得分；
# 每一层都留下对此有用的，滤掉其余的。$W$ 和 $b$ 属于这一层，叫作权重或可训练参数。
#
# 笔记问：它们是否分别对应 Keras 的属性 `kernel` 和 `bias`？是的。在这里它们是字典里的 `w` 和 `b`。
# 它们只存放在这一处，也不会被就地修改。

# %% tags=["S43", "S44"]
layers = jn.layers.mlp_layers(inputs, 32, classes)
model = jn.layers.sequential(*layers)
params = model.init(jax.random.key(0))
x, y = jn.batches.as_features(train.images[:128]), jnp.asarray(train.labels[:128])
for number, (layer, output) in enumerate(zip(params, jn.layers.activations(layers, params, x), strict=True)):
    print(f"layer {number + 1}: w {layer['w'].shape}, b {layer['b'].shape}, output {output.shape}")

# %% [markdown] lang="en"
# NumPy gets the same from the same weights:

# %% [markdown] lang="zh"
# 用同样的权重，NumPy 得到同样的结果：

# %%
by_numpy = np.maximum(np.asarray(x) @ params[0]["w"] + params[0]["b"], 0) @ params[1]["w"] + params[1]["b"]
np.testing.assert_allclose(model.forward(params, x), by_numpy, rtol=1e-3, atol=1e-4)

# %% [markdown] lang="en"
# ## Random initialisation
#
# The weights begin as small random numbers. Random, because two units that begin alike get the same
# gradient and stay alike. Small enough, but not too small, so that the outputs neither explode nor vanish
# from layer to layer. How small is a choice: the notes take numbers between 0 and 0.1, Keras takes
# Glorot's rule, and He's rule suits relu. It is the one that this lesson's network uses.

# %% [markdown] lang="zh"
# ## 随机初始化
#
# 权重一开始是较小的随机数。要随机，因为两个单元如果一开始相同，得到的梯度也相同，就会一直相同；
# 要小，使输出经过一层又一层之后不至于爆炸或消失。小到什么程度，可以选择：笔记取 0 到 0.1 之间的数，
# Keras 用 Glorot 的规则，适合 relu 的是 He 的规则，这一课的网络用的就是它。

# %% tags=["S46"]
for rule in (jn.layers.naive_uniform, jn.layers.glorot_uniform, jn.layers.he_normal):
    w = rule(jax.random.key(0), (784, 512))
    print(f"{rule.__name__:15} {w.min():7.4f} to {w.max():.4f}, standard deviation {w.std():.4f}")
np.testing.assert_allclose(w.std(), np.sqrt(2 / 784), rtol=0.01)

# %% [markdown] lang="en"
# Chance comes from a key that is handed over. The same key gives the same bits, another key gives others.

# %% [markdown] lang="zh"
# 随机性来自一个明确传入的 key：key 相同，结果逐位相同；key 不同，结果不同。

# %% tags=["S46"]
first, same, other = (model.init(jax.random.key(seed))[0]["w"] for seed in (0, 0, 1))
print("same key:", bool((first == same).all()), "  another key:", bool((first == other).any()))
assert (first == same).all() and (first != other).all()

# %% [markdown] lang="en"
# ## The four steps
#
# 1. Draw a batch.
# 2. Run the model on it: the forward pass.
# 3. Compute the loss.
# 4. Change all weights a little, so that the loss of this batch falls.
#
# In JAX, `value_and_grad` does steps 2 and 3 and the hard half of step 4: it says how fast the loss grows
# with each weight.

# %% [markdown] lang="zh"
# ## 四个步骤
#
# 1. 抽取一个批量。
# 2. 在它上面运行模型：前向传播。
# 3. 计算损失。
# 4. 略微改变所有权重，使这个批量的损失变小。
#
# 在 JAX 中，`value_and_grad` 完成第二、三步，以及第四步中难的那一半：它给出损失随每个权重变化得有多快。


# %% tags=["S49", "S47"]
def loss_of(params, x, y):
    return jn.losses.cross_entropy(model.forward(params, x), y).mean()


@jax.jit
def step(params, x, y, learning_rate=0.1):
    loss, grads = jax.value_and_grad(loss_of)(params, x, y)
    return jax.tree.map(lambda w, g: w - learning_rate * g, params, grads), loss


following, loss = step(params, x, y)
print(f"loss {loss:.3f}, after the step {loss_of(following, x, y):.3f}")

# %% [markdown] lang="en"
# The step changes nothing that exists. It takes parameters and returns others, so it can be compiled and
# repeated, and what it returns can be compared. The package's `train_step` does the same with any optimizer.

# %% [markdown] lang="zh"
# 这一步没有修改任何已有的东西：它接收参数，返回新的参数，所以可以编译、重复，结果也可以比较。
# `jaxnaive` 的 `train_step` 做的是同样的事，并且可以用任何优化器。

# %%
recipe = jn.training.Recipe(model, jn.optimizers.sgd(0.1))
state = jn.training.start(jax.random.key(0), recipe)._replace(params=params)
train_step = jax.jit(jn.training.train_step, static_argnames="recipe")
theirs, _ = train_step(state, Batch(x, y, jnp.ones(128)), recipe)
for ours, other in zip(jax.tree.leaves(following), jax.tree.leaves(theirs.params), strict=True):
    np.testing.assert_allclose(ours, other, atol=1e-6)

# %% [markdown] lang="en"
# ## Little by little
#
# Training is this step, again and again. On one and the same batch, and with small steps, the loss falls
# every time.

# %% [markdown] lang="zh"
# ## 逐步调节
#
# 训练就是一再重复这一步。在同一个批量上，只要步子小，损失每一次都下降。

# %% tags=["S47"] alt="The loss of one batch over a hundred small steps: it falls at each of them, fast at first and then more slowly." alt_zh="同一个批量的损失随一百个小步的变化：每一步都下降，先快后慢。"
trained, curve = params, []
for _ in range(100):
    trained, loss = step(trained, x, y, 0.05)
    curve.append(float(loss))
figure = pictures.new(6, 2.8)
axes = figure.subplots()
axes.plot(curve, ".-", color=palette.BLUE, markersize=3)
axes.set(xlabel="step", ylabel="loss of the batch", ylim=(0, None))
pictures.show(figure)
assert (np.diff(curve) < 0).all()

# %% [markdown] lang="en"
# ## Until the loss is small enough
#
# The notes repeat the loop until the loss is small enough. Somebody has to say what is enough. Here it is
# a loss of 0.1 on a newly drawn batch, or 1,000 steps, since a loop with a poor learning rate would never
# end. One batch can be easy by chance, so `python experiments/mnist.py --stop-at-loss 0.05` looks at the
# mean of an epoch.

# %% [markdown] lang="zh"
# ## 直到损失足够小
#
# 笔记说：一直重复，直到损失足够小。多小才算足够，要由人来定。这里的标准是新抽的批量上的损失降到 0.1，最多做 1000 步：否则，学习率选得不好时循环永远不会结束。某一个批量可能碰巧容易，
# 所以 `python experiments/mnist.py --stop-at-loss 0.05` 看的是一轮的平均损失。

# %% tags=["S48", "S49"]
rng, trained, loss, steps = np.random.default_rng(0), params, np.inf, 0
while loss > 0.1 and steps < 1000:
    rows = rng.choice(len(train.labels), 128, replace=False)
    trained, loss = step(trained, jn.batches.as_features(train.images[rows]), train.labels[rows], 0.5)
    steps += 1
print(f"{steps} steps; the last batch had a loss of {loss:.3f}")
right = model.forward(trained, jn.batches.as_features(test.images)).argmax(axis=1) == test.labels
print(f"{right.mean():.1%} of the test images are classified correctly")
assert right.mean() > 0.85

# %% [markdown] lang="en"
# ## What was learned is in the weights
#
# A column of the first $W$ has one weight for each pixel, so it can be drawn as an image. Before the training
# it is noise. Afterwards it is a filter: blue pixels speak for this unit, red ones against it.

# %% [markdown] lang="zh"
# ## 学到的都在权重里
#
# 第一个 $W$ 的每一列对每个像素有一个权重，所以可以画成图像。训练之前它是噪声，
# 训练之后它是过滤器：蓝色的像素使这个单元的值变大，红色的使它变小。

# %% tags=["S43", "S45"] alt="Eight columns of the first weight matrix as images: noise before the training in the upper row, and patterns of strokes after it in the lower row." alt_zh="第一个权重矩阵的八列画成图像：上排是训练前的噪声，下排是训练后出现的笔画图案。"
figure = pictures.new(7, 2.2)
largest = float(jnp.abs(trained[0]["w"]).max()) / 2
for row, weights, when in zip(figure.subplots(2, 8), (params, trained), ("before", "after"), strict=True):
    row[0].set_title(f"{when} the training", fontsize=9, loc="left")
    for axes, column in zip(row, weights[0]["w"].T, strict=False):
        image = column.reshape(train.images.shape[1:3])
        axes.imshow(image, cmap=palette.SIGNED, vmin=-largest, vmax=largest)
        axes.axis("off")
pictures.show(figure)

# %% [markdown] lang="en"
# Write the weights to a file, read them back, and the network gives the same outputs, bit for bit. Nothing
# else has to be kept.

# %% [markdown] lang="zh"
# 把权重写入文件再读回来，网络的输出逐位相同。除此之外什么也不必保存。

# %% tags=["S45"]
path = Path("runs/lessons/weights.safetensors")
files.make_folder(path.parent)
checkpoints.save_params(path, trained)
loaded = checkpoints.load_params(path, like=params)
equal = model.forward(loaded, x) == model.forward(trained, x)
print(f"{path.stat().st_size:,} bytes; outputs that are equal: {equal.mean():.0%}")
assert equal.all()

# %% [markdown] lang="en"
# ## Which step is hard?
#
# The notes say: the first is only input, the second and third are only tensor operations, the fourth is the
# hard one. Right: one has to know in which direction to change each weight. But what is hard to work out for
# a person is not expensive for the machine. For the book's network the gradient takes no longer than the
# forward pass. The last column says how long the matrix products alone would take at the best rate that this
# machine reaches.

# %% [markdown] lang="zh"
# ## 哪一步难？
#
# 笔记说：第一步只是输入，第二、三步只是张量运算，难的是第四步。没错：要知道每个权重该往哪个方向改。
# 但人觉得难想的，机器算起来代价并不高：对书中的网络，求梯度并不比前向传播更久。
# 最后一列是按这台机器能达到的最高速率，单做其中的矩阵乘法要多久。

# %% tags=["S50"]
costs = step_costs.measure(batch_size=128, rounds=3)
print(step_costs.to_text(costs))

# %% [markdown] lang="en"
# ## Gradient descent: all weights at once
#
# Every function in the network is differentiable, so one backward pass gives the slope of the loss for every
# weight, and one step moves all of them. The alternative is to change one weight at a time. That needs many
# forward passes, which the lesson on backpropagation counts. And it gains little: even along the steepest
# of all weights, a step of the same length lowers the loss much less.

# %% [markdown] lang="zh"
# ## 梯度下降：同时改变所有权重
#
# 网络用到的函数都可微，所以一次反向传播就给出损失对每个权重的斜率，一步可以同时移动全部权重。
# 另一种办法是控制变量法，一次只改一个权重。这需要许多次前向传播，反向传播那一课会数一数；
# 而且收获很小：即使选的是斜率最大的那个权重，同样长的一步损失也下降得少得多。

# %% tags=["S51"]
loss, grads = jax.value_and_grad(loss_of)(params, x, y)
flat, unflatten = ravel_pytree(grads)
steepest = jnp.where(jnp.abs(flat) == jnp.abs(flat).max(), flat, 0)
gained = []
for name, direction in ((f"all {flat.size:,} weights", flat), ("the steepest weight", steepest)):
    downhill = unflatten(0.1 * direction / jnp.linalg.norm(direction))
    after = loss_of(jax.tree.map(jnp.subtract, params, downhill), x, y)
    gained.append(loss - after)
    print(f"{name:22} loss {loss:.4f} -> {after:.4f}")
assert gained[0] > 3 * gained[1] > 0

# %% [markdown] lang="en"
# ## Slope, not curvature
#
# The notes say that a gradient only reflects the curvature nearby, so steps must stay small. The conclusion
# is right and the word is not: the gradient is the slope. The curvature is the second derivative, and it is
# the reason why steps must stay small. The slope promises that a step of length $s$ downhill changes the
# loss by $-s |g|$. For small steps, what comes differs from it by half the curvature times $s^2$: a step
# ten times as long is wrong by a hundred times as much. (The network below has tanh in the place of relu,
# because the slope of relu jumps at 0.)

# %% [markdown] lang="zh"
# ## 是斜率，不是曲率
#
# 笔记说，某一点的梯度反映的只是该点附近的曲率，所以每次的更改不能太大。结论对，用词不对：梯度是斜率；
# 曲率是二阶导数，它正是步子不能太大的原因。斜率预言：下坡走长为 $s$ 的一步，损失改变 $-s |g|$。
# 步子小时，实际的改变与它相差曲率的一半乘以 $s^2$：步子长十倍，误差大一百倍。
# （下面的网络用 tanh 代替 relu，因为 relu 的斜率在 0 处会跳变。）

# %% tags=["S52"] alt="How wrong the slope's promise is over the length of the step, on logarithmic axes: the points lie on the line of half the curvature times the square of the step." alt_zh="斜率预言的误差随步长的变化，两轴都是对数：各点落在“曲率的一半乘以步长的平方”这条直线上。"
lengths = [1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001]
smooth = jn.layers.sequential(jn.layers.dense(inputs, 32, jnp.tanh), jn.layers.dense(32, classes))


def smooth_loss(params, x, y):
    return jn.losses.cross_entropy(smooth.forward(params, x), y).mean()


with jax.enable_x64(True):  # in float32 the difference of two losses would be mostly rounding
    exact_params, exact_x = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), (params, x))
    made, curvature = jn.descent.promises(smooth_loss, exact_params, lengths, exact_x, y)
errors = np.array([one.came - one.promised for one in made])
for one in made:
    print(f"step {one.step:<6g} promised {one.promised:9.5f}   came {one.came:9.5f}")
figure = pictures.new(6, 3)
axes = figure.subplots()
axes.loglog(lengths, np.abs(errors), "o", color=palette.BLUE, label="came - promised")
axes.loglog(lengths, curvature / 2 * np.square(lengths), color=palette.MUTED, label="curvature / 2 · step²")
axes.set(xlabel="length of the step", ylabel="error of the slope's promise")
axes.legend()
pictures.show(figure)
np.testing.assert_allclose(errors[4:], curvature / 2 * np.square(lengths[4:]), rtol=0.05)

# %% [markdown] lang="en"
# ## Stochastic: every batch is drawn at random
#
# Mini-batch SGD repeats five actions, the four steps with the last one in two: draw a batch, run forward, compute the loss, compute its gradient,
# move the parameters a little against it. Each epoch is a new random order of all examples, cut into
# batches. The order depends only on the key and the number of the epoch, so a run that was interrupted
# continues with the same batches. The program at the end of the notes is not stochastic: in every epoch it
# takes the examples in the order of the file. So does the book's.

# %% [markdown] lang="zh"
# ## 随机：每个批量都是随机抽取的
#
# 小批量 SGD 重复五个动作，也就是上面的四步，最后一步分成两个：抽取批量，前向传播，计算损失，计算梯度，把参数沿梯度的反方向移动一小步。
# 每一轮都把全部样本重新随机排列，再切成批量。排列只取决于 key 和这是第几轮，所以中断的训练可以接着用同样的批量。
# 笔记末尾的程序并不随机：它每轮都按文件中的顺序取样本。书中的程序也是这样。

# %% tags=["S53"]
for epoch in (0, 1):
    order = jn.batches.epoch_order(jax.random.key(0), epoch, len(train.labels))
    table = jn.batches.index_table(order, 128)
    print(f"epoch {epoch}: {len(table.index)} batches, the first begins with", *table.index[0, :8])
    assert sorted(order.tolist()) == list(range(len(train.labels)))  # each example once

# %% [markdown] lang="en"
# ## The learning rate
#
# $W \leftarrow W - \eta \cdot gradient$. The learning rate $\eta$ is the most important number of all. If it
# is too small, training takes forever. If it is too large, the steps jump over the minimum. A run is a pure
# function of its key and its learning rate, so 21 learning rates times 4 seeds can be one program: `sweep`
# puts two `vmap`s around the run.

# %% [markdown] lang="zh"
# ## 学习率
#
# $W \leftarrow W - \eta \cdot gradient$。学习率 $\eta$ 是最重要的一个数：太小，训练要很久；太大，
# 就会越过极小值。一次训练是 key 和学习率的纯函数，所以 21 个学习率乘以 4 个种子可以是同一个程序：
# `sweep` 就是在它外面套两层 `vmap`。

# %% tags=["S54"]
rates = 10 ** np.linspace(-4, 1, 21)
keys = jax.random.split(jax.random.key(0), 4)
EPOCHS = 2


def run(key, train, test, learning_rate, batch_size=128):
    recipe = jn.training.Recipe(model, jn.optimizers.sgd(learning_rate), batch_size=batch_size)
    params, history = jn.training.train(key, train, recipe, EPOCHS)
    return history.loss.ravel(), jn.training.evaluate(params, test, recipe).accuracy


swept = jn.ensembles.sweep(run, keys, {"learning_rate": rates}, (train, test))
losses, accuracies = swept.results
for rate, row in list(zip(rates, accuracies, strict=True))[::4]:
    print(f"{rate:8.4f}  test accuracy of the seeds:", *(f"{accuracy:.3f}" for accuracy in row))

# %% [markdown] lang="en"
# The learning rates fall into three regions. The good ones are within 2 % of the best. Those below are
# slow: nothing is wrong with them, they only need more steps. Those above diverge: the loss jumps up, and
# the accuracy falls.

# %% [markdown] lang="zh"
# 学习率分成三个区域。好的：与最好的相差不到 2%。比它们小的是“慢”：没有什么错，只是需要更多步。
# 比它们大的会“发散”。

# %% tags=["S54"] alt="Test accuracy over the learning rate from 0.0001 to 10: low on the left where it is slow, high where it is good, and down to chance on the right where it diverges." alt_zh="测试准确率随学习率（0.0001 到 10）的变化：左边慢，准确率低；好的区域准确率高；右边发散，降到乱猜的水平。"
found = jn.descent.regions(accuracies, swept.diverged)
regions = {name: (rates[chosen].min(), rates[chosen].max()) for name, chosen in found.items() if chosen.any()}
for name, (first, last) in regions.items():
    print(f"{name:9} {first:.2g} to {last:.2g}")
title = f"{dataset.name}: plain gradient descent, {EPOCHS} epochs"
pictures.show(plots.learning_rates(rates, jn.statistics.summarise(accuracies), regions, title))
assert list(regions) == ["slow", "good", "diverged"]
assert regions["slow"][1] < regions["good"][0] and regions["good"][1] < regions["diverged"][0]

# %% [markdown] lang="en"
# What happens when a run diverges? The loss jumps up, but it does not have to stay there. The first steps
# push most relu units so far below 0 that they are 0 for every image. Then their gradient is 0 as well, and
# they stay dead. Few units or none are left besides the last bias, so the network guesses, and the loss
# returns to about $\ln 10 \approx 2.3$. The last loss alone does not show what happened.
#
# A run whose loss is not a finite number is marked in `swept.diverged`, and does not disturb the others.

# %% [markdown] lang="zh"
# 发散的时候发生了什么？损失突然变大，但不一定停在那里。最初几步把大多数 relu 单元推到远低于 0 的地方，
# 它们对每张图像都是 0。这样它们的梯度也是 0，再也活不过来。还能学习的只有最后一层的偏置和很少几个单元，甚至一个单元也不剩，网络只能乱猜，损失回到 $\ln 10 \approx 2.3$ 左右。只看最后的损失，看不出发生过什么。
#
# 如果一次训练的损失不再是有限的数，`swept.diverged` 会把它标出来，其他训练不受影响。

# %% tags=["S54"]
recipe = jn.training.Recipe(model, jn.optimizers.sgd(10.0))
lost, history = jn.training.train(keys[0], train, recipe, EPOCHS)
print("learning rate 10, losses of the first steps:", *(f"{loss:.1f}" for loss in history.loss[0, :6]))
dead = (jn.layers.activations(layers, lost, x)[0] == 0).all(axis=0)
print(f"in the last epoch {history.loss[-1].mean():.2f}; {dead.sum()} of 32 units are 0 for every image")
print(f"{swept.diverged.sum()} of {swept.diverged.size} runs have a loss that is not finite")
assert history.loss.max() > 20 and dead.sum() > 16

# %% [markdown] lang="en"
# Play with it: move the learning rate, and see the real loss curves of its four runs.

# %% [markdown] lang="zh"
# 可以自己试：移动学习率，看四次真实训练的损失曲线。

# %% tags=["S54"]
first, *others = range(losses.shape[-1])
parts = [np.array([first]), *np.array_split(others, 23)]  # a few steps, whose mean is a point of the curve
points = np.stack([losses[..., steps].mean(axis=-1) for steps in parts], axis=-1)
toys.play(
    "rates",
    rates=toys.rounded(rates),
    losses=toys.rounded(points),  # [rates][seeds][points]
    epochs=toys.rounded(np.array([EPOCHS * steps.mean() / losses.shape[-1] for steps in parts])),
    kinds=np.select([found["slow"], found["good"]], ["slow", "good"], "diverged").tolist(),
)

# %% [markdown] lang="en"
# ## One example a step, some, or all
#
# True SGD takes one example a step. Batch gradient descent takes all of them. Both are the same code with
# another batch size: the gradient of a batch is the mean of the gradients of its examples.

# %% [markdown] lang="zh"
# ## 每步一个样本、一些样本，还是全部样本
#
# 真 SGD 每步只用一个样本，批量梯度下降每步用全部样本。代码相同，只是批量大小不同：
# 一个批量的梯度就是其中各个样本的梯度的平均。

# %% tags=["S56"]
whole = jax.grad(loss_of)(params, x, y)
each = jax.vmap(jax.grad(loss_of), (None, 0, 0))(params, x[:, None], y[:, None])
for ours, theirs in zip(jax.tree.leaves(whole), jax.tree.leaves(each), strict=True):
    print(theirs.shape, "-> mean ->", ours.shape, f"apart by {jnp.abs(theirs.mean(axis=0) - ours).max():.0e}")
    np.testing.assert_allclose(theirs.mean(axis=0), ours, atol=1e-5)

# %% [markdown] lang="en"
# When the same number of examples is seen, one example a step makes the most updates, and each of them is
# noisy. All in one step makes a single update an epoch, and a precise one. Each way gets the best of five
# learning rates. The many noisy updates win.

# %% [markdown] lang="zh"
# 看过同样多的样本时，每步一个样本的更新次数最多，但每次都带噪声；每步用全部样本，一轮只更新一次，
# 但方向准确。每种方式都在五个学习率中取自己最好的。结果是次数多而带噪声的更新胜出。

# %% tags=["S55", "S56", "S53"]
few, tried = split(train, 640)[0], [0.01, 0.03, 0.1, 0.3, 1.0]
final = {}
for name, size in (("one example", 1), ("mini-batch", 64), ("all", 640)):
    of_size = partial(run, batch_size=size)
    _, accuracy = jn.ensembles.sweep(of_size, keys[:2], {"learning_rate": tried}, (few, test)).results
    by_rate = accuracy.mean(axis=-1)  # over the seeds
    final[name] = by_rate.max()
    updates = EPOCHS * jn.batches.num_batches(640, size)
    print(f"{name:12}{updates:6,} updates, best learning rate {tried[by_rate.argmax()]:<5g}", end=" ")
    print(f"test accuracy {final[name]:.3f}")
assert final["one example"] > final["mini-batch"] > final["all"]

# %% [markdown] lang="en"
# So why batches? Because one step with 128 examples takes far less time than 128 steps with one: the
# processor multiplies large matrices at a much higher rate. In the same time, batches get through many
# times as many examples.

# %% [markdown] lang="zh"
# 那为什么还要用批量？因为一步算 128 个样本，远比 128 步各算一个样本快：处理器做大矩阵乘法的速率高得多。
# 同样的时间里，用批量能处理的样本要多得多。

# %% tags=["S55"]
one_x, one_y = x[:1], y[:1]
one, many = benchmark.medians(
    lambda: step(params, one_x, one_y), lambda: step(params, x, y), rounds=5, calls=20
)
print(f"a step with 1 example: {1e6 * one:.0f} us, with 128: {1e6 * many:.0f} us")
print(f"{128 * one / many:.0f} times as many examples in the same time")
assert 128 * one > 2 * many

# %% [markdown] lang="en"
# ## The gradient of a whole run
#
# A run is a function of its learning rate, and a differentiable one. So gradient descent can find the
# learning rate too: it goes down the slope of the loss after the run, here the mean of four seeds. It moves
# the logarithm, since learning rates differ by factors.

# %% [markdown] lang="zh"
# ## 一整次训练的梯度
#
# 一次训练是学习率的函数，而且可微。所以学习率也可以用梯度下降来找：沿着训练结束时的损失（这里取四个种子的平均）的斜率往下走。
# 移动的是学习率的对数，因为学习率之间差的是倍数。

# %% tags=["S54"]
short, rest = split(dataset.train, min(20 * 128, len(dataset.train.labels) // 2))
held_out = split(rest, 1000)[0]


def losses_after(log_rate, keys, short, held_out):
    def loss_after(key):
        recipe = jn.training.Recipe(model, jn.optimizers.sgd(jnp.exp(log_rate)))
        params, _ = jn.training.train(key, short, recipe, 1)
        return loss_of(params, jn.batches.as_features(held_out.images), held_out.labels)

    return jax.vmap(loss_after)(keys)


slope = jax.jit(jax.value_and_grad(lambda *given: losses_after(*given).mean()))
log_rate = jnp.log(0.003)
loss, grad = slope(log_rate, keys, short, held_out)
print(f"loss {loss:.3f} after a run with 0.003; its gradient by the logarithm: {grad:.3f}")
assert grad < 0  # a larger learning rate would be better

# %% [markdown] lang="en"
# Descend from there. The sign of the gradient says which way; a step multiplies or divides the learning rate,
# by $e$ at first. A step that would make the loss larger is not taken, and the next one is half as long. So
# the descent does not jump from side to side in the valley, and it ends at the best place that it visited.
# Further to the right the runs diverge. There the loss is rough and its slope leads nowhere.

# %% [markdown] lang="zh"
# 从那里往下走。梯度的符号指出方向；每一步把学习率乘以或除以一个倍数，开始时是 $e$。如果一步会使损失变大，就不走，
# 下一步减半。所以到了谷底，它不会从一侧跳到另一侧，最后停在途中到过的最好的地方。再往右训练就会发散，那里的损失起伏不平，
# 斜率不再能指路。

# %% tags=["S54"] alt="The loss after a short run over its learning rate, and on it the way of gradient descent from 0.003 into the valley; a square marks its end." alt_zh="一次短训练之后的损失随学习率的变化，以及梯度下降从 0.003 走进谷底的路径；方框标出它的终点。"
length, visited = 1.0, [(float(jnp.exp(log_rate)), float(loss))]
tried = list(visited)
while length > 0.1:
    next_rate = log_rate - length * jnp.sign(grad)
    next_loss, next_grad = slope(next_rate, keys, short, held_out)
    tried.append((float(jnp.exp(next_rate)), float(next_loss)))
    if next_loss < loss:
        log_rate, loss, grad = next_rate, next_loss, next_grad
        visited.append(tried[-1])
    else:
        length /= 2
grid = np.geomspace(0.003, 3.0, 16)
curve = np.array([slope(jnp.log(rate), keys, short, held_out)[0] for rate in grid])
pictures.show(plots.descent(grid, curve, *np.array(visited).T))
ended, best, swept_best = visited[-1], min(tried, key=lambda one: one[1]), (grid[curve.argmin()], curve.min())
for name, (rate, loss) in (("ended", ended), ("best it tried", best), ("best of 16 swept", swept_best)):
    print(f"{name:17} learning rate {rate:.2f}, loss {loss:.3f}")
assert ended == best and best[1] < 1.1 * curve.min()

# %% [markdown] lang="en"
# Both were chosen on the same four seeds, so their losses are too good. Sixteen other seeds say what the
# learning rates are worth: the descent's is no worse than the sweep's.

# %% [markdown] lang="zh"
# 两者都是在同样四个种子上选出来的，所以它们的损失偏低。换十六个新的种子，才知道这两个学习率到底怎样：
# 梯度下降找到的不比扫描找到的差。

# %% tags=["S54"]
after = jax.jit(losses_after)
fresh = jax.random.split(jax.random.key(1), 16)
ours, theirs = (after(jnp.log(rate), fresh, short, held_out) for rate, _ in (ended, swept_best))
more, low, high, _ = jn.statistics.compare(ours, theirs)
print(f"16 fresh seeds: descent {ours.mean():.3f}, sweep {theirs.mean():.3f}")
print(f"difference {more:.3f} [{low:.3f}, {high:.3f}]")
assert low < 0  # not worse, as far as these seeds can tell

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** In "The four steps", change the minus before `learning_rate` to a plus. What happens to the loss?
#
# <details><summary>Answer</summary>
#
# It rises: the weights now go uphill. If the step is small, the loss rises by about as much as it fell
# before.
#
# </details>
#
# **2.** Let all weights begin at 0. Does the network learn?
#
# <details><summary>Answer</summary>
#
# Only its last bias. If every weight is 0, all hidden units are 0, and so are the gradients of both matrices
# and of the first bias. They stay 0. The network gives every image the same answer: the most frequent class.
#
# </details>
#
# **3.** Set `EPOCHS` to 8. Which learning rates gain the most, and which gain nothing?
#
# <details><summary>Answer</summary>
#
# The slow ones gain the most: more steps are all they need. The largest ones gain nothing, since dead units
# stay dead. The region of the good ones may even shrink on its left: the best has become better too.
#
# </details>
#
# **4.** Double the batch size in `run` to 256. What happens to the accuracy of the slow learning rates?
#
# <details><summary>Answer</summary>
#
# It falls to about that of half the learning rate. The gradients are about the same, but there are only half
# as many updates. Doubling the learning rate makes up for it.
#
# </details>

# %% [markdown] lang="zh"
# ## 练习
#
# **1.** 在“四个步骤”中，把 `learning_rate` 前的减号改成加号。损失会怎样？
#
# <details><summary>答案</summary>
#
# 损失上升：权重现在往上坡走。步子小的时候，上升的量与原来下降的量差不多。
#
# </details>
#
# **2.** 让所有权重从 0 开始。网络还能学习吗？
#
# <details><summary>答案</summary>
#
# 只有最后一层的偏置能学。权重全是 0 时，所有隐藏单元都是 0，两个矩阵和第一层偏置的梯度也都是 0，
# 所以它们一直是 0。网络对每张图像都给出同样的回答：最常见的那个类别。
#
# </details>
#
# **3.** 把 `EPOCHS` 改成 8。哪些学习率收获最大？哪些毫无收获？
#
# <details><summary>答案</summary>
#
# 慢的收获最大：它们缺的只是步数。最大的几个毫无收获，因为死掉的单元不会复活。
# 好的区域的左端甚至可能缩短一点：最好的也变得更好了。
#
# </details>
#
# **4.** 把 `run` 的批量大小加倍到 256。慢的学习率的准确率会怎样？
#
# <details><summary>答案</summary>
#
# 下降到大约相当于学习率减半。梯度差不多一样，但更新次数只有一半。把学习率也加倍就能补回来。
#
# </details>
