"""What the classes of a model are called."""

import os
from typing import Any, Mapping, Optional, Tuple, Union

from configs import base
from evaluation import class_ids
from serving import sources
from utils import coco_annotations
from utils import files
from utils import label_map as label_maps
from utils import text_files
from utils import types


def of_config(
    config: base.Config,
    label_map: Optional[Union[str, Mapping[int, str]]] = None
) -> Tuple[types.LabelMap, Any]:
  """Names of the classes that a configuration leads to.

  Args:
    config: experiment.
    label_map: path of a label map, or {class id: name}; None: `eval.label_map`,
      else the categories of `eval.val_json_file`, where these files are there.

  Returns:
    {class id: name}, empty where nothing tells; class_ids.CategoryMap or None,
    from classes to the ids of the annotations.

  Raises:
    LoadError: for a label map that is given and cannot be read.
  """
  names = given(label_map)
  if not names and _is_file(config.eval.label_map):
    names = _read(config.eval.label_map)
  categories = _categories(getattr(config.eval, 'val_json_file', ''))
  if not names:
    return {c['id']: str(c['name']) for c in categories
            if isinstance(c['id'], int) and c.get('name')}, None
  try:
    category_map, _ = class_ids.match(names, categories)
  except ValueError:
    category_map = None  # An evaluation says so; ids stay those of the model.
  return names, category_map


def given(
    label_map: Optional[Union[str, Mapping[int, str]]]
) -> Optional[types.LabelMap]:
  """{class id: name} of a label map's path, of such a mapping, or of None."""
  if not label_map:
    return {}
  if isinstance(label_map, dict):
    return {int(i): str(name) for i, name in label_map.items()}
  return _read(str(label_map))


def _read(path):
  try:
    return label_maps.read_label_map(path)
  except (OSError, ValueError) as e:
    raise sources.LoadError('The label map cannot be used. %s' % e)


def _is_file(path):
  return bool(path) and (files.is_remote(path) or os.path.isfile(path))


def _categories(path):
  """The categories of an annotation file; [] where it cannot be read."""
  if not _is_file(path):
    return []
  try:
    content = text_files.read_json(path)
    return coco_annotations.clean(
        content, path, optional=('images', 'annotations'))['categories']
  except (OSError, ValueError):
    return []  # Answers need no annotations.
