"""What a model that starts from another one takes over from it."""

import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from configs import backbones
from configs import base
from configs import decoders
from configs import factory
from configs import yaml_format
from tools.zoo import small_models
from utils import text_files

_PARAMS, _START = 'params.yaml', 'start.yaml'
# Keys that say what the variables are, and what they mean. Sizes of images,
# classes and all that trains are of the new data.
_KEYS = ('architecture.backbone', 'architecture.multilevel_features',
         'architecture.min_level', 'architecture.max_level')
_SECTIONS = ('batch_norm_activation', 'anchor', 'retinanet_head', 'rpn_head',
             'frcnn_head', 'mrcnn_head', 'shapemask_head', 'segmentation_head',
             'classification_head')


class Start(NamedTuple):
  """A model to start from.

  Attributes:
    name: as the user gave it.
    model: its type; None: a backbone, which any model can have.
    keys: {dotted key: value} of the new model.
  """
  name: str
  model: Optional[str]
  keys: Dict[str, Any]


def read(name: str) -> Start:
  """Reads what a folder, or a model that comes with the code, is.

  Args:
    name: model_dir, folder of tools.import_weights, or one of small_models.

  Raises:
    ValueError: if it is none of these.
  """
  if not os.path.isdir(name):
    if name not in small_models.names():
      raise ValueError('--from=%s is neither a folder nor one of the models '
                       'that come with the code: %s.' % (
                           name, ', '.join(small_models.names()) or 'none'))
    return _of_model(name, small_models.params_path(name))
  path = os.path.join(name, _START)
  if os.path.exists(path):
    keys, _ = yaml_format.parse(text_files.read(path), path)
    keys = base.flatten_mapping(keys)
    keys.pop('train.checkpoint.path', None)
    return Start(name, None, keys)
  path = os.path.join(name, _PARAMS)
  if not os.path.exists(path):
    raise ValueError('--from=%s has neither %s nor %s: it is not the folder of '
                     'a training run or of tools.import_weights.' % (
                         name, _PARAMS, _START))
  return _of_model(name, path)


def _of_model(name, path):
  config, _ = factory.load_config(None, path)
  values, defaults = (base.flatten(c) for c in (
      config, factory.load_config(config.type)[0]))
  architecture = config.architecture
  sections = _SECTIONS + tuple(
      part.section for part in (
          backbones.BACKBONES[architecture.backbone],
          decoders.DECODERS.get(architecture.multilevel_features))
      if part and part.section)
  keys = {key: value for key, value in values.items()
          if (key in _KEYS or key.split('.')[0] in sections)
          and (value != defaults[key] or key in _KEYS)}
  return Start(name, config.type, keys)


def folder(start: Start, output: str) -> str:
  """The folder with the checkpoint; a model of the code is written first.

  Args:
    start: Start.
    output: path of the new configuration, next to which it is written.
  """
  if os.path.isdir(start.name):
    return os.path.abspath(start.name)
  return small_models.expand(
      start.name, os.path.abspath(os.path.splitext(output)[0] + '-start'))


def applied(lines: Sequence[Tuple[str, Any, str]], start: Start,
            checkpoint: str) -> List[Tuple[str, Any, str]]:
  """The lines of a configuration with those keys.

  Args:
    lines: [(dotted key, value, comment)].
    start: Start.
    checkpoint: `folder`.
  """
  known = {line[0] for line in lines}
  # Of a backbone's section all is that of the other one.
  own = {'architecture.backbone', *start.keys}
  own.update(line[0] for line in lines if line[0].split('.')[0] in {
      part.section for part in backbones.BACKBONES.values()}
             and line[0] not in start.keys)
  comment = 'of %s' % os.path.basename(os.path.normpath(start.name))
  result = []
  for key, value, old in lines:
    if key in start.keys:
      result.append((key, start.keys[key], comment))
    elif key not in own:
      result.append((key, value, old))
  result += [(key, value, comment) for key, value in start.keys.items()
             if key not in known]
  return result + [('train.checkpoint.path', checkpoint,
                    'weights to start from')]
