"""Views of an image for test-time augmentation, and the way back from them.

A view is made of the image itself, not of the network input: resizing reads
the image from its first pixel on, so that a mirrored input would be another one
than the input of the mirrored image, by up to a pixel.
"""

from typing import Sequence, Tuple

import tensorflow.compat.v1 as tf

from ops import preprocess
from utils import mask_grids
from utils import views


def make(image: tf.Tensor, view: views.View, output_size: Sequence[int],
         stride: int) -> Tuple[tf.Tensor, tf.Tensor]:
  """The network input of a view.

  Args:
    image: uint8 [H, W, 3].
    view: utils.views.View.
    output_size: (height, width), ints, that plain images are fitted into.
    stride: int, 2**max_level, that sides of the input are multiples of.

  Returns:
    image: float32 [h, w, 3], normalised and padded.
    image_info: float32 [4, 2]; see preprocess.resize_and_crop_image.
  """
  with tf.name_scope('view'):
    size = view.size(output_size)
    if view.is_mirrored:
      image = tf.reverse(image, [1])
    return preprocess.resize_and_crop_image(
        image, size, preprocess.compute_padded_size(size, stride),
        normalize=True)


def move_boxes(boxes: tf.Tensor, source_info: tf.Tensor,
               target_info: tf.Tensor, is_mirrored: bool) -> tf.Tensor:
  """Boxes of one view in the pixels of another one.

  Args:
    boxes: float32 [B, M, 4], yxyx, pixels of the network input of the source.
    source_info: float32 [B, 4, 2], its image_info; nothing was cut off.
    target_info: float32 [B, 4, 2], that of the target.
    is_mirrored: whether one of the two is mirrored, and the other is not.

  Returns:
    float32 [B, M, 4], yxyx, pixels of the network input of the target.
  """
  with tf.name_scope('move_boxes'):
    image_boxes = boxes / tf.tile(source_info[:, 2:3], [1, 1, 2])
    if is_mirrored:
      width = source_info[:, 0, 1, tf.newaxis]  # [B, 1]
      y0, x0, y1, x1 = tf.unstack(image_boxes, 4, axis=2)
      image_boxes = tf.stack([y0, width - x1, y1, width - x0], axis=2)
    return image_boxes * tf.tile(target_info[:, 2:3], [1, 1, 2])


def mirror_masks(masks: tf.Tensor, grid: mask_grids.MaskGrid) -> tf.Tensor:
  """Masks of mirrored boxes as those of the boxes.

  Args:
    masks: float32 [B, M, h, w], each within its box.
    grid: mask_grids.MaskGrid, how they are sampled there.

  Returns:
    float32 [B, M, h, w]; where the samples of the grid do not lie
    symmetrically, linear between two of them.
  """
  with tf.name_scope('mirror_masks'):
    last = masks.shape[3].value - 1
    mirrored = tf.reverse(masks, [3])
    # Sample j of the result is sample `place - j` of the masks.
    share = last - grid.mirrored_place(last + 1)
    if not share:
      return mirrored
    after = tf.concat([mirrored[..., 1:], mirrored[..., -1:]], axis=3)
    return (1. - share) * mirrored + share * after
