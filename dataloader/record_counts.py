"""How many records files hold, from the cheapest source that knows it.

1. The index that the converters write next to the shards (PREFIX-index.json).
   It counts only if the file still has the number of bytes that it states.
2. What was counted before, in a file of the caller.
3. Local files: from the length of each record to the next one; for 100,000
   records this takes about half a second if the files were read recently.
4. Files in a bucket: by reading them, several at a time.
"""

import collections
from concurrent import futures
import json
import os
from typing import Dict, List, Mapping, Optional, Sequence

import tensorflow.compat.v1 as tf

from dataloader import file_patterns
from dataloader import record_files

_NUM_READERS = 16  # files of a bucket that are read at a time
_SAMPLED_FILES = 8
_SAMPLED_RECORDS = 32  # of each file
_INDEX = '-index.json'


def sizes_of(files: Sequence[str]) -> Dict[str, int]:
  """{path: bytes} of files, several of a bucket at a time."""
  with futures.ThreadPoolExecutor(_NUM_READERS) as pool:
    return dict(zip(files, pool.map(
        lambda path: tf.gfile.Stat(path).length, files)))


def count_each(files: Sequence[str],
               cache_path: Optional[str] = None) -> List[int]:
  """Numbers of records.

  Args:
    files: [path].
    cache_path: JSON file that keeps what had to be read for it, or None.

  Returns:
    [int], one for each file.

  Raises:
    record_files.RecordError: for a file that is cut off or of another kind.
  """
  sizes = sizes_of(files)
  known = _from_indexes(files)
  cached = _read_json(cache_path) if cache_path else {}
  counts = {}
  for path, size in sizes.items():
    for source in (known, cached):
      if path not in counts and source.get(path, (None,))[0] == size:
        counts[path] = source[path][1]
  missing = [path for path in files if path not in counts]
  remote = [path for path in missing if '://' in path]
  with futures.ThreadPoolExecutor(_NUM_READERS) as pool:
    counts.update(zip(missing, pool.map(
        lambda path: record_files.count_records([path]), missing)))
  if remote and cache_path:
    cached.update({path: [sizes[path], counts[path]] for path in remote})
    _write_json(cache_path, cached)
  return [counts[path] for path in files]


def check_whole(files: Sequence[str]) -> None:
  """Checks that no file is shorter than the converter that wrote it said.

  A file that was cut exactly between two records is a whole one of fewer
  records to everybody who only reads it.

  Args:
    files: [path].

  Raises:
    record_files.RecordError: naming the file, its length and its index.
  """
  known = _from_indexes(files)
  sizes = sizes_of([path for path in files if path in known])
  for path, size in sizes.items():
    num_bytes, num_records = known[path]
    if size < num_bytes:
      raise record_files.RecordError(
          '%s is cut off: it has %s bytes, and the index beside it (*%s) says '
          '%s, of %d records. Copy or convert the file again; if it is meant '
          'to be so, remove the index.' % (
              path, format(size, ','), _INDEX, format(num_bytes, ','),
              num_records))


def _from_indexes(files):
  """{path: (bytes, records)} of the indexes of converters next to files."""
  known = {}
  for folder in sorted({os.path.dirname(path) for path in files}):
    for index in file_patterns.glob(os.path.join(folder, '*' + _INDEX)):
      for shard in _read_json(index).get('shards') or ():
        # Indexes of earlier versions do not state the bytes.
        if isinstance(shard, dict) and isinstance(shard.get('num_bytes'), int):
          known[os.path.join(folder, shard['file'])] = (
              shard['num_bytes'], shard['num_records'])
  return known


def _read_json(path):
  """The dictionary of a file; empty where there is none or it is broken."""
  try:
    with tf.gfile.Open(path) as f:
      content = json.load(f)
  except (ValueError, tf.errors.OpError):
    return {}  # The records are counted instead.
  return content if isinstance(content, dict) else {}


def _write_json(path, content):
  """Writes a file that appears complete or not at all, also in a bucket."""
  folder = os.path.dirname(path)
  if folder:
    tf.gfile.MakeDirs(folder)
  temporary = '%s.%d.tmp' % (path, os.getpid())
  with tf.gfile.Open(temporary, 'w') as f:
    f.write(json.dumps(content, sort_keys=True))
  tf.gfile.Rename(temporary, path, overwrite=True)


# {path: [bytes]}: the first records of some files.
Sample = collections.OrderedDict


def sample(files: Sequence[str]) -> Dict[str, List[bytes]]:
  """The first records of files that are spread evenly over the list.

  Args:
    files: [path].

  Returns:
    {path: [bytes]} of 8 files at most, 32 records at most of each.
  """
  step = max(1, -(-len(files) // _SAMPLED_FILES))
  return Sample((path, list(_first_records(path))) for path in files[::step])


def _first_records(path):
  """Yields records up to a damaged one, which training will report."""
  try:
    for _, _, record in record_files.iterate([path], _SAMPLED_RECORDS):
      yield record
  except record_files.RecordError:
    pass


def mean_bytes(sampled: Mapping[str, List[bytes]]) -> float:
  """Mean number of bytes of a record in a file, its frame included.

  Args:
    sampled: what `sample` returns.

  Returns:
    float.
  """
  lengths = [len(record) + record_files.FRAME_BYTES
             for records in sampled.values() for record in records]
  return sum(lengths) / len(lengths) if lengths else record_files.FRAME_BYTES
