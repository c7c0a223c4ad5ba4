import type { Certificate } from "@shardcast/config";
import { refusal } from "@shardcast/http";
import { CloseCode, closeReasons } from "@shardcast/wire";
import { LibraryApps, type OfApp } from "./sockets-apps.ts";
import { sendReply } from "./sockets-http.ts";
import {
	App,
	type HttpRequest,
	type HttpResponse,
	type us_listen_socket,
	type us_socket_context_t,
	type WebSocketBehavior,
} from "./sockets-native.ts";

/** An answer under way. Its events are had from `GuardedApp` only. */
export type Response = Omit<HttpResponse, "onAborted" | "onData" | "onWritable">;

/** Where an exception was caught, by the library's own names; `later` is an answer that comes when its request's callback is over. */
export type GuardedCallback =
	| ("listen" | "filter" | "request" | "onData" | "onAborted" | "onWritable" | "later")
	| ("upgrade" | "open" | "message" | "dropped" | "drain" | "close");

/** What a WebSocket's callbacks do with it when one of them has failed. */
interface Closable {
	end(code: number, reason: string): void;
	close(): void;
}

/** The callbacks that shardcast uses, with `Socket` for the library's WebSocket and its data. */
export interface SocketCallbacks<Socket> {
	upgrade(response: Response, request: HttpRequest, context: us_socket_context_t): void;
	open(socket: Socket): void;
	message(socket: Socket, message: ArrayBuffer, isBinary: boolean): void;
	close(socket: Socket, code: number, reason: ArrayBuffer): void;
	/** A message was not written. Nothing of the socket may be changed in here. */
	dropped?(socket: Socket): void;
	drain?(socket: Socket): void;
}
export type WebSocketConfig = Omit<WebSocketBehavior<unknown>, keyof SocketCallbacks<unknown>>;

export interface RequestCallbacks {
	/** A part of the body; its memory is the library's again when this returns. */
	data(chunk: ArrayBuffer, isLast: boolean): void;
	/** The client is gone: the response may not be used any more. */
	aborted(): void;
}

const internalError = refusal("internal");

/**
 * uWebSockets.js with one guard around everything that it calls; no other file gives it a callback. An exception that left a callback
 * would end the process, and with it every client of the shard, whichever request raised it. Here it costs only what it is about: a
 * request is answered 500, a WebSocket is closed with 1011, a connection that is neither yet is cut.
 *
 * What fails outside of callbacks, in a flush or a timer say, still ends the process: no request raised it, and a restart repairs it.
 * Cost: one more call and a try block per callback, no allocation.
 */
export class GuardedApp {
	readonly #apps: LibraryApps;
	readonly #onError: (callback: GuardedCallback, error: unknown) => void;

	/**
	 * @param onError is told of each exception, and must not throw.
	 * @param certificates for TLS, the first for clients without a known server name; none = connections are not encrypted.
	 */
	constructor(onError: (callback: GuardedCallback, error: unknown) => void, certificates: readonly Certificate[] = []) {
		this.#onError = onError;
		this.#apps = new LibraryApps(certificates.length === 0 ? App() : null, certificates);
	}

	/** New connections get these certificates. @throws Error when the library does not take one; nothing has changed then. */
	useCertificates(certificates: readonly Certificate[]): void {
		this.#apps.use(certificates);
	}

	/** About once a second, outside of callbacks: gives up what served former certificates and has no connections left. */
	tidy(): void {
		this.#apps.tidy();
	}

	/** Hears of each connection that opens (1) or ends (-1). */
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

	/** Of several for one path the last counts. */
	ws<Socket>(path: string, webSocket: WebSocketConfig, callbacks: SocketCallbacks<Socket>): void {
		const { dropped, drain } = callbacks;
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
			...(drain && { drain: this.#guarded("drain", drain, end) }),
		};
		const open = this.#guarded("open", callbacks.open, end);
		const close = this.#guarded("close", callbacks.close, nothing);
		this.#apps.configure(`ws ${path}`, (served) => {
			const counted = (socket: Socket, code: number, reason: ArrayBuffer): void => {
				// The library does not tell `filter` of the end of a WebSocket.
				served.open--;
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

	/** Sets both callbacks of a request, once: the library would free the one that is running. */
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

	/** Sets the one callback for a client that is gone: the response may not be used any more. Once for each request. */
	aborted(response: Response, callback: () => void): void {
		(response as HttpResponse).onAborted(() => {
			try {
				callback();
			} catch (error) {
				this.#onError("onAborted", error);
			}
		});
	}

	/** Sets what is called when the socket of an answer in parts takes more, once. What fails in it ends the connection. */
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

	/** Hands on what was promised, unless the client has gone by then. */
	async later<T>(response: Response, promised: Promise<T>, isGone: () => boolean, then: (value: T) => void): Promise<void> {
		try {
			const value = await promised;
			if (!isGone()) then(value);
		} catch (error) {
			if (isGone()) this.#onError("later", error);
			else this.#giveUp("later", response, error);
		}
	}

	/** Whether it listens now is told to `onListen` before this returns. An empty host would be taken for the port. */
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
	 * Serves a connection that was accepted elsewhere; the descriptor is the library's from now on.
	 * @param serverName that the client asks for, with TLS; null = none.
	 */
	adopt(descriptor: number, serverName: string | null = null): void {
		this.#apps.for(serverName).adoptSocket(descriptor);
	}

	publish(topic: string, message: Uint8Array, isBinary: boolean): boolean {
		return this.#apps.publish(topic, message, isBinary);
	}

	/** To all subscribers but one. */
	publishToOthers(sender: OfApp, topic: string, message: Uint8Array, isBinary: boolean): void {
		this.#apps.publishToOthers(sender, topic, message, isBinary);
	}

	/** Cuts whatever is still open. */
	close(): void {
		this.#apps.close();
	}

	/** One closure for all sockets of a path. The callbacks have at most two arguments beside the socket. */
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
			// It has its answer already, or was upgraded.
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

/** Not at once, since the library is in the middle of its topics; and without a close frame, for which there is no room. */
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
