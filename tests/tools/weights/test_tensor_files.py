"""Files of tensors: both formats of torch, safetensors, arrays, refusals."""

import collections
import io
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest

from tools.weights import pickles
from tools.weights import tensor_files

VALUES = np.arange(12, dtype=np.float32)


class _Global:
  """Pickles to a name, whether it exists or not."""

  def __init__(self, module, name):
    self.module, self.name = module, name


class _Pickler(pickle._Pickler):
  """Writes what torch writes, without torch."""

  dispatch = dict(pickle._Pickler.dispatch)

  def persistent_id(self, value):
    return value.pid if isinstance(value, _Stored) else None

  def save_global_(self, value):
    self.write(pickle.GLOBAL + ('%s\n%s\n' % (value.module,
                                              value.name)).encode())

  dispatch[_Global] = save_global_

  def save_call(self, value):
    self.save(value.function)
    self.save(value.arguments)
    self.write(pickle.REDUCE)


class _Stored:

  def __init__(self, key, size, kind='FloatStorage', view=False):
    self.pid = ('storage', _Global('torch', kind), key, 'cpu', size) + (
        (None,) if view else ())


_Call = collections.namedtuple('_Call', 'function arguments')
_Pickler.dispatch[_Call] = _Pickler.save_call


def _tensor(stored, offset=0, shape=(3, 4), strides=(4, 1)):
  return _Call(_Global('torch._utils', '_rebuild_tensor_v2'),
               (stored, offset, shape, strides, False, {}))


def _pickled(*values):
  stream = io.BytesIO()
  for value in values:
    _Pickler(stream, 2).dump(value)
  return stream.getvalue()


def _legacy(state, keys=('0',), content=None):
  content = struct.pack('<q', 12) + VALUES.tobytes() if (
      content is None) else content
  return _pickled(0x1950a86a20f9469cfc6c, 1001, {'little_endian': True}, state,
                  list(keys)) + content


def _archive(state, content=VALUES.tobytes(), kind=zipfile.ZIP_STORED):
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, 'w', kind) as archive:
    archive.writestr('model/data.pkl', _pickled(state))
    archive.writestr('model/data/0', content)
  return stream.getvalue()


def _safetensors(**entries):
  header = json.dumps(dict(entries, __metadata__={'format': 'pt'})).encode()
  return struct.pack('<Q', len(header)) + header + VALUES.tobytes()


def _read(tmp_path, content):
  path = tmp_path / 'file'
  path.write_bytes(content)
  return tensor_files.read(str(path))


@pytest.mark.parametrize('make', [_legacy, _archive])
def test_torch(tmp_path, make):
  stored = _Stored('0', 12, view=make is _legacy)
  found = _read(tmp_path, make({'state_dict': {
      'a': _tensor(stored), 'b': _tensor(stored, 1, (2, 3), (1, 4))}}))
  np.testing.assert_array_equal(found['a'], VALUES.reshape(3, 4))
  np.testing.assert_array_equal(found['b'], [[1, 5, 9], [2, 6, 10]])


def test_bfloat16(tmp_path):
  halves = (VALUES.view(np.uint32) >> 16).astype('<u2')
  found = _read(tmp_path, _archive(
      {'a': _tensor(_Stored('0', 12, 'BFloat16Storage'))}, halves.tobytes()))
  np.testing.assert_array_equal(found['a'], VALUES.reshape(3, 4))


def test_safetensors(tmp_path):
  found = _read(tmp_path, _safetensors(
      a={'dtype': 'F32', 'shape': [2, 3], 'data_offsets': [0, 24]},
      b={'dtype': 'I16', 'shape': [], 'data_offsets': [24, 26]}))
  np.testing.assert_array_equal(found['a'], VALUES[:6].reshape(2, 3))
  assert found['b'].shape == ()


@pytest.mark.parametrize('protocol', [2, 4])
def test_arrays_of_detectron2(tmp_path, protocol):
  arrays = {'x': VALUES.reshape(3, 4), 'y': np.asfortranarray(
      VALUES.reshape(3, 4)), 'z': np.array([1, 2], '>i4')}
  found = _read(tmp_path, pickle.dumps(
      {'model': arrays, '__author__': 'someone'}, protocol))
  for name, array in arrays.items():
    np.testing.assert_array_equal(found[name], array)


def test_hdf5_of_keras(tmp_path):
  h5py = pytest.importorskip('h5py')
  with h5py.File(str(tmp_path / 'file'), 'w') as f:
    f['conv1/conv1/kernel:0'] = VALUES
    f['optimizer/m:0'] = VALUES
  assert set(tensor_files.read(str(tmp_path / 'file'))) == {
      'conv1/kernel', 'optimizer/m'}


class _Evil:

  def __reduce__(self):
    return (print, ('this must not be printed',))


@pytest.mark.parametrize('content, message', [
    (lambda: pickle.dumps({'a': _Evil()}),
     r"file: The file names .*print. Only tensors are read"),
    (lambda: _archive({'a': _Call(_Global('os', 'system'), ('true',))}),
     'names os.system'),
    (lambda: _legacy({'a': _Global('torch.nn', 'Conv2d')}),
     'names torch.nn.Conv2d'),
    (lambda: pickle.dumps({'a': np.array([{}], object)}), 'holds object'),
    (lambda: _legacy({'a': _tensor(_Stored('0', 12))})[:-4], 'cut off'),
    (lambda: _archive({'a': _tensor(_Stored('0', 12))}, b'1234'), '4 bytes'),
    (lambda: _archive({'a': _tensor(_Stored('1', 12))}), 'lacks model/data/1'),
    (lambda: _archive({'a': _tensor(_Stored('0', 12))},
                      kind=zipfile.ZIP_DEFLATED), 'compressed'),
    (lambda: _legacy({'a': _tensor(_Stored('0', 12), 1)}), 'beyond'),
    # A step of 0 would make any size of a few values.
    (lambda: _legacy({'a': _tensor(_Stored('0', 12), 0, (10 ** 9, 10 ** 9),
                                   (0, 0))}), 'beyond'),
    (lambda: _legacy({'a': _tensor(_Stored('0', 12), 0, (3,), (-1,))}),
     'shape'),
    (lambda: _legacy({'a': 1, 'b': _tensor(_Stored('0', 12))}),
     'a is not a tensor'),
    (lambda: _safetensors(a={'dtype': 'F32', 'shape': [99],
                             'data_offsets': [0, 396]}), 'cut off'),
    (lambda: struct.pack('<Q', 10 ** 9) + b'{', 'cut off'),
    (lambda: b'', 'damaged'), (lambda: b'text', 'damaged'),
    (lambda: b'PK\x03\x04' + b'0' * 50, 'damaged')])
def test_refused(tmp_path, content, message, capsys):
  with pytest.raises(tensor_files.TensorFileError, match=message):
    _read(tmp_path, content())
  assert not capsys.readouterr().out


def test_numbers_of_a_tensor_are_a_copy():
  tensor = pickles.Tensor(None, 0, (2,), (1,))
  values = np.zeros(2, np.float32)
  tensor.array(values)[0] = 1
  assert not values.any()
