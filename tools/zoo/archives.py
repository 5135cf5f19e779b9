"""Unpacks archives of checkpoints that came from somewhere else.

Nothing in an archive is trusted: names that lead out of the folder, links and
devices are refused, what is unpacked is limited by what it really holds and not
by what it says, and only files of a checkpoint are written at all.
"""

import bz2
import contextlib
import gzip
import lzma
import os
import re
import stat
import tarfile
from typing import List
import zipfile
import zlib

# What is of use: the checkpoint, its graph, the configuration beside it.
_WANTED = re.compile(
    r'(.*\.(index|meta|ya?ml|data-\d{5}-of-\d{5})|checkpoint)$')
# Files that macOS and tar leave beside the real ones.
_DEBRIS = re.compile(r'(^|/)(__MACOSX/|\._|\.DS_Store$)')
_MAX_ENTRIES = 100000
_CHUNK = 2**20
# Longer headers than this are not names of files.
_MAX_HEADER = 2**24
_COMPRESSED = ((b'\x1f\x8b', gzip.open), (b'BZh', bz2.open),
               (b'\xfd7zXZ\x00', lzma.open))
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, tarfile.TarError,
            zipfile.BadZipFile, NotImplementedError)


class ArchiveError(ValueError):
  """An archive that cannot or should not be opened."""


def is_archive(path: str) -> bool:
  """Whether a file is a tar archive, compressed or not, or a zip archive."""
  with open(path, 'rb') as f:
    begin = f.read(512)
  return (begin[:4] in (b'PK\x03\x04', b'PK\x05\x06')
          or any(begin.startswith(magic) for magic, _ in _COMPRESSED)
          or begin[257:262] == b'ustar' or _is_old_tar(path))


def _is_old_tar(path):
  try:
    return tarfile.is_tarfile(path)
  except (OSError,) + _DAMAGED:
    return False


def unpack(path: str, folder: str, max_bytes: int) -> List[str]:
  """Writes the files of a checkpoint in an archive to a folder.

  Args:
    path: tar, tar.gz, tar.bz2, tar.xz or zip, told by their content.
    folder: an empty one of this program.
    max_bytes: int, that the archive may unpack to.

  Returns:
    [name of a file, relative to the folder].

  Raises:
    ArchiveError: if the archive is damaged, too large or dangerous; what is
      written by then is for the caller to remove.
  """
  names, budget = [], _Budget(path, max_bytes)
  try:
    with open(path, 'rb') as f:
      is_zip = f.read(2) == b'PK'
    entries = _zip_entries if is_zip else _tar_entries
    for name, size, opened in entries(path, budget):
      if _WANTED.match(os.path.basename(name)) and not _DEBRIS.search(name):
        _write(path, name, size, opened, folder, budget)
        names.append(name)
  except _DAMAGED as e:
    raise ArchiveError(_damaged(path, names, e))
  except OSError as e:
    if e.errno is not None:  # gzip's own complaints have none
      raise
    raise ArchiveError(_damaged(path, names, e))
  return names


def _damaged(path, names, error):
  """The sentence about an archive that ends early or has wrong bytes."""
  done = ('after %s' % names[-1]) if names else 'at its beginning'
  return ('%s is truncated or damaged (%s: %s). It has %s bytes; compare that '
          'with its source, and download it again.' % (
              path, done, str(error) or type(error).__name__,
              format(os.path.getsize(path), ',')))


class _Budget:
  """Counts what an archive unpacks to."""

  def __init__(self, path, max_bytes):
    self._path, self._max_bytes = path, max_bytes
    self._bytes = self._entries = 0

  def add_entry(self):
    """Counts one entry."""
    self._entries += 1
    if self._entries > _MAX_ENTRIES:
      raise ArchiveError('%s has more than %d entries; an archive of a '
                         'checkpoint has a few.' % (self._path, _MAX_ENTRIES))

  def add_bytes(self, count):
    """Counts bytes that are written."""
    self._bytes += count
    self.check(self._bytes)

  def check(self, total):
    """Raises if an archive of so many bytes is too large."""
    if total > self._max_bytes:
      raise ArchiveError(
          '%s unpacks to more than %.1f GiB. If it should, raise '
          '--max_unpacked_gib.' % (self._path, self._max_bytes / 2.**30))


