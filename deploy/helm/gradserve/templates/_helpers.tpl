{{/* The chart's name, as a label. */}}
{{- define "gradserve.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 46 | trimSuffix "-" -}}
{{- end -}}

{{/*
The prefix of every object's name. 46 characters leave room for "-ray" within the 50 that KubeRay keeps of a cluster's
name, and for its own suffixes within the 63 of a label.
*/}}
{{- define "gradserve.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" -}}
{{- else if contains (include "gradserve.name" .) .Release.Name -}}
{{- .Release.Name | trunc 46 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "gradserve.name" .) | trunc 46 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/*
Labels that every object carries: (dict "root" $ "component" "front-end"). Ours win over commonLabels.
*/}}
{{- define "gradserve.labels" -}}
{{- toYaml (merge (fromYaml (include "gradserve.ownLabels" .)) .root.Values.commonLabels) -}}
{{- end -}}

{{- define "gradserve.ownLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{ include "gradserve.selectorLabels" . }}
{{- end -}}

{{/*
Labels that select the pods of one component; they stay as they are in an upgrade.
*/}}
{{- define "gradserve.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gradserve.name" .root }}
{{ include "gradserve.rayLabels" . }}
{{- end -}}

{{/*
The same for Ray's pods. They lack app.kubernetes.io/name, which is KubeRay's: the head's Service selects by it.
*/}}
{{- define "gradserve.rayLabels" -}}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: gradserve
{{- end -}}

{{/*
A selector of all pods of this release that take part in its Ray cluster.
*/}}
{{- define "gradserve.clusterSelector" -}}
matchLabels:
  app.kubernetes.io/instance: {{ .Release.Name }}
  app.kubernetes.io/part-of: gradserve
matchExpressions:
  - key: app.kubernetes.io/component
    operator: In
    values:
      - front-end
      {{- if include "gradserve.ownsRay" . }}
      - ray-head
      - ray-worker
      {{- end }}
{{- end -}}

{{/* An image's reference: (dict "root" $ "image" .Values.frontend.image). A digest wins over a tag. */}}
{{- define "gradserve.image" -}}
{{- $name := .image.repository -}}
{{- if .root.Values.imageRegistry -}}
{{- $name = printf "%s/%s" (trimSuffix "/" .root.Values.imageRegistry) $name -}}
{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "gradserve.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "gradserve.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Not empty if the front ends serve TLS. */}}
{{- define "gradserve.tls" -}}
{{- if or .Values.frontend.tls.existingSecret .Values.frontend.tls.certificate }}true{{ end -}}
{{- end -}}

{{- define "gradserve.tlsSecret" -}}
{{- default (printf "%s-tls" (include "gradserve.fullname" .)) .Values.frontend.tls.existingSecret -}}
{{- end -}}

{{/* The key of that Secret whose certificate a client trusts; one that signed itself is its own authority. */}}
{{- define "gradserve.tlsAuthority" -}}
{{- $tls := .Values.frontend.tls -}}
{{- if and $tls.certificate (not $tls.ca) }}tls.crt{{ else }}{{ $tls.caKey }}{{ end -}}
{{- end -}}

{{/* Where clients within the cluster find the front ends behind one address. */}}
{{- define "gradserve.address" -}}
{{- printf "%s.%s.svc:%d" (include "gradserve.fullname" .) .Release.Namespace (int .Values.frontend.service.port) -}}
{{- end -}}

{{/*
Bytes of a quantity such as 512Mi, as a whole number. The schema has seen to the form.
*/}}
{{- define "gradserve.bytes" -}}
{{- $text := toString . -}}
{{- $units := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 -}}
{{- $number := regexFind "^[0-9]+" $text -}}
{{- $unit := trimPrefix $number $text -}}
{{- if $unit -}}
{{- mul (int64 $number) (int64 (get $units $unit)) -}}
{{- else -}}
{{- int64 $number -}}
{{- end -}}
{{- end -}}
