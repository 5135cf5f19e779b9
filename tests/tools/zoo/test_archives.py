"""Tests of tools/zoo/archives.py: archives that nobody can be trusted with."""

import gzip
import io
import os
import tarfile
import zipfile

import pytest

from tools.zoo import archives

LIMIT = 2**20
NAME = 'net/model.ckpt.data-00000-of-00001'
CONTENT = bytes(range(256)) * 40


def _tar(path, entries, mode='w:gz'):
  """Writes (TarInfo, bytes) to a tar archive."""
  with tarfile.open(str(path), mode) as archive:
    for info, content in entries:
      info.size = len(content) if info.isreg() else 0
      archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
  return str(path)


def _file(name=NAME, content=CONTENT):
  return tarfile.TarInfo(name), content


def _special(kind, name='net/checkpoint', target='/etc/passwd'):
  info = tarfile.TarInfo(name)
  info.type, info.linkname = kind, target
  return info, b''


def _zip(path, entries):
  """Writes {name or ZipInfo: bytes} to a zip archive."""
  with zipfile.ZipFile(str(path), 'w', zipfile.ZIP_DEFLATED) as archive:
    for name, content in entries:
      archive.writestr(name, content)
  return str(path)


def _unpack(path, tmp_path, limit=LIMIT):
  folder = tmp_path / 'folder'
  folder.mkdir()
  return archives.unpack(path, str(folder), limit), folder


def _written(folder):
  return sorted(os.path.relpath(os.path.join(path, name), str(folder))
                for path, _, names in os.walk(str(folder)) for name in names)


@pytest.mark.parametrize('mode', ['w', 'w:gz', 'w:bz2', 'w:xz'])
def test_tar_of_any_compression(tmp_path, mode):
  # The name does not say what it is.
  path = _tar(tmp_path / 'download', [_file(), _file('net/checkpoint', b'x')],
              mode)
  assert archives.is_archive(path)
  names, folder = _unpack(path, tmp_path)
  assert names == [NAME, 'net/checkpoint']
  assert (folder / NAME).read_bytes() == CONTENT
  assert _written(folder) == ['net/checkpoint', NAME]


def test_zip(tmp_path):
  path = _zip(tmp_path / 'a', [('net/', b''), (NAME, CONTENT)])
  assert archives.is_archive(path)
  names, folder = _unpack(path, tmp_path)
  assert names == [NAME] and (folder / NAME).read_bytes() == CONTENT


def test_only_files_of_a_checkpoint_are_written(tmp_path):
  others = ['net/run.sh', 'net/events.out', '__MACOSX/net/model.ckpt.index',
            'net/._model.ckpt.index', 'net/checkpoint.py', 'net/.DS_Store']
  path = _tar(tmp_path / 'a', [_file(name) for name in others] + [
      _file(name) for name in ('./net/params.yaml', 'net/a.ckpt.meta')])
  _, folder = _unpack(path, tmp_path)
  assert _written(folder) == ['net/a.ckpt.meta', 'net/params.yaml']


@pytest.mark.parametrize('name', [
    '../model.ckpt.index', '/tmp/model.ckpt.index', 'a/../../model.ckpt.index',
    'a\\..\\..\\model.ckpt.index', '\\\\host\\model.ckpt.index',
    'C:/model.ckpt.index'])
@pytest.mark.parametrize('kind', ['tar', 'zip'])
def test_names_that_lead_out(tmp_path, name, kind):
  path = tmp_path / 'a'
  if kind == 'tar':
    _tar(path, [_file(), _file(name)])
  else:
    _zip(path, [(NAME, CONTENT), (name, CONTENT)])
  with pytest.raises(archives.ArchiveError, match='outside of the folder'):
    _unpack(str(path), tmp_path)
  assert not set(_written(tmp_path)) - {'a', 'folder/' + NAME}


@pytest.mark.parametrize('kind,word', [
    (tarfile.SYMTYPE, 'a link'), (tarfile.LNKTYPE, 'a link'),
    (tarfile.CHRTYPE, 'a device'), (tarfile.BLKTYPE, 'a device'),
    (tarfile.FIFOTYPE, 'a device')])
def test_links_and_devices(tmp_path, kind, word):
  path = _tar(tmp_path / 'a', [_special(kind)])
  with pytest.raises(archives.ArchiveError, match=word):
    _unpack(path, tmp_path)
  assert _written(tmp_path / 'folder') == []


