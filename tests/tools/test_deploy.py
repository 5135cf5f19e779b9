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

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
_FOLDER = os.path.join(_ROOT, 'tools', 'deploy')
_MANIFESTS = sorted(os.path.basename(p) for p in glob.glob(
    os.path.join(_FOLDER, '*.yaml')))


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


def test_there_are_manifests_for_gpus_and_tpus():
  assert _MANIFESTS == ['gpu_host.yaml', 'gpu_hosts.yaml', 'tpu.yaml']


@pytest.mark.parametrize('name', _MANIFESTS)
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
  assert container['env'] == [{'name': 'WORKERS', 'value': str(number)}]
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
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        universal_newlines=True)
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
