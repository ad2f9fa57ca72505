from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from worker.config import Config, Loaded, config_hash, load
from worker.config.allowed import allowed
from worker.config.model import known_fields
from worker.config.show import values
from worker.errors import OperatorError


def written(tmp_path: Path, text: str, suffix: str = ".yaml") -> Path:
    path = tmp_path / f"worker{suffix}"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(
    tmp_path: Path,
    text: str = "",
    environ: dict[str, str] | None = None,
    overrides: dict[str, object] | None = None,
    suffix: str = ".yaml",
) -> str:
    with pytest.raises(OperatorError) as caught:
        load(written(tmp_path, text, suffix), environ or {}, overrides or {})
    # a chained error would be printed in a traceback, and quotes the values
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_any_source_everything_is_a_default() -> None:
    loaded = load(None, {"PATH": "/bin"})
    assert loaded.config == Config()
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.origins.keys() == known_fields().keys() == values(Config()).keys()


def test_the_command_line_wins_over_the_environment_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "pairing: {window_seconds: 2, grace_seconds: 3, max_skew_seconds: 4}")
    environ = {"MMWORKER_PAIRING__GRACE_SECONDS": "5", "MMWORKER_PAIRING__MAX_SKEW_SECONDS": "6"}
    loaded = load(path, environ, {"pairing.max_skew_seconds": 7})
    pairing = loaded.config.pairing
    assert (pairing.window_seconds, pairing.grace_seconds, pairing.max_skew_seconds) == (2, 5, 7)
    assert loaded.origins["pairing.window_seconds"] == f"file {path}"
    assert loaded.origins["pairing.grace_seconds"] == "environment MMWORKER_PAIRING__GRACE_SECONDS"
    assert loaded.origins["pairing.max_skew_seconds"] == "command line"
    assert loaded.origins["pairing.await"] == "default"


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".yaml", "kafka: {group_id: night}\npairing:\n  await: [audio]\nredis:\n"),
        (".yml", "kafka: {group_id: night}\npairing: {await: [audio]}"),
        (".toml", '[kafka]\ngroup_id = "night"\n[pairing]\nawait = ["audio"]\n'),
    ],
)
def test_yaml_and_toml_say_the_same(tmp_path: Path, suffix: str, text: str) -> None:
    config = load(written(tmp_path, text, suffix), {}).config
    assert config.kafka.group_id == "night"
    assert config.pairing.awaited == ("audio",)


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert load(written(tmp_path, ""), {}).config == Config()


def test_texts_from_the_environment_are_not_read_as_yaml() -> None:
    environ = {
        "MMWORKER_KAFKA__GROUP_ID": "007",
        "MMWORKER_KAFKA__SASL_USERNAME": "no",
        "MMWORKER_KAFKA__SSL_CAFILE": "",
        "MMWORKER_MODELS__BATCH_SIZE": "16",
        "MMWORKER_MODELS__THREADS": "auto",
        "MMWORKER_PAIRING__AWAIT": "[audio, frame, audio]",
    }
    config = load(None, environ).config
    assert config.kafka.group_id == "007"
    assert config.kafka.sasl_username == "no"
    assert config.kafka.ssl_cafile is None
    assert (config.models.batch_size, config.models.threads) == (16, None)
    assert config.pairing.awaited == ("frame", "audio")


