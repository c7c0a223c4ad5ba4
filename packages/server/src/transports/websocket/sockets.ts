import { createServer } from "node:net";
import { isDeepStrictEqual } from "node:util";
import type { Address, Certificate } from "@shardcast/config";
import { type ForwardedAddress, type Reply, type Route, Router, type RouterRules } from "@shardcast/http";
import type { Counters } from "@shardcast/scoreboard";
import { CloseCode } from "@shardcast/wire";
import type { TopicPublisher } from "../../delivery/fan-out.ts";
import type { Connecting, PendingConnect, Session, SessionFactory, TransportLimits } from "../../sessions/session.ts";
import type { ForwardedHead } from "../client-address.ts";
import type { Sent, TopicTransport } from "../transport.ts";
import { upgradeRequired } from "../upgrade-request.ts";
import type { BodyReader } from "./requests/sockets-bodies.ts";
import { sendReply } from "./requests/sockets-http.ts";
import { LabelledSockets } from "./requests/sockets-labelled.ts";
import { Requests, remoteAddress } from "./requests/sockets-requests.ts";
import { GuardedApp, type GuardedCallback, type Response, type SocketCallbacks, type WebSocketConfig } from "./sockets-app.ts";
import { forwardedHead, offeredCompression, upgradeHead } from "./sockets-heads.ts";
import {
	DISABLED,
	type HttpRequest,
	LIBUS_LISTEN_EXCLUSIVE_PORT,
	SHARED_COMPRESSOR,
	SHARED_DECOMPRESSOR,
	type us_listen_socket,
	us_listen_socket_close,
	type us_socket_context_t,
	us_socket_local_port,
} from "./sockets-native.ts";

/** Handlers for everything that does not belong to a session. */
export interface SocketHandlers {
	/** Called with the number of open connections, WebSockets and others. */
	connections(count: number): void;
	/** Returns the limit for open connections. */
	readonly socketsMax: () => number;
	/** Returns the answer to a connection beyond the limit. */
	overfull(): Reply;
	/** Whether each connection is closed after its answer, so that others find room; absent = never. */
	readonly isCrowded?: () => boolean;
	/** The address of a client behind a proxy; null if it connected directly. */
	forwardedAddress(head: ForwardedHead, peer: () => string): ForwardedAddress | null;
	/** Called when one of these handlers, or other code in a callback of the library, threw. */
	failed(callback: GuardedCallback, error: unknown): void;
}

export interface SocketOptions {
	/** Session factories, each served at its paths. */
	readonly sessions: readonly SessionFactory<TopicTransport>[];
	/** HTTP routes. */
	readonly routes: readonly Route[];
	readonly rules: RouterRules;
	readonly handlers: SocketHandlers;
	/** Every connection comes through `adoptTold`. */
	readonly proxyProtocol: boolean;
	/** For TLS: every connection comes through `adopt`. Empty = no TLS. */
	readonly certificates?: readonly Certificate[];
	/** Messages of at least so many bytes are compressed for clients that offer permessage-deflate; absent = none are. */
	readonly compressFrom?: number | undefined;
	readonly counters: Counters;
}

/** A WebSocket with its user data: a pointer to the session. */
interface OpenSocket extends TopicTransport {
	readonly session: Session<TopicTransport>;
}

/** Most connections that were answered because of the limit and are not closed yet; further ones are closed without an answer. */
const turnedAwayMax = 32;

/** The library's reason for closing such a connection. */
const tooBigReason = /^Received too big message/;

/**
 * The only user of uWebSockets.js: listens, adopts connections from the balancer, upgrades, and passes events to the shard's parts. One per shard, on
 * its loop.
 *
 * A connection that is not upgraded is closed after its answer unless the route keeps it. Otherwise the browser's next request, for example for the
 * console, would come to this shard.
 */
export class Sockets implements TopicPublisher {
	readonly #app: GuardedApp;
	readonly #requests: Requests;
	/** Null = connections have no PROXY header. */
	readonly #labelledSockets: LabelledSockets | null;
	readonly #options: SocketOptions;
	/** Current limits of each factory. */
	readonly #limits = new Map<SessionFactory<TopicTransport>, TransportLimits>();
	#listening: us_listen_socket | null = null;
	/** Opened minus closed connections. The library counts neither an upgrade nor the end of a WebSocket as closed. */
	#filtered = 0;
	#webSocketsClosed = 0;

