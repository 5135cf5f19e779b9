"""Copy-paste as a part of a parser: pairs of records, and the step."""

import tensorflow.compat.v1 as tf

from dataloader import detection
from dataloader import mask_crops
from dataloader import sample as samples
from dataloader.augment import copy_paste


def decode_pair(serialized, decode):
  """Decodes a record and the one that objects are pasted from.

  Args:
    serialized: (string [], string []), two tf.train.Examples.
    decode: string [] -> Sample.

  Returns:
    Sample of the first, with the second as its `source`.
  """
  target, source = serialized
  return decode(target)._replace(source=decode(source))


def paste_objects(sample, steps, section, padded_size, key, to_border=False):
  """Pastes some of the objects of the source; see copy_paste.paste.

  Args:
    sample: sample.Sample of the network input, with masks and a source.
    steps: [Sample -> Sample], which are applied to the source as well.
    section: YAML section `maskrcnn_parser`.
    padded_size: (height, width), ints, of the network input.
    key: configuration key of `max_num_instances`: running it fails for an
      image with more objects of its own.
    to_border: see preprocess.resize_and_crop_boxes.

  Returns:
    Sample with `pasted`.
  """
  source = sample.source._replace(draws=sample.draws.of_source())
  for step in steps:
    source = step(source)
  objects = _some_objects(source, section, padded_size)
  sample = sample._replace(boxes=detection.check_capacity(
      sample.boxes, sample.record['source_id'], section.max_num_instances, key,
      'training'))
  sample, remaining = copy_paste.paste(
      sample, objects, section.output_size,
      section.copy_paste_box_update_threshold,
      section.copy_paste_occluded_obj_threshold, section.legacy_augmentation,
      to_border)
  return samples.select(sample, remaining)


def _some_objects(sample, section, padded_size):
  """copy_paste.Objects of some of the objects of a sample."""
  sample = samples.select(sample, copy_paste.choose(
      tf.shape(sample.boxes)[0], sample.draws))
  masks, = mask_crops.crop_sample(sample, sample.boxes,
                                  [section.mask_crop_size], section)
  return copy_paste.Objects(
      sample.image,
      copy_paste.covered_pixels(sample, section.output_size, padded_size,
                                section.legacy_augmentation),
      sample.boxes, sample.classes, masks)
