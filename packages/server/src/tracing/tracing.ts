import { type Config, keyValueList } from "@shardcast/config";
import { traceMetrics } from "@shardcast/control";
import { type Log, type ProcessMetrics, type Span, SpanExporter, Tracer, TraceSampler } from "@shardcast/telemetry";
import { Backend } from "../backend/backend.ts";
import type { Feature } from "../lifecycle/feature.ts";
import { version } from "../version.ts";

interface TracingParts {
	readonly config: Config;
	readonly live: { readonly config: Pick<Config, "traceSample"> };
	readonly log: Pick<Log, "info" | "warn">;
	/** Names this process among those of the service. */
	readonly instance: string;
}

const timeoutMs = 10_000;
const replyBytesMax = 64 * 1024;
/** A process that ends must not wait long for a collector. */
const flushMsMax = 1000;

/** Exports traces to an OpenTelemetry collector, over HTTP. Exists only with `--otlp-endpoint`: otherwise nothing is loaded, and no message is looked at. */
export class Tracing implements Feature {
	readonly name = "tracing";
	/** It is the last one: closing the clients may have taken more than the usual share. */
	readonly drainShare = 1;
	readonly tracer: Tracer;
	readonly #exporter: SpanExporter;
	readonly #sampler: TraceSampler;
	#limitedElsewhere = 0;

	/** Null = traces are not exported. */
	static create(parts: TracingParts): Tracing | null {
		return parts.config.otlpEndpoint === "" ? null : new Tracing(parts);
	}

	private constructor({ config, live, log, instance }: TracingParts) {
		const endpoint = tracesEndpoint(config.otlpEndpoint);
		this.#sampler = new TraceSampler(() => live.config.traceSample);
		this.#exporter = new SpanExporter({
			caller: new Backend({ name: "otlp", endpoint, timeoutMs, concurrency: 1, queueMax: 1, replyBytesMax }),
			headers: lowerCase(keyValueList(config.otlpHeaders ?? "")),
			resource: {
				"service.name": config.traceService,
				"service.version": version,
				"service.instance.id": instance,
				"process.pid": process.pid,
				...keyValueList(config.traceAttributes),
			},
			scope: { name: "shardcast", version },
			log,
		});
		this.tracer = new Tracer(this.#sampler, this.#exporter);
	}

	/** Takes the spans of a worker thread, and counts those that found no room there. */
	readonly take = (spans: readonly Span[], dropped: number, limited: number): void => {
		for (const span of spans) this.tracer.add(span);
		this.#exporter.addDropped(dropped);
		this.#limitedElsewhere += limited;
	};

	measures(metrics: Pick<ProcessMetrics, "addReading">): void {
		const { spans, requests } = this.#exporter;
		metrics.addReading(traceMetrics, () => ({
			spans,
			requests,
			limited: this.#sampler.limited + this.#limitedElsewhere,
			waiting: this.#exporter.waiting,
		}));
	}

	drain(leftMs: number): Promise<void> {
		return this.#exporter.flush(Math.min(leftMs, flushMsMax));
	}

	stop(): void {
		this.#exporter.stop();
	}
}

/** The standard's rule: the endpoint is a base, to which the path of the signal is added. */
export function tracesEndpoint(base: string): string {
	const url = new URL(base);
	const path = url.pathname.replace(/\/+$/, "");
	if (!path.endsWith("/v1/traces")) url.pathname = `${path}/v1/traces`;
	return url.href;
}

const lowerCase = (headers: Readonly<Record<string, string>>) =>
	Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
