"""From the flags of a job to its configuration."""

import os
from typing import Any, List, Tuple

import tensorflow.compat.v1 as tf

from configs import base
from configs import factory
from configs import io
from configs import precisions
from executor import data_paths
from executor import model_dir as model_dir_lib
from executor import precision
from modeling import kept_names
from ops import compat
from ops import number_formats
from utils import files
from utils import tpu_names

# Flag -> key that it sets. The reference accepts the first four, but never
# reads them.
_FLAG_KEYS = {
    'train_batch_size': 'train.train_batch_size',
    'train_steps': 'train.total_steps',
    'eval_batch_size': 'eval.eval_batch_size',
    'iterations_per_loop': 'train.iterations_per_loop',
    'model_dir': 'model_dir',
    'tpu': 'platform.tpu',
    'tpu_zone': 'platform.tpu_zone',
    'gcp_project': 'platform.gcp_project',
    'eval_master': 'platform.eval_master',
    'tpu_job_name': 'tpu_job_name',
}
# --precision -> the value of architecture.use_bfloat16 on a TPU, and of
# train.mixed_precision elsewhere; of eval.precision where nothing is trained.
_PRECISIONS_OF_TPU = {precisions.BFLOAT16: True, precisions.FLOAT32: False,
                      precisions.AUTO: True}
_PRECISIONS = {precisions.FLOAT32: None,
               precisions.BFLOAT16: precisions.BFLOAT16,
               precisions.FLOAT16: precisions.FLOAT16,
               precisions.AUTO: precisions.AUTO}
# {key: value that switches it off}, of what XLA and the TPU's tools do instead.
_NOT_ON_TPU = {'train.mixed_precision': None, 'train.use_xla': False,
               'train.profile_every_n_steps': None,
               'train.histograms_every_n_steps': None,
               'train.image_summaries_every_n_steps': None}
_NUM_CORES = 8  # of the smallest TPUs, such as a v3-8
# Modes that read the configuration a model was trained with, and train nothing.
_USES_PARAMS_FILE = ('eval', 'predict')
# Number formats of training, which an evaluation does not take over.
_TRAINING_PRECISION = ('train.mixed_precision', 'architecture.use_bfloat16')
_PARTITIONING = ('train.input_partition_dims', 'train.num_cores_per_replica')


def resolve(flags: Any, mode: str,
            checks: bool = True) -> Tuple[base.Config, List[str]]:
  """The configuration of a job.

  Later levels win: the defaults of the model; in the modes eval and predict
  the params.yaml of model_dir; --config_file; --params_override; other flags
  that are given.

  Args:
    flags: object with the flags of main.py as attributes, None for a flag that
      is not given.
    mode: 'train', 'eval', 'train_and_eval' or 'predict'.
    checks: False: keys may contradict each other; executor.preflight reports
      that, together with all other problems of the job.

  Returns:
    The experiment and [note for the user].

  Raises:
    ConfigError: as configs.factory.load_config does, and when a flag and
      --params_override contradict each other.
  """
  config_file, override = (
      base.flatten_mapping(io.parse_override(value, source)[0])
      for value, source in ((flags.config_file, '--config_file'),
                            (flags.params_override, '--params_override')))
  written = dict(config_file, **override)
  levels = dict(model=flags.model, config_file=flags.config_file,
                params_override=flags.params_override,
                trains=mode not in _USES_PARAMS_FILE)
  model_dir = flags.model_dir or written.get('model_dir')
  path = _params_file(model_dir, mode)
  notes = _source_notes(path, model_dir, mode)
  in_file = model_dir_lib.flat_params(path) if path else {}
  if path:
    levels['params_file'] = path
  # Flags may mend what is contradictory without them.
  config, _ = factory.load_config(checks=False, **levels)
  use_tpu = _use_tpu(flags, config, written, override)
  changes, flag_notes = _changes(flags, config, override, use_tpu, mode)
  if flags.data_dir:
    data_changes = data_paths.under_data_dir(
        flags.data_dir, config, set(in_file) - set(written))
    flag_notes += ['--data_dir sets %s to %s.' % item
                   for item in data_changes.items()]
    changes.update(data_changes)
  mixed_precision = changes.get('train.mixed_precision',
                                config.train.mixed_precision)
  if mixed_precision == precisions.AUTO and not use_tpu:
    choice = number_formats.resolve(mixed_precision)
    mixed_precision = _PRECISIONS[choice.name]
    changes['train.mixed_precision'] = mixed_precision
    flag_notes.append('train.mixed_precision is auto: %s, %s.' % choice)
  off = _not_on_tpu(flags, config) if use_tpu else {}
  changes.update(_platform_changes(use_tpu, mode, mixed_precision), **off)
  if use_tpu:
    changes['train.num_shards'] = _num_cores(flags, config, written)
  flag_notes += _platform_notes(flags, config, use_tpu, written,
                                mixed_precision, mode, off)
  config, config_notes = factory.load_config(
      extra=changes, checks=checks, **levels)
  if mode == 'predict' and 'predict.output_file' in set(in_file) - set(written):
    _check_output(config.predict.output_file, model_dir, path)
  if mode in _USES_PARAMS_FILE:
    config = precision.for_evaluation(config)
  name_changes, name_notes = kept_names.changes(
      config.eval.label_map, model_dir, 'eval.label_map' in written)
  config = base.override(config, name_changes)
  config_notes += name_notes
  return config, notes + config_notes + flag_notes


