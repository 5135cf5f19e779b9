"""The commands that lead from a data set to a report.

Each is a tool of its own; `train_on` only runs them one after the other.
"""

import os
import typing
from typing import Any, Callable, List, Optional, Tuple

from tools.own_data import layouts
from tools.own_data import mask_values

SHARES = 'train:0.8,val:0.2'
_MODELS = {layouts.CLASSES: 'classification',
           layouts.LABEL_MAPS: 'segmentation'}


class Stage(typing.NamedTuple):
  """A command, and when it is to be run again.

  Attributes:
    name: str.
    arguments: [str] of Python.
    inputs: [path], files and folders that it reads.
    outputs: [path] of files whose presence shows that it has run.
    replaced: [path] of the outputs that it does not replace itself.
    key: str, which differs where its result would, apart from the inputs.
    folder: what it resumes, or None.
    origin: (key, [path]): where one of them has changed, there is nothing to
      resume.
  """
  name: str
  arguments: list
  inputs: list
  outputs: list
  replaced: list
  key: str
  folder: Optional[str] = None
  origin: tuple = ('', ())


class Options(typing.NamedTuple):
  """What the user asks for.

  Attributes:
    data: file or folder.
    images: folder, or None.
    model: see `model_of`; None: by the data.
    minutes: float, for everything.
    output: folder.
    seed: int, of the split.
    group_pattern: see tools.split_data, or None.
    config_flags: [str], further arguments of tools.new_config.
    label_maps: 'classes': their values are classes, whatever they look like;
      None: as it seems.
  """
  data: str
  images: typing.Any
  model: typing.Any
  minutes: float
  output: str
  seed: int
  group_pattern: typing.Any
  config_flags: list
  label_maps: Optional[str] = None


def model_of(found: layouts.Found, model: Optional[str] = None) -> str:
  """The model for what was recognised."""
  return model or _MODELS.get(found.kind, 'retinanet')


