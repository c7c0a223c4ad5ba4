import { defaultConfig } from "@shardcast/config";
import { PartAnswers } from "@shardcast/control";
import { ProcessMetrics, SpanExporter, silentLog } from "@shardcast/telemetry";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Features } from "../../src/lifecycle/features.ts";
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
