"""Image classification: trains the backbones that detectors start from."""

import dataclasses
from typing import Optional, Tuple

from configs import base
from configs import common
from configs import decoders
from configs import effects
from configs import experiment


@dataclasses.dataclass(frozen=True)
class ClassificationArchitecture(common.Architecture):
  """YAML section `architecture` of classification."""
  parser: str = base.option(
      'classification_parser', choices=('classification_parser',))
  # ImageNet labels are 1 to 1000; 0 is not used.
  num_classes: int = base.option(
      1001, at_least=2, at_most=common.MOST_CLASSES)
  # Published files set it.
  multilevel_features: Optional[str] = base.option(
      None, choices=tuple(decoders.DECODERS),
      inert='classification has no decoder')


@dataclasses.dataclass(frozen=True)
class ClassificationParser:
  """YAML section `classification_parser`: from a record to image and label."""
  output_size: Tuple[int, int] = base.option((224, 224), at_least=1)
  aug_rand_hflip: bool = True
  # (+) 'v0': AutoAugment for ImageNet, arXiv:1805.09501; 'randaug':
  # RandAugment, arXiv:1909.13719; '': neither.
  autoaugment_name: str = base.option('', choices=('', 'v0', 'randaug'))
  randaug_num_layers: int = base.option(2, at_least=1)  # (+) of randaug
  randaug_magnitude: float = base.option(10., at_least=0)  # (+) likewise


@dataclasses.dataclass(frozen=True)
class ClassificationHead:
  """YAML section `classification_head`."""
  # top: the coarsest level; all: the mean over all of them.
  aggregation: str = base.option('top', choices=('top', 'all'))
  endpoints_num_filters: int = base.option(0, at_least=0)  # 0: no convolution
  dropout_rate: float = base.option(0., at_least=0, below=1)


@dataclasses.dataclass(frozen=True)
class ClassificationTrain(common.Train):
  """YAML section `train`: 90 epochs of ImageNet."""
  train_batch_size: int = base.option(1024, at_least=1)
  total_steps: int = base.option(112603, at_least=0)
  iterations_per_loop: int = base.option(1000, at_least=1)
  learning_rate: common.LearningRate = common.LearningRate(
      type='cosine', warmup_learning_rate=0., warmup_steps=6255,
      init_learning_rate=0.4, learning_rate_levels=(0.04, 0.004, 0.0004),
      learning_rate_steps=(37534, 75069, 100091))
  label_smoothing: float = base.option(0., at_least=0, below=1)


@dataclasses.dataclass(frozen=True)
class Classification(experiment.Experiment):
  """The configuration of --model=classification."""
  type: str = 'classification'
  architecture: ClassificationArchitecture = ClassificationArchitecture()
  batch_norm_activation: common.BatchNormActivation = (
      common.BatchNormActivation(batch_norm_momentum=0.9,
                                 batch_norm_epsilon=1e-5))
  classification_parser: ClassificationParser = ClassificationParser()
  classification_head: ClassificationHead = ClassificationHead()
  train: ClassificationTrain = ClassificationTrain()
  eval: common.Eval = common.Eval(eval_batch_size=1024, eval_samples=50000)

  EFFECTS = experiment.Experiment.EFFECTS + tuple(
      effects.Rule(
          ('classification_parser.' + key,),
          effects.unless(
              lambda c: c.classification_parser.autoaugment_name == 'randaug',
              'classification_parser.autoaugment_name'))
      for key in ('randaug_num_layers', 'randaug_magnitude'))
