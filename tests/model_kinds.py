"""The smallest job of every kind of model, on records that suit them all.

A record has boxes, masks, a label map and the class of the whole image.
"""

import json

import numpy as np
import tensorflow.compat.v1 as tf

from tests.dataloader import examples
from tests.modeling import test_labels_spec

SIDE = test_labels_spec.SIDE  # pixels of the networks' input
MAX_INSTANCES = 5
_TRAIN = {
    'train_batch_size': 2, 'total_steps': 2, 'log_every_steps': 1, 'seed': 1,
    'transpose_input': False, 'save_checkpoints_steps': 1000,
    'train_file_pattern': 'train', 'num_parallel_calls': 1,
    'gradient_clip_norm': 1.,
    'learning_rate': {'type': 'cosine', 'warmup_steps': 0,
                      'init_learning_rate': 1e-3}}
_EVAL_TYPES = {'retinanet': 'box', 'mask_rcnn': 'box_and_mask',
               'cascade_mask_rcnn': 'box_and_mask',
               'shapemask': 'shapemask_box_and_mask'}
KINDS = tuple(sorted(test_labels_spec.SMALL))
DETECTORS = tuple(sorted(_EVAL_TYPES))


def content(kind, **sections):
  """The content of a YAML file for a job of this kind.

  Args:
    kind: of KINDS.
    **sections: {key: value} over the sections of these names.

  Returns:
    dict.
  """
  result = {name: dict(section) if isinstance(section, dict) else section
            for name, section in test_labels_spec.SMALL[kind].items()}
  result.update(type=kind, train=dict(result.get('train', {}), **_TRAIN))
  result['eval'] = {'eval_batch_size': 2, 'eval_samples': None,
                    'eval_file_pattern': 'val', 'num_steps_per_eval': 1000}
  if kind in _EVAL_TYPES:
    result['eval']['type'] = _EVAL_TYPES[kind]
    result['postprocess'] = dict(result.get('postprocess', {}),
                                 score_threshold=0., max_total_size=10)
  if kind == 'segmentation':
    result['segmentation_parser'] = dict(result['segmentation_parser'],
                                         resize_eval=True)
  for name, section in sections.items():
    result[name] = dict(result.get(name, {}), **section)
  return result


def parser_section(kind):
  """Name of the section of the parser."""
  return 'maskrcnn_parser' if kind in (
      'mask_rcnn', 'cascade_mask_rcnn') else kind + '_parser'


def write_config(path, kind, **sections):
  """Writes `content` as a file (YAML reads JSON); returns its path."""
  path.write_text(json.dumps(content(kind, **sections)))
  return path


def image(height, width, channels=3, seed=0):
  """Random uint8 [height, width, channels], or [height, width] of one."""
  pixels = np.random.RandomState(seed).randint(
      0, 256, [height, width, channels]).astype(np.uint8)
  return pixels[..., 0] if channels == 1 else pixels


def record(source_id, pixels, objects=(), image_format='PNG', label=None):
  """A serialized tf.train.Example that every kind of model reads.

  Args:
    source_id: str.
    pixels: uint8 [H, W] or [H, W, 3].
    objects: [(class id, y0, x0, y1, x1, is_crowd)], pixels; masks are full
      rectangles.
    image_format: of Pillow.
    label: class of the whole image; None: that of the first object, or 0.

  Returns:
    bytes.
  """
  height, width = pixels.shape[:2]
  masks, classes = [], np.zeros([height, width], np.uint8)
  for class_id, y0, x0, y1, x1, _ in objects:
    masks.append(np.zeros([height, width], np.uint8))
    masks[-1][y0:y1, x0:x1] = 1
    classes[y0:y1, x0:x1] = class_id
  size = np.float64([height, width, height, width])
  serialized = examples.serialize(
      pixels, [np.array(o[1:5]) / size for o in objects],
      [o[0] for o in objects], source_id, masks,
      is_crowd=[o[5] for o in objects],
      area=[(o[3] - o[1]) * (o[4] - o[2]) for o in objects],
      size=(height, width), image_format=image_format)
  example = tf.train.Example.FromString(serialized)
  if label is None:
    label = objects[0][0] if objects else 0
  feature = example.features.feature
  feature['image/class/label'].int64_list.value.append(label)
  feature['image/segmentation/class/encoded'].bytes_list.value.append(
      examples.encode(classes))
  return example.SerializeToString()


def objects(height, width, number, num_classes=4, is_crowd=0, seed=0):
  """Objects for `record`: rectangles of one pixel or more."""
  rng = np.random.RandomState(seed)
  result = []
  for _ in range(number):
    y0, x0 = rng.randint(0, height), rng.randint(0, width)
    y1, x1 = rng.randint(y0, height) + 1, rng.randint(x0, width) + 1
    result.append((rng.randint(1, num_classes), y0, x0, y1, x1, is_crowd))
  return result
