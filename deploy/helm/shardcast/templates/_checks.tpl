{{- /* What the schema cannot say. Each message names the value, the reason and the fix. A test has each of them. */ -}}
{{- define "shardcast.checks" -}}
{{- $config := .Values.config -}}

{{- /* Options that are secrets: each is a whole option, so its variable can be set. A test compares the list with the program. */ -}}
{{- $secrets := dict
  "http_server.tls.key_passphrase" "SHARDCAST_TLS_KEY_PASSPHRASE"
  "client.token.hmac_secret_key" "SHARDCAST_TOKEN_HMAC_SECRET"
  "client.subscription_token.hmac_secret_key" "SHARDCAST_SUBSCRIPTION_TOKEN_HMAC_SECRET"
  "http_api.key" "SHARDCAST_API_KEY"
  "http_api.keys" "SHARDCAST_API_KEYS"
  "console.token" "SHARDCAST_CONSOLE_TOKEN"
  "kafka.sasl.password" "SHARDCAST_KAFKA_PASSWORD"
  "gateway.discovery.secret" "SHARDCAST_DISCOVERY_SECRET"
  "admin_interface.key" "SHARDCAST_ADMIN_KEY"
  "tracing.otlp_headers" "SHARDCAST_OTLP_HEADERS"
-}}
{{- range $path, $variable := $secrets -}}
{{- if include "shardcast.option" (list $config $path "") -}}
{{- fail (printf "config.%s: a config map is no place for a secret; put it into a Secret and name that in secrets.%s" $path $variable) -}}
{{- end -}}
{{- end -}}
{{- range $path, $variable := dict "redis.address" "REDIS_URL" "postgres.url" "POSTGRES_URL" -}}
{{- if contains "@" (include "shardcast.option" (list $config $path "")) -}}
{{- fail (printf "config.%s: it has a password, and a config map is no place for a secret; put the address into a Secret and name that in secrets.%s" $path $variable) -}}
{{- end -}}
{{- end -}}
{{- range (default dict $config.webhooks).targets -}}
{{- if or .secret .former_secret .headers -}}
{{- fail "config.webhooks.targets: secrets and headers do not belong into a config map; put the whole list, as JSON, into a Secret and name that in secrets.SHARDCAST_WEBHOOKS" -}}
{{- end -}}
{{- end -}}

{{- $own := dict
  "balancer.address" "the chart sets it; service.port is the port that others see"
  "cluster.shards" "the chart sets it from cpus; use the value shards"
  "cluster.directory" "the chart mounts /dev/shm; use the value sharedMemory for its size"
  "cluster.host" "the shards listen inside the pod only"
  "node.id" "each pod needs its own; it is the name of the pod"
  "node.address" "each pod has its own; it is the address of the pod"
-}}
{{- range $path, $why := $own -}}
{{- if include "shardcast.option" (list $config $path "") -}}
{{- fail (printf "config.%s: %s; remove it" $path $why) -}}
{{- end -}}
{{- end -}}

{{- if and (include "shardcast.severalPods" .) (not (include "shardcast.hasRedis" .)) (not .Values.independentPods) -}}
{{- fail (printf "%s: pods without Redis do not know each other, so a message reaches the clients of one pod only; set secrets.REDIS_URL, or independentPods: true if all messages come from Kafka" (ternary "autoscaling.maxReplicas" "replicas" .Values.autoscaling.enabled)) -}}
{{- end -}}
{{- if include "shardcast.option" (list $config "channel.durable_store.path" "") -}}
{{- fail "config.channel.durable_store.path: a pod loses its disk when it is replaced; keep durable channels in PostgreSQL: secrets.POSTGRES_URL" -}}
{{- end -}}
{{- if and (eq (include "shardcast.option" (list $config "kafka.from" "latest")) "committed") (or (include "shardcast.hasRedis" .) (include "shardcast.severalPods" .)) -}}
{{- fail "config.kafka.from: committed offsets belong to a node, and each new pod is a new node, so it finds none; use latest. Clients get what they missed by recovery" -}}
{{- end -}}
{{- $timeout := include "shardcast.option" (list $config "shutdown.timeout" "") -}}
{{- if $timeout -}}
{{- $seconds := include "shardcast.seconds" (list "config.shutdown.timeout" $timeout) | int -}}
{{- $least := include "shardcast.shutdownSeconds" . | int -}}
{{- if and (lt $seconds $least) (ne (include "shardcast.option" (list $config "shutdown.failover" "graceful")) "immediate") -}}
{{- fail (printf "config.shutdown.timeout: %s is too short for %s connections on %s shards at %s per second and shard: in less than %d s they would be told to reconnect faster than that. Remove it, or raise shutdown.drain_rate" $timeout (include "shardcast.connections" .) (include "shardcast.shards" .) (include "shardcast.option" (list $config "shutdown.drain_rate" 5000)) $least) -}}
{{- end -}}
{{- end -}}
{{- if and (include "shardcast.proxyProtocol" .) .Values.serviceMonitor.enabled -}}
{{- fail "serviceMonitor.enabled: with config.network.proxy_protocol the port refuses Prometheus, which sends no PROXY header; scrape through your load balancer" -}}
{{- end -}}
{{- if and (include "shardcast.proxyProtocol" .) (not (regexMatch "[\", ]127\\.0\\.0\\.[01][\",/]" (toJson (get (default dict $config.network) "trusted_proxies")))) -}}
{{- fail "config.network.trusted_proxies: with proxy_protocol the probes send a PROXY header from inside the pod; add 127.0.0.1" -}}
{{- end -}}
{{- if and (include "shardcast.proxyProtocol" .) (include "shardcast.usesTls" .) -}}
{{- fail "tls.secretName: PROXY headers and TLS do not go together; end TLS in the load balancer, or remove config.network.proxy_protocol" -}}
{{- end -}}
{{- with .Values.autoscaling -}}
{{- if and .enabled (not .connections) (not .cpu) -}}
{{- fail "autoscaling: nothing to go by; set connections or cpu" -}}
{{- end -}}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) -}}
{{- fail (printf "autoscaling.minReplicas: %d is more than maxReplicas, %d" (int .minReplicas) (int .maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- fail "ingress.hosts: name at least one host" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs: name the Gateway, such as [{name: public, namespace: gateways}]" -}}
{{- end -}}
{{- if lt (include "shardcast.memoryBytes" . | int64) (include "shardcast.sharedMemoryBytes" . | int64) -}}
{{- fail "memory: it is less than sharedMemory, which counts towards it; give more, or leave both empty" -}}
{{- end -}}
{{- end -}}
