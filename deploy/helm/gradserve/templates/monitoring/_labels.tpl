{{/* Labels by which Prometheus or Grafana find an object: (dict "root" $ "component" "ray" "extra" (dict ...)). */}}
{{- define "gradserve.monitorLabels" -}}
{{- $ours := fromYaml (include "gradserve.labels" .) -}}
{{- toYaml (merge (dict) .extra $ours) -}}
{{- end -}}
