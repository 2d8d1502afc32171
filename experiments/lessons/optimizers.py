# %% [markdown] lang="en"
# # Optimizers
#
# A gradient says which way is uphill. It does not say how far to go. Plain gradient descent goes a fixed
# multiple of the gradient. The optimizers of this lesson remember something of the steps before, and do
# better in some places. The lesson shows where, and where not.

# %% [markdown] lang="zh"
# # 优化器
#
# 梯度说出哪个方向是上坡，却没有说该走多远。普通的梯度下降总是走梯度的固定倍数。
# 这一课的优化器会记住前面几步的一些东西，在有些地方走得更好。这一课就来看：在哪里更好，在哪里并不更好。

# %%
import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnaive as jn
from jaxnaive import pictures
from jaxnaive.pages import toys
from jaxnaive.pictures import drawings
from jaxnaive.pictures.drawings import Track

# %% [markdown] lang="en"
# ## An optimizer is two functions
#
# `init` makes the state: what the optimizer remembers. `update` takes the gradients and the state, and
# returns what to add to the weights, and the next state. Here is momentum for one weight. It remembers its
# velocity $v$: each step keeps 0.9 of the last velocity and adds the new gradient $g$.
#
# $$v \leftarrow 0.9 \, v + g, \qquad w \leftarrow w - \eta \, v$$
#
# $\eta$ is the learning rate. The function to walk down is $w^2$, whose gradient is $2w$.

# %% [markdown] lang="zh"
# ## 优化器是两个函数
#
# `init` 生成状态，也就是优化器记住的东西。`update` 接收梯度和状态，返回要加到权重上的量，以及下一个状态。
# 下面是只有一个权重时的动量法。它记住的是速度 $v$：每一步保留上次速度的 0.9，再加上新的梯度 $g$。
#
# $$v \leftarrow 0.9 \, v + g, \qquad w \leftarrow w - \eta \, v$$
#
# $\eta$ 是学习率。要走下去的函数是 $w^2$，它的梯度是 $2w$。

# %% tags=["S57", "S59"]
w, v = 3.0, 0.0
ours, theirs = jn.optimizers.momentum(0.1), optax.sgd(0.1, momentum=0.9)
params, state = jnp.array(w), ours.init(jnp.array(w))
for step in range(4):
    v = 0.9 * v + 2 * w
    w = w - 0.1 * v
    updates, state = ours.update(2 * params, state)
    params = params + updates
    print(f"step {step}: by hand {w:7.4f}, jaxnaive {params:7.4f}")
assert abs(w - params) < 1e-6

# %% [markdown] lang="en"
# ## Six of them, and a library's
#
# SGD with momentum, Adagrad, RMSprop and others are called optimizers. The package has six, each a rule of
# one or two lines. `optax` is the library that people use with JAX. Both have the same interface, so each
# can take the place of the other. A hundred steps down a valley (more on it below) end in the same place.

# %% [markdown] lang="zh"
# ## 六个优化器，与库里的比较
#
# 带动量的 SGD、Adagrad、RMSprop 等变体，都叫作优化器。`jaxnaive` 里有六个，每个的规则只有一两行。`optax`
# 是大家配合 JAX 使用的优化器库。两者的接口相同，可以互换。沿一个山谷（下面会细讲）走一百步，终点相同。

# %% tags=["S57"]
own = {
    "sgd": jn.optimizers.sgd(0.018), "momentum": jn.optimizers.momentum(0.01),
    "nesterov": jn.optimizers.nesterov(0.01), "adagrad": jn.optimizers.adagrad(0.3),
    "rmsprop": jn.optimizers.rmsprop(0.02), "adam": jn.optimizers.adam(0.1),
}  # fmt: skip
optaxs = {
    "sgd": optax.sgd(0.018), "momentum": optax.sgd(0.01, 0.9),
    "nesterov": optax.sgd(0.01, 0.9, nesterov=True), "adagrad": optax.adagrad(0.3),
    "rmsprop": optax.rmsprop(0.02), "adam": optax.adam(0.1),
}  # fmt: skip
start = jnp.array([2.0, 0.3])
for name, optimizer in own.items():
    paths = [jn.descent.follow(each, jn.descent.valley, start, 100) for each in (optimizer, optaxs[name])]
    apart = jnp.abs(paths[0] - paths[1]).max()
    print(f"{name:9} largest distance of the two paths: {apart:.0e}")
    assert apart < 1e-5

