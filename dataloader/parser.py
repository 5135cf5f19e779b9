"""The steps that parsers share: from a decoded record to network input.

A parser is a list of steps, each Sample -> Sample, and one labelling step at
the end. Parsers of different models differ in the labelling step.
"""

import collections

import tensorflow.compat.v1 as tf

from dataloader import source_ids
from dataloader.augment import annotated_image
from dataloader.augment import autoaugment
from ops import boxes as box_ops
from ops import preprocess
from utils import fields
from utils import modes
from utils import registry

# What belongs together in every geometric step. image: [H, W, 3]. boxes:
# float32 [K, 4], yxyx, 0..1 until `to_pixels`. classes: int64 [K]. masks:
# string [K], PNG bytes of the original image (see mask_crops), or None.
# is_mirrored: bool [], whether `boxes` are of the mirrored image. is_crowd:
# bool [K]. area: float32 [K], original pixels. image_info: float32 [4, 2] after
# `resize_and_crop`, None before. origins: int32 [H, W], see augment.images,
# of the image before it was mirrored, or None where no pixel has moved.
# pasted: augment.copy_paste.Objects on top of the image, or None.
Sample = collections.namedtuple(
    'Sample', 'image boxes classes masks is_mirrored is_crowd area image_info '
    'origins pasted', defaults=(None, None))

# The random numbers of one image. flip: [], mirrored above 0.5. scale: [], in
# the configured range, or None. offset: [2], in [0, 1), or None.
Draws = collections.namedtuple('Draws', 'flip scale offset')

NO_DRAWS = Draws(None, None, None)


def checked_mode(mode):
  """Returns the mode.

  Raises:
    ValueError: listing the modes, for one that does not exist.
  """
  return registry.pick(modes.ALL, mode, 'The mode')


def structure(mode, image, labels):
  """What a parser returns in a mode: a pair, or for prediction one dict."""
  if mode in (modes.TRAIN, modes.EVAL):
    return image, labels
  return {'images': image, 'labels': labels}


def draw(seed, scale_min, scale_max):
  """Draws the random numbers of one image.

  They depend on nothing but the seed, so that a run can be repeated however
  many threads parse its images.

  Args:
    seed: int [2] tensor, different for every image.
    scale_min: float.
    scale_max: float.

  Returns:
    Draws.
  """
  flip, scale, y, x = tf.unstack(tf.random.stateless_uniform([4], seed))
  if scale_min == 1. and scale_max == 1.:
    return Draws(flip, None, None)
  return Draws(flip, scale_min + scale * (scale_max - scale_min),
               tf.stack([y, x]))


def make_sample(decoded):
  """Sample of a decoded record."""
  return Sample(
      decoded['image'], decoded['groundtruth_boxes'],
      decoded['groundtruth_classes'],
      decoded.get('groundtruth_instance_masks_png'), tf.constant(False),
      decoded['groundtruth_is_crowd'], decoded['groundtruth_area'], None)


def select(sample, indices):
  """The objects of these indices, int [L], of a Sample."""
  def gather(values):
    return None if values is None else tf.gather(values, indices)
  return sample._replace(
      boxes=gather(sample.boxes), classes=gather(sample.classes),
      masks=gather(sample.masks), is_crowd=gather(sample.is_crowd),
      area=gather(sample.area))


def drop_crowds(sample):
  """Leaves out the groups that are annotated as one object."""
  return select(sample, tf.where(tf.logical_not(sample.is_crowd))[:, 0])


def augment(sample, policy, draw, num_layers, magnitude, legacy):
  """Applies an augmentation policy; see autoaugment.augment."""
  origins = None
  if sample.masks is not None:
    origins = annotated_image.make_origins(sample.image)
  annotated = autoaugment.augment(
      annotated_image.AnnotatedImage(sample.image, sample.boxes, origins),
      policy, draw, num_layers, magnitude, legacy)
  return sample._replace(image=annotated.image, boxes=annotated.boxes,
                         origins=annotated.origins)


def flip(sample, random_value):
  """Mirrors image and boxes when the value is above 0.5, and notes it."""
  image, boxes, _ = preprocess.random_horizontal_flip(
      sample.image, sample.boxes, random_value=random_value)
  return sample._replace(image=image, boxes=boxes,
                         is_mirrored=tf.greater(random_value, 0.5))


def to_pixels(sample):
  """Turns boxes of 0..1 into pixels of the image."""
  return sample._replace(boxes=box_ops.denormalize_boxes(
      sample.boxes, tf.shape(sample.image)[:2]))


def resize_and_crop(sample, output_size, padded_size, scale=None, offset=None,
                    to_border=False):
  """Brings image and boxes to the network input; normalises colours.

  Args:
    sample: with boxes in pixels.
    output_size: (height, width), ints, that the image is fitted into.
    padded_size: (height, width), ints, of the network input.
    scale: float [], draw of the jitter, or None for no jitter.
    offset: float [2], draw of the window, or None.
    to_border: see preprocess.resize_and_crop_boxes.

  Returns:
    Sample with image_info.
  """
  image, image_info = preprocess.resize_and_crop_image(
      sample.image, output_size, padded_size, random_scale=scale,
      offset_fraction=offset, normalize=True)
  boxes = preprocess.resize_and_crop_boxes(
      sample.boxes, image_info[2], output_size, image_info[3], to_border)
  return sample._replace(image=image, boxes=boxes, image_info=image_info)


