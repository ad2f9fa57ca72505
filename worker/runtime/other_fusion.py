"""What another bundle makes of stored Observations, without encoders."""

from __future__ import annotations

from worker.core.messages import Observation
from worker.errors import OperatorError
from worker.models.bundles.bundle import Bundle
from worker.models.bundles.inputs import EMBEDDINGS, SOURCES, read_input
from worker.models.bundles.serving import Trained, check_projection
from worker.models.fusion import orthonormal_rows
from worker.scoring.experts import FUSED_DIM, Features
from worker.scoring.joint import FUSED, joint_features, with_joint


class OtherFusion:
    """A bundle over Observations that were made with `running`, another one, or without one.

    `seed` is that of their projections. Raises OperatorError for a bundle of other encoders: so far
    as the two bundles tell, for Observations do not name them one by one.
    """

    def __init__(self, bundle: Bundle, running: Bundle | None, seed: int) -> None:
        self._bundle = bundle
        self._fusion = Trained(bundle)
        self._compact = orthonormal_rows(FUSED_DIM, self._fusion.dim, seed)
        self.pairs = self._fusion.pairs
        check_projection(bundle, seed)
        if running is not None:
            _check_alike(bundle, running)

    def features(self, observation: Observation) -> Features:
        """Return the features as they would be with it.

        They are on record where it was in shadow, and follow from what it was fitted on otherwise.
        Raises OperatorError where that was not kept.
        """
        tried = None if observation.shadow is None else observation.shadow.bundle
        if tried is not None and tried.digest == self._bundle.digest:
            return with_joint(observation.features, tried.features)
        if FUSED not in observation.features:
            return with_joint(observation.features, {})  # nothing of it was embedded
        self._check_inputs(observation)
        (joined,) = self._fusion.join([{}], [observation.features])
        own = joint_features(joined.vector, joined.agreement, self._compact)
        return with_joint(observation.features, own)

    def _check_inputs(self, observation: Observation) -> None:
        for modality in self._bundle.modalities:
            given = self._bundle.preprocessing.inputs[modality]
            found = read_input(observation.features, given.feature)
            if found is not None and found.size != given.dim:
                raise OperatorError(
                    f"{self._bundle.place} takes {given.feature} of length {given.dim}, and that of"
                    f" Observation {observation.observation_id} has {found.size}: it was fitted"
                    " with other encoders."
                )
            is_there = any(name in observation.features for name in SOURCES[modality])
            lost = f"not_encoded:{modality}" in observation.degraded
            if found is None and is_there and not lost and modality in EMBEDDINGS:
                raise OperatorError(
                    f"{self._bundle.place} takes {given.feature}, which Observation"
                    f" {observation.observation_id} does not keep: set models.store_embeddings"
                    " first, or try the bundle live by scoring.shadow."
                )


def _check_alike(bundle: Bundle, running: Bundle) -> None:
    ours, theirs = bundle.preprocessing.inputs, running.preprocessing.inputs
    for modality in ours.keys() & theirs.keys():
        one, other = ours[modality], theirs[modality]
        if one.feature == other.feature and one.digest != other.digest:
            raise OperatorError(
                f"{bundle.place} was fitted on {modality} vectors of {one.encoder}"
                f" ({one.digest[:12]}), and {running.place} on those of {other.encoder}"
                f" ({other.digest[:12]}): a replay has no encoders to make others."
            )
