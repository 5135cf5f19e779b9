"""From model to model by warm start: what fits comes along, to the last bit.

A classifier, RetinaNet, Mask R-CNN, Cascade R-CNN and ShapeMask, each with
another number of classes and started from the averages of the one before.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from tests import model_kinds
from tests import test_main
from tests.dataloader import examples
from tests.executor import test_interchange
from utils import training_names

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_CHAIN = ('classification', 'retinanet', 'mask_rcnn', 'cascade_mask_rcnn',
          'shapemask')
_BACKBONES = {
    'resnet': {},
    'spinenet': {
        'architecture': {'backbone': 'spinenet', 'min_level': 3,
                         'max_level': 5, 'multilevel_features': 'identity'},
        'spinenet': {'model_id': '49S', 'endpoints_num_filters': 8}},
    'efficientnet': {'architecture': {'backbone': 'efficientnet-b0'}}}
# Scopes of what the next one has, too; the rest is drawn again.
_SHARED = {'retinanet': ('resnet10/', 'spinenet', 'efficientnet'),
           'mask_rcnn': ('resnet10/', 'fpn/', 'spinenet', 'efficientnet'),
           'cascade_mask_rcnn': ('resnet10/', 'fpn/', 'rpn_head/',
                                 'spinenet', 'efficientnet'),
           'shapemask': ('resnet10/', 'fpn/', 'spinenet', 'efficientnet')}


def _records():
  return [model_kinds.record(
      str(i), model_kinds.image(60, 64, seed=i),
      model_kinds.objects(60, 64, 2, num_classes=3, seed=i)) for i in range(4)]


def _content(kind, backbone, num_classes):
  """Sections of the smallest model of a kind with another backbone."""
  sections = {name: dict(section)
              for name, section in _BACKBONES[backbone].items()}
  architecture = sections.setdefault('architecture', {})
  architecture['num_classes'] = num_classes
  architecture['min_level'] = 3  # So that all have the same pyramid.
  if kind == 'classification':
    architecture.pop('multilevel_features', None)
  if 'spinenet' in sections:  # Its block of level 7 needs a pixel.
    sections[model_kinds.parser_section(kind)] = {'output_size': [128, 128]}
  sections['train'] = {
      'total_steps': 2, 'moving_average_decay': .5,
      'learning_rate': {'warmup_steps': 0, 'init_learning_rate': 1e-2}}
  return sections


def _train(folder, name, python=None, *changes):
  arguments = ['--mode=train', '--model_dir=%s' % (folder / name),
               '--data_dir=%s' % folder,
               '--config_file=%s' % (folder / (name + '.yaml'))]
  if changes:
    arguments.append('--params_override=' + ','.join(changes))
  if python is None:
    assert test_main._run(*arguments) == 0
  else:
    subprocess.check_call([python, 'main.py'] + arguments, cwd=_ROOT)


def _values(path):
  reader = tf.train.load_checkpoint(str(path))
  return {name: reader.get_tensor(name)
          for name in reader.get_variable_to_shape_map()}


def _weights(path):
  """{variable: array} of the model itself."""
  return {name: value for name, value in _values(path).items()
          if not training_names.is_bookkeeping(name)}


def _averages(path):
  """{variable: array}: averages, and what has none as it is."""
  values = _values(path)
  return {name: values.get('%s/%s' % (name, training_names.AVERAGE), value)
          for name, value in values.items()
          if not training_names.is_bookkeeping(name)}


def _assert_taken(before, start, scopes):
  """What both have in the same shape is the same; all of it in some scopes.

  Args:
    before: {variable: array} of the model before.
    start: {variable: array} of the new one, before its first step.
    scopes: beginnings of names of which the model before has all.
  """
  common = [name for name in start
            if name in before and before[name].shape == start[name].shape]
  for name in common:
    np.testing.assert_array_equal(start[name], before[name], err_msg=name)
  shared = [name for name in start if name.startswith(scopes)]
  assert shared and set(shared) <= set(common)


@pytest.mark.slow
@pytest.mark.parametrize('backbone', sorted(_BACKBONES))
def test_chain(tmp_path, backbone):
  """The classifier comes from the other runtime, where there is one."""
  examples.write(tmp_path / 'train', _records())
  previous = None
  for i, kind in enumerate(_CHAIN):
    name, changes, python = 'run%d' % i, [], None
    model_kinds.write_config(tmp_path / (name + '.yaml'), kind,
                             **_content(kind, backbone, 4 + i % 3))
    if previous:
      changes = ['train.checkpoint.path=%s' % previous]
    elif backbone == 'resnet':
      python = _other_python()
    _train(tmp_path, name, python, *changes)
    if previous:
      start = _weights(tmp_path / name / 'model.ckpt-0')
      _assert_taken(_averages(previous / 'model.ckpt-2'), start,
                    tuple(s for s in _SHARED[kind] if any(
                        n.startswith(s) for n in start)))
      assert any(not np.array_equal(start[n], value) for n, value in _weights(
          tmp_path / name / 'model.ckpt-2').items())
    previous = tmp_path / name


def _other_python():
  """The interpreter of the other runtime; of this one if it is not here."""
  try:
    return test_interchange._other_python()
  except pytest.skip.Exception:
    return sys.executable
