# %% [markdown] lang="en"
# # Tensors
#
# A network reads numbers and writes numbers. They stand in tensors: containers of numbers with any number
# of axes. This lesson says what a tensor is, how a part of one is taken, and which axes real data have.
# It is worth the time: a program that mixes up two axes often runs without an error, and learns nothing.

# %% [markdown] lang="zh"
# # 张量
#
# 神经网络读入的是数，输出的也是数。这些数放在张量里：张量是数的容器，可以有任意多个轴。
# 这一课讲什么是张量、怎样取出它的一部分，以及真实数据各有哪些轴。
# 这值得花时间：把两个轴弄混的程序，往往照样能运行，不报错，只是什么也学不会。

# %%
import jax
import jax.numpy as jnp
import numpy as np

import jaxnaive as jn
from jaxnaive import pictures, tensors
from jaxnaive.command import compile_cache
from jaxnaive.pictures import drawings, palette

compile_cache.use()  # what JAX compiles is kept for the next time

# %% [markdown] lang="en"
# ## Rank: the number of axes
#
# `jax.numpy` is used like NumPy: arrays are made and inspected in the same way, and JAX computes.
# The number of axes is called the **rank**; in code it is `ndim`. A single number has no axis, a vector has
# one, a matrix has two. Stack matrices and you have a cube of numbers, with three.

# %% [markdown] lang="zh"
# ## 阶：轴的个数
#
# `jax.numpy` 的用法和 NumPy 一样，背后由 JAX 计算，所以数组的创建和查看都是你熟悉的写法。
# 轴的个数叫作**阶**（rank），在代码里是 `ndim`。单独一个数没有轴，向量有一个轴，矩阵有两个轴。
# 把几个矩阵叠在一起，就是一个数字立方体，有三个轴。

# %% tags=["S01", "S02", "S03", "S06", "S07"]
scalar, vector = jnp.array(12), jnp.array([12, 3, 6, 14, 7])
matrix = jnp.array([[5, 78, 2, 34, 0], [6, 79, 3, 35, 1], [7, 80, 4, 36, 2]])
cube = jnp.stack([matrix, matrix, matrix])
for x in (scalar, vector, matrix, cube):
    print("rank", x.ndim, "shape", x.shape)
assert [x.ndim for x in (scalar, vector, matrix, cube)] == [0, 1, 2, 3]
assert all(np.asarray(x).ndim == x.ndim for x in (scalar, vector, matrix, cube))  # NumPy agrees

# %% tags=["S01", "S06"] alt="A single box, a row of five boxes, a table of three rows and five columns, and three such tables behind one another: tensors of ranks 0, 1, 2 and 3." alt_zh="一个方格、一行五个方格、一张三行五列的表、三张前后叠放的表：0 阶、1 阶、2 阶和 3 阶张量。"
figure = drawings.ranks([np.asarray(x) for x in (scalar, vector, matrix, cube)])
pictures.show(figure)

# %% [markdown] lang="en"
# The two axes of a matrix are its rows and its columns. The first index says which row, the second which
# column. A colon in place of an index means "all of this axis".

# %% [markdown] lang="zh"
# 矩阵的两个轴通常叫作行和列。第一个索引指定第几行，第二个索引指定第几列。索引的位置上写一个冒号，
# 意思是“这个轴全部都要”。

# %% tags=["S05"]
print("first row   ", matrix[0])
print("first column", matrix[:, 0])
assert matrix[0].shape == (5,) and matrix[:, 0].shape == (3,)

# %% [markdown] lang="en"
# ## A vector of five entries is not a tensor of rank 5
#
# "Dimension" is used for two things: the number of axes, and the length of one axis. A five-dimensional
# *vector* has one axis with five entries on it. A five-dimensional *tensor* has five axes, here of length 2
# each. "Rank" and "shape" leave no doubt, so these lessons use them.

# %% [markdown] lang="zh"
# ## 五维向量不是五维张量
#
# “维”这个字有两种用法：轴的个数，或者沿某个轴的元素个数。五维*向量*只有一个轴，沿这个轴有五个元素。
# 五维*张量*有五个轴，下面的例子里每个轴的长度是 2。“阶”和“形状”没有歧义，所以这些课只用这两个词。

