"""Tests of tools/zoo/recognition.py and variable_lists.py."""

import pytest

from modeling import statistics
from tests import runtimes
from tests.tools.zoo import checkpoint_makers
from tools.zoo import recognition
from tools.zoo import rows as zoo_rows
from tools.zoo import variable_lists

FILES = [row.config_file for row in zoo_rows.ROWS]


@pytest.fixture(scope='module')
def lists():
  return variable_lists.read()


def _files(found):
  return [row.config_file for row in found.rows]


@pytest.mark.parametrize('config_file', FILES)
def test_the_reference_has_the_variables_of_each_row(lists, config_file):
  shapes = checkpoint_makers.variables(
      checkpoint_makers.list_of_row(config_file))
  found = recognition.recognise(
      dict(shapes, global_step=(), **{n + '/Momentum': s
                                      for n, s in shapes.items()}), lists)
  assert recognition.is_exact(found) and config_file in _files(found)
  assert found.num_classes is None and found.renamed == []
  assert set(found.names) == {
      n for n in shapes if not recognition.UNUSED.match(n)}


@pytest.mark.parametrize('one,other', [
    ('zoo/retinanet_resnet50_nasfpn_640_350ep',
     'zoo/retinanet_resnet50_nasfpn_7cells_640_350ep'),
    ('spinenet/spinenet49S_retinanet',
     'zoo/retinanet_spinenet49S_endpoints256'),
    ('spinenet/spinenet190_mrcnn', 'zoo/mask_rcnn_spinenet190_rpn1conv')])
def test_the_two_readings_of_a_row_are_told_apart(lists, one, other):
  by_file = {row.config_file: i for i, (_, group) in enumerate(lists)
             for row in group}
  assert by_file[one + '.yaml'] != by_file[other + '.yaml']


@pytest.mark.parametrize('config_file', [
    runtimes.only('tf1', 'zoo/classification_resnet34.yaml'),
    runtimes.only('tf2', 'spinenet/spinenet-mbconv49_retinanet.yaml')])
def test_the_lists_are_those_of_the_code(lists, config_file):
  row, = [row for row in zoo_rows.ROWS if row.config_file == config_file]
  built = statistics.variable_shapes(variable_lists.config_of(row))
  stored, = [shapes for shapes, group in lists if row in group]
  assert {name: tuple(shape) for name, shape in built.items()} == stored


def test_the_command_that_makes_the_lists(tmp_path, monkeypatch, lists):
  path = str(tmp_path / 'lists.gz')
  monkeypatch.setattr(variable_lists, 'PATH', path)
  monkeypatch.setattr(zoo_rows, 'ROWS', [
      row for row in zoo_rows.ROWS
      if 'classification_resnet34' in row.config_file])
  variable_lists.main()
  (shapes, made), = variable_lists.read(path)
  assert made == list(zoo_rows.ROWS)
  assert shapes == [old for old, group in lists if zoo_rows.ROWS[0] in group][0]


def test_lists_are_written_as_they_are_read(tmp_path, lists):
  path = str(tmp_path / 'lists.gz')
  given = {row.config_file: shapes for shapes, group in lists
           for row in group}
  variable_lists.write(given, path)
  again = variable_lists.read(path)
  assert {row.config_file: shapes for shapes, group in again
          for row in group} == given
  first = open(path, 'rb').read()
  variable_lists.write(given, path)
  assert open(path, 'rb').read() == first


@pytest.mark.parametrize('name,num_classes', [
    ('spinenet49_retinanet', 21), ('spinenet49_mrcnn', 3),
    ('classification_resnet34_224', 11),
    ('self_training__pascal_seg_efficientnet-b7-nasfpn', 5)])