# %% [markdown] lang="en"
# ## Does momentum get past a local minimum?
#
# The notes say so, with the picture of a ball that rolls down the loss curve: if it is fast enough, it does
# not stay in a dent and reaches the lowest place in the end. Here are three curves. Each is a bowl with its
# lowest place near 2, and a dent somewhere else.

# %% [markdown] lang="zh"
# ## 动量能越过局部最小值吗？
#
# 笔记是这样说的：把优化过程想象成小球从损失曲线上滚下来，速度够快就不会卡住，最终会到达全局最低点。
# 下面是三条曲线，每条都是一只最低点在 2 附近的碗，别处还有一个坑。

# %% tags=["S58"] alt="Three loss curves with a ball of plain descent and one with momentum. On the first, plain descent stays in the dent and momentum reaches the bottom. On the second both stay in the dent. On the third momentum rolls past a dent that is the lowest place." alt_zh="三条损失曲线，各有一个普通下降的球和一个带动量的球。第一条：普通下降停在坑里，动量到达碗底。第二条：两者都停在坑里。第三条：坑才是最低点，动量却滚了过去。"
curves = {
    "momentum rolls past the dent": (jn.descent.dented(0.8, 0.6, -1.0), -2.5),
    "without a run-up it does not": (jn.descent.dented(1.2, 0.6, -1.0), -1.3),
    "it rolls past the best place too": (jn.descent.dented(1.4, 0.4, -0.5), -2.5),
}
balls = {"plain": jn.optimizers.sgd(0.05), "momentum": jn.optimizers.momentum(0.05)}
panels = []
for title, (loss, first) in curves.items():
    paths = {name: jn.descent.follow(ball, loss, jnp.array(first), 300) for name, ball in balls.items()}
    panels.append((title, loss, [Track(name, np.asarray(path)) for name, path in paths.items()]))
pictures.show(drawings.balls(panels))

# %% tags=["S58"]
for title, loss, tracks in panels:
    ends = [
        f"{track.name} at {track.points[-1]:5.2f}, loss {loss(track.points[-1]):5.2f}" for track in tracks
    ]
    print(f"{title:34}", "; ".join(ends))
losses = [[float(loss(track.points[-1])) for track in tracks] for _, loss, tracks in panels]
(plain_1, momentum_1), (plain_2, momentum_2), (plain_3, momentum_3) = losses
assert momentum_1 < plain_1 and abs(momentum_2 - plain_2) < 0.01 and momentum_3 > plain_3

# %% [markdown] lang="en"
# So the answer is: often, but not always. Momentum gets past a dent if it comes with enough speed. Without
# a run-up it stays in it. And it does not know a bad dent from a good one: on the third curve it leaves the
# lowest place behind. Nothing in the rule looks for the global minimum.

# %% [markdown] lang="zh"
# 所以答案是：常常能，但不保证。带着足够的速度过来，动量就能越过坑；没有助跑，它照样停在坑里。
# 而且它分不清坏坑和好坑：在第三条曲线上，它把最低点甩在了身后。这条规则里没有任何东西在寻找全局最小值。

# %% [markdown] lang="en"
# ## Is momentum faster?
#
# The notes put a question mark behind "speed of convergence". On a slope that does not change, the velocity
# grows until what is lost in a step, a tenth, is what the gradient adds. That is at
# $1 / (1 - 0.9) = 10$ gradients. So on a long, even slope momentum goes ten times as fast with the same
# learning rate.

# %% [markdown] lang="zh"
# ## 动量更快吗？
#
# 笔记在“收敛速度”后面打了问号。在不变的坡上，速度会一直增大，直到每步损失的十分之一正好等于梯度补上的量，
# 也就是 $1 / (1 - 0.9) = 10$ 倍梯度。所以在又长又匀的坡上，学习率相同时，动量快十倍。

# %% tags=["S58"]
path = jn.descent.follow(jn.optimizers.momentum(1.0), lambda w: w, jnp.array(0.0), 60)
lengths = -np.diff(path)
print("length of steps 1, 2, 10, 60 on a slope of 1:", [f"{lengths[i]:.2f}" for i in (0, 1, 9, 59)])
assert abs(lengths[-1] - 10) < 0.03

# %% [markdown] lang="en"
# Most losses are not like this. They are like a valley: steep across, nearly flat along. Ours is
#
# $$\frac{1}{2} (w_1^2 + 100 \, w_2^2)$$
#
# Across, one step of plain descent multiplies $w_2$ by $1 - 100 \eta$. This grows without end if $\eta$ is
# above 0.02. Along, it multiplies $w_1$ by $1 - \eta$, which is at least 0.98. So the steep direction
# forbids the learning rate that the flat one needs.

