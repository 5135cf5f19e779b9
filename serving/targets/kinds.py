"""What a checkpoint can be converted to without further choices: a table."""

from serving.targets import exporting
from serving.targets import network_graph
from utils import registry

# {name: Target}; tflite.py has the one with choices.
TARGETS = {one.name: one for one in (
    exporting.Target(
        'onnx', 'serving.targets.convert_onnx', 'serving.targets.run_onnx',
        ('tf2onnx', 'onnxruntime'), False),
    exporting.Target(
        'openvino', 'serving.targets.convert_openvino',
        'serving.targets.run_openvino', ('openvino', 'openvino'), False),
    exporting.Target(
        'stablehlo', 'serving.targets.convert_stablehlo',
        'serving.targets.run_stablehlo', ('jax', 'jax'), True),
    exporting.Target(
        'tensorrt', 'serving.targets.convert_tensorrt',
        'serving.targets.run_onnx', ('tf2onnx', 'onnxruntime'), False),
    exporting.Target(
        'frozen_graph', 'serving.targets.convert_frozen_graph',
        'serving.targets.run_frozen_graph', (None, None), True))}


def write(name, config, checkpoint, folder, batch_size=None, image_size=None,
          **options):
  """Writes a folder with the file of a target and model.json.

  Args:
    name: one of TARGETS.
    config: experiment.
    checkpoint: prefix.
    folder: folder of the export.
    batch_size: int; None: any.
    image_size: (height, width) that images are brought to; None: that of the
      configuration.
    **options: arguments of exporting.write.

  Returns:
    The description.

  Raises:
    ValueError: of one kind or another, with what is wrong.
  """
  target = registry.pick(TARGETS, name, 'target')
  the_plan = network_graph.plan(config, checkpoint, batch_size, image_size)
  return exporting.write(target, the_plan, folder, **options)
