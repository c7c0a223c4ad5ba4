import { silentLog } from "@shardcast/telemetry";
import { waitFor } from "@shardcast/testkit";
import { afterEach, expect, it, vi } from "vitest";
import type { Connection } from "../../src/library/connections.ts";
import { type MetricSink, SinkFeed } from "../../src/library/metric-sink.ts";
import { createServer, type ServerOptions } from "../../src/library/server.ts";
import { StatusLine } from "../../src/lifecycle/status-line.ts";

/** A log that keeps its warnings. */
function listening() {
	const warnings: string[] = [];
	const log = Object.assign(silentLog(), { warn: (_fields: object, message: string) => void warnings.push(message) });
	return { log, warnings };
}

const create = (options: ServerOptions) => createServer({ addr: "127.0.0.1:0" }, { log: silentLog(), statusLine: false, ...options });

afterEach(() => {
	vi.useRealTimers();
});

it.each([Number.NaN, undefined, 0, -1, 5e9, "1000"])("%s ms is not a valid interval for a metric sink", (everyMs) => {
	const metricSink = { everyMs, write: () => {} } as MetricSink;
	expect(() => create({ metricSink })).toThrow(
		new RangeError(`metricSink.everyMs is ${everyMs}; it must be in milliseconds, from 1 to 2147483647`),
	);
});

it("a metric sink without write is an error", () => {
	expect(() => create({ metricSink: { everyMs: 1000 } as MetricSink })).toThrow(
		new TypeError("metricSink.write must be a function that accepts the samples"),
	);
});

it("the last values reach the sink within a deadline", async () => {
	const { log, warnings } = listening();
	const sink = { everyMs: 1000, write: () => new Promise<void>(() => {}) };
	await new SinkFeed({ sink, values: async () => [], log }).writeLast(20);
	expect(warnings).toEqual(["the metric sink did not accept the last values in time"]);
});

it("the last values follow those that are being written", async () => {
	const { log, warnings } = listening();
	const written: number[] = [];
	let isFree = () => {};
	const sink: MetricSink = {
		everyMs: 1000,
		write: async (samples) => {
			await new Promise<void>((resolve) => {
				isFree = resolve;
			});
			written.push(samples[0]!.value);
		},
	};
	let value = 1;
	const values = async () => [{ name: "a", type: "gauge", values: [{ labels: {}, value }] }] as never;
	const feed = new SinkFeed({ sink, values, log });
	const first = feed.write();
	await Promise.resolve();
	value = 2;
	const last = feed.writeLast(5000);
	await vi.waitFor(() => {
		isFree();
		expect(written).toEqual([1, 2]);
	});
	await Promise.all([first, last]);
	expect(warnings).toEqual([]);
});

it.each([Number.NaN, Number.POSITIVE_INFINITY, -1, "SIGTERM"])("%s is not a valid time for a shutdown", async (time) => {
	const server = create({});
	expect(() => server.shutdown(time as number)).toThrow(RangeError);
	await server.shutdown(0);
});

it.each([
	[
		"throws",
		() => {
			throw new Error("no terminal");
		},
	],
	["rejects", () => Promise.reject(new Error("no terminal"))],
])("a status line whose function %s continues, and the failure is logged", async (_, print) => {
	vi.useFakeTimers();
	const failures: unknown[] = [];
	const line = new StatusLine({
		connections: () => 0,
		messages: () => 0,
		print,
		onError: (error) => failures.push((error as Error).message),
	});
	line.start();
	await vi.advanceTimersByTimeAsync(4000);
	line.stop();
	expect(failures).toEqual(["no terminal", "no terminal"]);
});

it.each(["open", "close"] as const)("a listener for %s whose promise rejects is logged", async (event) => {
	const { log, warnings } = listening();
	const server = create({ log });
	server.on(event, () => Promise.reject(new Error("in a listener")));
	const connection = {} as Connection;
	if (event === "open") server.emit(event, connection);
	else server.emit(event, connection, 1000);
	await waitFor(() => warnings.length > 0, { deadlineMs: 2000, what: "the warning" });
	expect(warnings).toEqual([`a listener for "${event}" failed`]);
});
