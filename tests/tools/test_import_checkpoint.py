"""Tests of tools/import_checkpoint.py and tools/zoo/imported_model.py."""

import dataclasses
import json
import os
import shutil
import tarfile

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory
from modeling import statistics
from modeling.training import warm_start
from serving import predictor
from serving import sources
from tests.tools.zoo import checkpoint_makers
from tools import import_checkpoint
from tools import inspect_checkpoint
from tools.zoo import archives
from utils import class_sets
from utils import label_map

ROW = 'spinenet/spinenet-mbconv49_retinanet.yaml'
LIST = 'spinenet-mbconv49_retinanet'


@pytest.fixture(scope='module')
def arrays():
  """The smallest row: 2.3 million parameters."""
  return checkpoint_makers.values(checkpoint_makers.variables(LIST))


@pytest.fixture(scope='module')
def archive(arrays, tmp_path_factory):
  """A tar.gz as it may be published: momenta, graph and all."""
  folder = tmp_path_factory.mktemp('published')
  some = 'retinanet/class_net/class-predict/bias'
  checkpoint_makers.write(str(folder / 'net' / 'model.ckpt'), dict(
      arrays, global_step=np.int64(277800), **{
          some + '/Momentum': arrays[some] * 2,
          some + '/ExponentialMovingAverage': arrays[some] * 3,
          'current_loss_scale': np.float32(2), 'other/x': np.float32(1)}), 2)
  (folder / 'net' / 'checkpoint').write_text(
      'model_checkpoint_path: "/cns/somewhere/else/model.ckpt"\n')
  path = folder / 'mbconv49.tar.gz'
  with tarfile.open(str(path), 'w:gz') as f:
    f.add(str(folder / 'net'), 'net')
  return str(path)


def _fails(*arguments):
  with pytest.raises(SystemExit) as error:
    import_checkpoint.main(list(arguments))
  assert error.value.code.startswith('Error: ')
  return error.value.code


def _values(prefix):
  reader = tf.train.load_checkpoint(prefix)
  return {name: reader.get_tensor(name)
          for name in reader.get_variable_to_shape_map()}


def _without_others(arrays, tmp_path, **changes):
  """Writes the arrays alone as a folder."""
  checkpoint_makers.write(str(tmp_path / 'net' / 'model.ckpt-12'),
                          dict(arrays, **changes))
  return str(tmp_path / 'net')


def test_an_archive_becomes_a_model_dir(archive, arrays, tmp_path, capsys):
  output = str(tmp_path / 'made' / 'out')
  import_checkpoint.main([archive, '--output=' + output])
  printed = capsys.readouterr().out
  assert '(%s)\n  taken because names and shapes' % ROW in printed
  assert 'not taken, 1: other/...' in printed
  assert os.listdir(str(tmp_path / 'made')) == ['out']
  prefix = tf.train.latest_checkpoint(output)
  assert prefix == os.path.join(output, 'model.ckpt-277800')
  written = _values(prefix)
  for name, value in arrays.items():
    np.testing.assert_array_equal(written[name], value)
  assert written['current_loss_scale'] == 2
  notes = json.load(open(os.path.join(output, 'import.json')))
  assert notes == {'row': ROW, 'renamed': [], 'published_accuracy': 'AP 28.6',
                   'source': 'mbconv49.tar.gz', 'step': 277800}


def test_an_archive_of_another_row(archive, tmp_path):
  output = str(tmp_path / 'made' / 'out')
  message = _fails(archive, '--output=' + output,
                   '--row=spinenet/spinenet49_retinanet.yaml')
  assert 'The nearest is SpineNet-49, swish, stochastic depth' in message
  assert os.listdir(str(tmp_path / 'made')) == []


