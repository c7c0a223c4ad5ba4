import type { Certificate } from "@shardcast/config";
import { refusal } from "@shardcast/http";
import { CloseCode, closeReasons } from "@shardcast/wire";
import { DrainedSockets } from "./drained-sockets.ts";
import { sendReply } from "./requests/sockets-http.ts";
import { LibraryApps, type OfApp } from "./sockets-apps.ts";
import {
	App,
	type HttpRequest,
	type HttpResponse,
	type us_listen_socket,
	type us_socket_context_t,
	type WebSocketBehavior,
} from "./sockets-native.ts";

/** A response in progress. Its events are available only through `GuardedApp`. */
export type Response = Omit<HttpResponse, "onAborted" | "onData" | "onWritable">;

/** Where an exception was caught, by the library's names; `later` is an answer after its request's callback has returned. */
export type GuardedCallback =
	| ("listen" | "filter" | "request" | "onData" | "onAborted" | "onWritable" | "later")
	| ("upgrade" | "open" | "message" | "dropped" | "drain" | "close");

/** The part of a WebSocket that is used when one of its callbacks has failed. */
interface Closable {
	end(code: number, reason: string): void;
	close(): void;
}

/** The callbacks that shardcast uses. `Socket` is the library's WebSocket with its data. */
export interface SocketCallbacks<Socket> {
	upgrade(response: Response, request: HttpRequest, context: us_socket_context_t): void;
	open(socket: Socket): void;
	message(socket: Socket, message: ArrayBuffer, isBinary: boolean): void;
	close(socket: Socket, code: number, reason: ArrayBuffer): void;
	/** A message was not written. Do not change the socket in here. */
	dropped?(socket: Socket): void;
	/** Bytes that waited have been written. Called later in that turn of the loop: see `DrainedSockets`. */
	drain?(socket: Socket): void;
}
export type WebSocketConfig = Omit<WebSocketBehavior<unknown>, keyof SocketCallbacks<unknown>>;

interface RequestCallbacks {
	/** A part of the body. Its memory is valid until this returns. */
	data(chunk: ArrayBuffer, isLast: boolean): void;
	/** The client is gone: the response must not be used any more. */
	aborted(): void;
}

const internalError = refusal("internal");

/**
 * Wraps uWebSockets.js with a guard around all callbacks; no other file passes callbacks to it. Without the guard, an exception in a callback would end
 * the process and all clients of the shard. With it, only the request is answered 500, the WebSocket is closed with 1011, or a connection that is
 * neither yet is closed.
 *
 * An error outside of callbacks, such as in a flush or a timer, still ends the process: no request caused it, and a restart repairs it. Cost: one more
 * call and a try block per callback, no allocation.
 */
export class GuardedApp {
	readonly #apps: LibraryApps;
	readonly #onError: (callback: GuardedCallback, error: unknown) => void;

	/**
	 * @param onError called with each exception; must not throw.
	 * @param certificates for TLS; the first is for clients without a known server name. Empty = no TLS.
	 * @param compressFrom published messages of at least so many bytes are compressed for clients that can read it.
	 */
	constructor(
		onError: (callback: GuardedCallback, error: unknown) => void,
		certificates: readonly Certificate[] = [],
		compressFrom = Number.POSITIVE_INFINITY,
	) {
		this.#onError = onError;
		this.#apps = new LibraryApps(certificates.length === 0 ? App() : null, certificates, compressFrom);
	}

	/** Sets the certificates for new connections. @throws Error when the library does not accept one. Then nothing has changed. */
	useCertificates(certificates: readonly Certificate[]): void {
		this.#apps.use(certificates);
	}

	/** Closes apps with old certificates that have no connections left. Call about once a second, outside of callbacks. */
	tidy(): void {
		this.#apps.tidy();
	}