def _check_output(output_file, model_dir, path):
  """Checks that a params.yaml of unknown origin writes into its own folder."""
  if not output_file:
    return
  try:
    files.path_within(model_dir, output_file if files.is_remote(output_file)
                      else os.path.abspath(output_file))
  except OSError:
    raise base.ConfigError(
        'predict.output_file of %s is %s, outside of %s. To write there, give '
        'it with --params_override=predict.output_file=...; for a file in the '
        'model_dir, give an empty one.' % (path, output_file, model_dir))


def _source_notes(path, model_dir, mode):
  """Whose configuration an evaluation uses."""
  if path:
    return ['The configuration is read from %s; flags override it.'
            % path]
  if mode in _USES_PARAMS_FILE and model_dir:
    return ['There is no %s: the configuration is made from the flags alone '
            '(--model, --config_file, --params_override).'
            % model_dir_lib.params_path(model_dir)]
  return []


def _params_file(model_dir, mode):
  """The params.yaml of the training run, if the mode reads it; or None."""
  if mode not in _USES_PARAMS_FILE or not model_dir:
    return None
  path = model_dir_lib.params_path(model_dir)
  return path if tf.gfile.Exists(path) else None


def _changes(flags, config, override, use_tpu, mode):
  """What the flags set, {dotted key: value}, and notes about it."""
  changes, notes = {}, []
  wanted = {flag: (key, getattr(flags, flag))
            for flag, key in _FLAG_KEYS.items()
            if getattr(flags, flag) is not None}
  if flags.skip_host_call is not None:
    wanted['skip_host_call'] = 'enable_summary', not flags.skip_host_call
  if flags.precision is not None:
    wanted['precision'] = _precision(flags.precision, use_tpu, mode)
  for flag, (key, value) in wanted.items():
    old = base.lookup(config, key)
    if old != value:
      if key in override:
        _raise_conflict(flag, key, value, old)
      changes[key] = value
      is_same_folder = flag == 'model_dir' and old and (
          os.path.abspath(old) == os.path.abspath(value))
      if old not in (None, '') and not is_same_folder:
        notes.append('--%s sets %s to %r (it was %r).' % (
            flag, key, value, old))
  return changes, notes


def _precision(value, use_tpu, mode):
  """(key, value) that --precision sets."""
  key = 'architecture.use_bfloat16' if use_tpu else 'train.mixed_precision'
  values = _PRECISIONS_OF_TPU if use_tpu else _PRECISIONS
  if value not in values:
    raise base.ConfigError('--precision is %r; %s it can be %s.' % (
        value, 'on a TPU' if use_tpu else 'without a TPU',
        ' or '.join(sorted(values))))
  if mode in _USES_PARAMS_FILE:
    return 'eval.precision', value
  return key, values[value]


