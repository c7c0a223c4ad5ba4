import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { LatencyRecorder } from "../../../report/latency.ts";
import { controlMessage, read, sinceMs, stamp } from "./messages.ts";

const bytes = controlMessage(0, 0).length;

/**
 * A TCP connection through an empty splice, a process that sends back what it reads: what a round trip takes without a gateway. It is the share of the
 * measuring process, of its waits for a CPU, and of the kernel. A connection of the measuring process to itself would not show these waits: it would not
 * have gone to sleep yet when the answer is there.
 */
export class SplicePair {
	roundTrip = new LatencyRecorder();
	readonly #socket: Socket;
	readonly #splice: ChildProcess;

	private constructor(socket: Socket, splice: ChildProcess) {
		this.#socket = socket;
		this.#splice = splice;
		let rest: Buffer = Buffer.alloc(0);
		socket.on("data", (piece: Buffer) => {
			rest = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
			for (; rest.length >= bytes; rest = rest.subarray(bytes)) this.roundTrip.record(sinceMs(read.stamped(rest, 0)));
		});
		// Whoever closes the bench ends the splice.
		socket.on("error", () => {});
	}

	static async open(): Promise<SplicePair> {
		const splice = fork(join(import.meta.dirname, "splice-program.js"));
		const ended = once(splice, "exit").then(() => {
			throw new Error("the empty splice has ended");
		});
		ended.catch(() => {});
		const [{ port }] = (await Promise.race([once(splice, "message"), ended])) as [{ readonly port: number }];
		const socket = connect({ host: "127.0.0.1", port, noDelay: true });
		await once(socket, "connect");
		return new SplicePair(socket, splice);
	}

	get pid(): number {
		return this.#splice.pid!;
	}

	send(): void {
		this.#socket.write(controlMessage(0, stamp()));
	}

	close(): void {
		this.#socket.destroy();
		this.#splice.disconnect();
	}
}
