"""JSON of FiftyOne: ``samples[]`` of videos with ``frames``, or of images.

A field with ``detections[]`` holds ``label``, ``bounding_box`` (x, y, width, height as shares of
the image) and ``confidence``. Which field it is follows from the confidences: where several fields
have them, it must be called ``predictions``. Frame numbers of videos count from 1; the frames of a
video lie in the sample, or in ``frames.json`` beside the file, as its data set export writes them.
Image samples belong to the clip that their folder is, the frame being the number in the name.
"""

from __future__ import annotations

from collections.abc import Iterator, ValuesView
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

from vidal.errors import FormatError
from vidal.formats._rows import load_json
from vidal.formats._sizes import LARGEST, Size, same_size
from vidal.formats.detections._found import FoundClip, Row, box_of, frame_of, number_of
from vidal.formats.detections._images import clip_names, image_clip

_USUAL = "predictions"
_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def read(path: Path, value: dict[str, Any]) -> Iterator[FoundClip]:
    """The clips of a file.

    Args:
        path: the file.
        value: its JSON value.

    Raises:
        FormatError: not of this form, or detections without confidence; says which sample.
    """
    samples = value["samples"]
    if not isinstance(samples, list):
        raise FormatError(path, "samples", "not a list")
    images: dict[tuple[str, str], FoundClip] = {}
    beside: dict[str, list[Any]] | None = None
    field = _field(path, samples)
    for at, sample in enumerate(samples):
        where = f"samples[{at}]"
        file = sample.get("filepath") if isinstance(sample, dict) else None
        if not isinstance(file, str) or not file:
            raise FormatError(path, where, "no object with a 'filepath'")
        pure = PurePosixPath(file.replace("\\", "/"))
        if not pure.name:
            raise FormatError(path, f"{where}.filepath", f"{file!r:.60} names no file")
        if pure.suffix.lower() in _IMAGES:
            _image(path, where, sample, pure, field, images)
            continue
        frames = sample.get("frames")
        if frames is None:
            beside = _beside(path) if beside is None else beside
            frames = beside.get(_id(sample.get("_id")), [])
        yield _video(path, where, sample, pure, frames, field)
    for group, names in clip_names(images).items():
        images[group].names = names
    yield from images.values()


def _beside(path: Path) -> dict[str, list[Any]]:
    """Sample id -> frames, from the export's own file of frames."""
    file = path.with_name("frames.json")
    found: dict[str, list[Any]] = {}
    if not file.is_file():
        return found
    value = load_json(file)
    frames = value.get("frames") if isinstance(value, dict) else None
    if not isinstance(frames, list):
        raise FormatError(file, "frames", "not a list")
    for at, frame in enumerate(frames):
        if not isinstance(frame, dict):
            raise FormatError(file, f"frames[{at}]", "not an object")
        found.setdefault(_id(frame.get("_sample_id")), []).append(frame)
    return found


def _id(value: Any) -> str:
    return str(value.get("$oid")) if isinstance(value, dict) else str(value)


def _holders(samples: list[Any]) -> Iterator[dict[str, Any]]:
    """Everything that may hold label fields: samples, and the frames in them."""
    for sample in samples:
        if isinstance(sample, dict):
            yield sample
            frames = sample.get("frames")
            inner = frames.values() if isinstance(frames, dict) else frames
            if not isinstance(inner, list | ValuesView):
                continue
            yield from (frame for frame in inner if isinstance(frame, dict))


def _field(path: Path, samples: list[Any]) -> str | None:
    """The field of the detections; None where no field holds any."""
    found: dict[str, bool] = {}
    for holder in [*_holders(samples), *(f for fs in _beside(path).values() for f in fs)]:
        for name, value in holder.items():
            items = value.get("detections") if isinstance(value, dict) else None
            if isinstance(items, list):
                scored = any(isinstance(i, dict) and i.get("confidence") is not None for i in items)
                found[name] = found.get(name, False) or scored
            elif isinstance(value, dict) and value.get("_cls") == "Detections":
                found.setdefault(name, False)  # refused where its rows are read
    sure = [name for name, scored in found.items() if scored]
    if len(sure) == 1:
        return sure[0]
    if _USUAL in found or not found:
        return _USUAL if _USUAL in found else None
    names = ", ".join(sorted(found))
    why = f"fields {names}: " + ("none has a confidence" if not sure else "which is meant?")
    raise FormatError(path, "samples", why, hint=f"Call the field of the detections {_USUAL!r}.")


