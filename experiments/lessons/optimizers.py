# %% [markdown] lang="en"
# # Optimizers
#
# Gradient descent subtracts the learning rate times the gradient. Optimizers do a little more: they remember
# something about earlier gradients. This lesson writes five of them by hand, compares them with optax, and
# asks what momentum solves and what it does not.

# %% [markdown] lang="zh"
# # 优化器
#
# 梯度下降是减去学习率乘以梯度。优化器多做一点：它们会记住以前的梯度的某些信息。
# 这一课自己写出五种优化器，与 optax 核对，再看动量解决了什么，又没有解决什么。

# %%
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

import jaxnaive as jn
from jaxnaive import descent, optimizers, pictures
from jaxnaive.command import compile_cache
from jaxnaive.descent import follow, valley
from jaxnaive.pages import toys
from jaxnaive.pictures import drawings, palette
from jaxnaive.pictures.drawings import Track

compile_cache.use()  # what JAX compiles is kept for the next time

# %% [markdown] lang="en"
# ## A ball rolls down a curve
#
# Take a loss with a single weight, so that it can be drawn: a bowl with a dent on the way down. Plain descent
# moves by the slope, and stops where the slope is 0. Momentum moves like a ball: it has a velocity, which the
# slope only changes.

# %% [markdown] lang="zh"
# ## 小球从曲线上滚下来
#
# 先看只有一个权重的损失，这样可以画出来：一个碗，半坡上有一个小坑。普通的梯度下降按斜率移动，斜率为 0 就停下。
# 动量方法像小球一样移动：它有速度，斜率只是改变速度。

# %% tags=["S58"] alt="A bowl with a dent on its left slope. Plain descent rests in the dent; momentum and Nesterov roll through it and rest at the bottom of the bowl." alt_zh="一个碗形曲线，左坡上有一个小坑。普通梯度下降停在坑里；动量和 Nesterov 动量滚过小坑，停在碗底。"
bowl = descent.dented(depth=0.8, width=0.6, place=-1.0)
three = {
    "plain": optimizers.sgd(0.05),
    "momentum": optimizers.momentum(0.05),
    "Nesterov": optimizers.nesterov(0.05),
}


def roll(loss, start):
    paths = {name: follow(optimizer, loss, jnp.array(start), 1000) for name, optimizer in three.items()}
    return [Track(name, np.asarray(path)) for name, path in paths.items()]


tracks = roll(bowl, -2.5)
pictures.show(drawings.balls({"past the dent": (bowl, tracks)}))

# %% tags=["S58"]
for name, path in tracks:
    print(f"{name:9} rests at {path[-1]:5.2f}, loss {abs(bowl(path[-1])):.2f}")
plain, heavy, nesterov = (path[-1] for _, path in tracks)
assert abs(plain + 0.79) < 0.01 and abs(heavy - 2) < 0.01 and abs(nesterov - 2) < 0.01

# %% [markdown] lang="en"
# ## Variants: what an optimizer remembers
#
# The variants of SGD are called optimizers. Each is a rule for one array: from the gradient $g$ and a memory
# it makes a direction and the next memory. The step is always $w - rate \cdot direction$.
#
# Momentum and Nesterov remember a velocity.

# %% [markdown] lang="zh"
# ## 变体：优化器记住什么
#
# SGD 的各种变体叫作优化器。每种优化器都是作用于一个数组的规则：由梯度 $g$ 和记忆得出方向和新的记忆。
# 更新总是 $w - rate \cdot direction$。
#
# 动量和 Nesterov 动量记住的是速度。


# %%
def momentum(g, v):
    v = g + 0.9 * v
    return v, v


def nesterov(g, v):
    v = g + 0.9 * v
    return g + 0.9 * v, v


# %% [markdown] lang="en"
# Adagrad and RMSprop remember squares of gradients, and take smaller steps along weights where these were
# large. Adagrad adds all squares, so its steps only shrink. RMSprop takes a mean that forgets.

