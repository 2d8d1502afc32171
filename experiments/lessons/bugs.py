# %% [markdown] lang="en"
# # Thirteen bugs
#
# The author of the notes copied the book's program and found that it does not run. Python cannot even
# read it. Once it is indented, it stops at up to four places, one after another. A stop is the lucky
# case: the error says where to look. Several of the other bugs are silent: the program runs to its end
# and is wrong. This lesson makes every bug happen in a few lines, says whether anything reports it, and
# measures what the silent ones cost.
#
# B1 to B13 are the numbers of the bugs. Some of them are consequences of another.
#
# | | in the notes | what it does |
# |---|---|---|
# | B1, B2 | `@property` is missing, in the layer and in the model | there are no weights to take a gradient of |
# | B3, B4 | two assertions are commented out | nobody reports B1, B2 and B8 |
# | B5 | the loss for one-hot labels gets integers | an error, or a wrong loss |
# | B6 | the test images are assigned to `train_images` | B7 and B8 |
# | B7 | (from B6) the test images are not flat | the evaluation fails |
# | B8 | (from B6) the training images are integers, and those of the test | an error, or wrong training |
# | B9 | `fit` does not pass on its batch size | other batches than asked for |
# | B10 | nothing is shuffled | the same batches in every epoch |
# | B11 | `next()` has no end | empty batches |
# | B12 | softmax in the model, the logarithm in the loss | infinite losses, or none of their gradient |
# | B13 | the indentation is lost | Python cannot read the program |

# %% [markdown] lang="zh"
# # 十三个错误
#
# 笔记的作者抄写了书中的程序，发现它跑不起来。补好缩进以后，它还会先后停在四个地方。能停下来其实是幸运的：报错会告诉你该看哪里。
# 另外几个错误没有任何提示，程序一直运行到结束，结果却是错的。这一课用几行代码重现每一个错误，
# 说明有没有人报告它，并测量那些不报错的错误要付出多大代价。
#
# B1 到 B13 是这些错误的编号，其中有几个是别的错误的后果。
#
# | | 在笔记里 | 造成什么 |
# |---|---|---|
# | B1、B2 | 层和模型里都漏了 `@property` | 没有可以求梯度的权重 |
# | B3、B4 | 两处断言被注释掉了 | B1、B2、B8 没有人报告 |
# | B5 | 要 one-hot 标签的损失函数，得到的是整数 | 报错，或者损失是错的 |
# | B6 | 测试图像赋给了 `train_images` | B7 和 B8 |
# | B7 | （由 B6 引起）测试图像没有展平 | 评估时报错 |
# | B8 | （由 B6 引起）训练图像是整数，而且是测试集的 | 报错，或者练错了 |
# | B9 | `fit` 没有把批量大小传下去 | 批量不是要求的大小 |
# | B10 | 没有打乱 | 每一轮的批量都一样 |
# | B11 | `next()` 没有尽头 | 空的批量 |
# | B12 | 模型里有 softmax，损失里又取对数 | 损失无穷大，或者没有梯度 |
# | B13 | 缩进丢失了 | Python 不接受这个程序 |

# %%
from textwrap import shorten

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnaive as jn
from jaxnaive import mistakes, pictures, statistics
from jaxnaive.command import compile_cache
from jaxnaive.pictures import palette, plots

compile_cache.use()  # what JAX compiles is kept for the next time

# %% [markdown] lang="en"
# Most cells below are meant to fail. `outcome` calls a function and returns what it returns, or the first
# line of its error.

# %% [markdown] lang="zh"
# 下面的许多单元格是故意写错的。`outcome` 调用一个函数，返回它的结果；如果报错，就返回错误信息的第一行。


# %%
def outcome(function, *values):
    try:
        return function(*values)
    except Exception as error:
        return f"{type(error).__name__}: {shorten(str(error).splitlines()[0], 112)}"


# %% [markdown] lang="en"
# ## Before the first line: the indentation is lost
#
# In the copy every line begins at the left margin. Python shows by indentation what belongs to a function, so
# it refuses to read the file at all. Nothing of it runs. Four blanks in front of `return` are the repair.

# %% [markdown] lang="zh"
# ## 还没开始运行：缩进丢失了
#
# 抄下来的代码每一行都顶格。Python 靠缩进判断哪些行属于一个函数，所以它根本不接受这个文件，一行也不会运行。
# 在 `return` 前面补上四个空格就好了。

# %% tags=["B13"]
listing = "def weights(self):\nreturn [self.w, self.b]"
print(outcome(compile, listing, "notes", "exec"))
compile(listing.replace("return", "    return"), "notes", "exec")
print("indented: Python reads it")

# %% [markdown] lang="en"
# ## One wrong name
#
# Now the program is indented, and it prepares its data. The notes say
#
# `train_images = test_images.reshape((10000, 28 * 28))`
#
# The name on the left should be `test_images`. This one word has three consequences. The training images are
# gone, and test images have taken their place. These still hold integers from 0 to 255, for the line that
# divides by 255 has already run. And `test_images` keeps its rows and columns.

