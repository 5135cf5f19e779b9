"""What is read from the text of compiled programs, written by hand."""

import pytest

from tools.tpu import hlo

_TEXT = """HloModule a, is_scheduled=true

%fused (p: f32[8,128]) -> f32[8,128] {
  %p = f32[8,128]{1,0:T(8,128)} parameter(0)
  ROOT %n = f32[8,128]{1,0:T(8,128)} negate(%p), metadata={op_name="inner"}
}

ENTRY %main (x: f32[8,128], w: bf16[10,3]) -> (f32[8,128]) {
  %x = f32[8,128]{1,0:T(8,128)} parameter(0), metadata={op_name="XLA_Args"}
  %w = bf16[10,3]{0,1:T(8,128)(2,1)} parameter(1)
  %inside.1 = f32[8,128]{1,0:T(8,128)S(1)} copy(%x), metadata={op_name="near"}
  %f.2 = (f32[8,128]{1,0:T(8,128)}, f32[]{:T(256)}) fusion(%inside.1, %w), \
kind=kLoop, calls=%fused, metadata={op_name="a/Conv2D;a/Relu" source_line=10}
  %g.3 = f32[8,128]{1,0:T(8,128)} get-tuple-element(%f.2), index=0
  %b = f32[1024]{0:T(1024)} bitcast(%g.3)
  %big = f32[64,1024]{1,0:T(8,128)} broadcast(%b), dimensions={1}
  %u-dynamic-update-slice.1 = f32[64,1024]{1,0:T(8,128)} fusion(%big, %x), \
kind=kLoop, calls=%fused, metadata={op_name="stack"}
  ROOT %t = (f32[8,128]{1,0:T(8,128)}) tuple(%g.3)
}
"""


def test_heaviest_instructions_of_a_program():
  """Neither those of fusions nor memory within the core counts."""
  kib = 1024
  traffic = list(hlo.of_instructions(_TEXT))
  assert [(one.name, one.bytes) for one in hlo.heaviest(traffic)] == [
      ('big', 256 * kib + 4 * kib),
      # It writes what it reads of x into the place of `big`.
      ('u-dynamic-update-slice.1', 8 * kib),
      # Its operand w is padded: 3 to 8 rows, 10 to 128 columns of two bytes.
      ('f.2', 4 * kib + 4 + 2 * kib),
      ('inside.1', 4 * kib)]
  # The padding: 30 values of w are not 1,024.
  assert {one.name: one.padding for one in traffic if one.padding} == {
      'f.2': 2 * kib - 60}
  fusion, = [one for one in traffic if one.name == 'f.2']
  assert fusion.operation == 'a/Conv2D;a/Relu'
  assert [one.name for one in hlo.heaviest(traffic, 1)] == ['big']


@pytest.mark.parametrize('text, size', [
    ('f32[2,3]', 24), ('pred[5]', 5), ('bf16[]', 2), ('s64[2]{0}', 16),
    ('token[]', 0), ('f8e4m3fn[3]', 3), ('s4[3]', 3),
    # The fastest dimension is the first of the layout.
    ('f32[100,2]{1,0:T(8,128)}', 104 * 128 * 4),
    ('f32[100,2]{0,1:T(8,128)}', 8 * 128 * 4),
    ('f32[3,100,2]{1,2,0:T(2,128)}', 3 * 2 * 128 * 4),
    ('(f32[2], (s32[3], u8[1]))', 21),
    ('f32[100]{0:T(128)S(1)}', 0)])
def test_bytes_of_a_type(text, size):
  assert hlo.bytes_of(text) == size


def test_exchanges_between_devices():
  """The second half of one counts; memory within a core counts here."""
  text = """
  %p.1 = bf16[2,128]{1,0:T(2,128)S(1)} collective-permute(%x), channel_id=1
  %s.2 = (f32[8,128]{1,0}, f32[16,128]{1,0}) all-gather-start(%y), channel_id=2
  %d.3 = f32[16,128]{1,0} all-gather-done(%s.2)
  %r.4 = (f32[64]{0}, f32[32]{0}) all-reduce(%a, %b), channel_id=3
  %n.5 = f32[4096]{0} reduce(%r.4, %zero), dimensions={0}
"""
  assert hlo.exchanges(text) == (3, 512 + 8192 + 384)
  assert hlo.exchanges(_TEXT) == (0, 0)
