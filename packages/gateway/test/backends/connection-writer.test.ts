import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { waitFor } from "@shardcast/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConnectionWriter, type Outgoing, WritesAtOnce } from "../../src/backends/connection-writer.ts";
import { LinkCounts } from "../../src/backends/link-counts.ts";
import { SpareBuffers } from "../../src/backends/spare-buffers.ts";
import { Bandwidth } from "../../src/flow/bandwidth.ts";

describe("a connection's writer", () => {
	let server: Server;
	let socket: Socket;
	let received = "";
	beforeEach(async () => {
		received = "";
		server = createServer((peer) => peer.on("data", (bytes) => (received += bytes.toString())));
		server.listen(0, "127.0.0.1");
		await once(server, "listening");
		socket = connect((server.address() as { port: number }).port, "127.0.0.1");
		await once(socket, "connect");
	});
	afterEach(() => {
		socket.destroy();
		server.close();
	});

	function start(waiting: Outgoing[], { atOnce = new WritesAtOnce(8), onNext = (_writer: ConnectionWriter): void => {} } = {}) {
		const counts = new LinkCounts();
		const writer: ConnectionWriter = new ConnectionWriter({
			...{ backendId: 1, socket, spare: new SpareBuffers(), counts, atOnce },
			rate: new Bandwidth(0, 0),
			nowMs: () => 0,
			next: () => {
				const next = waiting.shift() ?? null;
				onNext(writer);
				return next;
			},
			onWritten: () => {
				if (waiting.length > 0) writer.wake();
			},
		});
		return { writer, counts };
	}
	const texts = (count: number) => Array.from({ length: count }, (_, index) => `${index};`);

	it("writes each once and in order, also if taking one out wakes it again", async () => {
		const { writer, counts } = start(
			texts(20).map((text) => Buffer.from(text)),
			{ onNext: (itself) => itself.wakeAtOnce() },
		);
		writer.wakeAtOnce();
		await waitFor(() => received.length >= texts(20).join("").length, { deadlineMs: 5000, what: "20 frames" });
		expect(received).toBe(texts(20).join(""));
		expect(counts).toMatchObject({ sentFrames: 20, writes: 1 });
	});

	it("writes at once as often as all connections may in a turn, and the rest at its end", async () => {
		const atOnce = new WritesAtOnce(2);
		const waiting = [["a"], ["b"], ["c"]].map((list) => list.map((text) => Buffer.from(text)));
		const writers = waiting.map((list) => start(list, { atOnce }));
		for (const { writer } of writers) writer.wakeAtOnce();
		expect(writers.map(({ counts }) => counts.writes)).toEqual([1, 1, 0]);
		await waitFor(() => received === "abc", { deadlineMs: 5000, what: "all three" });
		expect(writers.map(({ counts }) => counts.writes)).toEqual([1, 1, 1]);
		waiting[0]!.push(Buffer.from("d"));
		writers[0]!.writer.wakeAtOnce();
		expect(writers[0]!.counts.writes, "in another turn").toBe(2);
	});
});
