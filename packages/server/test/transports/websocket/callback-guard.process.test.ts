import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { allowedOrigins, type BodyHandler, json, type Reply, type ReplyStream, type StreamStart } from "@shardcast/http";
import { duplicate } from "@shardcast/native";
import { Scoreboard } from "@shardcast/scoreboard";
import { type HttpAnswer, httpRequest, RawClient, waitFor } from "@shardcast/testkit";
import { afterEach, expect, it } from "vitest";
import type { Session, SessionFactory } from "../../../src/sessions/session.ts";
import type { TopicTransport } from "../../../src/transports/transport.ts";
import { type SocketHandlers, Sockets } from "../../../src/transports/websocket/sockets.ts";
import { GuardedApp } from "../../../src/transports/websocket/sockets-app.ts";
import { us_socket_local_port } from "../../../src/transports/websocket/sockets-native.ts";

const fine = json(200, {});
const bufferedBytesMax = 100_000;

/** Everything that the library's callbacks call. A test puts in something that throws. */
class Parts implements SocketHandlers {
	readonly failures: string[] = [];
	connect = (): ReturnType<SessionFactory<TopicTransport>["connect"]> => ({ session: this.session() });
	opened = (transport: TopicTransport): void => void transport.subscribe("all");
	frame = (transport: TopicTransport): void => void transport.publish("all", Buffer.from("heard"), false);
	dropped = (): void => {};
	writable = (): void => {};
	closed = (): void => {};
	connections = (_count: number): void => {};
	socketsMax = (): number => Number.POSITIVE_INFINITY;
	overfull = (): Reply => fine;
	forwardedAddress = (): null => null;
	failed: SocketHandlers["failed"] = (callback, error) => void this.failures.push(`${callback}: ${(error as Error).message}`);
	// Of the routes.
	request = (): Reply | Promise<Reply> => fine;
	begin = (): Reply | BodyHandler => () => this.publish();
	publish = (): Reply | Promise<Reply> => fine;
	beginStream = (): Reply | StreamStart => ({
		type: "text/plain",
		idlePart: "\n",
		opened: (stream) => this.streamOpened(stream),
		closed: () => this.streamClosed(),
		writable: () => this.streamDrained(),
	});
	streamOpened = (stream: ReplyStream): void => void stream.write("hello\n");
	streamClosed = (): void => {};
	streamDrained = (): void => {};

	/** Each callback is looked up when it is called, since a test changes them. */
	session(): Session<TopicTransport> {
		let own: TopicTransport;
		return {
			opened: (transport) => {
				own = transport;
				this.opened(transport);
			},
			frame: () => this.frame(own),
			dropped: () => this.dropped(),
			writable: () => this.writable(),
			closed: () => this.closed(),
		};
	}
}

class Rig {
	readonly parts = new Parts();
	readonly sockets: Sockets;
	readonly #opened = new Set<TopicTransport>();
	port = 0;

	private constructor() {
		const { parts } = this;
		const opened = parts.opened;
		parts.opened = (transport) => {
			this.#opened.add(transport);
			opened(transport);
		};
		// Looked up at each call, since a test changes them.
		const live = new Proxy(parts, {
			get: (target, name: keyof Parts) => {
				const part = target[name];
				return typeof part === "function" ? (...args: never[]) => (target[name] as (...args: never[]) => unknown)(...args) : part;
			},
		});
		this.sockets = new Sockets({
			proxyProtocol: false,
			sessions: [
				{
					paths: ["/"],
					limits: () => ({ frameBytesMax: 100_000, bufferedBytesMax, idleTimeoutMs: 0 }),
					connect: () => parts.connect(),
				},
			],
			routes: [
				{ kind: "answer", method: "GET", path: "/health", answer: () => parts.request() },
				{ kind: "body", method: "POST", path: "/api/publish", bodyBytesMax: 1000, begin: () => parts.begin() },
				{ kind: "stream", method: "GET", path: "/stream", begin: () => parts.beginStream() },
			],
			rules: { allowedOrigins: allowedOrigins([]) },
			handlers: live,
			counters: Scoreboard.inMemory(1).row(0),
		});
	}

