"""Moments -> media -> embeddings -> features. Composes media, models and scoring features.

The steps are separate calls, so that the runtime can run each in the thread where it belongs, time
it, and put a cache between them:

    prepare(moment)            decode, in many threads
    wanted(batch)              what has to be encoded, each content once
    encode(modality, items)    the neural networks, in one thread
    fuse(batch, vectors)       one embedding and the features of each Moment
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.core.events import MODALITIES, Event, Modality
from worker.core.masks import Area, Masks
from worker.core.moment import Effort, Moment, evenly
from worker.core.reuse import Look, shown_before
from worker.core.rfc3339 import MICROSECONDS
from worker.core.triggers import Trigger
from worker.errors import InvalidEventError, Reason
from worker.media.audio import SAMPLE_RATE
from worker.media.decode import check, decode
from worker.media.images import resize_square, thumbnail
from worker.media.limits import Limits
from worker.media.masking import masked
from worker.media.motion import motion
from worker.media.sharpness import sharpness
from worker.models.base import Encoder
from worker.models.bundles.inputs import embeddings
from worker.models.danger import DangerScale
from worker.models.fusion import orthonormal_rows
from worker.models.fusion.joining import Joined, Joining, Untrained, mean_direction
from worker.models.logmel import windows
from worker.models.watching import Watch
from worker.scoring.experts import FUSED_DIM, VISUAL_DIM, agreement_feature

Array = NDArray[Any]
Vectors = Mapping[bytes, Array]


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event whose media cannot be decoded."""

    event: Event
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of content for an encoder, with the key that names it in the cache."""

    key: bytes
    content: Any  # uint8 (S, S, 3) RGB, or a text, or float32 mono 16 kHz


@dataclass(frozen=True, slots=True)
class Prepared:
    """A Moment with its media decoded; `moment` has no undecodable event left."""

    moment: Moment
    items: Mapping[Modality, tuple[Item, ...]]
    features: Mapping[str, Array]  # those that need no network
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True, slots=True)
class Embedded:
    """A Moment with what scoring looks at. `fused` is a float16 unit vector, (256,) by default."""

    moment: Moment
    fused: Array
    weights: Mapping[Modality, float]
    features: Mapping[str, Array]
    rejected: tuple[Rejected, ...]


class Pipeline:
    """Encoders, fusion and limits, put together once.

    `prepare` may be called from several threads, the others from one at a time. A bundle's fusion
    stands for the untrained one. Where it `reuses`, a frame that shows nothing new in its Moment is
    not encoded (`worker.core.reuse`). Where `stores_embeddings`, they are features of their own;
    `masks` say where anything is masked.
    """

    def __init__(
        self,
        encoders: Mapping[Modality, Encoder],
        limits: Limits,
        frames_per_moment: int,
        seed: int,
        triggers: Sequence[Trigger] = (),
        trained: Joining | None = None,
        masks: Masks | None = None,
        *,
        reuses: bool = True,
        stores_embeddings: bool = False,
    ) -> None:
        self.encoders = encoders
        self.watch = Watch(triggers, encoders)
        self._reuses = reuses
        self._stores_embeddings = stores_embeddings
        self._limits = limits
        self._masks = masks or Masks()
        self._frames_per_moment = frames_per_moment
        self._side = encoders[Modality.FRAME].input_size
        dims = {modality: encoder.dim for modality, encoder in encoders.items()}
        self._joining: Joining = trained or Untrained(dims, seed)
        self.digest = _joint_digest(encoders, self._joining, self.watch)
        self._visual = orthonormal_rows(VISUAL_DIM, dims[Modality.FRAME], seed)
        self._compact = orthonormal_rows(FUSED_DIM, self._joining.dim, seed)
        self._danger = DangerScale(encoders[Modality.CAPTION])

    @property
    def pairs(self) -> tuple[str, ...]:
        """The pairs of modalities whose agreement is a feature."""
        return self._joining.pairs

    def prepare(self, moment: Moment) -> Prepared:
        """Decode what the encoders need of a Moment; only check the rest."""
        rejected: list[Rejected] = []
        areas = self._masks.of(moment.source)
        frames = [(event, masked(image, areas)) for event, image in self._frames(moment, rejected)]
        waveform = self._waveform(moment, rejected)
        caption = self._caption(moment, rejected)
        features: dict[str, Array] = {}
        items: dict[Modality, tuple[Item, ...]] = {}
        if frames:
            pictures = [image for _, image in frames]
            cells = [thumbnail(picture) for picture in pictures]
            features |= _seen(pictures, cells)
            if areas:
                features["masked"] = np.array(areas)
            if moment.effort is not Effort.NO_FRAME_ENCODER:
                places = self._standing_for(pictures, cells)
                items[Modality.FRAME] = self._frame_items(frames, places, areas)
        if waveform is not None:
            events, samples = waveform
            features["audio_windows"] = windows(samples)
            items[Modality.AUDIO] = (Item(self._key(Modality.AUDIO, events), samples),)
        if caption is not None:
            event, text = caption
            items[Modality.CAPTION] = (Item(self._key(Modality.CAPTION, [event]), text),)
        undecodable = frozenset(one.event.identity for one in rejected)
        own = frozenset(event.identity for event in moment.events)
        return Prepared(
            moment=moment.without(undecodable),
            items=items,
            features=features,
            rejected=tuple(one for one in rejected if one.event.identity in own),
        )

    def wanted(self, batch: Iterable[Prepared]) -> dict[Modality, dict[bytes, Any]]:
        """Return per modality the distinct contents of a batch by key."""
        contents: dict[Modality, dict[bytes, Any]] = {modality: {} for modality in MODALITIES}
        for prepared in batch:
            for modality, items in prepared.items.items():
                contents[modality].update((item.key, item.content) for item in items)
        return contents

    def encode(self, modality: Modality, contents: Mapping[bytes, Any]) -> dict[bytes, Array]:
        """Return one float16 unit vector for each content."""
        if not contents:
            return {}
        batch: Any = list(contents.values())
        if modality is Modality.FRAME:
            batch = np.stack(batch)
        return dict(zip(contents, self.encoders[modality].encode(batch), strict=True))

    def fuse(self, batch: Sequence[Prepared], vectors: Vectors) -> list[Embedded]:
        """Join each Moment's vectors into one and add the features that come from them."""
        if not batch:
            return []
        rows = [
            {
                each: mean_direction([vectors[item.key] for item in items])
                for each, items in one.items.items()
            }
            for one in batch
        ]
        seen = [self._features(one, row) for one, row in zip(batch, rows, strict=True)]
        joined = self._joining.join(rows, seen)
        return [
            Embedded(
                moment=one.moment,
                fused=each.vector.astype(np.float16),
                weights=each.weights,
                features=features | (self._joint_features(each) if one.items else {}),
                rejected=one.rejected,
            )
            for one, features, each in zip(batch, seen, joined, strict=True)
        ]

    def _features(self, prepared: Prepared, row: Mapping[Modality, Array]) -> dict[str, Array]:
        """Return the features of single modalities as float16: what is stored was scored."""
        features = dict(prepared.features)
        if Modality.FRAME in row:
            features["visual"] = self._visual @ row[Modality.FRAME]
        if Modality.CAPTION in row:
            features["text"] = row[Modality.CAPTION]
            features["text_danger"] = self._danger.margin(row[Modality.CAPTION])
        if self._stores_embeddings:
            features |= embeddings(row)
        for modality in self.watch.modalities:
            if modality in row:
                features |= self.watch.margins(prepared.moment.source, modality, row[modality])
        return {name: value.astype(np.float16) for name, value in features.items()}

    def _joint_features(self, joined: Joined) -> dict[str, Array]:
        """Return the features that come from several modalities, as float16."""
        agreement = {
            agreement_feature(pair): np.array([value], np.float16)
            for pair, value in joined.agreement.items()
        }
        return agreement | {"fused": (self._compact @ joined.vector).astype(np.float16)}

    def _standing_for(self, pictures: Sequence[Array], cells: Sequence[Array]) -> list[int]:
        """Return for each picture the place of the one that is encoded for it."""
        if not self._reuses:
            return list(range(len(pictures)))
        looks = (picture[::2, ::2, 1] for picture in pictures)  # of green, which is most of luma
        return shown_before([Look(*each) for each in zip(cells, looks, strict=True)])

    def _frame_items(
        self,
        frames: Sequence[tuple[Event, Array]],
        places: Sequence[int],
        areas: Sequence[Area],
    ) -> tuple[Item, ...]:
        """Return an item for each frame: its own, or once more that of the one before."""
        encoded: dict[int, Item] = {}
        for place in places:
            if place not in encoded:
                event, image = frames[place]
                key = self._key(Modality.FRAME, [event], areas)
                encoded[place] = Item(key, resize_square(image, self._side))
        return tuple(encoded[place] for place in places)

    def _frames(self, moment: Moment, rejected: list[Rejected]) -> list[tuple[Event, Array]]:
        """Decode an even choice of the frames; another one only where all of them are broken."""
        frames = moment.of(Modality.FRAME)
        chosen = evenly(frames, self._frame_count(moment.effort))
        decoded = list(self._decoded(chosen, rejected))
        for event in frames:
            if event in chosen:
                continue
            if decoded:
                self._check(event, rejected)
            else:
                decoded.extend(self._decoded([event], rejected))
        return decoded

    def _frame_count(self, effort: Effort) -> int:
        match effort:
            case Effort.FULL:
                return self._frames_per_moment
            case Effort.FEWER_FRAMES:
                return (self._frames_per_moment + 1) // 2
            case _:
                return 1

    def _waveform(
        self, moment: Moment, rejected: list[Rejected]
    ) -> tuple[list[Event], Array] | None:
        """Decode clips until the longest one allowed, or the window, is filled; check the rest."""
        longest = max(self._limits.max_audio_seconds, (moment.end - moment.start) / MICROSECONDS)
        left = int(longest * SAMPLE_RATE)
        clips: list[tuple[Event, Array]] = []
        for event in moment.of(Modality.AUDIO):
            if left <= 0:
                self._check(event, rejected)
                continue
            for _, samples in self._decoded([event], rejected):
                clips.append((event, samples))
                left -= len(samples)
        if not clips:
            return None
        return [event for event, _ in clips], np.concatenate([samples for _, samples in clips])

    def _caption(self, moment: Moment, rejected: list[Rejected]) -> tuple[Event, str] | None:
        own = list(self._decoded(moment.of(Modality.CAPTION), rejected))
        if not own and moment.carried is not None:
            own = list(self._decoded([moment.carried], rejected))
        return own[-1] if own else None

    def _decoded(
        self, events: Iterable[Event], rejected: list[Rejected]
    ) -> Iterator[tuple[Event, Any]]:
        """Yield each event with its media; note those that are rejected."""
        for event in events:
            try:
                yield event, decode(event, self._limits, self._side)
            except InvalidEventError as error:
                rejected.append(Rejected(event, error.reason, error.message))

    def _check(self, event: Event, rejected: list[Rejected]) -> None:
        try:
            check(event, self._limits)
        except InvalidEventError as error:
            rejected.append(Rejected(event, error.reason, error.message))

    def _key(
        self, modality: Modality, events: Iterable[Event], areas: Sequence[Area] = ()
    ) -> bytes:
        """Name content, what is masked of it, and encoder: equal keys mean equal vectors."""
        digest = hashlib.blake2b(self.encoders[modality].digest.encode(), digest_size=20)
        for area in areas:
            digest.update(np.array(area).tobytes())
        for event in events:
            digest.update(str(event.content_type).encode())
            digest.update(hashlib.blake2b(event.payload, digest_size=20).digest())
        return digest.digest()


def _seen(pictures: Sequence[Array], thumbnails: Sequence[Array]) -> dict[str, Array]:
    """Return what experts look at in the frames of a Moment, of which there is at least one.

    The luminance is the mean over the frames: noise, rain and recompression are less in it.
    """
    seen: dict[str, Array | None] = {
        "luminance": np.asarray(np.mean(thumbnails, axis=0, dtype=np.float32)),
        "sharpness": sharpness(pictures[len(pictures) // 2]),
        "motion": motion(thumbnails),
    }
    return {name: value for name, value in seen.items() if value is not None}


def _joint_digest(encoders: Mapping[Modality, Encoder], joining: Joining, watch: Watch) -> str:
    digest = hashlib.sha256()
    for modality in MODALITIES:
        digest.update(f"{modality}={encoders[modality].digest};".encode())
    digest.update(f"danger={DangerScale.digest};".encode())
    if joining.digest:
        digest.update(f"bundle={joining.digest};".encode())
    if watch.triggers:
        digest.update(f"triggers={watch.digest};".encode())
    return digest.hexdigest()
