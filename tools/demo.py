"""The demo: data, training, evaluation and a report, by documented commands.

  python -m tools.demo --model=retinanet

A training that was interrupted goes on; a finished one is not repeated (remove
demo/ for that, or run `make clean`). Each command is printed, so that it can be
used on other data.
"""

import argparse
import os
import shlex
import subprocess
import sys
import time

# A model's demo is configs/experiments/demo/<model>.yaml.
_CONFIGS = 'configs/experiments/demo'


def commands(model, folder):
  """The commands of the demo.

  Args:
    model: name of --model.
    folder: of data and results.

  Returns:
    [[program argument]], to be run by Python in this order.
  """
  model_dir = os.path.join(folder, model)
  flags = ['--model=' + model,
           '--config_file=%s/%s.yaml' % (_CONFIGS, model),
           '--model_dir=' + model_dir, '--data_dir=%s/data' % folder]
  return [
      ['-m', 'tools.make_demo_data', '--output=%s/data' % folder],
      ['main.py', '--mode=train'] + flags,
      ['main.py', '--mode=eval', '--eval_once'] + flags,
      ['-m', 'tools.make_report', '--model_dir=' + model_dir]]


def run(model, folder, show=print):
  """Runs the demo.

  Args:
    model: name of --model.
    folder: of data and results.
    show: of one str, prints a line.

  Raises:
    SystemExit: when a command fails.
  """
  start = time.time()
  for arguments in commands(model, folder):
    show('\n$ python ' + ' '.join(shlex.quote(a) for a in arguments))
    code = subprocess.call([sys.executable] + arguments)
    if code:
      show('This command failed; `make demo` goes on where it stopped.')
      raise SystemExit(code)
  show('The demo took %.1f minutes.' % ((time.time() - start) / 60.))


def main():
  models = sorted(os.path.splitext(name)[0] for name in os.listdir(_CONFIGS)
                  if name.endswith('.yaml'))
  parser = argparse.ArgumentParser(
      description='Trains and evaluates a small detector on drawn scenes.')
  parser.add_argument('--model', default='retinanet', choices=models,
                      help='which model')
  parser.add_argument('--folder', default='demo',
                      help='folder of data and results')
  args = parser.parse_args()
  run(args.model, args.folder)


if __name__ == '__main__':
  main()
