"""Names of variables in checkpoints, and of those that only training has."""

import re
from typing import Optional

# Last parts of names, behind the name of the variable that they belong to.
AVERAGE = 'ExponentialMovingAverage'
ACCUMULATED_GRADIENT = 'AccumulatedGradient'
SLOTS = ('Momentum', 'Adam', 'Adam_1', 'Adadelta', 'Adadelta_1', 'Adagrad',
         'RMSProp', 'RMSProp_1', 'LARS', AVERAGE, ACCUMULATED_GRADIENT)

NUM_ACCUMULATED = 'training/num_accumulated'
NUM_AVERAGED = 'training/num_averaged'
COUNTERS = (NUM_ACCUMULATED, NUM_AVERAGED)

_OWNED = re.compile(r'(.+)/(?:%s)$' % '|'.join(SLOTS))
# What belongs to no variable: of Adam, of loss scaling, of the number of
# positives that RetinaNet's losses are divided by.
_ALONE = re.compile(
    r'(beta1_power|beta2_power|global_step|current_loss_scale|good_steps'
    r'|moving_normalizer(/\w+)?|%s)$' % '|'.join(COUNTERS))
_COPY = re.compile(r'/replica_\d+(?=/|$)')


def without_copy(name: str) -> str:
  """The name in a checkpoint of a variable, or of its copy on any device.

  A distribution strategy calls the copy on its second device
  '<variable>/replica_1', and that of a slot '<variable>/Momentum/replica_1'.

  Args:
    name: the name of a variable or operation, with or without ':0'.

  Returns:
    The name without ':0', equal for all copies.
  """
  return _COPY.sub('', name.split(':')[0])


def owner(name: str) -> Optional[str]:
  """The variable that an optimizer's slot or an average belongs to, or None."""
  found = _OWNED.match(name)
  return found.group(1) if found else None


def is_bookkeeping(name: str) -> bool:
  """Whether a variable is of training alone, and not of the model.

  Args:
    name: that of `without_copy`.
  """
  return bool(owner(name) or _ALONE.match(name))
