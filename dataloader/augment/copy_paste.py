"""Copy-paste: objects of one image are pasted into another.

Source: arXiv:2012.07177; details as in upstream's
extract_objects_parser.py.
"""

import collections

import tensorflow.compat.v1 as tf

from dataloader import stored_masks
from dataloader.augment import annotated_image
from ops import preprocess

# The objects to paste, in pixels of the network input. image: float32
# [h, w, 3], normalized. is_covered: bool [h, w], where it is pasted. boxes:
# float32 [M, 4], yxyx. classes: int64 [M]. masks: float32 [M, c, c], each
# cropped to its box.
Objects = collections.namedtuple(
    'Objects', 'image is_covered boxes classes masks')


def choose(num_objects, draws):
  """Chooses the objects of an image that are pasted: at least one.

  Args:
    num_objects: int32 [], N.
    draws: dataloader.draws.Draws of the image.

  Returns:
    int32 [M], different numbers below N, with M evenly drawn from 1 to N.
  """
  order = tf.argsort(draws.uniform('order', [num_objects]))
  count = 1. + tf.floor(
      draws.uniform('count') * tf.cast(num_objects, tf.float32))
  return order[:tf.cast(count, tf.int32)]


def covered_pixels(sample, output_size, padded_size, legacy):
  """Where the objects of an image are in the network input.

  Args:
    sample: dataloader.sample.Sample after all steps, with the chosen objects
      only.
    output_size: (height, width), ints, that the image was fitted into.
    padded_size: (height, width), ints, of the network input.
    legacy: whether the last row or column may be missing, as in upstream.

  Returns:
    bool [height, width], of `padded_size`.
  """
  with tf.name_scope('covered_pixels'):
    size = tf.cast(sample.image_info[0], tf.int32)
    union = tf.foldl(
        lambda known, png: tf.bitwise.bitwise_or(
            known, _mask(png, sample)),
        sample.masks, initializer=tf.zeros(size, tf.uint8), back_prop=False)
    union = _mirrored(union, sample)
    covered = preprocess.resize_and_crop_masks(
        union[tf.newaxis, ..., tf.newaxis], sample.image_info[2], output_size,
        sample.image_info[3], truncate=legacy)[0, ..., 0]
    missing = [[0, padded - size]
               for padded, size in zip(padded_size, output_size)]
    return tf.pad(covered, missing) > 0


def _mask(png, sample):
  """uint8 [H, W], 0 or 1, of the bytes of a mask, moved as its image was."""
  mask = stored_masks.decode(png, tf.cast(sample.image_info[0], tf.int32),
                             sample.record['source_id'])
  mask = tf.cast(stored_masks.whole(mask) > 0, tf.uint8)
  if sample.origins is None:
    return mask
  flat = tf.concat([[0], tf.reshape(mask, [-1])], axis=0)
  return tf.gather(flat, sample.origins - annotated_image.NOWHERE)


def _mirrored(pixels, sample):
  """Pixels [H, W] of the image of the record as the sample has it."""
  return tf.cond(sample.is_mirrored, lambda: tf.reverse(pixels, [1]),
                 lambda: pixels)