def test_what_kubernetes_puts_beside_a_service_is_not_a_setting() -> None:
    environ = {
        "MMWORKER_SERVICE_HOST": "10.0.0.1",
        "MMWORKER_SERVICE_PORT": "9108",
        "MMWORKER_METRICS_SERVICE_PORT_HTTP": "9108",
        "MMWORKER_PORT": "tcp://10.0.0.1:9108",
        "MMWORKER_PORT_9108_TCP": "tcp://10.0.0.1:9108",
        "MMWORKER_PORT_9108_TCP_ADDR": "10.0.0.1",
        "MMWORKER_REQUIRE_SERVICES": "1",
    }
    assert load(None, environ).config == Config()


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ("kafka: {group: x}", {}, r"kafka\.group \(file .*\) .* did you mean kafka\.group_id\?"),
        ("kafak: {group_id: x}", {}, r"kafak\.group_id \(file .*\) .* mean kafka\.group_id\?"),
        ("qqqq: {zzzz: x}", {}, r"is not a known setting: see `mmworker config show`"),
        (
            "",
            {"MMWORKER_KAFKA_GROUP_ID": "x"},
            r"MMWORKER_KAFKA_GROUP_ID is not .* did you mean MMWORKER_KAFKA__GROUP_ID\?",
        ),
        ("kafka: 3", {}, r"kafka \(file .*\) must be a section"),
        ("- a", {}, r"must consist of sections"),
        ("kafka: {group_id: a, group_id: b}", {}, r"'group_id' stands twice in line 1"),
        ("? [a]\n: 1\n", {}, r"must be YAML"),
        ("kafka: {group_id: 2001-99-99}", {}, r"must be YAML"),
        ("pairing: {await: frame}", {}, r"must be a list of at least one of frame, caption, audio"),
        ("pairing: {await: []}", {}, r"pairing\.await \(file .*\) must be a list of at least one"),
        ("pairing: {grace_seconds: true}", {}, r"must not be true or false"),
        ("pairing: {grace_seconds: .nan}", {}, r"must be a number from 0 to 3600, not nan"),
        ("models: {allow_hub: 1}", {}, r"models\.allow_hub \(file .*\) must be true or false"),
        ("models: {frame: 'Clip!'}", {}, r"must be a text such as minilm or transformers:/models"),
        ("models: {audio_digest: abc}", {}, r"such as 8 to 64 hexadecimal digits, not 'abc'"),
        ("models: {batch_size: 0}", {}, r"must be a whole number from 1 to 1024 or auto, not 0"),
        ("log: {level: loud}", {}, r"must be one of debug, info, warning, error, not 'loud'"),
        (
            "",
            {"MMWORKER_SCORING__SEED": "-1"},
            r"scoring\.seed \(environment MMWORKER_SCORING__SEED\) must be a whole number from 0",
        ),
        ("kafka: {security_protocol: SASL_SSL}", {}, r"needs sasl_mechanism, sasl_username and"),
        ("kafka: {sasl_mechanism: PLAIN}", {}, r"needs security_protocol SASL_SSL"),
        (
            "kafka: {security_protocol: SASL_SSL, sasl_mechanism: OAUTHBEARER}",
            {},
            r"OAUTHBEARER needs sasl_token_file",
        ),
        ("kafka: {ssl_certfile: a.pem}", {}, r"ssl_certfile and ssl_keyfile must be set together"),
        ("kafka: {session_timeout_seconds: 400}", {}, r"must not exceed max_poll_interval_seconds"),
        ("topics: {audio: frames}", {}, r"audio and frames must be different topics"),
        ("topics: {audio: ..}", {}, r"audio must not be '\.\.'"),
        ("redis: {password_file: p}", {}, r"password_file needs a url without a password"),
        (
            "redis: {url: 'redis://cache?socket_timeout=60'}",
            {},
            r"must not set socket_timeout: only db, ssl_ca_certs",
        ),
        ("limits: {max_record_bytes: 536870912}", {}, r"must hold limits\.max_record_bytes"),
        (
            "scoring: {false_alarms_per_day: 10000}\npairing: {window_seconds: 60}",
            {},
            r"false_alarms_per_day must be at most 360, a quarter of the Moments of a day",
        ),
        (
            "scoring: {sources: [{match: a, false_alarms_per_day: 90}]}\n"
            "pairing: {window_seconds: 3600}",
            {},
            r"false_alarms_per_day of 'a' must be at most 6, ",
        ),
        (
            "scoring: {shadow: {sources: [{match: a, false_alarms_per_day: 90}]}}\n"
            "pairing: {window_seconds: 3600}",
            {},
            r"scoring\.shadow\.sources: false_alarms_per_day of 'a' must be at most 6, ",
        ),
        (
            "scoring: {shadow: {bundle: here, bundle_digest: abc}}",
            {},
            r"shadow\.bundle_digest \(file .*\) must be a text such as 8 to 64 hex.*, not 'abc'",
        ),
        (
            "scoring: {shadow: {bundles: here}}",
            {},
            r"shadow\.bundles \(file .*\) is not known: there are .*, bundle, bundle_digest",
        ),
        (
            "scoring: {shadow: {sources: [{match: a, mute: 3}]}}",
            {},
            r"shadow\.sources\[0\]\.mute \(file .*\) must be true or false",
        ),
        ("scoring: {neighbours: a}", {}, r"must be a list of at most 1000 lists, not 'a'"),
        ("scoring: {neighbours: [a]}", {}, r"neighbours\[0\] .* a list of at most 1000 texts"),
        ("scoring: {shadow: 3}", {}, r"scoring\.shadow \(file .*\) must be a section with"),
        (
            "scoring: {triggers: [{name: fire, text: ' . '}]}",
            {},
            r"triggers\[0\]\.text \(file .*\) must say what is watched for, in words",
        ),
        (
            "scoring: {triggers: [{name: fire, text: smoke}, {name: fire, text: flames}]}",
            {},
            r"must have different names, and fire stands twice",
        ),
        ("scoring: {sources: yes}", {}, r"scoring\.sources \(file .*\) must not be true or false"),
        ("scoring: {sources: a}", {}, r"must be a list of at most 1000 sections, not 'a'"),
        ("scoring: {sources: [a]}", {}, r"sources\[0\] \(.*\) must be a section with match, false"),
        (
            "scoring: {sources: [{mute: 1.5}]}",
            {},
            r"sources\[0\]\.match \(.*\) must be a text such as",
        ),
        (
            "scoring: {sources: [{match: a, muted: true}]}",
            {},
            r"sources\[0\]\.muted \(file .*\) is not known: there are match, .*mute, schedule",
        ),
        (
            "scoring: {sources: [{match: a}, {match: b, schedule: 22-6}]}",
            {},
            r"sources\[1\]\.schedule \(.*\) must be a text such as 22:00-06:00, not '22-6'",
        ),
        (
            "scoring: {sources: [{match: a, schedule: 22:00-22:00}]}",
            {},
            r"must not begin and end at once",
        ),
        (
            "scoring: {sources: [{match: a, time_zone: Mars/Base}]}",
            {},
            r"time_zone \(.*\) must be a time zone such as Europe/Berlin, not 'Mars/Base'",
        ),
        (
            "scoring: {sources: [{match: a, maintenance: [{begin: 2026-01-02T00:00:00Z,"
            " end: 2026-01-01T00:00:00Z}]}]}",
            {},
            r"sources\[0\]\.maintenance\[0\] \(.*\) end must be after begin",
        ),
        (
            "scoring: {sources: [{match: a, maintenance: [{begin: 2026-01-02T00:00:00}]}]}",
            {},
            r"begin \(.*\) must be a text such as 2026-01-31T22:00:00Z",
        ),
    ],
)
def test_a_mistake_is_one_sentence_that_says_where_and_what(
    tmp_path: Path, text: str, environ: dict[str, str], expected: str
) -> None:
    assert re.search(expected, refusal(tmp_path, text, environ))


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    message = refusal(tmp_path, "scoring: {seed: -1}\nhttp: {port: 70000}\nlog: {level: loud}")
    assert [part.split(" ")[0] for part in message.split("; ")] == [
        "scoring.seed",
        "http.port",
        "log.level",
    ]


