{{/* What a schema cannot say, one sentence each. Included by the ConfigMap, which every release has. */}}
{{- define "worker.checks" -}}
{{- $v := .Values -}}
{{- $kafka := $v.config.kafka | default dict -}}
{{- $redis := $v.config.redis | default dict -}}
{{- $protocol := include "worker.protocol" . -}}
{{- $partitions := int $v.topics.partitions -}}

{{- if not $kafka.bootstrap_servers }}
{{- fail "config.kafka.bootstrap_servers is missing: name your brokers, such as kafka-bootstrap.kafka:9092." }}
{{- end }}

{{- if and (not $v.keda.enabled) (gt (int $v.replicas) $partitions) }}
{{- fail (printf "replicas (%d) exceeds topics.partitions (%d): the others would have no work." (int $v.replicas) $partitions) }}
{{- end }}
{{- if $v.keda.enabled }}
{{- if gt (int $v.keda.maxReplicas) $partitions }}
{{- fail (printf "keda.maxReplicas (%d) exceeds topics.partitions (%d): the others would have no work." (int $v.keda.maxReplicas) $partitions) }}
{{- end }}
{{- if gt (int $v.keda.minReplicas) (int $v.keda.maxReplicas) }}
{{- fail (printf "keda.minReplicas (%d) exceeds keda.maxReplicas (%d)." (int $v.keda.minReplicas) (int $v.keda.maxReplicas)) }}
{{- end }}
{{- if gt (int $v.keda.fallbackReplicas) (int $v.keda.maxReplicas) }}
{{- fail (printf "keda.fallbackReplicas (%d) exceeds keda.maxReplicas (%d)." (int $v.keda.fallbackReplicas) (int $v.keda.maxReplicas)) }}
{{- end }}
{{- end }}

