"""The client's errors as ours: what a new session may cure, and what only people can."""

from __future__ import annotations

import pytest
from kafka import errors

from worker.adapters.kafka.connect import log_error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.CommitFailedError("the generation is another"), "commit_failed"),
        (errors.UnknownMemberIdError(), "unknown_member_id"),
        (errors.ProducerFencedError(), "producer_fenced"),
        (errors.InvalidProducerIdMappingError(), "invalid_producer_id_mapping"),
        (errors.InvalidTxnStateError(), "invalid_txn_state"),
        (errors.UnknownError(), "unknown"),
        (errors.KafkaError(errors.InvalidProducerIdMappingError()), "invalid_producer_id_mapping"),
        (errors.KafkaError("no offsets without a transaction"), "kafka"),
        (errors.NotCoordinatorError(), "not_coordinator"),
        (errors.KafkaTimeoutError(), "kafka_timeout"),
    ],
)
def test_a_lost_membership_and_a_busy_broker_are_worth_a_new_session(
    error: Exception, reason: str
) -> None:
    told = log_error(error, "commit failed")
    assert told.retriable
    assert told.reason == reason
    assert str(told).startswith("commit failed: ")


@pytest.mark.parametrize(
    "error",
    [
        errors.TopicAuthorizationFailedError(),
        errors.KafkaError(f"Unexpected error: {errors.TopicAuthorizationFailedError()}"),
        errors.GroupAuthorizationFailedError(),
        errors.MessageSizeTooLargeError(),
    ],
)
def test_missing_rights_and_a_record_that_is_too_large_are_not(error: Exception) -> None:
    assert not log_error(error, "commit failed").retriable
