{{/* The configuration file: the values' `config`, and what the chart knows better. */}}
{{- define "worker.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $secrets := .Values.secrets -}}
{{- $dir := "/etc/mmworker/secrets" -}}
{{- $kafka := deepCopy ($config.kafka | default dict) -}}
{{- with $secrets.kafkaPassword }}{{ if .name }}{{ $_ := set $kafka "sasl_password_file" (printf "%s/kafka-password/%s" $dir .key) }}{{ end }}{{ end -}}
{{- with $secrets.kafkaToken }}{{ if or .name .audience }}{{ $_ := set $kafka "sasl_token_file" (printf "%s/kafka-token/%s" $dir .key) }}{{ end }}{{ end -}}
{{- with $secrets.kafkaCa }}{{ if .name }}{{ $_ := set $kafka "ssl_cafile" (printf "%s/kafka-ca/%s" $dir .key) }}{{ end }}{{ end -}}
{{- with $secrets.kafkaClient }}{{ if .name }}
{{- $_ := set $kafka "ssl_certfile" (printf "%s/kafka-client/%s" $dir .certificateKey) }}
{{- $_ := set $kafka "ssl_keyfile" (printf "%s/kafka-client/%s" $dir .privateKeyKey) }}
{{- end }}{{ end -}}
{{- if $kafka }}{{ $_ := set $config "kafka" $kafka }}{{ end -}}
{{- $redis := deepCopy ($config.redis | default dict) -}}
{{- with $secrets.redisPassword }}{{ if .name }}{{ $_ := set $redis "password_file" (printf "%s/redis-password/%s" $dir .key) }}{{ end }}{{ end -}}
{{- with $secrets.redisCa }}{{ if .name }}
{{- $_ := set $redis "url" (printf "%s%sssl_ca_certs=%s/redis-ca/%s" $redis.url (ternary "&" "?" (contains "?" $redis.url)) $dir .key) }}
{{- end }}{{ end -}}
{{- if $redis }}{{ $_ := set $config "redis" $redis }}{{ end -}}
{{- $models := deepCopy ($config.models | default dict) -}}
{{- if .Values.gpu.enabled }}{{ $_ := set $models "device" "cuda" }}{{ end -}}
{{- if ne .Values.bundle.source "none" }}{{ $_ := set $models "bundle" "/var/lib/mmworker/bundle" }}{{ end -}}
{{- if $models }}{{ $_ := set $config "models" $models }}{{ end -}}
{{- with include "worker.memoryCap" . -}}
{{- $_ := set $config "limits" (merge (dict "max_resident_bytes" (int64 .)) ($config.limits | default dict)) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* Four fifths of the memory limit, in bytes, at which a worker reads no more; empty where the
     values set the cap themselves or there is no limit. The rest is for what the kernel counts
     beside the worker's own pages, and for what is read within a second. */}}
{{- define "worker.memoryCap" -}}
{{- $limit := (.Values.resources.limits | default dict).memory -}}
{{- if and $limit (not (hasKey (.Values.config.limits | default dict) "max_resident_bytes")) -}}
{{- div (mul (include "worker.bytes" $limit | int64) 4) 5 -}}
{{- end -}}
{{- end -}}

{{/* A Kubernetes quantity as a whole number. */}}
{{- define "worker.bytes" -}}
{{- $factors := dict "" 1 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- if kindIs "string" . -}}
{{- mulf (regexFind "^[0-9.]+" . | float64) (get $factors (regexFind "[A-Za-z]*$" .)) | int64 -}}
{{- else -}}
{{- int64 . -}}
{{- end -}}
{{- end -}}

{{- define "worker.port" -}}
{{- int (dig "http" "port" 9108 .Values.config) -}}
{{- end -}}

{{/* The three input topics as JSON: key of lagThreshold -> name. */}}
{{- define "worker.inputs" -}}
{{- $names := dict -}}
{{- range $key := list "frames" "captions" "audio" }}
{{- $_ := set $names $key (dig "topics" $key $key $.Values.config) }}
{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{- define "worker.bootstrap" -}}
{{- dig "kafka" "bootstrap_servers" "localhost:9092" .Values.config -}}
{{- end -}}

{{- define "worker.group" -}}
{{- dig "kafka" "group_id" "mmworker" .Values.config -}}
{{- end -}}

{{- define "worker.protocol" -}}
{{- dig "kafka" "security_protocol" "PLAINTEXT" .Values.config -}}
{{- end -}}
