import { defaultConfig } from "@shardcast/config";
import { PartAnswers } from "@shardcast/control";
import { ProcessMetrics, type Span, SpanExporter, silentLog, Tracer, traceContextOf } from "@shardcast/telemetry";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Features } from "../../src/lifecycle/features.ts";
import { RequestSpan } from "../../src/tracing/request-span.ts";
import { Tracing } from "../../src/tracing/tracing.ts";

describe("traces at the end of a server", () => {
	afterEach(() => void vi.restoreAllMocks());

	it("have their time when closing the clients took half of the drain's", async () => {
		const flush = vi.spyOn(SpanExporter.prototype, "flush").mockResolvedValue();
		const config = { ...defaultConfig(), otlpEndpoint: "http://127.0.0.1:9" };
		const tracing = Tracing.create({ config, live: { config }, log: silentLog(), instance: "test/0" })!;
		const clock = vi.spyOn(performance, "now").mockReturnValue(0);
		const clients = { name: "clients", drainShare: 1, drain: () => void clock.mockReturnValue(5_000) };
		const parts = { parts: new PartAnswers(), metrics: new ProcessMetrics("shard-0", 0), log: silentLog() };
		await new Features([clients, tracing], parts).drain(10_000);
		expect(flush.mock.calls).toEqual([[1_000]]);
		tracing.stop();
	});
});

describe("the span of a request", () => {
	function begun() {
		const spans: Span[] = [];
		const context = traceContextOf(`00-${"a".repeat(32)}-${"b".repeat(16)}-01`, "")!;
		const tracer = new Tracer({ sample: () => context }, { add: (span) => void spans.push(span) });
		return { spans, span: RequestSpan.begin({ tracer, isTagged: () => false }, { header: () => "" }, "/api/publish")! };
	}
	const reply = (status: number) => ({ status, body: "", headers: {}, close: false });

	it.each([
		[200, undefined],
		[400, undefined],
		[429, undefined],
		[499, undefined],
		[500, "status 500"],
		[503, "status 503"],
	])("that is answered with %i", (status, error) => {
		const { spans, span } = begun();
		span.endsWith(reply(status));
		expect(spans).toHaveLength(1);
		expect(spans[0]!.attributes["http.response.status_code"]).toBe(status);
		expect(spans[0]!.error).toBe(error);
	});

	it("whose handler fails is an error", async () => {
		const { spans, span } = begun();
		await expect(Promise.resolve(span.endsWith(Promise.reject(new Error("a bug"))))).rejects.toThrow("a bug");
		expect(spans[0]!.error).toBe("status 500");
	});
});
