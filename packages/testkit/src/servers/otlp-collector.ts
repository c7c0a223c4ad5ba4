import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { waitFor } from "../wait.ts";

/** A span as it was received. */
export interface ReceivedSpan {
	readonly service: string;
	readonly name: string;
	readonly kind: number;
	readonly traceId: string;
	readonly spanId: string;
	/** "" = the first of its trace. */
	readonly parentId: string;
	readonly state: string;
	readonly startNs: bigint;
	readonly endNs: bigint;
	readonly attributes: Readonly<Record<string, string | number | boolean>>;
	readonly error: string | undefined;
}

interface Attribute {
	readonly key: string;
	readonly value: {
		readonly stringValue?: string;
		readonly intValue?: string;
		readonly doubleValue?: number;
		readonly boolValue?: boolean;
	};
}

interface SpanJson {
	readonly name: string;
	readonly kind: number;
	readonly traceId: string;
	readonly spanId: string;
	readonly parentSpanId?: string;
	readonly traceState?: string;
	readonly startTimeUnixNano: string;
	readonly endTimeUnixNano: string;
	readonly attributes: readonly Attribute[];
	readonly status?: { readonly message?: string };
}

interface ExportJson {
	readonly resourceSpans: readonly {
		readonly resource: { readonly attributes: readonly Attribute[] };
		readonly scopeSpans: readonly { readonly spans: readonly SpanJson[] }[];
	}[];
}

/** A collector of OpenTelemetry that takes traces over HTTP as JSON, and decodes them. It can also hang: then it takes requests and never answers. */
export class OtlpCollector {
	hangs = false;
	readonly spans: ReceivedSpan[] = [];
	/** Headers of each request. */
	readonly headers: IncomingHttpHeaders[] = [];
	/** Requests that were not exports of traces, and what was wrong. */
	readonly problems: string[] = [];
	readonly #server: Server;

	private constructor() {
		this.#server = createServer((request, response) => {
			const parts: Buffer[] = [];
			request.on("data", (part: Buffer) => parts.push(part));
			request.on("end", () => {
				this.headers.push(request.headers);
				if (this.hangs) return;
				try {
					if (`${request.method} ${request.url}` !== "POST /v1/traces") throw new Error(`${request.method} ${request.url}`);
					this.#take(JSON.parse(Buffer.concat(parts).toString()) as ExportJson);
					response.setHeader("content-type", "application/json");
					response.end("{}");
				} catch (error) {
					this.problems.push((error as Error).message);
					response.writeHead(400).end();
				}
			});
		});
	}

	static async start(): Promise<OtlpCollector> {
		const collector = new OtlpCollector();
		await new Promise<void>((resolve) => collector.#server.listen(0, "127.0.0.1", resolve));
		return collector;
	}

	get url(): string {
		return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
	}

	/** Waits until the trace has at least so many spans, and returns them. */
	async trace(traceId: string, count: number, deadlineMs = 15_000): Promise<readonly ReceivedSpan[]> {
		const found = () => this.spans.filter((span) => span.traceId === traceId);
		await waitFor(
			() => {
				if (found().length < count)
					throw new Error(
						`there are ${found()
							.map(({ name }) => name)
							.join(", ")}; ${this.problems.join(", ")}`,
					);
				return true;
			},
			{ deadlineMs, what: `${count} spans of ${traceId}` },
		);
		return found();
	}

	async close(): Promise<void> {
		this.#server.closeAllConnections();
		await new Promise((resolve) => this.#server.close(resolve));
	}

	#take({ resourceSpans }: ExportJson): void {
		for (const { resource, scopeSpans } of resourceSpans) {
			const service = String(valuesOf(resource.attributes)["service.name"]);
			for (const { spans } of scopeSpans) for (const span of spans) this.spans.push(received(service, span));
		}
	}
}

function received(service: string, span: SpanJson): ReceivedSpan {
	if (!/^[\da-f]{32}$/.test(span.traceId) || !/^[\da-f]{16}$/.test(span.spanId)) throw new Error(`ids ${span.traceId} ${span.spanId}`);
	return {
		service,
		name: span.name,
		kind: span.kind,
		traceId: span.traceId,
		spanId: span.spanId,
		parentId: span.parentSpanId ?? "",
		state: span.traceState ?? "",
		startNs: BigInt(span.startTimeUnixNano),
		endNs: BigInt(span.endTimeUnixNano),
		attributes: valuesOf(span.attributes),
		error: span.status?.message,
	};
}

function valuesOf(attributes: readonly Attribute[]): Record<string, string | number | boolean> {
	return Object.fromEntries(
		attributes.map(({ key, value }) => [key, value.stringValue ?? value.boolValue ?? value.doubleValue ?? Number(value.intValue)]),
	);
}
