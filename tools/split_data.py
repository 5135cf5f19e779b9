"""Divides a data set into splits, such as train, val and test.

  python -m tools.split_data --annotations=all.json --output=mine/instances \\
      --shares=train:0.8,val:0.1,test:0.1
  python -m tools.split_data --voc=VOC2012 --shares=train:0.8,val:0.2
  python -m tools.split_data --images=images --output=lists/all \\
      --shares=train:0.9,val:0.1 --group_pattern='^patient\\d+'

--annotations (COCO) writes OUTPUT-train.json and so on; --voc writes lists into
ImageSets/Main; --xml, a folder of the files of VOC, writes OUTPUT-train.txt and
so on, with a name on each line; --list=trainval.txt divides only the images in
a list of VOC; --images and --yolo write the same with a path
on each line. The classes of --images are its subfolders, those of --yolo are in
the label files. Every split gets about the same share of each class, rare
classes first (--nostratify: of the images only). Images of one group, such as a
patient, a place or a video, stay together. Without groups, files of the same
content do; --annotations and --xml need --images=FOLDER for it. The same --seed
gives the same splits. No file is ever replaced.
"""

import collections
import json
import os
import re
import sys
from typing import (
  Any,
  Callable,
  Dict,
  List,
  Mapping,
  Optional,
  Sequence,
)

from absl import app
from absl import flags

from evaluation import ids
from ops import tensorflow_later as tf
from tools import create_yolo_tfrecord
from tools.common import reasons
from tools.datasets import annotation_checks
from tools.datasets import conversion_report
from tools.datasets import image_names
from tools.datasets import source_set
from tools.datasets import stratification
from tools.datasets import voc_images
from utils import coco_annotations
from utils import files
from utils import text_files
from utils import values

ConversionError = annotation_checks.ConversionError
Item = stratification.Item
Splits = Dict[str, List[Item]]  # {name of a split: [Item]}
FLAGS = flags.FLAGS
flags.DEFINE_string('annotations', None, 'COCO file to divide.')
flags.DEFINE_string('voc', None, 'Folder of a VOC set to divide.')
flags.DEFINE_string('xml', None, "Folder of VOC's .xml files to divide.")
flags.DEFINE_string('list', None, 'File with the names of the images that '
                    'count, one in each line, with --voc or --xml. Default: '
                    'all of them.')
flags.DEFINE_string('images', None, 'Folder of images to divide, or of those '
                    'of --annotations or --xml.')
flags.DEFINE_string('yolo', None, 'Folder of images with labels of YOLO to '
                    'divide, or a data.yaml, of which the key `train` counts.')
flags.DEFINE_string('output', None, 'What the names of the written files begin '
                    'with; not with --voc.')
flags.DEFINE_string('shares', 'train:0.8,val:0.2', 'Name and share of each '
                    'split.')
flags.DEFINE_string('group_pattern', None, 'Regular expression: images in '
                                           'whose names it matches the same '
                                           'text (the first group, if there is '
                                           'one) stay together.')
flags.DEFINE_string('groups', None, 'CSV file of image name and group, instead '
                    'of --group_pattern.')
flags.DEFINE_bool('stratify', True, 'Give each split its share of every class.')
flags.DEFINE_integer('seed', 0, 'Seed of the division.')


def read_shares(text: str) -> Dict[str, float]:
  """{split name: share} of 'train:0.8,val:0.2'.

  Raises:
    ConversionError: if they do not add up to 1.
  """
  shares = collections.OrderedDict()
  for part in text.split(','):
    name, _, share = part.strip().partition(':')
    if not re.match(r'^[\w-]+$', name) or name in shares:
      raise ConversionError('--shares: %r is not a new name and a share, as in '
                            'train:0.8.' % part)
    shares[name] = source_set.number(share, '--shares: %s' % name)
  if min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-6:
    raise ConversionError('--shares: %s add up to %g; they have to be above 0 '
                          'and add up to 1.' % (text, sum(shares.values())))
  return shares


