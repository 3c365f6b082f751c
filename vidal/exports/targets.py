"""What is written for each tool; one entry of ``EXPORTERS`` a tool.

An exporter writes every file but the pictures into a folder, and says where in the archive the
pictures belong. Its README says in a few lines how the tool takes the archive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vidal.exports import cvat, label_studio, plain
from vidal.exports.bundle import Bundle, Shot

README = "README.txt"
Place = Callable[[Bundle, Shot], str]
"""From a frame to the path of its picture in the archive."""


@dataclass(frozen=True, slots=True)
class Exporter:
    """How frames are written for a tool.

    Attributes:
        write: all files but the pictures.
        folder: of the pictures in the archive; None = they are not part of it.
        readme: how the archive is loaded, one line each; ``{title}`` = its name.
        tells: verdicts survive: the format declares them, or has columns for them.
        pictures: it is nothing without them.
        parts: train, val and test have folders of their own.
        place: for pictures that stand elsewhere than in ``folder``.
        context: where a neighbour's picture goes; None = neighbours cannot be shown.
        whole: it shows whole clips, whose lengths have to be known.
        ignore: it can say of a region that it is to be ignored.
        shares: boxes are shares of the picture, and cannot leave it.
    """

    write: Callable[[Bundle, Path], None]
    folder: str | None
    readme: tuple[str, ...]
    tells: bool
    pictures: bool = True
    parts: bool = False
    place: Place | None = None
    context: Place | None = plain.context_place
    whole: bool = False
    ignore: bool = True
    shares: bool = False


_BACK = "Annotated: export as {format} there, then `vidal import DIR --from` that file."

EXPORTERS: Mapping[str, Exporter] = {
    "cvat": Exporter(
        cvat.write_images,
        "images",
        (
            "1. CVAT: Projects (or Tasks), +, Create; Labels, Raw: paste the text of labels.json.",
            "2. Create a task: Select files, this zip. CVAT takes its pictures (not the context).",
            "3. In the task: Actions, Upload annotations, CVAT 1.1: this same zip again.",
            "4. Each box has an attribute vidal (likely_correct, likely_miss, ...) to filter by.",
            "5. " + _BACK.format(format="CVAT for images 1.1"),
        ),
        tells=True,
        context=cvat.context_place,
    ),
    "cvat-video": Exporter(
        cvat.write_videos,
        None,
        (
            "1. CVAT: one task for each file of tasks/; Labels, Raw: the text of labels.json.",
            "2. Select files: the clip that frame_map.csv names; frame step 1, all frames.",
            "3. In the task: Actions, Upload annotations, CVAT 1.1: the XML file of that clip.",
            "4. target_frames.csv lists the frames to annotate: type the number, press enter.",
            "5. " + _BACK.format(format="CVAT for video 1.1"),
        ),
        tells=True,
        pictures=False,
        context=None,
        whole=True,
    ),
    "label-studio": Exporter(
        label_studio.write,
        "images",
        (
            "1. Unpack into a folder {title}; start Label Studio with the folder ABOVE it:",
            "   LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true"
            " LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=ABOVE label-studio",
            "2. New project, Labeling Setup, Custom template, Code: paste label_config.xml.",
            "3. Settings, Cloud Storage, Add Source Storage, Local files: ABOVE/{title}; save.",
            "4. Import tasks.json; its predictions are shown to annotators.",
            "5. " + _BACK.format(format="JSON"),
        ),
        tells=True,
        ignore=False,
    ),
    "coco": Exporter(
        plain.write_coco,
        "images",
        (
            "1. annotations/instances_*.json: COCO; file_name counts from the folder of pictures.",
            "2. Proposals have score and attributes: vidal (a verdict), vidal_certainty (0 to 1).",
            "3. Boxes are x, y, width, height in pixels; frame_id counts frames from 0.",
            "4. " + _BACK.format(format="COCO"),
        ),
        tells=True,
        parts=True,
    ),
    "yolo": Exporter(
        plain.write_yolo,
        "images",
        (
            "1. Unpack; train with: yolo detect train data=data.yaml model=yolo11n.pt",
            "2. images/ and labels/ are twins; an empty label file: a picture without objects.",
            "3. A line: class, centre x, centre y, width, height, as shares of the picture.",
            "4. The format has no verdicts; likely false alarms go along with --boxes all only.",
        ),
        tells=False,
        parts=True,
        ignore=False,
        shares=True,
    ),
    "mot": Exporter(
        plain.write_mot,
        None,
        (
            "1. A folder a clip: img1/ holds its chosen frames, numbered from 1 in their order.",
            "2. gt/gt.txt and gt/labels.txt as CVAT and Datumaro write MOT 1.1.",
            "3. det/det.txt: what a detector saw, with its score.",
            "4. frame_map.csv says which frame of which clip each picture is.",
        ),
        tells=False,
        place=plain.mot_place,
    ),
    "fiftyone": Exporter(
        plain.write_fiftyone,
        "data",
        (
            "1. Unpack into a folder {title}, and in Python:",
            "   import fiftyone as fo",
            "   kind = fo.types.COCODetectionDataset",
            "   data = fo.Dataset.from_dir('{title}', kind, label_types='detections',"
            " label_field='vidal')",
            "2. Each box has the fields vidal (a verdict) and vidal_certainty (0 to 1).",
            "3. Back: data.export(labels_path='answers.json', dataset_type=kind,"
            " label_field='vidal'), then `vidal import DIR --from answers.json`.",
        ),
        tells=True,
    ),
    "csv": Exporter(
        plain.write_csv,
        "images",
        (
            "1. boxes.csv: one row a box, corners in pixels; frame_map.csv: one row a picture.",
            "2. vidal is the verdict on a proposal, vidal_certainty how sure it is (0 to 1).",
            "3. A text that begins like a formula has an apostrophe in front.",
        ),
        tells=True,
        pictures=False,
    ),
}
"""By the name that `vidal export --to` takes."""


def place(exporter: Exporter, bundle: Bundle, shot: Shot) -> str:
    """Where a picture goes: that of a frame, or that of a neighbour; empty = nowhere."""
    if shot.picture is None:
        return ""
    if shot.of is not None:
        return "" if exporter.context is None else exporter.context(bundle, shot)
    if exporter.place is not None:
        return exporter.place(bundle, shot)
    if exporter.folder is None:
        return ""
    part = bundle.clips[shot.ref.clip].part if exporter.parts else ""
    return f"{exporter.folder}/{part}/{shot.name}" if part else f"{exporter.folder}/{shot.name}"