# %% [markdown] lang="zh"
# Adagrad 和 RMSprop 记住梯度的平方：平方大的权重，步子就小。Adagrad 把所有的平方加起来，所以步子只会越来越小；
# RMSprop 取平均，并逐渐忘掉旧的。


# %%
def adagrad(g, s):
    s = s + g**2
    return g / jnp.sqrt(s + 1e-7), s


def rmsprop(g, s):
    s = 0.9 * s + 0.1 * g**2
    return g / jnp.sqrt(s + 1e-8), s


# %% [markdown] lang="en"
# Adam does both. Its means start at 0 and are too small at first, so they are divided
# by the sum of the weights that they have so far, $1 - 0.9^t$.

# %% [markdown] lang="zh"
# Adam 两样都做。它的平均值从 0 开始，起初偏小，所以要除以一个数来修正。


# %%
def adam(g, memory):
    m, s, t = memory
    m, s, t = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g**2, t + 1
    mean, square = m / (1 - 0.9**t), s / (1 - 0.999**t)
    return mean / (jnp.sqrt(square) + 1e-8), (m, s, t)


# %% [markdown] lang="en"
# Here they take 100 steps in a valley: a quadratic loss of two weights, 100 times as steep across as along.
# The package has the same rules in optax's interface, and optax has its own. All three agree.

# %% [markdown] lang="zh"
# 让它们在一个山谷里各走 100 步：这是两个权重的二次函数，横穿山谷的方向比沿山谷的方向陡 100 倍。
# `jaxnaive` 里有同样的规则，接口与 optax 相同；optax 也有自己的实现。三者一致。

# %%
start = jnp.array([2.0, 0.3])
rates = {"sgd": 0.018, "momentum": 0.01, "nesterov": 0.01, "adagrad": 0.3, "rmsprop": 0.02, "adam": 0.1}
by_hand = {  # a rule, and what it remembers at first
    "sgd": (lambda g, memory: (g, memory), 0.0),
    "momentum": (momentum, 0.0),
    "nesterov": (nesterov, 0.0),
    "adagrad": (adagrad, 0.1),
    "rmsprop": (rmsprop, 0.0),
    "adam": (adam, (0.0, 0.0, 0)),
}
in_optax = {
    "sgd": optax.sgd,
    "momentum": partial(optax.sgd, momentum=0.9),
    "nesterov": partial(optax.sgd, momentum=0.9, nesterov=True),
    "adagrad": optax.adagrad,
    "rmsprop": optax.rmsprop,
    "adam": optax.adam,
}
ours = {name: jn.job.OPTIMIZERS[name](rate) for name, rate in rates.items()}
theirs = {name: in_optax[name](rate) for name, rate in rates.items()}

# %% tags=["S57"]
gradient = jax.jit(jax.grad(valley))
for name, (rule, memory) in by_hand.items():
    w = start
    for _ in range(100):
        direction, memory = rule(gradient(w), memory)
        w = w - rates[name] * direction
    apart = [float(jnp.abs(w - follow(made[name], valley, start, 100)[-1]).max()) for made in (ours, theirs)]
    print(f"{name:9} from the package {apart[0]:.0e}, from optax {apart[1]:.0e}")
    assert max(apart) < 1e-5

# %% [markdown] lang="en"
# And with a real network, 100 steps on the same images, for all of its weights:

# %% [markdown] lang="zh"
# 再用一个真实的网络核对：在同样的图像上走 100 步，比较全部权重。

# %% tags=["S57"]
dataset = jn.data.load()
x, y = jn.batches.as_features(dataset.train.images[:128]), jnp.asarray(dataset.train.labels[:128])
model = jn.layers.mlp(dataset.num_features, 16, len(dataset.class_names))
params, unflatten = ravel_pytree(model.init(jax.random.key(0)))  # all weights in one vector


def network_loss(params):
    return jn.losses.cross_entropy(model.forward(unflatten(params), x), y).mean()


