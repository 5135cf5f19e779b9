"""Small trained models that come with the code, by name.

  python -m tools.zoo.small_models            # what there is
  python -m tools.zoo.small_models --pack=runs/mine --name=my_cells \\
      --card=card.yaml

configs/zoo/NAME holds params.yaml, the names of the classes, card.json (what it
was trained on, how, and how good it is, and the sha256 of the weights) and
weights.npz: kernels as whole numbers with a scale for each output channel, so
that all of them fit into a few megabytes. The figures of a card are those of
the weights as they are stored.
"""

import argparse
import atexit
import json
import os
import shutil
import sys
import tempfile
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from configs import base
from configs import yaml_format
from utils import files

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
FOLDER = os.path.join(_ROOT, 'configs', 'zoo')
_EXPANDED = os.path.join(_ROOT, '.setup', 'zoo')
_SCALE = '.scale'
DEFAULT_BITS = 8
# Of a configuration that is packed: they name places of another machine.
_PLACES = ('model_dir', 'train.train_file_pattern', 'eval.eval_file_pattern',
           'eval.label_map', 'eval.val_json_file', 'train.checkpoint.path')


def names() -> List[str]:
  """What can be named."""
  if not os.path.isdir(FOLDER):
    return []
  return sorted(name for name in os.listdir(FOLDER)
                if os.path.exists(os.path.join(FOLDER, name, 'card.json')))


def card(name: str) -> Dict[str, Any]:
  """What is known about a model."""
  with open(os.path.join(FOLDER, name, 'card.json'), encoding='utf-8') as f:
    return json.load(f)


def params_path(name: str) -> str:
  """The configuration of a model."""
  return os.path.join(FOLDER, name, 'params.yaml')


def stored(array: np.ndarray, bits: int) -> Tuple[np.ndarray, np.ndarray]:
  """A kernel as whole numbers.

  Args:
    array: float32 [..., C], two or more dimensions.
    bits: bits of a number, with its sign; at most 8.

  Returns:
    int8, of the same shape; float32 [C], what one is worth.
  """
  most = 2 ** (bits - 1) - 1
  scale = np.abs(array).max(axis=tuple(range(array.ndim - 1))) / most
  scale = np.where(scale > 0, scale, 1.).astype(np.float32)
  return np.round(array / scale).astype(np.int8), scale


def pack(arrays: Mapping[str, np.ndarray], path: str,
         bits: int = DEFAULT_BITS) -> None:
  """Writes weights.

  Args:
    arrays: {name of a variable: float32}.
    path: the path of the .npz file.
    bits: see `stored`.
  """
  entries = {}
  for name, array in arrays.items():
    entries[name] = array.astype(np.float32)
    if array.ndim > 1:
      entries[name], entries[name + _SCALE] = stored(array, bits)
  np.savez_compressed(path, **entries)


def unpack(path: str) -> Dict[str, np.ndarray]:
  """{name: float32} of a file of `pack`."""
  with np.load(path) as entries:
    return {name: (entries[name] * entries[name + _SCALE]
                   if name + _SCALE in entries.files else entries[name])
            for name in entries.files if not name.endswith(_SCALE)}


def expand(name: str, folder: str) -> str:
  """Writes a model_dir; one that is there already is left alone.

  Args:
    name: one of `names`.
    folder: new, or of an earlier call.

  Returns:
    The folder.

  Raises:
    base.ConfigError: if the weights are damaged, or the folder is something
      else.
  """
  from configs import factory
  from tools.common import config_arguments
  config_arguments.start_tensorflow()
  from tools.zoo import imported_model
  source = os.path.join(FOLDER, name)
  about = card(name)
  path = os.path.join(source, 'weights.npz')
  if files.sha256(path) != about['sha256']:
    raise base.ConfigError(
        '%s is damaged: its sha256 is not that of card.json. Get it from the '
        'repository again.' % path)
  made = os.path.join(folder, imported_model.NOTES)
  if os.path.exists(made):
    with open(made, encoding='utf-8') as f:
      if json.load(f).get('sha256') == about['sha256']:
        return folder
  if os.path.exists(folder) and os.listdir(folder):
    raise base.ConfigError('%s is not empty, and not the model %s.'
                           % (folder, name))
  config, _ = factory.load_config(None, params_path(name))
  imported_model.write_arrays(folder, config, unpack(path), about,
                              os.path.join(source, 'label_map.csv'))
  return folder


