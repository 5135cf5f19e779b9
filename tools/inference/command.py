"""What tools.infer does, from parsed arguments to the exit status."""

import argparse

import tensorflow.compat.v1 as tf

from configs import base
from serving import networks
from serving import predictor
from tools.inference import answers
from tools.inference import outputs as outputs_lib
from tools.inference import runner
from tools.inference import sources as sources_lib
from tools.inference import videos
from tools.zoo import small_models

ANSWERED, SKIPPED, INTERRUPTED = 0, 3, 130

# What a sentence is said about, without a traceback.
EXPECTED_ERRORS = (base.ConfigError, predictor.LoadError, OSError,
                   sources_lib.SourceError, videos.VideoError,
                   answers.ClassError)


def run(arguments: argparse.Namespace) -> int:
  """Answers the images; returns the exit status.

  Args:
    arguments: namespace of tools.inference.arguments.
  """
  tf.logging.set_verbosity(tf.logging.ERROR)
  sources, notes = sources_lib.find(arguments.input, arguments.output)
  if arguments.image_ids:
    sources, more = sources_lib.with_ids(sources, arguments.image_ids)
    notes += more
  for note in notes:
    print('Note: %s' % note)
  detect = load(arguments)
  selection = select(arguments, detect)
  with outputs_lib.Outputs(arguments.output, arguments.output_html, detect.task,
                           arguments) as outputs:
    run_all = runner.Run(detect, outputs, selection, arguments.frame_step,
                         show=not arguments.quiet)
    run_all(sources)
    summary = _summary(outputs, run_all)
    outputs.write_page('What %s sees' % _name(arguments), summary)
  detect.close()
  print('\n'.join(summary + ['%s shows it.' % outputs.page_path]))
  if run_all.is_interrupted:
    return INTERRUPTED
  return SKIPPED if outputs.failures else ANSWERED


def _name(arguments):
  return (arguments.saved_model or arguments.checkpoint_path
          or arguments.model_dir)


def load(arguments: argparse.Namespace) -> predictor.Predictor:
  """predictor.Predictor of the arguments."""
  options = dict(follow_exif=not arguments.ignore_exif,
                 label_map=arguments.label_map, batch_size=arguments.batch_size)
  if arguments.saved_model:
    return predictor.load(arguments.saved_model, **options)
  return predictor.load(
      arguments.model_dir and small_models.resolve(arguments.model_dir),
      arguments.checkpoint_path, arguments.model,
      arguments.config_file, arguments.params_override,
      image_size=arguments.image_size, precision=arguments.precision,
      **options)


def select(arguments: argparse.Namespace,
           detect: predictor.Predictor) -> answers.Selection:
  """answers.Selection of the arguments, for a model."""
  min_score = arguments.min_score
  if detect.task == networks.SEGMENTATION and not arguments.is_min_score_given:
    min_score = 0.  # Every pixel has a class, certain or not.
  classes = arguments.classes and answers.class_ids(
      arguments.classes, detect.class_names,
      detect.config and detect.config.architecture.num_classes)
  return answers.Selection(min_score, arguments.max_boxes, classes)


def _summary(outputs, run_all):
  """Sentences about a run, for the terminal and the page."""
  count, min_score = outputs.num_answered, run_all.selection.min_score
  sentences = ['%d image%s in %.1f s (%.3g images/s); %s with a score of %.2f '
               'or more.' % (
                   count, '' if count == 1 else 's', run_all.seconds,
                   count / max(run_all.seconds, 1e-3), outputs.found_text(),
                   min_score)]
  if count and not outputs.num_found and min_score:
    sentences.append('A lower --min_score shows what the model is less sure '
                     'of.')
  if outputs.failures:
    sentences.append('%d skipped, as they cannot be read.'
                     % len(outputs.failures))
  if run_all.is_interrupted:
    sentences.append('Stopped before the end.')
  return sentences
