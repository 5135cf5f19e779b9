"""Flags over configurations."""

import types

import pytest

from configs import base
from executor import job_config
from executor import model_dir as model_dir_lib
from executor import precision
from ops import number_formats
from tests.executor import toy

_NAMES = ('model model_dir config_file params_override use_tpu tpu tpu_zone '
          'gcp_project eval_master tpu_job_name data_dir train_batch_size '
          'train_steps eval_batch_size iterations_per_loop skip_host_call '
          'precision num_cores').split()


def _resolve(mode='train', **flags):
  values = dict.fromkeys(_NAMES, None)
  values.update(flags)
  return job_config.resolve(types.SimpleNamespace(**values), mode)


def test_flags_override_their_key_and_say_so():
  config, notes = _resolve(
      train_batch_size=16, train_steps=50, eval_batch_size=4,
      iterations_per_loop=10, skip_host_call=False, model_dir='/m',
      params_override='train.total_steps=50')
  assert config.train.train_batch_size == 16
  assert config.train.total_steps == 50
  assert config.eval.eval_batch_size == 4
  assert config.train.iterations_per_loop == 10
  assert config.enable_summary and config.model_dir == '/m'
  assert ('--train_batch_size sets train.train_batch_size to 16 (it was 64).'
          in notes)
  assert not any('train_steps' in note for note in notes)


@pytest.mark.parametrize('model_dir, notes', [
    ('run', 0), ('other', 1)])
def test_the_same_folder_under_another_name(tmp_path, monkeypatch, model_dir,
                                            notes):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'config.yaml').write_text('model_dir: %s/run' % tmp_path)
  config, found = _resolve(model_dir=model_dir, config_file='config.yaml')
  assert config.model_dir == model_dir
  assert sum('--model_dir' in note for note in found) == notes


def test_flag_that_is_not_given_overrides_nothing():
  config, _ = _resolve(params_override='model_dir=/yaml,enable_summary=true')
  assert config.model_dir == '/yaml' and config.enable_summary


@pytest.mark.parametrize('flags, override, names', [
    (dict(train_steps=5), 'train.total_steps=6',
     ['--train_steps (5)', 'train.total_steps: 6']),
    (dict(model_dir='/a'), '{model_dir: /b}', ['--model_dir', '/b']),
    (dict(use_tpu=True), 'use_tpu=false',
     ['--use_tpu (True)', 'use_tpu: False']),
    (dict(precision='float32', use_tpu=True),
     'architecture.use_bfloat16=true', ['--precision', 'True'])])
def test_contradiction(flags, override, names):
  with pytest.raises(base.ConfigError) as e:
    _resolve(params_override=override, **flags)
  assert all(name in str(e.value) for name in names)
  assert 'contradict' in str(e.value)


def test_precision():
  assert not _resolve(precision='float32', use_tpu=True
                     )[0].architecture.use_bfloat16
  for wrong in ('half', 'float16'):
    with pytest.raises(base.ConfigError, match='TPU.* bfloat16 or float32'):
      _resolve(precision=wrong, use_tpu=True)
  with pytest.raises(base.ConfigError, match='without.*bfloat16 or float16 or'):
    _resolve(precision='half')


@pytest.mark.parametrize('wanted, mixed, use_bfloat16', [
    ('float32', None, False), ('float16', 'float16', False),
    ('bfloat16', 'bfloat16', True), (None, None, False)])
def test_precision_without_a_tpu(wanted, mixed, use_bfloat16):
  config, notes = _resolve(precision=wanted)
  assert config.train.mixed_precision == mixed
  assert config.architecture.use_bfloat16 == use_bfloat16
  assert not any('use_bfloat16' in note for note in notes)
  _, notes = _resolve(precision=wanted,
                      params_override='architecture.use_bfloat16=true')
  assert any('use_bfloat16' in note for note in notes) != use_bfloat16
  config, _ = _resolve(
      params_override='train.mixed_precision=%s' % (mixed or 'null'))
  assert config.train.mixed_precision == mixed
  assert config.architecture.use_bfloat16 == use_bfloat16


@pytest.mark.parametrize('name, mixed', [
    ('bfloat16', 'bfloat16'), ('float32', None)])
