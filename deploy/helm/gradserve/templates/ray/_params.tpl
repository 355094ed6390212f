{{/*
Parameters of the head's `ray start`. The head keeps the books and does no work: without CPUs and memory of its own no
worker is ever put there. Its dashboard is reached by `kubectl port-forward` alone, unless dashboard-host says otherwise.
*/}}
{{- define "gradserve.headParams" -}}
{{- $ports := .Values.ray.ports -}}
{{- $ours := dict
  "num-cpus" "0"
  "memory" "0"
  "object-store-memory" (include "gradserve.objectStore" .Values.ray.head.sharedMemory)
  "port" (int $ports.gcs)
  "dashboard-host" "127.0.0.1"
  "dashboard-port" (int $ports.dashboard)
  "dashboard-agent-listen-port" (int $ports.agent)
  "metrics-export-port" (int $ports.metrics)
-}}
{{- include "gradserve.rayStartParams" (dict "ours" $ours "theirs" .Values.ray.head.rayStartParams) -}}
{{- end -}}

{{/* Parameters of a worker's `ray start`; KubeRay adds the head's address. */}}
{{- define "gradserve.workerParams" -}}
{{- $ports := .Values.ray.ports -}}
{{- $ours := dict
  "num-cpus" (int .Values.ray.worker.cpus)
  "memory" (include "gradserve.workerMemory" .)
  "object-store-memory" (include "gradserve.objectStore" .Values.ray.worker.sharedMemory)
  "dashboard-agent-listen-port" (int $ports.agent)
  "metrics-export-port" (int $ports.metrics)
-}}
{{- include "gradserve.rayStartParams" (dict "ours" $ours "theirs" .Values.ray.worker.rayStartParams) -}}
{{- end -}}

{{/*
Worker pods that the cluster is asked to have. The autoscaler writes this number too: an upgrade keeps what it finds, as
it would otherwise take pods away from work.
*/}}
{{- define "gradserve.workerReplicas" -}}
{{- $worker := .Values.ray.worker -}}
{{- $replicas := int $worker.replicas -}}
{{- if and .Values.ray.autoscaling.enabled (.Capabilities.APIVersions.Has "ray.io/v1") -}}
{{- $found := lookup "ray.io/v1" "RayCluster" .Release.Namespace (include "gradserve.rayName" .) -}}
{{- range (dig "spec" "workerGroupSpecs" list $found) -}}
{{- $replicas = max (int $worker.minReplicas) (min (int $worker.maxReplicas) (int (default $replicas .replicas))) -}}
{{- end -}}
{{- end -}}
{{- $replicas -}}
{{- end -}}
