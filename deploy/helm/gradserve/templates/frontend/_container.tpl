{{/* What the checksum of a front end's pod covers: the settings and secrets that the values themselves hold. */}}
{{- define "gradserve.frontendSecrets" -}}
{{- toYaml .Values.frontend.tls -}}
{{- with .Values.frontend.config }}{{ toYaml . }}{{ end -}}
{{- toYaml .Values.ray.auth -}}
{{- end -}}

{{/* The container of a front end, from its command on. */}}
{{- define "gradserve.frontendContainer" -}}
{{- $front := .Values.frontend -}}
command:
  - gradserve
args:
  {{- include "gradserve.frontendArgs" . | nindent 2 }}
{{- with include "gradserve.frontendEnv" . }}
env:
  {{- . | nindent 2 }}
{{- end }}
ports:
  - name: grpc
    containerPort: {{ int $front.ports.grpc }}
  - name: http-metrics
    containerPort: {{ int $front.ports.metrics }}
  {{- if .Values.ray.enabled }}
  - name: ray-metrics
    containerPort: {{ int .Values.ray.ports.metrics }}
  {{- end }}
{{ include "gradserve.frontendProbes" . }}
{{- if $front.preStopSeconds }}
lifecycle:
  # The Services need a moment to forget a replica: until then it takes the connections that they still send.
  preStop:
    exec:
      command: ["sleep", {{ int $front.preStopSeconds | toString | quote }}]
{{- end }}
resources:
  {{- toYaml $front.resources | nindent 2 }}
securityContext:
  {{- include "gradserve.containerSecurity" . | nindent 2 }}
volumeMounts:
  {{- include "gradserve.volumeMounts" . | nindent 2 }}
  {{- if include "gradserve.tls" . }}
  - name: tls
    mountPath: /etc/gradserve/tls
    readOnly: true
  {{- end }}
  {{- if .Values.frontend.auth.tokensSecret }}
  - name: tokens
    mountPath: /etc/gradserve/tokens
    readOnly: true
  {{- end }}
  {{- if .Values.frontend.auth.metricsTokenSecret }}
  - name: metrics-token
    mountPath: /etc/gradserve/metrics-token
    readOnly: true
  {{- end }}
  {{- if .Values.frontend.config }}
  - name: config
    mountPath: /etc/gradserve/config
    readOnly: true
  {{- end }}
{{- end -}}

{{- define "gradserve.frontendArgs" -}}
{{- $front := .Values.frontend -}}
- serve
- --address=0.0.0.0:{{ int $front.ports.grpc }}
- --metrics-port={{ int $front.ports.metrics }}
- --metrics-host=0.0.0.0
{{- if $front.auth.metricsTokenSecret }}
- --metrics-token-file=/etc/gradserve/metrics-token/{{ $front.auth.metricsTokenKey }}
{{- end }}
- --processes={{ int $front.processes }}
- --workers={{ int $front.workers }}
{{- if .Values.ray.enabled }}
- --max-workers={{ int $front.maxWorkers }}
- --ray-join={{ include "gradserve.rayAddress" . }}
- --ray-metrics-port={{ int .Values.ray.ports.metrics }}
{{- else }}
- --no-ray
{{- end }}
- --max-in-flight={{ int $front.maxInFlight }}
- --max-seconds={{ int $front.maxSeconds }}
- --max-connection-age={{ int $front.maxConnectionAgeSeconds }}
- --grace={{ int $front.graceSeconds }}
{{- if include "gradserve.tls" . }}
- --tls-certificate=/etc/gradserve/tls/tls.crt
- --tls-key=/etc/gradserve/tls/tls.key
{{- with $front.tls.clientCaKey }}
- --tls-client-ca=/etc/gradserve/tls/{{ . }}
{{- end }}
{{- end }}
{{- if $front.auth.tokensSecret }}
- --token-file=/etc/gradserve/tokens/{{ $front.auth.tokensKey }}
{{- end }}
{{- if $front.auth.oidc.issuer }}
- --oidc-issuer={{ $front.auth.oidc.issuer }}
- --oidc-audience={{ $front.auth.oidc.audience }}
{{- end }}
- --log-level={{ $front.logLevel }}
{{- if $front.config }}
- --config=/etc/gradserve/config/settings.yaml
{{- end }}
{{- range $front.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}

{{/*
The environment of a front end. RAY_CLOUD_INSTANCE_ID is never set here: Ray's autoscaler would look for a pod of its
own by that name, and fail.
*/}}
{{- define "gradserve.frontendEnv" -}}
{{- if .Values.ray.enabled }}
{{- include "gradserve.rayEnv" . }}
{{- end }}
{{- with .Values.frontend.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
Kubernetes asks the standard gRPC health service. It cannot do so by TLS: then it looks whether the port is open, and
whether the process still answers with its metrics.
*/}}
{{- define "gradserve.frontendProbes" -}}
{{- $probes := .Values.frontend.probes -}}
{{- $health := dict "grpc" (dict "port" (int .Values.frontend.ports.grpc)) -}}
{{- $alive := $health -}}
{{- if include "gradserve.tls" . -}}
{{- $health = dict "tcpSocket" (dict "port" "grpc") -}}
{{- $alive = dict "httpGet" (dict "path" (ternary "/-/healthy" "/metrics" (not (empty .Values.frontend.auth.metricsTokenSecret))) "port" "http-metrics") -}}
{{- end -}}
startupProbe:
  {{- toYaml (merge (dict) $health $probes.startup) | nindent 2 }}
readinessProbe:
  {{- toYaml (merge (dict) $health $probes.readiness) | nindent 2 }}
livenessProbe:
  {{- toYaml (merge (dict) $alive $probes.liveness) | nindent 2 }}
{{- end -}}
