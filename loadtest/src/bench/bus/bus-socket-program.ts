import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { bench, type Role } from "./bus-process.ts";
import { clockMs, type Phase, publishAt, RecordSink, RecordSource, recordBytes } from "./bus-records.ts";

/** What the bus is compared with: a hub on a Unix socket to which one publishes and from which the others read. */
export interface SocketTask {
	readonly role: Role;
	readonly publishPath: string;
	readonly readPath: string;
	readonly readers: number;
}

/** Each record is preceded by its length, u32. */
const frameBytes = 4 + recordBytes;

await bench<SocketTask>(async (task, pace) => {
	switch (task.role) {
		case "hub": {
			const readers: Socket[] = [];
			const readServer = createServer((reader) => readers.push(reader)).listen(task.readPath);
			await once(readServer, "listening");
			const publishServer = createServer((publisher) => forward(publisher, readers)).listen(task.publishPath);
			await once(publishServer, "listening");
			return { run: () => new Promise(() => {}) };
		}
		case "read": {
			const socket = connect(task.readPath);
			await once(socket, "connect");
			return { run: () => read(socket, new RecordSink(pace.kind === "ticks")) };
		}
		case "publish": {
			const socket = connect(task.publishPath);
			await once(socket, "connect");
			const source = new RecordSource();
			// The whole batch goes out in one write: one system call for 64 records.
			const publish = (count: number, phase: Phase): number => {
				if (socket.writableNeedDrain) return 0;
				const publishedMs = clockMs();
				const batch = Buffer.allocUnsafe(count * frameBytes);
				const view = new DataView(batch.buffer, batch.byteOffset, batch.length);
				for (let at = 0; at < batch.length; at += frameBytes) {
					view.setUint32(at, recordBytes, true);
					source.write(batch, view, at + 4, phase, publishedMs);
				}
				socket.write(batch);
				return count;
			};
			return { run: () => publishAt(pace, { publish, whenFree: (again) => socket.once("drain", again) }) };
		}
	}
});

/** Passes chunks on as they come. The slowest reader stops the publisher: nothing is lost, as on the bus. */
function forward(publisher: Socket, readers: readonly Socket[]): void {
	let full = 0;
	publisher.on("data", (chunk) => {
		for (const reader of readers) {
			if (reader.write(chunk)) continue;
			full++;
			publisher.pause();
			reader.once("drain", () => {
				if (--full === 0) publisher.resume();
			});
		}
	});
}

function read(socket: Socket, sink: RecordSink): Promise<unknown> {
	return new Promise((resolve) => {
		let rest: Buffer = Buffer.alloc(0);
		socket.on("data", (chunk: Buffer) => {
			const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
			const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
			let at = 0;
			while (bytes.length - at >= 4) {
				const length = view.getUint32(at, true);
				if (bytes.length - at < 4 + length) break;
				sink.read(view, at + 4);
				at += 4 + length;
			}
			rest = bytes.subarray(at);
			if (sink.result !== null) resolve(sink.result);
		});
	});
}
