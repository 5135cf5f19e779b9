"""Stands in for dataloader.draws: what is drawn is given by the test."""

import tensorflow.compat.v1 as tf


class FixedDraws:
  """Draws of these values, by purpose.

  'order' keeps the order, `distinct` takes the first ones; what has no value is
  not to be drawn. `asked` are the purposes so far.
  """

  def __init__(self, source=None, **values):
    """Takes {purpose: number or array}; source: other values of the image that
    objects are pasted from."""
    self._source = source
    self._values = values
    self.asked = []

  def values(self):
    """{name: value}, those of the other image after 'source_'."""
    result = {'source_' + k: v for k, v in (self._source or {}).items()}
    result.update(self._values)
    return {k: v for k, v in result.items() if v is not None}

  @classmethod
  def of_values(cls, values):
    """The inverse of `values`."""
    start = 'source_'
    source = {k[len(start):]: v for k, v in values.items()
              if k.startswith(start)}
    return cls(source or None, **{k: v for k, v in values.items()
                                  if not k.startswith(start)})

  def uniform(self, purpose, shape=(), low=0., high=1.):
    """The value itself, whatever the range."""
    del low, high
    self.asked.append(purpose)
    if purpose == 'order':
      return tf.cast(tf.range(shape[0]), tf.float32)
    return tf.zeros(shape) + tf.cast(self._values[purpose], tf.float32)

  def normal(self, purpose, shape):
    return self.uniform(purpose, shape)

  def window(self, purpose, size):
    del size
    return tf.cast(self._values[purpose], tf.int32)

  def distinct(self, purpose, size, count):
    del purpose
    return tf.range(tf.minimum(size, count))

  def of_source(self):
    """Everything but the geometry is drawn once for both, as by Draws."""
    return FixedDraws(**dict(self._values, **(self._source or {})))
