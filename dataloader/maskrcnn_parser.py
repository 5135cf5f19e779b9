"""One record to the input and the targets of Mask R-CNN and its relatives."""

import collections

import tensorflow.compat.v1 as tf

from dataloader import detection_parser
from dataloader import mask_crops
from dataloader import parser
from dataloader.augment import copy_paste
from ops import preprocess
from ops import sampling
from ops import targets
from utils import fields
from utils import modes

# parser.Draws, and choose_anchors: (size, count) -> int32 [min(size, count)],
# the anchors that are sampled; see ops.targets.label_rpn_anchors.
# source: parser.Draws of the image that objects are pasted from.
Draws = collections.namedtuple(
    'Draws', parser.Draws._fields + ('choose_anchors', 'source'),
    defaults=(None,))

_SOURCE_SEED = 2**20  # keeps the numbers of the two images apart


class MaskrcnnParser(detection_parser.DetectionParser):
  """Decodes, augments, resizes and labels; arXiv:1703.06870, section 3.1."""

  SECTION = 'maskrcnn_parser'
  WITH_TARGETS = (modes.TRAIN,)
  WITH_SOURCE_ID = (modes.PREDICT, modes.PREDICT_WITH_GT)
  MASK_ADVICE = (
      'architecture.include_mask is true, so every object needs one: convert '
      'again with --include_masks, or use boxes only with '
      'architecture.include_mask=false, eval.type=box.')

  def __init__(self, section, anchors, num_classes, mode, dtype='float32',
               emit_anchor_boxes=False, include_mask=True,
               clip_to_border=False):
    """See DetectionParser; `section` is the YAML section `maskrcnn_parser`.

    With `copy_paste`, the parser is called with two records in training: the
    one to learn from and the one to paste objects from; see `needs_source`.

    Raises:
      ValueError: for a mode that does not exist, or for `copy_paste` without
        masks.
    """
    # Masks are expensive, and only training has a use for them.
    super().__init__(section, anchors, num_classes, mode, dtype,
                     emit_anchor_boxes, include_mask and mode == modes.TRAIN,
                     clip_to_border)
    self.needs_source = section.copy_paste and mode == modes.TRAIN
    if self.needs_source and not include_mask:
      raise ValueError('maskrcnn_parser.copy_paste is true, which needs masks, '
                       'but architecture.include_mask is false.')

  def _checked(self, decoded):
    decoded = super()._checked(decoded)
    if not self.needs_masks:
      return decoded
    return mask_crops.check_masks(decoded, self.MASK_ADVICE)

  def _draw(self, seed):
    draws = super()._draw(seed)
    source = None
    if self.needs_source:
      source = super()._draw(seed + [_SOURCE_SEED, 0])
    return Draws(*draws, choose_anchors=_chooser(seed), source=source)

  def _prepare(self, serialized, draws, draw):
    if not self.needs_source:
      return super()._prepare(serialized, draws, draw)
    serialized, of_source = serialized
    decoded, sample = super()._prepare(serialized, draws, draw)
    sample = sample._replace(boxes=self._with_room(sample.boxes, decoded))
    section = self._section
    sample, remaining = copy_paste.paste(
        sample, self._objects(of_source, draws.source, draw),
        section.output_size, section.copy_paste_box_update_threshold,
        section.copy_paste_occluded_obj_threshold, section.legacy_augmentation,
        self._clip_to_border)
    return decoded, parser.select(sample, remaining)

  def _objects(self, serialized, draws, draw):
    """copy_paste.Objects of some of the objects of a record."""
    decoded, sample = super()._prepare(serialized, draws, draw)
    sample = parser.select(
        sample, copy_paste.choose(tf.shape(sample.boxes)[0], draw))
    return copy_paste.Objects(
        sample.image,
        copy_paste.covered_pixels(
            sample, self._section.output_size, self._padded_size,
            self._section.legacy_augmentation),
        sample.boxes, sample.classes, self._crop_masks(sample, decoded))

  def _with_room(self, boxes, decoded):
    return parser.check_room(
        boxes, decoded['source_id'], self._section.max_num_instances,
        self._key_of_room(), 'training')

  def _crop_masks(self, sample, decoded):
    """float32 [K, c, c], the masks of the objects, each cut out of its box."""
    section = self._section
    return mask_crops.crop_masks(
        sample.masks, parser.normalized_boxes(sample.boxes, sample.image_info),
        section.mask_crop_size, sample.is_mirrored,
        tf.to_int32(sample.image_info[0]), decoded['source_id'],
        sample.origins, section.legacy_augmentation, section.mask_crop_grid)

  def _targets(self, sample, decoded, draws):
    section = self._section
    boxes, classes = self._with_room(sample.boxes, decoded), sample.classes
    pasted = sample.pasted
    if pasted is not None:
      boxes = tf.concat([boxes, pasted.boxes], axis=0)
      classes = tf.concat([classes, pasted.classes], axis=0)
    score_targets, box_targets = targets.label_rpn_anchors(
        self._anchor_boxes, boxes, self._padded_size,
        section.rpn_match_threshold, section.rpn_unmatched_threshold,
        section.rpn_batch_size_per_im, section.rpn_fg_fraction,
        draw=draws.choose_anchors)
    labels = {fields.RPN_SCORE_TARGETS: score_targets,
              fields.RPN_BOX_TARGETS: box_targets,
              fields.GT_BOXES: boxes, fields.GT_CLASSES: classes}
    if self.needs_masks:
      masks = self._crop_masks(sample, decoded)
      if pasted is not None:
        masks = tf.concat([masks, pasted.masks], axis=0)
      labels[fields.GT_MASKS] = masks
    # The last of the pasted objects are left out where there are too many.
    for name in (fields.GT_BOXES, fields.GT_CLASSES, fields.GT_MASKS):
      if name in labels:
        labels[name] = preprocess.pad_or_clip(
            labels[name], section.max_num_instances, -1)
    return labels

  def _targets_spec(self):
    section = self._section
    count, side = section.max_num_instances, section.mask_crop_size
    spec = {fields.RPN_SCORE_TARGETS: self._level_specs(1, tf.int32),
            fields.RPN_BOX_TARGETS: self._level_specs(4, tf.float32),
            fields.GT_BOXES: tf.TensorSpec([count, 4], tf.float32),
            fields.GT_CLASSES: tf.TensorSpec([count], tf.int64)}
    if self.needs_masks:
      spec[fields.GT_MASKS] = tf.TensorSpec([count, side, side], tf.float32)
    return spec

  def _padding_values(self):
    return dict.fromkeys((fields.RPN_SCORE_TARGETS, fields.GT_BOXES,
                          fields.GT_CLASSES, fields.GT_MASKS), -1)


def _chooser(seed):
  """Returns a `choose_anchors` that depends on nothing but the seed."""
  calls = []
  def choose(size, count):
    # Other numbers for every call, and none of those of parser.draw.
    calls.append(None)
    return sampling.draw_distinct(size, count, seed + [len(calls), 0])
  return choose
