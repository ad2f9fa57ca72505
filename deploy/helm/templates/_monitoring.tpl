{{/* The labels that the series of this release have, as a matcher of PromQL. */}}
{{- define "worker.series" -}}
{{- $labels := .Values.monitoring.seriesLabels -}}
{{- if not $labels -}}
{{- $labels = dict "namespace" .Release.Namespace -}}
{{- if .Values.monitoring.podMonitor.enabled -}}
{{- $_ := set $labels "job" (printf "%s/%s" .Release.Namespace (include "worker.fullname" .)) -}}
{{- end -}}
{{- end -}}
{{- $matchers := list -}}
{{- range $name, $value := $labels -}}
{{- $matchers = append $matchers (printf "%s=%s" $name ($value | quote)) -}}
{{- end -}}
{{- join "," $matchers -}}
{{- end -}}

{{/* Takes a matcher and an expression; returns it about the series that match alone. */}}
{{- define "worker.scoped" -}}
{{- $series := index . 0 -}}
{{- $marked := regexReplaceAll "(^|[^:\\w])((?:mmworker|process)_\\w+|\\w+:mmworker_\\w+:\\w+)" (index . 1) "${1}${2}{SERIES}" -}}
{{- $marked | replace "{SERIES}{" (printf "{%s," $series) | replace "{SERIES}" (printf "{%s}" $series) -}}
{{- end -}}

{{/* The rules about this release, so that several can share a Prometheus. */}}
{{- define "worker.rules" -}}
{{- $series := include "worker.series" . -}}
{{- $url := .Values.monitoring.runbookUrl -}}
{{- $file := .Files.Get "files/alerts.yaml" | fromYaml -}}
{{- range $file.groups -}}
{{- range .rules -}}
{{- $_ := set . "expr" (include "worker.scoped" (list $series .expr)) -}}
{{- if .alert -}}
{{- if $url -}}
{{- $_ := set .annotations "runbook_url" (printf "%s#%s" $url (regexFind "[^#]*$" .annotations.runbook_url)) -}}
{{- else -}}
{{- $_ := unset .annotations "runbook_url" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $file -}}
{{- end -}}

{{/* The dashboard of this release: with an identity, a title and queries of its own. */}}
{{- define "worker.dashboard" -}}
{{- $series := include "worker.series" . -}}
{{- $url := .Values.monitoring.runbookUrl -}}
{{- $name := printf "%s/%s" .Release.Namespace (include "worker.fullname" .) -}}
{{- $board := .Files.Get "files/dashboard.json" | fromJson -}}
{{- $_ := set $board "uid" (printf "mmworker-%s" (sha256sum $name | trunc 24)) -}}
{{- $_ := set $board "title" (printf "%s: %s" $board.title $name) -}}
{{- range concat $board.panels (list $board) -}}
{{- range .targets -}}
{{- $_ := set . "expr" (include "worker.scoped" (list $series .expr)) -}}
{{- end -}}
{{- if .links -}}
{{- if $url -}}
{{- range .links -}}
{{- $_ := set . "url" (printf "%s%s" $url (regexFind "#.*$" .url)) -}}
{{- end -}}
{{- else -}}
{{- $_ := set . "links" list -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $board.annotations.list -}}
{{- if .expr -}}
{{- $_ := set . "expr" (include "worker.scoped" (list $series .expr)) -}}
{{- end -}}
{{- end -}}
{{- range $board.templating.list -}}
{{- if kindIs "string" .query -}}
{{- $_ := set . "query" (include "worker.scoped" (list $series .query)) -}}
{{- end -}}
{{- end -}}
{{- toPrettyJson $board -}}
{{- end -}}
