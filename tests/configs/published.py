"""The published YAML files, and our copies of them in configs/experiments.

  python -m tests.configs.published

writes the copies again from tests/data/reference/config/config_files.json.
"""

import copy
import os

from configs import yaml_format
from tests import golden

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
FOLDER = os.path.join(ROOT, 'configs', 'experiments')
NOT_BUILT = ('vild', 'attribute_mask_rcnn')
BROKEN = 'copy_paste/maskrcnn_resnet101_1024.yaml'
MISPLACED = ('train_batch_size', 'total_steps', 'learning_rate',
             'gradient_clip_norm', 'frozen_variable_prefix', 'l2_weight_decay')


def our_name(name):
  """The path below FOLDER of a published path, models/official/detection/...
  """
  parts = name.split('/')[3:]
  return '/'.join(p for p in parts if p not in ('configs', 'projects'))


def published_files():
  """{relative path in our layout: entry of config_files.json}."""
  files = {}
  for path in golden.reference_files('config/config_files.json'):
    for name, entry in golden.load_json(path)['detection'].items():
      files[our_name(name)] = entry
  return files


def repaired(content):
  """The content of BROKEN with its six keys where they belong."""
  content = copy.deepcopy(content)
  content['train'] = {key: content['architecture'].pop(key)
                      for key in MISPLACED}
  return content


def content_to_write(name, entry):
  """What our copy holds: the published content, and the `type` if missing."""
  content = entry['parsed']
  if name == BROKEN:
    content = repaired(content)
  return dict({'type': entry['intended_model']}, **content)


def text_to_write(name, entry):
  """The copy as text."""
  content = content_to_write(name, entry)
  header = [
      'Values published with the reference framework under this name.',
      'Give the files of your data set as overrides, for example',
      '  --config_file=configs/experiments/%s' % name,
      '  --params_override="train.train_file_pattern=/data/train*"']
  if name == BROKEN:
    header += ['The published file lacks the line `train:`; this one has it.']
  model_type = content.pop('type')
  return '%stype: %s\n%s' % (''.join('# %s\n' % line for line in header),
                             model_type, yaml_format.dump(content))


def main():
  for name, entry in published_files().items():
    if entry['intended_model'] in NOT_BUILT:
      continue
    path = os.path.join(FOLDER, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as f:
      f.write(text_to_write(name, entry))


if __name__ == '__main__':
  main()
