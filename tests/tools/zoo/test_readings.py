"""Tests of tools/zoo/readings.py."""

import pytest
import tensorflow.compat.v1 as tf

from tools.zoo import readings
from tools.zoo import rows as zoo_rows

SPINENET49 = ['zoo/retinanet_spinenet49_72ep.yaml',
              'zoo/retinanet_spinenet49_350ep.yaml',
              'spinenet/spinenet49_retinanet.yaml']
EFFICIENTNET = ['copy_paste/maskrcnn_effb7_%d.yaml' % size
                for size in (640, 1024, 1280)]


def _choose(files, **evidence):
  given = dict(dict(prefix='none', step=None, name='', config_files=[]),
               **evidence)
  chosen = readings.choose(
      [row for row in zoo_rows.ROWS if row.config_file in files],
      readings.Evidence(**given))
  return chosen.row.config_file, chosen


@pytest.mark.parametrize('step,index', [(33336, 0), (162050, 1), (231500, 2)])
def test_the_step_tells_the_training(step, index):
  row, choice = _choose(SPINENET49, step=step)
  assert row == SPINENET49[index] and choice.others == []
  assert choice.reason == (
      'its step, %d, is the last step of that training run' % step)


def test_nothing_tells():
  row, choice = _choose(SPINENET49, step=7)
  assert row == 'spinenet/spinenet49_retinanet.yaml'
  assert [other.config_file for other, _ in choice.others] == SPINENET49[:2]
  assert choice.others[0][1] == {
      'batch_norm_activation.activation': ('swish', 'relu')}
  assert choice.reason == 'the first of 3 rows with these variables'


def test_rows_that_differ_in_training_alone_are_no_matter():
  files = ['zoo/retinanet_resnet50_nasfpn_640_%dep.yaml' % n for n in (72, 350)]
  _, choice = _choose(files)
  assert choice.others == []


@pytest.mark.parametrize('size', [640, 1024, 1280])
@pytest.mark.parametrize('name', ['maskrcnn_effb7_%d.tar.gz',
                                  'copy-paste-effb7-%d'])
def test_the_name_tells_the_size(size, name):
  row, choice = _choose(EFFICIENTNET, name=name % size)
  assert row == 'copy_paste/maskrcnn_effb7_%d.yaml' % size
  assert choice.others == [] and repr(name % size) in choice.reason


def test_the_best_ones_have_swish():
  files = ['zoo/retinanet_spinenet96_350ep.yaml',
           'spinenet/spinenet96_retinanet.yaml']
  row, choice = _choose(files, name='detection_retinanet_spinenet-96-best')
  assert row == files[1] and choice.others == []


def test_the_configuration_beside_it(tmp_path):
  broken, path = tmp_path / 'a.yaml', tmp_path / 'params.yaml'
  broken.write_text('a: [')
  path.write_text('maskrcnn_parser:\n  output_size: [1024, 1024]\n')
  row, choice = _choose(EFFICIENTNET, name='maskrcnn_effb7_640',
                        config_files=[str(broken), str(path)])
  assert row == EFFICIENTNET[1] and choice.reason == 'by its params.yaml'


@pytest.mark.parametrize('function,index', [
    (tf.nn.relu, 1), (tf.nn.swish, 2), (tf.identity, 2)])
def test_the_graph_tells_the_activation(tmp_path, function, index):
  with tf.Graph().as_default():
    with tf.name_scope('spinenet'):
      function(tf.placeholder(tf.float32, [2]))
    tf.nn.sigmoid(tf.placeholder(tf.float32, [2]))  # of the head
    tf.train.export_meta_graph(str(tmp_path / 'model.ckpt.meta'))
  row, choice = _choose(SPINENET49[1:], prefix=str(tmp_path / 'model.ckpt'))
  assert row == SPINENET49[index]
  assert ('.meta' in choice.reason) == (function is not tf.identity)


def test_a_graph_that_is_damaged(tmp_path):
  (tmp_path / 'model.ckpt.meta').write_bytes(b'\xff' * 100)
  path = str(tmp_path / 'model.ckpt.meta')
  assert readings.activation_of(path, 'spinenet/') is None
