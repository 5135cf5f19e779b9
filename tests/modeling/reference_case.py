"""Rebuilds a reference model case: configuration, inputs, weights."""

import functools
import glob
import os
import tempfile

import numpy as np
import tensorflow.compat.v1 as tf

from configs import factory
from tests import golden
from tests import reference_weights
from utils import fields


def case_folders():
  """Folders models/open/<case> of all reference folders, by case name."""
  folders = {}
  for root in golden.reference_dirs():
    for path in glob.glob(os.path.join(root, 'models', '*', '*', 'case.json')):
      folder = os.path.dirname(path)
      folders[os.path.basename(folder)] = folder
  return folders


class ReferenceCase:
  """One folder: `settings` (case.json), `config`, arrays and inputs."""

  def __init__(self, folder):
    self.folder = folder
    self.settings = golden.load_json(os.path.join(folder, 'case.json'))
    params_file = os.path.join(folder, 'params.yaml')
    self.config, _ = factory.load_config(self.settings['model'], params_file)
    if self.settings['model'] == 'shapemask':
      self.config, _ = factory.load_config(
          'shapemask', params_file,
          extra={'shapemask_head.shape_prior_path': self._write_priors()})

  def _write_priors(self):
    """Path of the shape priors of the case, written again; '' for none."""
    s = self.settings
    if not s.get('priors'):
      return ''
    path = os.path.join(tempfile.mkdtemp(), 'priors.npy')
    np.save(path, reference_weights.shape_priors(
        s['priors_seed'], self.config.architecture.num_classes, s['priors'],
        self.config.shapemask_head.mask_crop_size))
    return path

  def arrays(self, name):
    """The archive 'predict' or 'train' as {key: array}."""
    return dict(np.load(os.path.join(self.folder, name + '.npz')))

  def images(self):
    s = self.settings
    return reference_weights.images(s['seed'], s['batch'], s['height'],
                                    s['width'])

  def image_info(self):
    s = self.settings
    return reference_weights.image_info(s['batch'], s['height'], s['width'])

  def labels(self):
    """The labels of train.npz as constants, levels as nested dicts.

    Of a classifier, the one tensor that they are.
    """
    arrays = self.arrays('train')
    if fields.LABEL in arrays:
      return tf.constant(arrays[fields.LABEL])
    labels = {fields.IMAGE_INFO: tf.constant(self.image_info())}
    for key, value in arrays.items():
      if not key.startswith('label.') or key.endswith('_used'):
        continue
      parts = key.split('.')[1:]
      if len(parts) == 2:
        labels.setdefault(parts[0], {})[int(parts[1])] = tf.constant(value)
      else:
        labels[parts[0]] = tf.constant(value)
    return labels

  def load_weights(self, session):
    """Sets every model variable by the formula, the others by default.

    Returns:
      {name: array} of the former.
    """
    slots = ('/Momentum', '/moving_normalizer')
    variables, others = [], []
    for v in tf.global_variables():
      is_other = v.op.name == 'global_step' or v.op.name.endswith(slots)
      (others if is_other else variables).append(v)
    drawn = _drawn_for(self.folder)
    for v in variables:
      if v.op.name not in drawn:
        drawn[v.op.name] = reference_weights.weight(
            v.op.name, v.shape.as_list(), self.settings['gains'])
    weights = {v.op.name: drawn[v.op.name] for v in variables}
    # One run for all: a run for each takes many seconds.
    session.run([v.initializer for v in variables + others],
                {v.initializer.inputs[1]: weights[v.op.name]
                 for v in variables})
    return weights


@functools.lru_cache(maxsize=1)
def _drawn_for(folder):
  """{variable: its value} of the case that was last asked for.

  Tests of one case follow each other; drawing takes a second for each.
  """
  del folder
  return {}


def stored_part(actual, expected, name):
  """The elements of the full array that an archive keeps; see check_array."""
  if name + '.stride' not in expected:
    return actual
  assert list(actual.shape) == list(expected[name + '.shape']), name
  return actual.reshape(-1)[::int(expected[name + '.stride'])]


def check_array(actual, expected, name, tolerance=None):
  """Compares with a stored array that may be subsampled.

  Args:
    actual: the full array.
    expected: {key: array} of the archive; `<name>.stride` says that only every
      stride-th element was kept.
    name: the key.
    tolerance: largest difference; None: 2e-4 of the standard deviation plus
      1e-5. Whole numbers must be equal.
  """
  want = expected[name]
  if tolerance is None:
    tolerance = 2e-4 * want.std() + 1e-5
  actual = stored_part(actual, expected, name)
  assert actual.shape == want.shape, (name, actual.shape, want.shape)
  if np.issubdtype(want.dtype, np.integer):
    tolerance = 0
  np.testing.assert_allclose(actual, want, rtol=0, atol=tolerance, err_msg=name)
