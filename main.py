"""Trains, evaluates and runs detectors.

  python main.py --mode=train --model=retinanet --model_dir=/tmp/run \\
      --config_file=my.yaml --params_override=train.total_steps=1000

The configuration has levels, and a later one overrides an earlier one: the
defaults of --model; in the modes eval and predict the params.yaml that training
wrote to model_dir; --config_file; --params_override; other flags that are
given. `python -m tools.show_config` prints the result.

Modes:
  train           trains to train.total_steps, from the newest checkpoint.
  eval            evaluates checkpoints as they come, until the last one; may be
                  started before the training run, whose params.yaml it uses.
  train_and_eval  trains, and evaluates every eval.num_steps_per_eval steps.
  predict         writes the detections of all records as COCO results.

Exit codes: 0 done; 2 wrong configuration or flags; 3 no checkpoint came within
eval.eval_timeout; 4 training diverged; 5 training ended, but its last
checkpoint could not be evaluated; 6 no progress for too long; 7 a signal asked
training to stop, and its state is saved; 128 + the signal where there was
nothing to save (130 Ctrl-C, 143 SIGTERM); 1 anything else.
"""

import faulthandler
import os
import signal
import sys
import types
from typing import Sequence

from utils import missing_packages

missing_packages.explain()  # Before the first import that can fail.

from absl import app
from absl import flags

from configs import base
from executor import log
from executor import signals

_MODES = ('train', 'eval', 'train_and_eval', 'predict')

flags.DEFINE_enum('mode', 'train', _MODES, 'what to do')
flags.DEFINE_string('model', 'retinanet', 'which model; see configs/factory.py')
flags.DEFINE_string('model_dir', None, 'folder of checkpoints and results')
flags.DEFINE_string('config_file', None, 'YAML file over the defaults')
flags.DEFINE_string('params_override', None, 'YAML or JSON text, a.b=c pairs '
                    'or a file, over --config_file')
flags.DEFINE_bool('eval_once', False, 'mode eval: only the newest checkpoint')
flags.DEFINE_bool('eval_after_training', False, 'mode train: evaluate the last '
                  'checkpoint')
flags.DEFINE_string('checkpoint_path', None, 'modes eval and predict: this '
                    'checkpoint instead of those in model_dir')

flags.DEFINE_string('plugins', None, 'Python files, separated by commas, that '
                    'add backbones and the like; see docs/extending.md')

flags.DEFINE_bool('use_tpu', None, 'whether to use a TPU; when not given: if '
                  '--tpu is')
flags.DEFINE_string('tpu', None, 'name or grpc:// address of the TPU')
flags.DEFINE_string('tpu_zone', None, 'Cloud zone of the TPU')
flags.DEFINE_string('gcp_project', None, 'Cloud project of the TPU')
flags.DEFINE_string('eval_master', None, 'address of the TPU for evaluation, '
                                         'if it is another one')
flags.DEFINE_string('tpu_job_name', None, 'name of the TPU worker job, if it '
                                          'is not the default')
flags.DEFINE_integer('num_cores', 8, 'number of TPU cores')

flags.DEFINE_string('data_dir', None, 'folder that relative file patterns '
                                      'refer to')
flags.DEFINE_integer('train_batch_size', None, 'train.train_batch_size')
flags.DEFINE_integer('train_steps', None, 'train.total_steps')
flags.DEFINE_integer('eval_batch_size', None, 'eval.eval_batch_size')
flags.DEFINE_integer('iterations_per_loop', None, 'train.iterations_per_loop')
flags.DEFINE_bool('skip_host_call', None, 'the opposite of enable_summary')
flags.DEFINE_string('precision', None, 'float32, bfloat16, float16 or auto '
                                       '(bfloat16 on CPUs that are faster in '
                                       'it), for training, or for the '
                                       'evaluation in the modes eval and '
                                       'predict')


def _given_flags():
  """The flags as attributes; None for those that are not given."""
  values = types.SimpleNamespace(**flags.FLAGS.flag_values_dict())
  for name in ('model', 'num_cores'):  # A configuration may say these, too.
    if not flags.FLAGS[name].present:
      setattr(values, name, None)
  return values


def run() -> int:
  """Runs the job of the parsed flags.

  Returns:
    The exit code.
  """
  if flags.FLAGS.plugins:  # Configurations look there when they are loaded.
    from configs import plugins
    os.environ[plugins.VARIABLE] = os.pathsep.join(
        flags.FLAGS.plugins.split(','))
  # Slow to load, which --help should not wait for; TensorFlow reads from the
  # environment how much it may say, which `log.set_up` decides.
  import tensorflow.compat.v1 as tf

  from executor import errors
  from executor import job_config
  from executor import jobs
  from ops import compat
  values = _given_flags()
  compat.enable_graph_mode()
  try:
    # Contradictions of keys are reported with all other problems of the job.
    config, notes = job_config.resolve(values, values.mode, checks=False)
    if jobs.wait_for_training(config, values.mode, values.eval_once,
                              values.checkpoint_path):
      config, notes = job_config.resolve(values, values.mode, checks=False)
    for note in notes:
      tf.logging.info('%s', note)
    jobs.run(config, values.mode, values.eval_once, values.eval_after_training,
             values.checkpoint_path,
             lambda: job_config.resolve(values, values.mode)[0])
  except base.ConfigError as e:
    sys.stderr.write('Error: %s\n' % e)
    return errors.SetupError.exit_code
  except errors.JobError as e:
    sys.stderr.write('Error: %s\n' % e)
    return e.exit_code
  return 0


def main(argv: Sequence[str]) -> int:
  if len(argv) > 1:
    raise app.UsageError('Unexpected arguments: %s' % ' '.join(argv[1:]))
  # Files that are being written are cleaned up on the way out.
  signals.install()
  log.set_up(verbose=flags.FLAGS.verbosity > 0)
  # `kill -USR1` shows where a job that seems stuck is.
  if hasattr(signal, 'SIGUSR1'):  # Windows has none.
    faulthandler.register(signal.SIGUSR1)
  return run()


if __name__ == '__main__':
  app.run(main)