def group_of(pattern: Optional[str] = None,
             path: Optional[str] = None) -> Optional[Callable[[str], Any]]:
  """(image name) -> its group; None where each image is one of its own.

  Args:
    pattern: regular expression, or None.
    path: the path of a CSV file of name and group, or None.

  Raises:
    ConversionError: for an expression or file that cannot be used; by the
      returned function, for an image without a group.
  """
  if pattern and path:
    raise ConversionError('Give --group_pattern or --groups, not both.')
  if path:
    groups = dict(line.rsplit(',', 1) for line in text_files.read_lines(
        path, tf.gfile.Open) if ',' in line)
    groups = {k.strip(): v.strip() for k, v in groups.items()}
    return lambda name: _known(groups.get(name), name, path)
  if not pattern:
    return None
  try:
    expression = re.compile(pattern)
  except re.error as e:
    raise ConversionError('--group_pattern: %r is not a regular expression: %s'
                          % (pattern, e))
  def find(name):
    found = expression.search(name)
    return _known(found and found.group(min(1, expression.groups)), name,
                  '--group_pattern')
  return find


def _known(group, name, source):
  if not group:
    raise ConversionError('%s gives no group for %s.' % (source, name))
  return group


def write_new(contents: Mapping[str, str]) -> None:
  """Writes files, none of which may be there.

  Args:
    contents: {path: text}.

  Raises:
    ConversionError: naming a file that is there; nothing is written then.
  """
  for path in contents:
    if tf.gfile.Exists(path):
      raise ConversionError('%s already exists. Choose another --output, or '
                            'remove it.' % path)
  for path, text in contents.items():
    if os.path.dirname(path):
      tf.gfile.MakeDirs(os.path.dirname(path))
    with tf.gfile.Open(path, 'w') as f:
      f.write(text)


def split_coco(path: str, prefix: str, shares: Mapping[str, float],
               group: Optional[Callable[[str], Any]], seed: int = 0,
               stratify: bool = True,
               images: Optional[str] = None) -> Splits:
  """Divides a COCO file; returns {split name: [Item]}.

  See `split` and `group_of`; `images` is the folder of the images, of which
  copies stay in one split, or None.
  """
  raw = text_files.read_json(path, tf.gfile.Open)
  try:
    content = coco_annotations.clean(raw, path)
  except ValueError as e:
    raise ConversionError(str(e))
  classes = collections.defaultdict(collections.Counter)
  for annotation in content['annotations']:
    classes[annotation['image_id']][annotation['category_id']] += 1
  names = [str(image.get('file_name', image['id']))
           for image in content['images']]
  # The place in the list tells images of one name apart; an image that is
  # listed twice stays in one split.
  places: Dict[Any, int] = {}
  contents = {} if group else _contents(images, names)
  by_content: Dict[str, str] = {}
  items: List[Item] = []
  for i, (image, name) in enumerate(zip(content['images'], names)):
    first = places.setdefault(values.canonical_id(image['id']), i)
    own = (items[first].group if first < i else
           by_content.setdefault(contents.get(name, 'image %d' % i), str(i)))
    items.append(Item(i, classes[image['id']] if stratify else {},
                      group(name) if group else own))
  splits = stratification.split(items, shares, seed)
  listed = {image['id'] for image in content['images']}
  lost = [a['image_id'] for a in content['annotations']
          if a['image_id'] not in listed]
  if lost:
    print('%d annotations belong to images that are not listed (%s): no split '
          'has them.' % (len(lost), ids.name_some(sorted(set(lost), key=str))))
  texts = {}
  for name, chosen in splits.items():
    listed = [item.name for item in chosen]
    image_ids = {content['images'][i]['id'] for i in listed}
    part = dict(raw, images=[raw['images'][i] for i in listed], annotations=[
        given for given, a in zip(raw['annotations'], content['annotations'])
        if a['image_id'] in image_ids])
    texts['%s-%s.json' % (prefix, name)] = json.dumps(part)
  write_new(texts)
  return splits


def split_voc(data_dir: str, shares: Mapping[str, float],
              group: Optional[Callable[[str], Any]], seed: int = 0,
              stratify: bool = True,
              among: Optional[str] = None) -> Splits:
  """Divides the annotated images of a VOC folder; `among`: see split_xml."""
  splits = stratification.split(_voc_items(
      os.path.join(data_dir, 'Annotations'), group, stratify,
      os.path.join(data_dir, 'JPEGImages'), among), shares, seed)
  write_new({os.path.join(data_dir, 'ImageSets', 'Main', name + '.txt'):
             _lines(chosen) for name, chosen in splits.items()})
  return splits


