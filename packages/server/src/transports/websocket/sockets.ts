import { createServer } from "node:net";
import { isDeepStrictEqual } from "node:util";
import type { Address, Certificate } from "@shardcast/config";
import { type Reply, type Route, Router, type RouterRules, type ToldAddress } from "@shardcast/http";
import type { Counters } from "@shardcast/scoreboard";
import { CloseCode } from "@shardcast/wire";
import type { TopicPublisher } from "../../delivery/fan-out.ts";
import type { Connecting, Judging, Session, SessionFactory, TransportLimits } from "../../sessions/session.ts";
import type { ForwardedHead } from "../client-address.ts";
import type { TopicTransport } from "../transport.ts";
import { upgradeRequired } from "../upgrade-request.ts";
import { GuardedApp, type GuardedCallback, type Response, type SocketCallbacks, type WebSocketConfig } from "./sockets-app.ts";
import type { BodyReader } from "./sockets-bodies.ts";
import { forwardedHead, upgradeHead } from "./sockets-heads.ts";
import { sendReply } from "./sockets-http.ts";
import {
	DISABLED,
	type HttpRequest,
	LIBUS_LISTEN_EXCLUSIVE_PORT,
	type us_listen_socket,
	us_listen_socket_close,
	type us_socket_context_t,
	us_socket_local_port,
} from "./sockets-native.ts";
import { Requests, remoteAddress } from "./sockets-requests.ts";
import { ToldSockets } from "./sockets-told.ts";

/** What the shard does with what is no session's. */
export interface SocketHandlers {
	/** Connections that are open now, WebSockets and others. */
	connections(count: number): void;
	/** How many of them there may be at once. */
	readonly socketsMax: () => number;
	/** One more than that has come: what to tell it. */
	overfull(): Reply;
	/** The address of a client behind a proxy; null when it came directly. */
	told(head: ForwardedHead, peer: () => string): ToldAddress | null;
	/** One of these handlers threw, or something else within a callback of the library. */
	failed(callback: GuardedCallback, error: unknown): void;
}

export interface SocketOptions {
	/** Each at its paths. */
	readonly sessions: readonly SessionFactory<TopicTransport>[];
	/** What is answered over HTTP. */
	readonly routes: readonly Route[];
	readonly rules: RouterRules;
	readonly handlers: SocketHandlers;
	/** Every connection comes by `adoptTold`. */
	readonly proxyProtocol: boolean;
	/** For TLS: every connection comes by `adopt`. None = connections are not encrypted. */
	readonly certificates?: readonly Certificate[];
	readonly counters: Counters;
}

/** What the library keeps of a WebSocket beside its own: a pointer to the session. */
interface OpenSocket extends TopicTransport {
	readonly session: Session<TopicTransport>;
}

/** Connections that have been told that there are too many and have not closed yet; the next one is cut. */
const turnedAwayMax = 32;

/** How uWebSockets.js explains the cut. */
const tooBigReason = /^Received too big message/;

/**
 * The only user of uWebSockets.js: listens, adopts connections that the balancer hands over, upgrades, and hands all that happens
 * to the shard's parts. One per shard, on its loop.
 *
 * A connection that is not upgraded ends with its answer unless the route keeps it: one that was kept would bring the browser's
 * next request, for the console say, to this shard.
 */
export class Sockets implements TopicPublisher {
	readonly #app: GuardedApp;
	readonly #requests: Requests;
	/** Null = no connection begins with a PROXY header. */
	readonly #toldSockets: ToldSockets | null;
	readonly #options: SocketOptions;
	/** What each factory was served with last. */
	readonly #limits = new Map<SessionFactory<TopicTransport>, TransportLimits>();
	#listening: us_listen_socket | null = null;
	/** Opened minus closed; the library does not count an upgrade as closed, nor the end of a WebSocket. */
	#filtered = 0;
	#webSocketsClosed = 0;

	constructor(options: SocketOptions) {
		this.#options = options;
		const { routes, rules, sessions, counters, handlers, proxyProtocol, certificates } = options;
		this.#app = new GuardedApp((callback, error) => handlers.failed(callback, error), certificates);
		this.#toldSockets = proxyProtocol ? this.#told(handlers) : null;
		const toldSockets = this.#toldSockets;
		const router = new Router([...routes, ...sessions.flatMap(({ paths }) => paths.map(upgradeOnly))], rules);
		this.#requests = new Requests({ app: this.#app, router, counters, toldSockets, told: (head, peer) => handlers.told(head, peer) });
		this.#app.filter(this.#onConnection);
		for (const factory of sessions) this.#serve(factory);
		this.#app.any("/*", (response, request) => this.#requests.serve(response, request));
	}

