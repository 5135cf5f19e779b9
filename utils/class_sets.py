"""Sets of class ids that configurations name."""

from typing import Optional, Sequence, Tuple, Union

from utils import registry

# The classes of Pascal VOC, by their COCO ids: those that have masks in the
# usual experiment on partial supervision (arXiv:1711.10370, section 4.1).
VOC = (1, 2, 3, 4, 5, 6, 7, 9, 16, 17, 18, 19, 20, 21, 44, 62, 63, 64, 67, 72)
# COCO's 80 classes are numbered up to 90; these ids are not in use.
_UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
NONVOC = tuple(i for i in range(1, 91) if i not in VOC + _UNUSED)

ALL = 'all'
_BY_NAME = {'voc': VOC, 'nonvoc': NONVOC}


def ids(class_set: Union[str, Sequence[int]]) -> Optional[Tuple[int, ...]]:
  """The class ids of a set.

  Args:
    class_set: 'all', 'voc', 'nonvoc', or a list of ids.

  Returns:
    Tuple of ints; None for 'all'.

  Raises:
    ValueError: for another name.
  """
  if not isinstance(class_set, str):
    return tuple(class_set)
  return registry.pick(dict(_BY_NAME, **{ALL: None}), class_set,
                       'The set of classes')
