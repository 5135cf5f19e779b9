"""One record to the input and the targets of ShapeMask."""

import collections

import tensorflow.compat.v1 as tf

from dataloader import mask_crops
from dataloader import parser
from dataloader import retinanet_parser
from ops import boxes as box_ops
from ops import preprocess
from ops import sampling
from utils import class_sets
from utils import fields
from utils import modes

# parser.Draws, and choose_objects: (size, count) -> int32 [min(size, count)],
# the objects whose masks are learnt from; noise: float32 [N, 4], unit normal,
# (x, y, width, height) of the jitter of their boxes.
Draws = collections.namedtuple(
    'Draws', parser.Draws._fields + ('choose_objects', 'noise'))


class ShapemaskParser(retinanet_parser.DenseParser):
  """RetinaNet's, and the masks of some objects; arXiv:1904.03239, section 4."""

  SECTION = 'shapemask_parser'
  PADS_TO_STRIDE = False
  MASK_ADVICE = (
      'Every object of the classes of shapemask_parser.mask_train_class needs '
      'one: convert again with --include_masks, or list the classes that have '
      'masks there.')

  def __init__(self, section, anchors, num_classes, mode, dtype='float32',
               emit_anchor_boxes=False, clip_to_border=False):
    """See DetectionParser; `section` is the YAML section `shapemask_parser`.

    Raises:
      ValueError: for a mode that does not exist.
    """
    # Masks are expensive, and only training has a use for them.
    super().__init__(section, anchors, num_classes, mode, dtype,
                     emit_anchor_boxes, needs_masks=mode == modes.TRAIN,
                     clip_to_border=clip_to_border)
    self.MASK_CLASSES = class_sets.ids(section.mask_train_class)

  def _checked(self, decoded):
    if not self._section.use_category:
      classes = decoded['groundtruth_classes']
      decoded = dict(decoded, groundtruth_classes=tf.ones_like(classes))
    decoded = super()._checked(decoded)
    if not self.needs_masks:
      return decoded
    return mask_crops.check_masks(decoded, self.MASK_ADVICE, self.MASK_CLASSES)

  def _draw(self, seed):
    section = self._section
    return Draws(
        *super()._draw(seed),
        choose_objects=lambda size, count: sampling.draw_distinct(
            size, count, seed + [1, 0]),
        noise=tf.random.stateless_normal([section.num_sampled_masks, 4],
                                         seed + [2, 0]))

  def _targets(self, sample, decoded, draws):
    labels = super()._targets(sample, decoded, draws)
    if self.needs_masks:
      labels.update(self._mask_targets(sample, decoded, draws))
    return labels

  def _mask_targets(self, sample, decoded, draws):
    """The labels of as many objects as masks are learnt from of an image."""
    section, count = self._section, self._section.num_sampled_masks
    num_objects = tf.shape(sample.boxes)[0]
    chosen = draws.choose_objects(num_objects, count)

    def choose(values, fill):
      return preprocess.pad_or_clip(tf.gather(values, chosen), count, fill)

    limits = box_ops.clip_limits(tuple(section.output_size),
                                 self._clip_to_border)
    boxes = box_ops.clip_boxes(
        box_ops.jitter_boxes(choose(sample.boxes, 0.),
                             section.box_jitter_scale,
                             unit_normal=draws.noise), limits)
    # They may reach into the padding, where no mask is.
    outer_boxes = box_ops.outer_boxes(boxes, limits, section.outer_box_scale)
    classes = choose(sample.classes, 0)
    targets = mask_crops.crop_masks_at_sizes(
        tf.gather(sample.masks, chosen),
        parser.normalized_boxes(outer_boxes[:tf.size(chosen)],
                                sample.image_info),
        sorted(set(self._target_sizes())), sample.is_mirrored,
        tf.to_int32(sample.image_info[0]), decoded['source_id'],
        sample.origins, section.legacy_augmentation, section.mask_crop_grid)
    targets = [preprocess.pad_or_clip(tf.cast(target >= .5, tf.float32), count,
                                      0.) for target in targets]
    # What fills up counts as valid, with an empty mask, where any object does
    # and classes do not decide; published models were trained so.
    is_valid = tf.logical_and(
        num_objects > 0,
        mask_crops.is_of_classes(classes, self.MASK_CLASSES))
    return {fields.MASK_BOXES: boxes, fields.MASK_OUTER_BOXES: outer_boxes,
            fields.MASK_CLASSES: classes,
            fields.MASK_IS_VALID: tf.cast(is_valid, tf.int32),
            fields.MASK_TARGETS: targets[0],
            fields.FINE_MASK_TARGETS: targets[-1]}

  def _target_sizes(self):
    """Sides of the coarse and the fine target."""
    size = self._section.mask_crop_size
    return size, size * self._section.upsample_factor

  def _targets_spec(self):
    spec = super()._targets_spec()
    if not self.needs_masks:
      return spec
    count = self._section.num_sampled_masks
    for name, shape, dtype in (
        (fields.MASK_BOXES, [4], tf.float32),
        (fields.MASK_OUTER_BOXES, [4], tf.float32),
        (fields.MASK_CLASSES, [], tf.int64),
        (fields.MASK_IS_VALID, [], tf.int32),
        (fields.MASK_TARGETS, [self._target_sizes()[0]] * 2, tf.float32),
        (fields.FINE_MASK_TARGETS, [self._target_sizes()[1]] * 2, tf.float32)):
      spec[name] = tf.TensorSpec([count] + shape, dtype)
    return spec
