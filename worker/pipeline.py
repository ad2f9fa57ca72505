"""Moments -> media -> embeddings -> features. Composes media, models and scoring features.

The steps are separate calls, so that the runtime can run each in the thread where it belongs, time
it, and put a cache between them:

    prepare(moment)            decode, in many threads
    hear(prepared, text)       what is said in it, as a caption
    wanted(batch)              what has to be encoded, each content once
    encode(modality, items)    the neural networks, in one thread
    fuse(batch, vectors)       one embedding and the features of each Moment
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.core.events import MODALITIES, Event, Modality
from worker.core.masks import Area, Masks
from worker.core.moment import Derived, Effort, Moment
from worker.core.reuse import Look, shown_before
from worker.core.triggers import Trigger
from worker.media.gathering import Gatherer, Rejected
from worker.media.images import resize_square, thumbnail
from worker.media.limits import Limits
from worker.media.masking import masked
from worker.media.seen import seen_in
from worker.models.base import Encoder, SpeechToText
from worker.models.bundles.inputs import embeddings
from worker.models.danger import DangerScale
from worker.models.fusion import orthonormal_rows
from worker.models.fusion.joining import Joined, Joining, Untrained, mean_direction
from worker.models.keys import digest_of_all, key_of, parts_of
from worker.models.logmel import windows
from worker.models.watching import Watch
from worker.scoring.experts import FUSED_DIM, VISUAL_DIM
from worker.scoring.joint import joint_features
from worker.scoring.memory import DERIVED

Array = NDArray[Any]
Vectors = Mapping[bytes, Array]


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of content for an encoder, with the key that names it in the cache."""

    key: bytes
    content: Any  # uint8 (S, S, 3) RGB, or a text, or float32 mono 16 kHz


@dataclass(frozen=True, slots=True)
class Prepared:
    """A Moment with its media decoded; `moment` has no undecodable event left.

    `speech` is the part of its sound in which somebody speaks, where that is looked for.
    """

    moment: Moment
    items: Mapping[Modality, tuple[Item, ...]]
    features: Mapping[str, Array]  # those that need no network
    rejected: tuple[Rejected, ...]
    speech: Item | None = None
    degraded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Embedded:
    """A Moment with what scoring looks at. `fused` is a float16 unit vector, (256,) by default."""

    moment: Moment
    fused: Array
    weights: Mapping[Modality, float]
    features: Mapping[str, Array]
    rejected: tuple[Rejected, ...]
    degraded: tuple[str, ...] = ()  # what did not work
    shadow: Mapping[str, Array] | None = None  # the joint features by a bundle in shadow


