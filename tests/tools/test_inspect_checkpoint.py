"""Tests of tools/inspect_checkpoint.py."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import checkpoint_arithmetic
from modeling import statistics
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


def _save_values(folder, name, **values):
  path = str(folder / name)
  checkpoint_arithmetic.write(
      {k.replace('__', '/'): np.asarray(v) for k, v in values.items()}, path)
  return path


def test_verified_and_named_when_damaged(tmp_path, capsys):
  path = _save_values(tmp_path, 'a', weight=np.arange(100, dtype=np.float32))
  assert inspect_checkpoint.main([path, '--verify']) == 0
  assert 'is complete: every' in capsys.readouterr().out
  data = tmp_path / 'a.data-00000-of-00001'
  content = bytearray(data.read_bytes())
  content[7] ^= 1
  data.write_bytes(bytes(content))
  with pytest.raises(SystemExit, match='weight'):
    inspect_checkpoint.main([path, '--verify'])


def test_two_compared(tmp_path, capsys):
  paths = [_save_values(tmp_path, name, weight=np.float32([1., value]),
                        same=np.int64(3)) for name, value in (
                            ('a', 2.), ('b', 2.5))]
  assert inspect_checkpoint.main([paths[0], '--compare=' + paths[0]]) == 0
  assert inspect_checkpoint.main([paths[0], '--compare=' + paths[1]]) == 1
  lines = capsys.readouterr().out.split('\n')
  assert lines[1].startswith('weight: 1 of 2 values, by up to 0.5 ')
  assert lines[2].startswith('1 variables differ')


def test_averaged(tmp_path, capsys):
  paths = [_save_values(
      tmp_path, 'in%d' % i, w=np.float32([i]), global_step=np.int64(7 - i),
      w__Momentum=np.float32([9.]),
      v=np.float32(0.), v__ExponentialMovingAverage=np.float32(10. * i))
           for i in (1, 2)]
  output = str(tmp_path / 'mean')
  inspect_checkpoint.main([paths[0], '--average_with', paths[1],
                           '--output=' + output])
  reader = tf.train.load_checkpoint(output)
  assert {name: reader.get_tensor(name).tolist()
          for name in reader.get_variable_to_shape_map()} == {
              'w': [1.5], 'v': 15., 'global_step': 6}
  with pytest.raises(SystemExit, match='exists'):
    inspect_checkpoint.main([paths[0], '--average_with', paths[1],
                             '--output=' + output])
  other = _save_values(tmp_path, 'other', w=np.float32([1., 2.]))
  with pytest.raises(SystemExit, match='not of the same model'):
    inspect_checkpoint.main([paths[0], '--average_with', other,
                             '--output=%s' % (tmp_path / 'no')])
  assert not [p for p in tmp_path.iterdir() if p.name.startswith('.')]


def test_compared_with_a_configuration(tmp_path, capsys, monkeypatch):
  monkeypatch.setattr(statistics, 'model_statistics', lambda config: (
      statistics.Statistics(0, 0, [{'name': 'a', 'shape': [2]},
                                   {'name': 'b', 'shape': [3]}])))
  path = _save_values(tmp_path, 'x', a=np.float32([1., 2.]),
                      c=np.float32([1.]), a__Momentum=np.float32([0., 0.]))
  assert inspect_checkpoint.main([path, '--model=retinanet']) == 1
  lines = capsys.readouterr().out.strip().split('\n')
  assert lines[-3:] == [
      'b: not in the checkpoint, [3] in the model',
      'c: only in the checkpoint, not read',
      '1 of the 2 variables of the model are in %s.' % path]