class Plan:
  """The stages of a data set."""

  def __init__(self, found: layouts.Found, options: Options,
               remember: Callable[..., Any] = mask_values.compute) -> None:
    """Plans.

    Args:
      found: layouts.Found.
      options: Options.
      remember: see stages.State.remember.
    """
    self._found, self._options = found, options
    self._remember = remember
    self.model = model_of(found, options.model)
    self._label_map = None
    self.stages = []
    sides = self._split()
    self._train, self._eval = _CONVERSIONS[found.kind](self, sides)
    self._configure()
    self._learn()

  def path(self, *names: str) -> str:
    return os.path.join(self._options.output, *names)

  @property
  def config_file(self) -> str:
    return self.path('config.yaml')

  @property
  def model_dir(self) -> str:
    return self.path('model')

  def fit(self, minutes: float) -> List[str]:
    """Arguments of the stage `fit` when so many minutes are left."""
    return ['-m', 'tools.fit_steps', '--config_file=' + self.config_file,
            '--minutes=%.3g' % minutes]

  def _add(self, name, arguments, inputs, outputs, replaced=(), key='',
           **resumed):
    self.stages.append(Stage(name, arguments, inputs, outputs, list(replaced),
                             key or self._key(arguments), **resumed))

  def _key(self, arguments):
    """The arguments, however the paths of data and output are spelled."""
    places = {self._options.output: 'OUTPUT', self._options.data: 'DATA',
              self._options.images: 'IMAGES'}
    words = []
    for argument in arguments:
      option, sign, value = argument.rpartition('=')
      for place, word in places.items():
        if place and (value + os.sep).startswith(place + os.sep):
          value = word + value[len(place):]
          break
      words.append(option + sign + value)
    return ' '.join(words + sorted(map(os.path.abspath, self._sources())))

  def _sources(self):
    options = self._options
    return [options.data] + ([options.images] if options.images else [])

  # The split.

  def _split(self):
    """{'train', 'val'}: parts, as they are found or as a list divides them."""
    if self._found.has_splits:
      return self._found.splits
    splits = self._found.splits
    parts = splits.get(layouts.ALL) or splits.get(layouts.TRAIN)
    if not parts:
      raise layouts.RecognitionError(
          '%s: there is no set to train on, only %s.' % (
              self._options.data, ' and '.join(sorted(splits))))
    *flags, ending = _SPLIT_FLAGS[self._found.kind](parts)
    prefix = self.path('splits', 'part')
    files = {name: '%s-%s%s' % (prefix, name, ending)
             for name in (layouts.TRAIN, layouts.VAL)}
    arguments = ['-m', 'tools.split_data'] + flags + [
        '--output=' + prefix, '--shares=' + SHARES,
        '--seed=%d' % self._options.seed]
    if self._options.group_pattern:
      arguments.append('--group_pattern=' + self._options.group_pattern)
    self._add('split', arguments, self._sources(), list(files.values()),
              files.values())
    return {name: dict(parts, list=path) for name, path in files.items()}

  # The conversion.

  def _convert(self, name, arguments, split_files=(), label_map=None):
    """Adds the conversion of one split to PREFIX."""
    prefix = self.path('data', name)
    arguments = arguments + ['--output=' + prefix] + (
        ['--label_map=' + label_map] if label_map else [])
    self._add('convert ' + name, arguments,
              self._sources() + list(split_files), [prefix + '-index.json'])
    return prefix

  def _convert_boxes(self, tool, flags_of, sides):
    """Both splits of a detector; returns their patterns."""
    common = ['-m', 'tools.' + tool, '--clip_boxes', '--class_ids=auto']
    common.append('--cut_masks' if self.model == 'mask_rcnn'
                  else '--noinclude_masks')
    patterns, label_map = [], None
    for name in (layouts.TRAIN, layouts.VAL):
      parts = sides[name]
      prefix = self._convert(
          name, common + flags_of(parts),
          [parts['list']] if 'list' in parts else [], label_map)
      patterns.append(prefix + '-*.tfrecord')
      # So that both have the same ids.
      label_map = self.path('data', 'train-label_map.csv')
    self._label_map = label_map
    return patterns

  def _convert_coco(self, sides):
    return self._convert_boxes('create_coco_tfrecord', lambda parts: [
        '--annotations=' + parts.get('list', parts['annotations']),
        '--images=' + parts['images']], sides)

  def _convert_voc(self, sides):
    def flags_of(parts):
      if 'data_dir' in parts and 'list' not in parts:
        return ['--data_dir=' + parts['data_dir'], '--split=' + parts['split']]
      annotations, images = _voc_folders(parts)
      return ['--annotations=' + annotations, '--images=' + images] + (
          ['--list=' + parts['list']] if 'list' in parts else [])
    return self._convert_boxes('create_voc_tfrecord', flags_of, sides)

  def _convert_yolo(self, sides):
    classes = self._found.classes
    def flags_of(parts):
      if 'list' in parts:
        return ['--images=' + parts['list'],
                '--classes=' + (parts.get('data') or classes)]
      if 'data' in parts:
        return ['--data=' + parts['data'], '--split=' + parts['split']]
      return ['--images=' + parts['images'], '--classes=' + classes]
    return self._convert_boxes('create_yolo_tfrecord', flags_of, sides)

  def _convert_classes(self, sides):
    places = {name: sides[split].get('list', sides[split]['folder'])
              for name, split in (('train', layouts.TRAIN),
                                  ('validation', layouts.VAL))}
    folder = self.path('data')
    train = sides[layouts.TRAIN]
    self._add('convert', [
        '-m', 'tools.create_imagenet_tfrecord'] + [
            '--%s=%s' % item for item in sorted(places.items())] + (
                ['--class_root=' + train['folder']] if 'list' in train else []
            ) + ['--output=' + folder, '--num_train_shards=8',
                '--num_validation_shards=2'],
              self._sources() + [p for p in places.values()
                                 if os.path.splitext(p)[1] == '.txt'],
              [os.path.join(folder, name, name + '-index.json')
               for name in places])
    self._label_map = os.path.join(folder, 'label_map.csv')
    return [os.path.join(folder, name, name + '-*-of-*') for name in (
        'train', 'validation')]

  def _convert_label_maps(self, sides):
    patterns = []
    flags = mask_values.flags(
        [sides[layouts.TRAIN], sides[layouts.VAL]], self._options.output,
        self._options.label_maps == 'classes', self._remember)
    for name in (layouts.TRAIN, layouts.VAL):
      parts = sides[name]
      arguments = ['-m', 'tools.create_segmentation_tfrecord',
                   '--image_dir=' + parts['images'],
                   '--label_dir=' + parts['labels']]
      if 'list' in parts:
        arguments.append('--list=' + parts['list'])
      prefix = self._convert(name, arguments + flags,
                             [parts['list']] if 'list' in parts else [],
                             self._found.classes)
      patterns.append(prefix + '-*.tfrecord')
    self._label_map = self._found.classes
    return patterns

  # What follows is the same for all.

  def _configure(self):
    options = self._options
    arguments = ['-m', 'tools.new_config', '--records=' + self._train,
                 '--eval_records=' + self._eval, '--model=' + self.model,
                 '--minutes=%g' % options.minutes]
    if self._label_map:
      arguments.append('--label_map=' + self._label_map)
    arguments += options.config_flags + ['--output=' + self.config_file]
    records = [self.path('data')]
    self._add('configure', arguments, records, [self.config_file],
              [self.config_file])
    key = self._key(arguments)
    self._add('check', ['-m', 'tools.check_data',
                        '--config_file=' + self.config_file,
                        '--json=' + self.path('check.json')],
              records, [self.path('check.json')], key=key)
    self._add('fit', self.fit(options.minutes), records, [], key=key)
    self._origin = (key, records)

  def _learn(self):
    finished = os.path.join(self.model_dir, 'training_finished.json')
    metrics = os.path.join(self.model_dir, 'eval', 'metrics.json')
    self._add('train', ['main.py', '--mode=train',
                        '--config_file=' + self.config_file,
                        '--model_dir=' + self.model_dir],
              [self.config_file] + self._origin[1], [finished],
              folder=self.model_dir, origin=self._origin)
    self._add('evaluate', ['main.py', '--mode=eval', '--eval_once',
                           '--model_dir=' + self.model_dir],
              [self.config_file, finished], [metrics])
    self._add('report', ['-m', 'tools.make_report',
                         '--model_dir=' + self.model_dir,
                         '--output=' + self.path('report.html')],
              [metrics], [self.path('report.html')])

  def next_commands(self) -> List[Tuple[str, List[str]]]:
    """[(what for, arguments of Python)]."""
    folder = self._options.images or self._image_folder()
    seen = [('draw what it detects in images; for others, change --input', [
        '-m', 'tools.infer', '--model_dir=' + self.model_dir,
        '--input=' + folder, '--output=' + self.path('seen')])]
    longer = self.path('longer')
    return seen + [
        ('train for an hour; before that, change %s if you like'
         % self.config_file, [
            '-m', 'tools.fit_steps', '--config_file=' + self.config_file,
            '--minutes=60']),
        ('', ['main.py', '--mode=train_and_eval',
              '--config_file=' + self.config_file, '--model_dir=' + longer]),
        ('export the model for other programs, and serve it over HTTP', [
            '-m', 'tools.export_saved_model', '--model_dir=' + self.model_dir,
            '--export_dir=' + self.path('exported')]),
        ('', ['-m', 'tools.serve', '--saved_model=' + self.path('exported')])]

  def _image_folder(self):
    """A folder that has images."""
    parts = next(iter(self._found.splits.values()))
    if 'data_dir' in parts:
      return os.path.join(parts['data_dir'], 'JPEGImages')
    return parts.get('images') or parts.get('folder') or os.path.dirname(
        parts['data'])


