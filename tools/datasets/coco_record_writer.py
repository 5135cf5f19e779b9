"""Writes a COCO-style dictionary and its images as sharded TFRecords.

Beside the shards `PREFIX-00000-of-0000N.tfrecord` it leaves
  PREFIX-label_map.csv     rows `id:name`
  PREFIX-annotations.json  the same objects as COCO annotations, for evaluation
  PREFIX-index.json        record counts, ids, and what was left out and why
Nothing appears under its final name before everything has been written.
"""

import collections
import contextlib
import functools
import json
import os
from typing import Any, Callable, Dict, NamedTuple, Optional

import tqdm

from ops import tensorflow_later as tf
from tools.datasets import annotation_checks
from tools.datasets import conversion_report
from tools.datasets import image_notes
from tools.datasets import object_checks
from tools.datasets import old_shards
from tools.datasets import record_builder
from tools.datasets import staged_files
from tools.datasets import written_order
from utils import label_map as label_maps
from utils import orientation as orientations
from utils import types

ConversionError = annotation_checks.ConversionError
SHARD = '%s-%05d-of-%05d.tfrecord'


class Options(NamedTuple):
  """How a dataset is written.

  Attributes:
    num_shards: None: see written_order.num_shards.
    include_masks: None: when the annotations have any.
    clip_boxes: see object_checks.check_objects.
    trust_files: an image whose size is not the annotated one is used as it is,
      not left out.
    overwrite: replaces shards that no index lists.
    num_processes: None: one per core.
    exif: one of orientation.CHOICES, what annotations of turned images mean.
    shuffle_seed: seed of the random order in which records are written;
      None: in the order of the annotations.
    cut_masks: where masks are written, they are also written cut to their
      objects, which are read in a fraction of the time.
    class_ids: see annotation_checks.check_dataset.
  """
  num_shards: Optional[int] = None
  include_masks: Optional[bool] = None
  clip_boxes: bool = False
  trust_files: bool = False
  overwrite: bool = False
  num_processes: Optional[int] = None
  exif: str = orientations.UPRIGHT
  shuffle_seed: Optional[int] = written_order.DEFAULT_SEED
  cut_masks: bool = False
  class_ids: str = annotation_checks.KEEP


def write_dataset(dataset: Dict[str, Any], prefix: str,
                  load_image: Callable[[Dict[str, Any]], bytes],
                  options: Options = Options(),
                  label_map: Optional[types.LabelMap] = None) -> Dict[str, Any]:
  """Checks and writes a data set; prints what was left out and why.

  Args:
    dataset: COCO-style dictionary (see annotation_checks); an image may have
      'captions', a list of str. Image ids may be any integer or string.
    prefix: path prefix of all written files; a bucket path works too.
    load_image: (image entry of the dictionary) -> bytes of its file.
    options: Options.
    label_map: {id: name} to use instead of the ids of the annotations.

  Returns:
    dict, the content of PREFIX-index.json.

  Raises:
    ConversionError: if the annotations are ambiguous, no image or no object
      is usable, or files that this program did not write would be mixed with
      new ones.
  """
  if not os.path.basename(prefix):
    raise ConversionError(
        '%r is a folder. The output is what the names of the files begin with, '
        'such as %strain.' % (prefix, prefix))
  old = old_shards.find(prefix, overwrite=options.overwrite)
  checked = annotation_checks.check_dataset(dataset, label_map,
                                            options.class_ids)
  include_masks = _include_masks(checked, options)
  names = {c['id']: c['name'] for c in checked.categories}
  build = functools.partial(
      record_builder.build_record, load_image=load_image, names=names,
      include_masks=include_masks, clip_boxes=options.clip_boxes,
      trust_files=options.trust_files, exif=options.exif,
      cut_masks=options.cut_masks)
  num_shards = options.num_shards or written_order.num_shards(
      len(checked.images))
  shards = [SHARD % (prefix, i, num_shards) for i in range(num_shards)]
  with staged_files.StagedFiles(prefix) as files:
    tasks = [(image, checked.annotations[str(image['id'])])
             for image in checked.images]
    order = written_order.order(len(tasks), options.shuffle_seed)
    staged = [files.stage(s) for s in shards]
    shuffled = _write_shards(build, [tasks[i] for i in order], staged,
                             options.num_processes)
    # Reports and annotations keep the order of the input.
    outcomes = [outcome for _, outcome in sorted(
        zip(order, shuffled), key=lambda pair: pair[0])]
    index = _index(checked, outcomes, include_masks, options.cut_masks)
    index['shards'] = _shard_entries(shuffled, shards, staged)
    annotations = _annotations(checked, outcomes)
    files.write(prefix + '-annotations.json', json.dumps(annotations))
    files.write(prefix + '-label_map.csv', label_maps.text(names))
    files.write(prefix + '-index.json', json.dumps(index, indent=1))
    files.commit()
  old_shards.remove(old, shards)
  print(conversion_report.report(index))
  return index


