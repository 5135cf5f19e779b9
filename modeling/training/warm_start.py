"""Warm start: variables of a model taken from another model's checkpoint."""

import re
from typing import Any, Dict, List, NamedTuple, Tuple

import tensorflow.compat.v1 as tf

from configs import base
from modeling import checkpoint_files
from modeling.training import training_variables
from ops import tensor_types
from utils import training_names


class WarmStart(NamedTuple):
  """The plan of a warm start: which variables get which stored values.

  Attributes:
    path: path of the checkpoint.
    assignment: {name in the checkpoint: variable}.
    begun: {name in the checkpoint: average}: averages of weights that begin
      with the values of their variables.
    missing: names of variables that are not in the checkpoint.
    mis_shaped: (variable name, shape here, shape there).
    skipped: names of variables that skip_variables_regex matches.
    unused: names in the checkpoint that no variable has.
    notes: sentences for people.
  """
  path: str
  assignment: Dict[str, tf.Variable]
  begun: Dict[str, str]
  missing: List[str]
  mis_shaped: List[Tuple[str, List[int], List[int]]]
  skipped: List[str]
  unused: List[str]
  notes: List[str]


# Sets of variables that are useful only if complete: {name of a count: suffix
# of the sums or averages that it counts}.
_COUNTED = {training_names.NUM_AVERAGED: training_names.AVERAGE,
            training_names.NUM_ACCUMULATED: training_names.ACCUMULATED_GRADIENT}


class WarmStartError(ValueError):
  """train.checkpoint names no checkpoint, or one of which nothing fits."""


def resolve_path(path: str) -> str:
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
    latest = checkpoint_files.latest(path)
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


def averages_begun(reader: Any) -> bool:
  """Whether the averages in a checkpoint have begun; before, they are zeros.

  Args:
    reader: from tf.train.load_checkpoint.
  """
  if not reader.has_tensor(training_names.NUM_AVERAGED):
    return True  # Of another program, which begins them in its own way.
  return reader.get_tensor(training_names.NUM_AVERAGED) > 0


def first_step(section: base.Section, total_steps: int) -> int:
  """The step that training begins at in an empty folder.

  Args:
    section: `train.checkpoint`.
    total_steps: int, `train.total_steps`.

  Returns:
    int: with `section.restore_optimizer_state` that of the checkpoint.

  Raises:
    WarmStartError: when there is no such checkpoint, or nothing is left to
      train.
  """
  if not section.path:
    return 0
  path = resolve_path(section.path)
  stored = _stored_name(section, tf.GraphKeys.GLOBAL_STEP)
  reader = tf.train.load_checkpoint(path)
  if (stored is None or _is_skipped(section, stored)
      or not reader.has_tensor(stored)):
    return 0
  step = int(reader.get_tensor(stored))
  if step >= total_steps:
    raise WarmStartError(
        'train.checkpoint.restore_optimizer_state: the checkpoint %s is from '
        'step %d, and training ends at step %d (train.total_steps), so there '
        'is nothing to train. Raise train.total_steps, or set '
        'restore_optimizer_state to false to begin at step 0 with the weights.'
        % (path, step, total_steps))
  return step


def _stored_name(section, name):
  """The name in the checkpoint of a variable, or None: it is not taken."""
  found = re.match(section.prefix or '', name)
  if not found or (training_names.is_bookkeeping(name)
                   and not section.restore_optimizer_state):
    return None
  return name[found.end():]


def _is_skipped(section, stored):
  return bool(section.skip_variables_regex
              and re.match(section.skip_variables_regex, stored))


