# %% [markdown] lang="en"
# # Tensors
#
# A network reads numbers and writes numbers. They stand in tensors: boxes of numbers with any number of axes.
# This lesson says what a tensor is, how a part of one is taken, and which axes real data have.

# %% [markdown] lang="zh"
# # 张量
#
# 神经网络读入的是数，输出的也是数。这些数放在张量里：张量是数的容器，可以有任意多个轴。
# 这一课讲什么是张量、怎样取出它的一部分，以及真实数据各有哪些轴。

# %%
import jax
import jax.numpy as jnp
import numpy as np

import jaxnaive as jn
from jaxnaive import pictures

# %% [markdown] lang="en"
# ## Rank: the number of axes
#
# The number of axes is called the rank, and `ndim` is its name in code. A single number has none.

# %% [markdown] lang="zh"
# ## 阶：轴的个数
#
# 轴的个数叫作阶（rank），在代码里是 `ndim`。单独一个数没有轴，阶是 0。

# %% tags=["S01", "S02", "S03", "S05", "S06", "S07"]
scalar, vector = jnp.array(12), jnp.array([12, 3, 6, 14, 7])
matrix = jnp.array([[5, 78, 2, 34, 0], [6, 79, 3, 35, 1], [7, 80, 4, 36, 2]])
cube = jnp.stack([matrix, matrix, matrix])
for x in (scalar, vector, matrix, cube):
    print(x.ndim, x.shape)

# %%
assert [x.ndim for x in (scalar, vector, matrix, cube)] == [0, 1, 2, 3]