# %% [markdown] lang="zh"
# 大多数损失不是这样，而更像山谷：横向陡峭，纵向平缓。这里用的山谷是
#
# $$\frac{1}{2} (w_1^2 + 100 \, w_2^2)$$
#
# 横向上，普通下降每走一步，$w_2$ 就乘以 $1 - 100 \eta$；$\eta$ 超过 0.02，它就会无限增大。
# 纵向上，每步 $w_1$ 乘以 $1 - \eta$，至少是 0.98。平缓方向需要的学习率，被陡峭方向禁止了。

# %% tags=["S58", "S57"] alt="Six pictures of the same valley with the first 60 steps of each optimizer. Plain descent zigzags across and gets slowly ahead; momentum swings from side to side and arrives sooner; Nesterov swings less; Adagrad, RMSprop and Adam leave the steep side at an angle." alt_zh="同一个山谷的六幅图，各画一个优化器的前 60 步：普通下降左右折返、前进缓慢；动量来回摆动，到得更早；Nesterov 摆动较小；Adagrad、RMSprop 和 Adam 斜着离开陡坡。"
paths = {
    name: jn.descent.follow(optimizer, jn.descent.valley, start, 1000) for name, optimizer in own.items()
}
tracks = [Track(name, np.asarray(path)) for name, path in paths.items()]
pictures.show(drawings.valleys(jn.descent.valley, tracks, steps=60))

# %% tags=["S58"]
steps = {}
for name, path in paths.items():
    heights = np.asarray(jn.descent.valley(path))
    low = np.flatnonzero(heights < 1e-6 * heights[0])
    steps[name] = low[0] if len(low) else np.inf
    print(f"{name:9} steps to a millionth of the loss: {steps[name]:g}")
assert steps["momentum"] < steps["sgd"] / 2 and steps["nesterov"] < steps["sgd"] / 4

# %% [markdown] lang="en"
# So yes: in a narrow valley momentum is several times as fast. RMSprop does not arrive at all: its steps
# keep nearly one length, so it circles around the bottom until somebody lowers its learning rate.
#
# These rates were chosen by hand, each good for its optimizer and this valley. On real data each optimizer
# needs its own best rate before two of them can be compared. `python experiments/optimizers.py` trains all
# six on MNIST with many seeds, and prints error bars.

# %% [markdown] lang="zh"
# 所以：是的，在狭长的山谷里，动量快好几倍。RMSprop 根本没有到达：它的步子长度几乎不变，只在谷底附近打转，
# 直到有人调低学习率。
#
# 这里的学习率是手工挑的，各自适合自己的优化器和这个山谷。在真实数据上，要先给每个优化器找到它最好的学习率，
# 才谈得上比较。`python experiments/optimizers.py` 用许多种子在 MNIST 上训练全部六个，并给出误差范围。

# %% [markdown] lang="en"
# ## The gradient and the update before
#
# The notes say that an update of momentum uses the gradient and the update before. That is right, and here
# it is without a velocity: the change of $w$ is 0.9 times the last change, less $\eta g$. This is the heavy
# ball of Polyak (1964).
#
# The book's listing "naive momentum" is another rule. It adds the velocity a second time, after it has been
# updated. That is the rule of Nesterov, which looks ahead, and optax has it under that name. Below both are
# written in two lines each.

# %% [markdown] lang="zh"
# ## 当前的梯度，和上一次的更新
#
# 笔记说，动量法更新参数时，既考虑当前的梯度，也考虑上一次的参数更新。这是对的。不用速度也能写出来：
# $w$ 的变化等于上次变化的 0.9 倍，再减去 $\eta g$。这就是 Polyak（1964）的重球法。
#
# 书中“简单动量”的那段代码却是另一条规则：速度更新之后，又把它加了一次。这是 Nesterov 的规则，会“往前看一步”；
# 在 optax 里也叫这个名字。下面把两者各用两行写出来。


# %% tags=["S59"]
def heavy_ball(w, last, g):
    change = 0.9 * last - 0.01 * g
    return w + change, change


def listing_of_the_book(w, velocity, g):
    velocity = 0.9 * velocity - 0.01 * g
    return w + 0.9 * velocity - 0.01 * g, velocity


