{{/* What the containers of all pods may do: nothing but compute. */}}
{{- define "worker.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "worker.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "worker.imagePullSecrets" -}}
{{- with .Values.image.pullSecrets -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* The Secrets that are mounted as files: directory -> Secret. */}}
{{- define "worker.secretVolumes" -}}
{{- $volumes := dict -}}
{{- range $directory, $secret := dict "kafka-password" .Values.secrets.kafkaPassword "kafka-token" .Values.secrets.kafkaToken "kafka-ca" .Values.secrets.kafkaCa "kafka-client" .Values.secrets.kafkaClient "redis-password" .Values.secrets.redisPassword "redis-ca" .Values.secrets.redisCa }}
{{- if $secret.name }}{{ $_ := set $volumes $directory $secret.name }}{{ end }}
{{- end }}
{{- toJson $volumes -}}
{{- end -}}

{{- define "worker.configMounts" -}}
- name: config
  mountPath: /etc/mmworker/config
  readOnly: true
{{- range $directory, $_ := include "worker.secretVolumes" . | fromJson }}
- name: {{ $directory }}
  mountPath: /etc/mmworker/secrets/{{ $directory }}
  readOnly: true
{{- end }}
{{- if .Values.secrets.kafkaToken.audience }}
- name: kafka-token
  mountPath: /etc/mmworker/secrets/kafka-token
  readOnly: true
{{- end }}
- name: tmp
  mountPath: /tmp
{{- end -}}

{{/* Takes the release and the name of the ConfigMap. */}}
{{- define "worker.configVolumes" -}}
- name: config
  configMap:
    name: {{ .configMap }}
{{- range $directory, $name := include "worker.secretVolumes" .release | fromJson }}
- name: {{ $directory }}
  secret:
    secretName: {{ $name }}
    # readable by the group 10001, which fsGroup makes theirs, and by nobody else
    defaultMode: 0440
{{- end }}
{{- with .release.Values.secrets.kafkaToken }}
{{- if .audience }}
# for the brokers alone: the API server does not take a token of another audience
- name: kafka-token
  projected:
    sources:
      - serviceAccountToken:
          path: {{ .key }}
          audience: {{ .audience | quote }}
          expirationSeconds: {{ .expirationSeconds }}
{{- end }}
{{- end }}
- name: tmp
  emptyDir:
    sizeLimit: 256Mi
{{- end -}}

