"""What all experiments share: the top of the tree and its cross-checks."""

import dataclasses
from typing import Optional

from configs import backbones
from configs import base
from configs import common
from configs import restrictions
from configs import training_checks


@dataclasses.dataclass(frozen=True)
class Experiment:
  """The whole configuration of a model; `type` says of which."""
  type: str = ''
  model_dir: str = ''  # checkpoints, params.yaml, events and results
  use_tpu: bool = True  # main.py: true only with --use_tpu or --tpu
  isolate_session_state: bool = False
  enable_summary: bool = False  # all scalars of the model, every step
  tpu_job_name: Optional[str] = None  # (+) name of the TPU worker job
  platform: common.Platform = common.Platform()
  architecture: common.Architecture = common.Architecture()
  batch_norm_activation: common.BatchNormActivation = (
      common.BatchNormActivation())
  dropblock: common.DropBlock = common.DropBlock()
  resnet: backbones.ResNet = backbones.ResNet()
  spinenet: backbones.SpineNet = backbones.SpineNet()
  spinenet_mbconv: backbones.SpineNetMBConv = backbones.SpineNetMBConv()
  train: common.Train = common.Train()
  eval: common.Eval = common.Eval()
  predict: common.Predict = common.Predict()

  # No annotations: these belong to the class and are no keys.
  RESTRICTIONS = ('architecture.min_level <= architecture.max_level',)
  EVAL_TYPES = ('customized',)

  def problems(self):
    """Yields a sentence for every contradiction between keys."""
    for restriction in self.RESTRICTIONS:
      problem = restrictions.problem(self, restriction)
      if problem:
        yield problem
    yield from _learning_rate_problems(self.train.learning_rate)
    yield from _accelerator_problems(self.architecture, self.train)
    yield from training_checks.problems(self)
    if (self.dropblock.dropblock_keep_prob is None) != (
        self.dropblock.dropblock_size is None):
      yield ('dropblock.dropblock_keep_prob (%r) and dropblock.dropblock_size '
             '(%r) must be given together.' % (
                 self.dropblock.dropblock_keep_prob,
                 self.dropblock.dropblock_size))
    if self.eval.type not in self.EVAL_TYPES:
      yield ('eval.type (%r) does not fit type (%r), which has: %s.' % (
          self.eval.type, self.type, ', '.join(map(repr, self.EVAL_TYPES))))

  def notes(self):
    """Yields a sentence for every key that does not do what it seems to."""
    yield from base.inert_notes(self)
    for name, value in base.flatten(self).items():
      if name.endswith('dataset_type') and value == 'sstable':
        yield '%s: sstable is read as tfrecord.' % name
    yield from training_checks.notes(self)
    steps = self.train.learning_rate.learning_rate_steps
    if self.train.learning_rate.type == 'step' and list(steps) != sorted(steps):
      yield ('train.learning_rate.learning_rate_steps %s do not rise; the '
             'last one reached decides.' % list(steps))


def _learning_rate_problems(section):
  levels, steps = section.learning_rate_levels, section.learning_rate_steps
  # The cosine schedule uses neither.
  if section.type == 'step' and len(levels) != len(steps):
    yield ('train.learning_rate.learning_rate_levels %s (%d) and '
           'train.learning_rate.learning_rate_steps %s (%d) must have the '
           'same length.' % (list(levels), len(levels), list(steps),
                             len(steps)))


def _accelerator_problems(architecture, train):
  block_size = architecture.space_to_depth_block_size
  if block_size > 1 and architecture.backbone != 'resnet':
    yield ('architecture.space_to_depth_block_size (%d) needs the stem of '
           "'resnet', but architecture.backbone is %r."
           % (block_size, architecture.backbone))
  dims = train.input_partition_dims
  if dims is None:
    return
  if block_size > 1:
    yield ('architecture.space_to_depth_block_size (%d) and '
           'train.input_partition_dims (%s) do not work together.'
           % (block_size, _lists(dims)))
  if train.num_cores_per_replica is None:
    yield ('train.input_partition_dims (%s) needs '
           'train.num_cores_per_replica, which is null.' % _lists(dims))
  for entry in dims:
    if not (entry in (None, 'None') or (
        isinstance(entry, tuple) and len(entry) == 4
        and all(isinstance(d, int) for d in entry))):
      yield ('train.input_partition_dims: each entry is null or a list of '
             'four integers (batch, height, width, channels), not %r.'
             % (_lists(entry),))


def _lists(value):
  return [_lists(v) for v in value] if isinstance(value, tuple) else value
