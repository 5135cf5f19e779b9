"""One record to (image, labels), for every model.

A parser is three parts, which `dataloader/factory.py` puts together:
  decode: serialized record -> sample.Sample.
  steps: a list of Sample -> Sample.
  labeller: Sample -> labels.
"""

from typing import Any, Callable, Iterable, Optional, Tuple

import tensorflow.compat.v1 as tf

from dataloader import draws as draws_lib
from dataloader import mask_crops
from dataloader import sample as samples
from utils import modes
from utils import registry


class Parser:
  """Decodes a record, applies the steps and makes the labels."""

  def __init__(self, mode: str, decode: Callable[[Any], samples.Sample],
               steps: Iterable[Callable[[samples.Sample], samples.Sample]],
               labeller: Any, image_size: Tuple[int, int],
               dtype: str = 'float32',
               mask_rule: Optional[mask_crops.MaskRule] = None,
               needs_source: bool = False):
    """Takes the parts.

    Args:
      mode: one of utils.modes.
      decode: function of a string [], a tf.train.Example, to a Sample.
      steps: [Sample -> Sample], in their order. The last one leaves an image
        that is normalized and of `image_size`.
      labeller: an object with
        `__call__`: Sample -> labels, a nest of tensors;
        `spec()`: the nest of their tf.TensorSpec;
        `padding()`: labels of an example without content, which fills up the
          last batch of an evaluation. See labellers.py.
      image_size: (height, width), ints, of the network input.
      dtype: type of the image, 'float32' or 'bfloat16'.
      mask_rule: mask_crops.MaskRule: which objects need a mask; None: none.
      needs_source: whether `decode` takes a pair of records, the second one to
        paste objects from.

    Raises:
      ValueError: listing the modes, for one that does not exist.
    """
    self._mode = registry.pick(modes.ALL, mode, 'The mode')
    self.decode = decode
    self.steps = list(steps)
    self.labeller = labeller
    self._image_size = tuple(image_size)
    self._dtype = tf.as_dtype(dtype)
    self.mask_rule = mask_rule
    self.needs_source = needs_source

  @property
  def needs_masks(self) -> bool:
    """Whether the masks of the records are read."""
    return self.mask_rule is not None

  def __call__(self, serialized: Any, seed: Any = None,
               draws: Any = None) -> Any:
    """Parses one record.

    Args:
      serialized: string [], a tf.train.Example; a pair of them where
        `needs_source`.
      seed: int [2] tensor, in training; different for every image.
      draws: draws.Draws, or a replacement, instead of those of `seed`.

    Returns:
      (image, labels) in the modes TRAIN and EVAL, {'images': image, 'labels':
      labels} in the others; `image` [H, W, 3], float32 or bfloat16, normalized;
      for labels see `labels_spec`.
    """
    sample = self.prepare(serialized, seed, draws)
    return self._structure(tf.cast(sample.image, self._dtype),
                           self.labeller(sample))

  def prepare(self, serialized: Any, seed: Any = None,
              draws: Any = None) -> samples.Sample:
    """The Sample of a record after all steps; arguments as in `__call__`."""
    if self._mode != modes.TRAIN:
      draws = None
    elif draws is None:
      draws = draws_lib.Draws(seed)
    sample = self.decode(serialized)._replace(draws=draws)
    for step in self.steps:
      sample = step(sample)
    return sample

  def labels_spec(self) -> Any:
    """The nest of tf.TensorSpec of the labels of one image."""
    return self.labeller.spec()

  def padding_example(self) -> Any:
    """A parsed example without content, to fill up the last batch.

    Returns:
      The structure of `__call__`: a gray image, and labels that mark it.
    """
    return self._structure(tf.zeros(self._image_size + (3,), self._dtype),
                           self.labeller.padding())

  def _structure(self, image, labels):
    """A pair, or for prediction one dict."""
    if self._mode in (modes.TRAIN, modes.EVAL):
      return image, labels
    return {'images': image, 'labels': labels}