def test_a_broken_toml_file_or_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    assert "must be TOML" in refusal(tmp_path, "[kafka", suffix=".toml")
    assert "must end with .yaml, .yml or .toml" in refusal(tmp_path, "{}", suffix=".json")


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"must be readable: No such file"):
        load(tmp_path / "absent.yaml", {})
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OperatorError, match="must be UTF-8"):
        load(tmp_path / "binary.yaml", {})


@pytest.mark.parametrize(
    "url",
    [
        "http://worker:hunter2@cache",
        "redis://:hunter2/x@cache",
        "redis://worker:hunter2@[cache",
        "redis://worker:hunter2@cache:port",
        "redis://worker:hunter2@cache/0?max_connections=3",
        "redis://worker:hunter2@cache/" + "x" * 3000,
    ],
)
def test_no_error_quotes_the_password_of_a_url(tmp_path: Path, url: str) -> None:
    message = refusal(tmp_path, environ={"MMWORKER_REDIS__URL": url})
    assert "redis.url (environment MMWORKER_REDIS__URL)" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache",
        "rediss://worker:a%40b@cache:6380/3?ssl_ca_certs=/etc/ca.pem",
        "unix:///run/redis.sock?db=2",
        "redis://[::1]:6379/0",
    ],
)
def test_the_usual_redis_addresses_are_accepted(url: str) -> None:
    assert load(None, {"MMWORKER_REDIS__URL": url}).config.redis.url == url


