import { FrameClass } from "@shardcast/gateway";
import {
	describeEnd,
	encodeFrame,
	handshakeKey,
	Opcode,
	RawSocket,
	type RawSocketHandler,
	type SocketEnd,
	waitFor,
} from "@shardcast/testkit";
import { LatencyRecorder } from "../../../report/latency.ts";
import { ackFrame, controlMessage, read, sinceMs, stamp } from "./messages.ts";

const openMs = 60_000;
/** Handshakes under way: websockify starts a process for each, and the kernel lets few wait. */
const openingMax = 50;

/** WebSocket clients that acknowledge each VIDEO frame, with one write for all that came in one read. */
export class BenchClients implements RawSocketHandler {
	received = 0;
	video = new LatencyRecorder();
	toClient = new LatencyRecorder();
	roundTrip = new LatencyRecorder();
	readonly #sockets: RawSocket[] = [];
	readonly #acks: Buffer[] = [];
	/** To be written when the read of `#acking` has been handled. */
	readonly #pending: Buffer[] = [];
	#acking: RawSocket | null = null;
	#opened = 0;
	#turn = 0;
	#end: SocketEnd | null = null;
	#isClosing = false;

	/** Opens so many clients of a port of 127.0.0.1. */
	async open(port: number, count: number): Promise<void> {
		const key = handshakeKey();
		const readBuffer = Buffer.allocUnsafeSlow(256 * 1024);
		for (let id = 0; id < count; id++) {
			if (id - this.#opened >= openingMax) await this.#haveOpened(id + 1 - openingMax);
			this.#sockets.push(new RawSocket(id, { host: "127.0.0.1", port, path: "/", key, readBuffer }, this));
		}
		await this.#haveOpened(count);
	}

	/** The next client sends a CONTROL frame. */
	sendControl(backendId: number): void {
		this.#turn = (this.#turn + 1) % this.#sockets.length;
		this.#sockets[this.#turn]!.sendBytes(encodeFrame(Opcode.binary, controlMessage(backendId, stamp()), { masked: true }));
	}

	/** @throws when a client was closed: a bench on the others would flatter. */
	check(): void {
		if (this.#end !== null) throw new Error(`a client was ${describeEnd(this.#end)}`);
	}

	close(): void {
		this.#isClosing = true;
		for (const socket of this.#sockets.splice(0)) socket.reset();
	}

	opened(): void {
		this.#opened++;
	}

	message(socket: RawSocket, _opcode: number, bytes: Buffer, start: number): void {
		switch (read.frameClass(bytes, start)) {
			case FrameClass.VIDEO:
				this.received++;
				this.video.record(sinceMs(read.stamped(bytes, start)));
				this.#acknowledge(socket, read.backendId(bytes, start));
				break;
			case FrameClass.CONTROL:
				this.roundTrip.record(sinceMs(read.stamped(bytes, start)));
				this.toClient.record(sinceMs(read.answered(bytes, start)));
				break;
		}
	}

	ended(_socket: RawSocket, end: SocketEnd): void {
		if (!this.#isClosing) this.#end ??= end;
	}

	async #haveOpened(count: number): Promise<void> {
		await waitFor(() => this.#opened >= count || this.#end !== null, { deadlineMs: openMs, what: `${count} clients to open` });
		this.check();
	}

	#acknowledge(socket: RawSocket, backendId: number): void {
		if (this.#acking !== socket) {
			this.#flush();
			this.#acking = socket;
			queueMicrotask(this.#flush);
		}
		this.#acks[backendId] ??= ackFrame(backendId);
		this.#pending.push(this.#acks[backendId]);
	}

	readonly #flush = (): void => {
		if (this.#acking === null) return;
		this.#acking.sendBytes(this.#pending.length === 1 ? this.#pending[0]! : Buffer.concat(this.#pending));
		this.#pending.length = 0;
		this.#acking = null;
	};
}
