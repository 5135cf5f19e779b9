"""Files of tensors of other frameworks, read without these frameworks.

PyTorch's (both of its formats), safetensors, pickled NumPy arrays as detectron2
has them, and the HDF5 files of Keras. Nothing in a file is run.
"""

import json
import os
from typing import Any, Dict
import zipfile

import numpy as np

from tools.weights import pickles

TensorFileError = pickles.TensorFileError
_MOST_HEADER = 100 * 2 ** 20  # bytes, that of the format
# Where programs that save more than the weights have them.
_WEIGHTS = ('state_dict', 'model', 'model_state_dict')
_SAFETENSORS = {'F64': '<f8', 'F32': '<f4', 'F16': '<f2', 'BF16': 'bfloat16',
                'I64': '<i8', 'I32': '<i4', 'I16': '<i2', 'I8': '<i1',
                'U8': '<u1', 'BOOL': '|b1'}


def read(path: str) -> Dict[str, np.ndarray]:
  """All tensors of a file.

  Args:
    path: the path of the file, whose first bytes show its format.

  Returns:
    {name: array}.

  Raises:
    TensorFileError: saying what is wrong with the file.
    OSError: if it cannot be read.
  """
  try:
    return _arrays(_reader_of(path)(path))
  except TensorFileError as e:
    raise TensorFileError('%s: %s' % (path, e)) from e


def _reader_of(path):
  with open(path, 'rb') as f:
    start = f.read(9)
  if start.startswith(b'PK\x03\x04'):
    return _read_archive
  if start.startswith(b'\x89HDF'):
    return _read_hdf5
  if start[8:9] == b'{':
    return _read_safetensors
  return _read_pickle


def _read_pickle(path):
  with open(path, 'rb') as f:
    return pickles.read(f)


def _read_archive(path):
  """What torch.save writes since 1.6: a pickle, and a file for a storage."""
  try:
    with zipfile.ZipFile(path) as archive:
      names = archive.namelist()
      entries = [name for name in names if name.endswith('/data.pkl')]
      if len(entries) != 1:
        raise TensorFileError('The archive is not one of torch.save: it has no '
                              'data.pkl.')
      # Stored as they are, so that no entry is larger than the file.
      if any(i.compress_type != zipfile.ZIP_STORED
             for i in archive.infolist()):
        raise TensorFileError('Its entries are compressed, which torch.save '
                              'does not do.')
      folder = entries[0][:-len('data.pkl')]
      if (folder + 'byteorder' in names
          and archive.read(folder + 'byteorder') != b'little'):
        raise TensorFileError('It is of a big-endian machine.')
      with archive.open(entries[0]) as f:
        value = pickles.load(f)
      found = {}

      def values_of(storage):
        if storage.key not in found:
          found[storage.key] = _entry(archive, folder, storage)
        return found[storage.key]

      return pickles.resolved(value, values_of)
  except (zipfile.BadZipFile, EOFError) as e:
    raise TensorFileError('The archive is damaged: %s.' % e) from e


def _entry(archive, folder, storage):
  name = '%sdata/%s' % (folder, storage.key)
  try:
    content = archive.read(name)
  except KeyError:
    raise TensorFileError('The archive lacks %s.' % name) from None
  if len(content) != storage.size * storage.kind.item_size:
    raise TensorFileError('%s has %d bytes.' % (name, len(content)))
  return pickles.numbers(content, storage.kind)


def _read_safetensors(path):
  size = os.path.getsize(path)
  with open(path, 'rb') as f:
    length = int(np.frombuffer(f.read(8), '<u8')[0])
    if length > min(size - 8, _MOST_HEADER):
      raise TensorFileError('The file is cut off, or is not one of tensors.')
    try:
      header = json.loads(f.read(length).decode('utf-8'))
      header.pop('__metadata__', None)
      content = f.read()
      return {name: _of_header(entry, content)
              for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError,
            RecursionError) as e:
      raise TensorFileError('The header of the file is damaged: %s.'
                            % e) from e


def _of_header(entry: Dict[str, Any], content: bytes) -> np.ndarray:
  begin, end = entry['data_offsets']
  if not 0 <= begin <= end <= len(content):
    raise TensorFileError('The file is cut off.')
  kind = pickles.StorageType(_SAFETENSORS[entry['dtype']])
  return pickles.numbers(content[begin:end], kind).reshape(entry['shape'])


def _read_hdf5(path):
  """Weights of Keras 2; names are layer/variable."""
  import h5py  # Takes a second to load.
  found = {}

  def visit(name, item):
    if isinstance(item, h5py.Dataset):
      found['/'.join(name.split('/')[-2:]).split(':')[0]] = np.asarray(item)

  try:
    with h5py.File(path, 'r') as f:
      f.get('model_weights', f).visititems(visit)
  except OSError as e:
    raise TensorFileError('The file is damaged: %s.' % e) from e
  return found


def _arrays(value):
  """{name: array} of what a file holds."""
  for key in _WEIGHTS:
    if isinstance(value, dict) and isinstance(value.get(key), dict):
      value = value[key]
      break
  if not isinstance(value, dict) or not value:
    raise TensorFileError('It holds no tensors by name.')
  others = [str(name) for name, one in value.items()
            if not isinstance(one, np.ndarray)]
  if others:
    raise TensorFileError('%s is not a tensor.' % others[0])
  return {str(name): one for name, one in value.items()}