def test_another_number_of_classes(lists, name, num_classes):
  shapes = checkpoint_makers.variables(name)
  here = {'retinanet': 91, 'mrcnn': 91, '224': 1001, 'nasfpn': 21}
  count, = [value for end, value in here.items() if name.endswith(end)]
  for key, shape in list(shapes.items()):
    if (key.startswith(('classification_head', 'segmentation/conv2d/'))
        or 'class-predict' in key or 'mask_fcn_logits' in key
        or 'fast_rcnn_head/box-predict' in key):
      shapes[key] = shape[:-1] + (shape[-1] // count * num_classes,)
  found = recognition.recognise(shapes, lists)
  assert recognition.is_exact(found) and found.num_classes == num_classes


def test_other_anchors_are_not_other_classes(lists):
  shapes = checkpoint_makers.variables('spinenet49_retinanet')
  for key, shape in list(shapes.items()):
    if '-predict' in key:
      shapes[key] = shape[:-1] + (shape[-1] // 3,)
  found = recognition.recognise(shapes, lists)
  assert not recognition.is_exact(found)
  assert recognition.differences(found)[0].startswith(
      'of another shape 4: retinanet/box_net/box-predict/bias: [36] there, '
      '[12] in the checkpoint; ')


def test_nearest_row_and_what_differs(lists):
  shapes = checkpoint_makers.variables('spinenet96_retinanet')
  del shapes['spinenet/conv2d/kernel']
  shapes['spinenet/mine/kernel'] = (3, 4)
  found = recognition.recognise(shapes, lists)
  assert 'spinenet/spinenet96_retinanet.yaml' in _files(found)
  assert recognition.differences(found) == [
      'the checkpoint lacks 1: spinenet/conv2d/kernel',
      'only the checkpoint has 1: spinenet/mine/kernel']


def test_variables_of_other_scopes_do_not_matter(lists):
  shapes = checkpoint_makers.variables('spinenet96_retinanet')
  found = recognition.recognise(dict(shapes, **{'mine/kernel': (3, 4)}), lists)
  assert recognition.is_exact(found)
  assert found.names == {name: name for name in shapes}


def test_one_convolution_more_than_a_row(lists):
  shapes = checkpoint_makers.variables('spinenet190_mrcnn')
  more = {name.replace('rpn-6', 'rpn-7'): shape
          for name, shape in shapes.items() if 'rpn-6/' in name}
  found = recognition.recognise(dict(shapes, **more), lists)
  assert recognition.differences(found) == [
      'only the checkpoint has 2: rpn_head/rpn-7/bias; rpn_head/rpn-7/kernel']


def test_names_of_the_first_spinenet(lists):
  today = checkpoint_makers.variables('spinenet49_retinanet')
  # Numbered by the blocks that are joined.
  shapes = {_first_release(name): shape for name, shape in today.items()}
  assert set(shapes) != set(today)
  found = recognition.recognise(shapes, lists)
  assert recognition.is_exact(found)
  assert set(found.names.values()) == set(today)
  assert found.renamed == [
      'SpineNet resampling of the first release: 380 names']


def _first_release(name):
  parts = name.split('/')
  for i, part in enumerate(parts):
    if part.startswith('resample_with_alpha_resample_'):
      block, side = part.split('_')[-2:]
      parts[i] = 'resample_with_alpha_%s_%d_%d' % (
          side, int(block) // 2, int(block) + 2)
  return '/'.join(parts)


def test_mask_rcnn_before_there_were_cascades(lists):
  shapes = {name.replace('frcnn_layer_0/', ''): shape for name, shape in
            checkpoint_makers.variables(
                'copy_paste__maskrcnn_resnet50_1024').items()}
  found = recognition.recognise(shapes, lists)
  assert recognition.is_exact(found)
  assert _files(found) == ['copy_paste/maskrcnn_resnet50_1024.yaml']
  assert found.renamed == ['box head as the first stage of a cascade']


def test_nothing_like_it(lists):
  found = recognition.recognise({'a/weights': (3,)}, lists)
  assert not recognition.is_exact(found) and found.rows