# %% tags=["S04"]
for x in (jnp.zeros(5), jnp.zeros((2, 2, 2, 2, 2))):
    print("rank", x.ndim, "entries", x.size)
assert jnp.zeros(5).ndim == 1

# %% [markdown] lang="en"
# ## Counting brackets
#
# The rank is also how deep the brackets are nested. This holds only if the lists at each depth are equally
# long. A ragged list has no shape. It is not a tensor, and it is refused. The message says where it is
# ragged.

# %% [markdown] lang="zh"
# ## 数方括号
#
# 笔记里说，有几层相互包含的方括号，就是几阶。这有一个条件：同一层的列表要一样长。长短不齐的列表没有形状，
# 也就不是张量，会被拒绝。报错信息会说出是哪里不齐。

# %% tags=["S08"]
for nested in (12, [12, 3, 6], [[5, 78, 2], [6, 79, 3]], [[[1], [2]], [[3], [4, 5]]]):
    try:
        print(f"{nested!s:30} brackets: {tensors.depth(nested)}, rank: {np.ndim(nested)}")
    except ValueError as error:
        print(f"{nested!s:30} {error}")

# %% [markdown] lang="en"
# ## Three attributes: rank, shape, dtype
#
# With rank, shape and dtype you know what an array is before you look at a single number of it. Here are
# those of the training images: MNIST has 60,000 of 28 by 28 pixels. If MNIST is not on this machine,
# scikit-learn's 8 by 8 digits take its place.

# %% [markdown] lang="zh"
# ## 三个关键属性：阶、形状、数据类型
#
# 知道了阶、形状和数据类型，不用看任何一个数，就知道这是怎样的数组。下面是训练图像的属性：
# MNIST 有 60,000 张 28×28 像素的训练图像。如果这台机器上没有 MNIST，就用 scikit-learn 自带的 8×8 手写数字代替。

# %% tags=["S09", "S10", "S11"]
dataset = jn.data.load()
x = dataset.train.images
print(dataset.name)
print("rank ", x.ndim)
print("shape", x.shape)
print("dtype", x.dtype)
print(tensors.describe(x, ("samples", "height", "width")))
assert x.ndim == 3 and x.dtype == np.uint8

# %% [markdown] lang="en"
# A pixel is a grey value from 0 to 255 and fits into one byte, `uint8`. As `float32` the same images take
# four times the memory, so the images here stay `uint8` until a batch of them is used.
#
# Two things about dtypes surprise people who come from NumPy. JAX makes `float32` where NumPy makes
# `float64`, unless you enable 64 bits. And where TensorFlow has a dtype for strings, JAX has none: words
# must become numbers first.

# %% [markdown] lang="zh"
# 像素是 0 到 255 的灰度值，一个字节（`uint8`）就够了。换成 `float32`，同样的图像要占四倍的内存，
# 所以这里的图像一直保持 `uint8`，用到某个批量时才转换。
#
# 数据类型有两点会让用惯 NumPy 的人意外。NumPy 得到 `float64` 的地方，JAX 得到 `float32`，除非你打开 64 位。
# TensorFlow 有 string 类型的张量，JAX 没有：文字要先变成数。

# %% tags=["S11"]
for dtype in ("float16", "float32", "uint8"):
    print(f"{dtype:8} {x.size * np.dtype(dtype).itemsize:13,} bytes for the images")
print("NumPy", np.array([0.1]).dtype, " JAX", jnp.array([0.1]).dtype)
with jax.enable_x64(True):
    print("JAX with 64 bits enabled", jnp.array([0.1]).dtype)
try:
    jnp.array(["cat", "dog"])
except TypeError as error:
    print("TypeError:", error)

# %% [markdown] lang="en"
# ## An array of JAX does not change
#
# You cannot assign to an entry. An array is a value, as the number 3 is. `x.at[i].set(value)` returns a
# **new** array and leaves the old one as it was. This is why a training step, later, *returns* new weights.

# %% [markdown] lang="zh"
# ## JAX 的数组不能修改
#
# 不能给某个元素赋值。数组是一个值，就像数字 3 一样。`x.at[i].set(value)` 返回一个**新**数组，
# 原来的保持不变。所以后面的训练步骤会*返回*新的权重，而不是修改旧的。

# %% tags=["S01"]
changed = vector.at[0].set(100)
print("new", changed)
print("old", vector)
assert vector[0] == 12

