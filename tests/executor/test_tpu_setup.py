"""Set-up of a TPU: named, reached, reset, with files that it can read."""

import dataclasses
import socket
import types

import pytest
import tensorflow.compat.v1 as tf

from configs import base
from dataloader import input_reader
from dataloader import inputs as dataloader_inputs
from executor import errors
from executor import job_config
from executor import preflight
from executor import tpu
from executor import tpu_setup
from ops import compat
from tests.executor import toy
from utils import tpu_names


@pytest.fixture(autouse=True)
def _no_tpu_in_the_environment(monkeypatch):
  for name in tpu_names.VARIABLES:
    monkeypatch.delenv(name, raising=False)
  verbosity = tf.logging.get_verbosity()
  tf.logging.set_verbosity(tf.logging.INFO)
  yield
  tf.logging.set_verbosity(verbosity)


def _config(folder, **changes):
  return toy.config(folder, **dict({
      'use_tpu': True, 'platform.tpu': 'my-tpu', 'train.num_shards': 8},
                                   **changes))


def _cluster(address):
  return types.SimpleNamespace(
      master=lambda: address, cluster_spec=lambda: tf.train.ClusterSpec(
          {'worker': [address.replace('grpc://', '')]} if address else {}))


def _make(address):
  return lambda name, zone, project: _cluster(address)


@pytest.mark.parametrize('name, variables, expected, is_node', [
    ('my-tpu', {'TPU_NAME': 'other'}, ('my-tpu', '--tpu'), True),
    (None, {'TPU_NAME': 'local'}, ('local', 'TPU_NAME'), False),
    ('', {'KUBE_GOOGLE_CLOUD_TPU_ENDPOINTS': 'grpc://a:1', 'TPU_NAME': 'b'},
     ('grpc://a:1', 'KUBE_GOOGLE_CLOUD_TPU_ENDPOINTS'), True),
    (None, {}, (None, None), False)])
def test_names(monkeypatch, name, variables, expected, is_node):
  for key, value in variables.items():
    monkeypatch.setenv(key, value)
  assert tpu_names.resolve(name) == expected
  assert tpu_names.is_node(name) == is_node


def test_addresses():
  assert tpu_names.is_address('grpc://10.0.0.1:8470')
  assert tpu_names.is_address('10.0.0.1:8470')
  assert not tpu_names.is_address('my-tpu')


@pytest.mark.skipif(compat.HAS_TPU_VMS, reason='TF 2.15 drives TPU VMs')
def test_a_tpu_vm_named_by_the_environment(tmp_path, monkeypatch):
  monkeypatch.setenv('TPU_NAME', 'local')
  config = _config(tmp_path, **{'platform.tpu': None})
  with pytest.raises(errors.SetupError, match='TPU_NAME=local.*RUNTIME=tf2'):
    tpu.find(config.platform)


def test_a_name_without_the_packages_to_look_it_up(tmp_path):
  with pytest.raises(errors.SetupError) as e:
    tpu.find(_config(tmp_path).platform)
  assert 'googleapiclient' in str(e.value) and 'pip install' in str(e.value)
  assert '--tpu=grpc://' in str(e.value)


@pytest.mark.parametrize('error', [
    OSError('metadata.google.internal is unknown'), KeyError('ipAddress'),
    type('HttpError', (Exception,), {})('404 not found')])
def test_a_name_without_a_zone(tmp_path, error):
  """The clients of the resolver raise whatever they like."""
  def make(name, zone, project):
    raise error
  with pytest.raises(errors.SetupError, match='--tpu_zone and --gcp_project, '
                     'they are read from the metadata server'):
    tpu.find(_config(tmp_path).platform, make)


def _unused_port():
  with socket.socket() as one:
    one.bind(('localhost', 0))
    return one.getsockname()[1]


@pytest.mark.parametrize('mode', ['train', 'eval', 'predict'])
def test_a_dead_address_is_told_at_once(tmp_path, caplog, mode):
  address = 'grpc://localhost:%d' % _unused_port()
  config = _config(tmp_path, **{'platform.tpu': address})
  with caplog.at_level('INFO'):
    with pytest.raises(errors.SetupError, match='No server answers at local'):
      tpu.connect(config, mode, _make(address))
  assert 'Asking the TPU %s' % address in caplog.text


def test_cores_are_compared_in_all_modes(tmp_path):
  for mode in ('train', 'train_and_eval', 'eval', 'predict'):
    with pytest.raises(errors.SetupError, match='is 8, .* has 4 cores'):
      tpu.connect(_config(tmp_path), mode, _make(''), lambda _: 4)


def test_eval_master_evaluates(tmp_path):
  """Of a Pod that trains, with fewer cores."""
  config = _config(tmp_path, **{
      'platform.eval_master': 'grpc://b:1', 'train.num_shards': 32})
  names = []

  def make(name, zone, project):
    names.append(name)
    return _cluster('')
  tpu.connect(config, 'eval', make, lambda _: 8)
  tpu.connect(config, 'train', make, lambda _: 32)
  assert names == ['grpc://b:1', 'my-tpu']
  with pytest.raises(errors.SetupError, match='among the 3 cores of --eval_m'):
    tpu.connect(config, 'eval', make, lambda _: 3)