def _include_masks(checked, options):
  """Whether masks are written."""
  has_masks = annotation_checks.has_masks(checked.annotations)
  if options.include_masks and not has_masks and any(
      checked.annotations.values()):
    raise ConversionError('Masks are asked for (--include_masks), but no '
                          'object has one.')
  return has_masks if options.include_masks is None else options.include_masks


def _write_shards(build, tasks, paths, num_processes):
  """Record i goes to shard i modulo the number of shards, as upstream's does.

  Returns:
    [record_builder.Outcome], one for each task.
  """
  outcomes = []
  num_written = 0
  with contextlib.ExitStack() as stack:
    writers = [stack.enter_context(tf.io.TFRecordWriter(p)) for p in paths]
    results = stack.enter_context(contextlib.closing(
        staged_files.map_in_processes(build, tasks, num_processes)))
    for serialized, outcome in tqdm.tqdm(results, total=len(tasks),
                                         unit='image'):
      outcomes.append(outcome)
      if serialized is not None:
        writers[num_written % len(writers)].write(serialized)
        num_written += 1
  return outcomes


def _shard_entries(outcomes, shards, staged):
  """What the index says about each shard.

  Args:
    outcomes: [record_builder.Outcome] in the order in which they were written.
    shards: [path].
    staged: [path] where they are now.

  Returns:
    [dict].
  """
  ids = [str(o.image['id']) for o in outcomes if o.image]
  return [{'file': os.path.basename(path),
           'num_bytes': tf.gfile.Stat(now).length,
           'num_records': len(ids[i::len(shards)]),
           'source_ids': ids[i::len(shards)]}
          for i, (path, now) in enumerate(zip(shards, staged))]


def _index(checked, outcomes, include_masks, cut_masks):
  """Content of the index file, but for the shards."""
  written = [o for o in outcomes if o.image]
  skips = checked.skips + [s for o in outcomes for s in o.skips]
  _check_usable(outcomes, skips)
  counts = [len(o.objects) for o in written]
  objects = [o.objects for o in written]
  cut = [annotation_checks.Skip('object', o.image['id'], a['id'],
                                object_checks.BEYOND, 'box %s' % (a['bbox'],))
         for o in written for a in o.cut]
  notes = checked.notes + _image_notes(written) + (
      conversion_report.teaching_doubts(objects)) + (
          conversion_report.cut_boxes(cut, sum(counts))) + (
              conversion_report.corner_suspicion(
                  skips + cut, checked.annotations,
                  {str(o.image['id']): (o.image['height'], o.image['width'])
                   for o in written}))
  return {
      'num_records': len(written),
      'num_objects': sum(counts),
      'max_num_objects': max(counts),
      'num_images_without_objects': counts.count(0),
      'num_images_over_100_objects': sum(c > 100 for c in counts),
      'num_objects_by_class': _count_by_class(checked.categories, written),
      'num_objects_by_size': conversion_report.count_by_size(
          [a for o in written for a in o.objects]),
      'include_masks': include_masks,
      'cut_masks': bool(include_masks and cut_masks),
      'category_id_shift': checked.id_shift,
      'label_map': {c['id']: c['name'] for c in checked.categories},
      'notes': notes,
      'skipped': [s._asdict() for s in skips],
      'cut': [{'image': s.image, 'annotation': s.annotation,
               'detail': s.detail} for s in cut],
  }


def _check_usable(outcomes, skips):
  """Raises ConversionError when nothing at all is left of the input."""
  if not outcomes:
    raise ConversionError('The list of images is empty.')
  if not any(o.image for o in outcomes):
    raise ConversionError(
        'Not one of %d images could be used. The first one: %s: %s' % (
            len(outcomes), outcomes[0].skips[0].reason,
            outcomes[0].skips[0].detail))
  skips = [s for s in skips if s.kind == 'object']
  if skips and not any(o.objects for o in outcomes):
    raise ConversionError(
        'Not one of %d objects could be used. The first one, of image %s: %s, '
        '%s' % (len(skips), skips[0].image, skips[0].reason, skips[0].detail))


def _count_by_class(categories, written):
  """{class id: number of objects}, with the classes that have none."""
  counts = collections.Counter(
      a['category_id'] for o in written for a in o.objects)
  return {c['id']: counts[c['id']] for c in categories}


def _image_notes(written):
  """What is to be said about the images that were written, counted."""
  notes = image_notes.ImageNotes()
  for outcome in written:
    notes.add(outcome.image['file_name'], outcome.notes, outcome.digest)
  return notes.lines()


def _annotations(checked, outcomes):
  """COCO annotations of what was written, under the ids of the records."""
  from dataloader import source_ids
  written = [o for o in outcomes if o.image]
  ids = source_ids.to_ints([str(o.image['id']) for o in written])
  first = {}
  images, annotations = [], []
  for image_id, outcome in zip(ids, written):
    source_id = str(outcome.image['id'])
    if image_id in first:
      raise ConversionError('The image ids %r and %r become the same number %d.'
                            % (first[image_id], source_id, image_id))
    first[image_id] = source_id
    images.append(dict(outcome.image, id=image_id, source_id=source_id))
    annotations.extend(dict(a, image_id=image_id) for a in outcome.objects)
  return {'images': images, 'annotations': annotations,
          'categories': checked.categories}
