import { mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "@shardcast/telemetry";
import { waitFor } from "@shardcast/testkit";
import { afterEach, expect, it, vi } from "vitest";
import type { Connection } from "../../src/library/connections.ts";
import { type MetricSink, SinkFeed } from "../../src/library/metric-sink.ts";
import { createServer, type ServerOptions } from "../../src/library/server.ts";
import { StatusLine } from "../../src/lifecycle/status-line.ts";
import { Tracing } from "../../src/tracing/tracing.ts";

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

it.each<[string, object, string]>([
	["no array of middleware", { middleware: 5 }, "middleware must be an array, and not a number"],
	["a middleware that is none", { middleware: [() => {}, null] }, "a middleware must be a function, and not null"],
	["a status line that is none", { statusLine: true }, "statusLine, if it is not false, must be a function, and not a boolean"],
	["a log without methods", { log: { info() {} } }, "log must have the methods debug, info, warn, error"],
	["null for a log", { log: null }, "log must have the methods debug, info, warn, error"],
])("%s is an error", (_what, options, message) => {
	expect(() => create(options)).toThrow(new TypeError(message));
});

it.each([[null], [5], ["x"], [[]]])("the configuration %j is an error", (config) => {
	expect(() => createServer(config as never)).toThrow(
		/^createServer takes the configuration as an object, such as \{ addr: ":9002" \}, and not /,
	);
});

it("a handler that is no function is an error, and nothing has begun", async () => {
	const server = create({});
	const wrong = 5 as never;
	expect(() => server.use(wrong)).toThrow(new TypeError("a middleware must be a function, and not a number"));
	expect(() => server.onRpc("a", wrong)).toThrow(new TypeError("the handler of onRpc must be a function, and not a number"));
	expect(() => server.onMessage(wrong)).toThrow(new TypeError("the handler of onMessage must be a function, and not a number"));
	expect(() => server.run(wrong)).toThrow(new TypeError("the handler of run must be a function, and not a number"));
	expect(() => server.publish("a")).toThrow("the server is not running yet");
	await server.shutdown();
});

it("a server that cannot be created closes the durable store that it has opened", async () => {
	const folder = mkdtempSync(join(tmpdir(), "shardcast-"));
	const opened = () => readdirSync("/proc/self/fd").filter((fd) => targetOf(fd).startsWith(folder)).length;
	const create = vi.spyOn(Tracing, "create").mockImplementation(() => {
		expect(opened()).toBeGreaterThan(0);
		throw new Error("a later part");
	});
	try {
		expect(() => createServer({ durableStorePath: folder }, { log: silentLog() })).toThrow("a later part");
		await waitFor(() => opened() === 0, { what: "a closed store", deadlineMs: 5000 });
	} finally {
		create.mockRestore();
		rmSync(folder, { recursive: true });
	}
});

function targetOf(fd: string): string {
	try {
		return readlinkSync(`/proc/self/fd/${fd}`);
	} catch {
		// It was that of the listing.
		return "";
	}
}