	constructor(options: SocketOptions) {
		this.#options = options;
		const { routes, rules, sessions, counters, handlers, proxyProtocol, certificates } = options;
		this.#app = new GuardedApp((callback, error) => handlers.failed(callback, error), certificates, options.compressFrom);
		this.#labelledSockets = proxyProtocol ? this.#labelled(handlers) : null;
		const labelledSockets = this.#labelledSockets;
		const router = new Router([...routes, ...sessions.flatMap(({ paths }) => paths.map(upgradeOnly))], rules);
		this.#requests = new Requests({
			app: this.#app,
			router,
			counters,
			labelledSockets,
			forwardedAddress: (head, peer) => handlers.forwardedAddress(head, peer),
			isCrowded: () => handlers.isCrowded?.() ?? false,
		});
		this.#app.filter(this.#onConnection);
		for (const factory of sessions) this.#serve(factory);
		this.#app.any("/*", (response, request) => this.#requests.serve(response, request));
	}

	/** Reads request bodies. */
	get bodies(): BodyReader {
		return this.#requests.bodies;
	}

	/** Resolves when all HTTP requests have been read and answered. Does not wait for streams. */
	whenAnswered(): Promise<void> {
		return this.#requests.whenNone();
	}

	/**
	 * Listens exclusively on a port; with port 0 the kernel chooses one. Returns the port.
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
	 * Applies changed limits of the factories to clients that connect from now on; others keep their limits. Each change leaks some hundred bytes in the
	 * library; unchanged limits have no effect.
	 */
	limit(): void {
		for (const [factory, limits] of this.#limits) if (!isDeepStrictEqual(factory.limits(), limits)) this.#serve(factory);
	}

	/**
	 * Serves a connection that was handed over. The library owns its descriptor from now on.
	 * @param serverName requested by the client, with TLS; null = none.
	 */
	adopt(descriptor: number, serverName: string | null = null): void {
		this.#app.adopt(descriptor, serverName);
	}

	/** Sets the certificates for new connections. @throws Error when the library does not accept one. Then nothing has changed. */
	useCertificates(certificates: readonly Certificate[]): void {
		this.#app.useCertificates(certificates);
	}

	/** Call about once a second, outside of the library's callbacks. */
	tidy(): void {
		this.#app.tidy();
	}

	/** Like `adopt`, for a client at this address. @throws NativeError without free descriptors: then the caller still owns the descriptor. */
	adoptTold(descriptor: number, address: string): void {
		this.#labelledSockets!.adopt(descriptor, address);
	}

	publish(topic: string, message: Uint8Array, isBinary: boolean): boolean {
		return this.#app.publish(topic, message, isBinary);
	}

	publishToOthers(sender: TopicTransport, topic: string, message: Uint8Array, isBinary: boolean): void {
		this.#app.publishToOthers(sender, topic, message, isBinary);
	}

	/** Stops accepting connections from the port. */
	stopListening(): void {
		if (this.#listening !== null) us_listen_socket_close(this.#listening);
		this.#listening = null;
	}

	/** Closes all open connections. */
	close(): void {
		this.#listening = null;
		this.#labelledSockets?.close();
		this.#app.close();
	}

	/** Serves a factory's paths. The library uses the last registration for a path. */
	#serve(factory: SessionFactory<TopicTransport>): void {
		const limits = factory.limits();
		const { frameBytesMax, bufferedBytesMax, idleTimeoutMs } = limits;
		this.#limits.set(factory, limits);
		const webSocket: WebSocketConfig = {
			// Shared: no context is kept between messages, so a client costs no memory for it.
			compression: this.#options.compressFrom === undefined ? DISABLED : SHARED_COMPRESSOR | SHARED_DECOMPRESSOR,
			maxPayloadLength: frameBytesMax,
			maxBackpressure: bufferedBytesMax,
			closeOnBackpressureLimit: false,
			idleTimeout: Math.ceil(idleTimeoutMs / 1000),
			sendPingsAutomatically: true,
		};
		const callbacks = this.#callbacks(factory);
		for (const path of factory.paths) this.#app.ws(path, webSocket, callbacks);
	}

	#callbacks(factory: SessionFactory<TopicTransport>): SocketCallbacks<OpenSocket> {
		const { compressFrom } = this.#options;
		let send: OpenSocket["send"] | null = null;
		return {
			upgrade: (response, request, context) => {
				const announced = this.#requests.announced(response);
				if (announced === undefined) return;
				const outcome = factory.connect({
					head: upgradeHead(request),
					forwarded: forwardedHead(request, announced),
					remote: () => new Uint8Array(response.getRemoteAddress()),
					remoteText: () => remoteAddress(response),
				});
				if ("refused" in outcome) return this.#requests.answer(response, request, outcome.refused);
				const keys = webSocketKeys(request);
				if ("session" in outcome) this.#upgrade(response, keys, outcome, context);
				else this.#upgradeLater(response, keys, outcome, context);
			},
			open: (socket) => {
				if (compressFrom !== undefined) {
					// The library's sockets have one method together, on their prototype.
					send ??= compressing(socket.send, compressFrom);
					socket.send = send;
				}
				socket.session.opened(socket);
			},
			message: (socket, message, isBinary) => socket.session.frame(message, isBinary),
			dropped: (socket) => socket.session.dropped(),
			drain: (socket) => socket.session.writable(),
			close: (socket, code, reason) => {
				this.#webSocketsClosed++;
				socket.session.closed(code === 1006 && isTooBig(reason) ? CloseCode.messageTooBig : code);
				this.#tellConnections();
			},
		};
	}

	#upgrade(
		response: Response,
		keys: WebSocketKeys,
		{ session, subprotocol }: Connecting<TopicTransport>,
		context: us_socket_context_t,
	): void {
		this.#labelledSockets?.forget(response);
		response.upgrade({ session }, keys.key, subprotocol ?? keys.subprotocol, keys.extensions, context);
	}

	/** Upgrades later, when the request can no longer be read. */
	#upgradeLater(response: Response, keys: WebSocketKeys, pending: PendingConnect<TopicTransport>, context: us_socket_context_t): void {
		let isGone = false;
		this.#app.aborted(response, () => {
			isGone = true;
			pending.abandon();
		});
		const finish = (decided: Awaited<typeof pending.decided>): void => {
			const outcome = decided();
			if ("refused" in outcome) this.#requests.answerLater(response, outcome.refused);
			// Not in `cork`: when the WebSocket keeps the memory of the response, the library reads it as the response's afterwards, and closes
			// the connection if it finds "Connection: close" in it. One in some hundred clients was closed with 1006.
			else this.#upgrade(response, keys, outcome, context);
		};
		void this.#app.later(response, pending.decided, () => isGone, finish);
	}

	readonly #onConnection = (response: Response, change: number): void => {
		this.#filtered += change;
		this.#tellConnections();
		// A connection being adopted does not belong to a client yet.
		if (change > 0) this.#labelledSockets?.opened(response) || this.#bound(response);
		else this.#labelledSockets?.forget(response);
	};

	#labelled(handlers: SocketHandlers): LabelledSockets {
		return new LabelledSockets({
			app: this.#app,
			served: (response) => this.#bound(response),
			onError: (error) => handlers.failed("filter", error),
		});
	}

	/**
	 * Enforces the limit of open connections. Idle ones count too, so it does not wait for a request: a connection beyond the limit is answered at once, or
	 * closed if too many answered ones are still open. The balancer hands no connections to a shard that is this full.
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
}

/** Messages to one client alone are compressed too, except those that leave in parts. One function for all clients of a path. */
function compressing(plain: OpenSocket["send"], compressFrom: number): OpenSocket["send"] {
	const send = plain as (message: string | Uint8Array, isBinary: boolean, compress: boolean) => Sent;
	return function (this: OpenSocket, message, isBinary) {
		return send.call(this, message, isBinary, message.length >= compressFrom);
	};
}

