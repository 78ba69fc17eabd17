# Learns a few images by heart, to see that training fits real people: nothing is augmented, and the images
# are evaluated that were trained on. Start from the detector's weights: --load-from yolox_nano
_base_ = [
    '../../../configs/_base_/models/yolox_nano.py',
    './_base_/coco.py',
    '../../../configs/_base_/schedules/finetune_50e.py',
]

val_ann_file = 'annotations/person_keypoints_train2017.json'
val_img_prefix = 'train2017/'
img_scale = (512, 512)
train_batch_size_per_gpu = 4
train_num_workers = val_num_workers = 0
max_epochs = 310
num_last_epochs = 20
val_interval = 155
base_lr = 4e-3

# With COCO's sigmas, keypoints that begin far off have no gradient: those of the loss are wider.
sigmas = [max(2 * sigma, 0.06) for sigma in _base_.skeleton['sigmas']]
head = dict(_base_.pose_head, use_l1=True, skeleton=dict(_base_.skeleton, sigmas=sigmas))
model = dict(_base_.pose_model, bbox_head=head, data_preprocessor=dict(batch_augments=[]))
train_pipeline = [*_base_.pre_transform, dict(type='Letterbox'), dict(type='PackPoseInputs')]
train_pipeline_stage2 = train_pipeline
train_dataloader = dict(dataset=dict(image_cache='ram', pipeline=train_pipeline))
default_hooks = _base_.pose_hooks
visualizer = dict(type='YOLOXPoseVisualizer')