@pytest.mark.parametrize('flags', [
    dict(precision='auto'), dict(params_override='train.mixed_precision=auto')])
def test_auto_is_resolved_and_explained(monkeypatch, name, mixed, flags):
  monkeypatch.setattr(
      number_formats, 'resolve',
      lambda wanted: number_formats.Choice(name, 'because of ' + wanted))
  config, notes = _resolve(**flags)
  assert config.train.mixed_precision == mixed
  assert config.architecture.use_bfloat16 == bool(mixed)
  assert 'train.mixed_precision is auto: %s, because of auto.' % name in notes


def test_auto_on_a_tpu():
  config, _ = _resolve(precision='auto', use_tpu=True)
  assert config.architecture.use_bfloat16
  config, _ = _resolve(params_override='train.mixed_precision=auto',
                       use_tpu=True)
  assert config.train.mixed_precision is None


@pytest.mark.parametrize('name', ['bfloat16', 'float32'])
def test_auto_of_an_evaluation(monkeypatch, tmp_path, name):
  monkeypatch.setattr(
      number_formats, 'resolve',
      lambda wanted, use_tpu: number_formats.Choice(name, 'as I say'))
  model_dir_lib.save_config(toy.config(tmp_path))
  config, _ = _resolve('eval', model_dir=str(tmp_path), precision='auto')
  assert config.architecture.use_bfloat16 == (name == 'bfloat16')
  assert precision.describe_evaluation(config) == (
      'Evaluation and prediction compute in %s (eval.precision: auto, as I '
      'say).' % name)


def test_keys_that_a_tpu_does_not_need():
  override = ('train.mixed_precision=float16,train.use_xla=true,'
              'train.profile_every_n_steps=10')
  config, notes = _resolve(use_tpu=True, params_override=override)
  assert config.train.mixed_precision is None and not config.train.use_xla
  assert config.architecture.use_bfloat16
  assert any('train.use_xla' in note and 'tpu.md' in note for note in notes)
  config, notes = _resolve(params_override=override)
  assert config.train.use_xla and config.train.profile_every_n_steps == 10


@pytest.mark.parametrize('flags', [
    dict(), dict(use_tpu=True),
    # Keys of the training run, from a file that both jobs are given.
    dict(params_override='train.mixed_precision=bfloat16'),
    dict(params_override='architecture.use_bfloat16=true'),
    dict(params_override='architecture.use_bfloat16=true', use_tpu=True)])
@pytest.mark.parametrize('mode', ['eval', 'predict'])
def test_evaluation_is_in_float32_unless_asked(tmp_path, mode, flags):
  model_dir_lib.save_config(toy.config(
      tmp_path, train__mixed_precision='bfloat16',
      architecture__use_bfloat16=True))
  config, notes = _resolve(mode, model_dir=str(tmp_path), **flags)
  assert config.train.mixed_precision is None
  assert not config.architecture.use_bfloat16
  assert any('eval.precision' in note for note in notes) == (
      'params_override' in flags)
  for asked in (dict(precision='bfloat16'),
                dict(params_override='eval.precision=bfloat16')):
    config, _ = _resolve(mode, model_dir=str(tmp_path), **dict(flags, **asked))
    assert config.architecture.use_bfloat16
    assert config.eval.precision == 'bfloat16'
    assert config.train.mixed_precision == (
        None if config.use_tpu else 'bfloat16')


def test_precision_of_training_is_not_that_of_its_evaluation():
  config, _ = _resolve('train_and_eval', precision='bfloat16')
  assert config.train.mixed_precision == 'bfloat16'
  assert config.eval.precision == 'float32'
  own = precision.for_evaluation(config)
  assert own.train.mixed_precision is None
  assert not own.architecture.use_bfloat16
  with pytest.raises(base.ConfigError, match='contradict'):
    _resolve('eval', precision='bfloat16',
             params_override='eval.precision=float16')


