"""The steps of parsers: each takes a Sample and returns a Sample.

Further arguments of a step are bound by functools.partial in
dataloader/factory.py, which also puts the steps in order. Random numbers come
from `sample.draws`.
"""

from typing import Optional, Tuple

import tensorflow.compat.v1 as tf

from dataloader import draws
from dataloader import sample as samples
from dataloader.augment import annotated_image
from dataloader.augment import autoaugment
from ops import boxes as box_ops
from ops import preprocess


def draw_by_id(sample: samples.Sample) -> samples.Sample:
  """Draws of the id of the image, for the labels of an evaluation."""
  record = sample.record or {}
  return sample._replace(draws=draws.of_image(record['source_id']))


def drop_crowds(sample: samples.Sample) -> samples.Sample:
  """Leaves out crowds: groups that are annotated as one object."""
  return samples.select(sample,
                        tf.where(tf.logical_not(sample.is_crowd))[:, 0])


def augment(sample: samples.Sample, policy: str, num_layers: int,
            magnitude: float, legacy: bool = False) -> samples.Sample:
  """Applies an augmentation policy; see autoaugment.augment."""
  origins = None
  if sample.masks is not None:
    origins = annotated_image.make_origins(sample.image)
  annotated = autoaugment.augment(
      annotated_image.AnnotatedImage(sample.image, sample.boxes, origins),
      policy, sample.draws, num_layers, magnitude, legacy)
  return sample._replace(image=annotated.image, boxes=annotated.boxes,
                         origins=annotated.origins)


def flip(sample: samples.Sample) -> samples.Sample:
  """Mirrors image, boxes and label map with probability 1/2, and notes it."""
  value = sample.draws.uniform('flip')
  image, boxes, label_map = preprocess.random_horizontal_flip(
      sample.image, sample.boxes, sample.label_map, random_value=value)
  return sample._replace(image=image, boxes=boxes, label_map=label_map,
                         is_mirrored=tf.greater(value, 0.5))


def to_pixels(sample: samples.Sample) -> samples.Sample:
  """Converts boxes [K, 4] from 0..1 to pixels of the image, yxyx."""
  return sample._replace(boxes=box_ops.denormalize_boxes(
      sample.boxes, tf.shape(sample.image)[:2]))


def resize(sample: samples.Sample, size: Tuple[int, int]) -> samples.Sample:
  """Resizes to (height, width), whatever the aspect ratio; stays uint8.

  For classifiers: nothing but the image changes.
  """
  return sample._replace(image=preprocess.resize_to_uint8(sample.image, size))


def normalize(sample: samples.Sample) -> samples.Sample:
  """Normalizes colours to float32; see preprocess.normalize_image."""
  return sample._replace(image=preprocess.normalize_image(sample.image))


def resize_and_normalize(sample: samples.Sample,
                         size: Tuple[int, int]) -> samples.Sample:
  """`resize` and `normalize` at once, without rounding in between."""
  return sample._replace(image=preprocess.resize_image(sample.image, size))


def resize_and_crop(
    sample: samples.Sample, output_size: Tuple[int, int],
    padded_size: Tuple[int, int],
    scale_range: Optional[Tuple[float, float]] = None, to_border: bool = False
) -> samples.Sample:
  """Fits image and boxes into the network input; normalizes colours.

  Args:
    sample: its image uint8 [H, W, 3], its boxes, if any, in pixels of it.
    output_size: (height, width), ints, that the image is fitted into.
    padded_size: (height, width), ints, of the network input.
    scale_range: (smallest, largest), floats: the image is resized to a random
      multiple, of which a random window is cut out; (1, 1) and None draw
      nothing.
    to_border: see preprocess.resize_and_crop_boxes.

  Returns:
    Sample with image_info, an image float32 [height, width, 3] of
    `padded_size`, and boxes in pixels of it.
  """
  low, high = scale_range or (1., 1.)
  scale = offset = None
  if not low == high == 1.:
    scale = sample.draws.uniform('scale', low=low, high=high)
    offset = sample.draws.uniform('offset', [2])
  image, image_info = preprocess.resize_and_crop_image(
      sample.image, output_size, padded_size, random_scale=scale,
      offset_fraction=offset, normalize=True)
  sample = sample._replace(image=image, image_info=image_info)
  if sample.boxes is None:
    return sample
  return sample._replace(boxes=preprocess.resize_and_crop_boxes(
      sample.boxes, image_info[2], output_size, image_info[3], to_border))


def drop_empty(sample: samples.Sample) -> samples.Sample:
  """Leaves out objects of which nothing remains in the image."""
  return samples.select(sample, box_ops.non_empty_indices(sample.boxes))
