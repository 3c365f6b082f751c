"""One's own detector in a campaign: which detections selected each round, and which are next.

Detections come as files, new ones for every model that somebody trained on the answers. What was
given is written into the record's events (where the files lay, how they are read, a digest of their
content), with the query that they selected; the round before counts as trained by them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidal.campaign.config_data import DataConfig
from vidal.campaign.entries import GIVEN, Round
from vidal.campaign.folder import Campaign
from vidal.campaign.places import place
from vidal.errors import CampaignError, InputError, UsageError
from vidal.evidence.given import GivenDetections

EVENT = "detections"
"""Kind of the events that say where detections lie; the key of an event's detail with the same."""
MODEL = "detections:"
"""Begin of the model's name of a round that one's own model was trained on; the digest follows."""
RELINKED = "detections moved"
"""Kind of the events that say where the files of known detections lie now."""
SAME = "--same-detector"


@dataclass(frozen=True, slots=True)
class NextDetections:
    """What the next round is selected by.

    Attributes:
        given: the detections.
        trains: number of the round whose answers their model was trained on; None = of no round
            that was not trained before.
    """

    given: GivenDetections
    trains: int | None = None


def is_own(campaign: Campaign) -> bool:
    """Whether the detector of a campaign is its user's own, known by its detections."""
    return campaign.config.data.detections is not None


def configured(data: DataConfig, classes: tuple[str, ...]) -> GivenDetections:
    """The detections that a configuration names, as they are now.

    Raises:
        InputError: nothing lies there, or it cannot be read.
    """
    assert data.detections is not None
    return GivenDetections.of(
        data.detections,
        classes=classes,
        images=data.detections_images,
        frames=data.detections_frames,
        transform=data.score_transform,
    )


def written(given: GivenDetections, folder: Path) -> dict[str, Any]:
    """How an event of the record tells of detections: JSON values, paths as a campaign has them."""
    return {
        "path": place(given.path, folder),
        "images": None if given.images is None else place(given.images, folder),
        "frames": given.frames,
        "transform": given.transform,
        "digest": given.digest,
    }


def short(given: GivenDetections) -> str:
    """A name for people: the end of the path, and enough of the digest to tell it apart."""
    wild = [at for at, part in enumerate(given.path.parts) if set(part) & set("*?[")]
    parts = given.path.parts[max(wild[0] - 1, 0) :] if wild else given.path.parts[-1:]
    return f"{'/'.join(parts)} ({given.digest[:8]})"


def newest(campaign: Campaign) -> GivenDetections:
    """The detections that were given last: with the newest query, else when it was begun."""
    told = [detail for _, kind, detail in _mentions(campaign) if kind == "queried"]
    return _read(campaign, told[-1] if told else _first(campaign))


def detections_of(campaign: Campaign, number: int) -> GivenDetections:
    """The detections that a round was selected by; those from the beginning where none were."""
    told = [d for n, kind, d in _mentions(campaign) if kind == "queried" and n == number]
    return _read(campaign, told[-1] if told else _first(campaign))


def models(campaign: Campaign) -> dict[int | None, GivenDetections]:
    """What each model found, oldest first: None = before any training, else its round's number."""
    found: dict[int | None, GivenDetections] = {None: _read(campaign, _first(campaign))}
    named = {each.number: each.model for each in campaign.record.rounds()}
    for number, kind, detail in _mentions(campaign):
        if kind == "trained" and named.get(number or 0) == MODEL + detail["digest"]:
            found[number] = _read(campaign, detail)
    return found


def next_detections(
    campaign: Campaign, given: GivenDetections | None, *, same: bool = False
) -> NextDetections:
    """What the next round is selected by.

    After answers that is either new detections, of a model that was trained on them, or, where
    somebody says so, the detector goes on as it is.

    Args:
        campaign: one with a detector of one's own.
        given: new detections, or None.
        same: the detector goes on.

    Raises:
        CampaignError: there are answers, and nothing was said of the detector.
        UsageError: new detections that are the old ones, or other ones of the same detector.
        InputError: the files changed since they were given.
    """
    now = newest(campaign)
    waiting = untrained(campaign)
    if given is None:
        if waiting is not None and not same:
            raise CampaignError(
                f"round {waiting.number} is answered: train your detector on it, and give its new"
                " detections with --detections.",
                hint=f"`vidal export {campaign.folder} --to yolo --labelled` writes what is"
                f" labelled; {SAME} goes on with the detections of before.",
            )
        check_unchanged(now)
        return NextDetections(now)
    if given.key == now.key:
        if waiting is not None and not same:
            raise UsageError(
                f"{given.path}: these are the detections of before, unchanged since round"
                f" {waiting.number} was answered.",
                hint=f"Give those of the model that you have trained since, or {SAME}.",
            )
        return NextDetections(given)
    if same:
        raise UsageError(
            f"{given.path}: these are not the detections of before, so {SAME} cannot be meant.",
            hint="Leave out one of the two.",
        )
    return NextDetections(given, _to_mark(campaign))