def plan_warm_start(section: base.Section,
                    variables: tensor_types.Variables) -> WarmStart:
  """Decides which variables come from the checkpoint.

  A variable is looked up under its name without `section.prefix`: the prefix is
  what this model has and the checkpoint lacks, such as 'resnet50/'. Variables
  outside of the prefix keep their initial values. The global step and the
  optimizer's variables are left alone unless
  `section.restore_optimizer_state` is set, for otherwise fine-tuning would
  begin at the last step of the checkpoint and end at once.

  Args:
    section: `train.checkpoint`.
    variables: [tf.Variable], all global variables.

  Returns:
    WarmStart.

  Raises:
    WarmStartError: when there is no such checkpoint, or nothing matches.
  """
  path = resolve_path(section.path)
  reader = tf.train.load_checkpoint(path)
  shapes = reader.get_variable_to_shape_map()
  plan = WarmStart(path, {}, {}, [], [], [], [], [])
  by_name = training_variables.by_name(variables)
  takes_averages = _choose_weights(section, reader, shapes, plan)
  for name, variable in by_name.items():
    stored = _stored_name(section, name)
    if stored is None or (takes_averages and _is_of_averages(name)):
      continue
    source = _source(stored, shapes) if takes_averages else stored
    if _is_skipped(section, stored):
      plan.skipped.append(name)
    elif source not in shapes:
      plan.missing.append(name)
    elif not variable.shape.is_compatible_with(shapes[source]):
      plan.mis_shaped.append((name, variable.shape.as_list(), shapes[source]))
    else:
      plan.assignment[source] = variable
  _drop_without_owner(plan, by_name)
  _drop_parts(plan, by_name)
  _begin_averages(plan, by_name)
  _check_matches(section, plan, by_name)
  used = set(plan.assignment) | set(map(training_names.owner, plan.assignment))
  plan.unused.extend(sorted(n for n in shapes if n not in used
                            and not training_names.is_bookkeeping(n)))
  return plan


def _choose_weights(section, reader, shapes, plan):
  """Whether averages replace the weights; adds a note."""
  wanted = section.use_moving_average
  if not any(_is_kind(name, training_names.AVERAGE) for name in shapes):
    plan.notes.append('The weights are used: it has no moving averages%s.' % (
        ', although train.checkpoint.use_moving_average is true' if wanted
        else ''))
    return False
  if wanted is None:
    wanted = (training_names.NUM_AVERAGED in shapes
              and not section.restore_optimizer_state)
  if wanted and not averages_begun(reader):
    plan.notes.append('The weights are used: their moving averages have not '
                      'begun.')
    return False
  plan.notes.append(
      'The moving averages of the weights are used as the weights '
      '(train.checkpoint.use_moving_average: false uses the weights '
      'themselves).' if wanted else
      'The weights are used, not their moving averages, which it has, too '
      '(train.checkpoint.use_moving_average: true uses those).')
  return wanted


def _source(stored, shapes):
  """Where the average of a variable is, or, if it has none, the variable."""
  average = '%s/%s' % (stored, training_names.AVERAGE)
  return average if average in shapes else stored


def _is_kind(name, suffix):
  return name.endswith('/' + suffix)


def _is_of_averages(name):
  return (_is_kind(name, training_names.AVERAGE)
          or name == training_names.NUM_AVERAGED)


def _taken(plan):
  """{variable name: its name in the checkpoint}."""
  return {training_variables.name_of(v): stored
          for stored, v in plan.assignment.items()}


def _drop_without_owner(plan, by_name):
  """Leaves out the momentum of a variable that is not taken itself."""
  taken = _taken(plan)
  for name, stored in taken.items():
    owner = training_names.owner(name)
    if owner in by_name and owner not in taken:
      del plan.assignment[stored]
      plan.skipped.append(name)


def _drop_parts(plan, by_name):
  """Leaves out incomplete sets, such as some but not all of the averages."""
  taken = _taken(plan)
  for count, suffix in _COUNTED.items():
    names = [n for n in by_name if n == count or _is_kind(n, suffix)]
    lacking = [n for n in names if n not in taken]
    for name in names:
      if lacking and name in taken:
        del plan.assignment[taken[name]]
    if lacking and len(lacking) < len(names):
      plan.notes.append('%s start over: the checkpoint lacks %s.' % (
          suffix, lacking[0]))


def _begin_averages(plan, by_name):
  """Averages that are not taken begin as their variables do."""
  taken = _taken(plan)
  for stored, variable in plan.assignment.items():
    name = training_variables.name_beside(variable, training_names.AVERAGE)
    if name in by_name and name not in taken:
      plan.begun[stored] = by_name[name]
  if plan.begun:
    begun = set(map(training_variables.name_of, plan.begun.values()))
    plan.missing[:] = [n for n in plan.missing if n not in begun]
    plan.notes.append('The moving averages begin as the loaded weights.')


