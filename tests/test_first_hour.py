"""From a folder of images to an answer, the whole way.

`tools.train_on` is stopped in mid-training and started again, while a second
process evaluates the same training run; then the model is exported, and what
`tools.infer` answers with it scores as the evaluation of the checkpoint did.
"""

import json
import re
import signal

import numpy as np
from PIL import Image
from PIL import ImageDraw
import pytest

from executor import checkpoints
from executor import errors
from tests import programs

_SIZE = 64  # pixels of a side of an image
_NUM_IMAGES = 40
_CLASSES = {3: ('disc', (190, 40, 40)), 7: ('square', (40, 60, 170))}


def _scene(seed):
  """An image of one to three objects, and [(category id, xyxy)]."""
  rng = np.random.RandomState(seed)
  image = Image.fromarray(
      rng.randint(200, 240, [_SIZE, _SIZE, 3]).astype(np.uint8))
  draw, objects = ImageDraw.Draw(image), []
  for corner in rng.permutation(4)[:rng.randint(1, 4)]:
    category = int(rng.choice(sorted(_CLASSES)))
    side = rng.randint(16, 28)
    x, y = (32 * np.array([corner % 2, corner // 2])
            + rng.randint(0, 32 - side + 1, 2))
    box = [int(v) for v in (x, y, x + side, y + side)]
    shape = draw.ellipse if category == 3 else draw.rectangle
    shape([box[0], box[1], box[2] - 1, box[3] - 1], _CLASSES[category][1])
    objects.append((category, box))
  return image, objects


def _write(folder):
  """Images and all.json, without a division; ids are not places."""
  (folder / 'images').mkdir(parents=True)
  content = {'images': [], 'annotations': [], 'categories': [
      {'id': i, 'name': name} for i, (name, _) in _CLASSES.items()]}
  for number in range(_NUM_IMAGES):
    image, objects = _scene(number)
    name = 'Bild %02d ä.jpg' % number
    image.save(str(folder / 'images' / name), quality=95)
    content['images'].append({'id': 1000 - number, 'file_name': name,
                              'height': _SIZE, 'width': _SIZE})
    for category, (x0, y0, x1, y1) in objects:
      content['annotations'].append({
          'id': len(content['annotations']) + 1, 'image_id': 1000 - number,
          'category_id': category, 'bbox': [x0, y0, x1 - x0, y1 - y0],
          'area': (x1 - x0) * (y1 - y0), 'iscrowd': 0})
  path = folder / 'all.json'
  path.write_text(json.dumps(content))
  return path


def _call(folder, *arguments):
  log = folder / 'program.log'
  if log.exists():
    log.unlink()  # What it prints is read.
  return programs.Program(log, *arguments).end()


def _steps(text):
  """[step] of the lines of progress."""
  return [int(n) for n in re.findall(r' Step (\d+) of', text)]


def _scored(folder, annotations, detections):
  """AP and AP50 of a file of detections."""
  text = _call(folder, '-m', 'tools.evaluate_detections',
               '--annotations=%s' % annotations,
               '--detections=%s' % detections)
  metrics = json.JSONDecoder().raw_decode(text[text.index('{'):])[0]
  return [metrics['AP'], metrics['AP50']]


@pytest.mark.one_runtime('tf2')
@pytest.mark.parametrize('number, steps', [
    (signal.SIGTERM, 80),
    pytest.param(signal.SIGKILL, 400, marks=pytest.mark.slow)])
def test_from_images_to_an_answer(tmp_path, number, steps):
  data, output = _write(tmp_path / 'my data'), tmp_path / 'out'
  run = output / 'model'
  command = ['-m', 'tools.train_on', '--data=%s' % data, '--device=cpu',
             '--output=%s' % output, '--minutes=1', '--image_size=64']

  # What was learnt is kept: by SIGTERM to the step, by SIGKILL to the last
  # checkpoint.
  first = programs.Program(tmp_path / 'first.log', *command)
  assert first.wait_for(lambda: max(_steps(first.text), default=-1) >= 1), (
      first.text)
  if number == signal.SIGKILL:  # Nobody is left to pass it on.
    assert first.kill()
  else:
    code = first.stop(number)
  saved = checkpoints.latest_step(str(run))
  if number == signal.SIGTERM:
    assert code == errors.Terminated.exit_code, first.text
    assert saved >= 1 and 'the same command resumes' in first.text

  # As it says at its end: longer. How much a minute is, the machine decides.
  _call(tmp_path, '-m', 'tools.fit_steps', '--steps=%d' % steps,
        '--config_file=%s' % (output / 'config.yaml'))
  second = programs.Program(tmp_path / 'second.log', *command)
  beside = programs.Program(
      tmp_path / 'beside.log', 'main.py', '--mode=eval',
      '--model_dir=%s' % run, '--config_file=%s' % (output / 'config.yaml'),
      '--params_override=eval.suffix=_beside,eval.min_eval_interval=0')
  text = second.end()
  assert 'convert train: done before' in text
  assert min(_steps(text)) > saved
  assert checkpoints.latest_step(str(run)) == max(_steps(text)) == steps
  beside.end()

  metrics = json.loads((run / 'eval' / 'metrics.json').read_text())
  again = json.loads((run / 'eval_beside' / 'metrics.json').read_text())
  assert metrics['AP50'] > .1, metrics
  assert {k: v for k, v in again.items() if k.startswith('A')} == {
      k: v for k, v in metrics.items() if k.startswith('A')}

  page = (output / 'report.html').read_text(encoding='utf-8')
  assert '%.3f' % metrics['AP'] in page
  for name, _ in _CLASSES.values():
    assert name in page

  # Ids, decoding, resizing and boxes on the way back from the network.
  annotations = output / 'splits' / 'part-val.json'
  saved_model = tmp_path / 'exported'
  _call(tmp_path, '-m', 'tools.export_saved_model', '--model_dir=%s' % run,
        '--export_dir=%s' % saved_model)
  # The export has compared itself with the checkpoint.
  seen = tmp_path / 'seen'
  _call(tmp_path, '-m', 'tools.infer', '--saved_model=%s' % saved_model,
        '--input=%s' % _listed(annotations, tmp_path), '--min_score=0',
        '--image_ids=%s' % annotations, '--output=%s' % seen, '--quiet')
  np.testing.assert_allclose(
      _scored(tmp_path, annotations, seen / 'detections.json'),
      [metrics['AP'], metrics['AP50']], atol=1e-3)


def _listed(annotations, folder):
  """A list of the images of annotations."""
  images = json.loads(annotations.read_text())['images']
  path = folder / 'images.txt'
  path.write_text(''.join(
      '%s\n' % (folder / 'my data' / 'images' / image['file_name'])
      for image in images), encoding='utf-8')
  return path
