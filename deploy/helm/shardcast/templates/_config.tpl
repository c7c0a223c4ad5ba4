{{- /* The config file: the values, and what follows from them. */ -}}
{{- define "shardcast.config" -}}
{{- $shutdown := dict "timeout" (printf "%ss" (include "shardcast.shutdownTimeout" .)) -}}
{{- $computed := dict "shutdown" $shutdown "balancer" (dict "address" ":3005") -}}
{{- if .Values.tls.secretName -}}
{{- $_ := set $computed "http_server" (dict "tls" (dict "cert_pem_file" "/etc/shardcast-tls/tls.crt" "key_pem_file" "/etc/shardcast-tls/tls.key")) -}}
{{- end -}}
{{- mergeOverwrite $computed (deepCopy .Values.config) | toYaml -}}
{{- end -}}

{{- define "shardcast.hasRedis" -}}
{{- $address := include "shardcast.option" (list .Values.config "redis.address" "") -}}
{{- if or $address (hasKey .Values.secrets "REDIS_URL") (hasKey .Values.secrets "SHARDCAST_REDIS_URL") -}}true{{- end -}}
{{- end -}}

{{- define "shardcast.hasPostgres" -}}
{{- $address := include "shardcast.option" (list .Values.config "postgres.url" "") -}}
{{- if or $address (hasKey .Values.secrets "POSTGRES_URL") (hasKey .Values.secrets "SHARDCAST_POSTGRES_URL") -}}true{{- end -}}
{{- end -}}

{{- define "shardcast.proxyProtocol" -}}
{{- if eq (include "shardcast.option" (list .Values.config "network.proxy_protocol" "false")) "true" -}}true{{- end -}}
{{- end -}}

{{- define "shardcast.usesTls" -}}
{{- if or .Values.tls.secretName (include "shardcast.option" (list .Values.config "http_server.tls.cert_pem_file" "")) -}}true{{- end -}}
{{- end -}}

{{- /* Whether several pods can exist at the same time for longer than a rollout. */ -}}
{{- define "shardcast.severalPods" -}}
{{- if .Values.autoscaling.enabled -}}
{{- if gt (int .Values.autoscaling.maxReplicas) 1 -}}true{{- end -}}
{{- else if gt (int .Values.replicas) 1 -}}true{{- end -}}
{{- end -}}
