"""Names of the number formats that a network computes in.

ops.number_formats says which of them a device is fastest in.
"""

FLOAT32, BFLOAT16, FLOAT16 = 'float32', 'bfloat16', 'float16'
AUTO = 'auto'  # the faster of FLOAT32 and BFLOAT16 on the device
# Of a graph for inference. float16 is what TensorFlow makes of a float32 graph,
# in a job on GPUs.
OF_INFERENCE = (FLOAT32, BFLOAT16, AUTO)
