"""Times the input pipeline, as a whole and stage by stage.

  python -m tools.benchmarks.input_pipeline
  python -m tools.benchmarks.input_pipeline --jobs=mask_rcnn --objects=100
  python -m tools.benchmarks.input_pipeline --images=20000 --stages=pipeline

The records are made up: JPEG files of 640 x 480 pixels and 72 KiB, 6.9 objects
with masks. Stages contain the ones before: `read` reads records; `jpeg` decodes
the image, too, which is the ceiling of any pipeline; `decode` everything but
masks; `steps` augments and resizes; `pipeline` labels and batches as training
does. Prints CPU milliseconds and images per second of each, and the memory
that the process has held. See docs/benchmarks.md.
"""

import collections
import os
import resource
import tempfile
import time
from typing import List, NamedTuple, Optional, Sequence, Tuple

from absl import app
from absl import flags
import tensorflow.compat.v1 as tf

from configs import base
from configs import factory
from utils import processors

FLAGS = flags.FLAGS
flags.DEFINE_multi_string('jobs', None, 'Some of JOBS; by default all.')
flags.DEFINE_multi_string('stages', None, 'Some of STAGES; by default all.')
flags.DEFINE_float('objects', 6.9, 'Mean number of objects of an image.')
flags.DEFINE_bool('cut_masks', False, 'Whether the records have masks cut to '
                  'their objects, too.')
flags.DEFINE_integer('images', 200, 'Images to time in each stage.',
                     lower_bound=1)
flags.DEFINE_integer('records', 64, 'Different images.', lower_bound=1)
flags.DEFINE_string('json', None, 'File to write the figures to.')


class Job(NamedTuple):
  """What is measured.

  Attributes:
    model: its name.
    overrides: overrides of its configuration.
    batch_size: images.
    reference: CPU ms per image of the reference on TF 1.15 and 2.15, None where
      it fails.
  """
  model: str
  overrides: str
  batch_size: int
  reference: Tuple[Optional[float], Optional[float]]


JOBS = collections.OrderedDict([
    ('retinanet', Job('retinanet', 'retinanet_parser.output_size=[640,640]', 8,
                      (24.1, 10.4))),
    ('retinanet_autoaugment', Job(
        'retinanet', 'retinanet_parser.output_size=[640,640],'
        'retinanet_parser.aug_policy=v0', 8, (39.7, None))),
    ('mask_rcnn', Job('mask_rcnn', 'maskrcnn_parser.output_size=[1024,1024]',
                      4, (70.2, 35.6))),
])
STAGES = ('read', 'jpeg', 'decode', 'steps', 'pipeline')
_WARMUP = 16  # images that are not timed
_NUM_REPORTS = 5  # of the memory of a long run


def load_config(job: Job, path: str) -> base.Config:
  """The experiment of a job that trains on the records of a file."""
  return factory.load_config(job.model, None, (
      '%s,train.train_file_pattern=%s,architecture.use_bfloat16=false,'
      'train.transpose_input=false' % (job.overrides, path)))[0]


def dataset(stage: str, config: base.Config,
            batch_size: int) -> Tuple[tf.data.Dataset, int]:
  """(tf.data.Dataset, images per element) of a stage."""
  import tensorflow.compat.v1 as tf

  from dataloader import example_decoder
  from dataloader import factory as dataloader_factory
  from dataloader import inputs as dataloader_inputs
  from ops import image_decoding
  from utils import modes
  if stage == 'pipeline':
    input_fn = dataloader_inputs.build_input_fn(config, modes.TRAIN)
    return input_fn({'batch_size': batch_size}), batch_size
  records = tf.data.TFRecordDataset(config.train.train_file_pattern).repeat()
  if stage == 'read':
    return records, 1
  if stage == 'jpeg':
    def parse(record, number):
      del number
      features = tf.io.parse_single_example(
          record, {'image/encoded': tf.FixedLenFeature([], tf.string)})
      return tf.shape(image_decoding.decode_image(features['image/encoded']))
  else:
    parser = dataloader_factory.build_parser(config, modes.TRAIN)
    def parse(record, number):
      if stage == 'decode':
        decoded = example_decoder.ExampleDecoder(decode_masks=False).decode(
            record)
        return tf.shape(decoded['image']), decoded['groundtruth_boxes']
      seed = tf.stack([tf.constant(0, tf.int64), number])
      sample = parser.prepare(record, seed)
      return sample.image, sample.boxes
  numbered = tf.data.Dataset.zip((records, tf.data.Dataset.range(2**62)))
  return numbered.map(
      parse, num_parallel_calls=processors.available()).prefetch(2), 1


