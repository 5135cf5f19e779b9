"""The views of an image in test-time augmentation: other sizes, and mirrored.

Plain numbers; `ops/views.py` makes the images, and leads boxes and masks back.
"""

from typing import Any, List, NamedTuple, Sequence, Tuple


class View(NamedTuple):
  """One way to show an image to a network.

  Attributes:
    scale: size of the network input, relative to that of the parser.
    is_mirrored: whether left and right are exchanged.
  """
  scale: float
  is_mirrored: bool

  def size(self, output_size: Sequence[int]) -> Tuple[int, int]:
    """(height, width) that images are fitted into, for those of the parser."""
    height, width = [max(int(side * self.scale + .5), 1)
                     for side in output_size]
    return height, width


PLAIN = View(1., False)


def plan(flip: bool, scales: Sequence[float]) -> List[View]:
  """The views besides the plain one.

  Args:
    flip: whether every size is also shown mirrored.
    scales: further sizes; 1 is the plain one.

  Returns:
    [View], without `PLAIN`.
  """
  sizes = [1.] + [float(scale) for scale in scales if scale != 1]
  views = [View(scale, is_mirrored) for scale in sizes
           for is_mirrored in ((False, True) if flip else (False,))]
  return views[1:]


def of_section(section: Any) -> List[View]:
  """`plan` of the section `eval`; [] where it has no test_time_augmentation."""
  settings = getattr(section, 'test_time_augmentation', None)
  return plan(settings.flip, settings.scales) if settings else []
