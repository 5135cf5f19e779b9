"""The ground truth of a job, and the ids that its results use."""

import contextlib
from typing import (
  Any,
  Dict,
  Iterable,
  List,
  Mapping,
  NamedTuple,
  Optional,
  Tuple,
)

import tensorflow.compat.v1 as tf

from configs import base
from dataloader import records
from dataloader import source_ids
from evaluation import annotations as annotations_lib
from evaluation import class_ids
from modeling import storage
from utils import coco_annotations
from utils import label_map as label_map_lib
from utils import types
from utils import values

MASK_TYPES = ('box_and_mask', 'shapemask_box_and_mask', 'lvis_box_and_mask')
_FEW_RECORDS = 200  # show whether class ids are the same


class GroundTruth(NamedTuple):
  """What predictions are compared with.

  Attributes:
    annotations: COCO dict.
    id_map: {source_id of the predictions: image id in the annotations}.
    category_map: class_ids.CategoryMap, or None where class ids are category
      ids.
    messages: [sentence] for the user.
  """
  annotations: Dict[str, Any]
  id_map: Optional[Dict[Any, types.Id]]
  category_map: Any
  messages: List[str]


def uses_json_file(section: base.Section) -> bool:
  """Whether the ground truth comes from `eval.val_json_file`.

  Args:
    section: `eval`.
  """
  return bool(section.type != 'customized' and section.val_json_file and (
      section.use_json_file or section.type == 'box_and_mask'))


def regenerates_ids(config: base.Config) -> bool:
  """Whether the ids of images are hashes of their bytes."""
  parser = getattr(config, getattr(config.architecture, 'parser', ''), None)
  return getattr(parser, 'regenerate_source_id', False)


def reads_records(section: base.Section) -> bool:
  """Whether the ground truth of detections comes from the records.

  Args:
    section: `eval`.
  """
  return section.type != 'customized' and not uses_json_file(section)


def load(config: base.Config, watch: Any = None) -> GroundTruth:
  """Reads the ground truth.

  It comes from the annotation file if there is one, otherwise from the records.

  Args:
    config: experiment.
    watch: evaluation_checks.Watch, which checks the records that are read.

  Returns:
    GroundTruth.

  Raises:
    ValueError: naming the file, and the record, that cannot be used.
  """
  section = config.eval
  regenerate = regenerates_ids(config)
  if not uses_json_file(section):
    with watch.findings_first() if watch else contextlib.nullcontext():
      content = records.read_groundtruth(
          section.eval_file_pattern, section.type in MASK_TYPES,
          section.eval_samples, regenerate_source_id=regenerate, watch=watch)
    return GroundTruth(content, {}, None, [])
  annotations = read_json_file(section)
  spelling = id_spelling(annotations)
  id_map = dict(zip(source_ids.to_ints([str(i) for i in spelling.values()]),
                    spelling.values()))
  if regenerate:
    names = records.read_names(section.eval_file_pattern, True,
                               'eval.eval_file_pattern')
    id_map.update({number: spelling.get(values.canonical_id(name), name)
                   for number, name in names.items()})
  category_map, messages = match_classes(
      annotations, section, [section.eval_file_pattern])
  return GroundTruth(annotations, id_map, category_map, messages)


def of_records(config: base.Config,
               include_mask: bool) -> Tuple[Dict[str, Any], Dict[int, str]]:
  """The ground truth of the records, with the category ids of the results.

  Args:
    config: experiment.
    include_mask: whether to include masks.

  Returns:
    COCO dict, see records.read_groundtruth; {category id: name}.

  Raises:
    ValueError: naming the file, and the record, that cannot be used.
  """
  section = config.eval
  content = records.read_groundtruth(
      section.eval_file_pattern, include_mask, section.eval_samples,
      regenerate_source_id=regenerates_ids(config))
  names = {c['id']: c['name'] for c in content['categories']}
  names.update(_label_map(section))
  category_map = None
  if uses_json_file(section):
    category_map, _ = match_classes(read_json_file(section), section,
                                    [section.eval_file_pattern])
  if category_map:
    for annotation in content['annotations']:
      annotation['category_id'] = category_map.category(
          annotation['category_id'])
    for image in content['images']:
      for key in set(image).intersection(coco_annotations.FEDERATED_LISTS):
        image[key] = [category_map.category(i) for i in image[key]]
    names = category_map.names(names)
  return content, names


