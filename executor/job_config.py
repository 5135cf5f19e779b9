"""From the flags of a job to its configuration."""

import os

import tensorflow.compat.v1 as tf

from configs import base
from configs import factory
from configs import io
from executor import model_dir as model_dir_lib

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
# train.mixed_precision elsewhere.
_PRECISIONS_OF_TPU = {'bfloat16': True, 'float32': False}
_PRECISIONS = {'bfloat16': 'bfloat16', 'float16': 'float16', 'float32': None}
# What XLA and the TPU's own tools do, {key: value that is off}.
_NOT_ON_TPU = {'train.mixed_precision': None, 'train.use_xla': False,
               'train.profile_every_n_steps': None}
_DATA_KEYS = ('train.train_file_pattern',
              'train.pre_parser_dataset.file_pattern',
              'eval.eval_file_pattern', 'eval.val_json_file',
              'eval.label_map', 'predict.predict_file_pattern',
              'shapemask_head.shape_prior_path')
_NUM_CORES = 8  # of the smallest TPUs, such as a v3-8
# Modes that read the configuration a model was trained with.
_USES_PARAMS_FILE = ('eval', 'predict')


def resolve(flags, mode):
  """The configuration of a job.

  Later levels win: the defaults of the model; in the modes eval and predict
  the params.yaml of model_dir; --config_file; --params_override; other flags
  that are given.

  Args:
    flags: object with the flags of main.py as attributes, None for a flag that
      is not given.
    mode: 'train', 'eval', 'train_and_eval' or 'predict'.

  Returns:
    The experiment and [note for the user].

  Raises:
    ConfigError: as configs.factory.load_config does, and when a flag and
      --params_override contradict each other.
  """
  config_file, override = (
      model_dir_lib.flatten(io.parse_override(value, source)[0])
      for value, source in ((flags.config_file, '--config_file'),
                            (flags.params_override, '--params_override')))
  written = dict(config_file, **override)
  levels = dict(model=flags.model, config_file=flags.config_file,
                params_override=flags.params_override,
                trains=mode not in _USES_PARAMS_FILE)
  notes = []
  path = _params_file(flags.model_dir or written.get('model_dir'), mode)
  if path:
    levels['params_file'] = path
    notes.append('The configuration is that of %s, with what the flags change.'
                 % path)
  config, _ = factory.load_config(**levels)
  use_tpu = _use_tpu(flags, config, written, override)
  changes, flag_notes = _changes(flags, config, override, use_tpu)
  # Evaluation is in float32, in whatever the model was trained.
  if (mode in _USES_PARAMS_FILE and flags.precision is None
      and 'train.mixed_precision' not in written):
    changes['train.mixed_precision'] = None
  mixed_precision = changes.get('train.mixed_precision',
                                config.train.mixed_precision)
  changes.update(_platform_changes(use_tpu, mode, mixed_precision))
  if use_tpu:
    changes['train.num_shards'] = _num_cores(flags, config, written)
  flag_notes += _platform_notes(flags, config, use_tpu, written,
                                mixed_precision)
  config, config_notes = factory.load_config(extra=changes, **levels)
  return config, notes + config_notes + flag_notes


def _params_file(model_dir, mode):
  """The file that a training left, if the mode is to read it."""
  if mode not in _USES_PARAMS_FILE or not model_dir:
    return None
  path = model_dir_lib.params_path(model_dir)
  return path if tf.gfile.Exists(path) else None


