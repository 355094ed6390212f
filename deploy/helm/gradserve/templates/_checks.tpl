{{/*
What the schema cannot say because it looks at one value at a time: ends with a sentence that says what to change.
*/}}
{{- define "gradserve.checks" -}}
{{- include "gradserve.checkNames" . -}}
{{- include "gradserve.checkApis" . -}}
{{- include "gradserve.checkTls" .Values.frontend.tls -}}
{{- include "gradserve.checkAuth" . -}}
{{- include "gradserve.checkConfig" . -}}
{{- include "gradserve.checkScaling" . -}}
{{- include "gradserve.checkEnvironment" . -}}
{{- include "gradserve.checkRay" . -}}
{{- end -}}

{{- define "gradserve.checkNames" -}}
{{- $name := include "gradserve.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "the name %q must begin with a letter and hold small letters, digits and dashes: KubeRay makes host names of it. Set fullnameOverride." $name) -}}
{{- end -}}
{{- end -}}

{{/*
Every API server has apiregistration.k8s.io, and `helm template` by itself knows nothing of it: so where it is known, the
list of APIs is a real cluster's, and what it lacks is not installed.
*/}}
{{- define "gradserve.checkApis" -}}
{{- $apis := .Capabilities.APIVersions -}}
{{- if $apis.Has "apiregistration.k8s.io/v1" -}}
{{- if and (include "gradserve.ownsRay" .) (not ($apis.Has "ray.io/v1")) -}}
{{- fail "this cluster does not know RayCluster (ray.io/v1). Install the KubeRay operator first (helm repo add kuberay https://ray-project.github.io/kuberay-helm && helm install kuberay-operator kuberay/kuberay-operator --namespace kuberay --create-namespace), or set ray.enabled=false to compute in the front ends alone." -}}
{{- end -}}
{{- if and (or .Values.monitoring.scrape.enabled .Values.monitoring.rules.enabled) (not ($apis.Has "monitoring.coreos.com/v1")) -}}
{{- fail "this cluster does not know ServiceMonitor and PrometheusRule (monitoring.coreos.com/v1). Install the Prometheus operator first, or set monitoring.scrape.enabled=false and monitoring.rules.enabled=false." -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "gradserve.checkTls" -}}
{{- if and .existingSecret (or .certificate .key) -}}
{{- fail "frontend.tls: give existingSecret, or certificate and key, not both." -}}
{{- end -}}
{{- if ne (empty .certificate) (empty .key) -}}
{{- fail "frontend.tls: certificate and key go together." -}}
{{- end -}}
{{- end -}}

{{- define "gradserve.checkAuth" -}}
{{- $front := .Values.frontend -}}
{{- $tls := include "gradserve.tls" . -}}
{{- if and $front.tls.clientCaKey (not $tls) -}}
{{- fail "frontend.tls.clientCaKey asks clients for certificates, which needs TLS: give frontend.tls.existingSecret." -}}
{{- end -}}
{{- if and $front.tls.clientCaKey .Values.test.enabled -}}
{{- fail "frontend.tls.clientCaKey asks clients for certificates, and `helm test` has none: set test.enabled=false." -}}
{{- end -}}
{{- if and (or $front.auth.tokensSecret $front.auth.oidc.issuer) (not $tls) (not (dig "allow_plain_tokens" false $front.config)) -}}
{{- fail "frontend.auth: tokens would travel unencrypted. Give frontend.tls, or frontend.config.allow_plain_tokens=true where a mesh encrypts." -}}
{{- end -}}
{{- end -}}

{{/* Flags win over the file, so that a setting with a value of its own would be there without effect. */}}
{{- define "gradserve.checkConfig" -}}
{{- $arguments := include "gradserve.frontendArgs" . -}}
{{- range $name, $value := .Values.frontend.config -}}
{{- if regexMatch (printf "--(no-)?%s(=|\\s|$)" (replace "_" "-" $name)) $arguments -}}
{{- fail (printf "frontend.config: %s has a value of its own in this chart, or is among frontend.extraArgs; set it there." $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "gradserve.checkScaling" -}}
{{- $front := .Values.frontend -}}
{{- $scaling := $front.autoscaling -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) -}}
{{- fail (printf "frontend.autoscaling: minReplicas (%d) is more than maxReplicas (%d)." (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- end -}}
{{- if and .Values.ray.enabled (gt (int $front.workers) (int $front.maxWorkers)) -}}
{{- fail (printf "frontend.workers (%d) is more than frontend.maxWorkers (%d): a front end keeps the first and grows to the second." (int $front.workers) (int $front.maxWorkers)) -}}
{{- end -}}
{{- if $front.autoscaling.enabled -}}
{{- if not (dig "requests" "cpu" "" $front.resources) -}}
{{- fail "frontend.autoscaling counts CPU as a share of the request: set frontend.resources.requests.cpu." -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "gradserve.checkEnvironment" -}}
{{- range .Values.frontend.extraEnv -}}
{{- if eq .name "RAY_CLOUD_INSTANCE_ID" -}}
{{- fail "frontend.extraEnv: leave RAY_CLOUD_INSTANCE_ID away. Ray's autoscaler would look for a pod of its own by it, and fail." -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "gradserve.checkRay" -}}
{{- $ray := .Values.ray -}}
{{- if and $ray.auth.token (lt (len $ray.auth.token) 32) -}}
{{- fail (printf "ray.auth.token has %d characters: whoever guesses it can run anything in the cluster. Give at least 32, or none for a random one." (len $ray.auth.token)) -}}
{{- end -}}
{{- if and $ray.address (not $ray.enabled) -}}
{{- fail "ray.address names a cluster to join, and ray.enabled=false says to do without one: choose." -}}
{{- end -}}
{{- if and $ray.auth.existingSecret $ray.auth.token -}}
{{- fail "ray.auth: give existingSecret or token, not both." -}}
{{- end -}}
{{- if and $ray.address $ray.auth.enabled (not (or $ray.auth.existingSecret $ray.auth.token)) -}}
{{- fail (printf "the Ray cluster at %s has a token of its own: give it by ray.auth.existingSecret, or set ray.auth.enabled=false if it has none." $ray.address) -}}
{{- end -}}
{{- if and $ray.address .Values.networkPolicy.enabled (not .Values.networkPolicy.rayPeers) -}}
{{- fail (printf "with a NetworkPolicy the front ends cannot reach the Ray cluster at %s: name its pods in networkPolicy.rayPeers." $ray.address) -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.extraEgress) -}}
{{- include "gradserve.checkReached" . -}}
{{- end -}}
{{- if include "gradserve.ownsRay" . -}}
{{- include "gradserve.checkWorkers" . -}}
{{- end -}}
{{- end -}}

{{/* What front ends ask beyond the release, which a NetworkPolicy of ours alone forbids. */}}
{{- define "gradserve.checkReached" -}}
{{- $config := .Values.frontend.config | default dict -}}
{{- $asked := dict "frontend.auth.oidc.issuer" .Values.frontend.auth.oidc.issuer -}}
{{- range $name := list "oidc_jwks" "store" "traces" -}}
{{- $_ := set $asked (printf "frontend.config.%s" $name) (get $config $name) -}}
{{- end -}}
{{- range $name, $where := $asked -}}
{{- if and (contains "://" (toString $where)) (not (hasPrefix "file://" $where)) -}}
{{- fail (printf "with a NetworkPolicy the front ends cannot reach %s, which %s names: say how in networkPolicy.extraEgress." $where $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "gradserve.checkWorkers" -}}
{{- $worker := .Values.ray.worker -}}
{{- if gt (int $worker.minReplicas) (int $worker.maxReplicas) -}}
{{- fail (printf "ray.worker: minReplicas (%d) is more than maxReplicas (%d)." (int $worker.minReplicas) (int $worker.maxReplicas)) -}}
{{- end -}}
{{- if or (lt (int $worker.replicas) (int $worker.minReplicas)) (gt (int $worker.replicas) (int $worker.maxReplicas)) -}}
{{- fail (printf "ray.worker: replicas (%d) must lie between minReplicas (%d) and maxReplicas (%d)." (int $worker.replicas) (int $worker.minReplicas) (int $worker.maxReplicas)) -}}
{{- end -}}
{{- $need := mul (int64 $worker.cpus) 1073741824 -}}
{{- $have := int64 (include "gradserve.workerMemory" .) -}}
{{- if lt $have $need -}}
{{- fail (printf "ray.worker: each of the %d gradserve workers in a pod reserves 1Gi, and the memory limit without sharedMemory is %d Mi. Raise ray.worker.resources.limits.memory, or lower ray.worker.cpus or ray.worker.sharedMemory." (int $worker.cpus) (div $have 1048576)) -}}
{{- end -}}
{{- $fronts := int (ternary .Values.frontend.autoscaling.maxReplicas .Values.frontend.replicas .Values.frontend.autoscaling.enabled) -}}
{{- $processes := int .Values.frontend.processes -}}
{{- $kept := mul $processes (div (sub (add (int .Values.frontend.workers) $processes) 1) $processes) -}}
{{- $wanted := mul $fronts $kept -}}
{{- $most := mul (ternary (int $worker.maxReplicas) (int $worker.replicas) .Values.ray.autoscaling.enabled) (int $worker.cpus) -}}
{{- if gt $wanted $most -}}
{{- fail (printf "%d front ends keep %d Ray workers each, %d in all, and the Ray cluster has CPUs for %d: some front ends would never get a worker. Raise ray.worker.maxReplicas or ray.worker.cpus, or lower frontend.workers." $fronts (int $kept) $wanted $most) -}}
{{- end -}}
{{- end -}}
