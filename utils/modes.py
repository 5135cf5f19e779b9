"""The modes in which a model or an input pipeline is built."""

TRAIN = 'train'
EVAL = 'eval'
PREDICT = 'predict'
# Prediction that carries the ground truth along, for host-side evaluation.
PREDICT_WITH_GT = 'predict_with_gt'

ALL = (TRAIN, EVAL, PREDICT, PREDICT_WITH_GT)
