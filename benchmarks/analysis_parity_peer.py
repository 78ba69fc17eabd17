"""What tidecv 1.0.1 makes of detections: prints JSON. Run in its own environment, see ``analysis_parity.py``.

    PYTHON analysis_parity_peer.py INPUT.json

The input has ``images`` (ids), ``objects`` and ``crowds`` ([image, class, xywh]), and ``detections`` ([image,
class, score, xywh]). The mean AP is over the classes that have objects, as in COCO's evaluation; tidecv adds
0 for each class that was only detected.
"""

import json
import sys

import tidecv.ap
from tidecv import TIDE, Data


def main() -> None:
    with open(sys.argv[1]) as file:
        content = json.load(file)
    with_objects = {label for _, label, _ in content['objects']}

    class MeanOfObjects(tidecv.ap.ClassedAPDataObject):
        def get_mAP(self):  # noqa: N802
            found = [one.get_ap() for label, one in self.objs.items() if label in with_objects]
            return sum(found) / len(found)

    tidecv.quantify.ClassedAPDataObject = MeanOfObjects
    most = 1 + len(content['detections'])
    truth, found = Data('truth', max_dets=most), Data('found', max_dets=most)
    for image in content['images']:
        truth.add_image(image, str(image))
    for image, label, bbox in content['objects']:
        truth.add_ground_truth(image, label, bbox)
    for image, label, bbox in content['crowds']:
        truth.add_ignore_region(image, label, bbox)
    for image, label, score, bbox in content['detections']:
        found.add_detection(image, label, score, bbox)
    tide = TIDE()
    run = tide.evaluate(truth, found, mode=TIDE.BOX, name='run')
    main_costs = {error.short_name: cost for error, cost in run.fix_main_errors().items()}
    special = {error.short_name: cost for error, cost in run.fix_special_errors().items()}
    counts = {error.short_name: len(found) for error, found in run.error_dict.items()}
    print(json.dumps(dict(ap=run.ap, costs={**main_costs, **special}, counts=counts)))


if __name__ == '__main__':
    main()