# %% [markdown] lang="en"
# ## Slices
#
# To take a part of a tensor is called slicing. `a:b` includes `a` and excludes `b`. A missing bound is the
# start or the end of the axis, and a negative one counts from the end. JAX gives what NumPy gives.

# %% [markdown] lang="zh"
# ## 切片
#
# 取出张量的一部分叫作切片。`a:b` 表示 [a, b)：含 a，不含 b。a 为空就从头开始，b 为空就取到结尾，
# 负数是相对于结尾的位置。JAX 和 NumPy 的结果一样。

# %% tags=["S12", "S13"]
ten = np.arange(10)
for a, b in ((2, 5), (None, 5), (2, None), (None, None), (-3, None), (None, -3)):
    part = jnp.asarray(ten)[a:b]
    print(f"[{'' if a is None else a}:{'' if b is None else b}]".ljust(6), part)
    np.testing.assert_array_equal(part, ten[a:b])

# %% [markdown] lang="en"
# ### Where JAX is not NumPy
#
# Compiled code cannot raise an error in the middle, so JAX moves a place that does not exist to the nearest
# one that does. `jax.lax.dynamic_slice` shifts a whole slice back until it fits. Suppose you cut 60,000
# images into batches of 128 this way. The last batch would begin at image 59,904 and has only 96 images
# left. What you get begins 32 images earlier, and those are trained on twice. No error is raised.

# %% [markdown] lang="zh"
# ### JAX 与 NumPy 不同的地方
#
# 编译后的代码不能中途报错，所以遇到不存在的位置，JAX 会取最近的那个存在的位置。
# `jax.lax.dynamic_slice` 会把整个切片往前移，直到放得下。假如你这样把 60,000 张图像切成 128 张一批：
# 最后一批应当从第 59,904 张开始，只剩 96 张。实际得到的切片却提前了 32 张开始，这 32 张就训练了两次，
# 而且没有任何报错。

# %% tags=["S13"]
many = np.arange(60_000)
numpy_part = many[59_904 : 59_904 + 128]
jax_part = jax.lax.dynamic_slice(jnp.asarray(many), (59_904,), (128,))
print("NumPy, a slice:  ", len(numpy_part), "images,", numpy_part[0], "to", numpy_part[-1])
print("JAX, a slice:    ", len(jax_part), "images,", jax_part[0], "to", jax_part[-1])
print("JAX, one place:  ", jnp.asarray(many)[jnp.array([60_000])])
try:
    many[np.array([60_000])]
except IndexError as error:
    print("NumPy, one place:", error)
assert jax_part[0] == 59_904 - 32

# %% [markdown] lang="en"
# The batches of this project never do this. `tensors.batch` returns the shorter last batch, and it refuses
# a batch that does not exist.

# %% [markdown] lang="zh"
# 这个项目里取批量的函数不会这样：`tensors.batch` 返回较短的最后一批；要一个不存在的批量，它会拒绝。

# %% tags=["S13", "S18"]
last = tensors.batch(many, 468)
print("the last batch:", len(last), "images,", last[0], "to", last[-1])
try:
    tensors.batch(many, 469)
except ValueError as error:
    print("ValueError:", error)

# %% [markdown] lang="en"
# ### Slices of images
#
# There are three ways to write "images 10 to 99". What is left out at the end means "all of it".

# %% [markdown] lang="zh"
# ### 图像的切片
#
# 笔记里的“选出第 10~99 张图像的 3 种方法”，代码在图里，没有留下来。它们是下面这三种写法。后面的轴不写，
# 就是全部都要。

# %% tags=["S14"]
samples, height, width = x.shape
first, second, third = x[10:100], x[10:100, :, :], x[10:100, 0:height, 0:width]
print(first.shape, second.shape, third.shape)
assert np.array_equal(first, second) and np.array_equal(first, third)

# %% [markdown] lang="en"
# A slice can be taken along several axes at once. This takes the lower right quarter of **all** images, and
# then their centre. On MNIST the slices are `x[:, 14:, 14:]` and `x[:, 7:-7, 7:-7]`.

# %% [markdown] lang="zh"
# 可以同时沿几个轴切片。下面先取**所有**图像的右下角，再取它们的中心。
# 在 MNIST 上就是 `x[:, 14:, 14:]` 和 `x[:, 7:-7, 7:-7]`。

