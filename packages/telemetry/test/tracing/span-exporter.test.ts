import { afterEach, describe, expect, it, vi } from "vitest";
import { type Span, SpanExporter, SpanKind, type TraceCaller } from "../../src/index.ts";

type Outcome = Awaited<ReturnType<TraceCaller["call"]>>;
const ok: Outcome = { body: Buffer.from("{}") };
const away: Outcome = { failure: "unreachable", status: 0, detail: "ECONNREFUSED" };
const context = { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7", isSampled: true, state: "a=1" };
const span = (name = "s", more: Partial<Span> = {}): Span => ({
	...{ name, kind: SpanKind.server, context, parentId: "", startMs: 1_700_000_000_000.25, endMs: 1_700_000_000_001.5, attributes: {} },
	...more,
});

/** Answers with the given outcomes, the last one again and again. */
function rig(...outcomes: Outcome[]) {
	vi.useFakeTimers();
	const bodies: { readonly resourceSpans: readonly { readonly scopeSpans: readonly { readonly spans: readonly object[] }[] }[] }[] = [];
	const lines: string[] = [];
	let stopped = false;
	const caller: TraceCaller = {
		call: async ({ body }) => {
			bodies.push(JSON.parse(Buffer.from(body).toString()));
			return outcomes.length > 1 ? outcomes.shift()! : outcomes[0]!;
		},
		stop: () => {
			stopped = true;
		},
	};
	const line = (_: unknown, text?: unknown) => void lines.push(String(text));
	const exporter = new SpanExporter({
		...{ caller, headers: {}, resource: { "service.name": "x" }, scope: { name: "shardcast", version: "1" } },
		log: { warn: line, info: line } as never,
		random: () => 1,
	});
	return {
		exporter,
		bodies,
		lines,
		isStopped: () => stopped,
		spans: () => bodies.flatMap((body) => body.resourceSpans[0]!.scopeSpans[0]!.spans),
	};
}

describe("the export of spans", () => {
	afterEach(() => void vi.useRealTimers());

	it("sends them together after a second, in the JSON of OTLP", async () => {
		const { exporter, bodies, spans } = rig(ok);
		exporter.add(
			span("one", { parentId: "00f067aa0ba902b8", attributes: { text: "t", whole: 3, part: 0.5, yes: true }, error: "timeout" }),
		);
		exporter.add(span("two"));
		await vi.advanceTimersByTimeAsync(999);
		expect(bodies).toHaveLength(0);
		await vi.advanceTimersByTimeAsync(1);
		expect(bodies).toHaveLength(1);
		expect(spans()[0]).toEqual({
			...{ traceId: context.traceId, spanId: context.spanId, traceState: "a=1", parentSpanId: "00f067aa0ba902b8", name: "one", kind: 2 },
			...{ startTimeUnixNano: "1700000000000250000", endTimeUnixNano: "1700000000001500000" },
			attributes: [
				{ key: "text", value: { stringValue: "t" } },
				{ key: "whole", value: { intValue: "3" } },
				{ key: "part", value: { doubleValue: 0.5 } },
				{ key: "yes", value: { boolValue: true } },
			],
			status: { code: 2, message: "timeout" },
		});
		expect(exporter.spans).toEqual({ exported: 2, dropped: 0, failed: 0 });
		expect(exporter.waiting).toBe(0);
	});

	it.each([
		[{ failure: "too_large", status: 200, detail: "" }, "too_large"],
		[{ failure: "reset", status: 200, detail: "ECONNRESET" }, "reset (ECONNRESET)"],
		[{ failure: "status", status: 500, detail: "" }, "status 500"],
		[{ failure: "timeout", status: 503, detail: "" }, "status 503"],
	])("says why a collector did not take them: %j", async (outcome, why) => {
		const { exporter, lines } = rig(outcome);
		exporter.add(span());
		await vi.advanceTimersByTimeAsync(1000);
		expect(lines[0]).toContain(`traces cannot be exported: ${why}.`);
		exporter.stop();
	});

	it("tries again with growing pauses, says so once, and loses nothing if the collector is back in time", async () => {
		const { exporter, bodies, lines } = rig(away, away, ok);
		exporter.add(span());
		await vi.advanceTimersByTimeAsync(1000);
		await vi.advanceTimersByTimeAsync(1000);
		expect(bodies).toHaveLength(2);
		await vi.advanceTimersByTimeAsync(1999);
		expect(bodies).toHaveLength(2);
		await vi.advanceTimersByTimeAsync(1);
		expect(exporter.spans).toEqual({ exported: 1, dropped: 0, failed: 0 });
		expect(exporter.requests).toEqual({ ok: 1, unreachable: 2 });
		expect(lines).toHaveLength(2);
		expect(lines[0]).toMatch(/cannot be exported: unreachable \(ECONNREFUSED\)/);
		expect(lines[1]).toMatch(/again/);
	});

	it("gives a batch up after six attempts, and at once if the collector refuses it", async () => {
		const gone = rig(away);
		gone.exporter.add(span());
		await vi.advanceTimersByTimeAsync(120_000);
		expect(gone.bodies).toHaveLength(6);
		expect(gone.exporter.spans.failed).toBe(1);
		expect(gone.lines).toHaveLength(1);
		const refusing = rig({ failure: "status", status: 400, detail: "" });
		refusing.exporter.add(span());
		await vi.advanceTimersByTimeAsync(120_000);
		expect(refusing.bodies).toHaveLength(1);
		expect(refusing.exporter.spans.failed).toBe(1);
	});

	it("keeps 4,096 spans while the collector hangs, drops further ones and counts them", async () => {
		const { exporter } = rig(away);
		for (let count = 0; count < 5000; count++) exporter.add(span());
		expect(exporter.waiting).toBe(4096);
		expect(exporter.spans.dropped).toBe(904);
		exporter.stop();
		expect(exporter.spans.dropped).toBe(5000);
		exporter.add(span());
		expect(exporter.waiting).toBe(0);
	});

	it("counts spans that the collector rejects in a reply of success, and says why, once a minute at most", async () => {
		const { exporter, lines } = rig({ body: Buffer.from('{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too\\u001bold"}}') });
		for (let count = 0; count < 3; count++) exporter.add(span());
		await vi.advanceTimersByTimeAsync(1000);
		expect(exporter.spans).toEqual({ exported: 1, dropped: 0, failed: 2 });
		exporter.add(span());
		await vi.advanceTimersByTimeAsync(1000);
		expect(lines).toEqual(['the collector of traces rejects spans: 2 of 3, because of "too old"']);
	});

	it("does not shorten the pause after a failure when further spans come", async () => {
		const { exporter, bodies } = rig({ failure: "status", status: 400, detail: "" });
		for (let count = 0; count < 1024; count++) exporter.add(span());
		await vi.advanceTimersByTimeAsync(0);
		expect(bodies).toHaveLength(1);
		exporter.add(span());
		await vi.advanceTimersByTimeAsync(999);
		expect(bodies).toHaveLength(1);
		await vi.advanceTimersByTimeAsync(1);
		expect(bodies).toHaveLength(2);
		exporter.stop();
	});

	it("pauses as long as the collector asks for, but five minutes at most", async () => {
		const asks = (retryAfterMs: number): Outcome => ({ failure: "status", status: 429, detail: "", retryAfterMs });
		const { exporter, bodies } = rig(asks(20_000), asks(86_400_000), ok);
		exporter.add(span());
		await vi.advanceTimersByTimeAsync(1000 + 19_999);
		expect(bodies).toHaveLength(1);
		await vi.advanceTimersByTimeAsync(1);
		expect(bodies).toHaveLength(2);
		await vi.advanceTimersByTimeAsync(299_999);
		expect(bodies).toHaveLength(2);
		await vi.advanceTimersByTimeAsync(1);
		expect(exporter.spans).toEqual({ exported: 1, dropped: 0, failed: 0 });
	});

	it("tries once more before a process ends, although the collector failed before", async () => {
		const { exporter } = rig(away, ok);
		exporter.add(span());
		await vi.advanceTimersByTimeAsync(1000);
		expect(exporter.requests).toEqual({ ok: 0, unreachable: 1 });
		const flushed = exporter.flush(1000);
		await vi.advanceTimersByTimeAsync(0);
		await flushed;
		expect(exporter.spans).toEqual({ exported: 1, dropped: 0, failed: 0 });
	});

	it("says how many spans are lost when it stops, and nothing if none is", async () => {
		const lost = rig(away);
		for (let count = 0; count < 3; count++) lost.exporter.add(span());
		lost.exporter.stop();
		lost.exporter.stop();
		expect(lost.lines).toEqual(["the server stops: 3 spans of traces were not exported, and are lost"]);
		const { exporter, lines } = rig(ok);
		exporter.add(span());
		await vi.advanceTimersByTimeAsync(1000);
		exporter.stop();
		expect(lines).toEqual([]);
	});

	it("sends what waits before a process ends, but does not wait for a collector that fails", async () => {
		const { exporter, isStopped } = rig(ok);
		for (let count = 0; count < 1100; count++) exporter.add(span());
		const flushed = exporter.flush(1000);
		await vi.advanceTimersByTimeAsync(20);
		await flushed;
		expect(exporter.spans.exported).toBe(1100);
		const failing = rig(away);
		failing.exporter.add(span());
		let isOver = false;
		void failing.exporter.flush(1000).then(() => (isOver = true));
		await vi.advanceTimersByTimeAsync(20);
		expect(isOver).toBe(true);
		exporter.stop();
		expect(isStopped()).toBe(true);
	});
});
