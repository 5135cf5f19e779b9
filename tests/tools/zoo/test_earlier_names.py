"""Tests of tools/zoo/earlier_names.py."""

import pytest

from tools.zoo import earlier_names


def _today(names):
  return [sorted(renamed.values())
          for renamed, _ in earlier_names.variants(names)]


@pytest.mark.parametrize('old,new', [
    ('spinenet/sub_policy3/resample_with_alpha_1_2_5/conv2d/kernel',
     'spinenet/sub_policy3/resample_with_alpha_resample_3_1/conv2d/kernel'),
    ('spinenet/sub_policy12/resample_with_alpha_0_10_14/conv2d_1/kernel',
     'spinenet/sub_policy12/resample_with_alpha_resample_12_0/conv2d_1/kernel'),
    ('rpn_head/rpn4-bn/gamma', 'rpn_head/rpn-l4-bn/gamma'),
    ('resnet_fpn/post_hoc_d3/bias', 'fpn/post_hoc_d3/bias'),
    ('retinanet/class_net/class-2-bn-5/beta',
     'retinanet/class_net/class-2-5/beta'),
    ('retinanet/box_net/box-0-bn-3/beta', 'retinanet/box_net/box-0-3/beta')])
def test_rules(old, new):
  (renamed, notes), = earlier_names.variants([old, 'other/kernel'])
  assert renamed == {old: new, 'other/kernel': 'other/kernel'}
  assert len(notes) == 1 and notes[0].endswith(': 1 names')


@pytest.mark.parametrize('name', [
    'spinenet/sub_policy3/resample_with_alpha_resample_3_1/conv2d/kernel',
    'rpn_head/rpn-l4-bn/gamma', 'rpn_head/rpn-l4-bn-1/gamma',
    'retinanet/class_net/class-2-5/beta', 'fpn/p3-bn/gamma', 'conv2d/kernel'])
def test_names_of_today_stay(name):
  assert earlier_names.variants([name]) == [({name: name}, [])]


def test_box_head_and_first_stage_stand_for_each_other():
  one, other = 'fast_rcnn_head/fc6/kernel', (
      'frcnn_layer_0/fast_rcnn_head/fc6/kernel')
  assert _today([one]) == [[one], [other]]
  assert _today([other]) == [[other], [one]]


def test_a_resnet_without_scope():
  names = ['conv2d%s/kernel' % ('_%d' % i if i else '') for i in range(53)]
  names += ['batch_normalization_7/gamma', 'dense/bias']
  (renamed, notes), = earlier_names.variants(names)
  assert renamed['conv2d_52/kernel'] == 'resnet50/conv2d_52/kernel'
  assert renamed['batch_normalization_7/gamma'] == (
      'resnet50/batch_normalization_7/gamma')
  assert renamed['dense/bias'] == 'classification_head/dense/bias'
  assert notes == ['ResNet without scope: 54 names',
                   'classifier without scope: 1 names']


def test_two_names_never_become_one():
  names = ['fpn/l3/bias', 'resnet_fpn/l3/bias']
  assert earlier_names.variants(names) == [({n: n for n in names}, [])]