def _check_matches(section, plan, by_name):
  """Raises where no variable of the model matches, or empties the plan."""
  if any(not training_names.is_bookkeeping(training_variables.name_of(v))
         for v in plan.assignment.values()):
    return
  if not section.allow_no_match:
    raise WarmStartError(_no_match_message(section, plan, by_name))
  # From scratch: without the step and momenta of other weights.
  plan.assignment.clear()
  plan.begun.clear()
  del plan.notes[:]


def _no_match_message(section, plan, by_name):
  here = [n for n in by_name if not training_names.is_bookkeeping(n)]
  there = sorted(
      n for n in tf.train.load_checkpoint(plan.path)
      .get_variable_to_shape_map() if not training_names.is_bookkeeping(n))
  reason = _other_depth(here, there)
  if plan.skipped:
    reason += (' train.checkpoint.skip_variables_regex %r skips %d of them.' % (
        section.skip_variables_regex, len(plan.skipped)))
  return (
      'train.checkpoint: no variable of the model is in the checkpoint %s with '
      'train.checkpoint.prefix %r.%s The model has names such as %s; the '
      'checkpoint has %s. The prefix is the part that only the model has. (Set '
      'train.checkpoint.allow_no_match to train from scratch nevertheless.)'
      % (plan.path, section.prefix, reason, ', '.join(here[:3]),
         ', '.join(there[:3])))


def _other_depth(here, there):
  """A sentence where only a number in their first parts tells names apart."""
  def first_parts(names):
    return {re.sub(r'\d+', '', part): part
            for part in sorted({n.split('/')[0] for n in names if '/' in n})}
  ours, theirs = first_parts(here), first_parts(there)
  for kind, part in ours.items():
    other = theirs.get(kind, part)
    if kind != part and other != part:
      return (' The model has %s and the checkpoint %s: weights of another '
              'depth do not fit, whatever the prefix; configure that depth.' % (
                  part, other))
  return ''


def describe(plan: WarmStart) -> List[str]:
  """Lines about the variables that are loaded, and why others are not."""
  lines = ['Warm start from %s: %d variables loaded, %d not in the checkpoint, '
           '%d of another shape, %d skipped by train.checkpoint.'
           'skip_variables_regex; %d variables of the checkpoint unused.' % (
               plan.path, len(plan.assignment), len(plan.missing),
               len(plan.mis_shaped), len(plan.skipped), len(plan.unused))]
  lines += ['  %s' % note for note in plan.notes]
  other_depth = _other_depth(plan.missing, plan.unused)
  if other_depth:
    lines.append(' ' + other_depth)
  lines += ['  not in the checkpoint: %s' % n for n in plan.missing]
  lines += ['  of another shape: %s is %s here, %s in the checkpoint' % entry
            for entry in plan.mis_shaped]
  lines += ['  skipped: %s' % n for n in plan.skipped]
  lines += ['  unused: %s' % n for n in plan.unused]
  return lines


def warm_start(section: base.Section, variables: tensor_types.Variables,
               total_steps: int) -> WarmStart:
  """Makes the variables' initial values come from the checkpoint.

  A checkpoint in model_dir still wins: it is restored after initialisation.
  Replicas of a distribution strategy do it once, outside of their contexts.

  Args:
    section: see `plan_warm_start`.
    variables: likewise.
    total_steps: int, `train.total_steps`.

  Returns:
    The WarmStart that was applied.

  Raises:
    WarmStartError: see `plan_warm_start` and `first_step`.
  """
  first_step(section, total_steps)
  plan = plan_warm_start(section, variables)
  for line in describe(plan):
    tf.logging.info('%s', line)
  if section.skip_variables_regex and not plan.skipped:
    tf.logging.warning(
        'train.checkpoint.skip_variables_regex (%r) skips nothing. It is '
        'matched at the start of the names that the checkpoint has%s.',
        section.skip_variables_regex,
        ', without %r' % section.prefix if section.prefix else '')
  for assignment in (plan.assignment, plan.begun):
    if assignment:
      tf.train.init_from_checkpoint(plan.path, dict(assignment))
  return plan
