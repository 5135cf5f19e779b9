"""Steps that bring an image, its boxes and its masks to the network input.

Functions take and return plain tensors. Every random draw can be given as an
argument instead, which is how tests and replays fix it.
"""

from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

import tensorflow.compat.v1 as tf

from ops import random_numbers
from ops import resample
from ops import tensor_types

# ImageNet statistics of RGB values in 0..1; published weights expect them.
MEAN_RGB = (0.485, 0.456, 0.406)
STDDEV_RGB = (0.229, 0.224, 0.225)


class _Geometry(NamedTuple):
  """How an image is mapped to the network input.

  Attributes:
    scaled: int32 [2], size after the resize.
    crop: int32 [2], first row and column that remain.
    scale: float32 [2], resized / original size of each axis, as rounded.
  """
  scaled: tf.Tensor
  crop: tf.Tensor
  scale: tf.Tensor


def normalize_image(image: tf.Tensor, mean: Sequence[float] = MEAN_RGB,
                    stddev: Sequence[float] = STDDEV_RGB) -> tf.Tensor:
  """Shifts and scales colours to about zero mean and unit variance.

  Args:
    image: uint8 [H, W, 3], or float32 in 0..1. RGB.
    mean: three floats, subtracted from values in 0..1.
    stddev: three floats, divide the difference.

  Returns:
    float32 [H, W, 3].

  Source: upstream's `normalize_image`.
  """
  with tf.name_scope('normalize_image'):
    unit = 255. if image.dtype == tf.uint8 else 1.
    return _normalize(tf.cast(image, tf.float32), unit, mean, stddev)


def _normalize(image, unit, mean=MEAN_RGB, stddev=STDDEV_RGB):
  """(image / unit - mean) / stddev as one product and one sum."""
  scale = [1. / (unit * s) for s in stddev]
  offset = [-m / s for m, s in zip(mean, stddev)]
  # Rows of W * 3 values: broadcasting over a last dimension of 3 takes three
  # times as long.
  shape = tf.shape(image)
  rows = tf.reshape(image, [shape[0], shape[1] * 3])
  rows = rows * tf.tile(scale, shape[1:2]) + tf.tile(offset, shape[1:2])
  result = tf.reshape(rows, shape)
  result.set_shape(image.shape)
  return result


