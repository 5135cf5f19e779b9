"""The program, its estimates, and the tables of docs/pods.md."""

import json
import os

import pytest

from tests import docs_blocks
from tools import plan_pod
from tools.pods import costs
from tools.pods import published

_SMALL = ('resnet.resnet_depth=10,fpn.fpn_feat_dims=8,'
          'retinanet_head.num_filters=8,retinanet_head.num_convs=1,'
          'retinanet_parser.output_size=[128,128]')
_PROGRAM = {'topology': 'v3:2x2', 'batch': 8, 'replicas': 1, 'program': {},
            'figures': {'flops': 16e9, 'moved_bytes': 8e9, 'infeed_bytes': 80}}


def test_a_plan_from_a_report(tmp_path, capsys):
  source, target = tmp_path / 'check.json', tmp_path / 'plan.json'
  source.write_text(json.dumps({'programs': [_PROGRAM]}))
  assert plan_pod.main([
      '--topology=v3:2x2', '--model=retinanet', '--params_override=' + _SMALL,
      '--report=%s' % source, '--ms_per_image=480', '--batch=4',
      '--json=%s' % target]) == 0
  results = json.loads(target.read_text())
  assert results['work']['flops'] == 2e9
  assert results['work']['moved_bytes'] == 1e9
  assert results['work']['infeed_bytes'] == 10
  # 4 images of 480 ms on 48 cores.
  assert results['plan']['input'] == pytest.approx(.04)
  assert results['plan']['limit'] == 'input'
  text = capsys.readouterr().out
  assert 'The input limits. Any of these' in text
  assert 'a batch of 4 is less than one image for each of 8' in text
  assert 'Taken from: operations and memory traffic: the compiled' in text


def test_mistakes(tmp_path, capsys):
  assert plan_pod.main(['--topology=v9:8']) == 2
  assert "there is no machine 'v9'" in capsys.readouterr().err
  with pytest.raises(ValueError, match='no compiled program'):
    costs.of_program({'programs': [{'error': 'too large'}]}, 'v3')
  with pytest.raises(SystemExit):
    plan_pod.parse_arguments([])


def test_the_program_for_the_machine_comes_first():
  other = dict(_PROGRAM, topology='v4:2x2x1', batch=4, replicas=8,
               program={'collective_bytes': 300})
  report = {'programs': [_PROGRAM, other]}
  assert costs.of_program(report, 'v3')['flops'] == 2e9
  assert costs.of_program(report, 'v4') == {
      'flops': 4e9, 'moved_bytes': 2e9, 'infeed_bytes': 20,
      'gradient_bytes': 300.}


def test_estimates_are_those_of_the_benchmarks():
  """Measured: 3.9 and 6.0 ms for RetinaNet, 15 and 21 for Mask R-CNN."""
  for model, size, measured in (('retinanet', 640, (6., 3.9)),
                                ('mask_rcnn', 1024, (21., 15.))):
    for is_tf2 in (False, True):
      assert costs.input_ms(model, size * size, is_tf2) == pytest.approx(
          measured[is_tf2], rel=.05)


def test_published_speeds_in_the_document():
  path = os.path.join(docs_blocks.ROOT, 'docs', 'pods.md')
  with open(path, encoding='utf-8') as f:
    assert '\n'.join(published.table()) in f.read()


def test_plans_of_tpus_are_within_a_factor_of_published_speeds():
  ratios = [published.compare(speed).ratio for speed in published.SPEEDS
            if speed.topology.startswith('v3') or speed.topology.startswith(
                'v4')]
  assert len(ratios) == 6
  assert min(ratios) > .75 and max(ratios) < 1.4
