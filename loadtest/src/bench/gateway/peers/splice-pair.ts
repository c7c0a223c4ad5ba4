import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { LatencyRecorder } from "../../../report/latency.ts";
import { listen } from "./bench-backends.ts";
import { controlMessage, read, sinceMs, stamp } from "./messages.ts";

const bytes = controlMessage(0, 0).length;

/** A TCP connection of this process to itself: what a round trip takes without a gateway, so the share of the measuring process and of the kernel. */
export class DirectPair {
	roundTrip = new LatencyRecorder();
	readonly #socket: Socket;
	readonly #closeServer: () => void;

	private constructor(socket: Socket, closeServer: () => void) {
		this.#socket = socket;
		this.#closeServer = closeServer;
		let rest: Buffer = Buffer.alloc(0);
		socket.on("data", (piece: Buffer) => {
			rest = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
			for (; rest.length >= bytes; rest = rest.subarray(bytes)) this.roundTrip.record(sinceMs(read.stamped(rest, 0)));
		});
	}

	static async open(): Promise<DirectPair> {
		const { port, close } = await listen((socket) => socket.on("data", (piece) => socket.write(piece)));
		const socket = connect({ host: "127.0.0.1", port, noDelay: true });
		await once(socket, "connect");
		return new DirectPair(socket, close);
	}

	send(): void {
		this.#socket.write(controlMessage(0, stamp()));
	}

	close(): void {
		this.#socket.destroy();
		this.#closeServer();
	}
}
