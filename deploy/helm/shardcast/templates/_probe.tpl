{{- /* A probe of kubelet sends no PROXY header, so a program in the pod does it. Arguments: whether it is needed, the scheme, the path. */ -}}
{{- define "shardcast.probe" -}}
{{- if index . 0 -}}
exec: { command: [node, deploy/healthcheck.mjs, {{ index . 2 }}] }
{{- else -}}
httpGet: { path: {{ index . 2 }}, port: http, scheme: {{ index . 1 }} }
{{- end -}}
{{- end -}}
