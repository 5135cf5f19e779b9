"""Tensors of pickled files, without running what a pickle could run.

A pickle names functions to call. Here a name is looked up in a table of what
tensors and arrays are stored with, all of it from this file; any other name is
refused. So no torch is needed, and a file from elsewhere can do no harm.
"""

import collections
import functools
import operator
import pickle
from typing import IO, Any, Callable, Dict, List, NamedTuple, Tuple

import numpy as np

# What a tensor of this storage has; bfloat16 is the upper half of a float32.
_STORAGES = {
    'FloatStorage': '<f4', 'DoubleStorage': '<f8', 'HalfStorage': '<f2',
    'BFloat16Storage': 'bfloat16', 'LongStorage': '<i8', 'IntStorage': '<i4',
    'ShortStorage': '<i2', 'CharStorage': '<i1', 'ByteStorage': '<u1',
    'BoolStorage': '|b1'}
_ARRAY_KINDS = 'biuf'  # of NumPy's types: booleans and numbers
_MAGIC = 0x1950a86a20f9469cfc6c  # of torch.save before 1.6
_PROTOCOL = 1001


class TensorFileError(ValueError):
  """A file that is damaged, or that is not one of tensors."""


class StorageType(NamedTuple):
  """A class of storages.

  Attributes:
    dtype: a type of NumPy, or 'bfloat16'.
  """
  dtype: str

  @property
  def item_size(self) -> int:
    return 2 if self.dtype == 'bfloat16' else np.dtype(self.dtype).itemsize


class Storage(NamedTuple):
  """The values behind tensors, which the file has elsewhere.

  Attributes:
    kind: StorageType.
    key: its name in the file.
    size: number of values.
  """
  kind: StorageType
  key: str
  size: int


class Tensor(NamedTuple):
  """A view of a storage, in values."""
  storage: Storage
  offset: int
  shape: Tuple[int, ...]
  strides: Tuple[int, ...]

  def array(self, values: np.ndarray) -> np.ndarray:
    """The tensor, of its storage's values.

    Args:
      values: [Storage.size].

    Raises:
      TensorFileError: if it reaches beyond them.
    """
    sizes = self.shape + self.strides + (self.offset,)
    if (not all(isinstance(n, int) and n >= 0 for n in sizes)
        or len(self.shape) != len(self.strides)):
      raise TensorFileError('A tensor of the file has the shape %s.'
                            % (self.shape,))
    count = functools.reduce(operator.mul, self.shape, 1)  # of any size
    last = self.offset + sum(
        (n - 1) * step for n, step in zip(self.shape, self.strides))
    if count > len(values) or count and last >= len(values):
      raise TensorFileError('A tensor of the file reaches beyond its storage.')
    if not count:
      return np.zeros(self.shape, values.dtype)
    item = values.dtype.itemsize
    return np.lib.stride_tricks.as_strided(
        values[self.offset:], self.shape,
        [step * item for step in self.strides]).copy()


def numbers(content: bytes, kind: StorageType) -> np.ndarray:
  """The values of a storage, [N], bfloat16 as float32."""
  if kind.dtype == 'bfloat16':
    halves = np.frombuffer(content, '<u2').astype(np.uint32)
    return (halves << 16).view(np.float32)
  return np.frombuffer(content, kind.dtype)


class _Dtype:
  """In the place of numpy.dtype while a pickle is read."""

  def __init__(self, code, *_):
    self.code, self.order = code, '='

  def __setstate__(self, state):
    self.order = state[1]

  def numpy(self) -> np.dtype:
    dtype = np.dtype(str(self.code))
    if dtype.kind not in _ARRAY_KINDS:
      raise TensorFileError('An array of the file holds %s, not numbers.'
                            % dtype)
    return dtype.newbyteorder(self.order if self.order in '<>' else '=')


class _Array:
  """In the place of numpy.ndarray."""

  value = None

  def __setstate__(self, state):
    _, shape, dtype, is_fortran, content = state
    if isinstance(content, str):
      content = content.encode('latin1')
    self.value = np.frombuffer(content, dtype.numpy()).reshape(
        shape, order='F' if is_fortran else 'C')


def _rebuild_tensor(storage, offset, shape, strides, *_):
  if not isinstance(storage, Storage):
    raise TensorFileError('A tensor of the file has no storage.')
  return Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor, *_):
  return tensor


def _reconstruct_array(*_):
  return _Array()


def _encode(text, encoding='latin1'):
  """Bytes, as Python 3 writes them for older protocols."""
  if encoding != 'latin1' or not isinstance(text, str):
    raise TensorFileError('Bytes of the file are encoded as %r.' % encoding)
  return text.encode('latin1')