def compute_padded_size(desired_size: Sequence[int], stride: int) -> List[int]:
  """The smallest size that holds an image and divides by the stride.

  Args:
    desired_size: (height, width), ints.
    stride: int, 2**max_level.

  Returns:
    [height, width], ints, multiples of `stride`.
  """
  return [-(-int(size) // stride) * stride for size in desired_size]


def resize_and_crop_image(
    image: tf.Tensor, desired_size: Sequence[int], padded_size: Sequence[int],
    scale_min: float = 1., scale_max: float = 1.,
    random_scale: Optional[float] = None,
    offset_fraction: Optional[Union[Sequence[float], tf.Tensor]] = None,
    normalize: bool = False,
    enlarge: bool = True) -> Tuple[tf.Tensor, tf.Tensor]:
  """Resizes an image to fit, keeping its aspect ratio, then pads it.

  With a range of scales other than 1, the image is resized to fit a random
  multiple of `desired_size` and, where it is larger than that, a random window
  of it is cut out.

  Args:
    image: uint8 or float32 [H, W, 3].
    desired_size: (height, width), ints, that the image must fit into.
    padded_size: (height, width), ints, of the result; at least `desired_size`.
    scale_min: float, smallest random scale.
    scale_max: float, largest random scale.
    random_scale: float, instead of the draw from [scale_min, scale_max).
    offset_fraction: (y, x) floats in [0, 1), where the window lies, instead of
      the draw.
    normalize: whether to apply `normalize_image` after the resize, which gives
      the same values as before it and costs less for a uint8 image.
    enlarge: False does not resize an image that fits already.

  Returns:
    image: float32 [padded height, padded width, 3]; zeros at the bottom and on
      the right.
    image_info: float32 [4, 2], rows original size, desired size, scale, offset
      of the window; each (y, x). Pixels, but for the scale.

  Source: upstream's `resize_and_crop_image`.
  """
  with tf.name_scope('resize_and_crop_image'):
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    is_random = (scale_min != 1. or scale_max != 1. or random_scale is not None)
    target = tf.constant(desired_size, tf.float32)
    if is_random:
      if random_scale is None:
        random_scale = scale_min + (
            scale_max - scale_min) * random_numbers.uniform([])
      target = tf.round(random_scale * target)
    factor = tf.reduce_min(target / size)
    if not enlarge:
      factor = tf.minimum(factor, 1.)
    scaled = _whole_sides(size * factor)
    crop = tf.zeros([2], tf.int32)
    if is_random:
      crop = _random_crop(scaled, desired_size, offset_fraction)
    geometry = _Geometry(tf.cast(scaled, tf.int32), crop, scaled / size)
    image = _place(image, geometry, desired_size, padded_size, is_random,
                   normalize)
    image_info = tf.stack([size, tf.constant(desired_size, tf.float32),
                           geometry.scale, tf.cast(crop, tf.float32)])
    return image, image_info


def _whole_sides(sides):
  """Rounds sides to pixels; a very thin image keeps one pixel."""
  return tf.maximum(tf.round(sides), 1.)


def _random_crop(scaled, desired_size, offset_fraction):
  """int32 [2]: offset of a window of `desired_size` in a resized image."""
  if offset_fraction is None:
    offset_fraction = random_numbers.uniform([2])
  room = tf.maximum(scaled - tf.constant(desired_size, tf.float32), 0.)
  return tf.cast(room * offset_fraction, tf.int32)


def _place(image, geometry, window, padded_size, is_cropped, normalize):
  """Resizes, cuts and pads an image."""
  unit = 255. if image.dtype == tf.uint8 else 1.

  def resize(pixels):
    pixels = resample.resize_bilinear(pixels[tf.newaxis], geometry.scaled)[0]
    if is_cropped:
      y, x = tf.unstack(geometry.crop)
      pixels = pixels[y:y + window[0], x:x + window[1]]
    return pixels

  if normalize:
    # Where there are fewer pixels.
    before = tf.reduce_prod(tf.shape(image)[:2])
    after = tf.reduce_prod(tf.minimum(geometry.scaled, window))
    image = tf.cond(
        before < after,
        lambda: resize(_normalize(tf.cast(image, tf.float32), unit)),
        lambda: _normalize(resize(image), unit))
  else:
    image = resize(image)
  missing = tf.constant(padded_size, tf.int32) - tf.shape(image)[:2]
  image = tf.pad(image, [[0, missing[0]], [0, missing[1]], [0, 0]])
  image.set_shape([padded_size[0], padded_size[1], 3])
  return image


def resize_and_crop_boxes(boxes: tf.Tensor, image_scale: tf.Tensor,
                          output_size: Sequence[int], offset: tf.Tensor,
                          to_border: bool = False) -> tf.Tensor:
  """Moves boxes along with `resize_and_crop_image`.

  Args:
    boxes: float32 [K, 4], yxyx, pixels of the original image.
    image_scale: float32 [2], row 2 of image_info.
    output_size: (height, width), ints: the desired size, row 1.
    offset: float32 [2], row 3.
    to_border: whether boxes may reach the border of the window; False: they
      end a pixel before, as upstream.

  Returns:
    float32 [K, 4], yxyx, pixels of the network input, clipped to [0, size - 1],
    or with `to_border` to [0, size].
    Boxes outside of the window become empty; see boxes.non_empty_indices.
  """
  with tf.name_scope('resize_and_crop_boxes'):
    boxes = boxes * tf.tile(image_scale, [2]) - tf.tile(offset, [2])
    last = tf.cast(tf.tile(output_size, [2]), tf.float32)
    if not to_border:
      last -= 1.
    return tf.clip_by_value(boxes, 0., last)


def resize_and_crop_masks(masks: tf.Tensor, image_scale: tf.Tensor,
                          output_size: Sequence[int], offset: tf.Tensor,
                          truncate: bool = True) -> tf.Tensor:
  """Moves masks along with `resize_and_crop_image`, by nearest neighbour.

  Args:
    masks: [K, H, W, 1], any type, of the size of the original image; K may be
      0.
    image_scale: float32 [2], row 2 of image_info.
    output_size: (height, width), ints: the desired size, row 1.
    offset: float32 [2], row 3.
    truncate: whether the resized size is truncated, as in upstream, while that
      of the image is rounded: now and then the mask is one pixel shorter.

  Returns:
    [K, height, width, 1], the type of `masks`; zeros at the bottom and on the
    right.
  """
  with tf.name_scope('resize_and_crop_masks'):
    size = tf.cast(tf.shape(masks)[1:3], tf.float32)
    scaled = image_scale * size
    scaled = tf.cast(scaled if truncate else tf.round(scaled), tf.int32)
    scaled = tf.maximum(scaled, 1)  # as for the image
    masks = resample.resize_nearest(
        masks, tf.unstack(scaled), first=tf.unstack(tf.cast(offset, tf.int32)),
        window=output_size)
    shape = tf.shape(masks)
    masks = tf.pad(masks, [[0, 0], [0, output_size[0] - shape[1]],
                           [0, output_size[1] - shape[2]], [0, 0]])
    masks.set_shape([None, output_size[0], output_size[1], 1])
    return masks


def random_horizontal_flip(
    image: tf.Tensor, normalized_boxes: Optional[tf.Tensor] = None,
    masks: Optional[tf.Tensor] = None,
    random_value: Optional[tf.Tensor] = None
) -> Tuple[tf.Tensor, Optional[tf.Tensor], Optional[tf.Tensor]]:
  """Mirrors an image with its boxes and masks with probability 1/2.

  Args:
    image: [H, W, 3], any type.
    normalized_boxes: float32 [K, 4], yxyx in 0..1, or None.
    masks: [K, H, W], any type, or None.
    random_value: float in [0, 1), instead of the draw; mirrors above 0.5.

  Returns:
    image, normalized_boxes, masks; None where None was given.
  """
  with tf.name_scope('random_horizontal_flip'):
    if random_value is None:
      random_value = random_numbers.uniform([])
    flip = tf.greater(random_value, 0.5)
    image = _mirror_if(flip, image, 1)
    if normalized_boxes is not None:
      boxes = normalized_boxes
      y0, x0, y1, x1 = tf.unstack(boxes, 4, axis=-1)
      mirrored = tf.stack([y0, 1. - x1, y1, 1. - x0], axis=-1)
      normalized_boxes = tf.cond(flip, lambda: mirrored, lambda: boxes)
    if masks is not None:
      masks = _mirror_if(flip, masks, 2)
    return image, normalized_boxes, masks


def _mirror_if(condition, tensor, axis):
  return tf.cond(condition, lambda: tf.reverse(tensor, [axis]), lambda: tensor)


def pad_or_clip(tensor: tf.Tensor, size: int,
                value: Union[int, float]) -> tf.Tensor:
  """Makes the first dimension `size`.

  Args:
    tensor: [N, ...].
    size: int.
    value: number that fills new rows.

  Returns:
    [size, ...], static in the first dimension.
  """
  with tf.name_scope('pad_or_clip'):
    tensor = tf.convert_to_tensor(tensor)[:size]
    paddings = [[0, size - tf.shape(tensor)[0]]]
    paddings += [[0, 0]] * (tensor.shape.ndims - 1)
    padded = tf.pad(tensor, paddings, constant_values=value)
    padded.set_shape([size] + tensor.shape.as_list()[1:])
    return padded


def resize_image(image: tf.Tensor, size: tensor_types.ImageShape) -> tf.Tensor:
  """Resizes an image to a size, whatever its aspect ratio, and normalizes it.

  Args:
    image: uint8 [H, W, 3].
    size: (height, width), ints.

  Returns:
    float32 [height, width, 3], as from `normalize_image`.
  """
  with tf.name_scope('resize_image'):
    image = _normalize(resample.resize_bilinear(image[tf.newaxis], size)[0],
                       255.)
    image.set_shape([size[0], size[1], 3])
    return image


def resize_to_uint8(image: tf.Tensor,
                    size: tensor_types.ImageShape) -> tf.Tensor:
  """Resizes an image to a size and rounds its colours to uint8 again.

  Args:
    image: uint8 [H, W, 3].
    size: (height, width), ints.

  Returns:
    uint8 [height, width, 3].
  """
  with tf.name_scope('resize_to_uint8'):
    image = tf.cast(tf.round(
        resample.resize_bilinear(image[tf.newaxis], size)[0]), tf.uint8)
    image.set_shape([size[0], size[1], 3])
    return image


def center_window(size: tf.Tensor, fraction: float = 0.875) -> tf.Tensor:
  """The square in the middle of an image, which classifiers are tested with.

  Args:
    size: int32 [2], height and width of an image.
    fraction: float, side of the square relative to the shorter side.

  Returns:
    int32 [4]: first row and column, height, width.
  """
  size = tf.cast(size, tf.float32)
  side = tf.maximum(fraction * tf.reduce_min(size), 1.)
  offset = tf.cast((size - side) / 2., tf.int32)
  return tf.concat([offset, tf.fill([2], tf.cast(side, tf.int32))], axis=0)


def random_window(size: tf.Tensor, numbers: tf.Tensor, min_area: float = 0.08,
                  max_area: float = 1., min_ratio: float = 3. / 4.,
                  max_ratio: float = 4. / 3.) -> tf.Tensor:
  """A window of random area, shape and place.

  Draws as tf.image.sample_distorted_bounding_box does (which cannot be given
  the numbers): a ratio, then a height among those that give an area within the
  limits, then a place.

  Args:
    size: int32 [2], height and width of an image.
    numbers: float32 [N, 4] in [0, 1), random numbers for N attempts.
    min_area: float, smallest area, a share of the image.
    max_area: float, largest area.
    min_ratio: float, smallest width / height.
    max_ratio: float, largest width / height.

  Returns:
    int32 [4]: first row and column, height, width. The entire image if no
    attempt fits into it.

  Source: arXiv:1409.4842, section 6.
  """
  with tf.name_scope('random_window'):
    sides = tf.cast(size, tf.float32)
    height, width = tf.unstack(sides)
    ratio = min_ratio + numbers[:, 0] * (max_ratio - min_ratio)
    smallest, largest = [tf.round(tf.sqrt(area * height * width / ratio))
                         for area in (min_area, max_area)]
    # A window that is rounded up beyond the image would not fit.
    largest = tf.minimum(tf.minimum(largest, height),
                         tf.ceil((width + .5) / ratio) - 1.)
    smallest = tf.minimum(smallest, largest)
    rows = smallest + tf.floor(numbers[:, 1] * (largest - smallest + 1.))
    # Rounding may leave the limits by a row.
    limits = [area * height * width for area in (min_area, max_area)]
    area = rows * tf.round(rows * ratio)
    rows += tf.cast(area < limits[0], tf.float32)
    rows -= tf.cast(area > limits[1], tf.float32)
    columns = tf.round(rows * ratio)
    area = rows * columns
    fits = tf.reduce_all([
        area >= limits[0], area <= limits[1], rows >= 1., rows <= height,
        columns >= 1., columns <= width], axis=0)
    # The last place is never drawn, unless it is the only one.
    windows = tf.stack([tf.floor(numbers[:, 2] * (height - rows)),
                        tf.floor(numbers[:, 3] * (width - columns)),
                        rows, columns], axis=1)
    # The entire image comes last, and always fits.
    windows = tf.concat([windows, [tf.concat([[0., 0.], sides], 0)]], axis=0)
    first = tf.argmax(tf.cast(tf.concat([fits, [True]], 0), tf.int32))
    return tf.cast(windows[first], tf.int32)


def transpose_images(images: tf.Tensor, block_size: int = 1,
                     transpose: bool = True) -> tf.Tensor:
  """Lays a batch of images out as accelerators read it fastest.

  Args:
    images: [N, H, W, C]; H and W are multiples of `block_size`.
    block_size: int; above 1, blocks of pixels become channels, in the order
      block row, block column, channel.
    transpose: whether to move the batch dimension.

  Returns:
    With block size b: [N, H/b, W/b, b*b*C], or transposed [H/b, W/b, N, b*b*C].
    With block size 1: `images`, or transposed [H, W, C, N].
  """
  with tf.name_scope('transpose_images'):
    if block_size == 1:
      return tf.transpose(images, [1, 2, 3, 0]) if transpose else images
    static, dynamic = images.shape.as_list(), tf.shape(images)
    n, h, w, c = [dynamic[i] if size is None else size
                  for i, size in enumerate(static)]
    blocks = tf.reshape(images, [n, h // block_size, block_size,
                                 w // block_size, block_size, c])
    order = [1, 3, 0, 2, 4, 5] if transpose else [0, 1, 3, 2, 4, 5]
    blocks = tf.transpose(blocks, order)
    shape = [h // block_size, w // block_size, block_size ** 2 * c]
    shape.insert(2 if transpose else 0, n)
    return tf.reshape(blocks, shape)
