"""From a query, or the labels of a campaign, to an archive for a tool."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from vidal.assemble.campaign import engines_of
from vidal.assemble.export_models import at_hand, detected, has_own, looked_up, tracked
from vidal.campaign.folder import Campaign
from vidal.campaign.loop import newest_query
from vidal.campaign.round_frames import states_of
from vidal.errors import CampaignError, InputError
from vidal.evidence.places import EngineMaker, Engines, store_at
from vidal.evidence.prints import known_prints
from vidal.evidence.watch import Watcher
from vidal.exports import query
from vidal.exports.build import Builder, opened
from vidal.exports.bundle import Bundle, Shot
from vidal.exports.context import Progress
from vidal.exports.order import Order, decoded_beside, finish, title_of
from vidal.exports.pictures import KnownPrints
from vidal.exports.record import keep_proposals
from vidal.exports.write import Exported
from vidal.report.place import QUERY
from vidal.report.query_files import QueryFile
from vidal.types import Annotations, Clip, FrameRef
from vidal.words import counted


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """What is about to go out.

    Attributes:
        bundle: frames, pictures and boxes.
        query: that they are of.
        out: where an archive goes.
        clips: those that are there, by id.
        known: fingerprints of their frames.
        engines: where pictures are made.
    """

    bundle: Bundle
    query: QueryFile
    out: Path
    clips: dict[str, Clip]
    known: KnownPrints
    engines: EngineMaker

    def write(self, order: Order, progress: Progress | None) -> Exported:
        """The archive; see ``finish``."""
        decoded = decoded_beside(self.out, self.known, self.engines)
        return finish(self.bundle, order, self.out, self.clips, decoded, progress)


def export_query(folder: Path, order: Order, progress: Progress | None = None) -> Exported:
    """Export the frames that a `vidal select` has chosen; see ``ready_query``.

    Args:
        folder: of the query, or its ``query.json``.
        order: how.
        progress: told how far it is.

    Raises:
        InputError, FormatError: the query or a picture cannot be used; names it.
        OutputError: the place cannot be written, or holds what vidal did not write.
    """
    return ready_query(folder, order).write(order, progress)


def ready_query(folder: Path, order: Order) -> Ready:
    """The frames that a `vidal select` has chosen, with what it proposed.

    Args:
        folder: of the query, or its ``query.json``.
        order: how.

    Raises:
        InputError, FormatError: the query or a picture cannot be used; names it.
    """
    folder = folder.parent if folder.name == QUERY else folder
    found = query.read(folder, "run `vidal select` again")
    clips, lost = opened(found)
    engines, way_out = Engines(), "run `vidal select` again"
    builder = Builder(found, found.classes, clips, _no_prints, order.kept, way_out, engines)
    out = order.place(folder, folder.absolute().name)
    shots = builder.shots(found.query.frames)
    bundle = builder.proposing(title_of(out), shots, found.proposals.frames).saying(*lost)
    if order.to == "cvat-video":
        bundle = bundle.saying("Boxes stand on the chosen frames alone; a campaign's have tracks.")
    if not bundle.classes:
        bundle = bundle.saying("The query names no classes, for no detector looked at its frames.")
    return Ready(bundle, found.query, out, clips, _no_prints, engines)


def export_round(
    campaign: Campaign,
    order: Order,
    *,
    number: int | None = None,
    watcher: Watcher,
    progress: Progress | None = None,
) -> Exported:
    """Export the query of a round; see ``ready_round``.

    Args:
        campaign: open.
        order: how.
        number: of the round; None = the newest query.
        watcher: told of evidence that is computed.
        progress: told how far the archive is.

    Raises:
        CampaignError: no such query, or none of its frames waits or is labelled.
        InputError, FormatError, OutputError: as ``export_query``.
    """
    ready = ready_round(campaign, order, number=number, watcher=watcher)
    return ready.write(order, progress)


def ready_round(
    campaign: Campaign, order: Order, *, number: int | None = None, watcher: Watcher
) -> Ready:
    """The query of a round: the frames that wait or, where none does, those labelled.

    What is proposed is kept beside the query: answers that equal it are told from answers.

    Args:
        campaign, order, number, watcher: as of ``export_round``.

    Raises:
        CampaignError, InputError, FormatError, OutputError: as ``export_round``.
    """
    number = newest_query(campaign) if number is None else number
    states = states_of(campaign.record, number)
    waits = "queried" in states.values()
    wanted = {ref for ref, state in states.items() if state == ("queried" if waits else "labelled")}
    _check_round(campaign, number, states, wanted)
    way_out = f"`vidal report {campaign.folder} --round {number}`"
    found = query.read(campaign.query(number), way_out)
    engines = engines_of(campaign.config)
    there = campaign.found(engines, only={ref.clip for ref in wanted})
    known, classes = prints_known(campaign), campaign.record.classes
    builder = Builder(found, classes, there.clips, known, order.kept, way_out, engines)
    out = order.place(campaign.folder, f"{campaign.folder.absolute().name}-round-{number:03d}")
    shots = builder.shots(frame for frame in found.query.frames if frame.ref in wanted)
    if len(shots) < len(wanted):
        raise _other_query(campaign, number)
    if waits:
        bundle = _proposed(campaign, number, builder, shots, title_of(out), watcher)
        bundle = _with_tracks(campaign, number, bundle, there.clips, order, watcher)
    else:
        tables = answers(campaign, {ref.clip for ref in wanted})
        bundle = builder.answered(title_of(out), shots, tables, order.label("class"))
    bundle = bundle.saying(
        *_told(states, waits), *(f"{e.path.name}: {e.reason}." for e in there.skipped)
    )
    if waits:  # before: an archive that annotators have must never be unknown here
        keep_proposals(bundle, campaign.query(number))
    return Ready(bundle, found.query, out, there.clips, known, engines)


def query_folder(folder: Path) -> Path:
    """The folder of a query, given it or its ``query.json``.

    Raises:
        InputError: it is none.
    """
    place = folder.parent if folder.name == QUERY else folder
    if not (place / QUERY).is_file():
        why = "neither a campaign nor the folder of a query" if place.exists() else "not there"
        hint = "Give the folder of `vidal init`, or that of `vidal select --out`."
        raise InputError(folder, why, hint=hint)
    return place


def _no_prints(clip: Clip) -> None:
    """Of a lone query: its frames are decoded."""
    del clip


def prints_known(campaign: Campaign) -> KnownPrints:
    """The fingerprints of a campaign's frames that were scored."""
    store = store_at(campaign.evidence)
    return lambda clip: known_prints(store, clip)