# All that a file can name.
_KNOWN: Dict[Tuple[str, str], Any] = {
    ('collections', 'OrderedDict'): collections.OrderedDict,
    ('torch._utils', '_rebuild_tensor_v2'): _rebuild_tensor,
    ('torch._utils', '_rebuild_parameter'): _rebuild_parameter,
    ('numpy', 'ndarray'): _Array,
    ('numpy', 'dtype'): _Dtype,
    ('_codecs', 'encode'): _encode,
    **{('torch', name): StorageType(dtype)
       for name, dtype in _STORAGES.items()},
    **{(module, '_reconstruct'): _reconstruct_array
       for module in ('numpy.core.multiarray', 'numpy._core.multiarray')}}


class _Unpickler(pickle.Unpickler):
  """Reads numbers, text, dictionaries, tensors and arrays, nothing else."""

  def find_class(self, module: str, name: str) -> Any:
    if (module, name) not in _KNOWN:
      raise TensorFileError(
          'The file names %s.%s. Only tensors are read, as a state_dict has '
          'them: anything else could run code. Save model.state_dict() alone.'
          % (module, name))
    return _KNOWN[module, name]

  def persistent_load(self, pid: Any) -> Storage:
    if (not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != 'storage'
        or not isinstance(pid[1], StorageType)):
      raise TensorFileError('The file refers to something that is not the '
                            'storage of a tensor.')
    if len(pid) > 5 and pid[5] is not None:
      raise TensorFileError('The file has views of storages, which are not '
                            'read: save it again with torch 1.6 or later.')
    return Storage(pid[1], str(pid[2]), int(pid[4]))


def load(stream: IO[bytes]) -> Any:
  """The next pickled value of a file.

  Args:
    stream: binary file.

  Returns:
    Numbers, text, lists, tuples, dictionaries, Tensor, arrays.

  Raises:
    TensorFileError: if something else is in it, or it is damaged.
  """
  try:
    # Text of Python 2 comes as bytes.
    return _plain(_Unpickler(stream, encoding='latin1').load())
  except TensorFileError:
    raise
  except Exception as e:  # Anything can be wrong with bytes.
    raise TensorFileError('The file is damaged, or is not one of tensors: %s.'
                          % e) from e


def _plain(value):
  """With arrays in the place of what they are read into."""
  if isinstance(value, _Array):
    return value.value
  if isinstance(value, dict):
    return collections.OrderedDict((k, _plain(v)) for k, v in value.items())
  return value


def read(stream: IO[bytes]) -> Any:
  """The content of a pickled file that is not an archive.

  Args:
    stream: binary file at its beginning: arrays in dictionaries, or a file of
      torch.save before 1.6.

  Returns:
    Dictionaries with arrays as leaves.

  Raises:
    TensorFileError: see `load`.
  """
  first = load(stream)
  if first != _MAGIC:
    return first
  if load(stream) != _PROTOCOL:
    raise TensorFileError('The file is of another protocol than %d of '
                          'torch.save.' % _PROTOCOL)
  if not load(stream).get('little_endian', True):
    raise TensorFileError('The file is of a big-endian machine.')
  value, keys = load(stream), load(stream)
  return resolved(value, _storages(stream, keys, value))


def _storages(stream: IO[bytes], keys: List[str], value: Any
              ) -> Callable[[Storage], np.ndarray]:
  """Reads the values that follow the pickles, in the order of the keys."""
  wanted = {tensor.storage.key: tensor.storage for tensor in _tensors(value)}
  found = {}
  for key in map(str, keys):
    if key not in wanted:
      raise TensorFileError('The file has a storage that no tensor uses.')
    storage = wanted[key]
    size = int(np.frombuffer(stream.read(8).ljust(8, b'\0'), '<i8')[0])
    content = stream.read(storage.size * storage.kind.item_size)
    if size != storage.size or len(content) < size * storage.kind.item_size:
      raise TensorFileError('The file is cut off.')
    found[key] = numbers(content, storage.kind)
  if set(wanted) - set(found):
    raise TensorFileError('The file lacks values of tensors.')
  return lambda storage: found[storage.key]


def _tensors(value):
  if isinstance(value, Tensor):
    yield value
  elif isinstance(value, dict):
    for one in value.values():
      yield from _tensors(one)


def resolved(value: Any, values_of: Callable[[Storage], np.ndarray]) -> Any:
  """With arrays in the place of tensors.

  Args:
    value: result of `load`.
    values_of: the values of a Storage.
  """
  if isinstance(value, Tensor):
    return value.array(values_of(value.storage))
  if isinstance(value, dict):
    return collections.OrderedDict(
        (key, resolved(one, values_of)) for key, one in value.items())
  return value