# %% tags=["S15", "S16"]
half, quarter = height // 2, height // 4
corner = x[:, half:, half:]
middle = x[:, quarter:-quarter, quarter:-quarter]
print("corner", corner.shape, " centre", middle.shape)
assert np.array_equal(corner, tensors.bottom_right(x, half))
assert np.array_equal(middle, tensors.centre(x, half))

# %% tags=["S14", "S15", "S16"] alt="Ninety handwritten digits; sixteen of them with a frame around their lower right quarter; the same sixteen with a frame around their centre." alt_zh="九十个手写数字；其中十六个，框出右下角；同样十六个，框出中心。"
pictures.show(drawings.slices(np.asarray(x[10:100]), half))

# %% [markdown] lang="en"
# ## Batches
#
# Axis 0 counts the samples. A model does not take all of them at once but in small batches, slices of axis
# 0. In a batch, axis 0 is the batch axis. Batch number n, counted from 0, is `x[128 * n : 128 * (n + 1)]`.
# Every sample is in exactly one batch, and the last batch may be shorter.

# %% [markdown] lang="zh"
# ## 批量
#
# 0 轴是样本轴。模型不会一次处理整个数据集，而是一次处理一小批，也就是沿 0 轴的一个切片；
# 这时 0 轴叫作批量轴。第 n 批（从 0 数起）是 `x[128 * n : 128 * (n + 1)]`。每个样本恰好在一批里，
# 最后一批可能短一些。

# %% tags=["S17", "S18"]
batches = [x[128 * n : 128 * (n + 1)] for n in range(jn.batches.num_batches(samples, 128))]
print(len(batches), "batches; the first", batches[0].shape, "the last", batches[-1].shape)
assert sum(map(len, batches)) == samples
assert np.array_equal(np.concatenate(batches), x)

# %% [markdown] lang="en"
# The notes say that axis 0 is **always** the samples axis. It is so by convention, until something is put
# in front of it. `jax.vmap` makes a function of one thing into a function of many. Below it runs the same
# function for three random keys, and now axis 0 counts the keys. (A key is what JAX has in place of a
# hidden random state: the same key, the same numbers.)

# %% [markdown] lang="zh"
# 笔记说 0 轴**都是**样本轴。这是约定：只要前面没有再添别的轴，就是这样。
# `jax.vmap` 把处理一个对象的函数变成处理许多对象的函数。下面用三个随机数 key 同时运行一个函数，
# 这时 0 轴对应的是 key。（JAX 没有隐藏的随机状态，随机数由 key 决定：key 相同，数就相同。）

# %% tags=["S17"]
keys = jax.random.split(jax.random.key(0), 3)
print("one key   ", tensors.vectors(keys[0]).shape, "= (samples, features)")
print("three keys", jax.vmap(tensors.vectors)(keys).shape, "= (keys, samples, features)")

# %% [markdown] lang="en"
# ## Five kinds of data
#
# What you meet in practice is nearly always one of these. The notes list four of them. The fifth is text,
# with a number for each word: `(samples, tokens)`. The data are made up here; their axes are those of real
# data. `jax.eval_shape` computes the shape of a function's result and none of its numbers: the films alone
# would take 106 MB.

# %% [markdown] lang="zh"
# ## 五种数据
#
# 实际遇到的数据几乎总是下面几种之一。笔记列出了四种；第五种是文本，每个词是一个数：`(samples, tokens)`。
# 这里的数据是随机生成的，轴和真实数据一样。`jax.eval_shape` 只算出函数结果的形状，不算任何数：
# 光是那几段视频就要占 106 MB。

# %% tags=["S19", "S20", "S21", "S22"]
key = jax.random.key(0)
make = {"vectors": tensors.vectors, "time series": tensors.time_series, "text": tensors.text,
        "images": tensors.images, "video": tensors.video}  # fmt: skip
for kind, axes in tensors.AXES.items():
    print(f"{kind:12}", tensors.describe(jax.eval_shape(make[kind], key), axes))

# %% [markdown] lang="en"
# ### Vectors
#
# 1,000 people, each with age, sex and income, are `(1000, 3)`: samples, features. A dense layer takes
# such rows; only their scale is changed first, to mean 0 and deviation 1. The question put to it here is
# whether an income is above the median. That is easy, since the income is one of the three features.

