"""Configurations with random faults: resolved, or refused in words."""

import os

import pytest

from configs import base
from configs import factory
from configs import io
from configs import yaml_format
from tests.faults import mutations

_NUM_FAULTS = int(os.environ.get('FAULTS', 60))
_MODELS = ('classification', 'retinanet', 'mask_rcnn', 'shapemask',
           'segmentation')


def _problem(read):
  """What is wrong with how a configuration is refused, or None."""
  try:
    read()
  except base.ConfigError as error:
    return 'a message of %d characters' % len(str(error)) if len(
        str(error)) > 20000 else None
  except Exception as error:  # pylint: disable=broad-except
    return repr(error)[:200]
  return None


@pytest.mark.parametrize('model', _MODELS)
def test_values(model):
  """Of any type, in any place."""
  data = base.to_dict(factory.load_config(model)[0])
  problems = {}
  for seed in range(_NUM_FAULTS):
    changed, told = mutations.mutate(data, seed)
    problem = _problem(lambda: factory.load_config(
        model, None, changed))  # noqa: B023
    if problem:
      problems[seed] = (told, problem)
  assert not problems


@pytest.mark.parametrize('model', _MODELS)
def test_text(model, tmp_path):
  """A file that an editor, a merge or a disk damaged."""
  text = io.dump_yaml(factory.load_config(model)[0])
  path = tmp_path / 'x.yaml'
  problems = {}
  for seed in range(_NUM_FAULTS // 3):  # Reading a whole file takes long.
    path.write_bytes(mutations.mutate_text(text, seed).encode('utf-8'))
    problem = _problem(lambda: factory.load_config(model, str(path)))
    if problem:
      problems[seed] = problem
  assert not problems


def test_overrides():
  problems = {}
  text = 'train.total_steps=10,eval.type=box,anchor.aspect_ratios=[1.0, 2.0]'
  yaml_text = '{train: {total_steps: 10, optimizer: {type: adam}}, eval: {}}'
  for seed in range(4 * _NUM_FAULTS):
    changed = mutations.mutate_text((text, yaml_text)[seed % 2], seed)
    problem = _problem(lambda: factory.load_config(
        'retinanet', None, changed))  # noqa: B023
    if problem:
      problems[seed] = (changed, problem)
  assert not problems


def test_yaml_of_all_kinds():
  """Tags, anchors, merges, blocks: whatever YAML has."""
  text = ('a: &a {b: [1, 2.5, "x", null], c: !!str 3}\nd: *a\n'
          'e: {<<: *a, f: !!float 1}\ng: |\n  text\n  more\nh: >-\n  y\n'
          '? i\n: !!set {j, k}\nl: 2001-01-01\n')
  problems = {}
  for seed in range(4 * _NUM_FAULTS):
    changed = mutations.mutate_text(text, seed)
    problem = _problem(lambda: yaml_format.parse(changed, 'x'))  # noqa: B023
    if problem:
      problems[seed] = (changed, problem)
  assert not problems
