{{/* Names are looked up at the cluster's DNS. */}}
{{- define "gradserve.dnsRule" -}}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
  to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
{{- end -}}

{{/*
Who may talk to whom within the Ray cluster. Ray's nodes and workers choose ports by themselves, so that the rule is by
pod and covers all of them.
*/}}
{{- define "gradserve.rayPeers" -}}
- podSelector:
    {{- include "gradserve.clusterSelector" . | nindent 4 }}
{{- with .Values.networkPolicy.rayPeers }}
{{ toYaml . }}
{{- end }}
{{- end -}}
