"""Keys and flags that the documents name exist."""

import os
import re

import pytest

from configs import base
from configs import factory
from tests import docs_blocks

# Of texts: no runtime has a part in it.
pytestmark = pytest.mark.one_runtime('tf2')

DOCUMENTS = ('README.md', 'docs/classification.md', 'docs/configuration.md',
             'docs/custom_data.md', 'docs/differences.md',
             'docs/getting_started.md', 'docs/gpu.md', 'docs/pods.md',
             'docs/segmentation.md', 'docs/shapemask.md', 'docs/tpu.md',
             'docs/training.md')
# `train.total_steps`, `eval.type: box`, `train.num_parallel_calls=64`; not the
# `a.b` of explanations.
_KEY = re.compile(r'^([a-z_]{2,}(?:\.[a-z_0-9]+)+)(?:[:=] ?.*)?$')
# Not of the configuration: modules and files that look like keys.
_OTHER = re.compile(r'^(tools|utils|dataloader|ops|base)\.|'
                    r'\.(py|json|jsonl|csv|txt|yaml|md|lock|pbtxt)$')


def _quoted(path):
  """Texts between backticks, outside of code blocks."""
  with open(os.path.join(docs_blocks.ROOT, path), encoding='utf-8') as f:
    text = re.sub(r'(?s)```.*?```', '', f.read())
  return re.findall(r'`([^`\n]+)`', text)


def keys_in(texts):
  """Dotted keys among the texts."""
  matches = [_KEY.match(text) for text in texts]
  return sorted({m.group(1) for m in matches
                 if m and not _OTHER.search(m.group(1))})


def _exists(key):
  for model in factory.MODELS:
    try:
      base.lookup(factory.default_config(model), key)
      return True
    except AttributeError:
      pass
  return False


@pytest.mark.parametrize('path', DOCUMENTS)
def test_keys(path):
  keys = keys_in(_quoted(path))
  assert not [key for key in keys if not _exists(key)]


def test_keys_are_found():
  assert len(keys_in(_quoted('docs/differences.md'))) > 15
  assert len(keys_in(_quoted('docs/configuration.md'))) > 30
  assert keys_in(['train.total_steps', 'eval.type: box', 'train.x=c', 'plain',
                  'a.b', 'tools.env', 'metrics.json', '--train_steps']) == [
                      'eval.type', 'train.total_steps', 'train.x']
  assert _exists('train.total_steps') and not _exists('train.total_step')


def test_flags():
  """Of main.py; those of the tools are tested with the tools."""
  with open(os.path.join(docs_blocks.ROOT, 'main.py'), encoding='utf-8') as f:
    defined = set(re.findall(r"DEFINE_\w+\(\s*'(\w+)'", f.read()))
  path = os.path.join(docs_blocks.ROOT, 'docs', 'configuration.md')
  with open(path, encoding='utf-8') as f:
    table = f.read().split('## Flags of main.py')[1].split('\n## ')[0]
  named = set(re.findall(r'`--(\w+)`', table))
  assert len(named) > 10 and named <= defined
