"""One record to what a detector needs, but for the targets of training."""

import functools

import tensorflow.compat.v1 as tf

from dataloader import example_decoder
from dataloader import parser
from dataloader import source_ids
from dataloader.augment import draws as augment_draws
from dataloader.augment import policies
from ops import anchors as anchor_ops
from ops import preprocess
from utils import fields
from utils import modes

_WITH_GROUNDTRUTHS = (modes.EVAL, modes.PREDICT_WITH_GT)


class DetectionParser:
  """Decodes, augments and resizes; parsers of models add the labelling.

  Those give the three methods at the end, and these facts:
    SECTION: name of their YAML section.
    WITH_TARGETS: the modes whose labels hold the targets of training.
    WITH_SOURCE_ID: the modes whose labels hold `source_id`.
    PADS_TO_STRIDE: whether the network input is as large as the coarsest
      stride needs it; otherwise it is of the configured size.
    MASK_CLASSES: ids of the classes whose objects need a mask, where
      `needs_masks`; None: all.
    MASK_ADVICE: what to do about objects without a mask.
  """

  SECTION, WITH_TARGETS, WITH_SOURCE_ID = None, (), ()
  PADS_TO_STRIDE = True
  MASK_CLASSES, MASK_ADVICE = None, ''

  def __init__(self, section, anchors, num_classes, mode, dtype='float32',
               emit_anchor_boxes=False, needs_masks=False,
               clip_to_border=False):
    """Takes what the configuration says.

    Args:
      section: YAML section of the parser.
      anchors: ops.anchors.AnchorGenerator.
      num_classes: int, background included.
      mode: of utils.modes.
      dtype: of the image, 'float32' or 'bfloat16'.
      emit_anchor_boxes: whether the labels carry the anchors of every level.
        Models know them; one copy for each image would only cost memory.
      needs_masks: whether the targets need the masks of the record; kept in
        the attribute of the same name.
      clip_to_border: `architecture.clip_boxes_to_border`.

    `needs_source` tells whether training takes pairs of records, the second to
    paste objects from.

    Raises:
      ValueError: for a mode that does not exist.
    """
    self._section = section
    self._num_classes = num_classes
    self.needs_masks = needs_masks
    self.needs_source = False
    self._clip_to_border = clip_to_border
    self._mode = parser.checked_mode(mode)
    self._dtype = tf.as_dtype(dtype)
    self._padded_size = tuple(section.output_size)
    if self.PADS_TO_STRIDE:
      self._padded_size = preprocess.compute_padded_size(
          section.output_size, 2 ** anchors.max_level)
    self._anchor_boxes = anchors.boxes(self._padded_size)
    self._anchors_per_location = anchors.anchors_per_location
    self._emit_anchor_boxes = emit_anchor_boxes
    self._decoder = example_decoder.ExampleDecoder(
        needs_masks, section.regenerate_source_id, decode_masks=False)

  def __call__(self, serialized, seed=None, draws=None, draw=None):
    """Parses one record.

    Args:
      serialized: string [], a tf.train.Example; a pair of them where
        `needs_source`.
      seed: int [2] tensor, in training; different for every image.
      draws: parser.Draws to use instead of drawing them.
      draw: augment.draws.SeededDraws, or what stands in for it.

    Returns:
      (image, labels) in the modes TRAIN and EVAL, {'images': image, 'labels':
      labels} in the others; `image` [H, W, 3], see `labels_spec`.
    """
    draws, draw = self._all_draws(seed, draws, draw)
    decoded, sample = self._prepare(serialized, draws, draw)
    labels = self._labels(sample, decoded, draws)
    return parser.structure(self._mode, tf.cast(sample.image, self._dtype),
                            labels)

  def _all_draws(self, seed, draws, draw):
    """(draws, draw), drawn where they are None, in training."""
    if self._mode != modes.TRAIN:
      return parser.NO_DRAWS, None
    if draw is None and seed is not None:
      draw = augment_draws.SeededDraws(seed)
    return self._draw(seed) if draws is None else draws, draw

  def _prepare(self, serialized, draws, draw):
    """(decoded record, its Sample after all steps)."""
    decoded = self._checked(self._decoder.decode(serialized))
    sample = parser.make_sample(decoded)
    for step in self.steps(draws, draw):
      sample = step(sample)
    return decoded, sample

  def prepare(self, serialized, seed):
    """(decoded record, its Sample) as before the labelling in training."""
    return self._prepare(serialized, *self._all_draws(seed, None, None))

  def _checked(self, decoded):
    """Returns `decoded`; running it fails for what the labels cannot hold."""
    if self._mode == modes.PREDICT:
      return decoded
    return parser.check_classes(decoded, self._num_classes)

  def _draw(self, seed):
    """parser.Draws of one image."""
    return parser.draw(seed, *policies.scale_range(self._section))

  def steps(self, draws, draw=None):
    """The steps before labelling, in their order.

    Args:
      draws: parser.Draws.
      draw: of the augmentation policy; see `__call__`.

    Returns:
      [Sample -> Sample].
    """
    section = self._section
    is_training = self._mode == modes.TRAIN
    steps = []
    # The targets of an evaluation are those of training: its loss is
    # comparable. The ground truth of the metrics keeps crowds.
    if self._mode in self.WITH_TARGETS and section.skip_crowd_during_training:
      steps.append(parser.drop_crowds)
    if is_training and section.aug_policy:
      steps.append(functools.partial(
          parser.augment, policy=section.aug_policy, draw=draw,
          num_layers=section.randaugment_num_layers,
          magnitude=section.randaugment_magnitude,
          legacy=section.legacy_augmentation))
    if is_training and section.aug_rand_hflip:
      steps.append(functools.partial(parser.flip, random_value=draws.flip))
    steps.append(parser.to_pixels)
    steps.append(functools.partial(
        parser.resize_and_crop, output_size=section.output_size,
        padded_size=self._padded_size, scale=draws.scale, offset=draws.offset,
        to_border=self._clip_to_border))
    steps.append(parser.drop_empty)
    return steps

  def _labels(self, sample, decoded, draws):
    """Everything but the image."""
    labels = {fields.IMAGE_INFO: sample.image_info}
    if self._emit_anchor_boxes:
      labels[fields.ANCHOR_BOXES] = {
          level: tf.constant(boxes)
          for level, boxes in self._anchor_boxes.items()}
    if self._mode in self.WITH_TARGETS:
      labels.update(self._targets(sample, decoded, draws))
    if self._mode in _WITH_GROUNDTRUTHS:
      labels[fields.GROUNDTRUTHS] = self._groundtruths(decoded)
    if self._mode in self.WITH_SOURCE_ID:
      labels[fields.SOURCE_ID] = source_ids.to_int64(decoded['source_id'])
    return labels

  def _groundtruths(self, decoded):
    """parser.groundtruths; in EVAL mode the count has two names."""
    groundtruths = parser.groundtruths(
        decoded, self._section.max_num_instances, self._key_of_room())
    if self._mode == modes.EVAL:
      groundtruths['num_groundtruths'] = groundtruths['num_detections']
    return groundtruths

  def _key_of_room(self):
    """Configuration key of the number of objects that labels hold."""
    return self.SECTION + '.max_num_instances'

  def labels_spec(self):
    """The nest of tf.TensorSpec of the labels of one image."""
    spec = {fields.IMAGE_INFO: tf.TensorSpec([4, 2], tf.float32)}
    if self._emit_anchor_boxes:
      spec[fields.ANCHOR_BOXES] = {
          level: tf.TensorSpec(boxes.shape, tf.float32)
          for level, boxes in self._anchor_boxes.items()}
    if self._mode in self.WITH_TARGETS:
      spec.update(self._targets_spec())
    if self._mode in _WITH_GROUNDTRUTHS:
      groundtruths = parser.groundtruths_spec(self._section.max_num_instances)
      if self._mode == modes.EVAL:
        groundtruths['num_groundtruths'] = groundtruths['num_detections']
      spec[fields.GROUNDTRUTHS] = groundtruths
    if self._mode in self.WITH_SOURCE_ID:
      spec[fields.SOURCE_ID] = tf.TensorSpec([], tf.int64)
    return spec

  def _level_specs(self, depth, dtype):
    """{level: TensorSpec [h, w, A * depth]}."""
    return {level: tf.TensorSpec(
        anchor_ops.cells(self._padded_size, level) +
        (self._anchors_per_location * depth,), dtype)
            for level in self._anchor_boxes}

  def padding_example(self):
    """A parsed example without content, to fill up the last batch.

    Returns:
      The structure of `__call__`: a gray image, `source_id` -1, every anchor
      ignored, no object.
    """
    image = tf.zeros(list(self._padded_size) + [3], self._dtype)
    labels = tf.nest.map_structure(
        lambda spec: tf.zeros(spec.shape, spec.dtype), self.labels_spec())
    size = [float(side) for side in self._padded_size]
    labels[fields.IMAGE_INFO] = tf.constant([size, size, [1., 1.], [0., 0.]])
    if fields.SOURCE_ID in labels:
      labels[fields.SOURCE_ID] = tf.constant(fields.PADDING_ID, tf.int64)
    if fields.GROUNDTRUTHS in labels:
      labels[fields.GROUNDTRUTHS] = parser.padding_groundtruths(
          labels[fields.GROUNDTRUTHS])
    for key, value in self._padding_values().items():
      if key in labels:  # They are zeros so far.
        labels[key] = tf.nest.map_structure(lambda t, v=value: t + v,
                                            labels[key])
    return parser.structure(self._mode, image, labels)

  def _targets(self, sample, decoded, draws):
    """The targets of training, of parsed objects: {label: nest of tensors}."""
    raise NotImplementedError

  def _targets_spec(self):
    """Their tf.TensorSpec."""
    raise NotImplementedError

  def _padding_values(self):
    """{label: what fills it in an example without content}, but for zeros."""
    raise NotImplementedError