def paste(sample, objects, output_size, box_update_threshold,
          occluded_obj_threshold, legacy, to_border=False):
  """Pastes objects over an image, which hides parts of its own.

  Args:
    sample: dataloader.sample.Sample after all steps.
    objects: Objects.
    output_size: (height, width), ints, that the image was fitted into.
    box_update_threshold: float, pixels of the image of the record: a side of
      a box moves to the visible part of its object if that is farther away.
    occluded_obj_threshold: float, number of pixels of that image: an object
      whose box moves is dropped if no more than this many remain visible.
    legacy: whether to follow upstream, where one box that changes makes all
      objects count as changed, and pixels at the rim of the pasted ones stay
      visible in masks.
    to_border: see preprocess.resize_and_crop_boxes.

  Returns:
    Sample: its masks end where objects were pasted; `pasted` are the objects,
    which follow its own in the labels.
    int64 [L]: the objects that stay.
  """
  with tf.name_scope('paste_objects'):
    image = tf.where(tf.tile(objects.is_covered[..., tf.newaxis], [1, 1, 3]),
                     objects.image, sample.image)
    hidden = _hidden_pixels(sample, objects.is_covered, legacy)
    boxes, areas = _visible_boxes(sample, hidden)
    # In pixels of the image of the record, the unit of the thresholds.
    scale, offset = tf.unstack(tf.tile(sample.image_info[2:], [1, 2]))
    def to_network(values):
      return preprocess.resize_and_crop_boxes(
          values, sample.image_info[2], output_size, sample.image_info[3],
          to_border)
    old = (sample.boxes + offset) / scale
    new = (to_network(boxes) + offset) / scale
    is_moved = tf.abs(new - old) > box_update_threshold
    has_changed = tf.reduce_any(is_moved, axis=1)
    if legacy:
      has_changed = tf.fill(tf.shape(has_changed), tf.reduce_any(has_changed))
    is_lost = tf.logical_and(has_changed, areas <= occluded_obj_threshold)
    if not legacy:
      is_lost = tf.logical_or(is_lost, tf.equal(areas, 0.))
    origins = sample.origins
    if origins is None:
      origins = annotated_image.make_origins(hidden)
    origins = tf.where(_mirrored(hidden, sample),
                       tf.fill(tf.shape(origins), annotated_image.NOWHERE),
                       origins)
    pasted = sample._replace(
        image=image, boxes=to_network(tf.where(is_moved, new, old)),
        origins=origins, pasted=objects)
    return pasted, tf.where(tf.logical_not(is_lost))[:, 0]


def _hidden_pixels(sample, is_covered, legacy):
  """bool [H, W]: pixels of the image that pasted objects lie on."""
  size, _, scale, offset = tf.unstack(sample.image_info)
  scaled = tf.cast(tf.round(size * scale), tf.int32)
  first = tf.cast(offset, tf.int32)
  behind = tf.maximum(scaled - first - tf.shape(is_covered), 0)
  whole = tf.pad(tf.cast(is_covered, tf.float32),
                 tf.stack([first, behind], axis=1))
  whole = whole[:scaled[0], :scaled[1], tf.newaxis]
  share = tf.image.resize_bilinear(whole[tf.newaxis],
                                   tf.cast(size, tf.int32))[0, ..., 0]
  return share >= (1. if legacy else .5)


def _visible_boxes(sample, hidden):
  """Boxes around what is visible of each object, in the image of the record.

  Args:
    sample: dataloader.sample.Sample of K objects.
    hidden: bool [H, W], of the image, mirrored as it is.

  Returns:
    float32 [K, 4], yxyx, pixels; the entire image where nothing is visible.
    float32 [K], numbers of visible pixels.
  """
  visible = tf.cast(tf.logical_not(_mirrored(hidden, sample)), tf.uint8)
  width = tf.cast(tf.shape(visible)[1], tf.float32)
  def measure(png):
    mask = _mask(png, sample) * visible
    y0, y1 = _extent(tf.reduce_max(mask, axis=1))
    x0, x1 = _extent(tf.reduce_max(mask, axis=0))
    x0, x1 = tf.cond(sample.is_mirrored, lambda: (width - x1, width - x0),
                     lambda: (x0, x1))
    area = tf.cast(tf.reduce_sum(tf.cast(mask, tf.int32)), tf.float32)
    return tf.stack([y0, x0, y1, x1]), area
  boxes, areas = tf.cond(
      tf.size(sample.masks) > 0,
      lambda: tf.map_fn(measure, sample.masks, dtype=(tf.float32, tf.float32),
                        back_prop=False),
      # map_fn over no element cannot tell the shape of one.
      lambda: (tf.zeros([0, 4]), tf.zeros([0])))
  boxes.set_shape([None, 4])
  areas.set_shape([None])
  return boxes, areas


def _extent(line):
  """First pixel above 0 of a line uint8 [L], and one past the last."""
  last = tf.argmax(tf.reverse(line, [0]), output_type=tf.int32)
  return (tf.cast(tf.argmax(line, output_type=tf.int32), tf.float32),
          tf.cast(tf.size(line) - last, tf.float32))