def split_xml(annotations: str, prefix: str, shares: Mapping[str, float],
              group: Optional[Callable[[str], Any]], seed: int = 0,
              stratify: bool = True, images: Optional[str] = None,
              among: Optional[str] = None) -> Splits:
  """Divides the files of a folder of VOC annotations, and of folders in it.

  See `split` and `group_of`; `images` is the folder of the images, of which
  copies stay in one split, or None; `among` is the path of a list of the images
  that count, or None: all.
  """
  splits = stratification.split(
      _voc_items(annotations, group, stratify, images, among), shares, seed)
  write_new({'%s-%s.txt' % (prefix, name): _lines(chosen)
             for name, chosen in splits.items()})
  return splits


def _voc_items(annotations, group, stratify, images, among=None):
  """[Item] of a folder of .xml files."""
  paths = voc_images.annotation_files(annotations)
  notes: List[str] = []
  names = (voc_images.listed(among, annotations, paths, notes) if among
           else sorted(paths))
  for note in notes:
    print(note)
  roots = {name: text_files.read_xml(paths[name], tf.gfile.Open)
           for name in names}
  used, contents = {}, {}
  if images and not group and tf.gfile.IsDirectory(images):
    used = voc_images.find(images, {
        name: (root.findtext('filename') or '').strip()
        for name, root in roots.items()}).used
    contents = _contents(images, used.values())
  items, by_content = [], {}
  for name, root in roots.items():
    classes = collections.Counter(
        (e.findtext('name') or '').strip() for e in root.findall('object'))
    own = by_content.setdefault(contents.get(used.get(name), name), name)
    items.append(Item(name, classes if stratify else {},
                      group(name) if group else own))
  return items


def _contents(folder, names):
  """{name: path of the first file of the same content}, of those with a file.

  Args:
    folder: the folder of the images; None: nothing is known of any.
    names: their files within it, as annotations name them.
  """
  if not folder:
    return {}
  names = list(filter(None, collections.OrderedDict.fromkeys(names)))
  found, _ = image_names.meant(folder, names)
  found = {name: found.get(name, name) for name in names}
  paths = {name: os.path.join(folder, file_name)
           for name, file_name in found.items()
           if image_names.is_file(folder, file_name)}
  originals = _originals(paths.values())
  return {name: originals.get(path, path) for name, path in paths.items()}


def _originals(paths):
  """{path of a copy: path of the first file of the same content}.

  Copies on both sides of a split would make an evaluation look better than it
  is. Only files of the same size are read.
  """
  by_size = collections.defaultdict(list)
  for path in paths:
    size = tf.gfile.Stat(path).length if tf.gfile.Exists(path) else 0
    if size:
      by_size[size].append(path)
  originals, first = {}, {}
  for same_size in by_size.values():
    if len(same_size) < 2:
      continue
    for path in same_size:
      digest = files.sha256(path)
      if first.setdefault(digest, path) != path:
        originals[path] = first[digest]
  if originals:
    print('%s the same content as another one, such as %s: copies stay in one '
          'split.' % ('1 image has' if len(originals) == 1
                      else '%d images have' % len(originals),
                      next(iter(originals))))
  return originals


def split_yolo(source: str, prefix: str, shares: Mapping[str, float],
               group: Optional[Callable[[str], Any]], seed: int = 0,
               stratify: bool = True) -> Splits:
  """Divides the images of a folder or data.yaml, by their label files."""
  if source.lower().endswith(('.yaml', '.yml')):
    images, _ = create_yolo_tfrecord.read_data_file(source, 'train')
  else:
    images = [(source, name) for name in source_set.walk_images(source)[0]]
  items = []
  places = [os.path.abspath(os.path.join(folder, name))
            for folder, name in images]
  originals = {} if group else _originals(places)
  for path, (_, name) in zip(places, images):
    classes = (create_yolo_tfrecord.classes_of(path) if stratify
               else collections.Counter())
    items.append(Item(path, classes, group(name) if group
                      else originals.get(path, path)))
  splits = stratification.split(items, shares, seed)
  write_new({'%s-%s.txt' % (prefix, name): _lines(chosen)
             for name, chosen in splits.items()})
  return splits


