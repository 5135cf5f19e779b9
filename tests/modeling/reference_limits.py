"""How far a model may be from a reference case.

The limits are those that came with the reference, or four times what another
rounding of weights and pixels changed in this very case, if that is more
(`noise_rounding_proxy` of its case.json). Numbers of regions are the exception:
the noise of a case has them in whatever order they came. tests/data/README.md
has what was measured instead.
"""

import re

from utils import fields

SCORES, BOXES, MASKS = 1e-4, 1e-2, 1e-3  # boxes in pixels
STATISTICS = 1e-4  # relative, of endpoints
# The same of the one largest value, in training.
LARGEST_IN_TRAINING = 4e-3
_TRAINING_BOXES = 4e-2  # pixels, of proposals
_TIE = 1e-5        # scores that may change places

# Relative, of the total loss before three steps.
_TOTAL_LOSSES = (2e-4, 1e-3, 5e-3)
_MOVING, _TRAINED = 1e-3, 1e-5  # relative, lengths of variables after the steps
_GRADIENT = 3e-2                # relative
# Three steps with a momentum of 0.9 add up a gradient so often.
_NUM_GRADIENTS = 1. + 1.9 + 2.71

# Numbers of regions in training, of their standard deviation: of all of them,
# four times what was measured on either runtime (single ones lie where rounding
# decides), and of 99 % of them.
_OF_ROIS = 2.2e-2
_OF_MOST_ROIS = {'': 4e-3, '_0': 4e-3, '_1': 1.4e-2, '_2': 2.2e-2}
MOST = .99
_BY_ROI = re.compile(r'(?:class|box)_(?:outputs|targets)(_\d)?$')
# Outputs in training of which single pixels may have twice the limit.
_SINGLE_PIXELS = (fields.FINE_MASK_LOGITS,)
# A hundredth of a pixel at the edge of a mask.
_MASK_TARGETS = 2e-2

# Proposals in training that others may take the place of, by case: rounding
# decides which of two that overlap is kept. No other case has one.
_EXCHANGED = {'cascade_mask_rcnn_resnet50': 1}


def _wide(limit, noise):
  """A limit, or four times the noise of a case if that is more."""
  return max(limit, 4. * noise)


class Prediction:
  """Limits of the prediction graph of a ReferenceCase."""
  boxes, scores, tie = BOXES, SCORES, _TIE

  def __init__(self, case):
    self._noise = case.settings['predict']['noise_rounding_proxy']

  def output(self, name, level, std):
    """Absolute, of an output with a standard deviation."""
    if name == fields.RPN_ROIS:
      return self.boxes
    if name == fields.RPN_ROI_SCORES:
      return self.scores
    return _wide(2e-4 * std + 1e-5, self._noise[name + level]['max_abs_diff'])

  def most(self, name, level, std):
    """None: no output has a second limit."""
    del name, level, std


class Training:
  """Limits of the training graph of a ReferenceCase."""

  def __init__(self, case):
    training = case.settings['train']
    self._noise = training['noise_rounding_proxy']
    self._outputs = training['outputs_noise_rounding_proxy']
    self._rate = training['learning_rate']
    scores = self._outputs.get(fields.RPN_ROI_SCORES, {'max_abs_diff': 0.})
    # Sorted scores have a noise, and boxes depend on rounding as they do.
    self.scores = _wide(SCORES, scores['max_abs_diff'])
    self.tie = _wide(_TIE, scores['max_abs_diff'])
    self._scale = self.scores / SCORES
    self.statistics = STATISTICS * self._scale
    self.boxes = _TRAINING_BOXES * self._scale
    self.mask_targets = _MASK_TARGETS
    if self._scale > 1.:
      self.boxes *= 2.  # On TensorFlow 2.15, one of 160 needs 1.15 of it.
      self.mask_targets = _wide(
          _MASK_TARGETS, self._outputs[fields.MASK_TARGETS]['max_abs_diff'])
    self.num_exchanged = _EXCHANGED.get(case.settings['case'], 0)

  def output(self, name, level, std):
    """Absolute, of an output with a standard deviation."""
    known = {fields.RPN_ROIS: self.boxes, fields.RPN_ROI_SCORES: self.scores,
             fields.MASK_TARGETS: self.mask_targets}
    if name in known:
      return known[name]
    if level or not _BY_ROI.match(name):
      factor = 2. if name in _SINGLE_PIXELS else 1.
      return factor * self._of_noise(name, level, std)
    return _OF_ROIS * self._scale * std + 1e-5

  def most(self, name, level, std):
    """Absolute, of a share of MOST of an output of regions; else None."""
    if name in _SINGLE_PIXELS:
      return self._of_noise(name, level, std)
    of_rois = _BY_ROI.match(name)
    if level or not of_rois:
      return None
    return _OF_MOST_ROIS[of_rois.group(1) or ''] * self._scale * std + 1e-5

  def _of_noise(self, name, level, std):
    return _wide(2e-4 * std + 1e-5, self._outputs[name + level]['max_abs_diff'])

  def loss(self, name):
    """Relative, of a component of the first evaluation."""
    # Stages of a cascade work on boxes that are rounded.
    limit = 1e-3 if re.match(r'fast_rcnn_box_loss_\d$', name) else 2e-4
    return _wide(limit, max(self._noise['losses_rel'].values()))

  def total_losses(self):
    """Relative, before each of the steps; noise of one is in the next, too."""
    noises = self._noise['losses_over_steps_rel']
    return [_wide(limit, max(noises[:i + 1]))
            for i, limit in enumerate(_TOTAL_LOSSES)]

  def gradient_norm(self):
    """Relative, of all gradients together."""
    return _wide(5e-3, self._noise['global_gradient_norm_rel'])

  def gradient(self, expected, norm):
    """Absolute, of the length of one gradient; `norm` is that of all."""
    if expected > 1e-3 * norm:
      return expected * _wide(_GRADIENT, self._noise['gradient_l2_max_rel'])
    return norm * _wide(3e-3, self._noise['gradient_l2_max_abs_over_global'])

  def gradient_dot(self, norm):
    """Absolute, of the inner product of a gradient and its variable."""
    return norm * _wide(
        5e-3, self._noise['gradient_dot_variable_max_abs_over_global'])

  def length(self, name, expected, gradient):
    """Absolute, of a variable after the steps; it moved along `gradient`."""
    relative = _MOVING * self._scale if '/moving_' in name else _TRAINED
    return (1e-6 + relative * expected
            + _GRADIENT * _NUM_GRADIENTS * self._rate * (gradient or 0.))