class Pipeline:
    """Encoders, fusion and limits, put together once.

    `prepare` may be called from several threads, the others from one at a time. A bundle's fusion
    stands for the untrained one. Where it `reuses`, a frame that shows nothing new in its Moment is
    not encoded (`worker.core.reuse`). Where `stores_embeddings`, they are features of their own;
    `masks` say where anything is masked. With `speech` what is said is a caption as well.
    A `shadow` fuses each Moment once more.
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
        speech: SpeechToText | None = None,
        *,
        reuses: bool = True,
        stores_embeddings: bool = False,
        shadow: Joining | None = None,
    ) -> None:
        self.encoders = encoders
        self.watch = Watch(triggers, encoders)
        self._reuses = reuses
        self._stores_embeddings = stores_embeddings
        self._masks = masks or Masks()
        self.speech = speech
        self._side = encoders[Modality.FRAME].input_size
        self._gather = Gatherer(limits, frames_per_moment, self._side)
        dims = {modality: encoder.dim for modality, encoder in encoders.items()}
        self._joining: Joining = trained or Untrained(dims, seed)
        self.digest = digest_of_all(encoders, self._joining, self.watch, speech)
        self._visual = orthonormal_rows(VISUAL_DIM, dims[Modality.FRAME], seed)
        self.shadow = shadow
        self._compact = {
            each.dim: orthonormal_rows(FUSED_DIM, each.dim, seed)
            for each in (self._joining, shadow)
            if each is not None
        }
        self._danger = DangerScale(encoders[Modality.CAPTION])

    @property
    def pairs(self) -> tuple[str, ...]:
        """The pairs of modalities whose agreement is a feature."""
        return self._joining.pairs

    def prepare(self, moment: Moment) -> Prepared:
        """Decode what the encoders need of a Moment; only check the rest."""
        media = self._gather(moment)
        areas = self._masks.of(moment.source)
        frames = [(event, masked(image, areas)) for event, image in media.frames]
        features: dict[str, Array] = {}
        items: dict[Modality, tuple[Item, ...]] = {}
        speech: Item | None = None
        if frames:
            pictures = [image for _, image in frames]
            cells = [thumbnail(picture) for picture in pictures]
            features |= seen_in(pictures, cells)
            if areas:
                features["masked"] = np.array(areas)
            if moment.effort is not Effort.NO_FRAME_ENCODER:
                places = self._standing_for(pictures, cells)
                items[Modality.FRAME] = self._frame_items(frames, places, areas)
        if media.waveform is not None:
            events, samples = media.waveform
            features["audio_windows"] = windows(samples)
            items[Modality.AUDIO] = (Item(self._key(Modality.AUDIO, events), samples),)
            if moment.effort is Effort.FULL:
                speech = self._spoken(events, samples)
        if media.caption is not None:
            event, text = media.caption
            items[Modality.CAPTION] = (Item(self._key(Modality.CAPTION, [event]), text),)
        undecodable = frozenset(one.event.identity for one in media.rejected)
        own = frozenset(event.identity for event in moment.events)
        return Prepared(
            moment=moment.without(undecodable),
            items=items,
            features=features,
            rejected=tuple(one for one in media.rejected if one.event.identity in own),
            speech=speech,
        )

    def hear(self, prepared: Prepared, text: str | None) -> Prepared:
        """Return a Moment with what is said in it as a caption of its own; None: it is not known.

        A written caption of the Moment's own speaks beside it, one that is carried does not.
        """
        if text is None:
            return replace(prepared, degraded=(*prepared.degraded, "speech:failed"))
        if not text:
            return prepared
        derived = Derived(Modality.CAPTION, Modality.AUDIO, text)
        own = Modality.CAPTION in prepared.moment.present
        written = prepared.items[Modality.CAPTION] if own else ()
        said = Item(key_of(self.encoders[Modality.CAPTION].digest, [text.encode()]), text)
        return replace(
            prepared,
            moment=replace(prepared.moment, derived=(derived,)),
            items={**prepared.items, Modality.CAPTION: (*written, said)},
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
        """Join each Moment's vectors into one and add the features that come from them.

        A content without a vector is left out, and the Moment is marked as degraded.
        """
        if not batch:
            return []
        rows = [_row(one, vectors) for one in batch]
        seen = [self._features(one, row) for one, row in zip(batch, rows, strict=True)]
        joined = self._joining.join(rows, seen)
        shadows = [None] * len(rows) if self.shadow is None else self.shadow.join(rows, seen)
        return [
            Embedded(
                moment=one.moment,
                fused=each.vector.astype(np.float16),
                weights=each.weights,
                features=features | self._joint_features(each, row),
                rejected=one.rejected,
                degraded=(*one.degraded, *_not_encoded(one, vectors)),
                shadow=None if shadow is None else self._joint_features(shadow, row),
            )
            for one, row, features, each, shadow in zip(
                batch, rows, seen, joined, shadows, strict=True
            )
        ]

    def _features(self, prepared: Prepared, row: Mapping[Modality, Array]) -> dict[str, Array]:
        """Return the features of single modalities as float16: what is stored was scored."""
        features = dict(prepared.features)
        if Modality.FRAME in row:
            features["visual"] = self._visual @ row[Modality.FRAME]
        if Modality.CAPTION in row:
            features["text"] = row[Modality.CAPTION]
            features["text_danger"] = self._danger.margin(row[Modality.CAPTION])
        derived = len(prepared.moment.derived)
        if derived and Modality.CAPTION in row:
            features[DERIVED] = np.array([derived / len(prepared.items[Modality.CAPTION])])
        if self._stores_embeddings:
            features |= embeddings(row)
        for modality in self.watch.modalities:
            if modality in row:
                features |= self.watch.margins(prepared.moment.source, modality, row[modality])
        return {name: value.astype(np.float16) for name, value in features.items()}

    def _joint_features(self, joined: Joined, row: Mapping[Modality, Array]) -> dict[str, Array]:
        """Return the features that come from several modalities, none where there are none."""
        compact = self._compact[joined.vector.size]
        return joint_features(joined.vector, joined.agreement, compact) if row else {}

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

    def _spoken(self, events: Sequence[Event], samples: Array) -> Item | None:
        """Return the part of a Moment's sound in which somebody speaks."""
        if self.speech is None or (part := self.speech.spoken(samples)) is None:
            return None
        return Item(key_of(self.speech.digest, parts_of(events)), part)

    def _key(
        self, modality: Modality, events: Iterable[Event], areas: Sequence[Area] = ()
    ) -> bytes:
        """Name content, what is masked of it, and encoder: equal keys mean equal vectors."""
        masked = (np.array(area).tobytes() for area in areas)
        return key_of(self.encoders[modality].digest, chain(masked, parts_of(events)))


def _row(prepared: Prepared, vectors: Vectors) -> dict[Modality, Array]:
    """Return the vector of each modality that has one: the mean direction of its contents'."""
    found = {
        modality: [vectors[item.key] for item in items if item.key in vectors]
        for modality, items in prepared.items.items()
    }
    return {modality: mean_direction(each) for modality, each in found.items() if each}


def _not_encoded(prepared: Prepared, vectors: Vectors) -> list[str]:
    return [
        f"not_encoded:{modality}"
        for modality, items in prepared.items.items()
        if any(item.key not in vectors for item in items)
    ]