# %% [markdown] lang="zh"
# ### 向量数据
#
# 1000 个人，每人有年龄、性别、收入，形状是 `(1000, 3)`：样本轴、特征轴。Dense 层可以直接读这样的数据。
# 这里让它判断收入是否高于中位数。这个问题很容易，因为收入就是三个特征之一。

# %% tags=["S19"]
people = tensors.vectors(key)
rich = (people[:, 2] > jnp.median(people[:, 2])).astype(jnp.int32)
examples = jn.batches.Examples((people - people.mean(axis=0)) / people.std(axis=0), rich)
recipe = jn.training.Recipe(jn.layers.dense(3, 2), jn.optimizers.sgd(1.0), batch_size=100)
params, _ = jn.training.train(jax.random.key(1), examples, recipe, epochs=20)
accuracy = jn.training.evaluate(params, examples, recipe).accuracy
print(people.shape, people[0], f"accuracy {accuracy:.3f}")
assert accuracy > 0.95

# %% [markdown] lang="en"
# ### Time series
#
# The highest and the lowest price of each minute, with an hour as a sample, are `(30, 60, 2)`: samples,
# timesteps, features. The order along the time axis is part of the data. Shuffle the hours and you have the
# same samples in another order. Shuffle the minutes and you have other samples: the price jumps.

# %% [markdown] lang="zh"
# ### 时间序列
#
# 每分钟的最高价和最低价，一小时作为一个样本，形状是 `(30, 60, 2)`：样本轴、时间轴、特征轴。
# 沿时间轴的顺序是数据的一部分。打乱小时，样本还是那些样本，只是次序变了；打乱分钟，样本就变了：价格会乱跳。

# %% tags=["S20"]
prices = np.asarray(tensors.time_series(key))
rng = np.random.default_rng(0)
hours_shuffled, minutes_shuffled = prices[rng.permutation(30)], prices[:, rng.permutation(60)]
for name, y in (("in order", prices), ("hours", hours_shuffled), ("minutes", minutes_shuffled)):
    print(f"{name:9} from one minute to the next: {np.abs(np.diff(y[..., 0], axis=1)).mean():.3f}")

# %% tags=["S20"] alt="The price of one hour, a line that moves a little from minute to minute; beside it the same minutes in another order, a line that jumps up and down." alt_zh="一小时的价格，每分钟只移动一点；旁边是打乱顺序的同样这些分钟，上下乱跳。"
figure = pictures.new(9.0, 2.4)
panels = (("sample 0", prices), ("sample 0, minutes shuffled", minutes_shuffled))
for axes, (title, y) in zip(figure.subplots(1, 2, sharey=True), panels, strict=True):
    for values, label, style in zip(y[0].T, ("highest", "lowest"), palette.LINES, strict=False):
        axes.plot(values, label=label, **style)
    axes.set(title=title, xlabel="minute (axis 1)", ylabel="price (at first 100)")
    axes.legend()
pictures.show(figure)

# %% [markdown] lang="en"
# ### Images
#
# Images are `(samples, height, width, channels)`, says the book. Not everyone agrees: Keras gives MNIST
# without channels, tfds with one at the end, PyTorch with one in front. With one channel all three hold
# the same numbers in the same order. Once each image is a row of features, they are the same.

# %% [markdown] lang="zh"
# ### 图像
#
# 书中说图像是 `(samples, height, width, channels)`。但并非处处如此：Keras 的 MNIST 没有 channel 轴，
# tfds 的放在最后，PyTorch 的放在前面。三种排法里，数相同，顺序也相同。每张图像排成一行特征之后，
# 就没有区别了。

# %% tags=["S21"]
ten_images = x[:10]
layouts = (ten_images, ten_images[..., None], ten_images[:, None])
rows = [jn.batches.as_features(jnp.asarray(layout)) for layout in layouts]
for name, layout, row in zip(("Keras", "tfds", "PyTorch"), layouts, rows, strict=True):
    print(f"{name:8} {layout.shape!s:18} -> {row.shape}")
assert np.array_equal(rows[0], rows[1]) and np.array_equal(rows[0], rows[2])