for name in rates:
    one, other = (follow(made[name], network_loss, params, 100)[-1] for made in (ours, theirs))
    apart = jnp.linalg.norm(one - other) / jnp.linalg.norm(one)
    print(f"{name:9} loss {network_loss(params):.2f} -> {network_loss(one):.3f}   from optax {apart:.0e}")
    assert apart < 1e-4 and network_loss(one) < network_loss(params)

# %% [markdown] lang="en"
# ## Does momentum solve local minima?
#
# The notes say that a ball with enough momentum is not caught in a gorge, and reaches the lowest place in the
# end. You saw it pass a dent. It is no guarantee. Without a run-up it stays in a deeper dent. And if the dent
# is the lowest place, it rolls past that too: then plain descent ends lower.

# %% [markdown] lang="zh"
# ## 动量能解决局部极小值的问题吗？
#
# 笔记说，小球的动量足够大，就不会卡在峡谷里，最终会到达全局最低点。上面它确实滚过了小坑。但这没有保证：
# 坑更深、又没有助跑时，它也会停在坑里；如果坑底才是全局最低点，它照样会滚过去，这时普通梯度下降反而停得更低。

# %% tags=["S58"] alt="Two bowls with a dent. On the left all three start close to a deep dent and rest in it. On the right the dent is the lowest place: plain descent rests there, momentum and Nesterov roll past it to the bottom of the bowl, which is higher." alt_zh="两个有坑的碗形曲线。左图中三者都从深坑旁边出发，全部停在坑里。右图中坑底最低：普通梯度下降停在那里，动量和 Nesterov 动量滚过去，停在更高的碗底。"
deep = descent.dented(depth=1.2, width=0.6, place=-1.0)
best = descent.dented(depth=1.4, width=0.4, place=-0.5)
stuck, missed = roll(deep, -1.3), roll(best, -2.5)
panels = {"no run-up: it still sticks": (deep, stuck), "it rolls past the lowest place": (best, missed)}
pictures.show(drawings.balls(panels))


# %% tags=["S58"]
def higher(loss, w):
    difference = loss(w) - loss(2.0)
    if abs(difference) < 0.01:
        return "the bottom of the bowl"
    return f"{abs(difference):.2f} {'higher' if difference > 0 else 'lower'} than the bottom of the bowl"


for title, (loss, tracks) in panels.items():
    print(title)
    for name, path in tracks:
        print(f"  {name:9} rests at {path[-1]:5.2f}, {higher(loss, path[-1])}")
assert abs(stuck[0].points[-1] - stuck[1].points[-1]) < 0.01 and deep(stuck[1].points[-1]) > deep(2.0)
assert best(missed[1].points[-1]) > best(missed[0].points[-1]) + 0.1

# %% [markdown] lang="en"
# ## Does momentum solve the speed?
#
# The notes put a question mark here. In a valley, yes. The steep direction allows only a small learning rate:
# above 2/100, plain descent diverges. With it, progress along the valley is slow. Steps across change their
# sign and cancel out in the velocity; steps along add up, on a steady slope to ten times the gradient.

# %% [markdown] lang="zh"
# ## 动量能解决收敛速度的问题吗？
#
# 笔记在这里打了一个问号。在山谷里，能。陡的方向只允许很小的学习率：超过 2/100，普通梯度下降就发散；
# 而用这么小的学习率，沿着山谷就走得很慢。速度里，横穿山谷的步子正负相消，沿山谷的步子不断累积，
# 在坡度不变的地方可以达到梯度的十倍。

# %% tags=["S58"]
v = 0.0
for step in range(1, 61):
    _, v = momentum(1.0, v)
    if step in (1, 2, 5, 10, 20, 60):
        print(f"slope 1, step {step:2}: velocity {v:.2f}")
assert abs(v - 1 / (1 - 0.9)) < 0.02