def measure(stage: str, config: base.Config, batch_size: int,
            num_images: int) -> Tuple[float, float, List[float]]:
  """Runs a stage.

  Args:
    stage: one of STAGES.
    config: experiment.
    batch_size: int, of the stage pipeline.
    num_images: int.

  Returns:
    CPU seconds and wall seconds of an image, floats; memory held during the
    run, [GB].
  """
  import tensorflow.compat.v1 as tf
  with tf.Graph().as_default(), tf.Session() as session:
    data, per_element = dataset(stage, config, batch_size)
    element = tf.data.make_one_shot_iterator(data).get_next()
    # Operations rather than tensors: copying results out is not the work.
    run = session.make_callable(
        [tensor.op for tensor in tf.nest.flatten(element)])
    for _ in range(-(-_WARMUP // per_element)):
      run()
    count = -(-num_images // per_element)
    memory = []
    cpu, wall = time.process_time(), time.perf_counter()
    for i in range(count):
      run()
      if (i + 1) * _NUM_REPORTS // count > i * _NUM_REPORTS // count:
        memory.append(_memory())
    total = float(count * per_element)
    return ((time.process_time() - cpu) / total,
            (time.perf_counter() - wall) / total, memory)


def _memory():
  """GB that the process holds now."""
  with open('/proc/self/statm') as f:
    return int(f.read().split()[1]) * resource.getpagesize() / 1e9


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError('Unexpected argument %r.' % argv[1])
  for names, known in ((FLAGS.jobs, JOBS), (FLAGS.stages, STAGES)):
    for name in names or ():
      if name not in known:
        raise SystemExit('Error: there is no %r; there are %s.' % (
            name, ', '.join(known)))
  from ops import compat
  from tools.benchmarks import input_records
  from tools.benchmarks import timing
  compat.enable_graph_mode()
  timings = {}
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'records')
    size = input_records.write(path, FLAGS.records, FLAGS.objects,
                               cut_masks=FLAGS.cut_masks)
    print('%d images of %.0f KiB and %.1f objects.' % (
        FLAGS.records, size, FLAGS.objects))
    for name in FLAGS.jobs or JOBS:
      job = JOBS[name]
      try:
        config = load_config(job, path)
      except base.ConfigError as error:
        raise SystemExit('Error: %s' % error)
      for stage in FLAGS.stages or STAGES:
        cpu, wall, memory = measure(stage, config, job.batch_size,
                                    FLAGS.images)
        timings[name + '/' + stage] = timing.Timing(cpu, wall, cpu,
                                                    FLAGS.images)
        reference = job.reference[compat.IS_TF2]
        print('%-22s %-9s %7.2f CPU ms %8.0f images/s, %s GB%s' % (
            name, stage, 1e3 * cpu, 1. / wall,
            ' '.join('%.2f' % m for m in memory),
            ' (reference %.1f CPU ms)' % reference
            if stage == 'pipeline' and reference else ''), flush=True)
  print('Peak memory %.2f GB.' % timing.peak_memory())
  if FLAGS.json:
    timing.write_json(FLAGS.json, timings, objects=FLAGS.objects)


if __name__ == '__main__':
  app.run(main)