def split_images(folder: str, prefix: str, shares: Mapping[str, float],
                 group: Optional[Callable[[str], Any]], seed: int = 0,
                 stratify: bool = True) -> Splits:
  """Divides the images of a folder; the first folders in it are the classes."""
  names, notes = source_set.walk_images(folder)
  for note in notes:
    print(note)
  places = {name: os.path.join(folder, name) for name in names}
  originals = {} if group else _originals(places.values())
  items = [Item(name, {name.split('/')[0]: 1}
                if stratify and '/' in name else {},
                group(name) if group
                else originals.get(places[name], places[name]))
           for name in names]
  splits = stratification.split(items, shares, seed)
  write_new({'%s-%s.txt' % (prefix, name): _lines(
      i._replace(name=os.path.join(os.path.abspath(folder), i.name))
      for i in chosen) for name, chosen in splits.items()})
  return splits


# Flag: (its value, prefix, shares, group, seed, stratify) -> splits.
_DIVIDERS: Dict[str, Callable[..., Splits]] = {
    'annotations': split_coco, 'xml': split_xml, 'images': split_images,
    'yolo': split_yolo}
_WITH_IMAGES = {'annotations', 'xml'}  # These take their folder besides.


def _lines(items):
  return ''.join(item.name + '\n' for item in items)


def report(splits: Mapping[str, Sequence[Item]]) -> str:
  """Lines about the number of images and classes of each split."""
  count = conversion_report.count
  total = sum(map(len, splits.values()))
  # Without groups, each image is one of its own.
  has_groups = any(len({i.group for i in items}) < len(items)
                   for items in splits.values())
  lines = []
  for name, items in splits.items():
    classes = stratification.classes_of(items)
    lines.append('%s: %s (%.1f %%)%s%s.' % (
        name, count(len(items), 'image'), 100. * len(items) / max(total, 1),
        ', ' + count(len({i.group for i in items}), 'group')
        if has_groups else '',
        ', ' + count(len(classes), 'class', 'es') if classes else ''))
  everything = set().union(*map(stratification.classes_of, splits.values()))
  marked = {name: sum(bool(i.classes) for i in items)
            for name, items in splits.items()}
  for name, items in splits.items():
    if 2 * marked[name] * total < len(items) * sum(marked.values()):
      lines.append(
          '%s has objects in %d of %s only: an image with the only objects of '
          'a class is trained on. --nostratify divides regardless of classes.'
          % (name, marked[name], count(len(items), 'image')))
    missing = sorted(map(str, everything - stratification.classes_of(items)))
    if missing:
      lines.append('%s has no object of %s: %s%s.' % (
          name, count(len(missing), 'class', 'es'), ', '.join(missing[:5]),
          ', ...' if len(missing) > 5 else ''))
  return '\n'.join(lines)


def main(argv: Sequence[str]) -> None:
  try:
    if len(argv) > 1:
      raise ConversionError('Unexpected argument %r.' % argv[1])
    sources = [name for name in ('voc', *_DIVIDERS) if FLAGS[name].value]
    more = {}
    if _WITH_IMAGES.intersection(sources) and FLAGS.images:
      sources.remove('images')
      more['images'] = FLAGS.images
    if FLAGS.list:
      if not {'voc', 'xml'}.intersection(sources):
        raise ConversionError('--list goes with --voc or --xml.')
      more['among'] = FLAGS.list
    if len(sources) != 1 or bool(FLAGS.output) == bool(FLAGS.voc):
      raise ConversionError(
          'Give --annotations=FILE or --xml=FOLDER, with --images=FOLDER or '
          'without, --images=FOLDER or --yolo=FOLDER, and --output=PREFIX; or '
          '--voc=FOLDER.')
    options = (read_shares(FLAGS.shares),
               group_of(FLAGS.group_pattern, FLAGS.groups), FLAGS.seed,
               FLAGS.stratify)
    if FLAGS.voc:
      splits = split_voc(FLAGS.voc, *options, **more)
    else:
      splits = _DIVIDERS[sources[0]](FLAGS[sources[0]].value, FLAGS.output,
                                     *options, **more)
  except (ValueError, OSError, tf.errors.OpError) as e:
    sys.exit('Error: %s' % reasons.of(e))
  print(report(splits))


if __name__ == '__main__':
  app.run(main)