# %% tags=["S58", "S57"] alt="Six panels with the contours of a long valley and the first 60 steps of each optimizer. Plain descent jumps from side to side and comes down slowly; momentum swings around the lowest point; Adam curves in; Nesterov and Adagrad come closest; RMSprop goes in equal small steps." alt_zh="六幅图，画着狭长山谷的等高线和每种优化器的前 60 步。普通梯度下降左右跳动，下降很慢；动量绕着最低点摆动；Adam 沿曲线靠近；Nesterov 和 Adagrad 最接近最低点；RMSprop 一小步一小步等距地走。"
tracks = [Track(name, np.asarray(follow(made, valley, start, 3000))) for name, made in ours.items()]
pictures.show(drawings.valleys(valley, tracks, 60))


# %% [markdown] lang="en"
# How many steps does each need until the loss is a millionth of the first one? RMSprop never gets there
# with a constant learning rate: it divides by the size of the gradient, so its steps do not shrink with
# it. Adam divides too, but by a mean over 1,000 steps, which stays large when the gradient has become small.

# %% [markdown] lang="zh"
# 损失降到最初的百万分之一，各需要多少步？学习率不变时，RMSprop 到不了：它除以梯度的大小，
# 所以梯度变小时，步子并不跟着变小。


# %% tags=["S58"]
def steps_needed(loss, path):
    heights = np.asarray(loss(jnp.asarray(path)))
    reached = np.flatnonzero(heights < 1e-6 * heights[0])
    return int(reached[0]) if len(reached) else len(path)  # or more


needed = {name: steps_needed(valley, path) for name, path in tracks}
for name, steps in needed.items():
    print(
        f"{name:9} learning rate {rates[name]:<6}", f"{steps} steps" if steps < 3000 else "not in 3000 steps"
    )
assert needed["momentum"] < needed["sgd"] / 2 and needed["nesterov"] < needed["sgd"] / 4

# %% [markdown] lang="en"
# These learning rates were chosen by hand. To be fair, each gets the best of 50. In the valley momentum still
# wins. In a round bowl, equally steep in every direction, nothing is left to solve, and momentum only overshoots.
# So it solves narrow valleys, not speed as such.

# %% [markdown] lang="zh"
# 上面的学习率是人工选的。为了公平，让每种方法各从 50 个学习率中取最好的。在山谷里，动量仍然快。
# 在各个方向一样陡的圆碗里，没有什么需要解决的，动量只会冲过头。所以动量解决的是狭长的山谷，而不是一般意义上的速度。


# %% tags=["S58"]
def round_bowl(w):
    return 0.5 * (w**2).sum(axis=-1)


def fewest_steps(name, loss):
    many = jnp.geomspace(1e-3, 3, 50)
    paths = jax.vmap(lambda rate: follow(jn.job.OPTIMIZERS[name](rate), loss, start, 500))(many)
    return min(steps_needed(loss, path) for path in paths)


fewest = {}
for where, loss in (("valley", valley), ("round bowl", round_bowl)):
    for name in ("sgd", "momentum", "nesterov"):
        fewest[where, name] = fewest_steps(name, loss)
        print(f"{where:10} {name:9} {fewest[where, name]:4} steps at its best learning rate")
assert fewest["valley", "nesterov"] < fewest["valley", "momentum"] < fewest["valley", "sgd"] / 2
assert fewest["round bowl", "sgd"] < fewest["round bowl", "nesterov"] < fewest["round bowl", "momentum"]

# %% [markdown] lang="en"
# Whether it is faster for a real network is a third question, which no valley answers.
# `python experiments/optimizers.py` measures it, with a learning rate chosen for each optimizer, several
# seeds and error bars. On MNIST it is not: at its best learning rate, which is five times as large, plain
# descent needs as many epochs, as far as 16 seeds can tell.
#
# That is so in batches of 128. `python experiments/batch_sizes.py` measures it from 1 to 4,096. Up to 64 no
# difference is seen. From 512 on momentum takes about a third of plain descent's epochs: a large batch has
# little noise, so the learning rate is held back by the steepest direction, as in the valley. Plain descent
# sees twice the examples that it needs from a batch of some 150 on, momentum from some 800. Such a critical
# batch size, and that momentum makes it larger, is what Shallue and others measured ("Measuring the effects
# of data parallelism on neural network training", 2019).