def test_data_dir():
  config, notes = _resolve(data_dir='/data', params_override=(
      '{train: {train_file_pattern: "a-*, /b/c-*"}, '
      'eval: {eval_file_pattern: [v-*, "gs://x/w-*"], val_json_file: v.json}}'))
  assert config.train.train_file_pattern == '/data/a-*,/b/c-*'
  assert config.eval.eval_file_pattern == ('/data/v-*', 'gs://x/w-*')
  assert config.eval.val_json_file == '/data/v.json'
  assert config.predict.predict_file_pattern == ''
  assert any('eval.val_json_file' in note for note in notes)


def test_tpu_only_when_asked_for():
  config, notes = _resolve()
  assert not config.use_tpu and config.train.num_shards is None
  # A default does not cause a note.
  assert not any('switched off' in n for n in notes)
  _, notes = _resolve(params_override='architecture.use_bfloat16=true')
  assert any('switched off: architecture.use_bfloat16' in n for n in notes)
  config, notes = _resolve(params_override='{use_tpu: true, '
                           'batch_norm_activation: {use_sync_bn: true}}')
  assert not config.use_tpu and config.batch_norm_activation.use_sync_bn
  assert not config.architecture.use_bfloat16
  assert any('no TPU is used' in n for n in notes)
  for flags in (dict(tpu='t'), dict(use_tpu=True),
                dict(params_override='platform.tpu=t')):
    config, _ = _resolve(num_cores=32, **flags)
    assert config.use_tpu and config.train.num_shards == 32
    assert config.architecture.use_bfloat16
  assert not _resolve(tpu='t', params_override='use_tpu=false')[0].use_tpu
  assert not _resolve(use_tpu=False, tpu='t')[0].use_tpu
  # A flag goes over a file, without a contradiction.
  assert not _resolve(use_tpu=False, config_file='{use_tpu: true}')[0].use_tpu


def test_number_of_cores():
  override = 'train.num_shards=16'
  for flags, expected in ((dict(), 8), (dict(params_override=override), 16),
                          (dict(params_override=override, num_cores=32), 32)):
    assert _resolve(use_tpu=True, **flags)[0].train.num_shards == expected
  assert _resolve(num_cores=32)[0].train.num_shards is None


def test_only_training_is_partitioned():
  override = ('train.num_cores_per_replica=2,'
              'train.input_partition_dims=[[1,2,1,1],null]')
  train, notes = _resolve(params_override=override, use_tpu=True)
  assert train.train.num_cores_per_replica == 2
  assert not any('partition' in note for note in notes)
  both, notes = _resolve('train_and_eval', params_override=override,
                         use_tpu=True)
  assert both.train.num_cores_per_replica is None
  assert both.train.input_partition_dims is None
  said = [note for note in notes if 'without spatial partitioning' in note]
  assert len(said) == 1 and 'train.input_partition_dims' in said[0]
  assert precision.for_evaluation(train).train.input_partition_dims is None


def test_model_and_type():
  assert _resolve()[0].type == 'retinanet'
  assert _resolve(model='cascade_mask_rcnn')[0].type == 'cascade_mask_rcnn'
  with pytest.raises(base.ConfigError, match='mask_rcnn.*retinanet'):
    _resolve(model='mask_rcnn', params_override='type=retinanet')


def _trained(tmp_path):
  model_dir_lib.save_config(toy.config(
      tmp_path, train__total_steps=11, train__seed=3,
      architecture__num_classes=7, platform__tpu='t', train__num_shards=32))
  return str(tmp_path)


def test_evaluation_reads_the_configuration_of_the_training(tmp_path):
  folder = _trained(tmp_path)
  yaml = tmp_path / 'my.yaml'
  yaml.write_text('train: {seed: 5, total_steps: 5}\n')
  for mode in ('eval', 'predict'):
    config, notes = _resolve(mode, model_dir=folder)
    assert config.architecture.num_classes == 7
    assert config.train.total_steps == 11
    assert not config.use_tpu  # The training's TPU is not this job's.
    assert any('params.yaml' in n for n in notes)
    config, _ = _resolve(mode, model_dir=folder, tpu='other')
    assert config.use_tpu and config.platform.tpu == 'other'
    assert config.train.num_shards == 8
  config, _ = _resolve('eval', config_file=str(yaml), params_override=(
      'model_dir=%s,train.total_steps=6' % folder))
  assert (config.architecture.num_classes, config.train.seed,
          config.train.total_steps) == (7, 5, 6)
  config, _ = _resolve('train', model_dir=folder)
  assert config.architecture.num_classes == 91


