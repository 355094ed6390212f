{{/* Not empty if this release makes its own Ray cluster. */}}
{{- define "gradserve.ownsRay" -}}
{{- if and .Values.ray.enabled (not .Values.ray.address) }}true{{ end -}}
{{- end -}}

{{- define "gradserve.rayName" -}}
{{- printf "%s-ray" (include "gradserve.fullname" .) -}}
{{- end -}}

{{/* HOST:PORT of the head that front ends join. KubeRay names the Service of its head so. */}}
{{- define "gradserve.rayAddress" -}}
{{- if .Values.ray.address -}}
{{- .Values.ray.address -}}
{{- else -}}
{{- printf "%s-head-svc.%s.svc:%d" (include "gradserve.rayName" .) .Release.Namespace (int .Values.ray.ports.gcs) -}}
{{- end -}}
{{- end -}}

{{- define "gradserve.tokenSecret" -}}
{{- default (printf "%s-ray-token" (include "gradserve.fullname" .)) .Values.ray.auth.existingSecret -}}
{{- end -}}

{{/*
Environment of every process of the Ray cluster. The mode is set on all of them even when it is off, as Ray's own
default differs between its commands.
*/}}
{{- define "gradserve.rayEnv" -}}
- name: RAY_USAGE_STATS_ENABLED
  value: "0"
{{- with .Values.ray.healthCheck }}
- name: RAY_health_check_initial_delay_ms
  value: {{ mul 1000 (add (int .periodSeconds) (int .timeoutSeconds)) | toString | quote }}
- name: RAY_health_check_period_ms
  value: {{ mul 1000 (int .periodSeconds) | toString | quote }}
- name: RAY_health_check_timeout_ms
  value: {{ mul 1000 (int .timeoutSeconds) | toString | quote }}
- name: RAY_health_check_failure_threshold
  value: {{ int .attempts | toString | quote }}
{{- end }}
- name: RAY_AUTH_MODE
  value: {{ ternary "token" "disabled" .Values.ray.auth.enabled }}
{{- if .Values.ray.auth.enabled }}
- name: RAY_AUTH_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ include "gradserve.tokenSecret" . }}
      key: auth_token
{{- end }}
{{- end -}}

{{/* Ray's object store fills nine tenths of /dev/shm: what does not fit there would go to the disk. */}}
{{- define "gradserve.objectStore" -}}
{{- div (mul (int64 (include "gradserve.bytes" .)) 9) 10 -}}
{{- end -}}

{{/*
Bytes that one worker pod can reserve for work: its limit without the object store, which lies in the same memory.
*/}}
{{- define "gradserve.workerMemory" -}}
{{- $worker := .Values.ray.worker -}}
{{- sub (int64 (include "gradserve.bytes" $worker.resources.limits.memory)) (int64 (include "gradserve.bytes" $worker.sharedMemory)) -}}
{{- end -}}

{{/*
Parameters of `ray start`, from ours and the user's: (dict "ours" (dict ...) "theirs" .Values...rayStartParams).
*/}}
{{- define "gradserve.rayStartParams" -}}
{{- $params := merge (dict) .theirs .ours -}}
{{- range $name := keys $params | sortAlpha }}
{{ $name }}: {{ get $params $name | toString | quote }}
{{- end }}
{{- end -}}
