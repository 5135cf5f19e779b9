"""From a file of weights to a folder that a training run can start from."""

import os
from typing import Any, Dict, List, Mapping, Optional

from configs import factory
from modeling import statistics
from tools.own_data import yaml_text
from tools.weights import accounts as accounts_lib
from tools.weights import layouts
from tools.weights import tensor_files
from tools.zoo import imported_model
from utils import files
from utils import registry

START = 'start.yaml'
_IMAGENET = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                         'imagenet_label_map.txt')
_IMAGENET_CLASSES = 1001
_SHOWN = 5  # differing variables in an error
# Of a classifier; what starts from it has its own.
_OF_CLASSIFIER = ('classification_', 'architecture.num_classes')


def run(path: str, layout: str, output: str,
        origin: Optional[Mapping[str, Any]] = None) -> List[str]:
  """Imports a file.

  Args:
    path: the path of the file.
    layout: key of layouts.LAYOUTS.
    output: folder, new or empty.
    origin: further notes for import.json, such as a licence.

  Returns:
    Sentences about what was done.

  Raises:
    ValueError: saying what is wrong with the file.
    OSError: if it cannot be read, or the folder not written.
  """
  convert = registry.pick(layouts.LAYOUTS, layout, '--from').convert
  arrays = tensor_files.read(path)
  accounts = accounts_lib.Accounts(arrays, layout)
  try:
    imported = convert(accounts)
    config, _ = factory.load_config(imported.model, extra=imported.changes)
    check(imported.variables, statistics.variable_shapes(config),
          imported.is_classifier)
  except layouts.LayoutError as e:
    raise layouts.LayoutError('%s: %s' % (path, e)) from None
  label_map = None
  if config.architecture.num_classes == _IMAGENET_CLASSES:
    label_map = _IMAGENET
  imported_model.write_arrays(
      output, config if imported.is_classifier else None, imported.variables,
      dict(origin or {}, layout=layout, source=os.path.basename(path),
           sha256=files.sha256(path), **_told(accounts)),
      label_map, {START: start_text(imported.changes, output)})
  return _sentences(arrays, accounts, imported, output)


def check(variables: Mapping[str, Any], shapes: Mapping[str, Any],
          is_whole: bool) -> None:
  """Checks that the variables are those of the model.

  Args:
    variables: {name: array}.
    shapes: {name: list}, of the whole model.
    is_whole: whether all of them have to be there; else whole scopes have.

  Raises:
    LayoutError: naming what is missing, too many, or of another shape.
  """
  scopes = {name.split('/')[0] for name in variables}
  shapes = {name: list(shape) for name, shape in shapes.items()
            if is_whole or name.split('/')[0] in scopes}
  ours = {name: list(array.shape) for name, array in variables.items()}
  differing = sorted(name for name in set(shapes) | set(ours)
                     if shapes.get(name) != ours.get(name))
  if differing:
    raise layouts.LayoutError(
        'it is of another model: %d variables differ, such as %s.' % (
            len(differing), '; '.join('%s: %s here, %s in the file' % (
                name, shapes.get(name, 'none'), ours.get(name, 'none'))
                                      for name in differing[:_SHOWN])))


def start_text(changes: Mapping[str, Any], folder: str) -> str:
  """YAML of a model that starts from the weights.

  Args:
    changes: {dotted key: value} of the model that they are of.
    folder: with the checkpoint.
  """
  keys = {key: value for key, value in changes.items()
          if not key.startswith(_OF_CLASSIFIER)}
  if keys['architecture.backbone'] != 'resnet':
    # Their backbones have a section of their own for it.
    keys = {key: value for key, value in keys.items()
            if not key.startswith('batch_norm_activation.')}
  keys['train.checkpoint.path'] = os.path.abspath(folder)
  return yaml_text.text(
      [(key, value, '') for key, value in sorted(keys.items())],
      ['What a model needs that starts from these weights: give it with',
       '--config_file or --params_override.'])


def _told(accounts: accounts_lib.Accounts) -> Dict[str, Any]:
  return {'left_out': [{'reason': one.reason, 'names': one.names}
                       for one in accounts.left_out],
          'filled': [{'name': name, 'reason': reason}
                     for name, reason in accounts.filled]}


def _sentences(arrays, accounts, imported, output):
  left = sum(len(one.names) for one in accounts.left_out)
  lines = ['%d of %d tensors are imported, as %d variables.' % (
      len(arrays) - left, len(arrays), len(imported.variables))]
  lines += ['Left out, %d such as %s: %s.' % (
      len(one.names), one.names[0], one.reason) for one in accounts.left_out]
  lines += ['Made: %s: %s.' % one for one in accounts.filled]
  if imported.is_classifier:
    lines.append('%s is a classifier, which every program takes as '
                 '--model_dir.' % output)
  lines.append('%s is what a model needs that starts from it.'
               % os.path.join(output, START))
  return lines
