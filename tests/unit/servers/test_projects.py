"""What a project of a server lacks of a labelling configuration."""

from vidal.formats import label_studio
from vidal.servers.projects import lacking

OURS = label_studio.config(["car", "van"], verdicts=("unsure", "likely_miss"), shown=("reason",))


def test_the_same_configuration_lacks_nothing():
    assert lacking(OURS, OURS) == []


def test_more_labels_and_another_layout_lack_nothing():
    theirs = OURS.replace("<Label ", '<Label value="tram"/><Label hotkey="3" ', 1)
    assert (
        lacking(theirs.replace("<View>", '<View className="wide"><View>') + "</View>", OURS) == []
    )


def test_labels_and_choices_that_are_missing_are_named():
    theirs = OURS.replace('<Label value="van"/>', "").replace('<Choice value="unsure"/>', "")
    assert lacking(theirs, OURS) == ["RectangleLabels 'van'", "Choices 'unsure'"]


def test_controls_that_are_missing_or_about_something_else_are_named():
    theirs = OURS.replace('value="$image"', 'value="$picture"').replace('name="vidal"', 'name="x"')
    found = lacking(theirs, OURS)
    assert "<Image name='image'> of '$image'" in found
    assert "<Choices name='vidal'> of 'image'" in found


def test_no_configuration_and_no_xml_lack_everything():
    for theirs in ("", "<View></View>", "<View", "not XML"):
        assert len(lacking(theirs, OURS)) == 4


def test_a_document_type_is_not_looked_into():
    bomb = '<!DOCTYPE v [<!ENTITY a "aaaa">]><View>&a;</View>'
    assert len(lacking(bomb, OURS)) == 4