def trained_detail(given: GivenDetections, folder: Path) -> tuple[str, dict[str, Any]]:
    """Model and detail of the event that a round was trained by one's own model."""
    return MODEL + given.digest, {EVENT: written(given, folder)}


def forgotten(rounds: Sequence[int]) -> tuple[str, ...]:
    """A remark where answers teach nothing because detections are gone."""
    if not rounds:
        return ()
    named = " and ".join(str(number) for number in rounds)
    return (
        f"The answers of round {named} teach nothing about errors: the detections that it was"
        " selected by are gone from the evidence, and their files have changed or are gone.",
    )


def check_unchanged(given: GivenDetections) -> None:
    """Refuse detections whose files hold something else now; files that are gone are not looked at.

    Raises:
        InputError: names them, and the way out.
    """
    try:
        there = GivenDetections.of(given.path, **_how(given))
    except InputError:
        return
    if there.digest != given.digest:
        raise changed(given)


def changed(given: GivenDetections) -> InputError:
    """The error of files that hold other detections than they did."""
    return InputError(
        given.path,
        "the detections have changed since they were given",
        hint="Those of a new model are given anew: `vidal select --campaign DIR --detections NEW`;"
        " else put the former files back.",
    )


def _how(given: GivenDetections) -> dict[str, Any]:
    names = ("classes", "images", "frames", "transform")
    return {name: getattr(given, name) for name in names}


def untrained(campaign: Campaign) -> Round | None:
    """The newest answered query with labels that no model was trained on; None = there is none.

    Labels from before the campaign do not count: the first detections came with them.
    """
    rounds, tally = campaign.record.rounds(), campaign.record.tally()
    trained = max((each.number for each in rounds if each.state == "trained"), default=-1)
    new = [
        each
        for each in rounds
        if each.number > trained
        and each.state == "answered"
        and each.strategy != GIVEN
        and tally[each.number]["labelled"]
    ]
    return new[-1] if new else None


def _to_mark(campaign: Campaign) -> int | None:
    """The newest round with labels, which new detections are trained on."""
    tally = campaign.record.tally()
    states = ("answered", "trained")
    rounds = [
        each.number
        for each in campaign.record.rounds()
        if each.state in states and tally[each.number]["labelled"]
    ]
    return rounds[-1] if rounds else None


def _mentions(campaign: Campaign) -> list[tuple[int | None, str, dict[str, Any]]]:
    """(round, kind of event, what it says of detections), in order."""
    return [
        (number, kind, detail[EVENT])
        for number, kind, detail in campaign.record.events()
        if EVENT in detail
    ]


def _first(campaign: Campaign) -> dict[str, Any]:
    told = [detail for _, kind, detail in _mentions(campaign) if kind == EVENT]
    if told:
        return told[0]
    # A campaign whose configuration was given detections by hand.
    return written(configured(campaign.config.data, campaign.record.classes), campaign.folder)


def _read(campaign: Campaign, detail: Mapping[str, Any]) -> GivenDetections:
    """As an event tells of it, where its files lie now: as the newest event says of the same."""
    same = [d for _, _, d in _mentions(campaign) if d["digest"] == detail["digest"]]
    last = same[-1] if same else detail
    path, images = last["path"], last["images"]
    return GivenDetections(
        name="detections",
        path=campaign.place_of(path),
        images=None if images is None else campaign.place_of(images),
        classes=campaign.record.classes,
        transform=detail["transform"],
        frames=detail["frames"],
        digest=detail["digest"],
    )


def moved(campaign: Campaign, change: Callable[[Path], Path]) -> list[dict[str, Any]]:
    """What events have to say after files were moved: of every content, where it lies now.

    Args:
        campaign: before its home is changed.
        change: from an absolute path to where it leads now.
    """
    found: dict[str, dict[str, Any]] = {}
    for _, _, detail in _mentions(campaign):
        known = _read(campaign, detail)
        paths = {"path": place(change(known.path), campaign.folder), "images": detail["images"]}
        if known.images is not None:
            paths["images"] = place(change(known.images), campaign.folder)
        found[detail["digest"]] = {**detail, **paths}
    home = campaign.home or campaign.folder
    stays = home.resolve() == campaign.folder.resolve()
    return [
        told
        for digest, told in found.items()
        if not stays or told["path"] != _newest_path(campaign, digest)
    ]


def _newest_path(campaign: Campaign, digest: str) -> str:
    return [str(d["path"]) for _, _, d in _mentions(campaign) if d["digest"] == digest][-1]
