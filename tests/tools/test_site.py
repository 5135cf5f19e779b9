"""The documentation site: its pages, links and navigation, without MkDocs."""

import os
import shutil
import subprocess

import pytest
import yaml

from tests import docs_blocks
from tools.site import hooks


def _navigation():
  with open(os.path.join(docs_blocks.ROOT, 'mkdocs.yml')) as f:
    return yaml.safe_load(f)['nav']


def _pages(entry):
  if isinstance(entry, str):
    return [entry]
  if isinstance(entry, dict):
    return _pages(list(entry.values()))
  return [page for part in entry for page in _pages(part)]


def test_every_document_has_a_place_in_the_navigation():
  folder = os.path.join(docs_blocks.ROOT, 'docs')
  documents = [name for name in os.listdir(folder) if name.endswith('.md')]
  assert sorted(_pages(_navigation())) == sorted(
      documents + ['index.md', 'CONTRIBUTING.md', 'CHANGELOG.md'])


def test_every_room_has_pages_of_its_modules():
  modules = hooks.modules()
  assert set(modules) == set(hooks.ROOMS)
  assert 'ops/boxes.py' in modules['ops']
  assert 'architecture/backbones/resnet.py' in modules['architecture']
  assert not any(path.endswith('__init__.py') for paths in modules.values()
                 for path in paths)


@pytest.mark.parametrize('source, page, text, expected', [
    ('README.md', 'index.md', '[a](docs/gpu.md#more)', '[a](gpu.md#more)'),
    ('README.md', 'index.md', '![a](docs/images/a.jpg)', '![a](images/a.jpg)'),
    ('docs/gpu.md', 'gpu.md', '[a](../README.md#start)', '[a](index.md#start)'),
    ('docs/gpu.md', 'gpu.md', '[a](tpu.md), [b](#here)',
     '[a](tpu.md), [b](#here)'),
    ('docs/gpu.md', 'gpu.md', '[a](../main.py)', '[a](source/main.py.md)'),
    ('docs/gpu.md', 'gpu.md', '[a](https://a.org/b.md)',
     '[a](https://a.org/b.md)'),
    # MkDocs reports what does not exist.
    ('docs/gpu.md', 'gpu.md', '[a](../gone.py)', '[a](../gone.py)'),
    ('docs/gpu.md', 'gpu.md', '```\n[a](../main.py)\n```',
     '```\n[a](../main.py)\n```')])
def test_links_lead_to_pages(source, page, text, expected):
  assert hooks.rewrite_links(text, source, page) == expected


def test_linked_files_are_collected():
  linked = set()
  hooks.rewrite_links('[a](../main.py) [b](tpu.md) [c](../ops/boxes.py)',
                      'docs/gpu.md', 'gpu.md', linked)
  assert linked == {'main.py', 'ops/boxes.py'}


@pytest.mark.slow
def test_the_site_is_built_and_broken_links_are_refused(tmp_path):
  environment = os.path.join(docs_blocks.ROOT, '.venv-docs')
  if not os.path.exists(environment):
    pytest.skip('There is no .venv-docs: `make docs` makes it.')
  clone = tmp_path / 'clone'
  shutil.copytree(docs_blocks.ROOT, str(clone), ignore=shutil.ignore_patterns(
      '.git', '.venv-*', '.setup', 'demo', 'site', 'data'))
  shutil.copytree(os.path.join(docs_blocks.ROOT, 'tools', 'site'),
                  str(clone / 'tools' / 'site'))

  def build():
    return subprocess.run(
        [os.path.join(environment, 'bin', 'mkdocs'), 'build'], cwd=str(clone),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

  done = build()
  assert done.returncode == 0, done.stdout
  with open(str(clone / 'site' / 'reference' / 'ops' / 'boxes.html')) as f:
    assert 'Expresses boxes relative to anchors' in f.read()
  with open(str(clone / 'docs' / 'gpu.md'), 'a') as f:
    f.write('[nothing](nowhere.md)\n')
  done = build()
  assert done.returncode != 0
  assert "'gpu.md' contains a link 'nowhere.md'" in done.stdout
