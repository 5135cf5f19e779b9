"""The packages of this environment."""

import os
import sys

import numpy as np
import pytest
import yaml

from utils import packages


def test_names_and_versions():
  found = packages.installed()
  assert found['numpy'] == np.__version__
  assert found['PyYAML'] == yaml.__version__  # as it writes itself
  assert list(found) == sorted(found, key=str.lower)
  names = {packages.normalized(name) for name in found}
  assert {'pyyaml', 'absl-py', 'opt-einsum'} <= names


@pytest.mark.skipif(sys.version_info < (3, 8), reason='pkg_resources keeps '
                    'the packages of the start')
def test_the_one_that_is_imported_counts(tmp_path, monkeypatch):
  for name, version in (('first', '2.0'), ('second', '1.0')):
    folder = tmp_path / name / 'some_thing-1.dist-info'
    os.makedirs(str(folder))
    (folder / 'METADATA').write_text(
        'Metadata-Version: 2.1\nName: some_thing\nVersion: %s\n' % version)
  monkeypatch.setattr(sys, 'path', [
      str(tmp_path / name) for name in ('first', 'second')] + sys.path)
  assert packages.installed()['some_thing'] == '2.0'