def test_training_on_a_node_ends_the_sessions_of_killed_jobs(tmp_path, caplog):
  server = tf.train.Server.create_local_server()
  config = _config(tmp_path, **{'platform.tpu': server.target})

  def is_initialized():
    with tf.Graph().as_default(), tf.Session(server.target) as session:
      variable = tf.get_variable('left', initializer=1.)
      found = session.run(tf.is_variable_initialized(variable))
      session.run(tf.global_variables_initializer())
      return found
  assert not is_initialized() and is_initialized()
  # An evaluation leaves alone what others run there.
  tpu.connect(config, 'eval', _make(server.target), lambda _: 8)
  assert is_initialized()
  with caplog.at_level('INFO'):
    tpu.connect(config, 'train', _make(server.target), lambda _: 8)
  assert not is_initialized()
  assert 'Ending the sessions' in caplog.text
  assert 'its preemption is not noticed' in caplog.text


def test_a_tpu_vm_has_no_session_to_reset(tmp_path, monkeypatch):
  monkeypatch.setattr(tf.Session, 'reset', None)
  config = _config(tmp_path, **{'platform.tpu': 'local'})
  tpu.connect(config, 'train', _make(''), lambda _: 8)


_REMOTE = {'model_dir': 'gs://b/run', 'train.train_file_pattern': 'gs://b/t*',
           'eval.eval_file_pattern': 'gs://b/v*'}


@pytest.mark.parametrize('key, modes', [
    ('model_dir', 'train train_and_eval eval predict'),
    ('train.train_file_pattern', 'train train_and_eval'),
    ('eval.eval_file_pattern', 'train_and_eval eval predict')])
def test_a_node_sees_no_local_files(key, modes):
  changes = dict(_REMOTE, **{key: '/data/one'})
  config = _config(changes.pop('model_dir'), **changes)
  for mode in ('train', 'train_and_eval', 'eval', 'predict'):
    if mode in modes.split():
      with pytest.raises(errors.SetupError) as e:
        tpu_setup.check_places(config, mode)
      assert 'my-tpu is a node' in str(e.value)
      assert '  %s: /data/one' % key in str(e.value)
      assert 'gs://b' not in str(e.value)
    else:
      tpu_setup.check_places(config, mode)
  local = dataclasses.replace(config, platform=dataclasses.replace(
      config.platform, tpu='local'))
  tpu_setup.check_places(local, 'train_and_eval')
  tpu_setup.check_places(dataclasses.replace(config, use_tpu=False), 'train')


def test_preflight_knows_nodes(tmp_path):
  with pytest.raises(errors.SetupError, match='my-tpu is a node'):
    preflight.check(_config(tmp_path), 'train')


def test_an_empty_name(tmp_path):
  flags = types.SimpleNamespace(**dict.fromkeys(
      'model config_file params_override model_dir use_tpu tpu tpu_zone '
      'gcp_project eval_master tpu_job_name num_cores data_dir precision '
      'train_batch_size train_steps eval_batch_size iterations_per_loop '
      'skip_host_call'.split()))
  flags.model, flags.tpu, flags.model_dir = 'retinanet', '', str(tmp_path)
  with pytest.raises(base.ConfigError, match='--tpu is empty'):
    job_config.resolve(flags, 'train')


def test_host_calls_every_n_steps(tmp_path):
  config = _config(tmp_path, **{'train.host_call_every_n_steps': 5})
  estimator = tpu.build_estimator(config, toy.model_fn, 'train',
                                  {'save_checkpoints_secs': 60}, None)
  assert estimator.config.tpu_config.experimental_host_call_every_n_steps == 5
  with pytest.raises(base.ConfigError, match='must be 1 with'):
    _config(tmp_path, **{'train.host_call_every_n_steps': 5,
                         'train.accumulation_steps': 2})


@pytest.mark.parametrize('dims', [
    [None, [1, 4, 1, 1]], ['None'], [], [[1, 4, 1, 1]] * 3])
def test_partition_of_images_is_given(tmp_path, dims):
  config = _config(tmp_path, **{
      'train.num_cores_per_replica': 4, 'train.input_partition_dims': dims,
      'platform.tpu': 'local'})
  with pytest.raises(errors.SetupError, match='the first is not null'):
    preflight.check(config, 'train')
  with pytest.raises(errors.SetupError, match='the first is not null'):
    tpu.partition_dims(config)


def test_batches_of_a_step_on_a_tpu():
  """PER_HOST_V2: every replica of the host takes a batch of its own."""
  context = types.SimpleNamespace(
      current_input_fn_deployment=lambda: (None, 0, 4, 8))
  assert input_reader._batches_of_a_call({'context': context}, None) == 8


def test_a_node_parses_with_its_own_cores(tmp_path):
  calls = dataloader_inputs._parallel_calls
  assert calls(_config(tmp_path)) == input_reader.AUTOTUNE
  assert calls(_config(tmp_path, **{'train.num_parallel_calls': 7})) == 7
  # None: as many as this machine has.
  assert calls(_config(tmp_path, **{'platform.tpu': 'local'})) is None
  assert calls(_config(tmp_path, use_tpu=False)) is None