@pytest.mark.one_runtime('tf1')
def test_what_is_written(arrays, tmp_path, capsys):
  some = 'retinanet/class_net/class-predict/bias'
  folder = _without_others(arrays, tmp_path, **{
      'global_step': np.int64(600), some + '/Momentum': arrays[some] * 2,
      some + '/ExponentialMovingAverage': arrays[some] * 3})
  output = str(tmp_path / 'out')
  import_checkpoint.main([folder, '--output=' + output])
  printed = capsys.readouterr().out
  assert ROW in printed and 'Every value is there' in printed
  assert 'not taken, 1: /ExponentialMovingAverage of variables' in printed
  assert sorted(os.listdir(output)) == [
      'checkpoint', 'import.json', 'label_map.csv',
      'model.ckpt-600.data-00000-of-00001',
      'model.ckpt-600.index', 'params.yaml']
  written = _values(tf.train.latest_checkpoint(output))
  assert set(written) == set(arrays) | {'global_step', some + '/Momentum'}
  assert written['global_step'] == 600
  for name, value in arrays.items():
    np.testing.assert_array_equal(written[name], value)
  config, _ = factory.load_config(None, os.path.join(output, 'params.yaml'))
  assert config.model_dir == output
  assert config.spinenet_mbconv.model_id == '49'
  # The names of the classes stay with the folder, wherever it is moved.
  shutil.copytree(output, str(tmp_path / 'moved'))
  found = sources.find_checkpoint(str(tmp_path / 'moved'))
  assert found.config.eval.label_map == str(tmp_path / 'moved'
                                            / 'label_map.csv')
  assert label_map.read_label_map(found.config.eval.label_map)[1] == 'person'
  # What the model of that configuration restores.
  shapes = statistics.variable_shapes(config)
  assert {n: list(np.shape(v)) for n, v in written.items() if n in shapes} == (
      dict(shapes))
  assert json.load(open(os.path.join(output, 'import.json')))['row'] == ROW
  assert oct(os.stat(output).st_mode & 0o777) == oct(
      os.stat(folder).st_mode & 0o777)


def test_averages_as_weights(arrays, tmp_path):
  some = 'retinanet/class_net/class-predict/bias'
  folder = _without_others(
      arrays, tmp_path,
      **{some + '/ExponentialMovingAverage': arrays[some] * 3})
  output = str(tmp_path / 'out')
  import_checkpoint.main([folder, '--output=' + output,
                          '--use_moving_average'])
  written = _values(tf.train.latest_checkpoint(output))
  np.testing.assert_array_equal(written[some], arrays[some] * 3)
  assert set(written) == set(arrays) | {'global_step'}
  assert written['global_step'] == 12  # of the name


def test_weights_of_16_bits(arrays, tmp_path):
  some = 'retinanet/class_net/class-predict/pointwise_kernel'
  folder = _without_others(arrays, tmp_path,
                           **{some: arrays[some].astype(np.float16)})
  output = str(tmp_path / 'out')
  import_checkpoint.main([folder, '--output=' + output])
  written = _values(tf.train.latest_checkpoint(output))[some]
  assert written.dtype == np.float32
  np.testing.assert_array_equal(written, arrays[some].astype(np.float16))


def test_no_averages(arrays, tmp_path):
  folder = _without_others(arrays, tmp_path)
  assert 'has no moving averages' in _fails(folder, '--use_moving_average')


@pytest.mark.one_runtime('tf2')
def test_only_to_look(arrays, tmp_path, capsys):
  folder = _without_others(arrays, tmp_path)
  for path in (folder, folder + '/model.ckpt-12',
               folder + '/model.ckpt-12.data-00000-of-00001'):
    import_checkpoint.main([path])
    printed = capsys.readouterr().out
    assert ROW in printed and 'With --output=MODEL_DIR' in printed
  assert os.listdir(str(tmp_path)) == ['net']


def test_inspection_names_the_row(arrays, tmp_path, capsys):
  inspect_checkpoint.main([_without_others(arrays, tmp_path)])
  assert ('model zoo: RetinaNet, COCO, SpineNet-MBConv-49 (%s)' % ROW
          in capsys.readouterr().out)


