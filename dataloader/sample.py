"""The Sample that the steps of a parser pass on."""

from typing import Any, NamedTuple, Optional

import tensorflow.compat.v1 as tf


class Sample(NamedTuple):
  """An image and its K objects. Every step keeps the fields consistent.

  image: [H, W, 3], uint8 until a step normalizes it (float32); None until a
    step of classification cuts it out of the encoded image.
  boxes: float32 [K, 4], yxyx, 0..1 until `steps.to_pixels`, then pixels of
    `image`. classes: int64 [K].
  masks: string [K], PNG bytes of the original image (see mask_crops), or None.
  is_mirrored: bool [], whether the image was mirrored; `masks` never are.
  is_crowd: bool [K]. area: float32 [K], original pixels.
  image_info: float32 [4, 2], rows original size, desired size, scale, offset,
    each (y, x); None before the image has the size of the network input.
  origins: int32 [H, W], see augment.annotated_image, of the image before it was
    mirrored; None where no pixel has moved.
  pasted: augment.copy_paste.Objects on top of the image, or None.
  label_map: int32 [1, H, W], the class of each pixel (segmentation).
  record: the decoded example, unchanged: a dict with `source_id`, string [],
    and, for detectors, the other keys of example_decoder.
  draws: draws.Draws of the image; None outside of training.
  source: the Sample of the image that objects are pasted from, before any step.
  """
  image: Optional[tf.Tensor] = None
  boxes: Optional[tf.Tensor] = None
  classes: Optional[tf.Tensor] = None
  masks: Optional[tf.Tensor] = None
  is_mirrored: Optional[tf.Tensor] = None
  is_crowd: Optional[tf.Tensor] = None
  area: Optional[tf.Tensor] = None
  image_info: Optional[tf.Tensor] = None
  origins: Optional[tf.Tensor] = None
  pasted: Any = None
  label_map: Optional[tf.Tensor] = None
  record: Optional[dict] = None
  draws: Any = None
  source: Any = None


def select(sample: Sample, indices: tf.Tensor) -> Sample:
  """The Sample with the objects of these indices, int [L], alone."""
  def gather(values):
    return None if values is None else tf.gather(values, indices)
  return sample._replace(
      boxes=gather(sample.boxes), classes=gather(sample.classes),
      masks=gather(sample.masks), is_crowd=gather(sample.is_crowd),
      area=gather(sample.area))