	/** Request bodies that are on their way. */
	get bodies(): BodyReader {
		return this.#requests.bodies;
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
	 * Looks at the factories' limits again. They hold for clients that connect from now on: the library keeps each to the limits that it
	 * came under. A change leaves some hundred bytes behind in it; the same limits change nothing.
	 */
	limit(): void {
		for (const [factory, limits] of this.#limits) if (!isDeepStrictEqual(factory.limits(), limits)) this.#serve(factory);
	}

	/**
	 * Serves a connection whose descriptor was handed over. It is the library's from now on.
	 * @param serverName that the client asks for, with TLS; null = none.
	 */
	adopt(descriptor: number, serverName: string | null = null): void {
		this.#app.adopt(descriptor, serverName);
	}

	/** New connections get these certificates. @throws Error when the library does not take one; nothing has changed then. */
	useCertificates(certificates: readonly Certificate[]): void {
		this.#app.useCertificates(certificates);
	}

	/** About once a second, outside of the library's callbacks. */
	tidy(): void {
		this.#app.tidy();
	}

	/** As `adopt`, for a client at this address. @throws NativeError without descriptors to spare: the descriptor is the caller's then. */
	adoptTold(descriptor: number, address: string): void {
		this.#toldSockets!.adopt(descriptor, address);
	}

	publish(topic: string, message: Uint8Array, isBinary: boolean): boolean {
		return this.#app.publish(topic, message, isBinary);
	}

	publishToOthers(sender: TopicTransport, topic: string, message: Uint8Array, isBinary: boolean): void {
		this.#app.publishToOthers(sender, topic, message, isBinary);
	}

	/** No new connections come from the port any more. */
	stopListening(): void {
		if (this.#listening !== null) us_listen_socket_close(this.#listening);
		this.#listening = null;
	}

	/** Cuts whatever is still open. */
	close(): void {
		this.#listening = null;
		this.#toldSockets?.close();
		this.#app.close();
	}

	/** The last one that was given to the library for a path counts. */
	#serve(factory: SessionFactory<TopicTransport>): void {
		const limits = factory.limits();
		const { frameBytesMax, bufferedBytesMax, idleTimeoutMs } = limits;
		this.#limits.set(factory, limits);
		const webSocket: WebSocketConfig = {
			compression: DISABLED,
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
			open: (socket) => socket.session.opened(socket),
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
		this.#toldSockets?.forget(response);
		response.upgrade({ session }, keys.key, subprotocol ?? keys.subprotocol, keys.extensions, context);
	}

	/** Nothing of the request may be read any more. */
	#upgradeLater(response: Response, keys: WebSocketKeys, judging: Judging<TopicTransport>, context: us_socket_context_t): void {
		let isGone = false;
		this.#app.aborted(response, () => {
			isGone = true;
			judging.abandon();
		});
		const finish = (judged: Awaited<typeof judging.judged>): void => {
			const outcome = judged();
			if ("refused" in outcome) this.#requests.answerLater(response, outcome.refused);
			else response.cork(() => this.#upgrade(response, keys, outcome, context));
		};
		void this.#app.later(response, judging.judged, () => isGone, finish);
	}

	readonly #onConnection = (response: Response, change: number): void => {
		this.#filtered += change;
		this.#tellConnections();
		// One that is being adopted is no client's yet.
		if (change > 0) this.#toldSockets?.opened(response) || this.#bound(response);
		else this.#toldSockets?.forget(response);
	};

	#told(handlers: SocketHandlers): ToldSockets {
		return new ToldSockets({
			app: this.#app,
			served: (response) => this.#bound(response),
			onError: (error) => handlers.failed("filter", error),
		});
	}

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
}

/** What the answer to an upgrade is made of. */
interface WebSocketKeys {
	readonly key: string;
	readonly subprotocol: string;
	readonly extensions: string;
}

function webSocketKeys(request: HttpRequest): WebSocketKeys {
	return {
		key: request.getHeader("sec-websocket-key"),
		// A program that offers sub-protocols insists on being given one of them.
		subprotocol: firstOf(request.getHeader("sec-websocket-protocol")),
		extensions: request.getHeader("sec-websocket-extensions"),
	};
}

/** Of a list with commas. */
function firstOf(list: string): string {
	return list.split(",", 1)[0]!.trim();
}

/** To plain HTTP on a session's path. */
function upgradeOnly(path: string): Route {
	return { kind: "answer", path, answer: upgradeRequired };
}

/** Whether the connection was cut because of a frame's length. */
function isTooBig(reason: ArrayBuffer): boolean {
	return tooBigReason.test(Buffer.from(reason).toString("latin1"));
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