def test_file_through_a_linked_folder(tmp_path):
  (tmp_path / 'outside').mkdir()
  path = _tar(tmp_path / 'a', [
      _special(tarfile.SYMTYPE, 'net', str(tmp_path / 'outside')), _file()])
  with pytest.raises(archives.ArchiveError, match='a link'):
    _unpack(path, tmp_path)
  assert _written(tmp_path / 'outside') == []


def test_link_in_a_zip(tmp_path):
  info = zipfile.ZipInfo('net/checkpoint')
  info.external_attr = 0o120777 << 16
  path = _zip(tmp_path / 'a', [(info, b'/etc/passwd')])
  with pytest.raises(archives.ArchiveError, match='link or device'):
    _unpack(path, tmp_path)


def test_encrypted_zip(tmp_path):
  path = _zip(tmp_path / 'a', [(NAME, CONTENT)])
  data = bytearray(open(path, 'rb').read())
  data[6] |= 1  # flag of the local header
  data[data.index(b'PK\x01\x02') + 8] |= 1  # and of the directory
  open(path, 'wb').write(data)
  with pytest.raises(archives.ArchiveError, match='encrypted'):
    _unpack(path, tmp_path)


@pytest.mark.parametrize('name', [NAME, 'net/ignored.bin'])
def test_bomb(tmp_path, name):
  # What is skipped is decompressed too.
  zeros = bytes(4 * LIMIT)
  path = _tar(tmp_path / 'a', [_file(name, zeros), _file()])
  assert os.path.getsize(path) < LIMIT / 100
  with pytest.raises(archives.ArchiveError, match='more than 0.0 GiB'):
    _unpack(path, tmp_path)


def test_zip_bomb(tmp_path):
  path = _zip(tmp_path / 'a', [(NAME, bytes(4 * LIMIT))])
  with pytest.raises(archives.ArchiveError, match='--max_unpacked_gib'):
    _unpack(path, tmp_path)


def test_header_of_gigabytes(tmp_path):
  info = tarfile.TarInfo('long')
  info.type, info.size = tarfile.XHDTYPE, 2**33
  path = str(tmp_path / 'a')
  with gzip.open(path, 'wb') as f:
    f.write(info.tobuf() + bytes(10240))
  with pytest.raises(archives.ArchiveError, match='truncated or damaged'):
    _unpack(path, tmp_path)


def test_too_many_entries(tmp_path, monkeypatch):
  monkeypatch.setattr(archives, '_MAX_ENTRIES', 3)
  path = _tar(tmp_path / 'a', [_file('%d' % i, b'') for i in range(4)])
  with pytest.raises(archives.ArchiveError, match='more than 3 entries'):
    _unpack(path, tmp_path)


def test_entry_twice(tmp_path):
  path = _tar(tmp_path / 'a', [_file(), _file('./' + NAME)])
  with pytest.raises(archives.ArchiveError, match='twice'):
    _unpack(path, tmp_path)


@pytest.mark.parametrize('mode', ['w', 'w:gz', 'w:bz2', 'w:xz', 'zip'])
@pytest.mark.parametrize('left', [0.2, 0.5, 0.9])
def test_cut_off(tmp_path, mode, left):
  content = os.urandom(100000)
  path = str(tmp_path / 'a')
  if mode == 'zip':
    _zip(path, [(NAME, content)])
  else:
    _tar(path, [_file(content=content)], mode)
  data = open(path, 'rb').read()
  open(path, 'wb').write(data[:int(left * len(content))])
  with pytest.raises(archives.ArchiveError, match='truncated or damaged'):
    _unpack(path, tmp_path)


def test_wrong_byte(tmp_path):
  content = os.urandom(100000)
  for i, make in enumerate([lambda p: _tar(p, [_file(content=content)]),
                            lambda p: _zip(p, [(NAME, content)])]):
    path = make(tmp_path / 'a')
    data = bytearray(open(path, 'rb').read())
    data[50000] ^= 255
    open(path, 'wb').write(data)
    (tmp_path / str(i)).mkdir()
    with pytest.raises(archives.ArchiveError, match='truncated or damaged'):
      _unpack(path, tmp_path / str(i))


def test_other_files(tmp_path):
  for i, content in enumerate([b'', b'BZ', b'x' * 1000, CONTENT]):
    path = tmp_path / str(i)
    path.write_bytes(content)
    assert not archives.is_archive(str(path))
