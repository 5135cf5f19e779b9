"""One image and its annotations to one serialized tf.train.Example."""

import hashlib
from typing import (
  Any,
  Callable,
  Dict,
  List,
  NamedTuple,
  Optional,
  Sequence,
  Tuple,
)

from ops import tensorflow_later as tf
from tools.datasets import annotation_checks
from tools.datasets import image_files
from tools.datasets import object_checks
from utils import coco_annotations
from utils import mask_files
from utils import masks as mask_utils
from utils import orientation as orientations
from utils import types

Skip = annotation_checks.Skip

UNREADABLE = 'file that cannot be read'
SIZE_MISMATCH = 'size that is not the annotated one'


class Outcome(NamedTuple):
  """What becomes of one image.

  Attributes:
    image: its entry, with the real size; None when it is left out.
    objects: annotations that are in the record.
    skips: the entries that were left out.
    notes: [sentence] for the user.
    digest: the same for images of the same content, or None.
    cut: [annotation], as given, of which the box was cut.
  """
  image: Optional[Dict[str, Any]]
  objects: List[Dict[str, Any]]
  skips: List[annotation_checks.Skip]
  notes: List[str]
  digest: Optional[str] = None
  cut: Sequence[Dict[str, Any]] = ()


def build_record(
    task: Tuple[Dict[str, Any], Sequence[Dict[str, Any]]],
    load_image: Callable[[Dict[str, Any]], bytes], names: types.LabelMap,
    include_masks: bool, clip_boxes: bool, trust_files: bool,
    exif: str = orientations.UPRIGHT,
    cut_masks: bool = False) -> Tuple[Optional[bytes], Outcome]:
  """Makes the record of one image.

  Args:
    task: (image entry, [annotation]) of a checked data set.
    load_image: (image entry) -> bytes of its file.
    names: {category id: name}.
    include_masks: whether the record gets a PNG for every object.
    clip_boxes: see object_checks.check_objects.
    trust_files: whether an image of another size than annotated is used.
    exif: one of orientation.CHOICES, what annotations of turned images mean.
    cut_masks: whether, with masks, it also gets a PNG of each cut to its
      object.

  Returns:
    serialized Example (None when the image is left out), Outcome.
  """
  image, annotations = task
  size = (image.get('height'), image.get('width'))
  size = size if all(size) else None
  try:
    encoded = image_files.check_image(load_image(image), size, exif)
  except (image_files.ImageError, OSError, tf.errors.OpError) as e:
    return _left_out(image, UNREADABLE, str(e))
  # The annotations are checked against the image that they were made for.
  height, width = orientations.turned_size((encoded.height, encoded.width),
                                           encoded.turn)
  if size and size != (height, width) and not trust_files:
    return _left_out(image, SIZE_MISMATCH, '%dx%d, annotated %dx%d' % (
        width, height, size[1], size[0]))
  objects, skips, notes = object_checks.check_objects(
      annotations, image['id'], height, width, include_masks, clip_boxes)
  cut = object_checks.cut_boxes(annotations, objects)
  objects = [_turned(o, encoded.turn, (height, width)) for o in objects]
  image = dict(image, height=encoded.height, width=encoded.width)
  example = tf.train.Example(features=tf.train.Features(
      feature=_features(image, encoded, objects, names, include_masks,
                        cut_masks)))
  # Deterministic: the same input gives the same bytes.
  return (example.SerializeToString(deterministic=True),
          Outcome(image, objects, skips, encoded.notes + notes,
                  _digest(encoded), cut))


def _turned(annotation, orientation, size):
  """An annotation of the image as stored, (height, width), turned upright."""
  if orientation == 1:
    return annotation
  turned = dict(annotation, bbox=orientations.turn_box(
      annotation['bbox'], orientation, size))
  if 'segmentation' in annotation:
    turned['segmentation'] = mask_utils.encode(orientations.turn(
        mask_utils.decode(annotation['segmentation']), orientation))
  return turned


def _left_out(image, reason, detail):
  skip = Skip('image', image['id'], None, reason,
              '%s: %s' % (image['file_name'], detail))
  return None, Outcome(None, [], [skip], [])


def _digest(encoded):
  return hashlib.sha256(encoded.encoded).hexdigest()


def _features(image, encoded, objects, names, include_masks, cut_masks):
  """{feature key: Feature}; the keys are public."""
  features = {
      'image/height': _ints([encoded.height]),
      'image/width': _ints([encoded.width]),
      'image/filename': _texts([image['file_name']]),
      'image/source_id': _texts([str(image['id'])]),
      'image/key/sha256': _texts([_digest(encoded)]),
      'image/encoded': _bytes([encoded.encoded]),
      'image/format': _texts([encoded.format]),
  }
  for key, feature in coco_annotations.FEDERATED_LISTS.items():
    if key in image:
      features[feature] = _ints(image[key])
  if image.get('captions'):
    features['image/caption'] = _texts(image['captions'])
  if objects:
    features.update(_object_features(encoded, objects, names))
    if include_masks:
      masks = [mask_utils.decode(o['segmentation']) for o in objects]
      features['image/object/mask'] = _bytes(
          [mask_files.encode(m) for m in masks])
      if cut_masks:
        features['image/object/cut_mask'] = _bytes(
            [mask_files.encode_cut(m) for m in masks])
  return features


def _object_features(encoded, objects, names):
  """The lists of one entry per object."""
  boxes = [o['bbox'] for o in objects]
  height, width = float(encoded.height), float(encoded.width)
  classes = [o['category_id'] for o in objects]
  features = {
      'image/object/bbox/xmin': _floats([b[0] / width for b in boxes]),
      'image/object/bbox/xmax': _floats([(b[0] + b[2]) / width for b in boxes]),
      'image/object/bbox/ymin': _floats([b[1] / height for b in boxes]),
      'image/object/bbox/ymax': _floats(
          [(b[1] + b[3]) / height for b in boxes]),
      'image/object/class/text': _texts([names[c] for c in classes]),
      'image/object/class/label': _ints(classes),
      'image/object/is_crowd': _ints([o['iscrowd'] for o in objects]),
      'image/object/area': _floats([o['area'] for o in objects]),
  }
  difficult = [coco_annotations.is_difficult(o) for o in objects]
  if any(difficult):
    features['image/object/difficult'] = _ints(difficult)
  return features


def _ints(values):
  return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _floats(values):
  return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def _bytes(values):
  return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _texts(values):
  return _bytes([v.encode('utf-8') for v in values])