# %% [markdown] lang="zh"
# ## 写错了一个名字
#
# 补好缩进以后，程序开始准备数据。笔记里写的是
#
# `train_images = test_images.reshape((10,000, 28 * 28))`
#
# 等号左边本来应该是 `test_images`。这一个词带来三个后果：训练图像没有了，换成了测试图像；
# 这些图像仍然是 0 到 255 的整数，因为除以 255 的那一行在这之前已经运行过了；
# 而 `test_images` 还保留着行和列两个轴。

# %% tags=["B6"]
dataset = jn.data.load()
train, test = dataset.train, dataset.test
pixels, classes = dataset.num_features, len(dataset.class_names)
train_images = train.images.reshape(-1, pixels).astype("float32") / 255
train_images = test.images.reshape(-1, pixels)
test_images = test.images.astype("float32") / 255
print(f"{dataset.name}: {len(train.labels):,} training labels for {len(train_images):,} images, the test set")
print("train_images", train_images.dtype, train_images.shape, " test_images", test_images.shape)

# %% [markdown] lang="en"
# The labels are still those of the training images. So the network would be shown test images under the
# labels of other images.

# %% [markdown] lang="zh"
# 标签仍然是训练图像的标签。也就是说，网络看到的是测试图像，配的却是别的图像的标签。

# %% tags=["B6"] alt="The first ten test images in a row. Under each stands the label of a training image, which is another digit for nearly all of them." alt_zh="排成一行的前十张测试图像，每张下面写着训练集里同一位置的标签，几乎都与图像不符。"
figure = pictures.new(7, 1.1)
axes = figure.subplots()
axes.imshow(np.hstack(list(test.images[:10])), cmap="gray_r")
middles = test.images.shape[2] * (np.arange(10) + 0.5)
axes.set_xticks(middles, [f'"{label}"' for label in train.labels[:10]])
axes.set(yticks=[], xlabel="what they are said to be")
pictures.show(figure)
right = np.mean(test.labels == train.labels[: len(test.labels)])
print(f"{right:.0%} of these labels are right, by chance")
assert right < 0.2

# %% [markdown] lang="en"
# The correct line gives two sets of flat images between 0 and 1. In this project the pairs are checked when
# they come in, and a wrong number of labels is an error.

# %% [markdown] lang="zh"
# 改对以后，两组图像都是展平的，值在 0 和 1 之间。在这个项目里，图像和标签在入口处就会核对，个数不一致就报错。

# %% tags=["B6"]
right_train = train.images.reshape(-1, pixels).astype("float32") / 255
right_test = test.images.reshape(-1, pixels).astype("float32") / 255
for images, labels in ((right_train, train.labels), (right_test, test.labels)):
    assert len(images) == len(labels) and images.shape[1] == pixels and images.max() == 1
print(outcome(jn.data.from_arrays, test.images, train.labels))

# %% [markdown] lang="en"
# ## The first stop: integers times floats
#
# The first batch reaches the first layer, which multiplies it with a matrix of `float32`. TensorFlow
# multiplies only matrices of one dtype. It stops here: `uint8` is not `float32`. JAX converts, as NumPy does,
# and goes on. That is worse. The hidden units are 255 times as large as they should be.

# %% [markdown] lang="zh"
# ## 第一处停下：整数乘浮点数
#
# 第一个批量到了第一层，要与一个 `float32` 矩阵做点积。TensorFlow 只让数据类型相同的矩阵相乘，所以停在这里：
# `uint8` 不是 `float32`。JAX 像 NumPy 一样自动转换类型，然后继续运行。这样反而更糟：
# 隐藏单元的值是应有的 255 倍。

# %% tags=["B8"]
w = 0.1 * jax.random.uniform(jax.random.key(0), (pixels, 512))
hidden, expected = train_images[:128] @ w, right_test[:128] @ w
print(f"{train_images.dtype} @ {w.dtype} gives {hidden.dtype}, and no error")
print(f"mean of the hidden units: {hidden.mean():,.0f}, where {expected.mean():.1f} is right")
np.testing.assert_allclose(hidden, 255 * expected, rtol=1e-3)

# %% [markdown] lang="en"
# There are two ways to get the error back. JAX has a switch that forbids such conversions. And a program can
# look at its input, as the layers of this project do.

# %% [markdown] lang="zh"
# 有两种办法把报错找回来：JAX 有一个开关，可以禁止这种类型转换；程序也可以检查自己的输入，
# 这个项目的层就是这样做的。

# %% tags=["B8"]
with jax.numpy_dtype_promotion("strict"):
    print("strict JAX:", outcome(jnp.matmul, train_images[:128], w))
model = jn.layers.mlp(pixels, 512, classes)
params = model.init(jax.random.key(0))
print("jaxnaive:", outcome(model.forward, params, train_images[:128]))
np.testing.assert_allclose(jn.batches.as_features(test.images), right_test, rtol=1e-6)

