"""One record for each image, in shards that appear together with an index."""

import collections
import contextlib
import json
import os
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Sequence

import tqdm

from ops import tensorflow_later as tf
from tools.datasets import annotation_checks
from tools.datasets import conversion_report
from tools.datasets import image_notes
from tools.datasets import old_shards
from tools.datasets import staged_files
from tools.datasets import written_order
from utils import types

_NUM_EXAMPLES = 3  # printed of what was left out; the index has all
_TOP_CLASSES = 20  # printed of the classes


class Outcome(NamedTuple):
  """What becomes of one image.

  Attributes:
    serialized: None if it is left out.
    name: name of the image, for messages.
    reason: why it is left out, or None.
    counts: {class id: number, of what the converter counts}.
    notes: [sentence] for the owner of the image.
    digest: the same for images of the same content, or None.
    measures: by name, summed up in the index.
  """
  serialized: Optional[bytes]
  name: str
  reason: Optional[str]
  counts: Dict[int, int]
  notes: Sequence[str] = ()
  digest: Optional[str] = None
  measures: Mapping[str, float] = {}


def write(
    prefix: str, shards: Sequence[str], tasks: Sequence[Any],
    build: Callable[[Any], Outcome], extra_files: Mapping[str, str],
    extension: str = '.tfrecord', overwrite: bool = False,
    num_processes: Optional[int] = None,
    shuffle_seed: Optional[int] = written_order.DEFAULT_SEED) -> Dict[str, Any]:
  """Writes the records; nothing appears under its name before all is written.

  Args:
    prefix: path prefix of the shards and of PREFIX-index.json.
    shards: [path], which begin with the prefix. Each gets a run of the tasks.
    tasks: list.
    build: (task) -> Outcome; run in several processes.
    extra_files: {path: content}, which appear together with the shards.
    extension: the extension of the shards.
    overwrite: whether shards that no index lists may be replaced.
    num_processes: int; None: one per core.
    shuffle_seed: int, of the random order in which the tasks are done; None: in
      their order.

  Returns:
    dict, content of the index: `num_records`, `counts` {class id: number},
    `shards` [{'file', 'num_bytes', 'num_records'}], `skipped` [{'image',
    'reason'}], `notes` [str], `measures` {name: number}.

  Raises:
    ConversionError: if no image can be used, or files that this program did
      not write would be mixed with new ones.
  """
  old = old_shards.find(prefix, extension, overwrite)
  tasks = [tasks[i] for i in written_order.order(len(tasks), shuffle_seed)]
  length = -(-len(tasks) // len(shards))
  counts, measures = collections.Counter(), collections.Counter()
  skipped = []
  notes = image_notes.ImageNotes()
  num_records = [0] * len(shards)
  with staged_files.StagedFiles(prefix) as staged:
    paths = [staged.stage(path) for path in shards]
    results = staged_files.map_in_processes(build, tasks, num_processes)
    with contextlib.closing(results):
      progress = iter(tqdm.tqdm(results, os.path.basename(prefix), len(tasks),
                                unit='image'))
      for i, path in enumerate(paths):
        with tf.io.TFRecordWriter(path) as writer:
          for _ in tasks[i * length:(i + 1) * length]:
            outcome = next(progress)
            if outcome.reason:
              skipped.append({'image': outcome.name, 'reason': outcome.reason})
              continue
            writer.write(outcome.serialized)
            num_records[i] += 1
            counts.update(outcome.counts)
            measures.update(outcome.measures)
            notes.add(outcome.name, outcome.notes, outcome.digest)
      next(progress, None)  # completes the bar
    if skipped and not any(num_records):
      raise annotation_checks.ConversionError(
          'Not one of %d images could be used. The first one, %s: %s' % (
              len(tasks), skipped[0]['image'], skipped[0]['reason']))
    index = {'num_records': sum(num_records),
             'counts': {str(i): counts[i] for i in sorted(counts)},
             'shards': [{'file': os.path.basename(path), 'num_records': number,
                         'num_bytes': tf.gfile.Stat(now).length}
                        for path, now, number in zip(shards, paths,
                                                     num_records)],
             'skipped': skipped, 'notes': notes.lines(),
             'measures': dict(measures)}
    for path, content in extra_files.items():
      staged.write(path, content)
    staged.write(prefix + '-index.json', json.dumps(index, indent=1))
    staged.commit()
  old_shards.remove(old, shards)
  return index


def report(index: Dict[str, Any], names: types.LabelMap, unit: str) -> str:
  """The lines to print after a conversion.

  Args:
    index: result of `write`.
    names: {class id: name}.
    unit: what is counted, such as 'images'.

  Returns:
    str.
  """
  lines = ['Wrote %s to %s.' % (
      conversion_report.count(index['num_records'], 'record'),
      conversion_report.count(len(index['shards']), 'shard'))]
  counts = {int(i): n for i, n in index['counts'].items()}
  order = sorted(names, key=lambda i: (-counts.get(i, 0), i))
  texts = ['%s %d' % (names[i], counts[i]) for i in order if i in counts]
  if len(texts) > _TOP_CLASSES:
    texts = texts[:_TOP_CLASSES] + ['and %d more' % (len(texts)
                                                     - _TOP_CLASSES)]
  lines.append('%s of each class: %s.' % (unit.capitalize(), ', '.join(texts)))
  empty = [names[i] for i in order if i not in counts]
  if empty:
    lines.append('Classes without %s here: %s.' % (unit, ', '.join(empty)))
  lines.extend(index['notes'])
  by_reason = collections.OrderedDict()
  for skip in index['skipped']:
    by_reason.setdefault(skip['reason'], []).append(skip['image'])
  for reason, images in by_reason.items():
    shown = '; '.join(images[:_NUM_EXAMPLES])
    if len(images) > _NUM_EXAMPLES:
      shown += '; ... (all of them in the index file)'
    lines.append('Left out %d (%s): %s' % (len(images), reason, shown))
  return '\n'.join(lines)