def test_other_classes_and_overrides(arrays, tmp_path, capsys):
  changed = {name: value[..., :value.shape[-1] // 91 * 3]
             for name, value in arrays.items() if 'class-predict' in name
             and value.shape[-1] % 91 == 0}
  folder = _without_others(arrays, tmp_path, **changed)
  output = str(tmp_path / 'out')
  import_checkpoint.main([folder, '--output=' + output, '--params_override='
                          'retinanet_parser.output_size=[128,128]'])
  assert 'with 3 classes' in capsys.readouterr().out
  config, _ = factory.load_config(None, os.path.join(output, 'params.yaml'))
  assert config.architecture.num_classes == 3
  assert config.eval.label_map is None
  assert list(config.retinanet_parser.output_size) == [128, 128]


@pytest.mark.one_runtime('tf1')
def test_a_configuration_instead_of_a_row(tmp_path, capsys):
  path = tmp_path / 'mine.yaml'
  path.write_text('type: retinanet\nresnet: {resnet_depth: 10}\n'
                  'fpn: {fpn_feat_dims: 8}\n'
                  'retinanet_head: {num_filters: 8, num_convs: 1}\n'
                  'retinanet_parser: {output_size: [128, 128]}\n'
                  'architecture: {num_classes: 4}\n')
  config, _ = factory.load_config(None, str(path))
  shapes = statistics.variable_shapes(config)
  folder = _without_others(checkpoint_makers.values(shapes), tmp_path)
  output = str(tmp_path / 'out')
  assert 'is not of the model of' in _fails(
      folder, '--config_file=%s' % path,
      '--params_override=architecture.num_classes=5')
  assert 'The nearest is' in _fails(folder, '--output=' + output)
  import_checkpoint.main([folder, '--config_file=%s' % path,
                          '--output=' + output])
  assert set(shapes) < set(_values(tf.train.latest_checkpoint(output)))
  config, _ = factory.load_config(None, os.path.join(output, 'params.yaml'))
  assert config.fpn.fpn_feat_dims == 8
  # Inference and a warm start take it.
  detect = predictor.load(output)
  assert len(detect(np.zeros([90, 70, 3], np.uint8)).scores) <= 100
  with tf.Graph().as_default():
    wanted = [tf.get_variable(name, shape) for name, shape in shapes.items()]
    plan = warm_start.plan_warm_start(dataclasses.replace(
        config.train.checkpoint, path=output), wanted)
  assert len(plan.assignment) == len(shapes) and not plan.missing


def test_label_maps():
  coco, voc = (label_map.read_label_map(
      os.path.join(os.path.dirname(archives.__file__), name + '_label_map.txt'))
               for name in ('coco', 'voc'))
  assert sorted(coco) == sorted(class_sets.VOC + class_sets.NONVOC)
  assert sorted(voc) == list(range(21)) and coco[18] == voc[12] == 'dog'


def test_names_of_an_earlier_release(arrays, tmp_path, capsys):
  old = {name.replace('class-0-3/', 'class-0-bn-3/'): value
         for name, value in arrays.items()}
  assert set(old) != set(arrays)
  folder = _without_others(old, tmp_path, **{
      'retinanet/class_net/class-0-bn-3/beta/Momentum': np.float32(7)})
  output = str(tmp_path / 'out')
  import_checkpoint.main([folder, '--output=' + output])
  assert 'Names of an earlier release: RetinaNet batch norm' in (
      capsys.readouterr().out)
  written = _values(tf.train.latest_checkpoint(output))
  momentum = 'retinanet/class_net/class-0-3/beta/Momentum'
  assert set(written) == set(arrays) | {'global_step', momentum}


@pytest.mark.one_runtime('tf1')
def test_a_row_that_is_named(arrays, tmp_path):
  folder = _without_others(arrays, tmp_path)
  import_checkpoint.main([folder, '--row=configs/experiments/' + ROW])
  assert 'is not a row of the model zoo; rows are: zoo/' in _fails(
      folder, '--row=x.yaml')
  message = _fails(folder, '--row=zoo/classification_resnet34.yaml')
  assert 'The nearest is ResNet-34' in message


def test_broken_ones(arrays, tmp_path):
  folder = _without_others(arrays, tmp_path)
  path = os.path.join(folder, 'model.ckpt-12.data-00000-of-00001')
  os.truncate(path, os.path.getsize(path) - 1)
  output = str(tmp_path / 'out')
  assert 'is cut off' in _fails(folder, '--output=' + output)
  assert not os.path.exists(output)


def test_a_checkpoint_of_objects(tmp_path):
  folder = tmp_path / 'net'
  checkpoint_makers.write(str(folder / 'ckpt-1'), {
      'model/a/.ATTRIBUTES/VARIABLE_VALUE': np.float32(1)})
  assert 'TensorFlow 2 objects' in _fails(str(folder))


@pytest.mark.parametrize('arguments,message', [
    (['none'], 'there is no such file'), (['README.md'], 'nor a checkpoint.'),
    (['gs://bucket/x'], 'not on this machine'),
    (['.', '--output=gs://bucket/x'], 'not on this machine'),
    (['.', '--output=docs'], 'is not an empty folder'),
    (['.', '--output=README.md'], 'is not an empty folder'),
    (['.', '--row=a', '--config_file=b'], 'not both')])
def test_wrong_arguments(arguments, message):
  assert message in _fails(*arguments)
