"""Reads the ground truth from records, without a graph."""

import io

import cv2
import numpy as np
from PIL import Image
import tensorflow.compat.v1 as tf
import tqdm

from dataloader import examples
from dataloader import file_patterns
from dataloader import record_files
from dataloader import source_ids
from utils import coco_annotations
from utils import masks as mask_utils

RecordError = record_files.RecordError
count_records = record_files.count_records

_PROGRESS_AFTER = 5  # seconds; a scan that ends earlier shows nothing


def read_groundtruth(file_pattern, include_mask=False, num_samples=None,
                     key='eval.eval_file_pattern', regenerate_source_id=False,
                     watch=None):
  """COCO annotations of what the records hold, for evaluation without a file.

  Args:
    file_pattern: see file_patterns.expand.
    include_mask: whether the masks are wanted too, as run-length codes.
    num_samples: int, the number of records to read; None: all.
    key: configuration key of the pattern, for the error.
    regenerate_source_id: whether the reader makes ids of the images' bytes,
      as the key of this name of a parser says.
    watch: (path, number, serialized) -> None, called with every record before
      it is read; None: nothing is called.

  Returns:
    {'images': [{'id' int, 'source_id' as in the record, 'file_name', 'height',
    'width'[, the lists of LVIS]}], 'annotations': [{'id', 'image_id',
    'category_id', 'bbox' [x, y, width, height] in pixels, 'area', 'iscrowd'[,
    'difficult'][, 'segmentation']}], 'categories': [{'id', 'name'}]}, the
    images in the order in which the reader gives them. Ids are those of the
    reader (source_ids.to_int64). The categories are those that occur; where the
    records have no class text their names are their numbers.

  Raises:
    ValueError: if no file matches.
    RecordError: for a record that cannot be used, naming its file and number.
  """
  files = file_patterns.expand(file_pattern, key)
  images, annotations, names, texts_of_ids = [], [], {}, []
  reader = _ExampleReader(include_mask, regenerate_source_id)
  for path, number, serialized in tqdm.tqdm(
      record_files.iterate(files, num_samples), 'Reading the ground truth',
      num_samples, unit=' records', delay=_PROGRESS_AFTER):
    if watch:
      watch(path, number, serialized)
    try:
      image, objects, texts, id_text = reader.read(serialized)
    except ValueError as e:
      raise RecordError('%s: record %d (counting from 0): %s' % (
          path, number, e))
    for annotation in objects:
      annotations.append(dict(annotation, id=len(annotations) + 1,
                              image_id=len(images)))
    images.append(image)
    texts_of_ids.append(id_text)
    names.update(texts)
  ids = _unique_ids(images, texts_of_ids)
  images = [dict(image, id=i) for image, i in zip(images, ids)]
  for annotation in annotations:
    annotation['image_id'] = ids[annotation['image_id']]
  return {'images': images, 'annotations': annotations,
          'categories': [{'id': i, 'name': names[i]} for i in sorted(names)]}


def read_names(file_pattern, regenerate_source_id=False,
               key='predict.predict_file_pattern'):
  """The names of the images in records of any kind.

  Args:
    file_pattern: see file_patterns.expand.
    regenerate_source_id: see `read_groundtruth`.
    key: configuration key of the pattern, for the error.

  Returns:
    {id of the reader, int: str}: image/source_id or, where that is missing,
    image/filename. An id that is made of the image's bytes is there if no other
    record has the same bytes under another name.

  Raises:
    ValueError: if no file matches.
    RecordError: for a record that cannot be read.
  """
  names, hashed = [], {}
  make_hash = source_ids.make_hash()
  for path, number, serialized in tqdm.tqdm(
      record_files.iterate(file_patterns.expand(file_pattern, key)),
      'Reading the ids', unit=' records', delay=_PROGRESS_AFTER):
    features = _features(path, number, serialized)
    source_id = _text(features, 'image/source_id').decode('utf-8', 'replace')
    name = source_id or _text(features, 'image/filename').decode('utf-8',
                                                                 'replace')
    if not name:
      continue
    names.append(name)
    if regenerate_source_id or not source_id:
      number = make_hash(_text(features, 'image/encoded'))
      hashed[number] = name if hashed.get(number, name) == name else ''
  result = dict(zip(source_ids.to_ints(names), names))
  if '' in hashed.values():
    tf.logging.warning(
        '%d images occur under several names; their ids, made of their bytes, '
        'stay numbers.', sum(not name for name in hashed.values()))
  result.update({number: name for number, name in hashed.items() if name})
  return result


def read_class_names(file_pattern, num_records=None,
                     key='eval.eval_file_pattern'):
  """Names of the classes of objects.

  Args:
    file_pattern: see file_patterns.expand.
    num_records: int, the number of records to read; None: all.
    key: configuration key of the pattern, for the error.

  Returns:
    {class id: class text}; the id as text where records have none.

  Raises:
    ValueError: if no file matches.
    RecordError: for a record that cannot be read.
  """
  names = {}
  for path, number, serialized in record_files.iterate(
      file_patterns.expand(file_pattern, key), num_records):
    names.update(_names(_features(path, number, serialized)))
  return names


def _features(path, number, serialized):
  """{key: Feature} of a record; RecordError for what is not an Example."""
  try:
    return examples.features_of(serialized)
  except examples.ExampleError as e:
    raise RecordError('%s: record %d (counting from 0) %s' % (path, number, e))