# %% [markdown] lang="zh"
# 对真实的网络是否更快，是另一个问题，山谷回答不了。`python experiments/optimizers.py` 会测量：
# 为每种优化器选择学习率，用多个随机种子，并给出误差范围。在 MNIST 上并不更快：普通梯度下降用自己最好的学习率
# （是动量的五倍），需要的轮数一样多，16 个种子看不出差别。
#
# 那是批次为 128 的情形。`python experiments/batch_sizes.py` 从 1 量到 4,096。批次到 64 为止看不出差别；
# 从 512 起，动量只需普通梯度下降三分之一左右的轮数：大批次的噪声小，限制学习率的是最陡的方向，就像在山谷里。
# 普通梯度下降的批次大到 150 左右时，要看的样本是最少时的两倍；动量则要到 800 左右。这样的临界批次大小，
# 以及动量使它变大，正是 Shallue 等人测到的（"Measuring the effects of data parallelism on neural network
# training"，2019）。

# %% [markdown] lang="en"
# ## The current gradient and the previous update
#
# Momentum uses the gradient and the previous update, say the notes. Right:
#
# $$w_{t+1} - w_t = 0.9 (w_t - w_{t-1}) - rate \cdot g_t$$
#
# This is called the heavy ball. Here it is checked along the way that momentum took in the valley.

# %% [markdown] lang="zh"
# ## 当前的梯度和上一次更新
#
# 笔记说，动量更新参数时不仅要考虑当前梯度值，还要考虑上一次参数更新。是的：
#
# $$w_{t+1} - w_t = 0.9 (w_t - w_{t-1}) - rate \cdot g_t$$
#
# 这叫作重球法（heavy ball）。下面沿着动量在山谷里走过的路核对。

# %% tags=["S59"]
path = tracks[1].points[:60]
updates, slopes = np.diff(path, axis=0), path * (1, 100)  # of the valley
expected = 0.9 * updates[:-1] - rates["momentum"] * slopes[1:-1]
print(f"{len(expected)} updates, largest difference {np.abs(updates[1:] - expected).max():.0e}")
np.testing.assert_allclose(updates[1:], expected, atol=1e-5)

# %% [markdown] lang="en"
# ### What the book lists
#
# The book's listing of "naive momentum" is something else. It updates the velocity, and then moves by
# `momentum * velocity - rate * gradient`: the gradient counts once more. That is Nesterov's momentum, which
# Keras and optax offer as `nesterov=True`. The book's factor is 0.1, so it remembers hardly anything.

# %% [markdown] lang="zh"
# ### 书中写的是什么
#
# 书中“动量的简单实现”其实是另一种。它先更新速度，然后移动 `momentum * velocity - rate * gradient`，
# 也就是把当前的梯度又计入一次。这是 Nesterov 动量，在 Keras 和 optax 中就是 `nesterov=True`。
# 书中的系数是 0.1，几乎什么也记不住。

# %% tags=["S59"]
w, velocity = start, jnp.zeros(2)
for _ in range(20):
    g = gradient(w)
    velocity = 0.1 * velocity - 0.01 * g
    w = w + 0.1 * velocity - 0.01 * g
candidates = {
    "heavy ball": optimizers.momentum(0.01, 0.1),
    "Nesterov": optimizers.nesterov(0.01, 0.1),
    "optax, nesterov=True": optax.sgd(0.01, 0.1, nesterov=True),
}
apart = {n: float(jnp.abs(w - follow(o, valley, start, 20)[-1]).max()) for n, o in candidates.items()}
print({name: f"{distance:.0e}" for name, distance in apart.items()})
assert apart["heavy ball"] > 1e-4 > 1e-5 > max(apart["Nesterov"], apart["optax, nesterov=True"])