@pytest.mark.parametrize("servers", ["kafka:9092", "a:1,b-2.c:65535", "[::1]:9092", "10.0.0.1:92"])
def test_the_usual_broker_lists_are_accepted(servers: str) -> None:
    config = load(None, {"MMWORKER_KAFKA__BOOTSTRAP_SERVERS": servers}).config
    assert config.kafka.bootstrap_servers == servers


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Config().pairing.window_seconds = 3


def test_every_number_has_bounds_on_both_sides() -> None:
    for key in known_fields():
        words = allowed(key)
        if "number" in words:
            assert re.search(r"number from \S+ to \S+", words), key


@given(st.sampled_from(sorted(known_fields())), st.text(max_size=20))
def test_any_text_for_any_setting_is_taken_or_refused_in_a_sentence(key: str, text: str) -> None:
    try:
        loaded = load(None, {}, {key: text})
    except OperatorError as error:
        assert key.partition(".")[0] in str(error) or str(error).startswith("settings")
    else:
        assert isinstance(loaded, Loaded)
        assert loaded.origins[key] == "command line"


def test_the_hash_does_not_depend_on_order_or_on_where_the_work_is_done(tmp_path: Path) -> None:
    one = load(written(tmp_path, "pairing: {await: [audio, frame], grace_seconds: 3}"), {}).config
    other = load(
        written(tmp_path, "pairing: {grace_seconds: 3.0, await: [frame, audio]}"),
        {
            "MMWORKER_HTTP__PORT": "1",
            "MMWORKER_MODELS__DEVICE": "cpu",
            "MMWORKER_MODELS__BATCH_SIZE": "8",
            "MMWORKER_MODELS__THREADS": "1",
            "MMWORKER_MODELS__ALLOW_HUB": "true",
            "MMWORKER_MODELS__FRAME_DIGEST": "0" * 64,
            "MMWORKER_PAIRING__MAX_BUFFERED_BYTES": "1000000000",
            "MMWORKER_LIMITS__MAX_RESIDENT_BYTES": "0",
            "MMWORKER_LIMITS__MAX_DEAD_LETTER_RATIO": "0",
            "MMWORKER_LIMITS__MAX_DEAD_LETTERS_IN_A_ROW": "9",
            "MMWORKER_KAFKA__GROUP_ID": "other",
            "MMWORKER_SCORING__SHADOW": "{false_alarms_per_day: 3, bundle: /models/next}",
        },
    ).config
    assert config_hash(one) == config_hash(other)
    assert re.fullmatch(r"[0-9a-f]{12}", config_hash(one))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pairing.window_seconds", 2),
        ("pairing.await", ["frame"]),
        ("models.frame", "clip"),
        ("models.caption_pooling", "last"),
        ("models.runtime", "int8"),
        ("models.frames_per_moment", 1),
        ("scoring.seed", 1),
        ("scoring.sources", [{"match": "/cameras/gate*", "mute": True}]),
        ("limits.max_pixels", 1024),
        ("kafka.partitioner", "any"),
    ],
)
def test_the_hash_changes_with_whatever_changes_meaning(key: str, value: object) -> None:
    assert config_hash(load(None, {}, {key: value}).config) != config_hash(Config())