{{- define "worker.podTemplate" -}}
metadata:
  labels:
    {{- include "worker.labels" . | nindent 4 }}
    app.kubernetes.io/component: worker
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # a changed configuration starts new pods; Secrets are not the chart's, see the notes
    checksum/config: {{ include "worker.config" . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- with include "worker.imagePullSecrets" . }}
  {{- . | nindent 2 }}
  {{- end }}
  serviceAccountName: {{ include "worker.serviceAccount" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  # The worker stops by itself within 60 s of SIGTERM: it finishes what is in flight, commits, leaves
  # the group. There is no preStop hook: no traffic is routed to the pod that would have to drain
  # first, and a sleep would only put off the moment at which others take over its partitions.
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext:
    {{- include "worker.podSecurity" . | nindent 4 }}
  {{- with .Values.scheduling.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if and .Values.gpu.enabled .Values.gpu.runtimeClassName }}
  runtimeClassName: {{ .Values.gpu.runtimeClassName }}
  {{- end }}
  {{- with .Values.scheduling.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.scheduling.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.scheduling.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.scheduling.spreadOver }}
  topologySpreadConstraints:
    {{- range . }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "worker.selector" $ | nindent 10 }}
          app.kubernetes.io/component: worker
      {{- if eq $.Values.kind "Deployment" }}
      # counts the pods of one revision, so that a rolling update ends evenly spread
      matchLabelKeys: [pod-template-hash]
      {{- end }}
    {{- end }}
  {{- end }}
  {{- if eq .Values.bundle.source "download" }}
  initContainers:
    - name: bundle
      image: {{ include "worker.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command: [python, /etc/mmworker/fetch/fetch_bundle.py]
      args: [{{ .Values.bundle.url | quote }}, {{ .Values.bundle.sha256 | quote }}, /var/lib/mmworker/bundle]
      securityContext:
        {{- include "worker.containerSecurity" . | nindent 8 }}
      resources:
        requests: {cpu: 100m, memory: 128Mi}
        limits: {memory: 512Mi}
      volumeMounts:
        - name: fetch
          mountPath: /etc/mmworker/fetch
          readOnly: true
        - name: bundle
          mountPath: /var/lib/mmworker/bundle
  {{- end }}
  containers:
    - name: worker
      image: {{ include "worker.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [run, --config, /etc/mmworker/config/config.yaml]
      env:
        - name: XDG_CACHE_HOME
          value: /var/cache/mmworker
        {{- with .Values.tracing.endpoint }}
        - name: OTEL_EXPORTER_OTLP_ENDPOINT
          value: {{ . | quote }}
        - name: OTEL_SERVICE_NAME
          value: {{ include "worker.fullname" $ }}
        {{- end }}
        {{- if and (.Values.resources.requests | default dict).cpu (not (hasKey (.Values.config.models | default dict) "threads")) }}
        # what was asked for, not all cores of the node: without a CPU limit nothing else says it
        - name: MMWORKER_MODELS__THREADS
          valueFrom:
            resourceFieldRef:
              containerName: worker
              resource: requests.cpu
        {{- end }}
        {{- if eq .Values.kind "StatefulSet" }}
        # static membership: the pod keeps its partitions over a restart
        - name: MMWORKER_KAFKA__GROUP_INSTANCE_ID
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        {{- end }}
        {{- if eq (include "worker.kedaLogsIn" .) "true" }}
        # as in the configuration file; KEDA reads it here
        - name: MMWORKER_KAFKA__SASL_USERNAME
          value: {{ .Values.config.kafka.sasl_username | quote }}
        {{- end }}
      ports:
        - name: http
          containerPort: {{ include "worker.port" . }}
      startupProbe:
        {{- include "worker.probe" (list "/startupz" .Values.probes.startup) | nindent 8 }}
      livenessProbe:
        {{- include "worker.probe" (list "/livez" .Values.probes.liveness) | nindent 8 }}
      readinessProbe:
        {{- include "worker.probe" (list "/readyz" .Values.probes.readiness) | nindent 8 }}
      securityContext:
        {{- include "worker.containerSecurity" . | nindent 8 }}
      resources:
        {{- include "worker.resources" . | nindent 8 }}
      volumeMounts:
        {{- include "worker.configMounts" . | nindent 8 }}
        - name: cache
          mountPath: /var/cache/mmworker
        {{- if or .Values.models.volumeClaim .Values.models.image }}
        - name: models
          mountPath: /models
          readOnly: true
          {{- with .Values.models.subPath }}
          subPath: {{ . }}
          {{- end }}
        {{- end }}
        {{- if ne .Values.bundle.source "none" }}
        - name: bundle
          mountPath: /var/lib/mmworker/bundle
          readOnly: true
          {{- if .Values.bundle.subPath }}
          subPath: {{ .Values.bundle.subPath }}
          {{- end }}
        {{- end }}
  volumes:
    {{- include "worker.configVolumes" (dict "release" . "configMap" (include "worker.fullname" .)) | nindent 4 }}
    # what the encoders' start-up measurement found, and networks as they were converted for it;
    # kept over restarts of the container
    - name: cache
      emptyDir:
        sizeLimit: {{ .Values.cacheSize }}
    {{- with include "worker.modelVolumes" . }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with include "worker.bundleVolumes" . }}
    {{- . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "worker.probe" -}}
{{- $probe := index . 1 -}}
httpGet:
  path: {{ index . 0 }}
  port: http
periodSeconds: {{ $probe.periodSeconds }}
timeoutSeconds: {{ $probe.timeoutSeconds }}
failureThreshold: {{ $probe.failureThreshold }}
{{- end -}}

{{- define "worker.resources" -}}
{{- $resources := deepCopy .Values.resources -}}
{{- $_ := set $resources "limits" ($resources.limits | default dict) -}}
{{- if .Values.gpu.enabled -}}
{{- $_ := set $resources.limits .Values.gpu.resourceName (toString .Values.gpu.count) -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{- define "worker.modelVolumes" -}}
{{- with .Values.models.volumeClaim -}}
- name: models
  persistentVolumeClaim:
    claimName: {{ . }}
    readOnly: true
{{- end -}}
{{- with .Values.models.image -}}
- name: models
  image:
    reference: {{ . }}
    pullPolicy: IfNotPresent
{{- end -}}
{{- end -}}

{{- define "worker.bundleVolumes" -}}
{{- $bundle := .Values.bundle -}}
{{- if eq $bundle.source "volumeClaim" -}}
- name: bundle
  persistentVolumeClaim:
    claimName: {{ $bundle.volumeClaim }}
    readOnly: true
{{- else if eq $bundle.source "image" -}}
- name: bundle
  image:
    reference: {{ $bundle.image }}
    pullPolicy: IfNotPresent
{{- else if eq $bundle.source "download" -}}
- name: bundle
  emptyDir:
    sizeLimit: 4Gi
- name: fetch
  configMap:
    name: {{ include "worker.fullname" . }}-fetch
{{- end }}
{{- end -}}