# %% [markdown] lang="en"
# ### Video
#
# A film is a row of images, so it has one axis more: `(samples, frames, height, width, channels)`. You
# will seldom meet a higher rank. Four films as in the book have rank 5 and 106,168,320 numbers. The film
# below is smaller.

# %% [markdown] lang="zh"
# ### 视频
#
# 视频是图像的序列，所以多一个轴：`(samples, frames, height, width, channels)`。一般不会遇到比这更高的阶。
# 书中的四段视频是 5 阶张量，共 106,168,320 个数。下面画的是一段小的。

# %% tags=["S06", "S22"] alt="Five frames of a film: a coloured spot with soft edges drifts across a black background." alt_zh="一段视频的五帧：一个边缘柔和的彩色光斑在黑色背景上漂移。"
film = np.asarray(tensors.video(key, samples=1, frames=5, height=36, width=64))
figure = pictures.new(9.0, 1.5)
for t, axes in enumerate(figure.subplots(1, 5)):
    axes.imshow(film[0, t])
    axes.set_title(f"film[0, {t}]", fontsize=10)
    axes.axis("off")
pictures.show(figure)
print(film.shape)

# %% tags=["S22"]
films = tensors.describe(jax.eval_shape(tensors.video, key), tensors.AXES["video"])
print(films)
assert films.shape == (4, 240, 144, 256, 3) and films.bytes == 106_168_320

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** `jnp.array([[[7]]])` holds a single number. What are its rank and its shape?
#
# <details><summary>Answer</summary>
#
# Rank 3, shape `(1, 1, 1)`. There are three brackets, so there are three axes. How many numbers there are
# does not matter.
#
# </details>

# %% [markdown] lang="zh"
# ## 练习
#
# **1.** `jnp.array([[[7]]])` 里只有一个数。它的阶和形状是什么？
#
# <details><summary>答案</summary>
#
# 阶是 3，形状是 `(1, 1, 1)`。有三层方括号，就有三个轴，和里面有多少个数无关。
#
# </details>

# %% [markdown] lang="en"
# **2.** Change `x[10:100]` to `x[10]`, and then to `x[10:11]`. Predict the shape of each.
#
# <details><summary>Answer</summary>
#
# `x[10]` is one image, and its axis 0 is gone: `(28, 28)` on MNIST. `x[10:11]` is a batch of one image and
# keeps the axis: `(1, 28, 28)`. A model that expects a batch takes the second.
#
# </details>

# %% [markdown] lang="zh"
# **2.** 把 `x[10:100]` 改成 `x[10]`，再改成 `x[10:11]`。预测各自的形状。
#
# <details><summary>答案</summary>
#
# `x[10]` 是一张图像，0 轴没有了：在 MNIST 上是 `(28, 28)`。`x[10:11]` 是只有一张图像的批量，0 轴还在：
# `(1, 28, 28)`。模型要的是批量，所以要用后一种。
#
# </details>

# %% [markdown] lang="en"
# **3.** The test set of MNIST has 10,000 images. How many batches of 128 are that, and how many images has
# the last?
#
# <details><summary>Answer</summary>
#
# 79 batches, because 10,000 / 128 = 78.125, rounded up. The first 78 hold 9,984 images, so the last one has
# 16.
#
# </details>

# %% [markdown] lang="zh"
# **3.** MNIST 的测试集有 10,000 张图像。每批 128 张，一共几批？最后一批有几张？
#
# <details><summary>答案</summary>
#
# 79 批：10,000 / 128 = 78.125，向上取整。前 78 批是 9,984 张，所以最后一批有 16 张。
#
# </details>

# %% [markdown] lang="en"
# **4.** In the cell on time series, reverse the minutes with `prices[:, ::-1]`. What becomes of the number
# printed? Are these the same data?
#
# <details><summary>Answer</summary>
#
# The number stays the same: neighbours remain neighbours. But the data are different, because what rose
# now falls. A number that does not change does not prove that nothing has changed.
#
# </details>

# %% [markdown] lang="zh"
# **4.** 在时间序列那个单元格里，用 `prices[:, ::-1]` 把分钟倒过来。打印的数会怎样变？数据还一样吗？
#
# <details><summary>答案</summary>
#
# 打印的数不变：原来相邻的分钟仍然相邻。但数据不一样了：原来上涨的，现在是下跌。一个指标没有变，
# 不能说明什么都没有变。
#
# </details>
