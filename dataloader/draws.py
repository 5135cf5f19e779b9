"""Random numbers of the input pipeline, for each image and purpose.

They depend on the seed of the image and on nothing else, so that a run can be
repeated however many threads parse its images. In an evaluation the seed
depends on the id of the image alone.
"""

import copy
import itertools
from typing import Any, Iterator, Sequence, Union

import tensorflow.compat.v1 as tf

from ops import preprocess
from ops import sampling

# Where the numbers of the geometry are among those drawn from the seed itself:
# [first, end). They are the same wherever in the order of steps they are
# drawn.
_GEOMETRY = {'flip': (0, 1), 'scale': (1, 2), 'offset': (2, 4)}
_WINDOW = 1  # first of the numbers of `window`, which takes their place
# Everything else is drawn from further seeds, a new one for each call: the seed
# of the image + 1, + 2 ... for labels, + 1001 ... for steps.
_FIRST_OF_LABELS, _FIRST_OF_STEPS = 1, 1001
_OF_SOURCE = 2**20  # keeps the geometry of two images apart
_ATTEMPTS = 10  # at a window before the whole image is taken


def of_image(source_id: tf.Tensor) -> 'Draws':
  """Draws of an image outside of training, the same in every run.

  Args:
    source_id: string [], the id in its record.
  """
  number = tf.strings.to_hash_bucket_fast(source_id, 2**62)
  return Draws(tf.stack([tf.zeros_like(number), number]))


class Draws:
  """The random numbers of one image.

  `purpose` names the use of the numbers; tests replace the numbers of a purpose
  by it. 'flip', 'scale' and 'offset' have numbers of their own. Any other word
  will do: every call gives new numbers, which depend on the number of calls
  before it, not on the word.
  """

  def __init__(self, seed: Any):
    """Takes int [2], different for every image."""
    self._seed = self._seed_of_geometry = tf.cast(seed, tf.int64)
    self._labels = itertools.count(_FIRST_OF_LABELS)
    self._steps = itertools.count(_FIRST_OF_STEPS)

  def uniform(self, purpose: str, shape: Sequence[Any] = (), low: float = 0.,
              high: float = 1.) -> tf.Tensor:
    """Draws numbers, all equally likely.

    Args:
      purpose: str.
      shape: list of ints or int32 scalars.
      low: float.
      high: float.

    Returns:
      float32 [...], of this shape, in [low, high).
    """
    if purpose in _GEOMETRY:
      numbers = tf.reshape(self._of_geometry(*_GEOMETRY[purpose]), shape)
    else:
      numbers = tf.random.stateless_uniform(shape, self._beside(self._steps))
    return numbers if (low, high) == (0., 1.) else low + numbers * (high - low)

  def normal(self, purpose: str, shape: Sequence[Any]) -> tf.Tensor:
    """Draws float32 [...], of a shape, from the standard normal distribution.

    Args:
      purpose: str.
      shape: list of ints or int32 scalars.
    """
    del purpose
    return tf.random.stateless_normal(shape, self._beside(self._labels))

  def distinct(self, purpose: str, size: tf.Tensor,
               count: Union[int, tf.Tensor]) -> tf.Tensor:
    """Different numbers; see ops.sampling.draw_distinct.

    Args:
      purpose: str.
      size: int32 []; numbers are below it.
      count: int or int32 [], how many.

    Returns:
      int32 [min(size, count)].
    """
    del purpose
    return sampling.draw_distinct(size, count, self._beside(self._labels))

  def window(self, purpose: str, size: tf.Tensor) -> tf.Tensor:
    """A part of an image; see ops.preprocess.random_window.

    Args:
      purpose: str.
      size: int32 [2], height and width of the image.

    Returns:
      int32 [4]: first row and column, height, width.
    """
    del purpose
    numbers = self._of_geometry(_WINDOW, _WINDOW + 4 * _ATTEMPTS)
    return preprocess.random_window(size, tf.reshape(numbers, [_ATTEMPTS, 4]))

  def of_source(self) -> 'Draws':
    """Draws of the image that objects are pasted from.

    Its geometry has numbers of its own; calls of both are counted together.
    """
    other = copy.copy(self)
    other._seed_of_geometry = self._seed_of_geometry + [_OF_SOURCE, 0]
    return other

  def _of_geometry(self, first: int, end: int) -> tf.Tensor:
    return tf.random.stateless_uniform([end], self._seed_of_geometry)[first:end]

  def _beside(self, calls: Iterator[int]) -> tf.Tensor:
    return self._seed + [next(calls), 0]
