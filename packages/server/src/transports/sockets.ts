import { createServer } from "node:net";
import type { Address } from "@shardcast/config";
import { addressKeyOf } from "@shardcast/limits";
import type { Counters } from "@shardcast/scoreboard";
import { CloseCode } from "@shardcast/wire";
import type { ConsoleHead } from "../console/console-access.ts";
import { type ConsoleViewer, noWatch } from "../console/console-feed.ts";
import type { TopicPublisher } from "../delivery/fan-out.ts";
import type { HttpReply } from "../http/http-reply.ts";
import type { PublishApi } from "../http/publish-api.ts";
import type { Client, ClientData } from "../sessions/client.ts";
import type { ForwardedHead } from "./client-address.ts";
import { GuardedApp, type GuardedCallback, type Response, type SocketCallbacks, type SocketSettings } from "./sockets-app.ts";
import { BodyReader } from "./sockets-bodies.ts";
import { forwardedHead, handshake, upgradeHead } from "./sockets-heads.ts";
import { sendReply } from "./sockets-http.ts";
import {
	DISABLED,
	type HttpRequest,
	LIBUS_LISTEN_EXCLUSIVE_PORT,
	type us_listen_socket,
	us_listen_socket_close,
	us_socket_local_port,
} from "./sockets-native.ts";
import { judgeHandshake, type UpgradeHead, upgradeRequired } from "./upgrade-request.ts";

/** The address at the other end, 4 or 16 bytes. */
export type RemoteAddress = () => Uint8Array;

/** What the shard does with its connections. */
export interface SocketHandlers {
	/** The fields of the new client, or why it may not connect. Upgraded at once when it may. */
	upgrade(
		head: UpgradeHead,
		forwarded: ForwardedHead,
		remote: RemoteAddress,
	): { readonly data: ClientData } | { readonly refused: HttpReply };
	opened(client: Client): void;
	/** The bytes are gone when this returns. */
	message(client: Client, message: ArrayBuffer, isBinary: boolean): void;
	/** A message was not written to a client that reads too slowly. */
	dropped(client: Client): void;
	/** Some of what waited for a client has been written. */
	drained(client: Client): void;
	closed(client: Client, code: number, tooBig: boolean): void;
	/** Connections that are open now, WebSockets and others. */
	connections(count: number): void;
	/** How many of them there may be at once. */
	readonly socketsMax: () => number;
	/** One more than that has come: what to tell it. */
	overfull(): HttpReply;
	/** An HTTP request that is neither an upgrade nor a publish. */
	request(method: string, path: string): HttpReply | Promise<HttpReply>;
	/** One more HTTP request, whichever. */
	requested(): void;
	/** A page that wants the console's feed: whether it may. */
	watch(head: ConsoleHead): HttpReply | null;
	/** False when there are too many already. */
	watching(viewer: ConsoleViewer): boolean;
	watchRequest(viewer: ConsoleViewer, message: ArrayBuffer): void;
	unwatched(viewer: ConsoleViewer): void;
	/** The address of a client behind our own proxy; null when it came directly. */
	proxiedAddress(head: ForwardedHead): string | null;
	/** One of these handlers threw, or something else within a callback of the library. */
	failed(callback: GuardedCallback, error: unknown): void;
}

/** To which uWebSockets.js keeps a client. */
export interface ClientLimits {
	/** Bytes that may wait for it. */
	readonly maxBufferedBytes: number;
	readonly idleTimeoutMs: number;
}

export interface SocketOptions {
	readonly payloadBytesMax: number;
	readonly limits: ClientLimits;
	readonly publish: PublishApi;
	readonly handlers: SocketHandlers;
	readonly counters: Counters;
}

/** Paths of the raw endpoint. */
const webSocketPaths = ["/", "/ws"] as const;
const publishPath = "/api/publish";
const consolePath = "/console/feed";

/**
 * A frame longer than this cuts the connection before it is read. Up to it a frame that is too long is read, so that the client
 * can be told 1009: the library itself only cuts. No more than a client may have unread on its way out by default.
 */
const cutBytesMin = 1024 * 1024;

/** A request of the console's page is a channel name in JSON. */
const consoleMessageBytesMax = 4096;
const consoleBufferedBytesMax = 4 * 1024 * 1024;
const consoleSettings: SocketSettings = {
	compression: DISABLED,
	maxPayloadLength: consoleMessageBytesMax,
	maxBackpressure: consoleBufferedBytesMax,
	idleTimeout: 60,
	sendPingsAutomatically: true,
};

/** Connections that have been told that there are too many and have not closed yet; the next one is cut. */
const turnedAwayMax = 32;

/** How uWebSockets.js explains the cut. */
const tooBigReason = /^Received too big message/;

