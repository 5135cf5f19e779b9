"""Contradictions between the keys of training and its evaluation."""

from typing import Iterator, Set

from configs import base
from configs import effects
from configs import metric_names

_WITH_MOMENTUM = ('momentum', 'rmsprop', 'lars')


def problems(config: base.Config, trains: bool = True) -> Iterator[str]:
  """Yields a sentence for every contradiction.

  Args:
    config: experiment.
    trains: whether it is to train.
  """
  if trains:
    yield from _batch_problems(config.train)
    yield from _optimizer_problems(config.train)
    yield from _schedule_problems(config.train)
  yield from _early_stop_problems(config.eval)
  yield from _metric_problems(config)


def _batch_problems(train):
  if train.train_batch_size % train.accumulation_steps:
    yield ('train.train_batch_size (%d) must be a multiple of '
           'train.accumulation_steps (%d): a batch is computed in that many '
           'parts.' % (train.train_batch_size, train.accumulation_steps))
  if train.accumulation_steps > 1 and train.host_call_every_n_steps > 1:
    yield ('train.host_call_every_n_steps (%d) must be 1 with '
           'train.accumulation_steps (%d): it counts parts of batches, and '
           'could always meet those that make no step.' % (
               train.host_call_every_n_steps, train.accumulation_steps))
  if not train.total_steps:
    yield ('train.total_steps (0) must be at least 1: there would be nothing '
           'to train.')


def _optimizer_problems(train):
  optimizer = train.optimizer
  if optimizer.type == 'lars' and train.l2_weight_decay:
    yield ("train.optimizer.type ('lars') decays the weights itself, by "
           'train.optimizer.lars.weight_decay (%g); train.l2_weight_decay (%g) '
           'must be 0.' % (optimizer.lars.weight_decay, train.l2_weight_decay))


def _schedule_problems(train):
  section = train.learning_rate
  if not section.init_learning_rate:
    yield ('train.learning_rate.init_learning_rate (0) must be greater than '
           '0: at that rate nothing is learnt.')
  levels, steps = section.learning_rate_levels, section.learning_rate_steps
  if section.type != 'step':
    return  # The cosine schedule uses neither.
  if len(levels) != len(steps):
    yield ('train.learning_rate.learning_rate_levels %s (%d) and '
           'train.learning_rate.learning_rate_steps %s (%d) must have the '
           'same length.' % (list(levels), len(levels), list(steps),
                             len(steps)))
  elif 0 in levels:
    yield ('train.learning_rate.learning_rate_levels %s must be greater than '
           '0: from step %d on nothing would be learnt. train.total_steps (%d) '
           'ends a training run earlier.' % (
               list(levels), steps[levels.index(0)], train.total_steps))


def _early_stop_problems(section):
  if section.early_stop_patience and not section.best_metric:
    yield ('eval.early_stop_patience (%d) needs eval.best_metric, which is '
           'empty: the metric that no longer improves.'
           % section.early_stop_patience)
  if section.part >= section.num_parts:
    yield ('eval.part (%d) counts from 0 to eval.num_parts (%d) - 1.' % (
        section.part, section.num_parts))
  if section.num_parts > 1 and section.type == 'customized':
    yield ('eval.num_parts (%d) is for detectors; eval.type is customized.'
           % section.num_parts)
  if section.early_stop_min_delta and not section.early_stop_patience:
    yield ('eval.early_stop_min_delta (%g) needs eval.early_stop_patience, '
           'which is null.' % section.early_stop_min_delta)


def _metric_problems(config):
  name, section = config.eval.best_metric, config.eval
  metrics = metric_names.of_experiment(config)
  losses = metric_names.losses(config)
  if not name or not metrics:
    return
  if name in losses:
    if section.skip_eval_loss:
      yield ('eval.best_metric (%r) is a loss, and eval.skip_eval_loss (true) '
             'leaves losses out of the evaluation.' % name)
  elif not (name in metrics or metric_names.is_of_one_class(config, name)
            or metric_names.is_extra(config, name)):
    yield ('eval.best_metric (%r) is not a metric of eval.type (%r) with type '
           '%r; these are: %s.' % (
               name, section.type, config.type,
               ', '.join(metrics + list(losses))))


