"""Atomic writing of files."""

import contextlib
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
