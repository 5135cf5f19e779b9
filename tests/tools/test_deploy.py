"""The manifests: they parse, their flags exist, their jobs resolve."""

import glob
import json
import os
import re
import subprocess

from absl import flags
from absl.testing import flagsaver
import pytest
import yaml

from executor import cluster
from executor import estimator
from executor import job_config
import main
from tools import serve

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
_FOLDER = os.path.join(_ROOT, 'tools', 'deploy')
_MANIFESTS = sorted(os.path.basename(p) for p in glob.glob(
    os.path.join(_FOLDER, '*.yaml')))
_JOBS = ['gpu_host.yaml', 'gpu_hosts.yaml', 'tpu.yaml']
_SERVERS = ['serve.yaml', 'tf_serving.yaml']


def _objects(name):
  with open(os.path.join(_FOLDER, name)) as f:
    return list(yaml.safe_load_all(f))


def _containers(name):
  """{container: it} of the Jobs of a manifest."""
  return {container['name']: container for one in _objects(name)
          if one['kind'] == 'Job'
          for container in one['spec']['template']['spec']['containers']}


def _resolve(arguments):
  with flagsaver.flagsaver():
    flags.FLAGS.unparse_flags()
    # No bucket is within reach.
    flags.FLAGS(['main.py'] + [a.replace('gs://my-bucket', '/my-bucket')
                               for a in arguments])
    values = main._given_flags()
    return job_config.resolve(values, values.mode)[0], values.mode


def test_all_manifests_are_tested():
  assert _MANIFESTS == sorted(_JOBS + _SERVERS)


@pytest.mark.parametrize('name', _JOBS)
def test_jobs_resolve(name):
  modes, folders = [], set()
  for container in _containers(name).values():
    config, mode = _resolve(container['args'])
    modes.append(mode)
    folders.add(config.model_dir)
    assert config.use_tpu == ('google.com/tpu' in str(container['resources']))
    if mode == 'train':
      assert config.train.train_file_pattern.endswith('/train-*')
    else:
      assert config.eval.eval_timeout and config.eval.val_json_file
  assert sorted(modes) == ['eval', 'train'] and len(folders) == 1


@pytest.mark.parametrize('name', _JOBS)
def test_jobs_are_confined(name):
  """But for the trainer of a TPU, whose devices belong to root."""
  for job in _objects(name):
    if job['kind'] != 'Job':
      continue
    pod = job['spec']['template']['spec']
    for container in pod['containers']:
      security = container['securityContext']
      assert security['allowPrivilegeEscalation'] is False
      if 'google.com/tpu' in str(container['resources']):
        continue
      assert pod['securityContext']['runAsNonRoot'] is True
      assert security['readOnlyRootFilesystem'] is True
      assert security['capabilities'] == {'drop': ['ALL']}
      assert container['resources']['limits']['memory']
      assert {'name': 'HOME', 'value': '/tmp'} in container['env']
      mounts = {m['mountPath']: m['name'] for m in container['volumeMounts']}
      assert '/tmp' in mounts
      assert set(mounts.values()) <= {v['name'] for v in pod['volumes']}


def test_cores_of_the_tpu():
  container = _containers('tpu.yaml')['trainer']
  config, _ = _resolve(container['args'])
  assert config.train.num_shards == container['resources']['limits'][
      'google.com/tpu']
  assert config.platform.tpu == 'local'
  estimator.replica_batch_size(config, estimator.num_replicas(config))


def test_workers_get_tf_config():
  """What the shell of each pod makes of its number."""
  job = next(o for o in _objects('gpu_hosts.yaml') if o['kind'] == 'Job')
  container = _containers('gpu_hosts.yaml')['worker']
  number = job['spec']['completions']
  assert job['spec']['parallelism'] == number
  assert {'name': 'WORKERS', 'value': str(number)} in container['env']
  service = _objects('gpu_hosts.yaml')[0]
  assert service['metadata']['name'] == job['metadata']['name'] == job['spec'][
      'template']['spec']['subdomain']
  script = container['command'][2].replace(
      'exec python main.py "$@"', 'echo "$TF_CONFIG"; echo "$1" >&2')
  for index in (0, number - 1):
    result = subprocess.run(
        ['bash', '-c', script, 'main', '--mode=train'], check=True,
        env=dict(os.environ, WORKERS=str(number),
                 JOB_COMPLETION_INDEX=str(index)),
        capture_output=True, text=True)
    assert result.stderr.strip() == '--mode=train'
    found = cluster.read({'TF_CONFIG': result.stdout})
    assert found.index == index and found.num_workers == number
    assert found.workers[index] == (
        'retinanet-workers-%d.retinanet-workers:2222' % index)
    json.loads(result.stdout)
  config, _ = _resolve(container['args'])
  gpus = ['/gpu:%d' % i for i in range(
      container['resources']['limits']['nvidia.com/gpu'])]
  assert estimator.replica_batch_size(config, estimator.num_replicas(
      config, gpus, found)) == 8