	static async start(): Promise<Rig> {
		const rig = new Rig();
		rig.port = await rig.sockets.listen({ host: "127.0.0.1", port: 0 });
		return rig;
	}

	get(path = "/health"): Promise<HttpAnswer> {
		return httpRequest(`http://127.0.0.1:${this.port}${path}`);
	}

	post(body = '{"data":1}'): Promise<HttpAnswer> {
		return httpRequest(`http://127.0.0.1:${this.port}/api/publish`, { method: "POST", body });
	}

	/** A connection whose answer comes in parts, of which it has read the first. */
	async stream(): Promise<Socket> {
		const socket = connect(this.port, "127.0.0.1").on("error", () => {});
		socket.write("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
		await once(socket, "data");
		return socket;
	}

	/** One that reads only once so much waits for it that the kernel takes no more. It is cut. */
	async slowStream(): Promise<void> {
		const opened = this.parts.streamOpened;
		let stream: ReplyStream | null = null;
		this.parts.streamOpened = (given) => {
			opened(given);
			stream = given;
		};
		const socket = await this.stream();
		socket.pause();
		await waitFor(() => stream!.write("x".repeat(100_000)) > 1_000_000, { deadlineMs: 10_000, everyMs: 1, what: "a slow client" });
		socket.resume();
		await once(socket, "close");
	}

	client(path = "/"): Promise<RawClient> {
		return RawClient.open(`ws://127.0.0.1:${this.port}${path}`);
	}

	/** There are more connections than may be. */
	async whileFull<T>(act: () => Promise<T>): Promise<T> {
		const { socketsMax } = this.parts;
		this.parts.socketsMax = () => 0;
		return act().finally(() => {
			this.parts.socketsMax = socketsMax;
		});
	}

	/** A connection that is handed over, as the balancer does it; a reset is as good as an end. */
	async adopted(): Promise<Socket> {
		const listener = createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
		await once(listener, "listening");
		const outer = connect((listener.address() as { port: number }).port, "127.0.0.1").on("error", () => {});
		const [inner] = (await once(listener, "connection")) as [Socket & { _handle: { fd: number } }];
		this.sockets.adopt(duplicate(inner._handle.fd));
		inner.destroy();
		listener.close();
		return outer;
	}

	/** A client that reads only once so much was sent to it that some of it waits in this process, or was dropped. */
	async slowClient(until: () => boolean): Promise<RawClient> {
		const client = await this.client();
		client.socket.tcp.pause();
		await waitFor(
			() => {
				for (let message = 0; message < 20 && !until(); message++) this.sockets.publish("all", Buffer.alloc(20_000), true);
				return until();
			},
			{ deadlineMs: 10_000, everyMs: 1, what: "a slow client" },
		);
		client.socket.tcp.resume();
		return client;
	}

	readonly buffered = (): boolean => [...this.#opened].some((transport) => transport.getBufferedAmount() > bufferedBytesMax / 2);
	readonly dropped = (): boolean => this.parts.failures.length > 0;
}

/** The client's end, after it has sent something. */
async function endAfter(opening: Promise<RawClient>, message: string): Promise<{ readonly code: number; readonly reason: string }> {
	const client = await opening;
	client.send(message);
	return client.closed;
}

const throws = (): never => {
	throw new Error("as the test wants it");
};
const rejects = async (): Promise<never> => throws();
const internal = { code: 1011, reason: "internal error" };

/** The library's callback, our handler that throws in it, and what a client does to meet it and sees of it. */
type Case = [callback: string, handler: keyof Parts, act: (rig: Rig) => Promise<unknown>, throwing?: () => unknown];
const cases: Case[] = [
	["filter", "connections", async (rig) => once((await rig.adopted()).resume(), "close")],
	["filter", "connections", (rig) => expect(rig.get()).rejects.toThrow(/ECONNRESET|hang up/)],
	["filter", "socketsMax", (rig) => expect(rig.get()).rejects.toThrow(/ECONNRESET|hang up/)],
	["filter", "overfull", (rig) => expect(rig.whileFull(() => rig.get())).rejects.toThrow(/ECONNRESET|hang up/)],
	["request", "forwardedAddress", async (rig) => expect((await rig.get()).status).toBe(500)],
	["request", "request", async (rig) => expect((await rig.get()).status).toBe(500)],
	["later", "request", async (rig) => expect((await rig.get()).status).toBe(500), rejects],
	["request", "begin", async (rig) => expect((await rig.post()).status).toBe(500)],
	["onData", "publish", async (rig) => expect((await rig.post()).status).toBe(500)],
	["later", "publish", async (rig) => expect((await rig.post()).status).toBe(500), rejects],
	["request", "beginStream", async (rig) => expect((await rig.get("/stream")).status).toBe(500)],
	["request", "streamOpened", (rig) => expect(rig.get("/stream")).rejects.toThrow(/ECONNRESET|hang up|aborted/)],
	["onAborted", "streamClosed", async (rig) => (await rig.stream()).destroy()],
	["onWritable", "streamDrained", async (rig) => rig.slowStream()],
	["upgrade", "connect", (rig) => expect(rig.client()).rejects.toThrow(/500.*"code":"internal"/)],
	["open", "opened", async (rig) => expect(await (await rig.client()).closed).toEqual(internal)],
	["message", "frame", async (rig) => expect(await endAfter(rig.client(), "x")).toEqual(internal)],
	["close", "closed", async (rig) => (await rig.client()).close()],
	["dropped", "dropped", async (rig) => expect((await (await rig.slowClient(rig.dropped)).closed).code).toBe(1006)],
	["drain", "writable", async (rig) => expect(await (await rig.slowClient(rig.buffered)).closed).toEqual(internal)],
];

let rig: Rig;
afterEach(() => rig.sockets.close());

it.each(cases)(
	"an exception in %s (%s) costs one request or one connection, and nobody else",
	async (callback, handler, act, throwing = throws) => {
		rig = await Rig.start();
		const witness = await rig.client();
		const { parts } = rig;
		const working = parts[handler];
		Object.assign(parts, { [handler]: throwing });
		await act(rig);
		await waitFor(() => parts.failures.length > 0, { deadlineMs: 5000, what: "the exception to be told" });
		Object.assign(parts, { [handler]: working });
		expect(new Set(parts.failures)).toEqual(new Set([`${callback}: as the test wants it`]));
		// The shard goes on as if nothing had been.
		expect((await rig.get()).status).toBe(200);
		expect((await rig.post()).status).toBe(200);
		(await rig.client()).send("x");
		await waitFor(() => witness.texts().includes("heard"), { deadlineMs: 5000, what: "a message to the client that did nothing" });
	},
);

it("also applies when a client disconnects, and at the start", async () => {
	rig = await Rig.start();
	const failures: string[] = [];
	const app = new GuardedApp((callback) => failures.push(callback));
	let port = 0;
	let arrived = () => {};
	const request = new Promise<void>((resolve) => {
		arrived = resolve;
	});
	app.any("/*", (response) => {
		app.receive(response, { data: () => {}, aborted: throws });
		arrived();
	});
	app.listen("127.0.0.1", 0, 0, (socket) => {
		port = us_socket_local_port(socket as never);
		throws();
	});
	const socket = connect(port, "127.0.0.1");
	socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	await request;
	socket.resetAndDestroy();
	await waitFor(() => failures.length === 2, { deadlineMs: 5000, what: "both exceptions" });
	expect(failures).toEqual(["listen", "onAborted"]);
	app.close();
});