def _label_map(section):
  """{class id: name} of `eval.label_map`; empty without one."""
  if not section.label_map:
    return {}
  return label_map_lib.read_label_map(section.label_map)


def read_json_file(section: base.Section) -> Dict[str, Any]:
  """Content of `eval.val_json_file`, with ids and sizes as numbers.

  Raises:
    ValueError: naming the file and what is wrong in it.
  """
  with storage.input_path(section.val_json_file) as path:
    content = annotations_lib.read_json(path)
  lists = coco_annotations.clean(content, section.val_json_file,
                                 optional=('categories',))
  return dict(content, **lists)


def id_spelling(annotations: Dict[str, Any]) -> Dict[Any, Any]:
  """{canonical id: id as the annotations write it} of the images."""
  return {values.canonical_id(image['id']): image['id']
          for image in annotations['images']}


def match_classes(annotations: Dict[str, Any], section: base.Section,
                  patterns: Iterable[str]) -> Any:
  """Matches the classes of records and label map with those of annotations.

  Args:
    annotations: result of `read_json_file`.
    section: `eval`.
    patterns: patterns of records; the first one that has class names counts.

  Returns:
    See class_ids.match.

  Raises:
    ValueError: see class_ids.match.
  """
  label_map = _label_map(section)
  categories = annotations['categories'] or []
  names = _class_names(patterns, label_map, _FEW_RECORDS)
  try:
    if names and class_ids.match(names, categories) == (None, []):
      return None, []
  except ValueError:
    pass  # All records may have more names.
  return class_ids.match(_class_names(patterns, label_map), categories,
                         section.val_json_file)


def _class_names(patterns, label_map, num_records=None):
  """{class id: name} of the first records that have any, and a label map."""
  for pattern in patterns:
    try:
      found = records.read_class_names(pattern, num_records) if pattern else {}
    except ValueError:
      found = {}  # If the job needs it, opening it raises an error.
    if found:
      return _merged(label_map, found)
  return label_map


def _merged(label_map, found):
  """Names of records, and of a label map where they have none."""
  names = dict(label_map)
  names.update({i: name for i, name in found.items()
                if name != str(i) or i not in label_map})
  return names


class Names:
  """Original image ids: those of the annotations, otherwise of the records."""

  def __init__(self, pattern: str, regenerate: bool = False,
               spelling: Optional[Mapping[Any, Any]] = None) -> None:
    """Keeps the arguments; the records are read with the first call.

    Args:
      pattern: pattern of the records.
      regenerate: whether ids are hashes of the images' bytes.
      spelling: {canonical id: id as annotations write it}, or None.
    """
    self._pattern, self._regenerate = pattern, regenerate
    self._spelling = spelling or {}
    self._names = None

  def __call__(self, number: int) -> Any:
    """int -> int or str."""
    if number in self._spelling:
      return self._spelling[number]
    if self._names is None:
      self._names = records.read_names(self._pattern, self._regenerate)
    name = self._names.get(number)
    if not name:
      return number
    name = self._spelling.get(values.canonical_id(name), name)
    # Records hold ids as text; one that looks like a number was a number.
    return int(name) if name == str(number) else name


def for_predictions(config: base.Config, pattern: str) -> Tuple[Any, Any]:
  """The image and class ids of mode predict.

  Args:
    config: experiment.
    pattern: the pattern of the records.

  Returns:
    Names; class_ids.CategoryMap or None.

  Raises:
    ValueError: naming the file that cannot be used.
  """
  section, regenerate = config.eval, regenerates_ids(config)
  if not hasattr(section, 'val_json_file') or not uses_json_file(section):
    return Names(pattern, regenerate), None
  annotations = read_json_file(section)
  category_map, messages = match_classes(
      annotations, section, [pattern, section.eval_file_pattern,
                             config.train.train_file_pattern])
  for message in messages:
    tf.logging.warning('%s', message)
  return Names(pattern, regenerate, id_spelling(annotations)), category_map