@pytest.mark.parametrize('mode', ['eval', 'predict'])
def test_relative_data_dir(tmp_path, monkeypatch, mode):
  """Training and evaluation with the same flags, from any folder."""
  monkeypatch.chdir(tmp_path)
  flags = dict(model_dir='run', data_dir='data', params_override=(
      'train.train_file_pattern=train-*,eval.eval_file_pattern=val-*'))
  config, _ = _resolve('train', **flags)
  assert config.train.train_file_pattern == 'data/train-*'
  model_dir_lib.save_config(config)
  expected = str(tmp_path / 'data' / 'val-*')
  for folder in (None, 'data', str(tmp_path / 'data')):
    config, _ = _resolve(mode, model_dir='run', data_dir=folder)
    assert config.eval.eval_file_pattern == expected
  (tmp_path / 'elsewhere').mkdir()
  monkeypatch.chdir(tmp_path / 'elsewhere')
  config, _ = _resolve(mode, model_dir='../run')
  assert config.eval.eval_file_pattern == expected
  # Of a pattern that this job is given, the folder is its own.
  config, _ = _resolve(mode, model_dir='../run', data_dir='other',
                       params_override='eval.eval_file_pattern=val-*')
  assert config.eval.eval_file_pattern == 'other/val-*'


def test_whose_configuration_it_is(tmp_path):
  _, notes = _resolve('eval', model_dir=str(tmp_path))
  assert any('There is no %s' % (tmp_path / 'params.yaml') in n
             and 'flags alone' in n for n in notes)
  _, notes = _resolve('train', model_dir=str(tmp_path))
  assert not any('params.yaml' in n for n in notes)


def test_model_dir_that_moved(tmp_path):
  folder = _trained(tmp_path / 'old')
  (tmp_path / 'old').rename(tmp_path / 'new')
  config, _ = _resolve('eval', model_dir=str(tmp_path / 'new'))
  assert config.model_dir == str(tmp_path / 'new') != folder
  with pytest.raises(base.ConfigError, match='different kinds'):
    _resolve('eval', model_dir=str(tmp_path / 'new'), model='mask_rcnn')


@pytest.mark.parametrize('name, is_inside', [
    ('', True), ('found.json', True), ('sub/found.json', True),
    ('../found.json', False), ('../../x', False), ('/etc/cron.d/x', False),
    ('gs://bucket/x.json', False)])
def test_a_params_file_writes_into_its_own_folder_only(tmp_path, name,
                                                       is_inside):
  """A model_dir may be somebody else's; who names a file may write to it."""
  folder = tmp_path / 'run'
  path = name if not name or '://' in name else str(folder / name)
  model_dir_lib.save_config(toy.config(folder, predict__output_file=path))
  if is_inside:
    assert _resolve('predict', model_dir=str(folder))[
        0].predict.output_file == path
  else:
    with pytest.raises(base.ConfigError, match='predict.output_file of .*run/'
                       'params.yaml is .*outside of .*run. To write there'):
      _resolve('predict', model_dir=str(folder))
  _resolve('eval', model_dir=str(folder))
  for given in ('/elsewhere/found.json', path):
    config, _ = _resolve('predict', model_dir=str(folder),
                         params_override={'predict': {'output_file': given}})
    assert config.predict.output_file == given


@pytest.mark.parametrize('mode', ['train', 'eval'])
def test_names_of_the_training_run(tmp_path, mode):
  """A later start without the label map finds the copy of an earlier one."""
  copy = tmp_path / 'label_map.csv'
  copy.write_text('1:cat\n')
  config, _ = _resolve(mode, model_dir=str(tmp_path))
  assert config.eval.label_map == str(copy)
  config, _ = _resolve(mode, model_dir=str(tmp_path),
                       params_override='eval.label_map=/gone.csv')
  assert config.eval.label_map == '/gone.csv'  # Preflight tells of it.
