import type { us_listen_socket } from "uWebSockets.js";
import { library } from "./sockets-library.ts";

export type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket, us_socket_context_t, WebSocketBehavior } from "uWebSockets.js";
export const {
	App,
	SSLApp,
	DISABLED,
	SHARED_COMPRESSOR,
	SHARED_DECOMPRESSOR,
	LIBUS_LISTEN_EXCLUSIVE_PORT,
	us_listen_socket_close,
	us_socket_local_port,
} = library;

// Missing in the library's declarations.
declare module "uWebSockets.js" {
	interface TemplatedApp {
		/** Serves a connection accepted elsewhere. The app owns the descriptor from now on. */
		adoptSocket(descriptor: number): TemplatedApp;
		listen(host: string, port: number, options: number, callback: (socket: us_listen_socket | false) => void): TemplatedApp;
	}
	const LIBUS_LISTEN_EXCLUSIVE_PORT: number;
	const DISABLED: number;
	const SHARED_COMPRESSOR: number;
	const SHARED_DECOMPRESSOR: number;
}
