{{/* Security context of every pod. */}}
{{- define "gradserve.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Security context of every container. */}}
{{- define "gradserve.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
capabilities:
  drop:
    - ALL
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* All that a container writes: (dict "sharedMemory" "512Mi" "temporary" "2Gi"). */}}
{{- define "gradserve.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ .temporary }}
- name: shared-memory
  emptyDir:
    medium: Memory
    sizeLimit: {{ .sharedMemory }}
{{- end -}}

{{- define "gradserve.volumeMounts" -}}
- name: tmp
  mountPath: /tmp
- name: shared-memory
  mountPath: /dev/shm
{{- end -}}

{{/*
Where pods go: (dict "root" $ "of" .Values.frontend "component" "front-end").
*/}}
{{- define "gradserve.scheduling" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .of.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if or .of.affinity (ne (default "none" .of.antiAffinity) "none") }}
affinity:
  {{- include "gradserve.affinity" . | nindent 2 }}
{{- end }}
{{- with .of.topologySpread }}
topologySpreadConstraints:
  {{- range . }}
  - topologyKey: {{ .topologyKey }}
    maxSkew: {{ int (default 1 .maxSkew) }}
    whenUnsatisfiable: {{ default "ScheduleAnyway" .whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "gradserve.rayLabels" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The user's affinity, or else one that keeps pods of a component on machines of their own. */}}
{{- define "gradserve.affinity" -}}
{{- if .of.affinity }}
{{- toYaml .of.affinity }}
{{- else if eq .of.antiAffinity "hard" -}}
podAntiAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    - topologyKey: kubernetes.io/hostname
      labelSelector:
        matchLabels:
          {{- include "gradserve.rayLabels" . | nindent 10 }}
{{- else -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "gradserve.rayLabels" . | nindent 12 }}
{{- end }}
{{- end -}}
