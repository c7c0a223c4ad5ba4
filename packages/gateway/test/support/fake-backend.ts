import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { waitFor } from "@shardcast/testkit";
import { encodeFrameHeader } from "../../src/frames/frame-codec.ts";
import { FrameClass } from "../../src/frames/frame-descriptor.ts";

export interface ReceivedFrame {
	readonly frameClass: number;
	readonly clientId: number;
	readonly backendId: number;
	/** Without the class. */
	readonly content: Buffer;
}

/** A frame as it goes over TCP. */
export function frameBytes(frameClass: number, clientId: number, content: string | Buffer = ""): Buffer {
	const body = Buffer.from(content as string);
	const bytes = Buffer.alloc(12 + 1 + body.length);
	encodeFrameHeader(bytes, 0, 1 + body.length, clientId, 0);
	bytes[12] = frameClass;
	body.copy(bytes, 13);
	return bytes;
}

/** One connection that a gateway has opened. */
export class FakeConnection {
	readonly socket: Socket;
	readonly frames: ReceivedFrame[] = [];
	isClosed = false;
	/** Called with each frame. */
	onFrame: (frame: ReceivedFrame) => void = () => {};
	#rest = Buffer.alloc(0);

	constructor(socket: Socket, isRead: boolean) {
		this.socket = socket;
		socket.on("error", () => {});
		socket.on("close", () => {
			this.isClosed = true;
		});
		if (isRead) this.read();
	}

	read(): void {
		this.socket.on("data", (piece) => this.#take(piece as Buffer));
	}

	/** Messages of class LINK. */
	get messages(): { readonly type: string; readonly [name: string]: unknown }[] {
		return this.frames.filter(({ frameClass }) => frameClass === FrameClass.LINK).map(({ content }) => JSON.parse(content.toString()));
	}

	get kind(): unknown {
		return this.messages[0]?.link;
	}

	/** Types of messages and contents of other frames, in order. */
	get story(): string[] {
		return this.frames.map(({ frameClass, content }) =>
			frameClass === FrameClass.LINK ? (JSON.parse(content.toString()) as { type: string }).type : content.toString(),
		);
	}

	#take(piece: Buffer): void {
		this.#rest = Buffer.concat([this.#rest, piece]);
		while (this.#rest.length >= 12) {
			const length = this.#rest.readUInt32BE();
			if (this.#rest.length < 12 + length) return;
			const frame = {
				frameClass: this.#rest[12]!,
				clientId: this.#rest.readUInt32BE(4),
				backendId: this.#rest.readUInt32BE(8),
				content: Buffer.from(this.#rest.subarray(13, 12 + length)),
			};
			this.frames.push(frame);
			this.onFrame(frame);
			this.#rest = this.#rest.subarray(12 + length);
		}
	}
}

/** A TCP backend. `close` must be called. */
export class FakeBackend {
	readonly connections: FakeConnection[] = [];
	/** Whether connections are read from the start. */
	isReading = true;
	/** Called with each connection, before anything is read. */
	onConnection: (connection: FakeConnection) => void = () => {};
	readonly #server: Server;

	private constructor(server: Server) {
		this.#server = server;
		server.on("connection", (socket) => {
			const connection = new FakeConnection(socket, this.isReading);
			this.connections.push(connection);
			this.onConnection(connection);
		});
	}

	/** @param port 0 = one of the kernel's choice. */
	static async open(port = 0, host = "127.0.0.1"): Promise<FakeBackend> {
		const server = createServer({ noDelay: true });
		server.listen(port, host);
		await once(server, "listening");
		return new FakeBackend(server);
	}

	get port(): number {
		return (this.#server.address() as AddressInfo).port;
	}

	get open(): FakeConnection[] {
		return this.connections.filter(({ isClosed }) => !isClosed);
	}

	/** The open connection that said that it is this one. */
	async connection(kind: "control" | "data"): Promise<FakeConnection> {
		return waitFor(() => this.open.find((each) => each.kind === kind), { what: `a ${kind} connection`, deadlineMs: 20_000 });
	}

	cut(): void {
		for (const { socket } of this.connections) socket.destroy();
	}

	async close(): Promise<void> {
		this.cut();
		if (!this.#server.listening) return;
		this.#server.close();
		await once(this.#server, "close");
	}
}