# %% [markdown] lang="en"
# ## The second stop: the wrong loss for these labels
#
# `categorical_crossentropy` computes $-\sum_j y_j \log p_j$. It expects a one-hot vector $y$ for each image,
# and the notes give it one integer for each. Keras compares the ranks, 1 and 2, and stops. JAX tries to
# broadcast: `(128,)` and `(128, 10)` do not fit, so it stops too. But that is luck. Look at a batch of as
# many images as there are classes, and at a batch of one.

# %% [markdown] lang="zh"
# ## 第二处停下：损失函数与标签不匹配
#
# `categorical_crossentropy` 计算 $-\sum_j y_j \log p_j$，要求每张图像配一个 one-hot 向量 $y$；
# 笔记给它的是每张图像一个整数。Keras 比较两者的阶，一个是 1，一个是 2，于是停下。
# JAX 则尝试广播：`(128,)` 与 `(128, 10)` 对不上，也停下了。但这只是运气好。
# 看看批量大小等于类别数的时候，以及等于 1 的时候。

# %% tags=["B5"]
log_p = jax.nn.log_softmax(jax.random.normal(jax.random.key(1), (128, classes)))
labels = jnp.asarray(train.labels[:128])


def one_hot_loss(labels, log_p):
    return -(labels * log_p).sum(axis=1)


for size in (128, classes, 1):
    result = outcome(one_hot_loss, labels[:size], log_p[:size])
    print(f"batch of {size}:", result if isinstance(result, str) else f"no error, shape {result.shape}")

# %% [markdown] lang="en"
# With 10 images and 10 classes the result has the right shape, and no meaning. The label of image 3 became
# the factor of class 3, for every image. It is a dot product of a matrix and a vector. The correct loss takes
# from each row the one entry at the label. Keras calls it `sparse_categorical_crossentropy`.

# %% [markdown] lang="zh"
# 10 张图像、10 个类别时，结果的形状是对的，却没有意义：第 3 张图像的标签成了第 3 类的系数，
# 而且对每张图像都是如此。这其实是矩阵与向量的点积。正确的损失是从每一行取出标签所在的那一个元素，
# 在 Keras 里叫 `sparse_categorical_crossentropy`。

# %% tags=["B5"]
few, rows = labels[:classes], log_p[:classes]
np.testing.assert_allclose(one_hot_loss(few, rows), -rows @ few, rtol=1e-5)


def sparse_loss(labels, log_p):
    return -jnp.take_along_axis(log_p, labels[:, None], axis=1)[:, 0]


print(f"mean loss: {one_hot_loss(few, rows).mean():.1f}, where {sparse_loss(few, rows).mean():.1f} is right")
theirs = optax.softmax_cross_entropy_with_integer_labels(log_p, labels)
np.testing.assert_allclose(sparse_loss(labels, log_p), theirs, rtol=1e-5)
print("jaxnaive:", outcome(jn.losses.cross_entropy_one_hot, rows, few))

# %% [markdown] lang="en"
# ## The third stop: a method in the place of a list
#
# The loss is a number now, and its gradient is wanted. With respect to what? The notes pass `model.weights`,
# which in the book is a property. In the copy the line `@property` is missing, so `layer.weights` is the
# method itself, without the call. A gradient with respect to a method does not exist. TensorFlow stops, and
# so does JAX.

# %% [markdown] lang="zh"
# ## 第三处停下：该是列表，却是方法
#
# 损失现在是一个数了，接下来要求它的梯度。对什么求？笔记传入的是 `model.weights`，它在书中是一个属性。
# 抄写时漏掉了 `@property` 一行，于是没有被调用的 `layer.weights` 就是方法本身。
# 对一个方法求梯度是没有意义的，TensorFlow 会停下，JAX 也会。


# %%
class NaiveDense:
    def __init__(self, inputs, outputs):
        self.w, self.b = jnp.zeros((inputs, outputs)), jnp.zeros(outputs)

    def weights(self):
        return [self.w, self.b]

    def __repr__(self):
        return "NaiveDense"


# %% tags=["B1"]
def mean_output(weights):
    return (right_train[:128] @ weights[0] + weights[1]).mean()


layers = [NaiveDense(pixels, 512), NaiveDense(512, classes)]
print("layer.weights is", layers[0].weights)
print(outcome(jax.grad(mean_output), layers[0].weights))

# %% [markdown] lang="en"
# The model has the same bug, and one more behind it. Its own `weights` would add up those of its layers with
# `weights += layer.weights`. If somebody calls it, this line stops: a method is not a list.

# %% [markdown] lang="zh"
# 模型的 `weights` 有同样的错误，后面还藏着一个：它用 `weights += layer.weights` 把各层的权重接在一起。
# 如果真的调用它，就会停在这一行：方法不是列表。