for rule, name in ((heavy_ball, "momentum"), (listing_of_the_book, "nesterov")):
    w, memory = np.array([2.0, 0.3]), np.zeros(2)
    for _ in range(20):
        w, memory = rule(w, memory, np.array([1.0, 100.0]) * w)
    library = jn.descent.follow(optaxs[name], jn.descent.valley, start, 20)[-1]
    print(f"{rule.__name__:20} {w}  optax's {name:9} {library}")
    np.testing.assert_allclose(w, library, atol=1e-5)

# %% [markdown] lang="en"
# ## A learning rate for each weight
#
# Adagrad, RMSprop and Adam remember how large the gradients of each weight have been, and divide by it. So
# the first steps along and across the valley are equally long, though the slopes differ by a factor of 15.
# It also means that a loss in other units changes nothing: multiply it by 1000, and Adam takes the same
# way. Plain descent would need a learning rate 1000 times smaller.

# %% [markdown] lang="zh"
# ## 每个权重有自己的学习率
#
# Adagrad、RMSprop 和 Adam 记住每个权重的梯度一直有多大，再除以它。所以山谷里纵向和横向的第一步一样长，
# 尽管两个方向的斜率相差 15 倍。这也意味着，损失换个单位并没有影响：把它乘以 1000，Adam 走的路不变；
# 而普通下降的学习率就得缩小到千分之一。

# %% tags=["S57"]
print("slopes at the start:", jax.grad(jn.descent.valley)(start))
for name, path in paths.items():
    print(f"{name:9} first step {path[1] - path[0]}")
scaled = jn.descent.follow(own["adam"], lambda w: 1000 * jn.descent.valley(w), start, 60)
np.testing.assert_allclose(scaled, paths["adam"][:61], atol=1e-3)

# %% [markdown] lang="en"
# Play with them: choose a curve, a start, a learning rate and a momentum, and let three balls roll. Or
# watch all six in the valley.

# %% [markdown] lang="zh"
# 自己试一试：选一条曲线、起点、学习率和动量，让三个球滚下去；或者看六个优化器怎样走过山谷。

# %% tags=["S57", "S58", "S59"]
toys.play("ball")

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** What learning rate gives plain descent, on a slope that does not change, the speed of momentum 0.9
# with the rate 0.01?
#
# <details><summary>Answer</summary>
#
# 0.1. Momentum ends at ten times the length of a plain step.
#
# </details>
#
# **2.** Run plain descent in the valley with the rates 0.0199 and 0.0201. Predict both.
#
# <details><summary>Answer</summary>
#
# With 0.0199 each step multiplies $w_2$ by −0.99: it swings from side to side, and gets slowly smaller. With
# 0.0201 the factor is −1.01, and the loss grows without end. A learning rate that works can be next to
# one that does not.
#
# </details>
#
# **3.** Set the decay of momentum to 0.99. Is it faster in the valley?
#
# <details><summary>Answer</summary>
#
# No. It now keeps its speed for some 100 steps, so it runs over the bottom and comes back again and again.
# More momentum means fewer steps only until it overshoots.
#
# </details>
#
# **4.** What is Adam's first step for a weight whose gradient is a million? And if it is a millionth?
#
# <details><summary>Answer</summary>
#
# One learning rate in both cases. In the first update $m' = g$ and $\sqrt{s'} = |g|$, so their quotient is
# the sign of the gradient.
#
# </details>

# %% [markdown] lang="zh"
# ## 练习
#
# **1.** 在不变的坡上，普通下降要用多大的学习率，才和动量 0.9、学习率 0.01 一样快？
#
# <details><summary>答案</summary>
#
# 0.1。动量最后的步长是普通步长的十倍。
#
# </details>
#
# **2.** 让普通下降用学习率 0.0199 和 0.0201 走这个山谷。先预测两者的结果。
#
# <details><summary>答案</summary>
#
# 0.0199 时，每步 $w_2$ 乘以 −0.99：左右摆动，慢慢变小。0.0201 时要乘以 −1.01，损失会无限增大。
# 学习率可能刚刚还合适，再大一丝就不行了。
#
# </details>
#
# **3.** 把动量的 decay 改成 0.99。在山谷里更快吗？
#
# <details><summary>答案</summary>
#
# 不会。它的速度能保持大约 100 步，于是一次次冲过谷底又折回来。动量越大步数越少，只在冲过头之前成立。
#
# </details>
#
# **4.** 如果一个权重的梯度是一百万，Adam 的第一步有多长？如果是百万分之一呢？
#
# <details><summary>答案</summary>
#
# 两种情况都等于学习率。第一次更新时 $m' = g$，$\sqrt{s'} = |g|$，两者的商就是梯度的符号。
#
# </details>
