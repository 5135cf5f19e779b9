"""Types that annotations of more than one module name, with tensors in them."""

from typing import Any, Callable, Dict, Optional, Sequence, Tuple, Union

import numpy as np
import tensorflow.compat.v1 as tf

# {level: tensor}: features, outputs of heads, targets. Stride 2**level.
Levels = Dict[int, tf.Tensor]

# {level: array}, of anchors.
LevelArrays = Dict[int, np.ndarray]

# {name: tensor}; see utils/fields.py.
Tensors = Dict[str, tf.Tensor]

# {name: tensor or {level: tensor}}: labels, outputs of models.
Nest = Dict[str, Any]

# A Python number, or a tensor [] of one.
Number = Union[int, float, tf.Tensor]

# (height, width), or a tensor of it that broadcasts against boxes.
ImageShape = Union[Sequence[int], tf.Tensor]

# What tf.reshape and tf.random take: numbers and scalars, or an int32 tensor.
Shape = Union[Sequence[Any], tf.Tensor]

# (shape, dtype, partition_info) -> the first value of a variable.
Initializer = Callable[..., tf.Tensor]

# (inputs, ...) -> outputs of the same shape.
Layer = Callable[..., tf.Tensor]

# (images [B, H, W, 3], is_training) -> {level: [B, h, w, c]}.
Backbone = Callable[[tf.Tensor, bool], Levels]

# ({level: [B, h, w, c]}, is_training) -> {min_level..max_level: features}.
Decoder = Callable[[Levels, bool], Levels]

# (features, is_training) -> (classes or scores, boxes), by level.
DenseHead = Callable[[Levels, bool], Tuple[Levels, Levels]]

# (features [B, h, w, c], is_training) -> features or logits.
MapHead = Callable[[tf.Tensor, bool], tf.Tensor]

# (boxes [B, M, 4], classes [B, M], outer_boxes [B, M, 4] or left out) ->
# outputs with `detection_masks`, for boxes in pixels of the network input.
MaskFn = Callable[..., Tensors]

Variables = Sequence[tf.Variable]

# [(gradient, variable)]; None where a loss does not depend on a variable.
Gradients = Sequence[Tuple[Optional[tf.Tensor], tf.Variable]]
