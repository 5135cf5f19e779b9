"""Sections that every model has. Keys marked (+) are not in the reference."""

import dataclasses
from typing import Any, Optional, Tuple, Union

from configs import backbones
from configs import base
from configs import plugins
from configs import precisions

# The tables are complete from here on; sections and choices are made of them.
plugins.load()

# A glob pattern, several separated by commas, or a list of them.
FilePattern = Union[str, Tuple[str, ...]]
# 'sstable' stands in older files; records are read as TFRecord all the same.
DATASET_TYPES = ('tfrecord', 'sstable')
# More would take sizes beyond 32 bits, as the outputs of all classes and
# anchors are channels of one layer; executor/memory.py says how many fit.
MOST_CLASSES = 10**7
EVAL_TYPES = ('box', 'box_and_mask', 'shapemask_box_and_mask', 'lvis_box',
              'lvis_box_and_mask', 'customized')


@dataclasses.dataclass(frozen=True)
class Platform:
  """YAML section `platform` (+): set by the flags of the same names."""
  tpu: Optional[str] = None
  tpu_zone: Optional[str] = None
  gcp_project: Optional[str] = None
  eval_master: Optional[str] = None


@dataclasses.dataclass(frozen=True)
class Architecture:
  """YAML section `architecture`: which parts make up the model."""
  backbone: str = base.option('resnet', choices=tuple(backbones.BACKBONES))
  min_level: int = base.option(3, at_least=1)  # finest level; stride 2**level
  max_level: int = base.option(7, at_least=1)  # coarsest level
  # Second stream of records for copy-paste; null or '': none.
  pre_parser: Optional[str] = base.option(
      None, choices=('', 'extract_objects_parser'))
  # 2: the host folds 2 x 2 pixels into channels (ResNet on TPU).
  space_to_depth_block_size: int = base.option(1, choices=(1, 2))
  use_bfloat16: bool = True  # activations only; variables stay float32


@dataclasses.dataclass(frozen=True)
class BatchNormActivation:
  """YAML section `batch_norm_activation`: after every convolution."""
  batch_norm_momentum: float = base.option(0.997, at_least=0, below=1)
  batch_norm_epsilon: float = base.option(1e-4, above=0)
  batch_norm_trainable: bool = True  # false: frozen statistics
  use_sync_bn: bool = False  # statistics over all replicas
  activation: str = base.option('relu', choices=('relu', 'relu6', 'swish'))


@dataclasses.dataclass(frozen=True)
class DropBlock:
  """YAML section `dropblock`; arXiv:1810.12890. null: off."""
  dropblock_keep_prob: Optional[float] = base.option(
      None, above=0, at_most=1)
  dropblock_size: Optional[int] = base.option(None, at_least=1)


@dataclasses.dataclass(frozen=True)
class LARS:
  """YAML section `train.optimizer.lars` (+), of type lars; arXiv:1708.03888."""
  trust_coefficient: float = base.option(0.001, above=0)
  weight_decay: float = base.option(1e-4, at_least=0)  # not train.l2_...
  epsilon: float = base.option(1e-9, at_least=0)  # added to the divisor
  # Variables that take plain momentum steps and do not decay.
  excluded_variable_regex: str = base.option(
      r'.*(gamma|beta|bias):0$', pattern=True)


@dataclasses.dataclass(frozen=True)
class Optimizer:
  """YAML section `train.optimizer`."""
  type: str = base.option('momentum', choices=(
      'momentum', 'adam', 'adadelta', 'adagrad', 'rmsprop', 'lars'))
  # Of momentum, rmsprop and lars.
  momentum: float = base.option(0.9, at_least=0, below=1)
  lars: LARS = LARS()  # (+)


@dataclasses.dataclass(frozen=True)
class LearningRate:
  """YAML section `train.learning_rate`; rates for the whole batch."""
  type: str = base.option('step', choices=('step', 'cosine'))
  warmup_learning_rate: float = base.option(0.0067, at_least=0)
  warmup_steps: int = base.option(500, at_least=0)
  init_learning_rate: float = base.option(0.08, at_least=0)
  # type step: from each of these steps on, the level beside it.
  learning_rate_levels: Tuple[float, ...] = base.option(
      (0.008, 0.0008), at_least=0)
  learning_rate_steps: Tuple[int, ...] = base.option(
      (15000, 20000), at_least=0)
  # (+) The batch that all of these rates are meant for; for another one they
  # are scaled in proportion. null: no scaling.
  reference_batch_size: Optional[int] = base.option(None, at_least=1)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
  """YAML section `train.checkpoint`: where training starts from."""
  path: str = ''  # a checkpoint or its folder; '': from scratch
  # Scope of our variables that the checkpoint's names lack: 'resnet50/'.
  prefix: str = base.option('', pattern=True)
  skip_variables_regex: str = base.option('', pattern=True)
  # (+) Without it, a checkpoint of which nothing fits is an error.
  allow_no_match: bool = False
  # (+) Also take momenta, averages and the global step.
  restore_optimizer_state: bool = False
  # (+) Take the moving averages that the checkpoint has as the weights. null:
  # if it was trained here with train.moving_average_decay, and not with
  # restore_optimizer_state, which goes on with weights and averages.
  use_moving_average: Optional[bool] = None