def _video(
    path: Path,
    where: str,
    sample: dict[str, Any],
    pure: PurePosixPath,
    frames: Any,
    field: str | None,
) -> FoundClip:
    size, rate, length = _metadata(path, where, sample.get("metadata"))
    clip = FoundClip(
        (str(pure.with_suffix("")).lstrip("/"), pure.stem),
        path,
        first=1,
        relative=True,
        listed=set(),
        size=size,
        rate=rate,
        length=length,
    )
    listed: set[int] = set()
    if isinstance(frames, dict):
        pairs = list(frames.items())
    elif isinstance(frames, list):
        pairs = [(f.get("frame_number") if isinstance(f, dict) else None, f) for f in frames]
    else:
        raise FormatError(path, f"{where}.frames", "neither an object nor a list")
    for key, frame in pairs:
        place = f"{where}.frames[{key!r:.20}]"
        number = frame_of(path, place, key, first=1)
        if not isinstance(frame, dict):
            raise FormatError(path, place, "not an object")
        listed.add(number)
        clip.rows.extend(_rows(path, place, frame, number, field))
    clip.listed = listed
    return clip


def _image(
    path: Path,
    where: str,
    sample: dict[str, Any],
    pure: PurePosixPath,
    field: str | None,
    images: dict[tuple[str, str], FoundClip],
) -> None:
    folder, prefix, number = image_clip(path, where, str(pure))
    size = _metadata(path, where, sample.get("metadata"))[0]
    if (folder, prefix) not in images:
        images[folder, prefix] = FoundClip(
            (folder, prefix), path, by_image=True, relative=True, listed=set(), size=size
        )
    clip = images[folder, prefix]
    clip.size = same_size(path, [("a sample before", clip.size), (where, size)])
    if clip.listed is None or number in clip.listed:
        raise FormatError(path, where, f"frame {number} of {folder!r} is there already")
    clip.listed.add(number)
    clip.rows.extend(_rows(path, where, sample, number, field))


def _metadata(
    path: Path, where: str, value: Any
) -> tuple[tuple[int, int] | None, Fraction | None, int | None]:
    """(height, width), frames a second and frames, as far as stated."""
    if not isinstance(value, dict):
        return None, None, None

    def stated(*names: str) -> float | None:
        for name in names:
            if value.get(name) is not None:
                number = number_of(path, f"{where}.metadata.{name}", value[name])
                if not 0 < number < 1e7:
                    raise FormatError(path, f"{where}.metadata.{name}", f"{number:g}")
                return number
        return None

    height, width = stated("frame_height", "height"), stated("frame_width", "width")
    rate, length = stated("frame_rate"), stated("total_frame_count")
    size: Size | None = None
    if height is not None and width is not None:
        size = (int(height), int(width))
        sides = (height, width)
        if not all(1 <= side <= LARGEST and side.is_integer() for side in sides):
            why = f"an image of {width:g}x{height:g} pixels"
            raise FormatError(path, f"{where}.metadata", why)
    fraction = None if rate is None else Fraction(rate).limit_denominator(1001)
    return size, fraction, None if length is None else int(length)


def _rows(
    path: Path, where: str, holder: dict[str, Any], number: int, field: str | None
) -> Iterator[Row]:
    value = holder.get(field) if field is not None else None
    if value is None:
        return
    items = value.get("detections") if isinstance(value, dict) else None
    if not isinstance(items, list):
        raise FormatError(path, f"{where}.{field}", "no list of 'detections'")
    for at, item in enumerate(items):
        place = f"{where}.{field}.detections[{at}]"
        if not isinstance(item, dict) or not isinstance(item.get("label"), str):
            raise FormatError(path, place, "no object with a 'label'")
        if item.get("confidence") is None:
            raise FormatError(path, place, "no confidence", hint="Ground truth has none.")
        x, y, w, h = box_of(path, f"{place}.bounding_box", item.get("bounding_box"))
        score = number_of(path, f"{place}.confidence", item["confidence"])
        yield Row(number, (x, y, x + w, y + h), score, item["label"], place)