def _metric_notes(config):
  name, mode = config.eval.best_metric, config.eval.best_metric_mode
  best = 'min' if name in metric_names.losses(config) else 'max'
  if name and mode != best:
    yield ('eval.best_metric_mode is %r, but eval.best_metric (%r) is better '
           'the %s it is: the worst checkpoint counts as the best.' % (
               mode, name, 'lower' if best == 'min' else 'higher'))


def notes(config: base.Config, given: Set[str]) -> Iterator[str]:
  """Yields a sentence for what is probably not meant so.

  Args:
    config: experiment.
    given: {dotted key} that a person wrote.
  """
  section, total = config.train.learning_rate, config.train.total_steps
  name = 'train.learning_rate.'
  steps = section.learning_rate_steps
  if section.type == 'step' and list(steps) != sorted(steps):
    yield ('train.learning_rate.learning_rate_steps %s do not increase; the '
           'last one reached decides.' % list(steps))
  if section.type == 'step' and given & {name + 'learning_rate_steps',
                                         'train.total_steps'}:
    late = [step for step in steps if step >= total]
    if late:
      yield ('train.learning_rate.learning_rate_steps %s: %s not reached '
             'before train.total_steps (%d).' % (
                 list(steps), ' and '.join(map(str, late)) + (
                     ' is' if len(late) == 1 else ' are'), total))
  if (section.warmup_steps >= total > 0
      and given & {name + 'warmup_steps', 'train.total_steps'}):
    yield ('train.learning_rate.warmup_steps (%d) is not less than '
           'train.total_steps (%d): the training run ends before the rate '
           'reaches train.learning_rate.init_learning_rate (%g).' % (
               section.warmup_steps, total, section.init_learning_rate))
  train = config.train
  if (config.use_tpu and train.save_checkpoints_steps
      and train.save_checkpoints_steps < train.iterations_per_loop
      and given & {'train.save_checkpoints_steps',
                   'train.iterations_per_loop'}):
    yield ('train.save_checkpoints_steps (%d) is less than '
           'train.iterations_per_loop (%d): a TPU returns after a whole loop, '
           'so checkpoints are %d steps apart.' % (
               train.save_checkpoints_steps, train.iterations_per_loop,
               train.iterations_per_loop))
  if given & {'eval.best_metric', 'eval.best_metric_mode'}:
    yield from _metric_notes(config)


RULES = (
    effects.Rule(
        ('train.learning_rate.learning_rate_levels',
         'train.learning_rate.learning_rate_steps'),
        effects.unless(lambda c: c.train.learning_rate.type == 'step',
                       'train.learning_rate.type')),
    effects.Rule(
        ('train.learning_rate.warmup_learning_rate',),
        effects.unless(lambda c: c.train.learning_rate.warmup_steps,
                       'train.learning_rate.warmup_steps')),
    effects.Rule(
        ('train.optimizer.momentum',),
        effects.unless(lambda c: c.train.optimizer.type in _WITH_MOMENTUM,
                       'train.optimizer.type')),
    effects.Rule(
        ('train.optimizer.lars',),
        effects.unless(lambda c: c.train.optimizer.type == 'lars',
                       'train.optimizer.type')),
    effects.Rule(
        ('train.regularization_variable_regex',),
        effects.unless(lambda c: c.train.l2_weight_decay,
                       'train.l2_weight_decay')),
    effects.Rule(
        tuple('train.checkpoint.' + key for key in (
            'prefix', 'skip_variables_regex', 'allow_no_match',
            'restore_optimizer_state', 'use_moving_average')),
        effects.unless(lambda c: c.train.checkpoint.path,
                       'train.checkpoint.path')),
    effects.Rule(
        ('train.pre_parser_dataset',),
        effects.unless(lambda c: c.architecture.pre_parser,
                       'architecture.pre_parser')),
    effects.Rule(
        ('train.save_checkpoints_secs',),
        effects.unless(lambda c: c.train.save_checkpoints_steps is None,
                       'train.save_checkpoints_steps')),
    effects.Rule(
        ('eval.use_moving_average',),
        effects.unless(lambda c: c.train.moving_average_decay,
                       'train.moving_average_decay')),
    effects.Rule(
        ('eval.best_metric_mode', 'eval.keep_best_max'),
        effects.unless(lambda c: c.eval.best_metric, 'eval.best_metric')),
)
