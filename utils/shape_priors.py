"""Shape priors: what the masks of a class usually look like.

A file of priors is a NumPy array, float32 [M, K, S, S] in .npy format: K masks
of S x S pixels, 0..1, each filling the box of its object, for each of M
classes. M is `architecture.num_classes`, row 0 (background) unused, or 1 for
priors that all classes share. tools/create_shape_priors.py makes such files.
"""

import io

import numpy as np


def to_bytes(priors: np.ndarray) -> bytes:
  """Content of a file of priors, float [M, K, S, S]."""
  stream = io.BytesIO()
  np.save(stream, np.asarray(priors, np.float32), allow_pickle=False)
  return stream.getvalue()


def from_bytes(content: bytes, num_classes: int, size: int,
               name: str = 'The file') -> np.ndarray:
  """Reads a file of priors.

  Args:
    content: bytes.
    num_classes: int, M, that the model needs; 1: shared by all classes.
    size: int, S, that the model needs.
    name: the name of the file, for errors.

  Returns:
    float32 [M, K, S, S].

  Raises:
    ValueError: if it is no such array, or of another shape; says how to make
      the right one.
  """
  try:
    priors = np.load(io.BytesIO(content), allow_pickle=False)
  except ValueError as e:
    raise ValueError('%s is not an array of shape priors: %s' % (name, e))
  wanted = 'float32 [%d, K, %d, %d]' % (num_classes, size, size)
  if (priors.ndim != 4 or not priors.shape[1]
      or priors.shape[:1] + priors.shape[2:] != (num_classes, size, size)):
    raise ValueError(
        '%s holds an array of shape %s; shape priors of this model are %s: '
        'python -m tools.create_shape_priors --mask_crop_size=%d %s makes '
        'them.' % (name, list(priors.shape), wanted, size,
                   '--class_agnostic' if num_classes == 1
                   else '--num_classes=%d' % num_classes))
  if not np.isfinite(priors).all() or priors.min() < 0 or priors.max() > 1:
    raise ValueError('%s: shape priors are numbers from 0 to 1; this array '
                     'has others.' % name)
  return priors.astype(np.float32)


def zeros(num_classes: int, size: int) -> np.ndarray:
  """The prior of a model without a file: an empty mask for each class.

  Args:
    num_classes: int, M.
    size: int, S.

  Returns:
    float32 [M, 1, S, S].
  """
  return np.zeros([num_classes, 1, size, size], np.float32)