@dataclasses.dataclass(frozen=True)
class PreParserDataset:
  """YAML section `train.pre_parser_dataset`: objects to paste."""
  dataset_type: str = base.option('tfrecord', choices=DATASET_TYPES)
  file_pattern: FilePattern = ''


@dataclasses.dataclass(frozen=True)
class Train:
  """YAML section `train`."""
  train_batch_size: int = base.option(64, at_least=1)  # of all devices
  total_steps: int = base.option(22500, at_least=0)
  iterations_per_loop: int = base.option(100, at_least=1)  # TPU steps per call
  # (+) On a TPU, the steps of a loop whose scalars go to the host: every n-th,
  # from the first on; with enable_summary.
  host_call_every_n_steps: int = base.option(1, at_least=1)
  train_file_pattern: FilePattern = ''
  train_dataset_type: str = base.option('tfrecord', choices=DATASET_TYPES)
  pre_parser_dataset: PreParserDataset = PreParserDataset()
  transpose_input: bool = True  # batch last, the layout TPUs prefer
  optimizer: Optimizer = Optimizer()
  learning_rate: LearningRate = LearningRate()
  l2_weight_decay: float = base.option(1e-4, at_least=0)
  # Variables that decay; null: all trainable ones.
  regularization_variable_regex: Optional[str] = base.option(
      r'.*(kernel|weight):0$', pattern=True)
  gradient_clip_norm: float = base.option(0., at_least=0)  # 0: no clipping
  # Variables whose names start so stay as they are; a regular expression.
  frozen_variable_prefix: Optional[str] = base.option(None, pattern=True)
  checkpoint: Checkpoint = Checkpoint()
  # (+) Without a TPU: float16 (GPUs, with loss scaling) or bfloat16, as on a
  # TPU; auto: bfloat16 on CPUs that are faster in it; null: float32.
  mixed_precision: Optional[str] = base.option(
      None, choices=(
          precisions.FLOAT16, precisions.BFLOAT16, precisions.AUTO))
  use_xla: bool = False  # (+) on GPUs: compile the step with XLA
  # (+) A timeline of one step in so many in model_dir/profile (of one loop of
  # steps on a TPU VM; TPU nodes write none); null: none.
  profile_every_n_steps: Optional[int] = base.option(None, at_least=1)
  # Spatial partitioning: cores for one image, and how they cut each input.
  num_cores_per_replica: Optional[int] = base.option(None, at_least=1)
  input_partition_dims: Optional[Tuple[Any, ...]] = None
  space_to_depth_block_size: int = base.option(
      1, inert='architecture.space_to_depth_block_size decides')
  num_shards: Optional[int] = base.option(None, at_least=1)  # --num_cores
  save_checkpoints_secs: float = base.option(600., above=0)  # (+)
  # (+) Wins over save_checkpoints_secs.
  save_checkpoints_steps: Optional[int] = base.option(None, at_least=1)
  keep_checkpoint_max: int = base.option(5, at_least=0)  # (+) 0: keep all
  log_every_steps: int = base.option(100, at_least=1)  # (+)
  # (+) Seconds between lines of progress; 0: one every log_every_steps.
  log_every_seconds: float = base.option(10., at_least=0)
  # (+) A service that gets the curves too; null: none.
  tracking: Optional[str] = base.option(None, choices=('wandb', 'mlflow'))
  tracking_project: str = 'detection'  # (+) its project or experiment
  # (+) Steps between histograms of the weights in TensorBoard; null: none.
  histograms_every_n_steps: Optional[int] = base.option(None, at_least=1)
  # (+) Steps between images of the input, labels drawn, there; null: none.
  image_summaries_every_n_steps: Optional[int] = base.option(None, at_least=1)
  write_graph: bool = False  # (+) graph.pbtxt, as Estimator writes it
  # (+) Seconds without a step (on a TPU, a loop of them) after which a job says
  # what it waits for, and ends; null: never.
  stall_timeout: Optional[float] = base.option(3600., above=0)
  # (+) A total loss above it counts as divergence; null: none does.
  max_loss: Optional[float] = base.option(None, above=0)
  # (+) How often a diverged run goes back to its last checkpoint, with other
  # records and its learning rates times the factor. Not with several hosts.
  divergence_retries: int = base.option(0, at_least=0)
  divergence_rate_factor: float = base.option(.5, above=0, at_most=1)
  # (+) Seconds from a signal to the end, for the step and its checkpoint.
  stop_timeout: float = base.option(600., above=0)
  seed: Optional[int] = None  # (+) null: other numbers in every run
  # (+) Memory of each host for encoded records among which training draws.
  shuffle_buffer_bytes: int = base.option(2**29, at_least=1)
  shuffle_buffer_size: int = base.option(
      64, at_least=1, inert='train.shuffle_buffer_bytes decides')  # (+)
  # (+) Records parsed at once; null: as many as there are cores.
  num_parallel_calls: Optional[int] = base.option(None, at_least=1)
  # (+) Batches in the same order in every run; null: if there is a seed.
  # false: the first records that are ready, which no slow one delays.
  deterministic_input: Optional[bool] = None
  # (+) Keep the records in memory, for files that are slow to read.
  cache_records: bool = False
  # (+) Decay of the moving average of the weights, such as 0.9998; 0: none.
  moving_average_decay: float = base.option(0., at_least=0, at_most=0.999999)
  # (+) Parts that a batch is computed in, one after the other.
  accumulation_steps: int = base.option(1, at_least=1)
  # (+) Compute the blocks of the backbone again for their gradients.
  recompute_activations: bool = False


