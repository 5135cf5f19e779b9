"""Names of the dictionary keys that cross the rooms and the Estimator border.

The spelling is public: users' programs and upstream's evaluation read the
prediction keys; parsers and models meet at the label keys. Level-keyed values
are dicts {level: tensor}, level an int, stride 2**level.
"""

# Labels.
IMAGE_INFO = 'image_info'  # [4, 2]: original size, desired size, scale, offset
ANCHOR_BOXES = 'anchor_boxes'    # {level: [h*w*A, 4]}
CLS_TARGETS = 'cls_targets'  # {level: int32 [h, w, A]}; -1 negative, -2 ignored
BOX_TARGETS = 'box_targets'      # {level: [h, w, 4A]}
NUM_POSITIVES = 'num_positives'  # [], anchors matched to an object
GROUNDTRUTHS = 'groundtruths'    # dict, original image pixels
SOURCE_ID = 'source_id'          # int64 []; -1 marks padding of the last batch

# Model outputs.
CLS_OUTPUTS = 'cls_outputs'      # {level: [B, h, w, A*C]}
BOX_OUTPUTS = 'box_outputs'      # {level: [B, h, w, A*4]}
NUM_DETECTIONS = 'num_detections'            # int32 [B]
DETECTION_BOXES = 'detection_boxes'          # [B, M, 4]
DETECTION_CLASSES = 'detection_classes'      # int32 [B, M]
DETECTION_SCORES = 'detection_scores'        # [B, M]
RAW_BOXES = 'raw_boxes'                      # [B, N, 1, 4]
RAW_ENCODED_BOXES = 'raw_encoded_boxes'      # [B, N, 4]
RAW_SCORES = 'raw_scores'                    # [B, N, C-1]

# Prefixes of the prediction dictionary.
PRED = 'pred_'
GT = 'gt_'
LOSS = 'loss_'

# Losses. Every model reports MODEL_LOSS, the sum that is trained.
CLS_LOSS = 'cls_loss'
BOX_LOSS = 'box_loss'
MODEL_LOSS = 'model_loss'