{{- range $label := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" }}
{{- if hasKey $v.podLabels $label }}
{{- fail (printf "podLabels may not set %s, by which the pods are found." $label) }}
{{- end }}
{{- end }}
{{- if hasKey $v.podAnnotations "checksum/config" }}
{{- fail "podAnnotations may not set checksum/config, which starts new pods after a change." }}
{{- end }}
{{- if and (contains "." (include "worker.fullname" .)) (or $v.service.enabled (eq $v.kind "StatefulSet")) }}
{{- fail "fullnameOverride may have no dot where there is a Service: Kubernetes takes none in its name." }}
{{- end }}
{{- $asked := (($v.resources | default dict).requests | default dict).memory }}
{{- $allowed := (($v.resources | default dict).limits | default dict).memory }}
{{- if and $asked $allowed (gt (include "worker.bytes" $asked | int64) (include "worker.bytes" $allowed | int64)) }}
{{- fail (printf "resources.requests.memory (%s) exceeds resources.limits.memory (%s)." (toString $asked) (toString $allowed)) }}
{{- end }}
{{- $inputs := include "worker.inputs" . | fromJson | values }}
{{- if lt (len (uniq $inputs)) (len $inputs) }}
{{- fail (printf "config.topics names one topic twice (%s): frames, captions and audio must be different ones." (sortAlpha $inputs | join ", ")) }}
{{- end }}

{{- $token := $v.secrets.kafkaToken }}
{{- if and $token.name $token.audience }}
{{- fail "secrets.kafkaToken has both a name and an audience: choose one." }}
{{- end }}
{{- if not (hasPrefix "SASL_" $protocol) }}
{{- if or $kafka.sasl_mechanism $v.secrets.kafkaPassword.name $token.name $token.audience }}
{{- fail (printf "config.kafka.security_protocol %s has no login: set it to SASL_SSL, or leave sasl_mechanism, secrets.kafkaPassword and secrets.kafkaToken out." $protocol) }}
{{- end }}
{{- else if not $kafka.sasl_mechanism }}
{{- fail (printf "config.kafka.security_protocol %s needs config.kafka.sasl_mechanism." $protocol) }}
{{- else if eq $kafka.sasl_mechanism "OAUTHBEARER" }}
{{- if not (or $token.name $token.audience) }}
{{- fail "config.kafka.sasl_mechanism OAUTHBEARER needs secrets.kafkaToken.name, a Secret with a token, or secrets.kafkaToken.audience, for a token of the pod's service account." }}
{{- end }}
{{- if and $token.audience (eq $v.topics.create "job") $v.serviceAccount.create }}
{{- fail "secrets.kafkaToken.audience needs a service account that is there before the Job for the topics: set serviceAccount.create to false and name yours, or topics.create to none." }}
{{- end }}
{{- if and $v.keda.enabled (not $v.keda.authenticationRef) }}
{{- fail "config.kafka.sasl_mechanism OAUTHBEARER needs keda.authenticationRef: KEDA cannot use the pods' token, give it a TriggerAuthentication of its own." }}
{{- end }}
{{- else }}
{{- if not $kafka.sasl_username }}
{{- fail (printf "config.kafka.sasl_mechanism %s needs config.kafka.sasl_username." $kafka.sasl_mechanism) }}
{{- end }}
{{- if not $v.secrets.kafkaPassword.name }}
{{- fail (printf "config.kafka.security_protocol %s needs secrets.kafkaPassword.name: the Secret that holds the password." $protocol) }}
{{- end }}
{{- end }}
{{- $tls := hasSuffix "SSL" $protocol }}
{{- if $tls }}
{{- if not (or $v.secrets.kafkaCa.name $v.secrets.kafkaCa.public) }}
{{- fail (printf "config.kafka.security_protocol %s needs secrets.kafkaCa.name, the Secret with the brokers' CA, or secrets.kafkaCa.public for brokers with a public certificate." $protocol) }}
{{- end }}
{{- else if or $v.secrets.kafkaCa.name $v.secrets.kafkaClient.name }}
{{- fail (printf "config.kafka.security_protocol %s has no TLS: set it to SSL or SASL_SSL, or leave secrets.kafkaCa and secrets.kafkaClient out." $protocol) }}
{{- end }}
{{- if and $v.secrets.kafkaCa.name $v.secrets.kafkaCa.public }}
{{- fail "secrets.kafkaCa has both a name and public: choose one." }}
{{- end }}

{{- if and (or $v.secrets.redisPassword.name $v.secrets.redisCa.name) (not $redis.url) }}
{{- fail "secrets.redisPassword and secrets.redisCa need config.redis.url." }}
{{- end }}
{{- if and $v.secrets.redisCa.name (not (hasPrefix "rediss://" $redis.url)) }}
{{- fail "secrets.redisCa needs a config.redis.url that begins with rediss://." }}
{{- end }}
{{- if regexMatch "://[^@]*:.*@" ($redis.url | default "") }}
{{- fail "config.redis.url holds a password, which a ConfigMap would show: put it into a Secret and name that in secrets.redisPassword." }}
{{- end }}
{{- if and (contains "?" ($redis.url | default "")) (not (regexMatch "^[^?]*[?]((db|ssl_ca_certs|ssl_certfile|ssl_keyfile)=[^&]*(&|$))*$" $redis.url)) }}
{{- fail "config.redis.url has an option other than db, ssl_ca_certs, ssl_certfile and ssl_keyfile: a ConfigMap would show it; a password belongs into secrets.redisPassword." }}
{{- end }}

{{- if $v.gpu.enabled }}
{{- if not $v.gpu.resourceName }}
{{- fail "gpu.enabled needs gpu.resourceName: what the device plugin calls it, such as nvidia.com/gpu or nvidia.com/mig-1g.10gb." }}
{{- end }}
{{- if eq "cpu" (dig "models" "device" "auto" $v.config) }}
{{- fail "gpu.enabled and config.models.device cpu contradict each other." }}
{{- end }}
{{- else if eq "cuda" (dig "models" "device" "auto" $v.config) }}
{{- fail "config.models.device cuda needs gpu.enabled, which asks for a GPU." }}
{{- end }}

{{- if and $allowed (not $v.gpu.enabled) (lt (include "worker.bytes" $allowed | int64) 2147483648) }}
{{- fail (printf "resources.limits.memory (%s) is below 2Gi: a new pod measures its encoders in a process of their own, which takes 1.5 GiB beside the worker." (toString $allowed)) }}
{{- end }}

{{- /* 600 MiB: what a worker with the models of the image took at most, `make bench`. */}}
{{- $models := 629145600 }}
{{- $limit := (($v.resources | default dict).limits | default dict).memory }}
{{- $cap := include "worker.memoryCap" . | default (dig "limits" "max_resident_bytes" 2147483648 $v.config) | int64 }}
{{- $buffers := dig "pairing" "max_buffered_bytes" 268435456 $v.config | int64 }}
{{- if and $limit (gt $cap (include "worker.bytes" $limit | int64)) }}
{{- fail (printf "config.limits.max_resident_bytes (%d) exceeds resources.limits.memory (%s): the pod would be killed before the worker stops to read; leave it out, it is then four fifths of the limit." $cap (toString $limit)) }}
{{- end }}
{{- if and $cap (lt $cap (add $models $buffers)) }}
{{- fail (printf "config.pairing.max_buffered_bytes (%d) and 600 MiB for the worker itself exceed the %d bytes at which a worker reads no more: raise resources.limits.memory, of which that is four fifths, or lower the buffer." $buffers $cap) }}
{{- end }}

{{- $needs := dict "volumeClaim" (list "volumeClaim") "image" (list "image") "download" (list "url" "sha256") "none" list }}
{{- range $field := get $needs $v.bundle.source }}
{{- if not (get $v.bundle $field) }}
{{- fail (printf "bundle.source %s needs bundle.%s." $v.bundle.source $field) }}
{{- end }}
{{- end }}

{{- if and (eq $v.bundle.source "download") $v.networkPolicy.enabled (not $v.networkPolicy.extraEgress) }}
{{- fail "bundle.source download needs networkPolicy.extraEgress: without a rule for the store's address the pods' own NetworkPolicy stops the download." }}
{{- end }}

{{- if dig "models" "allow_hub" false $v.config }}
{{- fail "config.models.allow_hub has no effect in the image, which is offline: put the weights on a volume and name that in models.volumeClaim." }}
{{- end }}
{{- if and $v.models.volumeClaim $v.models.image }}
{{- fail "models has both a volumeClaim and an image: choose one." }}
{{- end }}
{{- range $field := list "frame" "caption" "audio" }}
{{- $directory := dig "models" $field "" $v.config | regexFind ":/.*$" | trimPrefix ":" }}
{{- if and $directory (not (and (hasPrefix "/models/" (printf "%s/" $directory)) (or $v.models.volumeClaim $v.models.image))) }}
{{- fail (printf "config.models.%s names %s, which is not in the pod: name its volume in models.volumeClaim or models.image, which is mounted at /models." $field $directory) }}
{{- end }}
{{- end }}

{{- if and (eq $v.topics.create "strimzi") (not $v.topics.strimzi.cluster) }}
{{- fail "topics.create strimzi needs topics.strimzi.cluster: the name of the Kafka resource." }}
{{- end }}
{{- if and $v.topics.strimzi.user (ne $v.topics.create "strimzi") }}
{{- fail "topics.strimzi.user needs topics.create strimzi." }}
{{- end }}
{{- end -}}