def _raise_conflict(flag, key, value, old):
  raise base.ConfigError(
      '--%s (%r) and --params_override (%s: %r) contradict each other: give '
      'one of them.' % (flag, value, key, old))


def _use_tpu(flags, config, written, override):
  """Whether to run on a TPU: only on request."""
  if flags.tpu is not None and not flags.tpu.strip():
    raise base.ConfigError(
        '--tpu is empty, perhaps from a variable of the shell that is not set: '
        'give the name or address of the TPU, or leave --tpu out.')
  if flags.use_tpu is not None:
    if flags.use_tpu != override.get('use_tpu', flags.use_tpu):
      _raise_conflict('use_tpu', 'use_tpu', flags.use_tpu, override['use_tpu'])
    return flags.use_tpu
  if flags.tpu or written.get('platform.tpu'):
    # A params.yaml says what the training run used.
    return config.use_tpu if 'use_tpu' in written else True
  return False


def _num_cores(flags, config, written):
  """Cores of the TPU; a params.yaml only has those of the training run."""
  if flags.num_cores is None and 'train.num_shards' in written:
    return config.train.num_shards
  return flags.num_cores or _NUM_CORES


def _platform_changes(use_tpu, mode, mixed_precision):
  """{dotted key: value} of what depends on the device and the mode."""
  changes = {'use_tpu': use_tpu}
  if not use_tpu:
    changes['architecture.use_bfloat16'] = (
        mixed_precision == precisions.BFLOAT16)
  if mode != 'train':
    # Only training is partitioned.
    changes.update(dict.fromkeys(_PARTITIONING))
  return changes


def _not_on_tpu(flags, config):
  """{dotted key: value that is off} of what a TPU does not have."""
  off = dict(_NOT_ON_TPU)
  name, _ = tpu_names.resolve(flags.tpu or config.platform.tpu)
  if name == tpu_names.LOCAL and compat.HAS_TPU_VMS:
    del off['train.profile_every_n_steps']  # executor.hooks.TpuProfileHook
  return off


def _platform_notes(flags, config, use_tpu, written, mixed_precision, mode,
                    not_on_tpu):
  """Notes about what is switched off with a TPU, without, or in a mode."""
  notes = []
  if written.get('use_tpu') and flags.use_tpu is None and not use_tpu:
    notes.append('use_tpu is true in the configuration, but neither --tpu nor '
                 '--use_tpu is given: no TPU is used.')
  if mode in _USES_PARAMS_FILE:
    return notes + [
        '%s: %r is for training; evaluation and prediction compute in '
        'eval.precision (--precision).' % (key, written[key])
        for key in _TRAINING_PRECISION if written.get(key)]
  if use_tpu:
    notes += _tpu_notes(config, mode, not_on_tpu)
  elif (written.get('architecture.use_bfloat16')
        and mixed_precision != precisions.BFLOAT16):
    notes.append('Without a TPU this is switched off: architecture.'
                 'use_bfloat16; train.mixed_precision decides instead.')
  return notes


def _tpu_notes(config, mode, not_on_tpu):
  """Notes about keys that a training job on a TPU switches off."""
  notes = []
  off = [key for key, value in not_on_tpu.items()
         if base.lookup(config, key) != value]
  if off:
    notes.append('On a TPU these are switched off: %s (docs/tpu.md).'
                 % ', '.join(off))
  parts = [key for key in _PARTITIONING
           if base.lookup(config, key) is not None]
  if parts and mode == 'train_and_eval':
    notes.append(
        'Mode train_and_eval trains without spatial partitioning: %s switched '
        'off, so that every core holds complete images. With --mode=train and '
        'a separate evaluation, images are divided among cores (docs/tpu.md).'
        % (' and '.join(parts) + (' is' if len(parts) == 1 else ' are')))
  return notes