def answers(campaign: Campaign, clips: Collection[str]) -> dict[str, Annotations]:
    """The labels of training clips."""
    lengths = {entry.id: entry.frames for entry in campaign.record.clips()}
    return {name: campaign.record.annotations(name, lengths[name]) for name in sorted(clips)}


def _check_round(
    campaign: Campaign, number: int, states: dict[FrameRef, str], wanted: Collection[FrameRef]
) -> None:
    if wanted and (campaign.query(number) / QUERY).is_file():
        return
    entry = next((each for each in campaign.record.rounds() if each.number == number), None)
    hint = f"`vidal status {campaign.folder}` lists the rounds."
    if entry is None:
        raise CampaignError(f"there is no round {number}.", hint=hint)
    if entry.state == "withdrawn":
        raise CampaignError(f"round {number} was withdrawn: nobody is asked for its frames.")
    if states and not wanted:
        raise CampaignError(f"every frame of round {number} was skipped.", hint=hint)
    raise CampaignError(
        f"round {number} has no query with pictures.",
        hint=f"Write it again: `vidal report {campaign.folder} --round {number}`; labels that were"
        " there before the campaign: --labelled.",
    )


def _other_query(campaign: Campaign, number: int) -> CampaignError:
    return CampaignError(
        f"{campaign.query(number) / QUERY}: not the query of round {number}.",
        hint=f"Write it again: `vidal report {campaign.folder} --round {number}`.",
    )


def _told(states: dict[FrameRef, str], waits: bool) -> list[str]:
    """What of the round does not go out, and what goes out as it was answered."""
    count = {state: list(states.values()).count(state) for state in ("labelled", "skipped")}
    if not waits:
        said = ["The round is answered: its frames carry their labels."]
        return said + (
            [f"{counted(count['skipped'], 'skipped frame')} left out."] if count["skipped"] else []
        )
    done = [f"{number} {state}" for state, number in count.items() if number]
    return [f"Left out, for they do not wait any more: {', '.join(done)}."] if done else []


def _proposed(
    campaign: Campaign,
    number: int,
    builder: Builder,
    shots: list[Shot],
    title: str,
    watcher: Watcher,
) -> Bundle:
    """With the proposals of the query; where no detector ran, with those of a model at hand."""
    given = builder.found.proposals
    if given.detected or builder.kept == "none":
        return builder.proposing(title, shots, given.frames)
    if has_own(campaign):
        boxes = looked_up(campaign, number, shots, builder.clips, watcher)
        why = "Boxes are those of your own detections; the round was chosen without them."
        return builder.proposing(title, shots, boxes).saying(why)
    spec = at_hand(campaign, number)
    if spec is None:
        why = "No boxes: the round was chosen without a detector, and no model is at hand."
        return builder.proposing(title, shots, {}).saying(why)
    boxes = detected(spec, shots, campaign.config.selection.threshold)
    name = spec.name if spec.weights is None else spec.weights.name
    why = f"Boxes are those of {name} on these pictures: the round was chosen without a detector."
    return builder.proposing(title, shots, boxes).saying(why)


def _with_tracks(
    campaign: Campaign,
    number: int,
    bundle: Bundle,
    clips: dict[str, Clip],
    order: Order,
    watcher: Watcher,
) -> Bundle:
    """Tracks on whole clips, where they are shown and a model is at hand."""
    if order.to != "cvat-video" or order.kept == "none":
        return bundle
    if not has_own(campaign) and at_hand(campaign, number) is None:
        return bundle.saying("Boxes stand on the chosen frames alone: no model is at hand.")
    tracks = tracked(campaign, number, bundle, clips, order.kept, watcher)
    return replace(bundle, tracks=tracks)