def _check_name(archive, name):
  """Raises if an entry's name leads out of the folder."""
  parts = re.split(r'[/\\]', name)
  if (name[:1] in ('/', '\\') or '..' in parts or '\0' in name
      or re.match(r'[A-Za-z]:', name)):
    raise ArchiveError(
        '%s is not opened: its entry %r would be written outside of the '
        'folder it is unpacked to.' % (archive, name))


def _refuse(archive, name, kind):
  raise ArchiveError(
      '%s is not opened: its entry %r is a %s; archives of checkpoints hold '
      'files and folders only. If you know where it comes from, unpack it '
      'yourself and give the folder.' % (archive, name, kind))


def _zip_entries(path, budget):
  """Yields (name, size, function that opens it) of the files of a zip."""
  with zipfile.ZipFile(path) as archive:
    for info in archive.infolist():
      budget.add_entry()
      _check_name(path, info.filename)
      kind = stat.S_IFMT(info.external_attr >> 16)
      if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        _refuse(path, info.filename, 'link or device')
      if info.flag_bits & 1:
        raise ArchiveError('%s is encrypted; unpack it yourself and give the '
                           'folder.' % path)
      if not info.filename.endswith('/'):
        yield info.filename, info.file_size, _opener(archive, info)


def _opener(archive, info):
  return lambda: archive.open(info)


def _tar_entries(path, budget):
  """Yields (name, size, function that opens it) of the files of a tar."""
  with contextlib.ExitStack() as stack:
    plain = stack.enter_context(_open_plain(path))
    archive = stack.enter_context(tarfile.open(
        fileobj=_BoundedReader(plain, budget), mode='r:'))
    for member in archive:
      budget.add_entry()
      _check_name(path, member.name)
      if not member.isdir():
        if not member.isreg():
          _refuse(path, member.name,
                  'link' if member.issym() or member.islnk() else 'device')
        yield member.name, member.size, _member_opener(archive, member)
      archive.members = []  # tarfile keeps every entry otherwise
    # What decompresses compares its checksum at the end.
    while plain.read(_CHUNK):
      budget.check(plain.tell())


def _member_opener(archive, member):
  return lambda: archive.extractfile(member)


def _open_plain(path):
  """The file, decompressed while it is read."""
  with open(path, 'rb') as f:
    begin = f.read(8)
  for magic, opener in _COMPRESSED:
    if begin.startswith(magic):
      return opener(path, 'rb')
  return open(path, 'rb')


class _BoundedReader:
  """What tarfile needs of a file, within bounds.

  tarfile believes the sizes in headers: it reads a header of any size into
  memory, and skips an entry by decompressing whatever it holds.
  """

  def __init__(self, opened, budget):
    self._file, self._budget = opened, budget

  def read(self, size=-1):
    """Reads up to `size` bytes."""
    if not 0 <= size <= _MAX_HEADER:
      raise tarfile.ReadError('a header claims to have %d bytes' % size)
    return self._file.read(size)

  def seek(self, position, whence=0):
    """Moves to a position, if the archive may be so large."""
    self._budget.check(position)
    return self._file.seek(position, whence)

  def tell(self):
    """The position."""
    return self._file.tell()


def _write(archive, name, size, opened, folder, budget):
  """Copies one entry; it has to be as long as the archive says."""
  # Without what TensorFlow takes for patterns in the path of a checkpoint.
  target = os.path.join(folder, *[
      re.sub(r'[\[\]*?]', '_', part) for part in re.split(r'[/\\]', name)
      if part not in ('', '.')])
  if os.path.lexists(target):
    raise ArchiveError('%s has the entry %r twice.' % (archive, name))
  os.makedirs(os.path.dirname(target), exist_ok=True)
  copied = 0
  with opened() as source, open(target, 'xb') as f:
    while copied < size:
      chunk = source.read(min(_CHUNK, size - copied))
      if not chunk:
        break
      budget.add_bytes(len(chunk))
      f.write(chunk)
      copied += len(chunk)
    # Read to the end: only there zipfile compares the checksum.
    if copied < size or source.read(1):
      raise EOFError('%s should have %d bytes' % (name, size))
