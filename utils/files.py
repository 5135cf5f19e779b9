"""Files: atomic writing, and patterns that name the file they miss."""

import contextlib
import glob
import os
import tempfile


@contextlib.contextmanager
def atomic_path(path):
  """Yields a temporary path; on success it replaces `path` in one step.

  A reader sees the old file or the whole new one, never a part of it.
  """
  folder = os.path.dirname(os.path.abspath(path))
  os.makedirs(folder, exist_ok=True)
  handle, temporary = tempfile.mkstemp(
      prefix='.' + os.path.basename(path) + '.', dir=folder)
  os.close(handle)
  try:
    yield temporary
    # mkstemp makes private files; give this one the usual permissions.
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(temporary, 0o666 & ~umask)
    os.replace(temporary, path)
  finally:
    if os.path.exists(temporary):
      os.remove(temporary)


def write_atomically(path, content):
  """Writes text or bytes to `path` so that no reader sees a part of it."""
  with atomic_path(path) as temporary:
    with open(temporary, 'wb' if isinstance(content, bytes) else 'w') as f:
      f.write(content)


def expand_patterns(patterns):
  """Sorted files of one or more glob patterns.

  Args:
    patterns: a string, in which commas separate patterns, or a list of them.

  Returns:
    [path], without duplicates.

  Raises:
    ValueError: naming the pattern, when one of them matches nothing.
  """
  if isinstance(patterns, str):
    patterns = [p.strip() for p in patterns.split(',') if p.strip()]
  if not patterns:
    raise ValueError('No file pattern is given.')
  files = set()
  for pattern in patterns:
    matches = glob.glob(pattern)
    if not matches:
      raise ValueError('No file matches the pattern %r (current folder: %s).'
                       % (pattern, os.getcwd()))
    files.update(matches)
  return sorted(files)
