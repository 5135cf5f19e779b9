"""The demo: data, training, evaluation, a report and drawn predictions.

Every step is a documented command.

  python -m tools.demo --model=retinanet
  python -m tools.demo --model=shapemask_partial

An interrupted training run resumes; a finished one is not repeated
(remove demo/ for that, or run `make clean`). Each command is printed, so that
it can be used on other data.
"""

import argparse
import os
import shlex
import subprocess
import sys
import time
from typing import Any, Callable, List

from configs import factory

# A model's demo is configs/experiments/demo/<model>.yaml; another demo of it,
# <model>_<what>.yaml.
_CONFIGS = 'configs/experiments/demo'


def _detection_data(folder):
  """Scenes, as records already."""
  data = '%s/data' % folder
  return data, [['-m', 'tools.make_demo_data', '--output=' + data]]


def _classification_data(folder):
  """Images by class, converted to records."""
  data = '%s/classification_data' % folder
  return data, [
      ['-m', 'tools.make_demo_data', '--kind=classification',
       '--output=%s/images' % data, '--num_train=6000', '--num_val=600',
       '--image_size=80'],
      ['-m', 'tools.create_imagenet_tfrecord',
       '--raw_data_dir=%s/images' % data, '--output=' + data,
       '--num_train_shards=8', '--num_validation_shards=2']]


def _segmentation_data(folder):
  """Scenes and their label maps, converted to records."""
  data = '%s/segmentation_data' % folder
  return data, [
      ['-m', 'tools.make_demo_data', '--kind=segmentation',
       '--output=%s/scenes' % data, '--num_train=4000', '--num_val=200',
       '--image_size=128']] + [
           ['-m', 'tools.create_segmentation_tfrecord',
            '--image_dir=%s/scenes/images/%s' % (data, split),
            '--label_dir=%s/scenes/labels/%s' % (data, split),
            '--output=%s/%s' % (data, split),
            '--label_map=%s/scenes/label_map.csv' % data, '--num_shards=8']
           for split in ('train', 'val')]


# Of other models than detectors: (folder) -> (folder of the records,
# [command that makes them]).
_DATA = {'classification': _classification_data,
         'segmentation': _segmentation_data}
# Within the folder of the records: images that were not trained on.
_IMAGES = {'classification': 'images/validation',
           'segmentation': 'scenes/images/val'}


def commands(name: str, folder: str) -> List[List[str]]:
  """The commands of a demo.

  Args:
    name: the name of its configuration.
    folder: the folder of data and results.

  Returns:
    [[program argument]], to be run by Python in this order.
  """
  config_file = '%s/%s.yaml' % (_CONFIGS, name)
  config, _ = factory.load_config(None, config_file)
  model_dir = os.path.join(folder, name)
  data, data_commands = _DATA.get(config.type, _detection_data)(folder)
  flags = ['--model=' + config.type, '--config_file=' + config_file,
           '--model_dir=' + model_dir, '--data_dir=' + data]
  return data_commands + _prior_commands(config, data) + [
      ['main.py', '--mode=train'] + flags,
      ['main.py', '--mode=eval', '--eval_once'] + flags,
      ['-m', 'tools.make_report', '--model_dir=' + model_dir],
      ['-m', 'tools.infer', '--model_dir=' + model_dir,
       '--input=%s/%s' % (data, _IMAGES.get(config.type, 'images/val')),
       '--output=%s/seen' % model_dir] + (
           [] if config.type in _DATA
           else ['--label_map=%s/val-label_map.csv' % data])]


def _prior_commands(config, data_dir):
  """The command that makes shape priors, for a model that takes them."""
  if config.type != 'shapemask' or not config.shapemask_head.shape_prior_path:
    return []
  section = config.shapemask_head
  command = [
      '-m', 'tools.create_shape_priors',
      '--input_file_pattern=%s/%s' % (data_dir,
                                      config.train.train_file_pattern),
      '--mask_crop_size=%d' % section.mask_crop_size,
      '--output=%s/%s' % (data_dir, section.shape_prior_path)]
  command += (['--num_classes=%d' % config.architecture.num_classes]
              if section.use_category_for_mask else ['--class_agnostic'])
  train_class = config.shapemask_parser.mask_train_class
  if train_class != 'all':
    # Other masks are hidden from the priors, too.
    command += ['--classes'] + [str(i) for i in train_class]
  return [command]


def run(name: str, folder: str, show: Callable[[str], Any] = print) -> None:
  """Runs a demo.

  Args:
    name: the name of its configuration.
    folder: the folder of data and results.
    show: a function of a str, prints a line.

  Raises:
    SystemExit: when a command fails.
  """
  start = time.time()
  for arguments in commands(name, folder):
    show('\n$ python ' + ' '.join(shlex.quote(a) for a in arguments))
    code = subprocess.call([sys.executable] + arguments)
    if code:
      show('This command failed; `make demo` continues where it stopped.')
      raise SystemExit(code)
  show('The demo took %.1f minutes.' % ((time.time() - start) / 60.))


def main() -> None:
  models = sorted(os.path.splitext(name)[0] for name in os.listdir(_CONFIGS)
                  if name.endswith('.yaml'))
  parser = argparse.ArgumentParser(
      description='Trains and evaluates a small model on drawn scenes.')
  parser.add_argument('--model', default='retinanet', choices=models,
                      help='which model, or which other demo of a model')
  parser.add_argument('--folder', default='demo',
                      help='folder of data and results')
  args = parser.parse_args()
  run(args.model, args.folder)


if __name__ == '__main__':
  main()
