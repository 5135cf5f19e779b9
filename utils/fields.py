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
RPN_SCORE_TARGETS = 'rpn_score_targets'  # {level: int32 [h, w, A]}; 1 object,
                                         # 0 background, -1 not sampled
RPN_BOX_TARGETS = 'rpn_box_targets'      # {level: [h, w, 4A]}
GT_BOXES = 'gt_boxes'        # [K, 4], pixels of the network input, padding -1
GT_CLASSES = 'gt_classes'    # int64 [K], padding -1
GT_MASKS = 'gt_masks'        # [K, c, c], 0..1 inside of each box, padding -1
# Of ShapeMask: N objects that masks are trained with, padding 0.
MASK_BOXES = 'mask_boxes'    # [N, 4], pixels of the network input
MASK_OUTER_BOXES = 'mask_outer_boxes'    # [N, 4], with context around them
MASK_CLASSES = 'mask_classes'            # int64 [N]
MASK_IS_VALID = 'mask_is_valid'          # int32 [N], 1: may be learnt from
FINE_MASK_TARGETS = 'fine_mask_targets'  # [N, S*F, S*F], within the outer box;
                                         # MASK_TARGETS [N, S, S] likewise
GROUNDTRUTHS = 'groundtruths'    # dict, original image pixels
# Of test-time augmentation: {index: {IMAGES: [h, w, 3], IMAGE_INFO: [4, 2]}}.
VIEWS = 'views'
IMAGES = 'images'
SOURCE_ID = 'source_id'          # int64 []; -1 marks padding of the last batch
LABEL = 'label'                  # int32 [], class of an image
MASKS = 'masks'                  # [h, w, 1], class of each pixel
VALID_MASKS = 'valid_masks'      # bool [h, w, 1], pixels that have a class

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

# Outputs of classification [B, C] and segmentation [B, h, w, C], and what their
# predictions are called: the best classes of an image, their scores.
LOGITS = 'logits'
CLASSES = 'classes'
SCORES = 'scores'

# Outputs of two-stage models. Those of the box heads of a cascade end in _0, _1
# and so on: class_outputs, box_outputs ([B, R, 4C or 4] here) and the targets.
RPN_SCORE_OUTPUTS = 'rpn_score_outputs'      # {level: [B, h, w, A]}
RPN_BOX_OUTPUTS = 'rpn_box_outputs'          # {level: [B, h, w, A*4]}
RPN_ROIS = 'rpn_rois'                        # [B, R, 4], proposals
RPN_ROI_SCORES = 'rpn_roi_scores'            # [B, R]
CLASS_OUTPUTS = 'class_outputs'              # [B, R, C]
CLASS_TARGETS = 'class_targets'              # int32 [B, R]
MASK_OUTPUTS = 'mask_outputs'                # [B, N, S, S], logits
MASK_TARGETS = 'mask_targets'                # [B, N, S, S]
SAMPLED_CLASS_TARGETS = 'sampled_class_targets'  # int32 [B, N], of the masks
DETECTION_MASKS = 'detection_masks'          # [B, M, S, S], within the boxes

# Outside of training, with labels that have targets: what the losses of an
# evaluation are computed of, a dict with the names that training has.
OUTPUTS_OF_LOSSES = 'outputs_of_losses'

# Outputs of ShapeMask, N masks of an image, within outer boxes as its
# DETECTION_MASKS are.
PRIOR_MASKS = 'prior_masks'                  # [B, N, S, S], 0..1
COARSE_MASK_LOGITS = 'coarse_mask_logits'    # [B, N, S, S]
FINE_MASK_LOGITS = 'fine_mask_logits'        # [B, N, S*F, S*F]
DETECTION_OUTER_BOXES = 'detection_outer_boxes'  # [B, M, 4]

# Prefixes of the prediction dictionary.
PRED = 'pred_'
GT = 'gt_'
LOSS = 'loss_'

# Losses. Every model reports MODEL_LOSS, the sum that is trained.
CLS_LOSS = 'cls_loss'
BOX_LOSS = 'box_loss'
RPN_SCORE_LOSS = 'rpn_score_loss'
RPN_BOX_LOSS = 'rpn_box_loss'
FAST_RCNN_CLASS_LOSS = 'fast_rcnn_class_loss'
FAST_RCNN_BOX_LOSS = 'fast_rcnn_box_loss'
MASK_LOSS = 'mask_loss'
# What the model loss of a two-stage model is the sum of.
TWO_STAGE_LOSSES = (RPN_SCORE_LOSS, RPN_BOX_LOSS, FAST_RCNN_CLASS_LOSS,
                    FAST_RCNN_BOX_LOSS, MASK_LOSS)
RETINANET_CLS_LOSS = 'retinanet_cls_loss'  # of ShapeMask, as the following
RETINANET_BOX_LOSS = 'retinanet_box_loss'
PRIOR_LOSS = 'shapemask_prior_loss'
COARSE_MASK_LOSS = 'shapemask_coarse_mask_loss'
FINE_MASK_LOSS = 'shapemask_fine_mask_loss'
FG_BG_RATIO = 'fg_bg_ratio'  # objects among the RoIs of a stage, a share
MODEL_LOSS = 'model_loss'

# The source_id of examples that fill up the last batch.
PADDING_ID = -1
