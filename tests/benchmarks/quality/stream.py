"""A stream: one scene, one seed, rendered Moment by Moment into the events that a camera sends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import simplejpeg

from tests.benchmarks.quality import captions, material, pictures, sounds
from tests.benchmarks.quality.incidents import Incident, moments
from tests.benchmarks.quality.material import HEIGHT, OBJECTS, WIDTH, Array
from tests.benchmarks.quality.scenes import Scene
from worker.core.events import ContentType, Event, Modality, Record
from worker.core.moment import ClosedBy, Moment
from worker.core.rfc3339 import seconds
from worker.feed.audio import encode_flac
from worker.media.images import thumbnail
from worker.scoring.experts.grid import COLUMNS, ROWS, cell_means

FRAMES = 2  # of a Moment of one second
START = seconds(1_750_000_000)
VISIBLE = 5  # levels; the mean difference of a cell by noise alone is below two
QUALITY, POOR_QUALITY = 88, 18  # of JPEG
_TYPES = {
    Modality.FRAME: ContentType("image/jpeg"),
    Modality.AUDIO: ContentType("audio/flac"),
    Modality.CAPTION: ContentType("text/plain", (("charset", "utf-8"),)),
}


@dataclass(frozen=True, slots=True)
class Walker:
    """A pedestrian: where at time 0 (x may be far outside), how fast, how large, which sprite."""

    begin: float
    left: float
    speed: float  # pixels per second, to the right where positive
    feet: float
    tall: float
    sprite: int
    until: float = np.inf

    def left_at(self, time: float) -> float:
        """Return the left edge at a time in seconds."""
        return self.left + self.speed * (time - self.begin)

    def is_visible(self, time: float) -> bool:
        """Tell whether some of it is in the picture."""
        return self.begin <= time < self.until and -self.tall < self.left_at(time) < WIDTH


@dataclass(frozen=True)
class Stream:
    """All Moments of one scene and seed. Normal throughout where there are no incidents.

    `noise` is that of the sensor, 1 as usual and 0 of a camera that hides it.
    """

    scene: Scene
    seed: int
    incidents: tuple[Incident, ...]
    length: int
    day_seconds: float = 900.0  # length of a day of slow light, which is normal
    noise: float = 1.0

    @classmethod
    def with_incidents(cls, scene: Scene, seed: int, incidents: list[Incident]) -> Stream:
        """Return a stream as long as its incidents need."""
        return cls(scene, seed, tuple(incidents), moments(incidents))

    @property
    def source(self) -> str:
        """The source id of its events."""
        return f"/quality/{self.scene.name}/{self.seed}"

    def incident(self, moment: int) -> Incident | None:
        """Return what goes on in a Moment."""
        return next((each for each in self.incidents if each.covers(moment)), None)

    def changed_cells(self, number: int) -> Array:
        """Return where an incident changes the Moment's picture by more than the noise, as cells.

        A bool for each cell of the grid expert, (ROWS, COLUMNS).
        """
        usual, incident = replace(self, incidents=()), self.incident(number)
        pairs = [
            (self._view(number, part, incident), usual._view(number, part, None))
            for part in range(FRAMES)
        ]
        differences = [
            cell_means(np.abs(thumbnail(one).astype(float) - thumbnail(other).astype(float)))
            for one, other in pairs
        ]
        return np.asarray(np.mean(differences, axis=0).reshape(ROWS, COLUMNS) > VISIBLE)

    def moments(self) -> Iterator[Moment]:
        """Yield its Moments in order, with the captions carried as the worker does."""
        carried: Event | None = None
        for number in range(self.length):
            start = START + seconds(number)
            events = [
                self._event(Modality.FRAME, number, part, self._jpeg(number, part))
                for part in range(FRAMES)
            ]
            events.append(self._event(Modality.AUDIO, number, 0, self._flac(number)))
            if number % captions.EVERY == 0:
                text = self._caption(number).encode()
                carried = self._event(Modality.CAPTION, number, 0, text)
                events.append(carried)
            yield Moment(
                source=self.source,
                start=start,
                end=start + seconds(1),
                events=tuple(events),
                closed_by=ClosedBy.WATERMARK,
                carried=carried,
            )

    def _event(self, modality: Modality, number: int, part: int, payload: bytes) -> Event:
        time = START + seconds(number) + part * seconds(1) // FRAMES
        record = Record(modality.value, 0, number * FRAMES + part, time, None, payload)
        name = f"{modality}-{number}-{part}"
        return Event(self.source, modality, name, time, _TYPES[modality], record)

    @cached_property
    def _walkers(self) -> Sequence[Walker]:
        random = np.random.default_rng((self.seed, _hash(self.scene.name), 3))
        walkers = [
            self._walker(float(time), random)
            for time in np.flatnonzero(random.uniform(size=self.length) < self.scene.arrivals)
        ]
        for incident in self.incidents:
            walkers += [replace(each, until=incident.end) for each in self._unusual(incident)]
        return walkers

    def _walker(self, time: float, random: np.random.Generator) -> Walker:
        scene = self.scene
        depth = random.uniform()  # who stands lower is nearer and taller
        feet = scene.lane[0] + depth * (scene.lane[1] - scene.lane[0])
        tall = scene.tall[0] + depth * (scene.tall[1] - scene.tall[0])
        speed = random.uniform(*scene.speed) * (1 if random.uniform() < 0.5 else -1)
        left = -tall / 2 if speed > 0 else float(WIDTH)
        sprite = int(random.integers(1 << 20))
        return Walker(time, left, speed, feet, tall, sprite)

    def _unusual(self, incident: Incident) -> list[Walker]:
        random = np.random.default_rng(incident.draw)
        if incident.kind == "running":
            one = self._walker(incident.start, random)
            fast = replace(one, speed=4.5 * one.speed)
            return [replace(fast, begin=incident.start + 2.0 * k) for k in range(3)]
        if incident.kind == "off_lane":
            one = self._walker(incident.start, random)
            low, high = self.scene.lane
            feet = low - 27 if low > 66 else min(high + 42, HEIGHT - 2)
            return [replace(one, left=random.uniform(50, 120), feet=feet, speed=one.speed / 2)]
        if incident.kind == "crowd":
            return [
                replace(self._walker(incident.start, random), left=random.uniform(12, 156))
                for _ in range(9)
            ]
        return []

    def _people(self, number: int) -> int:
        return sum(walker.is_visible(number + 0.5) for walker in self._walkers)

    def _jpeg(self, number: int, part: int) -> bytes:
        incident = self.incident(number)
        if incident is not None and incident.kind == "frozen":
            number, part, incident = incident.start - 1, FRAMES - 1, None
        image = self._view(number, part, incident)
        poor = incident is not None and incident.kind == "recompression"
        quality = POOR_QUALITY if poor else QUALITY
        encoded = simplejpeg.encode_jpeg(image, quality=quality, colorspace="RGB")
        return bytes(encoded)

    def _view(self, number: int, part: int, incident: Incident | None) -> Array:
        time = number + part / FRAMES
        random = np.random.default_rng((self.seed, _hash(self.scene.name), number, part))
        image = self._backdrop.copy()
        self._draw_walkers(image, time)
        if incident is not None:
            shot = self._shot(incident, time, random)
            for effects in (pictures.PAINTED, pictures.THROUGH_THE_LENS):
                if incident.kind in effects:
                    image = effects[incident.kind](image, shot)
        light = 1 + 0.08 * np.sin(2 * np.pi * time / self.day_seconds + self.seed)
        image = image * np.float32(light) + np.float32(self.noise) * pictures.sensor_noise(random)
        return image.clip(0, 255).astype(np.uint8)

    def _draw_walkers(self, image: Array, time: float) -> None:
        sprites = material.pedestrians(self.scene.part)
        for walker in self._walkers:
            if not walker.is_visible(time):
                continue
            sprite = sprites[walker.sprite % len(sprites)]
            pose = sprite.poses[int(time * 3) % len(sprite.poses)]
            width = round(walker.tall * pose.shape[1] / pose.shape[0])
            pose = material.resized(pose, width, round(walker.tall))
            turned = pose[:, :: 1 if walker.speed > 0 else -1]
            top = round(walker.feet - walker.tall)
            pictures.paste(image, turned, round(walker.left_at(time)), top)

    def _shot(self, incident: Incident, time: float, flicker: np.random.Generator) -> pictures.Shot:
        steady = np.random.default_rng(incident.draw)
        things = OBJECTS[self.scene.part]
        thing = material.pasted(*things[incident.draw % len(things)])
        length = incident.end - incident.start
        return pictures.Shot(time - incident.start, length, steady, flicker, thing)

    @cached_property
    def _backdrop(self) -> Array:
        return material.backdrop(self.scene.backdrop).astype(np.float32)

    @cached_property
    def _sound(self) -> Array:
        random = np.random.default_rng((self.seed, _hash(self.scene.name), 4))
        heard = sounds.ambience(self.scene.ambience, self.length, random)
        for incident in self.incidents:
            draws = np.random.default_rng(incident.draw)
            span = slice(incident.start * sounds.RATE, incident.end * sounds.RATE)
            heard[span] *= np.float32(sounds.gain(incident.kind, draws))
            if incident.kind in sounds.ADDED:
                whole = sounds.ADDED[incident.kind]
                heard[span] += whole(incident.end - incident.start, draws, self.scene.part)
        return heard

    def _flac(self, number: int) -> bytes:
        return encode_flac(self._sound[number * sounds.RATE : (number + 1) * sounds.RATE])

    def _caption(self, number: int) -> str:
        random = np.random.default_rng((self.seed, _hash(self.scene.name), number, 5))
        incident = self.incident(number)
        people = self._people(number)
        return captions.said("" if incident is None else incident.kind, self.scene, people, random)


def _hash(name: str) -> int:
    return int.from_bytes(name.encode()[-6:], "big")
