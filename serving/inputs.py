"""From an image to the input of a network, as training prepares it.

The same functions prepare images for a checkpoint in this process and inside
of an exported graph.
"""

from typing import Any, Dict, NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf

from configs import base
from ops import preprocess
from ops import views as view_ops
from utils import views as views_lib

# How an image is brought to the network's size. FIT: resized until one side is
# that of the input. PAD: as it is, unless it is larger than the input. CENTER:
# the square in its middle.
FIT, PAD, CENTER = 'fit', 'pad', 'center'


class InputSpec(NamedTuple):
  """What the network takes.

  Attributes:
    rule: FIT, PAD or CENTER.
    size: (height, width) that images are brought to.
    padded_size: (height, width) of the network's input; zeros at the bottom
      and on the right.
  """
  rule: str
  size: Tuple[int, ...]
  padded_size: Tuple[int, ...]

  def describe(self) -> Dict[str, Any]:
    """The rule as plain values, for people and other programs."""
    return {
        'rule': self.rule, 'height': self.size[0], 'width': self.size[1],
        'padded_height': self.padded_size[0],
        'padded_width': self.padded_size[1],
        'resize': 'bilinear, output pixel i reads input position i * (input '
                  'size / output size), without antialiasing',
        'mean_rgb': list(preprocess.MEAN_RGB),
        'stddev_rgb': list(preprocess.STDDEV_RGB)}


def input_spec(config: base.Config,
               image_size: Optional[Tuple[int, int]] = None) -> InputSpec:
  """How the model of a configuration takes images.

  Args:
    config: an experiment of configs.factory.
    image_size: (height, width) instead of that of the parser's section.

  Returns:
    InputSpec.

  Raises:
    ValueError: if the model can only be used with the configured size.
  """
  section = getattr(config, config.architecture.parser)
  size = tuple(int(side) for side in image_size or section.output_size)
  if min(size) < 1:
    raise ValueError('The image size should be two positive numbers, height '
                     'and width, not %s.' % (size,))
  if config.type == 'classification':
    return InputSpec(CENTER, size, size)
  if config.type == 'segmentation':
    return InputSpec(FIT if section.resize_eval else PAD, size, size)
  return InputSpec(FIT, size, tuple(preprocess.compute_padded_size(
      size, 2 ** config.architecture.max_level)))


def prepare_view(image: tf.Tensor, spec: InputSpec, view: views_lib.View,
                 stride: int) -> Tuple[tf.Tensor, tf.Tensor]:
  """`prepare` for a further view of an image.

  Args:
    image: uint8 [H, W, 3].
    spec: InputSpec of the plain view, of rule FIT.
    view: utils.views.View.
    stride: int, 2**max_level.

  Returns:
    See `prepare`.
  """
  return view_ops.make(image, view, spec.size, stride)


def prepare(image: tf.Tensor, spec: InputSpec) -> Tuple[tf.Tensor, tf.Tensor]:
  """Brings an image to the network's input.

  Args:
    image: uint8 [H, W, 3].
    spec: InputSpec.

  Returns:
    image: float32 [height, width, 3], normalised and padded.
    image_info: float32 [4, 2], rows original size, size that is in use, scale,
      offset of the window; each (y, x).
  """
  if spec.rule == CENTER:
    return _center(image, spec.size)
  return preprocess.resize_and_crop_image(
      image, spec.size, spec.padded_size, normalize=True,
      enlarge=spec.rule == FIT)


def _center(image, size):
  """The square in the middle, resized."""
  original = tf.shape(image)[:2]
  window = preprocess.center_window(original)
  y, x, height, width = tf.unstack(window)
  resized = preprocess.resize_image(image[y:y + height, x:x + width], size)
  desired = tf.constant(size, tf.float32)
  scale = desired / tf.cast(window[2:], tf.float32)
  return resized, tf.stack([
      tf.cast(original, tf.float32), desired, scale,
      tf.cast(window[:2], tf.float32) * scale])
