"""Instance masks cut out of the image, each at the box of its object.

Masks are PNG files of the size of the image, or cut to their objects, and an
image may have hundreds. They are decoded one after the other, and only the
sampled pixels of each are kept, so that memory does not grow with the image.
"""

from typing import NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf

from dataloader import mask_cells
from dataloader import stored_masks
from utils import mask_grids


class MaskRule(NamedTuple):
  """Which objects need a mask.

  advice: how to provide masks that are missing, for the error.
  mask_classes: ids of their classes; None: all objects.
  """
  advice: str
  mask_classes: Optional[Tuple[int, ...]] = None


def check_masks(decoded, advice, mask_classes=None):
  """Returns `decoded`; running it fails for objects without a needed mask.

  Args:
    decoded: from ExampleDecoder, with `groundtruth_instance_masks_png`.
    advice: str, how to provide masks that are missing, for the error.
    mask_classes: ids of the classes whose objects need a mask; None: all.

  Returns:
    `decoded`; an object that needs no mask and has none has empty bytes.
  """
  pngs = decoded['groundtruth_instance_masks_png']
  classes = decoded['groundtruth_classes']
  num_objects = tf.shape(classes)[0]
  has_list = tf.equal(tf.size(pngs), num_objects)
  if mask_classes is not None:
    # A list of all masks, or none; not one that leaves some out.
    pngs = tf.cond(tf.size(pngs) > 0, lambda: pngs,
                   lambda: tf.fill([num_objects], ''))
    has_list = tf.equal(tf.size(pngs), num_objects)
  num_masks = tf.reduce_sum(tf.to_int32(tf.strings.length(pngs) > 0))
  is_missing = tf.cond(
      has_list, lambda: tf.logical_and(
          is_of_classes(classes, mask_classes),
          tf.equal(tf.strings.length(pngs), 0)),
      lambda: tf.fill([num_objects], True))
  check = tf.debugging.Assert(
      tf.logical_not(tf.reduce_any(is_missing)),
      [missing_masks(decoded['source_id'], tf.as_string(num_objects),
                     tf.as_string(num_masks), advice, tf.strings.join)])
  with tf.control_dependencies([check]):
    return dict(decoded, groundtruth_instance_masks_png=tf.identity(pngs))


def is_of_classes(classes, mask_classes):
  """Whether classes int64 [K] are among the ids: bool [K]; None: all are."""
  if mask_classes is None:
    return tf.ones_like(classes, tf.bool)
  return tf.reduce_any(tf.equal(classes[:, tf.newaxis],
                                tf.constant(mask_classes, classes.dtype)),
                       axis=1)


def missing_masks(source_id, num_objects, num_masks, advice, join=''.join):
  """The sentence about a record that lacks masks, of str or of tensors."""
  return join(['Image ', source_id, ' has ', num_objects, ' objects and ',
               num_masks, ' masks (image/object/mask). ', advice])


def to_normalized(boxes, image_info):
  """Boxes of the network input as fractions 0..1 of the (mirrored) image.

  Args:
    boxes: float32 [K, 4], yxyx, pixels of the network input.
    image_info: float32 [4, 2] of a Sample.

  Returns:
    float32 [K, 4], yxyx, 0..1; beyond it for what is beyond the image.
  """
  size, _, scale, offset = tf.unstack(tf.tile(image_info, [1, 2]))
  return (boxes + offset) / scale / size


def crop_sample(sample, boxes, crop_sizes, section):
  """The masks of a Sample, each cut out of a box, at several sizes.

  Args:
    sample: sample.Sample after the resize; its K masks are cut.
    boxes: float32 [K, 4], yxyx, pixels of the network input.
    crop_sizes: [int], pixels of a side.
    section: YAML section of the parser.

  Returns:
    [float32 [K, size, size]], one for each size, 0..1; see `crop_masks`.
  """
  return crop_masks(
      sample.masks, to_normalized(boxes, sample.image_info), crop_sizes,
      sample.is_mirrored, tf.to_int32(sample.image_info[0]),
      sample.record['source_id'], sample.origins, section.legacy_augmentation,
      section.mask_crop_grid)