# %% tags=["B2"]
def model_weights(layers):
    weights = []
    for layer in layers:
        weights += layer.weights
    return weights


print(outcome(model_weights, layers))

# %% [markdown] lang="en"
# With `@property` above both methods, one list of four arrays comes out. In this project no object holds the
# weights. They are a value that `init` returns, and a function that gets something else says so.

# %% [markdown] lang="zh"
# 两个方法上面都加上 `@property`，就得到一个有四个数组的列表。在这个项目里，没有对象持有权重：
# 权重是 `init` 返回的值；函数得到的如果是别的东西，它会直接指出来。


# %% tags=["B1", "B2"]
class Dense(NaiveDense):
    weights = property(NaiveDense.weights)


layers = [Dense(pixels, 512), Dense(512, classes)]
print([array.shape for array in model_weights(layers)])
gradients = jax.grad(mean_output)(layers[0].weights)
assert [g.shape for g in gradients] == [array.shape for array in layers[0].weights]
print("jaxnaive:", outcome(model.forward, NaiveDense(1, 1).weights, right_train[:128]))

# %% [markdown] lang="en"
# ## The fourth stop: the evaluation
#
# Suppose the training is over. The accuracy is to be measured on `test_images`. The wrong name from the
# beginning strikes again: nobody has made these images flat. The last axis of the images has 28 entries (8
# for the small digits), and the matrix expects all pixels. This stops everywhere.

# %% [markdown] lang="zh"
# ## 第四处停下：评估
#
# 假设训练已经完成，要在 `test_images` 上计算准确率。开头写错的那个名字又起作用了：这些图像没有展平。
# 图像的最后一个轴只有 28 个元素（8×8 手写数字是 8 个），而矩阵要求的是全部像素。在哪里运行都会停下。

# %% tags=["B7"]
print("JAX:", outcome(jnp.matmul, test_images, w))
print("jaxnaive:", outcome(model.forward, params, test_images))
assert (right_test @ w).shape == (len(test.labels), 512)
print("flat:", right_test.shape, "@", w.shape, "is", (right_test @ w).shape)

# %% [markdown] lang="en"
# ## The four stops
#
# - **The dtype of the first product** (B8, because of B6). TensorFlow stops. JAX is silent.
# - **The rank of the labels** (B5). TensorFlow stops. JAX stops for a batch of 128; it is silent for a batch of
#   10 or of 1.
# - **The sources of the gradient** (B1, B2). Both stop.
# - **The shape of the test images** (B7, because of B6). Both stop.
#
# So in JAX the first is silent, and the second stops by luck only: with batches of 10 or of 1 it would be
# silent too. How far the program gets also depends on the repair of the first stop. Whoever corrects the
# name never sees the fourth. Whoever deletes the line sees it. Whoever only adds the conversion to floats
# trains on the test images, until the images run out. That is what the next section is about.

# %% [markdown] lang="zh"
# ## 四处停下
#
# - **第一次点积的数据类型**（B8，由 B6 引起）：TensorFlow 停下；JAX 不报错。
# - **标签的阶**（B5）：TensorFlow 停下；JAX 在批量大小为 128 时停下，为 10 或 1 时不报错。
# - **对什么求梯度**（B1、B2）：两者都停下。
# - **测试图像的形状**（B7，由 B6 引起）：两者都停下。
#
# 所以，四处之中有两处在 JAX 里可能毫无提示。程序能走多远，还取决于第一处是怎么修的：把名字改对，
# 就不会遇到第四处；删掉那一行，就会遇到；只补上转换成浮点数的一步，就会在测试图像上训练，直到图像用完。
# 下一节讲的就是这件事。

# %% [markdown] lang="en"
# ## The alarms that were switched off
#
# The notes have two assertions, and both stand behind a `#`. They ask what an assertion does. If its
# condition is false, it raises `AssertionError`, and the program stops there. `python -O` leaves assertions
# out, so a check that must always run is an `if` with a `raise`.
#
# The first was to count the weights. It would have found the missing `@property` at once, long before the
# gradient.

# %% [markdown] lang="zh"
# ## 被关掉的警报
#
# 笔记里有两处断言，前面都加了 `#`。笔记问断言是什么意思：条件不成立时，它抛出 `AssertionError`，
# 程序就停在那里。`python -O` 会跳过所有断言，所以必须执行的检查应该写成 `if` 加 `raise`。
#
# 第一个断言数权重的个数。它本来可以马上发现漏掉的 `@property`，不用等到求梯度的时候。


# %% tags=["B3"]
def check(weights):
    assert len(weights) == 4, f"got {len(weights)} arrays, expected 4"


print("a method:", outcome(check, NaiveDense(1, 1).weights))
print("one layer:", outcome(check, layers[1].weights))
print("both layers:", outcome(check, model_weights(layers)))
print("with -O:", outcome(exec, compile("assert False", "notes", "exec", optimize=1)))

