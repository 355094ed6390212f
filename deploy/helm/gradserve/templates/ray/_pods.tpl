{{/* The pod of the Ray head. KubeRay writes its command, and adds the autoscaler beside it. */}}
{{- define "gradserve.headPod" -}}
{{- $head := .Values.ray.head -}}
{{- $ports := .Values.ray.ports -}}
{{- $parts := dict "root" $ "of" $head "component" "ray-head" -}}
metadata:
  {{- include "gradserve.rayMetadata" $parts | nindent 2 }}
spec:
  {{- if not .Values.ray.autoscaling.enabled }}
  serviceAccountName: {{ include "gradserve.serviceAccountName" . }}
  automountServiceAccountToken: false
  {{- end }}
  {{- include "gradserve.rayPodSpec" $parts | nindent 2 }}
  containers:
    - name: ray-head
      {{- include "gradserve.rayContainer" $parts | nindent 6 }}
      ports:
        - name: gcs-server
          containerPort: {{ int $ports.gcs }}
        - name: dashboard
          containerPort: {{ int $ports.dashboard }}
        - name: metrics
          containerPort: {{ int $ports.metrics }}
      {{- include "gradserve.rayProbes" (dict "root" $ "path" "/api/healthz") | nindent 6 }}
{{- end -}}

{{/* The pod of a Ray worker. */}}
{{- define "gradserve.workerPod" -}}
{{- $parts := dict "root" $ "of" .Values.ray.worker "component" "ray-worker" -}}
metadata:
  {{- include "gradserve.rayMetadata" $parts | nindent 2 }}
spec:
  serviceAccountName: {{ include "gradserve.serviceAccountName" . }}
  automountServiceAccountToken: false
  {{- include "gradserve.rayPodSpec" $parts | nindent 2 }}
  containers:
    - name: ray-worker
      {{- include "gradserve.rayContainer" $parts | nindent 6 }}
      ports:
        - name: metrics
          containerPort: {{ int .Values.ray.ports.metrics }}
      {{- include "gradserve.rayProbes" (dict "root" $ "path" "/api/local_raylet_healthz") | nindent 6 }}
{{- end -}}

{{- define "gradserve.rayMetadata" -}}
labels:
  {{- toYaml (merge (fromYaml (include "gradserve.rayLabels" .)) .of.podLabels) | nindent 2 }}
annotations:
  # A token that the values hold reaches the cluster by new pods.
  checksum/token: {{ toYaml .root.Values.ray.auth | sha256sum }}
  {{- with .of.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "gradserve.rayPodSpec" -}}
enableServiceLinks: false
# A Ray node that is told to stop takes up to 30 s to hand over what it holds.
terminationGracePeriodSeconds: 60
securityContext:
  {{- include "gradserve.podSecurity" .root | nindent 2 }}
{{- with include "gradserve.scheduling" . }}
{{ trim . }}
{{- end }}
volumes:
  {{- include "gradserve.volumes" .of | nindent 2 }}
{{- end -}}

{{- define "gradserve.rayContainer" -}}
image: {{ include "gradserve.image" (dict "root" .root "image" .root.Values.ray.image) }}
imagePullPolicy: {{ .root.Values.ray.image.pullPolicy }}
env:
  {{- include "gradserve.rayEnv" .root | nindent 2 }}
  {{- with .of.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
resources:
  {{- toYaml .of.resources | nindent 2 }}
securityContext:
  {{- include "gradserve.containerSecurity" .root | nindent 2 }}
volumeMounts:
  {{- include "gradserve.volumeMounts" .root | nindent 2 }}
{{- end -}}

{{/*
Probes of a Ray node, answered by its agent without a token. They must be ours: those that KubeRay adds where there are
none may call wget, which the image lacks. (dict "root" $ "path" "/api/healthz")
*/}}
{{- define "gradserve.rayProbes" -}}
{{- $get := dict "httpGet" (dict "path" .path "port" (int .root.Values.ray.ports.agent)) -}}
{{- $probes := .root.Values.ray.probes -}}
startupProbe:
  {{- toYaml (merge (dict) $get $probes.startup) | nindent 2 }}
readinessProbe:
  {{- toYaml (merge (dict) $get $probes.readiness) | nindent 2 }}
livenessProbe:
  {{- toYaml (merge (dict) $get $probes.liveness) | nindent 2 }}
{{- end -}}
