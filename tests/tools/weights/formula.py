"""Weights by a formula, the same here and in the original implementations."""

import zlib

import numpy as np


def image(height, width):
  """uint8 [height, width, 3], smooth, with an edge."""
  y, x = np.mgrid[:height, :width].astype(np.float64)
  colors = [127 + 100 * np.sin(y / 7. + x / 11.), 2.5 * x + y,
            np.where(x + y > 70, 220., 30.)]
  return np.clip(np.stack(colors, axis=2), 0, 255).astype(np.uint8)


def array(name, shape, is_torch):
  """float32 of a shape, by a name in a file of weights.

  Args:
    name: of the array, which tells what it is.
    shape: of it.
    is_torch: whether kernels begin with the channels of the result.
  """
  random = np.random.RandomState(zlib.crc32(name.encode()) % 2 ** 32)
  values = random.standard_normal(size=shape)
  if name.endswith(('running_var', 'variance')):
    return (1 + .2 * np.abs(values)).astype('f4')
  if len(shape) >= 2:
    fan_in = np.prod(shape[1:] if is_torch else shape[:-1])
    if name.endswith('depthwise_kernel'):
      fan_in = np.prod(shape[:2])
    return (values * np.sqrt(2. / fan_in)).astype('f4')
  is_scale = name.endswith('gamma') or is_torch and name.endswith('weight')
  return (is_scale + .1 * values).astype('f4')
