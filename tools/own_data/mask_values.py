"""What the values of label maps mean, decided once for a whole set."""

import collections
from concurrent import futures
from typing import Any, Callable, Dict, Iterable, List

import numpy as np

from tools.datasets import annotation_checks
from tools.datasets import image_folders
from tools.datasets import label_images
from tools.datasets import label_notes
from tools.own_data import instance_maps
from utils import processors

_FILES_AT_ONCE = 200
_WHITE = 255
_RULES = '1'  # of what is remembered; another one where _read has changed
_BETWEEN = .1  # share of the pixels between black and white, where resized


def compute(name: str, key: str, paths: Iterable[str],
            function: Callable[[], Any]) -> Any:
  """As stages.State.remember, without a memory."""
  del name, key, paths
  return function()


def flags(parts: Iterable[Dict[str, Any]], output: str = '',
          are_classes: bool = False,
          remember: Callable[..., Any] = compute) -> List[str]:
  """How tools.create_segmentation_tfrecord is to read label maps.

  All files count: the first ones may be black, and a split need not have every
  value. Reading ends early only where the values are those of classes.

  Args:
    parts: [{'images', 'labels': folder}] of all splits.
    output: of train_on, for a message.
    are_classes: whether the user says so, where values look like the numbers
      of objects.
    remember: see stages.State.remember.

  Returns:
    Arguments: --values=255:1 for masks of 0 and 255, as programs draw them;
    else none.

  Raises:
    ConversionError: if a model would learn classes that do not exist, or none.
  """
  parts = list(parts)
  paths = _label_maps(parts)
  found = remember('values of label maps', _RULES, paths, lambda: _read(paths))
  counts = np.array(found['counts'], np.int64)
  if found['objects'] and not are_classes and not _is_resized(counts):
    raise annotation_checks.ConversionError(instance_maps.sentences(
        found['objects'], parts, output))
  if found['are_classes'] or found['is_higher']:
    return []  # The converter names the files with values above 255.
  example = {int(value): path for value, path in found['examples'].items()}
  _check(example, counts)
  return ['--values=%d:1' % _WHITE] if set(example) in (
      {0, _WHITE}, {_WHITE}) else []


def _read(paths):
  """What is found in label maps: a dict that JSON can hold."""
  counts, example = np.zeros(256, np.int64), {}
  numbers, are_classes, is_higher = instance_maps.Numbers(), False, False
  with futures.ThreadPoolExecutor(processors.available()) as pool:
    for start in range(0, len(paths), _FILES_AT_ONCE):
      for path, (own, higher, is_wide) in zip(paths[start:], pool.map(
          _counts, paths[start:start + _FILES_AT_ONCE])):
        counts += own
        is_higher |= bool(len(higher))
        values = np.flatnonzero(own)
        for value in values:
          example.setdefault(int(value), path)
        numbers.add(path, np.concatenate([values[values > 0], higher]), is_wide)
      ids = [v for v in example if v != _WHITE]
      are_classes = 0 < max(ids, default=0) < label_notes.MANY_CLASSES
      if are_classes:
        break
  are_objects = numbers.may_be_of_objects() and instance_maps.have_one_region(
      map(label_images.read, numbers.sample()))
  return {'counts': counts.tolist(),
          'examples': {str(value): path for value, path in example.items()},
          'are_classes': are_classes, 'is_higher': is_higher,
          'objects': numbers.summary() if are_objects else None}


def _label_maps(parts):
  """[path] of the label maps of images."""
  paths = collections.OrderedDict()
  for part in parts:
    paired = image_folders.PairedFolders(part['images'], part['labels'],
                                         label_images.EXTENSIONS)
    paths.update((path, None) for path in map(paired.label, paired.stems())
                 if path)
  return list(paths)


def _counts(path):
  """What one file has; nothing, where it cannot be read.

  Returns:
    int64 [256], pixels of each value; the higher values that occur; whether
    there is room for them.
  """
  nothing = np.zeros(0, np.int64)
  try:
    image = label_images.load(path)
    values = label_images.numbers(image).ravel()
  except label_images.ColourError as e:
    # Files of black alone would be left of such a set.
    raise annotation_checks.ConversionError('%s: %s.' % (path, e))
  except label_images.LabelError:
    # The converter says what is wrong with it.
    return np.zeros(256, np.int64), nothing, False
  # The same for values that are no class.
  inside = (values >= 0) & (values < 256)
  higher = nothing if inside.all() else np.unique(values[values >= 256])
  return (np.bincount(values[inside], minlength=256), higher,
          label_images.is_wide(image))


def _check(example: Dict[int, str], counts: np.ndarray) -> None:
  """Raises ConversionError where values are not classes, nor black and white.

  Args:
    example: {value: path of a file with it}.
    counts: int64 [256], pixels of each value.
  """
  found = sorted(example)
  others = [v for v in found if v not in (0, _WHITE)]
  if found == [0]:
    raise annotation_checks.ConversionError(
        'All pixels of all label maps are 0, so there is nothing to learn. Are '
        'they the right files, such as %s?' % example[0])
  if not label_notes.are_doubtful(len(set(found) - {_WHITE}),
                                  max(others, default=0)) and (
      not _is_resized(counts)):
    return
  where = '%s has the value %d' % (example[others[-1]], others[-1])
  if label_notes.values_flag(found):
    raise annotation_checks.ConversionError(
        'The label maps have the values %s (%s); as classes, these would be '
        'expected to be 0, 1, 2 and so on. Say what they mean with '
        'tools.create_segmentation_tfrecord, once for each split, such as %s, '
        'and continue with tools.new_config; or save them again.' % (
            ', '.join(map(str, found)), where, label_notes.values_flag(found)))
  raise annotation_checks.ConversionError(
      'The label maps have %d values (%s), as JPEG or resizing with '
      'interpolation makes them, and not those of classes: 0, 1, 2 and so on. '
      'Save them again from their source; if they are masks, with 0 and 255 '
      'only, such as 255 * (mask > 127).' % (len(found), where))


def _is_resized(counts):
  """Whether black and white dominate, with all kinds of gray between them."""
  between = [n for n in counts[1:_WHITE] if n]
  return counts[0] and counts[_WHITE] and (
      len(between) > label_notes.MANY_CLASSES
      and sum(between) < _BETWEEN * sum(counts))
