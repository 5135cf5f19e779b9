"""An image with its boxes and masks, and functions that change part of it."""

from typing import Any, Callable, NamedTuple, Optional

import tensorflow.compat.v1 as tf


class AnnotatedImage(NamedTuple):
  """An image, and what moves with its pixels.

  Attributes:
    image: uint8 [H, W, 3].
    boxes: float32 [K, 4], yxyx, 0..1, or None.
    origins: int32 [H, W], the pixel (row * W + column) of the record's image
      that is now at this place, NOWHERE for filling; or None. Whatever moves
      pixels moves the origins in the same way, and masks are looked up through
      them later.
  """
  image: tf.Tensor
  boxes: Optional[tf.Tensor]
  origins: Optional[tf.Tensor]


NOWHERE = -1
FILL = 128  # grey of pixels that come from outside, as upstream


def make_origins(image: tf.Tensor) -> tf.Tensor:
  """Origins int32 [H, W] of an image [H, W, 3] in which nothing has moved."""
  height, width = tf.unstack(tf.shape(image)[:2])
  return tf.reshape(tf.range(height * width), [height, width])


def change_image(annotated: AnnotatedImage,
                 change: Callable[[tf.Tensor], tf.Tensor]) -> AnnotatedImage:
  """Applies a function, uint8 [H, W, 3] to the same, to the colours."""
  return annotated._replace(image=change(annotated.image))


def warp(annotated: AnnotatedImage,
         move: Callable[[tf.Tensor, Any], tf.Tensor]) -> AnnotatedImage:
  """Moves colours and origins.

  Args:
    annotated: AnnotatedImage.
    move: (pixels [H, W] or [H, W, 3], their filling) -> pixels of the same
      shape, of ops.warps.

  Returns:
    AnnotatedImage; its boxes have not moved.
  """
  origins = annotated.origins
  return annotated._replace(
      image=move(annotated.image, FILL),
      origins=None if origins is None else move(origins, NOWHERE))


def change_window(
    annotated: AnnotatedImage, window: tf.Tensor,
    change: Callable[[AnnotatedImage], AnnotatedImage]) -> AnnotatedImage:
  """Changes a part of an image.

  Args:
    annotated: AnnotatedImage.
    window: int32 [4], first row and column, and one past the last ones.
    change: function of the AnnotatedImage of the window, without boxes, to
      another one of the same size.

  Returns:
    AnnotatedImage.
  """
  y0, x0, y1, x1 = tf.unstack(window)
  def cut(pixels):
    return None if pixels is None else pixels[y0:y1, x0:x1]
  part = change(AnnotatedImage(cut(annotated.image), None,
                               cut(annotated.origins)))
  def paste(whole, content):
    if whole is None:
      return None
    middle = tf.concat([whole[y0:y1, :x0], content, whole[y0:y1, x1:]], axis=1)
    result = tf.concat([whole[:y0], middle, whole[y1:]], axis=0)
    result.set_shape(whole.shape)
    return result
  return annotated._replace(image=paste(annotated.image, part.image),
                            origins=paste(annotated.origins, part.origins))


def cut_out(annotated: AnnotatedImage, center: tf.Tensor,
            half_size: tf.Tensor) -> AnnotatedImage:
  """Fills a rectangle of the image; masks keep what it hides.

  Args:
    annotated: AnnotatedImage.
    center: int32 [2], row and column.
    half_size: int32 [2]; the rectangle is twice as large, where the image
      has room.

  Returns:
    AnnotatedImage.
  """
  size = tf.shape(annotated.image)[:2]
  first = tf.minimum(tf.maximum(center - half_size, 0), size)
  end = tf.maximum(tf.minimum(center + half_size, size), first)
  window = tf.concat([first, end], axis=0)
  return change_window(annotated, window, lambda part: (
      change_image(part, lambda image: tf.fill(
          tf.shape(image), tf.constant(FILL, tf.uint8)))))
