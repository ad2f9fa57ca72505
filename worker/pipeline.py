"""Moments -> media -> embeddings -> features. Composes media, models and scoring features.

The steps are separate calls, so that the runtime can run each in the thread where it belongs, time
it, and put a cache between them:

    look(moment)               decode what is looked at, in many threads
    choose(looked)             which frames are encoded, in the Moments' order
    complete(chosen)           decode what is encoded, in many threads
    hear(prepared, text)       what is said in it, as a caption
    wanted(batch)              what has to be encoded, each content once
    encode(modality, items)    the neural networks, in a thread for each modality
    fuse(batch, vectors)       one embedding and the features of each Moment
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.core.events import MODALITIES, Event, Modality
from worker.core.masks import Area, Masks
from worker.core.moment import Derived, Effort, Moment
from worker.core.references import Choice, References
from worker.core.reuse import STANDS, shown_before
from worker.core.triggers import Trigger
from worker.errors import InvalidEventError
from worker.media.frames import Frame, sharpened
from worker.media.gathering import Gatherer
from worker.media.limits import Limits
from worker.media.seen import seen_in
from worker.models.base import Encoder, SpeechToText
from worker.models.bundles.inputs import embeddings
from worker.models.danger import DangerScale
from worker.models.fusion import orthonormal_rows
from worker.models.fusion.joining import Joined, Joining, Untrained, mean_direction
from worker.models.keys import digest_of_all, key_of, parts_of
from worker.models.logmel import LogMelEncoder, log_mels, windows
from worker.models.watching import Watch
from worker.scoring.experts import FUSED_DIM, VISUAL_DIM
from worker.scoring.joint import joint_features
from worker.scoring.memory import DERIVED
from worker.stages import Embedded, Item, Prepared

Array = NDArray[Any]
Vectors = Mapping[bytes, Array]


class Pipeline:
    """Encoders, fusion and limits, put together once.

    `look`, `complete` and `prepare` may be called from several threads, `encode` from one for each
    modality, the others from one at a time. A bundle's fusion stands for the untrained one. Where
    it `reuses`, a frame that shows nothing new is not encoded (`worker.core.reuse`). Where
    `stores_embeddings`, they are features of their own; `masks` say where anything is masked. With
    `speech` what is said is a caption as well. A `shadow` fuses each Moment once more.
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
        self.speech = speech
        self._limits = limits
        self._side = encoders[Modality.FRAME].input_size
        self._encodes_mels = isinstance(encoders[Modality.AUDIO], LogMelEncoder)
        self._gather = Gatherer(
            limits, frames_per_moment, self._side, masks or Masks(), self._frame_key
        )
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

    @property
    def fusion_digest(self) -> str:
        """The digest of what fuses."""
        return self._joining.digest

    def prepare(self, moment: Moment) -> Prepared:
        """Decode what the encoders need of a Moment that knows of no other one."""
        return self.complete(self.choose(self.look(moment)))

    def look(self, moment: Moment, references: References | None = None) -> Prepared:
        """Decode what experts and the choice look at; only check the rest."""
        known = references.known(moment.source) if references is not None else {}
        media = self._gather(moment, known)
        features: dict[str, Array] = {}
        items: dict[Modality, tuple[Item, ...]] = {}
        speech: Item | None = None
        frames: list[Frame] = []
        if media.frames:
            frames = sharpened(media.frames)
            features |= seen_in([each.glimpse.look for each in frames])
            if areas := frames[0].areas:
                features["masked"] = np.array(areas)
        if media.waveform is not None:
            events, samples = media.waveform
            mels = log_mels(samples)
            features["audio_windows"] = windows(mels)
            heard = mels if self._encodes_mels else samples
            items[Modality.AUDIO] = (Item(self._key(Modality.AUDIO, events), heard),)
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
            frames=tuple(frames) if moment.effort is not Effort.NO_FRAME_ENCODER else (),
        )

    def choose(self, looked: Prepared, references: References | None = None) -> Prepared:
        """Say which frames are encoded, and which of them, or before them, stand for the others.

        What is tried, or sent again, neither knows the `references` of its partition nor changes
        them.
        """
        moment, glimpses = looked.moment, [each.glimpse for each in looked.frames]
        if not self._reuses:
            choice = Choice(tuple(range(len(glimpses))))
        elif references is None or moment.amends or moment.is_trial:
            choice = Choice(shown_before(glimpses))
        else:
            choice = references.choose(moment.source, glimpses)
        return replace(looked, choice=choice)

    def complete(self, chosen: Prepared) -> Prepared:
        """Decode the frames that are to be encoded."""
        if not chosen.frames:
            return chosen
        encoded = {STANDS: Item(chosen.choice.standing or b"", None)}
        for place in chosen.choice.places:
            if place not in encoded:
                encoded[place] = self._frame_item(chosen.frames[place])
        frames = tuple(encoded[place] for place in chosen.choice.places)
        return replace(chosen, items={Modality.FRAME: frames, **chosen.items}, frames=())

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
                contents[modality].update(
                    (item.key, item.content) for item in items if item.content is not None
                )
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
                reused=one.choice.spared,
                remembered=one.choice.remembered(vectors),
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

    def _frame_item(self, frame: Frame) -> Item:
        try:
            return Item(frame.glimpse.key, frame.encodable(self._limits, self._side))
        except InvalidEventError:  # then its luminance could not have been decoded either
            return Item(frame.glimpse.key, None)

    def _frame_key(self, event: Event, areas: Sequence[Area]) -> bytes:
        return self._key(Modality.FRAME, [event], areas)

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
