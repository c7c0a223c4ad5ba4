import { type BusLink, SharedMemoryBus, type VisitOrigin } from "@shardcast/bus";
import { ClusterDirectory, Scoreboard } from "@shardcast/scoreboard";
import { bench, type Role } from "./bus-process.ts";
import { clockMs, type Phase, publishAt, type ReaderResult, RecordSink, RecordSource, recordBytes } from "./bus-records.ts";

/** A publisher or a reader on the shared-memory bus. */
export interface RingTask {
	readonly role: Extract<Role, "publish" | "read">;
	readonly directory: string;
	readonly slot: number;
}

/** Records visited before the event loop has its turn. */
const readMax = 4096;

await bench<RingTask>(async (task, pace) => {
	const directory = ClusterDirectory.open(task.directory);
	const link = SharedMemoryBus.join(directory, Scoreboard.open(directory.boardPath), task.slot);
	const sink = new RecordSink(pace.kind === "ticks");
	const visit = (_origin: number, _u8: Uint8Array, view: DataView, start: number): void => sink.read(view, start);

	if (task.role === "read") return { run: () => new Promise((resolve) => read(link, sink, visit, resolve)) };

	const source = new RecordSource();
	const publish = (count: number, phase: Phase): number => {
		const publishedMs = clockMs();
		let taken = 0;
		for (; taken < count; taken++) {
			const at = link.claim(recordBytes);
			if (at < 0) break;
			source.write(link.u8, link.view, at, phase, publishedMs);
			link.commit();
		}
		link.ringWaiters();
		// A member reads its own ring as well: part of the cost.
		link.read(readMax, visit);
		return taken;
	};
	// A full ring holds several ms of work for the readers: looking again all the time would take the CPU from them.
	const whenFree = (again: () => void): void => void setTimeout(again, 1);
	return { run: () => publishAt(pace, { publish, whenFree }) };
});

function read(link: BusLink, sink: RecordSink, visit: VisitOrigin, done: (result: ReaderResult) => void): void {
	const turn = (): void => {
		do {
			const count = link.read(readMax, visit);
			if (sink.result !== null) {
				done(sink.result);
				return;
			}
			if (count > 0) {
				setImmediate(turn);
				return;
			}
		} while (!link.sleep());
	};
	link.onWake(turn);
	turn();
}