/**
 * The only user of uWebSockets.js: listens, adopts connections that the balancer hands over, upgrades, and hands all that happens
 * to the shard's parts. One per shard, on its loop.
 *
 * A connection that is not upgraded ends with its answer, but for `/api/publish`: one that was kept would bring the browser's
 * next request, for the console say, to this shard.
 */
export class Sockets implements TopicPublisher {
	readonly bodies: BodyReader;
	readonly #app: GuardedApp;
	readonly #options: SocketOptions;
	#limits: ClientLimits;
	#listening: us_listen_socket | null = null;
	/** Opened minus closed; the library does not count an upgrade as closed, nor the end of a WebSocket. */
	#filtered = 0;
	#webSocketsClosed = 0;

	constructor(options: SocketOptions) {
		this.#options = options;
		this.#limits = options.limits;
		const { bodyBytesMax } = options.publish;
		this.#app = new GuardedApp((callback, error) => options.handlers.failed(callback, error));
		this.bodies = new BodyReader(this.#app, { bodyBytesMax, counters: options.counters });
		this.#app.filter(this.#onConnection);
		this.#serveClients();
		for (const path of webSocketPaths) {
			this.#app.any(path, (response, request) => {
				this.#answer(response, request, upgradeRequired());
			});
		}
		this.#app.ws(consolePath, consoleSettings, this.#consoleCallbacks());
		this.#app.any(publishPath, (response, request) => this.#publish(response, request));
		this.#app.any("/*", (response, request) => {
			this.#answer(response, request, options.handlers.request(request.getMethod(), request.getUrl()));
		});
	}

	/**
	 * Listens on a port that nobody else listens on; port 0 lets the kernel choose. Returns the port.
	 * @throws Error with the reason as its code, such as EADDRINUSE.
	 */
	async listen(address: Address): Promise<number> {
		let listening: us_listen_socket | false = false;
		const onListen = (socket: us_listen_socket | false): void => {
			listening = socket;
		};
		this.#app.listen(address.host, address.port, LIBUS_LISTEN_EXCLUSIVE_PORT, onListen);
		if (listening === false) throw await reasonNotToListen(address);
		this.#listening = listening;
		return us_socket_local_port(listening as never);
	}

	/**
	 * Holds for clients that connect from now on: the library keeps each to the limits that it came under. A change leaves some hundred
	 * bytes behind in it; the same limits change nothing.
	 */
	limit(limits: ClientLimits): void {
		const { maxBufferedBytes, idleTimeoutMs } = this.#limits;
		if (limits.maxBufferedBytes === maxBufferedBytes && limits.idleTimeoutMs === idleTimeoutMs) return;
		this.#limits = limits;
		this.#serveClients();
	}

	/** Serves a connection whose descriptor was handed over. It is the library's from now on. */
	adopt(descriptor: number): void {
		this.#app.adopt(descriptor);
	}

	publish(topic: string, message: Uint8Array, isBinary: boolean): boolean {
		return this.#app.publish(topic, message, isBinary);
	}

	/** No new connections come from the port any more. */
	stopListening(): void {
		if (this.#listening !== null) us_listen_socket_close(this.#listening);
		this.#listening = null;
	}

	/** Cuts whatever is still open. */
	close(): void {
		this.#listening = null;
		this.#app.close();
	}

	/** The last one that was given to the library for a path counts. */
	#serveClients(): void {
		const { maxBufferedBytes, idleTimeoutMs } = this.#limits;
		const settings: SocketSettings = {
			compression: DISABLED,
			maxPayloadLength: Math.max(cutBytesMin, this.#options.payloadBytesMax * 2),
			maxBackpressure: maxBufferedBytes,
			closeOnBackpressureLimit: false,
			idleTimeout: Math.ceil(idleTimeoutMs / 1000),
			sendPingsAutomatically: true,
		};
		const callbacks = this.#clientCallbacks();
		for (const path of webSocketPaths) this.#app.ws(path, settings, callbacks);
	}

	#clientCallbacks(): SocketCallbacks<Client> {
		const { handlers } = this.#options;
		return {
			upgrade: (response, request, context) => {
				const outcome = handlers.upgrade(upgradeHead(request), forwardedHead(request), remoteOf(response));
				if ("refused" in outcome) return this.#answer(response, request, outcome.refused);
				response.upgrade(
					outcome.data,
					request.getHeader("sec-websocket-key"),
					// A program that offers a sub-protocol insists on being given one; the raw endpoint speaks whichever.
					request.getHeader("sec-websocket-protocol"),
					request.getHeader("sec-websocket-extensions"),
					context,
				);
			},
			open: (client) => handlers.opened(client),
			message: (client, message, isBinary) => handlers.message(client, message, isBinary),
			dropped: (client) => handlers.dropped(client),
			drain: (client) => handlers.drained(client),
			close: (client, code, reason) => {
				const tooBig = code === 1006 && tooBigReason.test(Buffer.from(reason).toString("latin1"));
				this.#webSocketsClosed++;
				handlers.closed(client, code, tooBig);
				this.#tellConnections();
			},
		};
	}

	/** Pages that show the console: few, and none of the clients' rules but the ends of connections apply to them. */
	#consoleCallbacks(): SocketCallbacks<ConsoleViewer> {
		const { handlers } = this.#options;
		return {
			upgrade: (response, request, context) => {
				const address = handlers.proxiedAddress(forwardedHead(request)) ?? remoteAddress(response);
				const head = { query: request.getQuery() ?? "", origin: request.getHeader("origin"), host: request.getHeader("host"), address };
				const refused = judgeHandshake(handshake(request)) ?? handlers.watch(head);
				if (refused !== null) return this.#answer(response, request, refused);
				response.upgrade(
					{ ...noWatch } as ConsoleViewer,
					request.getHeader("sec-websocket-key"),
					request.getHeader("sec-websocket-protocol"),
					request.getHeader("sec-websocket-extensions"),
					context,
				);
			},
			open: (viewer) => {
				if (!handlers.watching(viewer)) viewer.end(CloseCode.tryAgainLater, "too many consoles are open");
			},
			message: (viewer, message) => handlers.watchRequest(viewer, message),
			close: (viewer) => {
				this.#webSocketsClosed++;
				handlers.unwatched(viewer);
				this.#tellConnections();
			},
		};
	}

	readonly #onConnection = (response: Response, change: number): void => {
		this.#filtered += change;
		this.#tellConnections();
		if (change > 0) this.#bound(response);
	};

	/**
	 * Keeps within what the process may open. Idle connections count as well, so this cannot wait for a request: one too many is answered at
	 * once, and when too many of those do not leave, cut. The balancer hands none over to a shard that is so full.
	 */
	#bound(response: Response): void {
		const { socketsMax, overfull } = this.#options.handlers;
		const excess = this.#open - socketsMax();
		if (excess <= 0) return;
		const reply = overfull();
		if (excess <= turnedAwayMax) sendReply(response, reply);
		else response.close();
	}

	get #open(): number {
		return this.#filtered - this.#webSocketsClosed;
	}

	#tellConnections(): void {
		this.#options.handlers.connections(this.#open);
	}

	#answer(response: Response, request: HttpRequest, reply: HttpReply | Promise<HttpReply>): void {
		this.#options.handlers.requested();
		const head = request.getMethod() === "head";
		if (reply instanceof Promise) this.#answerLater(response, reply, head);
		else sendReply(response, reply, head);
	}

	/** Nothing when the client has gone by then. */
	#answerLater(response: Response, promised: Promise<HttpReply>, head: boolean): void {
		let gone = false;
		this.#app.receive(response, {
			data: () => {},
			aborted: () => {
				gone = true;
			},
		});
		void this.#app.later(
			response,
			promised,
			() => gone,
			(reply) => sendReply(response, reply, head),
		);
	}

	#publish(response: Response, request: HttpRequest): void {
		const { publish, handlers } = this.#options;
		const head = {
			method: request.getMethod(),
			query: request.getQuery() ?? "",
			contentType: request.getHeader("content-type"),
			contentLength: request.getHeader("content-length"),
			authorization: request.getHeader("authorization"),
			apiKey: request.getHeader("x-api-key"),
			origin: request.getHeader("origin"),
			host: request.getHeader("host"),
			address: handlers.proxiedAddress(forwardedHead(request)) ?? remoteAddress(response),
		};
		const refused = publish.judge(head);
		handlers.requested();
		if (refused !== null) {
			this.bodies.discard(response, () => sendReply(response, refused, head.method === "head"));
			return;
		}
		this.bodies.read(response, addressKeyOf(head.address), {
			whole: (body, isGone) => {
				const reply = publish.publish(head, body);
				if (reply instanceof Promise) void this.#app.later(response, reply, isGone, (later) => sendReply(response, later));
				else sendReply(response, reply);
			},
			tooLong: () => sendReply(response, publish.bodyTooLarge(head)),
			busy: () => sendReply(response, publish.busy(head)),
			tooSlow: () => sendReply(response, publish.tooSlow(head)),
		});
	}
}

function remoteOf(response: Response): RemoteAddress {
	return () => new Uint8Array(response.getRemoteAddress());
}

function remoteAddress(response: Response): string {
	return Buffer.from(response.getRemoteAddressAsText()).toString("latin1");
}

/** The library says only that it could not; Node says why. */
function reasonNotToListen(address: Address): Promise<Error> {
	return new Promise((resolve) => {
		const probe = createServer();
		probe.once("error", resolve);
		probe.listen({ ...address, exclusive: true }, () => {
			probe.close(() => resolve(new Error("the address was taken for a moment; try again")));
		});
	});
}
