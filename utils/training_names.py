"""Names of variables that only training has, beside those of the model."""

# Last parts of names, behind the name of the variable that they belong to.
AVERAGE = 'ExponentialMovingAverage'
ACCUMULATED_GRADIENT = 'AccumulatedGradient'
SLOTS = ('Momentum', 'Adam', 'Adam_1', 'Adadelta', 'Adadelta_1', 'Adagrad',
         'RMSProp', 'RMSProp_1', 'LARS', AVERAGE, ACCUMULATED_GRADIENT)

NUM_ACCUMULATED = 'training/num_accumulated'
NUM_AVERAGED = 'training/num_averaged'
COUNTERS = (NUM_ACCUMULATED, NUM_AVERAGED)
