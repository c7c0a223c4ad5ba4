import { parseEndpoint } from "../../../units/endpoint.ts";
import { checkHeaderValue, parseHeaderName } from "../../../units/header.ts";
import { keyValueList } from "../../../units/key-values.ts";
import { checkedText, duration, fraction, offOr, secretText, text, toggle } from "../../kinds.ts";
import { option } from "../../option.ts";

/** Section `tracing`. */
export const tracingOptions = {
	otlpEndpoint: option({
		flag: "otlp-endpoint",
		key: "otlp_endpoint",
		variable: "OTEL_EXPORTER_OTLP_ENDPOINT",
		kind: checkedText({ argument: "<url>", check: checkCollector }),
		default: "",
		help: "OpenTelemetry collector that gets traces, over HTTP with JSON: its base URL, to which /v1/traces is added; empty = no traces.",
	}),
	otlpHeaders: option({
		flag: "otlp-headers",
		key: "otlp_headers",
		variable: "OTEL_EXPORTER_OTLP_HEADERS",
		kind: secretText({ argument: "<key=value,…>", check: checkHeaders, shown: () => "set (hidden)" }),
		default: undefined,
		help: "Headers of each request to the collector, such as a key: key=value, separated by commas, values percent-encoded.",
	}),
	traceService: option({
		flag: "trace-service",
		key: "service",
		variable: "OTEL_SERVICE_NAME",
		kind: text({ argument: "<name>", matches: /^[^\p{C}]{1,128}$/u, expected: "a name of 1 to 128 characters" }),
		default: "shardcast",
		help: "Name of this service in traces.",
	}),
	traceAttributes: option({
		flag: "trace-attributes",
		key: "attributes",
		variable: "OTEL_RESOURCE_ATTRIBUTES",
		kind: checkedText({ argument: "<key=value,…>", check: keyValueList }),
		default: "",
		help: "Further attributes of this service in traces: key=value, separated by commas, values percent-encoded.",
	}),
	traceSample: option({
		flag: "trace-sample",
		key: "sample",
		variable: "OTEL_TRACES_SAMPLER_ARG",
		kind: fraction(),
		default: 0.01,
		live: true,
		help: "Share of the publications and backend calls without a trace context that are traced, from 0 to 1; with one, its sampled flag decides.",
	}),
	traceTags: option({
		flag: "trace-tags",
		key: "tags",
		kind: toggle(),
		default: false,
		live: true,
		help: "Give subscribers the trace context of traced publications over HTTP as the tag traceparent.",
	}),
	slowMessageMs: option({
		flag: "slow-message-log",
		key: "slow_messages",
		kind: offOr(duration({ minMs: 1, maxMs: 3_600_000, zero: true })),
		default: 0,
		live: true,
		help: "Log publications that take longer, from publish or Kafka's time stamp to the last write to a socket, and where the time went; one line in two seconds at most; 0 or off = none.",
	}),
} as const;

function checkCollector(url: string): void {
	parseEndpoint(url);
}

function checkHeaders(list: string): void {
	for (const [name, value] of Object.entries(keyValueList(list))) {
		parseHeaderName(name);
		checkHeaderValue(value);
	}
}