/** Headers needed for the answer to an upgrade. */
interface WebSocketKeys {
	readonly key: string;
	readonly subprotocol: string;
	readonly extensions: string;
}

function webSocketKeys(request: HttpRequest): WebSocketKeys {
	return {
		key: request.getHeader("sec-websocket-key"),
		// A client that offers sub-protocols requires one of them in the answer.
		subprotocol: firstOf(request.getHeader("sec-websocket-protocol")),
		extensions: offeredCompression(request),
	};
}

/** The first item of a comma-separated list. */
function firstOf(list: string): string {
	return list.split(",", 1)[0]!.trim();
}

/** The route for plain HTTP requests on a session's path. */
function upgradeOnly(path: string): Route {
	return { kind: "answer", path, answer: upgradeRequired };
}

/** Whether the connection was closed because of a frame's length. */
function isTooBig(reason: ArrayBuffer): boolean {
	return tooBigReason.test(Buffer.from(reason).toString("latin1"));
}

/** Finds out why the library could not listen, with Node's error. */
function reasonNotToListen(address: Address): Promise<Error> {
	return new Promise((resolve) => {
		const probe = createServer();
		probe.once("error", resolve);
		probe.listen({ ...address, exclusive: true }, () => {
			probe.close(() => resolve(new Error("the address was taken for a moment; try again")));
		});
	});
}
