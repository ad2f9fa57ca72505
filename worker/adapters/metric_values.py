"""The values that labels may have, and the bounds of buckets."""

from __future__ import annotations

from worker.core.events import MODALITIES
from worker.scoring.experts import VOTES

REBALANCE_EVENTS = ("assigned", "revoked", "lost")
# Reasons of a LogError: the worker's own, then Kafka's, by the names of the client's errors.
COMMIT_FAILURES = (
    *("not_a_member", "split_assignment", "commit_timeout", "refused", "offset_out_of_range"),
    *("commit_failed", "illegal_generation", "unknown_member_id", "rebalance_in_progress"),
    *("producer_fenced", "fenced_instance_id", "invalid_producer_epoch", "transaction_aborted"),
    *("kafka_timeout", "request_timed_out", "kafka_connection", "coordinator_not_available"),
    *("not_coordinator", "not_leader_for_partition", "not_enough_replicas"),
    *("message_size_too_large", "topic_authorization_failed", "group_authorization_failed"),
)
KINDS = (*MODALITIES, "feedback")  # of input records
EVENT_OUTCOMES = ("paired", "late", "duplicate", "dead_letter", "returned", "known")
MOMENT_OUTCOMES = ("complete", "partial", "carried", "idle_closed")
MODALITY_STATES = ("present", "carried", "missing")
DELAY_STAGES = ("ingest", "scored", "published")
# Decode includes what makes media fit for an encoder; recognise is speech as text, where it is on;
# commit begins when a unit is handed over and ends when it is visible, and publish, its first part,
# when brokers have the outputs.
STAGES = ("decode", "recognise", "encode", "fuse", "score", "publish", "commit")
QUEUES = ("decode", "encode")
DEVICES = ("cpu", "cuda")
ENCODER_FAILURES = ("not_finite", "zero", "out_of_memory", "error")
SPEECH_OUTCOMES = ("none", "text", "empty", "failed")
CACHE_RESULTS = ("hit", "near", "miss", "error", "bypass")
CACHE_OPERATIONS = ("get", "put")
EXPERTS = tuple(name for experts in VOTES.values() for name in experts)
ALERT_TYPES = ("open", "update", "close")
COMPONENTS = ("redis", "memory", "overload")
BUFFERS = (
    *("merge", "pairing", "moments", "decode", "encode", "outputs", "memory"),
    *("silent_sources", "feedback", "alert_states", "scorers"),
)

# The largest bound of each lies beyond every alert limit on it, so that a quantile can reach it.
DELAY_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 15, 30, 60, 120, 300)
STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
CACHE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SCORE_BUCKETS = tuple(step / 20 for step in range(1, 21))
# Usual Moments fill these in proportion to their widths.
P_VALUE_BUCKETS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1)