# %% [markdown] lang="en"
# It also guards against a silent bug. Write `=` for `+=` in the loop, and the list holds the last layer only.
# JAX differentiates with respect to whatever it gets. The first layer keeps its random weights for ever.

# %% [markdown] lang="zh"
# 它还能防住一个不报错的错误：循环里的 `+=` 如果写成 `=`，列表里就只剩最后一层。
# JAX 得到什么就对什么求梯度，于是第一层永远保持随机的初始值。

# %% tags=["B3"]
weights = []
for layer in layers:
    weights = layer.weights
gradients = jax.grad(lambda last: (jnp.ones((1, 512)) @ last[0] + last[1]).sum())(weights)
print(len(gradients), "gradients,", len(model_weights(layers)), "weight arrays, no error")
print("jaxnaive:", outcome(model.forward, params[1:], right_train[:128]))

# %% [markdown] lang="en"
# The second assertion compares the numbers of images and labels. Here is the generator of the notes in short,
# with the test images and the training labels. Nobody notices in any full batch. Only the last batch is
# shorter on one side.

# %% [markdown] lang="zh"
# 第二个断言比较图像和标签的个数。下面是笔记里的生成器的简写，给它的是测试图像和训练标签。
# 每个完整的批量都看不出问题，只有最后一个批量两边长度不同。


