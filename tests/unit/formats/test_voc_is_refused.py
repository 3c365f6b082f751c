"""Pascal VOC is told from CVAT's XML, and refused by name."""

import zipfile

import pytest

from vidal.errors import FormatError
from vidal.evidence.label_files import detect_format

TEXT = "<annotation><filename>a_000001.jpg</filename></annotation>"


@pytest.mark.parametrize("pictures", [1, 3])
def test_pascal_voc_is_refused_by_name(tmp_path, pictures):
    names = [f"Annotations/a_{number:06d}.xml" for number in range(pictures)]
    with zipfile.ZipFile(tmp_path / "voc.zip", "w") as archive:
        for name in names:
            archive.writestr(name, TEXT)
    with zipfile.ZipFile(tmp_path / "voc.zip") as archive:
        archive.extractall(tmp_path / "voc")
    for place in ("voc.zip", "voc"):
        with pytest.raises(FormatError, match="Pascal VOC") as caught:
            detect_format(tmp_path / place)
        assert "COCO" in caught.value.hint