def _changes(flags, config, override, use_tpu):
  """What the flags set, {dotted key: value}, and notes about it."""
  changes, notes = {}, []
  wanted = {flag: (key, getattr(flags, flag))
            for flag, key in _FLAG_KEYS.items()
            if getattr(flags, flag) is not None}
  if flags.skip_host_call is not None:
    wanted['skip_host_call'] = 'enable_summary', not flags.skip_host_call
  if flags.precision is not None:
    wanted['precision'] = _precision(flags.precision, use_tpu)
  for flag, (key, value) in wanted.items():
    old = base.lookup(config, key)
    if old != value:
      if key in override:
        _raise_conflict(flag, key, value, old)
      changes[key] = value
      if old not in (None, ''):
        notes.append('--%s sets %s to %r (it was %r).' % (
            flag, key, value, old))
  if flags.data_dir:
    data_changes = _under_data_dir(flags.data_dir, config)
    notes += ['--data_dir sets %s to %s.' % item
              for item in data_changes.items()]
    changes.update(data_changes)
  return changes, notes


def _precision(value, use_tpu):
  """(key, value) that --precision sets."""
  key = 'architecture.use_bfloat16' if use_tpu else 'train.mixed_precision'
  values = _PRECISIONS_OF_TPU if use_tpu else _PRECISIONS
  if value not in values:
    raise base.ConfigError('--precision is %r; %s it can be %s.' % (
        value, 'on a TPU' if use_tpu else 'without a TPU',
        ' or '.join(sorted(values))))
  return key, values[value]


def _raise_conflict(flag, key, value, old):
  raise base.ConfigError(
      '--%s (%r) and --params_override (%s: %r) contradict each other: give '
      'one of them.' % (flag, value, key, old))


def _under_data_dir(data_dir, config):
  """{key: patterns} for the patterns that are relative."""
  changes = {}
  for key in _DATA_KEYS:
    try:
      old = base.lookup(config, key)
    except AttributeError:
      continue  # Not every model has all of the keys.
    if not old:
      continue
    patterns = old.split(',') if isinstance(old, str) else list(old)
    new = [_join(data_dir, p.strip()) for p in patterns]
    new = ','.join(new) if isinstance(old, str) else tuple(new)
    if new != old:
      changes[key] = new
  return changes


def _join(folder, path):
  if not path or os.path.isabs(path) or '://' in path:
    return path
  return os.path.join(folder, path)


def _use_tpu(flags, config, written, override):
  """Whether to run on a TPU: only when it is asked for."""
  if flags.use_tpu is not None:
    if flags.use_tpu != override.get('use_tpu', flags.use_tpu):
      _raise_conflict('use_tpu', 'use_tpu', flags.use_tpu, override['use_tpu'])
    return flags.use_tpu
  if flags.tpu or written.get('platform.tpu'):
    # A params.yaml tells what the training ran on.
    return config.use_tpu if 'use_tpu' in written else True
  return False


def _num_cores(flags, config, written):
  """Cores of the TPU; those that a params.yaml names are the training's."""
  if flags.num_cores is None and 'train.num_shards' in written:
    return config.train.num_shards
  return flags.num_cores or _NUM_CORES


def _platform_changes(use_tpu, mode, mixed_precision):
  """{dotted key: value} of what depends on the device and the mode."""
  changes = {'use_tpu': use_tpu}
  if use_tpu:
    changes.update(_NOT_ON_TPU)
  else:
    changes['architecture.use_bfloat16'] = mixed_precision == 'bfloat16'
  if mode != 'train':
    # Only training is partitioned.
    changes.update({'train.input_partition_dims': None,
                    'train.num_cores_per_replica': None})
  return changes


def _platform_notes(flags, config, use_tpu, written, mixed_precision):
  """Notes about what is switched off with a TPU, or without."""
  if use_tpu:
    off = [key for key, value in _NOT_ON_TPU.items()
           if base.lookup(config, key) != value]
    return ['On a TPU these are switched off: %s (docs/tpu.md).' % ', '.join(
        off)] if off else []
  notes = []
  if written.get('use_tpu') and flags.use_tpu is None:
    notes.append('use_tpu is true in the configuration, but neither --tpu nor '
                 '--use_tpu is given: no TPU is used.')
  if config.architecture.use_bfloat16 and mixed_precision != 'bfloat16':
    notes.append('Without a TPU this is switched off: architecture.'
                 'use_bfloat16; train.mixed_precision decides instead.')
  return notes
