"""A checkpoint to a folder with the file of another program, and its check."""

import collections
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import tensorflow.compat.v1 as tf

from modeling import storage
from serving import checkpoint_model
from serving import export
from serving import export_notes
from serving import images as images_lib
from serving import parity
from serving import signatures
from serving.targets import description
from serving.targets import environment
from serving.targets import network_graph
from utils import fields

# A kind of file. name: of the target. converter, runner: modules, run as
# programs. packages: of the converter and of the runner, which decide about
# their environments; None: that of this process. has_loops: whether it knows
# loops; otherwise suppression is one operation.
Target = collections.namedtuple(
    'Target', 'name converter runner packages has_loops')


class ConversionError(ValueError):
  """A converter does not take a model."""


def write(target, the_plan, folder, override=False, label_map=None,
          images=None, request=None, compare=parity.compare, report=print):
  """Converts, describes and checks.

  Args:
    target: Target.
    the_plan: result of network_graph.plan.
    folder: folder of the export. It appears when it is complete and checked.
    override: bool, whether a folder that is there is replaced.
    label_map: path of a label map, or {class id: name}.
    images: [bytes] for the check; None: made ones.
    request: {name: value}, what the converter is asked for.
    compare: function of (wanted, found) like parity.compare.
    report: function of a line.

  Returns:
    The description, {name: value}; `check` has the differences, as lists.

  Raises:
    ExportError: if the folder is there.
    MissingError: if a program is not installed.
    ConversionError: if the converter fails.
    ParityError: if the export answers otherwise than the checkpoint.
  """
  folder = os.path.abspath(str(folder))
  storage.restore_folder(folder)
  if os.path.exists(folder) and not override:
    raise export.ExportError(
        '%s already exists. Give another folder, or replace it with '
        '--override_export_dir.' % folder)
  pythons = [environment.python(package) if package else sys.executable
             for package in target.packages]
  network = network_graph.build(the_plan, target.has_loops)
  notes, names = export_notes.describe(the_plan, label_map)
  with storage.replaced_folder(folder) as temporary:
    os.makedirs(temporary)
    details = convert(target, network, temporary, request or {}, pythons[0])
    described = description.write(
        temporary, target.name, notes, names, network, details)
    differences = check(target, the_plan, temporary, images, compare, report,
                        pythons[1])
  return dict(described, check=[list(d) for d in differences])


def convert(target, network, folder, request, python):
  """Runs a converter in a process of its own; some of them end it.

  Args:
    target: Target.
    network: network_graph.Network.
    folder: that the converter writes to.
    request: {name: value} that it reads as request.json.
    python: interpreter.

  Returns:
    {name: value}, what it says.

  Raises:
    ConversionError: with what it printed last.
  """
  with tempfile.TemporaryDirectory() as work:
    network_graph.save(network, work)
    _write_json(os.path.join(work, 'request.json'), request)
    done = subprocess.run(
        [python, '-m', target.converter, work, folder], cwd=environment.ROOT,
        env=_environment(python),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    result = os.path.join(work, 'result.json')
    if done.returncode or not os.path.exists(result):
      raise ConversionError('The converter to %s (%s) failed: %s' % (
          target.name, target.converter, _reason(done.stdout)))
    with open(result) as f:
      return json.load(f)


def _environment(python):
  """Variables of a converter; that of TF 1.15 looks for programs beside it."""
  path = os.pathsep.join([os.path.dirname(python), os.environ.get('PATH', '')])
  return dict(os.environ, TF_CPP_MIN_LOG_LEVEL='3', PATH=path)


def _reason(output):
  """The last line of what a failed program printed, cut off where long."""
  lines = [line.strip() for line in output.decode('utf-8', 'replace').split(
      '\n') if line.strip()]
  telling = [line for line in lines if 'Error: ' in line
             or ' error: ' in line or 'not supported' in line] or lines
  return telling[-1][:600] if telling else 'it printed nothing.'


def _write_json(path, value):
  with open(path, 'w') as f:
    json.dump(value, f)


def converter_main(function, arguments):
  """The program around a converter.

  Args:
    function: called with (network_graph.Network, request, folder that is
      written to, folder with the network), returns {name: value}.
    arguments: [folder with the network, folder that is written to].
  """
  work, folder = arguments
  tf.logging.set_verbosity(tf.logging.ERROR)
  with open(os.path.join(work, 'request.json')) as f:
    request = json.load(f)
  details = function(network_graph.load(work), request, folder, work)
  _write_json(os.path.join(work, 'result.json'), details)


def check(target, the_plan, folder, images=None, compare=parity.compare,
          report=print, python=sys.executable):
  """Compares an export with its checkpoint.

  Args:
    target: Target.
    the_plan: result of network_graph.plan.
    folder: folder of the export.
    images: [bytes]; None: parity.made_images.
    compare: function of (wanted, found) like parity.compare.
    report: function of a line.
    python: interpreter of the target's runner.

  Returns:
    [Difference].

  Raises:
    ParityError: if an output differs by more than is allowed.
  """
  prepared, wanted = expected(the_plan, images
                              or parity.made_images(the_plan))
  found = parity.answers_of_export(folder, prepared, python, target.runner)
  return parity.settle(compare(wanted, found), len(prepared), report)


def expected(the_plan, images):
  """What the checkpoint gives for images that fill the network's input.

  Args:
    the_plan: result of network_graph.plan.
    images: [bytes] of image files.

  Returns:
    [float32 [H, W, 3]], the prepared images; [{key: array}], of each image.
  """
  model = checkpoint_model.CheckpointModel(
      the_plan.config, the_plan.checkpoint, the_plan.spec)
  prepared = [model.prepare(images_lib.load(image))[0] for image in images]
  # As the converted graph takes them: the padding belongs to the image.
  info = np.array([the_plan.spec.padded_size] * 2 + [[1, 1], [0, 0]],
                  np.float32)
  answers = []
  for image in prepared:
    answer = {name: value[0]
              for name, value in model.run([(image, info)]).items()}
    del answer[fields.IMAGE_INFO]
    answers.append({name: value for name, value in answer.items()
                    if name in signatures.TENSORS})
  model.close()
  return prepared, answers