def normalized_boxes(boxes, image_info):
  """Boxes of the network input as fractions 0..1 of the (mirrored) image.

  Args:
    boxes: float32 [K, 4], yxyx, pixels of the network input.
    image_info: float32 [4, 2] of `resize_and_crop`.

  Returns:
    float32 [K, 4].
  """
  size, _, scale, offset = tf.unstack(tf.tile(image_info, [1, 2]))
  return (boxes + offset) / scale / size


def drop_empty(sample):
  """Leaves out objects of which nothing remained in the image."""
  return select(sample, box_ops.non_empty_indices(sample.boxes))


def groundtruths(decoded, max_num_instances, key):
  """The objects of a record for evaluation, padded to a fixed number.

  Args:
    decoded: from ExampleDecoder.
    max_num_instances: int, M.
    key: configuration key of that number.

  Returns:
    dict: `source_id`, `height`, `width` int64 []; `num_detections` int32 [1];
    `boxes` float32 [M, 4], yxyx, pixels of the original image; `classes` int64,
    `areas` float32, both padded with -1, and `is_crowds` int32, all [M].

  Raises:
    InvalidArgumentError: when run on a record of more than M objects.
  """
  boxes = box_ops.denormalize_boxes(decoded['groundtruth_boxes'],
                                    tf.shape(decoded['image'])[:2])
  boxes = check_room(boxes, decoded['source_id'], max_num_instances, key,
                     'evaluation')
  num_objects = tf.shape(boxes)[0]
  def pad(values, value=-1):
    return preprocess.pad_or_clip(values, max_num_instances, value)
  return {
      'source_id': source_ids.to_int64(decoded['source_id']),
      'height': decoded['height'],
      'width': decoded['width'],
      'num_detections': num_objects[tf.newaxis],
      'boxes': pad(boxes),
      'classes': pad(decoded['groundtruth_classes']),
      'areas': pad(decoded['groundtruth_area']),
      'is_crowds': pad(tf.cast(decoded['groundtruth_is_crowd'], tf.int32), 0),
  }


def check_room(boxes, source_id, max_num_instances, key, purpose):
  """Returns `boxes`; running it fails for more of them than there is room for.

  Args:
    boxes: [K, 4].
    source_id: string [].
    max_num_instances: int.
    key: configuration key of that number.
    purpose: 'training' or 'evaluation', for the error.
  """
  num_objects = tf.shape(boxes)[0]
  check = tf.debugging.Assert(num_objects <= max_num_instances, [
      tf.strings.join([
          'Image ', source_id, ' has ', tf.as_string(num_objects),
          ' objects; %s is %d, so some would be missing from the %s. Raise it '
          'to at least the largest number of objects in an image.' % (
              key, max_num_instances, purpose)])])
  with tf.control_dependencies([check]):
    return tf.identity(boxes)


def groundtruths_spec(max_num_instances):
  """tf.TensorSpec of `groundtruths`."""
  spec = {'source_id': tf.TensorSpec([], tf.int64),
          'height': tf.TensorSpec([], tf.int64),
          'width': tf.TensorSpec([], tf.int64),
          'num_detections': tf.TensorSpec([1], tf.int32)}
  for name, shape, dtype in (('boxes', [4], tf.float32),
                             ('classes', [], tf.int64),
                             ('areas', [], tf.float32),
                             ('is_crowds', [], tf.int32)):
    spec[name] = tf.TensorSpec([max_num_instances] + shape, dtype)
  return spec


def padding_groundtruths(zeros):
  """Ground truth of an example that fills up a batch.

  Args:
    zeros: dict of `groundtruths`, all zeros.

  Returns:
    dict of the same structure: no object, `source_id` fields.PADDING_ID.
  """
  result = dict(zeros, source_id=tf.constant(fields.PADDING_ID, tf.int64))
  for name in ('boxes', 'classes', 'areas'):
    result[name] = zeros[name] - 1
  return result


def check_classes(decoded, num_classes):
  """Returns `decoded`; running it fails for ids that no class has.

  Args:
    decoded: from ExampleDecoder.
    num_classes: int, background included.
  """
  classes = decoded['groundtruth_classes']
  is_wrong = tf.logical_or(classes < 1, classes >= num_classes)
  # The first wrong id. Of none, argmax would fail, hence the 1 in front.
  padded = tf.concat([[1], classes], axis=0)
  wrong = padded[tf.argmax(tf.concat([[.5], tf.to_float(is_wrong)], axis=0))]
  check = tf.debugging.Assert(tf.logical_not(tf.reduce_any(is_wrong)), [
      tf.strings.join([
          'Image ', decoded['source_id'], ' has an object of class ',
          tf.as_string(wrong), '. architecture.num_classes is %d: classes are '
          '1 to %d, and 0 is the background.' % (num_classes,
                                                 num_classes - 1)])])
  with tf.control_dependencies([check]):
    return dict(decoded, groundtruth_classes=tf.identity(classes))