	/** Sets a handler for each connection that opens (1) or ends (-1). */
	filter(handler: (response: Response, change: number) => void): void {
		this.#apps.configure("filter", (served) => {
			const guarded = (response: HttpResponse, change: number): void => {
				served.open += change;
				try {
					handler(response, change);
				} catch (error) {
					this.#onError("filter", error);
					if (change > 0) response.close();
				}
			};
			served.app.filter(guarded);
		});
	}

	any(path: string, handler: (response: Response, request: HttpRequest) => void): void {
		const guarded = (response: HttpResponse, request: HttpRequest): void => {
			try {
				handler(response, request);
			} catch (error) {
				this.#giveUp("request", response, error, request.getMethod() === "head");
			}
		};
		this.#apps.configure(`any ${path}`, ({ app }) => app.any(path, guarded));
	}

	/** Serves WebSockets at a path. A later call for the same path replaces an earlier one. */
	ws<Socket>(path: string, webSocket: WebSocketConfig, callbacks: SocketCallbacks<Socket>): void {
		const { dropped, drain } = callbacks;
		const tell = drain && this.#guarded("drain", drain, end);
		const drained = tell && new DrainedSockets<Socket>((socket) => tell(socket, undefined, undefined));
		const guarded = {
			...webSocket,
			upgrade: (response: HttpResponse, request: HttpRequest, context: us_socket_context_t) => {
				try {
					callbacks.upgrade(response, request, context);
				} catch (error) {
					this.#giveUp("upgrade", response, error);
				}
			},
			message: this.#guarded("message", callbacks.message, end),
			...(dropped && { dropped: this.#guarded("dropped", dropped, cutSoon) }),
			...(drained && { drain: drained.add }),
		};
		const open = this.#guarded("open", callbacks.open, end);
		const close = this.#guarded("close", callbacks.close, nothing);
		this.#apps.configure(`ws ${path}`, (served) => {
			const counted = (socket: Socket, code: number, reason: ArrayBuffer): void => {
				// The library does not call `filter` when a WebSocket ends.
				served.open--;
				drained?.forget(socket);
				close(socket, code, reason);
			};
			const { app, certificate } = served;
			const known = (socket: Socket): void => {
				(socket as OfApp).app = app;
				open(socket, undefined, undefined);
			};
			app.ws(path, { ...guarded, open: certificate === null ? open : known, close: counted } as WebSocketBehavior<unknown>);
		});
	}

	/** Sets both callbacks of a request. Call only once: replacing a running callback would free it. */
	receive(response: Response, callbacks: RequestCallbacks): void {
		this.aborted(response, () => callbacks.aborted());
		(response as HttpResponse).onData((chunk, isLast) => {
			try {
				callbacks.data(chunk, isLast);
			} catch (error) {
				this.#giveUp("onData", response, error);
			}
		});
	}

	/** Sets the callback for a client that is gone, after which the response must not be used. Once per request. */
	aborted(response: Response, callback: () => void): void {
		(response as HttpResponse).onAborted(() => {
			try {
				callback();
			} catch (error) {
				this.#onError("onAborted", error);
			}
		});
	}

	/** Sets the callback for when the socket of a stream accepts more, once. An exception in it ends the connection. */
	writable(response: Response, callback: () => void): void {
		(response as HttpResponse).onWritable(() => {
			try {
				callback();
			} catch (error) {
				this.#onError("onWritable", error);
				response.close();
			}
			return true;
		});
	}

	/** Passes on the value of a promise, unless the client is gone by then. */
	async later<T>(response: Response, promised: Promise<T>, isGone: () => boolean, then: (value: T) => void): Promise<void> {
		try {
			const value = await promised;
			if (!isGone()) then(value);
		} catch (error) {
			if (isGone()) this.#onError("later", error);
			else this.#giveUp("later", response, error);
		}
	}

	/** Calls `onListen` with the result before this returns. An empty host would be taken for the port. */
	listen(host: string | undefined, port: number, options: number, onListen: (socket: us_listen_socket | false) => void): void {
		const guarded = (socket: us_listen_socket | false): void => {
			try {
				onListen(socket);
			} catch (error) {
				this.#onError("listen", error);
			}
		};
		if (host === undefined) this.#apps.first.listen(port, options, guarded);
		else this.#apps.first.listen(host, port, options, guarded);
	}

	/**
	 * Serves a connection accepted elsewhere. The library owns the descriptor from now on.
	 * @param serverName requested by the client, with TLS; null = none.
	 */
	adopt(descriptor: number, serverName: string | null = null): void {
		this.#apps.for(serverName).adoptSocket(descriptor);
	}

	publish(topic: string, message: Uint8Array, isBinary: boolean): boolean {
		return this.#apps.publish(topic, message, isBinary);
	}

	/** Sends to all subscribers except one. */
	publishToOthers(sender: OfApp, topic: string, message: Uint8Array, isBinary: boolean): void {
		this.#apps.publishToOthers(sender, topic, message, isBinary);
	}

	/** Closes all open connections. */
	close(): void {
		this.#apps.close();
	}

	/** Makes one closure for all sockets of a path. Callbacks have at most two arguments besides the socket. */
	#guarded<Socket, First, Second>(
		name: GuardedCallback,
		callback: (socket: Socket, first: First, second: Second) => void,
		giveUp: (socket: Closable) => void,
	): (socket: Socket, first: First, second: Second) => void {
		return (socket, first, second) => {
			try {
				callback(socket, first, second);
			} catch (error) {
				this.#onError(name, error);
				giveUp(socket as Closable);
			}
		};
	}

	#giveUp(callback: GuardedCallback, response: Response, error: unknown, isHead = false): void {
		this.#onError(callback, error);
		try {
			sendReply(response, internalError, isHead);
		} catch {
			// It has been answered already, or upgraded.
		}
	}
}

function end(socket: Closable): void {
	try {
		socket.end(CloseCode.internalError, closeReasons[CloseCode.internalError]);
	} catch {
		// It was closed before the callback failed.
	}
}

/** Closes a socket later, since the library is iterating over its topics, and without a close frame, for which there is no room. */
function cutSoon(socket: Closable): void {
	setImmediate(() => {
		try {
			socket.close();
		} catch {
			// It was closed meanwhile.
		}
	});
}

function nothing(): void {}
