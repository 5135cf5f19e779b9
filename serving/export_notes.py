"""What an export says about itself: the files of its assets.extra."""

import hashlib
import json
import os
from typing import Any, Dict, NamedTuple, Optional, Tuple, Union

import tensorflow.compat.v1 as tf

from configs import base
from configs import factory
from configs import io
from evaluation import factory as evaluation_factory
from modeling import checkpoint_files
from ops import compat
from serving import class_names
from serving import input_types
from serving import inputs
from serving import networks
from utils import label_map as label_maps
from utils import mask_grids
from utils import types
from utils import version

FOLDER = 'assets.extra'
_CONFIG, _LABEL_MAP, _NOTES = 'params.yaml', 'label_map.csv', 'export.json'
FORMAT = 1  # of export.json
_CHUNK = 2**22  # bytes read at once


class Notes(NamedTuple):
  """What was read back.

  Attributes:
    config: experiment.
    names: {class id: name}.
    values: values of export.json.
  """
  config: base.Config
  names: types.LabelMap
  values: Dict[str, Any]


def write(the_plan: Any, folder: str,
          label_map: Optional[Union[str, types.LabelMap]] = None) -> None:
  """Writes configuration, label map and export.json.

  Args:
    the_plan: export.Plan.
    folder: folder of the export.
    label_map: see class_names.of_config.
  """
  values, names = describe(the_plan, label_map)
  _write_file(folder, _NOTES, json.dumps(values, indent=1, sort_keys=True))
  _write_file(folder, _CONFIG, io.dump_yaml(the_plan.config))
  if names:
    _write_file(folder, _LABEL_MAP, label_maps.text(names))


def describe(
    the_plan: Any, label_map: Optional[Union[str, types.LabelMap]] = None
) -> Tuple[Dict[str, Any], types.LabelMap]:
  """What is known about an export, as plain values.

  Args:
    the_plan: export.Plan.
    label_map: see class_names.of_config.

  Returns:
    {name: value}, those of export.json; {class id: name}.
  """
  config, options = the_plan.config, the_plan.options
  names, category_map = class_names.of_config(config, label_map)
  values = {
      'format': FORMAT, 'version': version.VERSION, 'model': config.type,
      'task': networks.task_of(config), 'tensorflow': compat.VERSION,
      'checkpoint': {
          'name': os.path.basename(the_plan.checkpoint),
          'step': checkpoint_files.step_of(the_plan.checkpoint),
          'sha256': checkpoint_digests(the_plan.checkpoint)},
      'input': dict(
          the_plan.spec.describe(), type=the_plan.input_type,
          name=the_plan.input_name, batch_size=the_plan.batch_size,
          exif=(the_plan.follow_exif and
                the_plan.input_type == input_types.IMAGE_BYTES)),
      'box_coordinates': options.coordinates,
      'pasted_masks': the_plan.paste_masks,
      'category_ids': {str(i): category_map.category(i) for i in names}
                      if category_map else None}
  if networks.task_of(config) == networks.DETECTION:
    values['mask_grid'] = list(evaluation_factory.build_mask_grid(config))
  return values, names


def _write_file(folder, name, text):
  tf.gfile.MakeDirs(os.path.join(folder, FOLDER))
  with tf.gfile.GFile(os.path.join(folder, FOLDER, name), 'w') as f:
    f.write(text.rstrip('\n') + '\n')


def checkpoint_digests(checkpoint: str) -> Dict[str, str]:
  """{file name: sha256} of the files that hold the variables."""
  paths = [checkpoint + '.index'] + sorted(
      tf.gfile.Glob(checkpoint + '.data-*'))
  return {os.path.basename(path): _digest(path) for path in paths}


def _digest(path):
  digest = hashlib.sha256()
  with tf.gfile.GFile(path, 'rb') as f:
    while True:
      chunk = f.read(_CHUNK)
      if not chunk:
        return digest.hexdigest()
      digest.update(chunk)


def read(folder: str) -> Optional[Notes]:
  """What an export says about itself.

  Args:
    folder: folder of the export.

  Returns:
    Notes; None for an export of another program.
  """
  path = os.path.join(folder, FOLDER)
  if not tf.gfile.Exists(os.path.join(path, _NOTES)):
    return None
  with tf.gfile.GFile(os.path.join(path, _NOTES)) as f:
    values = json.loads(f.read())
  config, _ = factory.load_config(
      params_file=os.path.join(path, _CONFIG), trains=False)
  label_map = os.path.join(path, _LABEL_MAP)
  names = (label_maps.read_label_map(label_map)
           if tf.gfile.Exists(label_map) else {})
  return Notes(config, names, values)


def input_spec(values: Dict[str, Any]) -> inputs.InputSpec:
  """The inputs.InputSpec of export.json."""
  described = values['input']
  return inputs.InputSpec(
      described['rule'], (described['height'], described['width']),
      (described['padded_height'], described['padded_width']))


def mask_grid(values: Dict[str, Any]) -> mask_grids.MaskGrid:
  """The mask_grids.MaskGrid of export.json."""
  name, crop_size = values.get('mask_grid') or mask_grids.CELLS
  return mask_grids.MaskGrid(name, crop_size)