# %% tags=["S59"] alt="The position of the weight over 60 steps in a bowl. Plain descent approaches the lowest place from one side; the heavy ball swings past it and back several times; Nesterov swings less." alt_zh="权重在碗里走 60 步的位置。普通梯度下降从一侧接近最低点；重球多次冲过最低点又返回；Nesterov 动量的摆动更小。"
figure = pictures.new(7, 3)
axes = figure.subplots()
swings = {"plain": optimizers.sgd, "heavy ball": optimizers.momentum, "Nesterov": optimizers.nesterov}
for (name, rule), style in zip(swings.items(), palette.LINES, strict=False):
    axes.plot(follow(rule(0.1), lambda w: 0.5 * w**2, jnp.array(2.0), 60), label=name, **style)
axes.axhline(0, color=palette.FAINT, linewidth=0.8)
axes.set(xlabel="step", ylabel="weight")
axes.legend()
pictures.show(figure)

# %% [markdown] lang="en"
# Play with it: move the start, the learning rate and the momentum, and see where the balls rest. Then watch
# all six optimizers in the valley.

# %% [markdown] lang="zh"
# 可以自己试：改变起点、学习率和动量，看小球停在哪里；再看六种优化器在山谷里怎么走。

# %% tags=["S57", "S58", "S59"]
toys.play("ball")

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** Start at −1.6 instead of −1.3 in the deeper dent. Does momentum still rest in it?
#
# <details><summary>Answer</summary>
#
# No: the run-up is now long enough, and it comes to rest at 2. A small change of the start decides, so it is
# no rule that one could rely on.
#
# </details>
#
# **2.** In the valley, with the learning rate 0.01, try the momentum 0, 0.5, 0.9 and 0.99. Which is best?
#
# <details><summary>Answer</summary>
#
# They take 629, 308, 121 and 737 steps. Too much momentum swings for a long time; about 0.82 is best here,
# with 69 steps.
#
# </details>
#
# **3.** Plain descent rested in the first dent. Try the learning rates 0.5 and 1.
#
# <details><summary>Answer</summary>
#
# With 0.5 it still rests there; with 1 it leaps over the dent and ends at 2. A large step can pass a local
# minimum without momentum.
#
# </details>
#
# **4.** Multiply the valley's loss by 100. Which optimizers hardly notice?
#
# <details><summary>Answer</summary>
#
# RMSprop and Adam: they divide by the size of the gradient. Adagrad too, but for its first value 0.1. The
# other three diverge.
#
# </details>

# %% [markdown] lang="zh"
# ## 练习
#
# **1.** 在更深的坑里，把起点从 −1.3 改成 −1.6。动量还会停在坑里吗？
#
# <details><summary>答案</summary>
#
# 不会：助跑够长了，它停在 2。起点的微小改变就决定了结果，所以不能指望它总是成功。
#
# </details>
#
# **2.** 在山谷里，学习率取 0.01，动量分别取 0、0.5、0.9 和 0.99。哪个最好？
#
# <details><summary>答案</summary>
#
# 分别需要 629、308、121 和 737 步。动量太大会摆动很久；这里 0.82 左右最好，只要 69 步。
#
# </details>
#
# **3.** 普通梯度下降停在第一个坑里。试试学习率 0.5 和 1。
#
# <details><summary>答案</summary>
#
# 0.5 时仍然停在坑里；1 时一步跨过小坑，停在 2。没有动量，大的步子也可能越过局部最小值。
#
# </details>
#
# **4.** 把山谷的损失乘以 100。哪些优化器几乎不受影响？
#
# <details><summary>答案</summary>
#
# RMSprop 和 Adam：它们除以梯度的大小。Adagrad 也差不多，只差初始值 0.1 的影响。其余三种会发散。
#
# </details>