@dataclasses.dataclass(frozen=True)
class Eval:
  """YAML section `eval`."""
  type: str = base.option('customized', choices=EVAL_TYPES)
  eval_batch_size: int = base.option(8, at_least=1)
  # Records to evaluate; null: all.
  eval_samples: Optional[int] = base.option(5000, at_least=1)
  # (+) Number format of evaluations and predictions, however they are started
  # and whatever training uses; float16 needs a GPU; auto: the faster one of the
  # other two.
  precision: str = base.option(
      precisions.FLOAT32, choices=(
          precisions.FLOAT32, precisions.BFLOAT16, precisions.FLOAT16,
          precisions.AUTO))
  eval_file_pattern: FilePattern = ''
  eval_dataset_type: str = base.option('tfrecord', choices=DATASET_TYPES)
  skip_eval_loss: bool = False  # no losses, for which labels need targets
  num_steps_per_eval: int = base.option(1000, at_least=1)  # train_and_eval
  min_eval_interval: float = base.option(180., at_least=0)  # seconds
  # Seconds to wait for a new checkpoint; null: forever.
  eval_timeout: Optional[float] = base.option(None, at_least=0)
  # (+) Seconds without a batch after which an evaluation or prediction says
  # what it waits for, and ends; null: never.
  stall_timeout: Optional[float] = base.option(3600., above=0)
  suffix: str = ''  # results go to model_dir/eval<suffix>
  # (+) Evaluate all checkpoints that are found, not only the newest.
  eval_every_checkpoint: bool = False
  # (+) Label map of a converter: names of classes in tables and images.
  label_map: Optional[str] = None
  # (+) The averages of train.moving_average_decay; false: the weights.
  use_moving_average: bool = True
  # (+) Metric by which the best checkpoints are kept, such as AP; '': none.
  best_metric: str = ''
  best_metric_mode: str = base.option('max', choices=('max', 'min'))  # (+)
  keep_best_max: int = base.option(1, at_least=1)  # (+) best checkpoints
  # (+) Evaluations in a row without a better value that end the training.
  early_stop_patience: Optional[int] = base.option(None, at_least=1)
  early_stop_min_delta: float = base.option(0., at_least=0)  # (+) to be better
  # (+) Processes that share an evaluation, and the number of this one. Number 0
  # decides what is evaluated, and computes the figures.
  num_parts: int = base.option(1, at_least=1)
  part: int = base.option(0, at_least=0)
  # (+) Images that TensorBoard shows with what is known and what was found.
  num_summary_images: int = base.option(4, at_least=0)


@dataclasses.dataclass(frozen=True)
class Predict:
  """YAML section `predict`."""
  predict_batch_size: int = base.option(8, at_least=1)
  output_file: str = ''  # (+) results of mode predict
  # (+) Records of mode predict; '': eval.eval_file_pattern.
  predict_file_pattern: FilePattern = ''
