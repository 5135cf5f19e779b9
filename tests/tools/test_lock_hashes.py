"""tools/lock_hashes.py on small texts."""

import pytest

from tools import lock_hashes

TEXT = ('# Why.\nabsl-py==2.1.0\n'
        'typing_extensions==4.7.1 \\\n    --hash=sha256:old\n')


def test_hashes_are_added_and_replaced():
  hashes = {'absl-py': ['b', 'a'], 'typing-extensions': ['new']}
  made = lock_hashes.with_hashes(TEXT, hashes)
  assert made == (
      '# Why.\nabsl-py==2.1.0 \\\n    --hash=sha256:a \\\n    --hash=sha256:b\n'
      'typing_extensions==4.7.1 \\\n    --hash=sha256:new\n')
  assert list(lock_hashes.pins(made)) == list(lock_hashes.pins(TEXT)) == [
      ('absl-py', '2.1.0'), ('typing_extensions', '4.7.1')]
  assert lock_hashes.with_hashes(made, hashes) == made


def test_a_package_without_a_file_is_an_error():
  with pytest.raises(ValueError, match=r'no file for absl-py 2\.1\.0'):
    lock_hashes.with_hashes(TEXT, {})


def test_report_of_pip():
  report = {'install': [
      {'metadata': {'name': 'PyYAML'}, 'download_info': {
          'archive_info': {'hashes': {'sha256': 'x'}}}},
      {'metadata': {'name': 'local'}, 'download_info': {'archive_info': {}}}]}
  assert lock_hashes.of_report(report) == {'pyyaml': ['x']}
