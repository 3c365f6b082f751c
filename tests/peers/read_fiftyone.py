"""Run in FiftyOne's environment: what its COCO importer reads of a folder, as JSON on stdout.

The importer alone: FiftyOne's data base (MongoDB) does not start everywhere.

read_fiftyone.py FOLDER [LABELS PICTURES]
"""

import json
import sys

import fiftyone.utils.coco as coco

FOLDER, *MORE = sys.argv[1:]
where = dict(zip(("labels_path", "data_path"), MORE, strict=False))
importer = coco.COCODetectionDatasetImporter(
    dataset_dir=FOLDER, label_types="detections", extra_attrs=True, **where
)
samples = []
with importer:
    for path, metadata, label in importer:
        boxes = []
        for each in label.detections if label is not None else []:
            x, y, w, h = each.bounding_box
            size = (metadata.width, metadata.height)
            box = [x * size[0], y * size[1], (x + w) * size[0], (y + h) * size[1]]
            known = {"vidal", "vidal_certainty"} & set(each.field_names)
            boxes.append(
                {
                    "label": each.label,
                    "box": box,
                    "score": each.confidence,
                    "attributes": {name: each[name] for name in known},
                }
            )
        samples.append({"file": path, "boxes": boxes})
json.dump({"samples": samples}, sys.stdout)
