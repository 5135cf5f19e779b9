"""Plugins, and the recipe of docs/extending.md performed on a copy."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests import docs_blocks
from tests.dataloader import examples
from tests.evaluation import coco_files

_SMALL = ("architecture: {backbone: plain, num_classes: 7, min_level: 3, "
          "max_level: 4, use_bfloat16: false}, "
          "fpn: {fpn_feat_dims: 8}, "
          "retinanet_head: {num_convs: 1, num_filters: 8}, "
          "retinanet_parser: {output_size: [64, 64]}, "
          "train: {total_steps: 2, train_batch_size: 2, "
          "transpose_input: false, "
          "learning_rate: {warmup_steps: 0}, train_file_pattern: %s}")


def _example():
  """Content of the plugin in the document."""
  block, = [b for b in docs_blocks.read('docs/extending.md')
            if b.argument == 'my_backbone.py']
  return block.text


# Of one who adds a hook of training, too.
_HOOK = '''
from executor import extra_hooks

class _End(tf.train.SessionRunHook):
  def end(self, session):
    print('The hook of the plugin saw the end.')

extra_hooks.HOOKS['end'] = lambda config: _End()
'''


def _override(pattern):
  return '{%s}' % (_SMALL % pattern)


def _python(*arguments, **options):
  environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL='2')
  environment.pop('VISION_PLUGINS', None)
  environment.update(options.get('environment', {}))
  return subprocess.run(
      [sys.executable] + list(arguments), cwd=options.get('cwd',
                                                          docs_blocks.ROOT),
      env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
      text=True)


@pytest.fixture(name='plugin')
def _plugin(tmp_path):
  path = tmp_path / 'my_backbone.py'
  path.write_text(_example())
  return str(path)


def _show(override, **environment):
  return _python('-m', 'tools.show_config', '--model=retinanet',
                 '--params_override=' + override, environment=environment)


@pytest.mark.one_runtime('tf2')  # configurations know no TensorFlow
def test_a_plugin_adds_a_backbone_with_a_checked_section(plugin):
  override = '{architecture: {backbone: plain}, plain: {num_filters: 7}}'
  shown = _show(override, VISION_PLUGINS=plugin)
  assert shown.returncode == 0 and 'num_filters: 7' in shown.stdout
  wrong = _show(override.replace('7', '0'), VISION_PLUGINS=plugin)
  assert wrong.returncode and 'plain.num_filters' in wrong.stdout
  unknown = _show(override)
  assert unknown.returncode and "'plain'" in unknown.stdout


@pytest.mark.one_runtime('tf1')
def test_a_plugin_adds_a_decoder(tmp_path):
  block, = [b for b in docs_blocks.read('docs/extending.md')
            if b.argument == 'my_decoder.py']
  path = tmp_path / 'my_decoder.py'
  path.write_text(block.text)
  result = _python(
      '-m', 'tools.model_stats', '--model=retinanet', '--params_override='
      'architecture.multilevel_features=pooled,pooled.num_filters=5,'
      'resnet.resnet_depth=10,retinanet_parser.output_size=[128,128]',
      environment={'VISION_PLUGINS': str(path)})
  assert result.returncode == 0, result.stdout
  # 1 x 1 convolutions of the levels 3 to 5, batch norm of the levels 3 to 7.
  assert re.search(r'^pooled +26 +4,545$', result.stdout, re.MULTILINE)


@pytest.mark.one_runtime('tf2')
@pytest.mark.parametrize('name, content, message', [
    ('missing.py', None, 'missing.py cannot be read: No such file'),
    ('wrong.py', 'import nothing_like_this', 'wrong.py failed: '),
    ('plugin.txt', '', 'plugin.txt is not a Python file')])
def test_a_wrong_plugin_is_named(name, content, message, tmp_path):
  if content is not None:
    (tmp_path / name).write_text(content)
  result = _show('{}', VISION_PLUGINS=str(tmp_path / name))
  assert result.returncode and message in result.stdout
  assert 'Traceback' not in result.stdout


def _records(folder):
  """Pattern of two records with a box each."""
  folder.mkdir()
  examples.write(folder / 'train-0', [examples.serialize(
      examples.image(64, 64, i), [[.1, .1, .6, .7]], [1 + i],
      source_id=str(i + 1)) for i in range(2)])
  return '%s/train-*' % folder


def _train(pattern, model_dir, *flags, **options):
  result = _python('main.py', '--mode=train', '--model=retinanet',
                   '--model_dir=%s' % model_dir,
                   '--params_override=' + _override(pattern), *flags, **options)
  assert result.returncode == 0, result.stdout
  assert os.path.exists(os.path.join(str(model_dir), 'model.ckpt-2.index'))
  return result.stdout


@pytest.mark.one_runtime('tf1')  # tf2 trains by the recipes of a family
def test_a_plugin_trains(plugin, tmp_path):
  pattern = _records(tmp_path / 'data')
  with open(plugin, 'a') as f:
    f.write(_HOOK)
  output = _train(pattern, tmp_path / 'run', '--plugins=' + plugin)
  assert 'The hook of the plugin saw the end.' in output
  params = (tmp_path / 'run' / 'params.yaml').read_text()
  assert '# With the plugin my_backbone.py, sha256 ' in params
  # Another value of a key of its identity is another model.
  result = _python(
      'main.py', '--mode=train', '--model=retinanet', '--plugins=' + plugin,
      '--model_dir=%s' % (tmp_path / 'run'), '--params_override='
      + _override(pattern)[:-1] + ', plain: {num_filters: 5}}')
  assert result.returncode == 2
  assert 'plain.num_filters is 16 in params.yaml' in result.stdout


def test_a_plugin_adds_a_metric(tmp_path):
  """Two squares and no detection; then the name without the plugin."""
  block, = [b for b in docs_blocks.read('docs/extending.md')
            if b.argument == 'my_metric.py']
  plugin = tmp_path / 'my_metric.py'
  plugin.write_text(block.text)
  (tmp_path / 'a.json').write_text(json.dumps(coco_files.square_set()))
  (tmp_path / 'd.json').write_text(json.dumps([
      {'image_id': 7, 'category_id': 1, 'score': .5, 'bbox': [0, 0, 9, 9]}]))
  arguments = ['-m', 'tools.evaluate_detections', '--extra_metrics=effort',
               '--annotations=%s' % (tmp_path / 'a.json'),
               '--detections=%s' % (tmp_path / 'd.json')]
  found = _python(*arguments, environment={'VISION_PLUGINS': str(plugin)})
  assert found.returncode == 0 and '"effort_per_object": 0.5' in found.stdout
  without = _python(*arguments)
  assert without.returncode == 1 and "'effort'; it can be" in without.stdout
  override = '{eval: {extra_metrics: [effort], best_metric: %s}}'
  shown = _show(override % 'effort_per_object', VISION_PLUGINS=str(plugin))
  assert shown.returncode == 0 and 'effort_per_object' in shown.stdout
  assert _show(override % 'other_figure').returncode


@pytest.mark.slow
def test_the_recipe_of_a_backbone_in_this_code(tmp_path):
  """Two files are edited in a copy; nothing else."""
  copy = tmp_path / 'copy'
  shutil.copytree(docs_blocks.ROOT, str(copy), ignore=shutil.ignore_patterns(
      '.*', 'tests', 'demo', '__pycache__'))
  header, network = _example().split('def build(')
  network, _ = network.split('# Another number')
  (copy / 'architecture' / 'backbones' / 'plain.py').write_text(
      'import tensorflow.compat.v1 as tf\n\nfrom architecture import layers\n'
      '\n\ndef build(' + network)
  path = copy / 'configs' / 'backbones.py'
  table = path.read_text()
  section = header[header.index('@dataclasses'):]
  entry, = [b.text for b in docs_blocks.read('docs/extending.md')
            if b.text.startswith("    'plain'")]
  start = 'BACKBONES = {\n'
  assert table.count(start) == 1
  path.write_text(table.replace('# All that', section + '# All that').replace(
      start, start + entry))
  _train(_records(tmp_path / 'data'), tmp_path / 'run', cwd=str(copy))
