"""From our settings to a connected kafka-python client, or one sentence that says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from kafka.errors import (
    CommitFailedError,
    CorruptRecordError,
    FencedInstanceIdError,
    IllegalGenerationError,
    IllegalSaslStateError,
    InvalidProducerEpochError,
    InvalidProducerIdMappingError,
    InvalidTxnStateError,
    KafkaError,
    OutOfOrderSequenceNumberError,
    ProducerFencedError,
    RebalanceInProgressError,
    SaslAuthenticationFailedError,
    TransactionAbortableError,
    TransactionAbortedError,
    TransactionCoordinatorFencedError,
    UnknownError,
    UnknownMemberIdError,
    UnknownProducerIdError,
    UnsupportedSaslMechanismError,
    for_code,
)
from kafka.net.compat import KafkaNetClient

from worker.adapters.kafka import client_logs
from worker.adapters.kafka.tokens import FileTokens
from worker.config import KafkaSettings, read_file, read_secret
from worker.core.ports import LogError
from worker.errors import OperatorError

CONNECT_SECONDS = 8.0
RETRY_BACKOFF_MS = 5  # the default of 100 makes every transaction wait that long
_CODE = re.compile(r"\[Error (\d+)\]")
_DISCONNECTED = "socket disconnected"
_MECHANISM_ERRORS = (UnsupportedSaslMechanismError, IllegalSaslStateError)
# Not worth another attempt by the same client, but a new member with a new producer gets on.
_OUTDATED = (
    CommitFailedError,
    CorruptRecordError,
    IllegalGenerationError,
    InvalidProducerEpochError,
    InvalidProducerIdMappingError,  # also after a week without a commit: brokers then forget the id
    InvalidTxnStateError,
    OutOfOrderSequenceNumberError,
    ProducerFencedError,
    RebalanceInProgressError,
    TransactionAbortableError,
    TransactionAbortedError,
    TransactionCoordinatorFencedError,
    UnknownError,
    UnknownMemberIdError,
    UnknownProducerIdError,
)
_FENCED = (
    "another worker has joined with this one's kafka.group_instance_id: give each worker an id of"
    " its own"
)

Client = TypeVar("Client")


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return the options that consumers, producers and the admin client share.

    Raises OperatorError where a file that the settings name cannot be read.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers.split(","),
        "client_id": "mmworker",
        "security_protocol": settings.security_protocol,
        "retry_backoff_ms": RETRY_BACKOFF_MS,
        "reconnect_backoff_max_ms": 1000,
    }
    for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
        if (file := getattr(settings, name)) is not None:
            read_file(f"kafka.{name}", file)  # the client would only say that there is no file
            options[name] = str(file)
    return options | _login(settings)


def _login(settings: KafkaSettings) -> dict[str, Any]:
    if settings.sasl_mechanism == "OAUTHBEARER" and settings.sasl_token_file is not None:
        tokens = FileTokens(settings.sasl_token_file)
        tokens.token()  # a file that is of no use is told now, not by the client's threads
        return {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": tokens}
    if settings.sasl_mechanism and settings.sasl_password_file is not None:
        return {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": read_secret(
                "kafka.sasl_password_file", settings.sasl_password_file
            ),
        }
    return {}


def connect(
    make: Callable[..., Client], settings: KafkaSettings, timeout: float, **options: Any
) -> Client:
    """Make a client and wait up to `timeout` seconds for a broker. Raises OperatorError."""
    begun: list[KafkaNetClient] = []

    def begin(**configs: Any) -> KafkaNetClient:
        begun.append(KafkaNetClient(**configs))
        return begun[-1]

    shared = client_options(settings) | {"bootstrap_timeout_ms": int(timeout * 1000)}
    with client_logs.watch() as failures:
        try:
            return make(**(shared | options), kafka_client=begin)
        except (KafkaError, OSError) as error:
            for client in begun:  # else its thread and sockets would stay
                client.close()
            raise OperatorError(_advice(settings, [error, *failures])) from None


def _advice(settings: KafkaSettings, failures: list[BaseException]) -> str:
    where = f"at {settings.bootstrap_servers}"
    if any(isinstance(each, SaslAuthenticationFailedError) for each in failures):
        return f"Kafka {where} refuses the credentials: check {_credentials(settings)}"
    if any(isinstance(each, _MECHANISM_ERRORS) for each in failures):
        return (
            f"Kafka {where} does not offer this login:"
            " check kafka.sasl_mechanism and kafka.security_protocol"
        )
    if (why := _handshake(settings, failures)) is not None:
        return f"Kafka {where} and this worker do not agree on TLS: {why}"
    if settings.sasl_mechanism and any(_DISCONNECTED in str(each) for each in failures):
        # the client throws a refusal away that arrives together with the end of the connection
        return (
            f"Kafka {where} closes the connection at the login: check {_credentials(settings)},"
            " or kafka.security_protocol"
        )
    return (
        f"no Kafka broker answers {where}: check that it runs, kafka.bootstrap_servers"
        f" and kafka.security_protocol ({failures[-1]})"
    )


def _handshake(settings: KafkaSettings, failures: list[BaseException]) -> str | None:
    """Return what is wrong with certificates; None where something else is.

    The client keeps of the handshake's exception the words only.
    """
    told = " ".join(map(str, failures))
    if "Hostname mismatch" in told or "IP address mismatch" in told:
        return "the certificate is not for this host: set kafka.bootstrap_servers to its names"
    if "CERTIFICATE_VERIFY_FAILED" in told:
        return "the broker's certificate is not to be trusted: check kafka.ssl_cafile"
    if not settings.security_protocol.endswith("SSL"):
        return None
    if (_DISCONNECTED in told and not settings.sasl_mechanism) or "alert" in told.lower():
        return "the broker refuses the client: check kafka.ssl_certfile and kafka.ssl_keyfile"
    if "WRONG_VERSION_NUMBER" in told or "Handshake failed" in told:
        return "the handshake fails: check kafka.security_protocol and the port"
    return None


def _credentials(settings: KafkaSettings) -> str:
    if settings.sasl_mechanism == "OAUTHBEARER":
        return "kafka.sasl_token_file, and whether its token has expired"
    return "kafka.sasl_username and kafka.sasl_password_file"


def log_error(error: BaseException, what: str) -> LogError:
    """Return the client's error as one of ours; its reason is the error's name in snake case.

    It is retriable where beginning anew, with a new member and a new producer, may help.
    """
    if isinstance(error, FencedInstanceIdError):
        return LogError("fenced_instance_id", _FENCED, retriable=False)
    said = _said(error)
    name = type(said).__name__.removesuffix("Error")
    reason = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    retriable = isinstance(said, _OUTDATED) or bool(getattr(said, "retriable", False))
    is_odd = type(said) is KafkaError  # a client in a state that it did not expect
    return LogError(reason, f"{what}: {error}", retriable=retriable or is_odd)


def _said(error: BaseException) -> BaseException:
    """Return the broker's error that the client has only put into the words of another one."""
    code = _CODE.search(str(error)) if type(error) is KafkaError else None
    return error if code is None else for_code(int(code[1]))(str(error))
