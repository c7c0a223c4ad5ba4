{{- /* A duration as the program reads it, such as 5s, 1.5m or 1h30m0s, in seconds, rounded up. Arguments: what it is, its value. */ -}}
{{- define "shardcast.seconds" -}}
{{- $text := toString (index . 1) | trim -}}
{{- if and (ne $text "0") (not (regexMatch "^(\\d+(\\.\\d+)?(ms|[hms]))+$" $text)) -}}
{{- fail (printf "%s: %q is not a duration; write 5s, 500ms or 2m" (index . 0) $text) -}}
{{- end -}}
{{- $total := 0.0 -}}
{{- range regexFindAll "\\d+(\\.\\d+)?(ms|[hms])" $text -1 -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- $each := dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 -}}
{{- $total = addf $total (mulf (float64 (trimSuffix $unit .)) (get $each $unit)) -}}
{{- end -}}
{{- ceil $total | int64 -}}
{{- end -}}

{{- /* A size as the program reads it, such as 64KiB, 1.5MiB or 4096, in bytes. Arguments: what it is, its value. */ -}}
{{- define "shardcast.bytes" -}}
{{- $value := index . 1 -}}
{{- $text := toString $value | trim | lower -}}
{{- if kindIs "float64" $value -}}{{- $text = $value | int64 | toString -}}{{- end -}}
{{- if not (regexMatch "^\\d+(\\.\\d+)?\\s*([kmg]i?b|b)?$" $text) -}}
{{- fail (printf "%s: %q is not a size; write 64KiB, 1MiB or a number of bytes" (index . 0) $text) -}}
{{- end -}}
{{- $unit := regexFind "[a-z]+$" $text -}}
{{- $each := dict "" 1.0 "b" 1.0 "kib" 1024.0 "mib" 1048576.0 "gib" 1073741824.0 "kb" 1000.0 "mb" 1000000.0 "gb" 1000000000.0 -}}
{{- mulf (float64 (trimSuffix $unit $text | trim)) (get $each $unit) | int64 -}}
{{- end -}}

{{- /* A memory quantity of Kubernetes, such as 2Gi or 512Mi, or none of these suffixes = bytes. Arguments: what it is, its value. */ -}}
{{- define "shardcast.quantity" -}}
{{- $text := toString (index . 1) -}}
{{- if not (regexMatch "^\\d+(\\.\\d+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$" $text) -}}
{{- fail (printf "%s: %q is not an amount of memory; write 512Mi or 2Gi" (index . 0) $text) -}}
{{- end -}}
{{- $unit := regexFind "[A-Za-z]+$" $text -}}
{{- $each := dict "" 1.0 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "k" 1000.0 "M" 1000000.0 "G" 1000000000.0 "T" 1000000000000.0 -}}
{{- mulf (float64 (trimSuffix $unit $text)) (get $each $unit) | int64 -}}
{{- end -}}
