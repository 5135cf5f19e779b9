"""The table of families, and recipes of docs/extending.md done on a copy."""

import dataclasses
import os
import shutil
import subprocess
import sys

import pytest

from configs import base
from configs import factory
from configs import families
from configs import parts
from tests import docs_blocks
from tests.dataloader import examples

_SMALL = ('resnet.resnet_depth=10,fpn.fpn_feat_dims=8,use_tpu=false,'
          'architecture.max_level=4,architecture.num_classes=3,'
          'architecture.use_bfloat16=false,train.transpose_input=false,'
          'retinanet_parser.output_size=[32,32],'
          'train.learning_rate.warmup_steps=0,train.train_file_pattern=')
# Two steps of each family, on what the input function of a job gives.
_TRAIN = """
import sys
from ops import compat
compat.enable_graph_mode()
import tensorflow.compat.v1 as tf
from configs import factory
from dataloader import inputs
from modeling import factory as models
for model in sys.argv[2:]:
  with tf.Graph().as_default(), tf.Session() as session:
    config, _ = factory.load_config(model, None, sys.argv[1])
    data = inputs.build_input_fn(config, 'train')({'batch_size': 2})
    images, labels = tf.data.make_one_shot_iterator(data).get_next()
    spec = models.build_model_fn(config)(
        images, labels, tf.estimator.ModeKeys.TRAIN, {})
    session.run(tf.global_variables_initializer())
    losses = [session.run([spec.loss, spec.train_op])[0] for _ in range(2)]
    print(model, *losses)
    print(model, *[v.op.name for v in tf.trainable_variables()])
"""


@dataclasses.dataclass(frozen=True)
class _Section:
  """A section of a head."""
  num_filters: int = base.option(16, at_least=1)


def test_a_head_adds_its_section_to_a_family(monkeypatch):
  monkeypatch.setitem(families.FAMILIES, 'mine', families.Family(
      'configs.retinanet:RetinaNet', 'nowhere:build', head=parts.Part(
          'nowhere:head', 'my_head', _Section(), identity=('num_filters',))))
  monkeypatch.setattr(factory, 'MODELS', tuple(families.FAMILIES))
  config, _ = factory.load_config('mine', None, 'my_head.num_filters=3')
  assert config.type == 'mine' and config.my_head.num_filters == 3
  assert config.retinanet_head == factory.default_config(
      'retinanet').retinanet_head
  assert families.identity_keys('mine') == ('my_head.num_filters',)
  assert families.identity_keys('retinanet') == ()
  with pytest.raises(base.ConfigError, match='my_head.num_filters'):
    factory.load_config('mine', None, 'my_head.num_filters=0')
  with pytest.raises(base.ConfigError, match='that key belongs to mine'):
    factory.load_config('retinanet', None, 'my_head.num_filters=3')


def _block(argument):
  block, = [b for b in docs_blocks.read('docs/extending.md')
            if b.argument == argument]
  return block.text


def _entry(start):
  """The block that begins with an entry of this name."""
  block, = [b for b in docs_blocks.read('docs/extending.md')
            if b.text.startswith("    '%s'" % start)]
  return block.text


def _section():
  """That of the head, as the one of the backbone of the page."""
  text = _block('my_backbone.py')
  text = text[text.index('@dataclasses'):text.index('def build(')]
  return text.replace('Plain', 'SharedHead').replace('plain', 'shared_head')


def _follow_recipes(copy):
  """The files of both recipes, and two entries and a section in one file."""
  (copy / 'architecture' / 'heads' / 'shared.py').write_text(
      _block('shared.py'))
  for name in ('configs', 'modeling'):
    (copy / name / 'counting.py').write_text(_block(name + '/counting.py'))
  (copy / 'dataloader' / 'counting_labels.py').write_text(
      _block('my_labels.py').rsplit('factory.PARSERS', 1)[0])
  path = copy / 'configs' / 'families.py'
  table, start = path.read_text(), 'FAMILIES: Dict[str, Family] = {\n'
  assert table.count(start) == 1
  table = table.replace('from configs import parts',
                        'from configs import base\nfrom configs import parts')
  path.write_text(table.replace(start, _section() + start + _entry(
      'retinanet_shared') + _entry('counting')))


@pytest.mark.one_runtime('tf2')
def test_the_recipes_of_a_head_and_of_a_family(tmp_path):
  copy = tmp_path / 'copy'
  for room in ('configs', 'utils', 'ops', 'architecture', 'dataloader',
               'evaluation', 'modeling'):
    shutil.copytree(os.path.join(docs_blocks.ROOT, room), str(copy / room),
                    ignore=shutil.ignore_patterns('__pycache__', 'experiments'))
  _follow_recipes(copy)
  pattern = examples.write(tmp_path / 'a', [examples.serialize(
      examples.image(32, 32, i), [[.1, .1, .6, .7]] * (i + 1), [1] * (i + 1),
      source_id=str(i + 1)) for i in range(2)])
  result = subprocess.run(
      [sys.executable, '-c', _TRAIN, _SMALL + pattern, 'retinanet_shared',
       'counting'], cwd=str(copy), capture_output=True, text=True,
      env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL='2'))
  assert result.returncode == 0, result.stderr
  rows = [line.split() for line in result.stdout.splitlines()]
  for model, scope, (losses, names) in (
      ('retinanet_shared', 'shared_head', rows[:2]),
      ('counting', 'counting_head', rows[2:])):
    assert losses[0] == model and float(losses[1]) != float(losses[2])
    assert any(name.startswith(scope + '/') for name in names[1:])
    assert not any(name.startswith('retinanet/') for name in names[1:])
