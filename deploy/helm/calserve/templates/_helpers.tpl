{{- define "calserve.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "calserve.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "calserve.labels" -}}
{{ include "calserve.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "calserve.image" -}}
{{- $flavour := ternary "cuda" "cpu" .Values.gpu.enabled -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default (printf "%s-%s" .Chart.AppVersion $flavour) }}
{{- end -}}

{{- /* What every container of ours may do: nothing. */ -}}
{{- define "calserve.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "calserve.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- /* The server's configuration file: what the chart decides, over what .Values.config says. */ -}}
{{- define "calserve.config" -}}
{{- $v := .Values -}}
{{- $own := dict "listen" "0.0.0.0:8500" "admin_listen" "0.0.0.0:8501" "model_repository" "/models" "data_dir" "/data"
  "grpc" (dict "lame_duck" (printf "%ds" (int $v.lameDuckSeconds)) "drain_timeout" (printf "%ds" (int $v.drainSeconds))) -}}
{{- $access := dict -}}
{{- if $v.access.tokensSecretName }}{{ $_ := set $access "tokens_file" "/secrets/tokens/tokens" }}{{ end -}}
{{- if $v.access.jwksSecretName }}{{ $_ := set $access "jwks_file" "/secrets/jwks/jwks.json" }}{{ end -}}
{{- if $v.access.jwtIssuer }}{{ $_ := set $access "jwt_issuer" $v.access.jwtIssuer }}{{ end -}}
{{- if $v.access.jwtAudience }}{{ $_ := set $access "jwt_audience" $v.access.jwtAudience }}{{ end -}}
{{- if $access }}{{ $_ := set $own "access" $access }}{{ end -}}
{{- if $v.tls.enabled -}}
{{- $tls := dict "certificate_file" "/secrets/tls/tls.crt" "key_file" "/secrets/tls/tls.key" -}}
{{- if $v.tls.clientCaSecretName }}{{ $_ := set $tls "client_ca_file" "/secrets/client-ca/ca.crt" }}{{ end -}}
{{- $_ := set $own "tls" $tls -}}
{{- else -}}
{{- $_ := set $own "insecure" true -}}
{{- end -}}
{{- if $v.tickets.keySecretName }}{{ $_ := set $own "tickets" (dict "key_file" "/secrets/tickets/ticket_keys") }}{{ end -}}
{{- toYaml (mergeOverwrite (deepCopy $v.config) $own) -}}
{{- end -}}

{{- /* name, path: an HTTP probe of the admin port. */ -}}
{{- define "calserve.adminProbe" -}}
httpGet: {path: {{ .path }}, port: admin{{ if .tls }}, scheme: HTTPS{{ end }}}
{{- end -}}
