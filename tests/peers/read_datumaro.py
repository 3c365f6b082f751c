"""Run in datumaro's environment: what it reads of a data set, as JSON on stdout.

read_datumaro.py FORMAT PATH
"""

import json
import sys

import datumaro

FORMAT, PATH = sys.argv[1:]
data = datumaro.Dataset.import_from(PATH, FORMAT)
labels = data.categories()[datumaro.AnnotationType.label]
items = []
for item in data:
    boxes = []
    for each in item.annotations:
        if each.type == datumaro.AnnotationType.bbox:
            x, y, w, h = each.get_bbox()
            boxes.append(
                {
                    "label": labels[each.label].name,
                    "box": [x, y, x + w, y + h],
                    "attributes": dict(each.attributes),
                }
            )
    media = getattr(item.media, "path", None)
    items.append({"id": item.id, "subset": item.subset, "file": media, "boxes": boxes})
json.dump({"labels": [each.name for each in labels], "items": items}, sys.stdout, default=str)
