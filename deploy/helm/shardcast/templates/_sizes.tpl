{{- /* What is computed from the options. A test compares it with what the program computes. */ -}}

{{- /* An option of the config file, or its default. Arguments: the config, its path, the default. */ -}}
{{- define "shardcast.option" -}}
{{- $found := index . 0 -}}
{{- range splitList "." (index . 1) -}}
{{- if kindIs "map" $found -}}{{- $found = get $found . -}}{{- else -}}{{- $found = "" -}}{{- end -}}
{{- end -}}
{{- if or (kindIs "invalid" $found) (eq (toString $found) "") -}}{{- index . 2 -}}{{- else if kindIs "float64" $found -}}{{- if eq $found (floor $found) -}}{{- int64 $found -}}{{- else -}}{{- $found -}}{{- end -}}{{- else -}}{{- $found -}}{{- end -}}
{{- end -}}

{{- define "shardcast.shards" -}}
{{- .Values.shards | default .Values.cpus | int -}}
{{- end -}}

{{- define "shardcast.connections" -}}
{{- include "shardcast.option" (list .Values.config "limits.max_connections" 12000) -}}
{{- end -}}

{{- /* Seconds in which all clients of a shard reconnect at shutdown.drain_rate. */ -}}
{{- define "shardcast.drainSeconds" -}}
{{- $perShard := divf (include "shardcast.connections" . | float64) (include "shardcast.shards" . | float64) | ceil -}}
{{- $rate := include "shardcast.option" (list .Values.config "shutdown.drain_rate" 5000) | float64 -}}
{{- divf $perShard (maxf 1.0 $rate) | ceil | int64 -}}
{{- end -}}

{{- /* The least shutdown.timeout that keeps to the rate: all clients are told in its first half, at four fifths of the rate. */ -}}
{{- define "shardcast.shutdownSeconds" -}}
{{- mulf 2.5 (include "shardcast.drainSeconds" . | float64) | ceil | int64 -}}
{{- end -}}

{{- /* shutdown.timeout unless it is set: ten seconds more, for what is in flight. */ -}}
{{- define "shardcast.shutdownTimeout" -}}
{{- max 30 (add 10 (include "shardcast.shutdownSeconds" . | int64)) -}}
{{- end -}}

{{- /* --failover delayed waits 5 s where no delay is set, immediate does not wait. */ -}}
{{- define "shardcast.stopDelay" -}}
{{- $delay := include "shardcast.seconds" (list "config.shutdown.drain_delay" (include "shardcast.option" (list .Values.config "shutdown.drain_delay" "0"))) | int -}}
{{- $failover := include "shardcast.option" (list .Values.config "shutdown.failover" "graceful") -}}
{{- if and (eq $failover "delayed") (eq $delay 0) -}}5{{- else -}}{{- $delay -}}{{- end -}}
{{- end -}}

{{- /* Longer than a stop can take, so that the supervisor ends it and not the kubelet. */ -}}
{{- define "shardcast.gracePeriod" -}}
{{- $timeout := include "shardcast.option" (list .Values.config "shutdown.timeout" (printf "%ss" (include "shardcast.shutdownTimeout" .))) -}}
{{- add (include "shardcast.stopDelay" .) (include "shardcast.seconds" (list "config.shutdown.timeout" $timeout)) 10 -}}
{{- end -}}

{{- /* Bytes of each ring: shard.ring KiB, at least eight of the largest messages, rounded up to a power of two. */ -}}
{{- define "shardcast.ringBytes" -}}
{{- $ring := mul 1024 (include "shardcast.option" (list .Values.config "shard.ring" 2048) | int64) -}}
{{- $payload := include "shardcast.bytes" (list "config.limits.max_payload" (include "shardcast.option" (list .Values.config "limits.max_payload" "64KiB"))) | int64 -}}
{{- $least := max $ring (mul 8 (add $payload 16384)) -}}
{{- $bytes := 1 -}}
{{- range until 40 -}}{{- if lt $bytes $least -}}{{- $bytes = mul 2 $bytes -}}{{- end -}}{{- end -}}
{{- $bytes -}}
{{- end -}}

{{- /*
/dev/shm: a ring for each shard and for one more, so that one can be added, the history, and tables. The program wants 1 MiB for tables, 2 MiB
more with Kafka, and 2 MiB for each shard with webhooks; here is 4 MiB of room beyond that.
*/ -}}
{{- define "shardcast.sharedMemoryBytes" -}}
{{- if .Values.sharedMemory -}}
{{- include "shardcast.quantity" (list "sharedMemory" .Values.sharedMemory) -}}
{{- else -}}
{{- $history := include "shardcast.bytes" (list "config.cluster.history_memory" (include "shardcast.option" (list .Values.config "cluster.history_memory" "32MiB"))) | int64 -}}
{{- $perShard := add 65536 (include "shardcast.ringBytes" .) (ternary 2162688 0 (or (hasKey (default dict .Values.config.webhooks) "targets") (hasKey .Values.secrets "SHARDCAST_WEBHOOKS"))) -}}
{{- $kafka := ternary 2097152 0 (hasKey (default dict .Values.config.kafka) "brokers") -}}
{{- $bytes := add $history (mul (add 1 (include "shardcast.shards" .)) $perShard) $kafka 5242880 -}}
{{- mul 1048576 (divf $bytes 1048576 | ceil | int64) -}}
{{- end -}}
{{- end -}}

{{- /*
Memory: /dev/shm, 256 MiB for supervisor and balancer, for each shard 256 MiB and what may wait for slow clients, 32 KiB for each connection
here and in the kernel.
*/ -}}
{{- define "shardcast.memoryBytes" -}}
{{- if .Values.memory -}}
{{- include "shardcast.quantity" (list "memory" .Values.memory) -}}
{{- else -}}
{{- $waiting := include "shardcast.bytes" (list "config.client.queue_total_max_size" (include "shardcast.option" (list .Values.config "client.queue_total_max_size" "1GiB"))) | int64 -}}
{{- $bytes := add (include "shardcast.sharedMemoryBytes" .) 268435456 (mul (include "shardcast.shards" .) (add 268435456 $waiting)) (mul 32768 (include "shardcast.connections" .)) -}}
{{- mul 1048576 (divf $bytes 1048576 | ceil | int64) -}}
{{- end -}}
{{- end -}}

{{- define "shardcast.mebibytes" -}}
{{- printf "%dMi" (div (int64 .) 1048576) -}}
{{- end -}}
