import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { waitFor } from "@shardcast/testkit";

export const FrameClass = { LINK: 0, CONTROL: 1, VIDEO: 2, ACK: 3, FILE: 4 } as const;
type Link = "control" | "data";

export interface Received {
	readonly link: Link;
	readonly client: number;
	readonly backend: number;
	readonly frameClass: number;
	readonly body: Buffer;
}

export function encodeFrame(client: number, frameClass: number, body: Uint8Array | string, backend = 0): Buffer {
	const bytes = Buffer.from(body as string);
	const head = Buffer.alloc(13);
	head.writeUInt32BE(bytes.length + 1, 0);
	head.writeUInt32BE(client, 4);
	head.writeUInt32BE(backend, 8);
	head[12] = frameClass;
	return Buffer.concat([head, bytes]);
}
export const linkFrame = (message: object): Buffer => encodeFrame(0, FrameClass.LINK, JSON.stringify(message));
export const helloFrame = (link: Link, gateway: string, more: object = {}): Buffer =>
	linkFrame({ type: "hello", version: 1, link, backend: 1, gateway, ...more });

/** The gateway's side of the two connections to a backend, and nothing else of a gateway: what it sends and when is up to the test. */
export class FakeGateway {
	readonly received: Received[] = [];
	readonly sockets: Readonly<Record<Link, Socket>>;

	private constructor(control: Socket, data: Socket) {
		this.sockets = { control, data };
		for (const [link, socket] of Object.entries(this.sockets) as [Link, Socket][]) this.#read(link, socket);
	}

	/** Two connections, over which nothing has been said. */
	static async dial(port: number): Promise<FakeGateway> {
		return new FakeGateway(await dialled(port), await dialled(port));
	}

	/** A gateway as it is: with its hellos, and its clients. */
	static async open(port: number, id: string, clients: readonly number[]): Promise<FakeGateway> {
		const gateway = await FakeGateway.dial(port);
		gateway.sockets.control.write(helloFrame("control", id));
		gateway.sockets.data.write(helloFrame("data", id));
		gateway.sockets.control.write(linkFrame({ type: "clients", clients }));
		return gateway;
	}

	#read(link: Link, socket: Socket): void {
		// Pieces, since concatenating megabytes again with each new piece takes time that the backend is to have.
		let pieces: Buffer[] = [];
		let waiting = 0;
		let wanted = 12;
		socket.on("data", (piece) => {
			pieces.push(piece);
			waiting += piece.length;
			if (waiting < wanted) return;
			let rest = Buffer.concat(pieces);
			for (;;) {
				wanted = rest.length < 12 ? 12 : 12 + rest.readUInt32BE(0);
				if (rest.length < wanted) break;
				const body = rest.subarray(13, wanted);
				this.received.push({ link, client: rest.readUInt32BE(4), backend: rest.readUInt32BE(8), frameClass: rest[12]!, body });
				rest = rest.subarray(wanted);
			}
			pieces = [rest];
			waiting = rest.length;
		});
		socket.on("error", () => {}); // the tests look at whether it is closed
	}

	send(client: number, frameClass: number, body: Uint8Array | string): void {
		this.sockets[frameClass === FrameClass.VIDEO || frameClass === FrameClass.FILE ? "data" : "control"].write(
			encodeFrame(client, frameClass, body, 1),
		);
	}

	order(client: number, order: object): void {
		this.send(client, FrameClass.CONTROL, JSON.stringify(order));
	}

	of(frameClass: number): Received[] {
		return this.received.filter((frame) => frame.frameClass === frameClass);
	}

	/** Waits for so many frames of a class, and takes all that there are. */
	async take(frameClass: number, count: number): Promise<Received[]> {
		await waitFor(() => this.of(frameClass).length >= count, {
			deadlineMs: 10_000,
			what: `${count} frames of class ${frameClass}; there are ${this.of(frameClass).length}`,
		});
		const taken = this.of(frameClass);
		this.forget();
		return taken;
	}

	forget(): void {
		this.received.length = 0;
	}

	/** The answer to an order. */
	async ask<T>(client: number, order: object): Promise<T> {
		const before = this.of(FrameClass.CONTROL).length;
		this.order(client, order);
		const answer = await waitFor(() => this.of(FrameClass.CONTROL)[before], { deadlineMs: 10_000, what: JSON.stringify(order) });
		return JSON.parse(answer.body.toString()) as T;
	}

	/** That the backend has closed both. */
	async isClosed(): Promise<void> {
		const { control, data } = this.sockets;
		await waitFor(() => control.closed && data.closed, { deadlineMs: 10_000, what: "the end of both connections" });
	}

	close(): void {
		this.sockets.control.destroy();
		this.sockets.data.destroy();
	}
}

async function dialled(port: number): Promise<Socket> {
	const socket = connect(port, "127.0.0.1").setNoDelay(true);
	await once(socket, "connect");
	return socket;
}
