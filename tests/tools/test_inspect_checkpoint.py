"""Tests of tools/inspect_checkpoint.py."""

import pytest
import tensorflow.compat.v1 as tf

from tools import inspect_checkpoint


def _save(folder, shapes):
  """Writes a checkpoint of zeros; {name: shape}."""
  with tf.Graph().as_default(), tf.Session() as session:
    for name, shape in shapes.items():
      tf.get_variable(name, shape)
    tf.get_variable('global_step', [], tf.int64, tf.zeros_initializer())
    session.run(tf.global_variables_initializer())
    return tf.train.Saver().save(session, str(folder / 'model.ckpt'), 7)


def test_names_shapes_and_types(tmp_path, capsys):
  path = _save(tmp_path, {'fpn/l3/kernel': [1, 1, 8, 4], 'fpn/l3/bias': [4],
                          'fpn/l3/kernel/Momentum': [1, 1, 8, 4]})
  for given in (str(tmp_path), path, path + '.index'):
    inspect_checkpoint.main([given])
    lines = capsys.readouterr().out.split('\n')
    assert lines[0] == path
    assert [line.split(None, 2) for line in lines[1:5]] == [
        ['fpn/l3/bias', 'float32', '[4]'],
        ['fpn/l3/kernel', 'float32', '[1, 1, 8, 4]'],
        ['fpn/l3/kernel/Momentum', 'float32', '[1, 1, 8, 4]'],
        ['global_step', 'int64', '[]']]
    # 32 + 4 + 1 values; momenta do not count.
    assert lines[5] == ('4 of 4 variables; 0.000 M values without those of '
                        'optimizers')


def test_only_names_that_match(tmp_path, capsys):
  path = _save(tmp_path, {'fpn/l3/kernel': [1000, 1000], 'other': [4]})
  inspect_checkpoint.main([path, '--match=^fpn'])
  lines = capsys.readouterr().out.split('\n')
  assert 'fpn/l3/kernel' in lines[1]
  assert lines[2].startswith('1 of 3 variables; 1.000 M values')


@pytest.mark.parametrize('shapes,expected', [
    ({'spinenet/conv2d/kernel': [2], 'spinenet/conv2d_8/kernel': [3, 256],
      'spinenet/conv2d_9/kernel': [3, 256],
      'spinenet/sub_policy0/x/conv2d_11/kernel': [3, 5],
      'rpn_head/rpn/kernel': [3], 'rpn_head/rpn-class/kernel': [3]},
     ['backbone: spinenet', 'rpn_head.num_convs: 1',
      'spinenet.endpoints_num_filters: 256']),
    ({'rpn_head/rpn/kernel': [3], 'rpn_head/rpn-1/kernel': [3],
      'rpn_head/rpn-6/kernel': [3], 'rpn_head/rpn-6/kernel/Momentum': [3]},
     ['rpn_head.num_convs: 7']),
    ({'resnet50/conv2d/kernel': [3], 'fpn_cells/cell_0/x': [1],
      'fpn_cells/cell_6/x': [1]},
     ['backbone: resnet50', 'nasfpn.num_repeats: 7']),
    ({'efficientnet-b7/head/dense/kernel': [3]},
     ['backbone: efficientnet-b7', 'efficientnet-b7/head: the ImageNet head; '
      'no model here has it, and it is not loaded'])])
def test_settings(shapes, expected):
  assert inspect_checkpoint.settings([
      inspect_checkpoint.Variable(name, shape, 'float32')
      for name, shape in sorted(shapes.items())]) == expected


@pytest.mark.parametrize('name,message', [
    ('', 'has no checkpoint'), ('none', 'is not a checkpoint: give a folder')])
def test_no_checkpoint(tmp_path, name, message):
  with pytest.raises(SystemExit) as error:
    inspect_checkpoint.main([str(tmp_path / name)])
  assert error.value.code.startswith('Error: ') and message in error.value.code