def crop_masks(pngs, normalized_boxes, crop_sizes, is_mirrored, image_size,
               source_id, origins=None, keep_values=False,
               grid=mask_grids.CORNERS_NAME):
  """Resizes the content of each box to squares, decoding each file once.

  Args:
    pngs: string [K], PNG bytes of the masks, see `stored_masks.decode`; above 0
      is inside. Empty bytes are an empty mask. K may be 0.
    normalized_boxes: float32 [K, 4], yxyx, 0..1 of the image.
    crop_sizes: [int], pixels of a side of the results.
    is_mirrored: bool [], whether the boxes are of the mirrored image.
    image_size: int32 [2], height and width of the image.
    source_id: string [], of the record, for the error.
    origins: int32 [H, W], the pixel of the masks for each place of the image
      (see augment.annotated_image), before it was mirrored; None: the one at
      the same place.
    keep_values: whether the inside keeps the value that it has in the PNG, as
      upstream, instead of 1.
    grid: 'corners': bilinear samples, the first and the last row on the borders
      of the box, as tf.image.crop_and_resize; 'cells': means over the cells of
      a grid that tiles the box. See utils/mask_grids.py.

  Returns:
    [float32 [K, size, size]], one for each size, 0..1. What is beyond the image
    is 0.

  Raises:
    InvalidArgumentError: when run on a mask that does not fit the image.

  Source: tf.image.crop_and_resize.
  """
  def crop(arguments):
    png, box = arguments
    return tf.cond(tf.strings.length(png) > 0, lambda: sample(png, box),
                   nothing, strict=True)

  def sample(png, box):
    mask = stored_masks.decode(png, image_size, source_id)
    return [GRIDS[grid](mask, box, size, is_mirrored, origins, keep_values)
            for size in crop_sizes]

  def nothing():
    return [tf.zeros([size, size]) for size in crop_sizes]

  with tf.name_scope('crop_masks'):
    masks = tf.cond(
        tf.size(pngs) > 0,
        lambda: tf.map_fn(crop, (pngs, normalized_boxes),
                          dtype=[tf.float32] * len(crop_sizes)),
        # map_fn over no element cannot tell the shape of one.
        lambda: [tf.zeros([0, size, size]) for size in crop_sizes],
        strict=True)
    for mask, size in zip(masks, crop_sizes):
      mask.set_shape([None, size, size])
    return masks


def _sample_corners(mask, box, crop_size, is_mirrored, origins, keep_values):
  """Bilinear samples float32 [crop_size, crop_size] of a StoredMask."""
  height, width = tf.unstack(mask.image_size)
  y0, x0, y1, x1 = tf.unstack(box)
  rows, y_fraction, y_inside = _positions(y0, y1, height, crop_size)
  columns, x_fraction, x_inside = _positions(x0, x1, width, crop_size)
  columns = tf.where(is_mirrored, width - 1 - columns, columns)
  # [2 * crop_size, 2 * crop_size], the neighbours before, then those after.
  if origins is None:
    pixels = stored_masks.gather(mask, rows, columns)
  else:
    pixels = stored_masks.look_up(mask, tf.gather(tf.gather(origins, rows),
                                                  columns, axis=1))
  if not keep_values:
    pixels = pixels > 0
  above, below = tf.split(tf.cast(pixels, tf.float32), 2)
  lines = above + (below - above) * y_fraction[:, tf.newaxis]
  left, right = tf.split(lines, 2, axis=1)
  samples = left + (right - left) * x_fraction
  return samples * y_inside[:, tf.newaxis] * x_inside


def _average_cells(mask, box, crop_size, is_mirrored, origins, keep_values):
  """Means float32 [crop_size, crop_size] of a StoredMask."""
  def read(y0, x0, y1, x1):
    if origins is None:
      pixels = stored_masks.window(mask, y0, x0, y1, x1)
    else:
      pixels = stored_masks.look_up(mask, origins[y0:y1, x0:x1])
    return tf.cast(pixels if keep_values else pixels > 0, tf.int32)
  return mask_cells.means(box, crop_size, mask.image_size, is_mirrored, read)


# Values of `mask_crop_grid`.
GRIDS = {mask_grids.CORNERS_NAME: _sample_corners,
         mask_grids.CELLS_NAME: _average_cells}


def _positions(start, end, length, count):
  """Where an axis is sampled.

  Args:
    start: float32 [], 0..1, first position.
    end: float32 [], last position.
    length: int32 [], pixels of the axis.
    count: int, number of positions.

  Returns:
    int32 [2 * count]: the pixels before all positions, then those after.
    float32 [count]: distance from the pixel before, 0..1.
    float32 [count]: 1 where the position is inside of the image, 0 elsewhere.
  """
  last = tf.to_float(length - 1)
  # The order of operations decides whether a sample on the border of the
  # image is inside; it is that of the stock operation.
  if count > 1:
    positions = start * last + tf.range(float(count)) * (
        (end - start) * last / (count - 1.))
  else:
    positions = .5 * (start + end) * last[tf.newaxis]
  is_inside = tf.logical_and(positions >= 0., positions <= last)
  positions = tf.clip_by_value(positions, 0., last)
  before = tf.floor(positions)
  behind = tf.minimum(before + 1., last)
  return (tf.to_int32(tf.concat([before, behind], axis=0)), positions - before,
          tf.to_float(is_inside))
