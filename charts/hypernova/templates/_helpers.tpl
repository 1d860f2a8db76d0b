{{/* Labels of an object; call with (list . "component"). */}}
{{- define "hypernova.labels" -}}
{{- $root := first . -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: hypernova
{{ include "hypernova.selector" . }}
{{- end }}

{{/* What Pods of a component are found by, which can never change; call with (list . "component"). */}}
{{- define "hypernova.selector" -}}
app.kubernetes.io/name: hypernova
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{/* Labels of Pods: nothing that would start them anew with a chart that changes nothing about them. */}}
{{- define "hypernova.podLabels" -}}
app.kubernetes.io/part-of: hypernova
{{ include "hypernova.selector" . }}
{{- end }}

{{/* A component's image; call with (list . "component"). */}}
{{- define "hypernova.image" -}}
{{- $image := (first .).Values.image -}}
{{- $registry := $image.registry | required "image.registry must be given: there is no public registry of Hypernova's images. Build them (docs/images.md), push them to your registry and say --set image.registry=REGISTRY, of which REGISTRY/operator, REGISTRY/node-agent and REGISTRY/console are pulled" -}}
image: {{ printf "%s/%s:%s" (trimSuffix "/" $registry) (last .) ($image.tag | default (first .).Chart.AppVersion) }}
imagePullPolicy: {{ $image.pullPolicy }}
{{- end }}

{{/* What all our Pods have in common; call with (list . "ServiceAccount"). */}}
{{- define "hypernova.pod" -}}
{{- $root := first . -}}
serviceAccountName: {{ last . }}
priorityClassName: {{ $root.Values.priorityClassName | default "hypernova" }}
# Else Kubernetes would set variables like HYPERNOVA_CONSOLE_PORT for our Services, which mean something else to us.
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Of every container. */}}
{{- define "hypernova.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* Of every process of ours. On a busy node a start takes a minute: being slow then is not being dead. */}}
{{- define "hypernova.startupProbe" -}}
startupProbe:
  httpGet: {path: /healthz, port: probes}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 150
{{- end }}

{{/* Where Pods of a component go; call with (list . "component" .Values.component). */}}
{{- define "hypernova.placement" -}}
{{- $place := index . 2 -}}
{{- with $place.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with $place.tolerations }}
tolerations: {{ toYaml . | nindent 0 }}
{{- end }}
topologySpreadConstraints:
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway  # a cluster of one node is one, too
  labelSelector:
    matchLabels: {{ include "hypernova.selector" (list (first .) (index . 1)) | nindent 6 }}
{{- end }}

{{/* Environment of every process; call with (list . .Values.component.settings). Settings are named as in values. */}}
{{- define "hypernova.env" -}}
- name: HYPERNOVA_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: HYPERNOVA_PROBE_HOST
  value: 0.0.0.0
- name: HYPERNOVA_LOG_FORMAT
  value: json
- name: HYPERNOVA_LOG_LEVEL
  value: {{ (first .).Values.logLevel }}
{{- range $name, $value := last . }}
- name: HYPERNOVA_{{ $name | snakecase | upper }}
{{- if kindIs "map" $value }}
{{- $pairs := list }}
{{- range $key, $each := $value }}
{{- $pairs = append $pairs (printf "%s=%v" $key $each) }}
{{- end }}
  value: {{ join "," $pairs | quote }}
{{- else }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where browsers find the console's page. */}}
{{- define "hypernova.publicUrl" -}}
{{- $console := .Values.console -}}
{{- if $console.publicUrl -}}
{{ $console.publicUrl }}
{{- else if $console.ingress.enabled -}}
https://{{ $console.ingress.host }}
{{- else if $console.httpRoute.enabled -}}
https://{{ $console.httpRoute.host }}
{{- else -}}
{{ ternary "https" "http" (not (empty $console.tlsSecretName)) }}://localhost:8080
{{- end -}}
{{- end }}

{{/* Refuses a second Hypernova in the cluster, and one that is older than the kinds there. Helm has no cluster to look
at when it only renders: then all is well. */}}
{{- define "hypernova.checks" -}}
{{- $role := lookup "rbac.authorization.k8s.io/v1" "ClusterRole" "" "hypernova-operator" | default dict -}}
{{- $theirs := dig "metadata" "annotations" dict $role -}}
{{- $name := index $theirs "meta.helm.sh/release-name" | default .Release.Name -}}
{{- $namespace := index $theirs "meta.helm.sh/release-namespace" | default .Release.Namespace -}}
{{- if or (ne $name .Release.Name) (ne $namespace .Release.Namespace) -}}
{{- fail (printf "Hypernova is in this cluster already, as release %s in namespace %s, and a cluster takes one. Upgrade that one, or uninstall it first (guests and objects stay)" $name $namespace) -}}
{{- end -}}
{{- $kind := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "instances.compute.hypernova.dev" | default dict -}}
{{- $version := dig "metadata" "labels" "app.kubernetes.io/version" .Chart.AppVersion $kind -}}
{{- if gt ((semver $version).Compare (semver .Chart.AppVersion)) 0 -}}
{{- fail (printf "the cluster has the kinds of Hypernova %s, and this chart is %s: it would take fields from objects that it does not know. Install %s or newer; `helm rollback` goes back to an older one, kinds and all" $version .Chart.AppVersion $version) -}}
{{- end -}}
{{- end }}
