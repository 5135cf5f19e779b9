"""Warm start: variables of a model taken from another model's checkpoint."""

import collections
import re

import tensorflow.compat.v1 as tf

from utils import training_names

# assignment: {checkpoint name: variable}. missing: [variable name]: not in the
# checkpoint. mis_shaped: [(variable name, shape here, shape there)]. skipped:
# [variable name]: by skip_variables_regex. unused: [checkpoint name].
WarmStart = collections.namedtuple(
    'WarmStart', 'path assignment missing mis_shaped skipped unused')

# Variables of the training alone: of optimizers, accumulation and averages.
_SLOT = re.compile(
    r'.*/(%s)$|^(beta1_power|beta2_power|global_step|%s)$' % (
        '|'.join(training_names.SLOTS), '|'.join(training_names.COUNTERS)))


class WarmStartError(ValueError):
  """train.checkpoint names no checkpoint, or one of which nothing fits."""


def resolve_path(path):
  """The checkpoint prefix of a path that may name a folder.

  Args:
    path: checkpoint prefix ('.../model.ckpt-123'), one of its files, or a
      folder, whose newest checkpoint is meant.

  Returns:
    The prefix.

  Raises:
    WarmStartError: when there is no checkpoint.
  """
  if tf.gfile.IsDirectory(path):
    latest = tf.train.latest_checkpoint(path)
    if not latest:
      raise WarmStartError('train.checkpoint.path: the folder %s holds no '
                           'checkpoint.' % path)
    return latest
  path = re.sub(r'\.(index|meta|data-\d+-of-\d+)$', '', path)
  if not tf.train.checkpoint_exists(path):
    raise WarmStartError(
        'train.checkpoint.path: there is no checkpoint %s (its file %s.index '
        'is not found).' % (path, path))
  return path


def plan_warm_start(section, variables):
  """Decides which variables come from the checkpoint.

  A variable is looked up under its name without `section.prefix`: the prefix is
  what this model has and the checkpoint lacks, such as 'resnet50/'. Variables
  outside of the prefix keep their initial values. The global step and the
  optimizer's variables are left alone unless
  `section.restore_optimizer_state` is set, for otherwise fine-tuning would
  begin at the last step of the checkpoint and end at once.

  Args:
    section: `train.checkpoint`: path, prefix, skip_variables_regex,
      allow_no_match, restore_optimizer_state.
    variables: [tf.Variable], all global variables.

  Returns:
    WarmStart.

  Raises:
    WarmStartError: when there is no such checkpoint, or nothing matches.
  """
  path = resolve_path(section.path)
  reader = tf.train.load_checkpoint(path)
  shapes = reader.get_variable_to_shape_map()
  prefix = re.compile(section.prefix or '')
  skip = (re.compile(section.skip_variables_regex)
          if section.skip_variables_regex else None)
  plan = WarmStart(path, {}, [], [], [], [])
  for variable in variables:
    name = variable.op.name
    found = prefix.match(name)
    if not found or (_SLOT.match(name)
                     and not section.restore_optimizer_state):
      continue
    stored = name[found.end():]
    if skip and skip.match(stored):
      plan.skipped.append(name)
    elif stored not in shapes:
      plan.missing.append(name)
    elif not variable.shape.is_compatible_with(shapes[stored]):
      plan.mis_shaped.append((name, variable.shape.as_list(), shapes[stored]))
    else:
      plan.assignment[stored] = variable
  plan.unused.extend(sorted(
      n for n in shapes if n not in plan.assignment and not _SLOT.match(n)))
  if not plan.assignment and not section.allow_no_match:
    raise WarmStartError(_no_match_message(section, plan, variables))
  return plan


def _no_match_message(section, plan, variables):
  here = [v.op.name for v in variables if not _SLOT.match(v.op.name)]
  return (
      'train.checkpoint: no variable of the model is in the checkpoint %s with '
      'train.checkpoint.prefix %r. The model has names such as %s; the '
      'checkpoint has %s. The prefix is the part that only the model has. (Set '
      'train.checkpoint.allow_no_match to train from scratch all the same.)'
      % (plan.path, section.prefix, ', '.join(here[:3]),
         ', '.join(plan.unused[:3])))


def describe(plan):
  """Lines that say what is loaded, what is not and why."""
  lines = ['Warm start from %s: %d variables loaded, %d not in the checkpoint, '
           '%d of another shape, %d skipped by train.checkpoint.'
           'skip_variables_regex; %d variables of the checkpoint unused.' % (
               plan.path, len(plan.assignment), len(plan.missing),
               len(plan.mis_shaped), len(plan.skipped), len(plan.unused))]
  lines += ['  not in the checkpoint: %s' % n for n in plan.missing]
  lines += ['  of another shape: %s is %s here, %s in the checkpoint' % entry
            for entry in plan.mis_shaped]
  lines += ['  skipped: %s' % n for n in plan.skipped]
  lines += ['  unused: %s' % n for n in plan.unused]
  return lines


def warm_start(section, variables):
  """Makes the variables' initial values come from the checkpoint.

  A checkpoint in model_dir still wins: it is restored after initialisation.

  Args:
    section: see `plan_warm_start`.
    variables: likewise.

  Returns:
    The WarmStart that was applied.
  """
  plan = plan_warm_start(section, variables)
  for line in describe(plan):
    tf.logging.info(line)
  if plan.assignment:
    tf.train.init_from_checkpoint(plan.path, dict(plan.assignment))
  return plan