# %%
class BatchGenerator:
    def __init__(self, images, labels, batch_size=128):
        self.images, self.labels, self.batch_size, self.index = images, labels, batch_size, 0
        self.num_batches = -(-len(images) // batch_size)

    def next(self):
        part = slice(self.index, self.index + self.batch_size)
        self.index += self.batch_size
        return self.images[part], self.labels[part]


# %% tags=["B4"]
generator = BatchGenerator(train_images, train.labels)
pairs = [generator.next() for _ in range(generator.num_batches)]
for number in (0, len(pairs) - 2, len(pairs) - 1):
    print(f"batch {number}: {len(pairs[number][0])} images, {len(pairs[number][1])} labels")
print(outcome(sparse_loss, jnp.asarray(pairs[-1][1]), log_p[: len(pairs[-1][0])]))

# %% [markdown] lang="en"
# So the stop comes late. On MNIST it is batch 78, after 78 updates on wrong pairs.
#
# Suppose that one label is missing, and that labels are taken by their index. That is worse, because in JAX
# nothing stops. NumPy refuses an index past the end. JAX takes the last entry, because compiled code cannot
# raise an error. If the first label is lost, every image gets the label of the next one.

# %% [markdown] lang="zh"
# 所以它停得很晚：在 MNIST 上是第 78 批（从 0 数起），此时已经用错误的配对更新了 78 次。
#
# 假如标签少了一个，而标签是按索引取的，那就更糟：在 JAX 里根本不会停。索引越界，NumPy 会拒绝；
# JAX 取最后一个元素，因为编译后的代码无法抛出异常。如果丢的是第一个标签，每张图像得到的都是下一张的标签。

# %% tags=["B4"]
fewer, last = train.labels[1:], len(train.images) - 1
print("NumPy:", outcome(fewer.__getitem__, last))
print("JAX:", jnp.asarray(fewer)[last], "- the last label a second time")
assert jnp.asarray(fewer)[last] == fewer[-1]
print("labels of their own image:", f"{np.mean(fewer == train.labels[:-1]):.0%}")
print("jaxnaive:", outcome(jn.data.from_arrays, train.images, fewer))

# %% [markdown] lang="en"
# ## Bugs that never stop
#
# ### The batch size is ignored
#
# `fit` takes a batch size and does not pass it on. The generator uses its default. (The book's program does
# the same.) Nothing reports it; one has to look at a batch.

# %% [markdown] lang="zh"
# ## 从不报错的错误
#
# ### 批量大小被忽略
#
# `fit` 有批量大小这个参数，却没有传下去，生成器用的是自己的默认值。（书中的程序也是这样。）
# 没有人会报告，只有去看一个批量才能发现。


# %% tags=["B9"]
def fit(images, labels, batch_size=128):
    return BatchGenerator(images, labels)


def right_fit(images, labels, batch_size=128):
    return BatchGenerator(images, labels, batch_size)


for function in (fit, right_fit):
    images, _ = function(right_train, train.labels, batch_size=32).next()
    print(f"{function.__name__}: asked for 32, got {len(images)}")
assert len(images) == 32
print("jaxnaive:", outcome(jn.batches.check_batch_size, 0, len(train.labels)))

# %% [markdown] lang="en"
# ### Nothing is shuffled
#
# The S in SGD says that batches are drawn at random. The generator takes slices, the same ones in every
# epoch. (So does the book's.) If the files are mixed well, this costs little. If they are sorted by class, a
# batch holds one class only.

# %% [markdown] lang="zh"
# ### 没有打乱
#
# SGD 里的“随机”是说批量是随机抽取的。生成器却按顺序切片，每一轮都一样。（书中的也是。）
# 如果数据本来就混得很均匀，这没有多大影响；如果是按类别排好的，一个批量里就只有一个类别。

# %% tags=["B10"]
places = np.arange(len(train.labels))
for epoch in (0, 1):
    print(f"epoch {epoch} begins with images", BatchGenerator(places, places).next()[0][:5])
for name, order in (("as stored", train.labels), ("sorted", np.sort(train.labels))):
    print(f"{name}: {len(np.unique(order[:128]))} classes in the first batch")

# %% [markdown] lang="en"
# The correct order is a permutation, a new one in each epoch. Every image comes once.

# %% [markdown] lang="zh"
# 正确的做法是用排列，每一轮换一个新的；每张图像恰好出现一次。

# %% tags=["B10"]
for epoch in (0, 1):
    order = jn.batches.epoch_order(jax.random.key(0), epoch, len(train.labels))
    print(f"epoch {epoch} begins with images", order[:5])
    np.testing.assert_array_equal(np.sort(order), places)

# %% [markdown] lang="en"
# ### `next()` has no end
#
# A slice past the end is empty, in NumPy and in JAX. So a generator that is called once too often returns an
# empty batch. Its mean loss is 0/0, which is NaN, and its gradient is 0: nothing is learned any more. With
# `dynamic_slice`, which compiled loops use, it is different again. JAX moves the start back until the slice
# fits, so some images come a second time; and every call after that returns the last batch again.

# %% [markdown] lang="zh"
# ### `next()` 没有尽头
#
# 超出末尾的切片是空的，NumPy 和 JAX 都一样。所以生成器多调用一次，就返回空的批量：
# 平均损失是 0/0，也就是 NaN，而梯度是 0，从此什么也学不到。编译后的循环常用 `dynamic_slice`，情况又不同：
# JAX 把起点往前移，直到切片放得下为止，于是有些图像又出现一次；此后每调用一次，得到的都是最后一批。

# %% tags=["B11"]
for _ in range(generator.num_batches):
    images, _ = generator.next()
value, slope = jax.value_and_grad(lambda w: (images @ w).mean())(w)
print(f"{len(images)} images: loss {value}, gradient {jnp.abs(slope).max():.0f}")
start = len(places) // 128 * 128
again = start - jax.lax.dynamic_slice(jnp.asarray(places), (start,), (128,))[0]
print(f"dynamic_slice at {start:,}: {again} images come a second time")

# %% [markdown] lang="en"
# In Python a function with `yield` has an end, and `for` knows it. In compiled code the number of steps is
# fixed. This project makes a table of indices with a weight for each. What fills up the last row has the
# weight 0, so every image counts once.

# %% [markdown] lang="zh"
# 在 Python 里，用 `yield` 写的函数有尽头，`for` 知道何时停止。在编译后的代码里，步数是固定的。
# 这个项目用一张索引表，每个索引带一个系数；最后一行里用来补齐的索引系数为 0，所以每张图像恰好算一次。


# %% tags=["B11"]
def in_batches(images, labels, batch_size):
    for first in range(0, len(images), batch_size):
        yield images[first : first + batch_size], labels[first : first + batch_size]


sizes = [len(images) for images, _ in in_batches(right_train, train.labels, 128)]
print(f"{len(sizes)} batches, the last of {sizes[-1]}, {sum(sizes):,} images")
index, weight = jn.batches.index_table(jnp.asarray(places), 128)
print(f"table: {len(index)} rows, the last with {weight[-1].sum():.0f} images that count")
assert sum(sizes) == weight.sum() == len(train.labels) and len(index) == len(sizes)

# %% [markdown] lang="en"
# ### Softmax in the model, the logarithm in the loss
#
# The model ends in softmax, and the loss takes $-\log p$. If the network is sure and wrong, $p$ is too small
# for `float32` and becomes 0. Then the loss is infinite and the gradient NaN. Keras avoids this by keeping
# $p$ above $10^{-7}$. The loss then stops at 16.1, and its gradient is 0: from its worst mistakes the network
# learns nothing.
#
# Without softmax the model returns logits $z$, and the loss is $\log \sum_j e^{z_j} - z_{label}$. JAX and
# Keras can both compute it for logits of any size.

# %% [markdown] lang="zh"
# ### 模型里有 softmax，损失里又取对数
#
# 模型以 softmax 结尾，损失取 $-\log p$。如果网络很有把握却错了，$p$ 小到 `float32` 表示不了，就变成 0，
# 于是损失是无穷大，梯度是 NaN。Keras 的办法是不让 $p$ 小于 $10^{-7}$：损失最多到 16.1，而梯度是 0，
# 错得最厉害的地方反而学不到任何东西。
#
# 去掉 softmax，模型直接返回 logits $z$，损失是 $\log \sum_j e^{z_j} - z_{label}$。无论 logits 多大，
# JAX 和 Keras 都能算。


# %%
def value_and_slope(loss):
    def of_one_image(z):
        return loss(jnp.stack([z, 0 * z])[None], jnp.array([1]))[0]

    return jax.jit(jax.vmap(jax.value_and_grad(of_one_image)))


# %% tags=["B12"]
functions = {
    "log of softmax": value_and_slope(mistakes.log_of_softmax),
    "the same, clipped": value_and_slope(mistakes.log_of_clipped_softmax),
    "of logits": value_and_slope(jn.losses.cross_entropy),
}
for name, function in functions.items():
    (value,), (slope,) = function(jnp.array([200.0]))
    print(f"{name:18} at logits 200 and 0, label 1: loss {value:.4g}, gradient {slope:.3g}")
assert value == 200 and slope == 1

# %% tags=["B12"] alt="Left, the loss over the first logit: of logits it grows in a straight line; clipped it stops at 16.1; the log of softmax ends near 88, where it becomes infinite. Right, the gradient: of logits it stays 1; clipped it falls to 0 at 16; the log of softmax ends." alt_zh="左图是损失随第一个 logit 的变化：用 logits 计算时是直线；截断后停在 16.1；先 softmax 再取对数时在 88 附近变成无穷大，曲线中断。右图是梯度：用 logits 时一直是 1；截断后在 16 处变成 0；先 softmax 再取对数时中断。"
figure = pictures.new(7, 2.8)
axes = figure.subplots(1, 2)
z = jnp.linspace(0, 120, 500)
for (name, function), width, style in zip(functions.items(), (5, 2, 1.2), palette.LINES, strict=False):
    for part, values in zip(axes, function(z), strict=True):
        part.plot(z, np.where(np.isfinite(values), values, np.nan), label=name, linewidth=width, **style)
axes[0].set(xlabel="logit of the wrong class", ylabel="loss")
axes[1].set(xlabel="logit of the wrong class", ylabel="gradient", ylim=(-0.1, 1.1))
axes[0].legend(fontsize=8)
pictures.show(figure)

# %% [markdown] lang="en"
# ## What the silent bugs cost
#
# Which of them matter? That has to be measured. Some rows are not in the notes, but what the missing checks
# would let pass: a layer that is left out (B3), a label that is lost (B4), files sorted by class (B10). The network of the notes is trained with eight seeds, in
# plain JAX and without any check: once correctly, and once with each silent bug. Its hidden layer has 32
# units, and a batch has 10 images, as many as there are classes. The accuracy is always measured on
# correct test images. For B12 both trainings start from weights that are ten times as wide as those of
# the notes, so that the logits lie far apart.

# %% [markdown] lang="zh"
# ## 不报错的代价
#
# 其中哪些真的要紧？这只能靠测量。有几行并不在笔记里，而是缺少检查时会放过的：少了一层（B3）、丢了一个标签（B4）、
# 文件按类别排好（B10）。下面用不带任何检查的 JAX 训练笔记里的网络，八个随机种子：
# 先训练一次正确的，再带着每个不报错的错误各训练一次。隐藏层有 32 个单元，批量大小是 10，与类别数相同。
# 测试时用的总是正确的测试图像。对 B12，两次训练都从比笔记大十倍的初始权重开始，这样 logits 相差很大。

# %% tags=["B3", "B4", "B5", "B6", "B8", "B9", "B10", "B11", "B12"]
some, _ = jn.splits.split(train, 10_000)
epochs = max(2, round(2000 * classes / len(some.labels)))
run = mistakes.correct(jax.random.key(0), some, classes, epochs, seeds=8)
costs = mistakes.costs(run, test)
print(f"{dataset.name}, {len(some.labels):,} images, {epochs} epochs: test accuracy, right and with the bug")
for mistake, right, wrong in costs:
    print(
        f"{mistake.row:4} {mistake.title:42} {right.mean():.3f} {wrong.mean():.3f} ± {wrong.std(ddof=1):.3f}"
    )

# %% tags=["B3", "B4", "B5", "B6", "B8", "B9", "B10", "B11", "B12"] alt="A row for each silent bug with two marks on a line, the test accuracy of the correct training as a blue dot and of the training with the bug as an orange cross. For more than half of them the cross is near 0.1; for images in the order of the files the two marks lie on each other." alt_zh="每个不报错的错误一行，两个标记：蓝色圆点是正确训练的测试准确率，橙色叉是带错误训练的。一半以上的叉在 0.1 附近；按文件顺序、不打乱的那一行，两者重合。"
rows = [
    plots.Pair(f"{mistake.row}  {mistake.title}", statistics.summarise(right), statistics.summarise(wrong))
    for mistake, right, wrong in costs
]
title = f"What the silent bugs cost: {dataset.name}, 8 seeds"
pictures.show(plots.pairs(rows, "test accuracy, with standard deviation", title))

# %% [markdown] lang="en"
# A cross at 0.1 is a network that guesses: one digit in ten is right by chance. No error was raised, and
# the program ran to its end. Two other rows teach something too.
#
# - **Not shuffled, in the order of the files.** This costs nothing here, since both data sets are stored in a
#   mixed order. That is why the book gets away with it. Sorted files are another matter.
# - **The batch size is ignored.** Batches of 128 in place of 10 make a thirteenth of the updates. The network
#   is not broken, it has only learned less. A result that looks plausible hides such a bug best.

# %% [markdown] lang="zh"
# 停在 0.1 的叉是只会乱猜的网络：十个数字里碰巧猜对一个。没有报错，程序照样运行到结束。
# 另外有两行也值得一看：
#
# - **按文件顺序、不打乱**：在这里没有代价，因为两个数据集存放时就已经是混合的。书中的程序不打乱也没出问题，
#   原因就在这里。按类别排好的文件就是另一回事了。
# - **忽略批量大小**：批量从 10 变成 128，更新次数只有十三分之一。网络没有坏，只是学得少了。
#   结果看上去像那么回事，这样的错误就藏得最深。

# %% tags=["B5", "B8", "B10", "B12"]
lost = {mistake.title: float(right.mean() - wrong.mean()) for mistake, right, wrong in costs}
print(f"{sum(loss > 0.5 for loss in lost.values())} of {len(lost)} lose more than 50 points of accuracy")
assert all(lost[name] > 0.5 for name in lost if "one-hot" in name or "grey" in name or "log after" in name)
assert abs(lost["not shuffled, in the order of the files"]) < 0.03
assert lost["not shuffled, files sorted by class"] > 0.3

# %% [markdown] lang="en"
# ## Exercises
#
# **1.** A batch of one image has the label 0, and the one-hot loss of B5 gets this integer. What does it
# return? And for the label 9?
#
# <details><summary>Answer</summary>
#
# For 0 it returns 0, whatever the network says: every $\log p_j$ is multiplied by 0. For 9 it returns nine
# times the sum of all $-\log p_j$. Zeros are never learned, and nines seem to be terrible.
#
# </details>
#
# **2.** Begin the lesson with `jax.config.update("jax_numpy_rank_promotion", "raise")`. Which silent bug
# is an error now? Which correct line is one too?
#
# <details><summary>Answer</summary>
#
# The one-hot loss for a batch of 10 or of 1: JAX no longer adds an axis to `labels`. The lesson stops in
# the cell that looks at the result. But the line `x @ w + b` adds a vector to a matrix and is refused as
# well. With this switch one writes `b[None, :]`.
#
# </details>
#
# **3.** In B4, lose the last label instead of the first: `train.labels[:-1]`. How much accuracy does that
# cost?
#
# <details><summary>Answer</summary>
#
# Practically none. All pairs are right except the last, whose image gets the label of the image before. The
# bug is the same, and so is the silence.
#
# </details>
#
# **4.** Measure again with `epochs = 1`. Which two crosses move exactly onto the dots?
#
# <details><summary>Answer</summary>
#
# Both of B11. A generator without an end does harm only when it is called after the last batch, that is, from
# the second epoch on. The book makes a new generator for each epoch, and so never notices.
#
# </details>

# %% [markdown] lang="zh"
# ## 练习
#
# **1.** 一个批量只有一张图像，标签是 0，B5 的 one-hot 损失得到的就是这个整数。它返回多少？标签是 9 呢？
#
# <details><summary>答案</summary>
#
# 标签是 0 时返回 0，不管网络的输出是什么：每个 $\log p_j$ 都乘以 0。标签是 9 时，返回全部 $-\log p_j$
# 之和的九倍。于是 0 永远学不到，而 9 看起来总是错得离谱。
#
# </details>
#
# **2.** 在这一课的开头加上 `jax.config.update("jax_numpy_rank_promotion", "raise")`。
# 哪个不报错的错误现在会报错？哪一行正确的代码也会报错？
#
# <details><summary>答案</summary>
#
# 批量大小为 10 或 1 时的 one-hot 损失：JAX 不再给 `labels` 添加轴，
# 这一课会停在查看结果的那个单元格。但是 `x @ w + b` 把向量加到矩阵上，
# 也会被拒绝。打开这个开关以后，要写成 `b[None, :]`。
#
# </details>
#
# **3.** 在 B4 里，丢掉最后一个标签而不是第一个：`train.labels[:-1]`。准确率会下降多少？
#
# <details><summary>答案</summary>
#
# 几乎不变。除了最后一对，其余的配对都是对的；最后一张图像得到前一张的标签。错误是同样的错误，
# 也同样没有提示。
#
# </details>
#
# **4.** 用 `epochs = 1` 再测一次。哪两个叉正好落到圆点上？
#
# <details><summary>答案</summary>
#
# B11 的两个。没有尽头的生成器，只有在最后一个批量之后再被调用才会出问题，也就是从第二轮开始。
# 书中的程序每一轮都新建一个生成器，所以这个错误从来没有暴露。
#
# </details>
