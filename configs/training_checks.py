"""Contradictions between the keys of the training features."""

import dataclasses


def problems(config):
  """Yields a sentence for every contradiction.

  Args:
    config: experiment.
  """
  train, section = config.train, config.eval
  if train.train_batch_size % train.accumulation_steps:
    yield ('train.train_batch_size (%d) must be a multiple of '
           'train.accumulation_steps (%d): a batch is computed in so many '
           'parts.' % (train.train_batch_size, train.accumulation_steps))
  if train.optimizer.type == 'lars' and train.l2_weight_decay:
    yield ("train.optimizer.type ('lars') decays the weights itself, by "
           'train.optimizer.lars.weight_decay (%g); train.l2_weight_decay (%g) '
           'must be 0.' % (train.optimizer.lars.weight_decay,
                           train.l2_weight_decay))
  if section.early_stop_patience and not section.best_metric:
    yield ('eval.early_stop_patience (%d) needs eval.best_metric, which is '
           'empty: the metric that no longer improves.'
           % section.early_stop_patience)
  if section.early_stop_min_delta and not section.early_stop_patience:
    yield ('eval.early_stop_min_delta (%g) needs eval.early_stop_patience, '
           'which is null.' % section.early_stop_min_delta)


def notes(config):
  """Yields a sentence for every key without effect.

  Args:
    config: experiment.
  """
  optimizer = config.train.optimizer
  if optimizer.type != 'lars' and optimizer.lars != type(optimizer.lars)():
    yield ('train.optimizer.lars has no effect: train.optimizer.type is %r.'
           % optimizer.type)
  if not config.eval.best_metric:
    defaults = {f.name: f.default for f in dataclasses.fields(config.eval)}
    for key in ('best_metric_mode', 'keep_best_max'):
      if getattr(config.eval, key) != defaults[key]:
        yield 'eval.%s has no effect: eval.best_metric is empty.' % key