def _voc_folders(parts):
  """(folder of annotations, folder of images) of parts of a VOC set."""
  folder = parts.get('data_dir', '')
  return (parts.get('annotations', os.path.join(folder, 'Annotations')),
          parts.get('images', os.path.join(folder, 'JPEGImages')))


# What of the parts tools.split_data divides, and what its files end with.
_SPLIT_FLAGS = {
    layouts.COCO: lambda parts: (
        '--annotations=' + parts['annotations'], '--images=' + parts['images'],
        '.json'),
    layouts.VOC: lambda parts: (
        '--xml=' + _voc_folders(parts)[0], '--images=' + _voc_folders(parts)[1],
        *(['--list=' + parts['among']] if 'among' in parts else []), '.txt'),
    layouts.YOLO: lambda parts: (
        '--yolo=' + (parts.get('data') or parts['images']), '.txt'),
    layouts.CLASSES: lambda parts: ('--images=' + parts['folder'], '.txt'),
    layouts.LABEL_MAPS: lambda parts: (
        '--images=' + parts['images'], '.txt')}
# (plan, {split: parts}) -> patterns of the records.
_CONVERSIONS = {
    layouts.COCO: Plan._convert_coco, layouts.VOC: Plan._convert_voc,
    layouts.YOLO: Plan._convert_yolo,
    layouts.CLASSES: Plan._convert_classes,
    layouts.LABEL_MAPS: Plan._convert_label_maps}