def _server(name):
  """(spec of the pods, container, Service) of a manifest."""
  objects = {one['kind']: one for one in _objects(name)}
  pod = objects['Deployment']['spec']['template']['spec']
  assert objects['Service']['spec']['selector'] == objects['Deployment'][
      'spec']['template']['metadata']['labels']
  return pod, pod['containers'][0], objects['Service']


@pytest.mark.parametrize('name', _SERVERS)
def test_servers_are_probed_and_confined(name):
  pod, container, service = _server(name)
  names = {port['name'] for port in container['ports']}
  for probe in ('startupProbe', 'readinessProbe', 'livenessProbe'):
    how = container[probe].get('httpGet') or container[probe]['tcpSocket']
    assert how['port'] in names
  assert {port['targetPort'] for port in service['spec']['ports']} == names
  limits = container['resources']['limits']
  assert limits['memory'] and limits == container['resources']['requests']
  assert pod['securityContext']['runAsNonRoot'] is True
  assert container['securityContext'] == {
      'allowPrivilegeEscalation': False, 'readOnlyRootFilesystem': True,
      'capabilities': {'drop': ['ALL']}}
  assert {m['name'] for m in container['volumeMounts']} == {
      v['name'] for v in pod['volumes']}
  threads = re.search(r'(?:threads|intra_op_parallelism)=(\d+)',
                      ' '.join(container['args'])).group(1)
  assert threads == limits['cpu']


def test_the_command_of_our_server():
  pod, container, _ = _server('serve.yaml')
  assert container['command'] == ['python', '-m', 'tools.serve']
  arguments = serve.parse_arguments(container['args'])
  assert arguments.port == container['ports'][0]['containerPort']
  assert arguments.host == '0.0.0.0'  # Probes come from outside of the pod.
  wait = int(container['lifecycle']['preStop']['exec']['command'][1])
  assert pod['terminationGracePeriodSeconds'] > arguments.grace_s + wait


def test_settings_of_tensorflow_serving():
  _, container, _ = _server('tf_serving.yaml')
  settings = _objects('tf_serving.yaml')[0]['data']
  for argument in container['args']:
    if argument.startswith(('--batching_param', '--monitoring_config')):
      assert os.path.basename(argument) in settings
  name = next(a for a in container['args'] if 'model_name' in a).split('=')[1]
  assert container['readinessProbe']['httpGet']['path'] == '/v1/models/' + name


@pytest.mark.parametrize('name', [
    'Dockerfile.tf1', 'Dockerfile.tf2', 'Dockerfile.tpu'])
def test_images_use_the_lock_files(name):
  with open(os.path.join(_FOLDER, name)) as f:
    text = f.read()
  files = re.findall(r'-r (requirements/\S+\.txt)', text)
  assert len(files) == 2
  for path in files:
    assert os.path.exists(os.path.join(_ROOT, path))
  assert 'ENTRYPOINT ["python", "main.py"]' in text
  assert text.rindex('USER 10001') > text.rindex('RUN ')


def test_nothing_asks_for_a_build_that_the_index_lacks():
  """tensorflow-tpu begins at 2.16, which has no Estimator."""
  paths = glob.glob(os.path.join(_FOLDER, '*')) + glob.glob(
      os.path.join(_ROOT, 'docs', '*.md'))
  for path in paths:
    with open(path) as f:
      assert 'tensorflow-tpu==' not in f.read(), path


def test_the_image_of_tpu_vms_has_the_python_of_its_wheel_and_lock():
  with open(os.path.join(_FOLDER, 'Dockerfile.tpu')) as f:
    text = f.read()
  assert 'FROM python:3.10-' in text and '-cp310-cp310-' in text
  assert 'requirements/py310-' in text
  with open(os.path.join(_ROOT, 'docs', 'tpu.md')) as f:
    page = f.read()
  for fact in (re.search(r'WHEEL=(\S+)', text).group(1), 'libtpu/1.9.0',
               'py310-tf215-tpu.txt'):
    assert fact in text and fact in page
