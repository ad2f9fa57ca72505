"""The bundles of a configuration, the live one and one in shadow, and how they fuse."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from worker.config import Config
from worker.core.events import Modality
from worker.models.base import Encoder

if TYPE_CHECKING:
    from worker.models.bundles.bundle import Bundle
    from worker.models.fusion.joining import Joining


def open_configured(config: Config) -> Bundle | None:
    """Return the configured bundle; None where there is none. Raises OperatorError."""
    return _opened(config, config.models.bundle, config.models.bundle_digest, "models")


def open_shadow(config: Config) -> Bundle | None:
    """Return the bundle that is tried in shadow; None where there is none. Raises OperatorError."""
    shadow = config.scoring.shadow
    return _opened(config, shadow.bundle or "", shadow.bundle_digest or "", "scoring.shadow")


def fusion_of(bundle: Bundle, encoders: Mapping[Modality, Encoder], seed: int) -> Joining:
    """Return what fuses by a bundle; it must have been fitted on these encoders' vectors."""
    from worker.models.bundles.serving import Trained, check_encoders

    check_encoders(bundle, encoders, seed)
    return Trained(bundle)


def shadow_fusion(
    config: Config, encoders: Mapping[Modality, Encoder], bundle: Bundle | None = None
) -> Joining | None:
    """Return what fuses in shadow; None where nothing does. Raises OperatorError.

    The configured `bundle` is opened where it is not given.
    """
    bundle = bundle or open_shadow(config)
    if bundle is None:
        return None
    from worker.models.bundles.serving import check_live

    check_live(bundle, encoders)
    return fusion_of(bundle, encoders, config.scoring.seed)


def _opened(config: Config, place: str, pinned: str, section: str) -> Bundle | None:
    if not place:
        return None
    from worker.models.bundles.bundle import open_bundle

    awaited = [Modality(each) for each in config.pairing.awaited]
    return open_bundle(Path(place).expanduser(), awaited, pinned, f"{section}.bundle_digest")
