"""Tests of tests/modeling/variable_order.py, by hand."""

from tests.modeling import variable_order


def test_variables_of_heads_level_by_level():
  ours = ['fpn/l4/kernel', 'retinanet/class_net/class-0/kernel',
          'retinanet/class_net/class-0-3/gamma',
          'retinanet/class_net/class-0-4/gamma',
          'retinanet/class_net/class-predict/kernel',
          'retinanet/box_net/box-0/kernel', 'retinanet/box_net/box-0-3/gamma',
          'retinanet/box_net/box-0-4/gamma', 'rpn_head/rpn/kernel',
          'rpn_head/rpn-l3-bn/gamma', 'rpn_head/rpn-l4-bn/gamma',
          'rpn_head/rpn-class/kernel', 'shapemask/a']
  got = [name for name, _ in variable_order.level_by_level(
      [(name, None) for name in ours])]
  assert got == [ours[i] for i in (0, 1, 2, 4, 5, 6, 3, 7, 8, 9, 11, 10, 12)]
