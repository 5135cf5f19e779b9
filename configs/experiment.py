"""What all experiments share: the top of the tree and its cross-checks."""

import dataclasses
from typing import ClassVar, Iterator, Optional, Set, Tuple

from configs import backbones
from configs import base
from configs import common
from configs import effects
from configs import model_checks
from configs import parts
from configs import restrictions
from configs import training_checks


@dataclasses.dataclass(frozen=True)
@parts.with_sections(backbones.BACKBONES)
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
  train: common.Train = common.Train()
  eval: common.Eval = common.Eval()
  predict: common.Predict = common.Predict()

  # These belong to the class and are not keys.
  RESTRICTIONS: ClassVar[Tuple[str, ...]] = (
      'architecture.min_level <= architecture.max_level',)
  EVAL_TYPES: ClassVar[Tuple[str, ...]] = ('customized',)
  EFFECTS: ClassVar[Tuple[effects.Rule, ...]] = (
      model_checks.RULES + training_checks.RULES)

  def problems(self, trains: bool = True) -> Iterator[str]:
    """Yields a sentence for every contradiction between keys.

    Args:
      trains: whether to look at what only training needs, too.
    """
    for restriction in self.RESTRICTIONS:
      problem = restrictions.problem(self, restriction)
      if problem:
        yield problem
    yield from model_checks.problems(self)
    yield from training_checks.problems(self, trains)
    if self.eval.type not in self.EVAL_TYPES:
      yield ('eval.type (%r) does not fit type (%r), which has: %s.' % (
          self.eval.type, self.type, ', '.join(map(repr, self.EVAL_TYPES))))

  def notes(self, given: Set[str]) -> Iterator[str]:
    """Yields a sentence for every key that does not do what it seems to.

    Args:
      given: {dotted key} that a person wrote; what other keys do without is
        not worth a note.
    """
    inert = {key: note for key, note in base.inert_notes(self).items()
             if key in given}
    yield from inert.values()
    for name, value in base.flatten(self).items():
      if name.endswith('dataset_type') and value == 'sstable':
        yield '%s: sstable is read as tfrecord.' % name
    # One note for a key is enough.
    yield from effects.notes(self, given - set(inert), self.EFFECTS)
    yield from model_checks.notes(self, given)
    yield from training_checks.notes(self, given)