def resolve(model_dir: str) -> str:
  """The folder of a model that is named instead of a folder.

  Args:
    model_dir: a folder, or one of `names`.

  Returns:
    A folder in .setup, or where that cannot be written one that is removed at
    the end; anything else as it is given.
  """
  if os.path.exists(model_dir) or model_dir not in names():
    return model_dir
  folder = os.path.join(_EXPANDED, '%s-%s' % (model_dir,
                                              card(model_dir)['sha256'][:12]))
  try:
    os.makedirs(_EXPANDED, exist_ok=True)
    return expand(model_dir, folder)
  except OSError:
    temporary = tempfile.mkdtemp(prefix='model-')
    atexit.register(shutil.rmtree, temporary, True)
    return expand(model_dir, os.path.join(temporary, model_dir))


def add(model_dir: str, name: str, about: Mapping[str, Any],
        bits: int = DEFAULT_BITS) -> str:
  """Packs the newest checkpoint of a model_dir; returns the new folder.

  Args:
    model_dir: folder of a training run.
    name: name of the new model.
    about: facts about it: data, licence, recipe, metrics.
    bits: see `stored`.
  """
  import tensorflow.compat.v1 as tf

  from modeling import kept_names
  reader = tf.train.load_checkpoint(model_dir)
  with open(os.path.join(model_dir, 'params.yaml'), encoding='utf-8') as f:
    config, _ = yaml_format.parse(f.read(), 'params.yaml')
  folder = os.path.join(FOLDER, name)
  os.makedirs(folder, exist_ok=True)
  path = os.path.join(folder, 'weights.npz')
  pack({key: reader.get_tensor(key) for key in _variables(model_dir)}, path,
       bits)
  for place in _PLACES:
    section = config
    for part in place.split('.')[:-1]:
      section = section.get(part, {})
    section.pop(place.split('.')[-1], None)
  files.write_atomically(
      params_path(name), '# Of python -m tools.zoo.small_models.\n'
      + yaml_format.dump(json.loads(json.dumps(config))))  # plain
  shutil.copy(kept_names.path(model_dir), os.path.join(folder, 'label_map.csv'))
  files.write_atomically(
      os.path.join(folder, 'card.json'), json.dumps(
          dict(about, bits=bits, sha256=files.sha256(path)), indent=1,
          sort_keys=True) + '\n')
  return folder


def _variables(model_dir):
  """The names that a model has, without what training adds."""
  from configs import factory
  from modeling import statistics
  config, _ = factory.load_config(
      None, os.path.join(model_dir, 'params.yaml'))
  return list(statistics.variable_shapes(config))


def main(argv: Optional[Sequence[str]] = None) -> None:
  parser = argparse.ArgumentParser(
      prog='python -m tools.zoo.small_models', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--pack', metavar='MODEL_DIR')
  parser.add_argument('--name')
  parser.add_argument('--card', metavar='FILE', help='YAML or JSON')
  parser.add_argument('--bits', type=int, choices=(5, 6, 7, 8),
                      default=DEFAULT_BITS)
  arguments = parser.parse_args(argv)
  if not arguments.pack:
    for name in names():
      about = card(name)
      print('%s: %s; %s' % (name, about['what'], ', '.join(
          '%s %.3f' % item for item in sorted(about['metrics'].items()))))
    return
  if not (arguments.name and arguments.card):
    parser.error('--pack needs --name and --card.')
  from tools.common import config_arguments
  config_arguments.start_tensorflow()
  try:
    with open(arguments.card, encoding='utf-8') as f:
      about, _ = yaml_format.parse(f.read(), arguments.card)
    folder = add(arguments.pack, arguments.name, about, arguments.bits)
  except (OSError, ValueError) as e:
    sys.exit('Error: %s' % e)
  print('%s: %.1f MB' % (folder, os.path.getsize(
      os.path.join(folder, 'weights.npz')) / 1e6))


if __name__ == '__main__':
  main()