def _unique_ids(images, texts):
  """Integer ids of the images; an id must not stand for two of them."""
  ids = source_ids.to_ints(texts)
  first = {}
  for image, image_id in zip(images, ids):
    other = first.setdefault(image_id, image)
    if other is not image:
      raise RecordError(
          'Two records have the image/source_id %r (files %r and %r), so their '
          'detections cannot be told apart. Does the pattern match two '
          'conversions of the same images? (Ids that are made of the bytes of '
          'images, as regenerate_source_id does, need images that differ.)' % (
              image['source_id'], other['file_name'], image['file_name']))
  return ids


class _ExampleReader:
  """Image entry and annotations of serialized examples."""

  def __init__(self, include_mask, regenerate_source_id):
    self._include_mask = include_mask
    self._regenerate_source_id = regenerate_source_id
    self._hash = source_ids.make_hash()

  def read(self, serialized):
    """Reads one record.

    Args:
      serialized: bytes.

    Returns:
      image entry without id, [annotation without ids], {class id: name}, the
      text from which the reader makes the id.

    Raises:
      ValueError: saying what the record lacks.
    """
    try:
      features = examples.features_of(serialized)
    except examples.ExampleError as e:
      raise ValueError('it %s' % e)
    encoded = _text(features, 'image/encoded')
    if not encoded:
      raise ValueError('it has no image/encoded.')
    source_id = _text(features, 'image/source_id').decode('utf-8')
    height, width = _image_size(features, encoded, source_id)
    id_text = source_id
    if self._regenerate_source_id or not source_id:
      id_text = str(self._hash(encoded))
    file_name = _text(features, 'image/filename').decode('utf-8')
    image = {'source_id': source_id or file_name or id_text,
             'file_name': file_name, 'height': height, 'width': width}
    for key, feature in coco_annotations.FEDERATED_LISTS.items():
      if feature in features:
        image[key] = [int(i) for i in features[feature].int64_list.value]
    objects = _objects(features, height, width)
    if self._include_mask:
      _add_masks(features, objects, height, width, image['source_id'])
    return image, objects, _names(features), id_text


def _text(features, key):
  """First bytes of a feature; empty when there are none."""
  values = features[key].bytes_list.value
  return values[0] if values else b''


def _image_size(features, encoded, source_id):
  """(height, width) of the image, from its header, without decoding it."""
  try:
    width, height = Image.open(io.BytesIO(encoded)).size
    return height, width
  except Exception:  # pylint: disable=broad-except
    # Pillow may lack a format that TensorFlow reads.
    stored = [features['image/' + side].int64_list.value
              for side in ('height', 'width')]
    if not all(stored):
      raise ValueError('the image of image/source_id %r cannot be read, and '
                       'its size is not stored.' % source_id)
    return int(stored[0][0]), int(stored[1][0])


def _objects(features, height, width):
  """[annotation without ids] of an image of this size."""
  classes = features['image/object/class/label'].int64_list.value
  y0, x0, y1, x1 = [
      np.array(features['image/object/bbox/' + side].float_list.value)
      for side in ('ymin', 'xmin', 'ymax', 'xmax')]
  if not len(classes) == len(y0) == len(x0) == len(y1) == len(x1):
    raise ValueError('it has %d classes, but %d, %d, %d and %d ymin, xmin, '
                     'ymax and xmax.' % (len(classes), len(y0), len(x0),
                                         len(y1), len(x1)))
  boxes = np.stack([x0 * width, y0 * height, (x1 - x0) * width,
                    (y1 - y0) * height], axis=-1)
  areas = features['image/object/area'].float_list.value
  crowds = features['image/object/is_crowd'].int64_list.value
  if not {len(areas), len(crowds)} <= {0, len(classes)}:
    raise ValueError('it has %d classes, but %d area and %d is_crowd.' % (
        len(classes), len(areas), len(crowds)))
  areas = areas or boxes[:, 2] * boxes[:, 3]
  crowds = crowds or [0] * len(classes)
  objects = [{'category_id': int(c), 'bbox': [float(v) for v in box],
              'area': float(area), 'iscrowd': int(crowd)}
             for c, box, area, crowd in zip(classes, boxes, areas, crowds)]
  # The mark of Pascal VOC, for its metrics.
  for entry, mark in zip(objects, features[
      'image/object/difficult'].int64_list.value):
    if mark:
      entry['difficult'] = int(mark)
  return objects


def _add_masks(features, objects, height, width, source_id):
  """Adds the run-length codes to the annotations."""
  pngs = features['image/object/mask'].bytes_list.value
  if len(pngs) != len(objects) or not all(pngs):
    raise ValueError(
        'image/source_id %r has %d objects and %d masks (image/object/mask). '
        'Evaluation of masks needs one each: convert again with '
        '--include_masks, or set eval.type to box.' % (
            source_id, len(objects), sum(map(bool, pngs))))
  for annotation, png in zip(objects, pngs):
    mask = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    if mask is None or mask.shape != (height, width):
      raise ValueError('a mask of image/source_id %r is not a PNG of the size '
                       'of the image.' % source_id)
    annotation['segmentation'] = mask_utils.encode(mask)


def _names(features):
  """{class id: class text, or the id where there is none}."""
  classes = features['image/object/class/label'].int64_list.value
  texts = features['image/object/class/text'].bytes_list.value
  if len(texts) != len(classes):
    return {int(c): str(c) for c in classes}
  return {int(c): t.decode('utf-8') for c, t in zip(classes, texts)}
